"""One candidate and one server, by chance: whatever they do in whatever order, engine and model answer the same."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import subprocess
from collections import Counter
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Generation
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine.recording.closer import collect_due
from engine.rules.errors import TryLater
from engine.rules.outcome import Outcome
from engine.stores.clock import now_ms
from engine.stores.memory import fields_of
from engine.supervision import embedded
from tests.integration.candidate_model import CLOSED_STATES, CandidateModel, Change, Phase
from tests.integration.exam import PARTITIONS, Exam
from tests.integration.forgetful import valkey_on
from tests.servers import temporary_folder

T = TypeVar("T")
# Chance draws on the constants of all modules that are loaded, so it differs with what else is tested beside this.
# Where the first run has not met everything, a longer one goes on.
EXAMPLES = (80, 320)
STEPS = 40
RESTARTS_MAX = 12  # a real server, killed and started again
HOUR_MS = 3_600_000
# Phase -> where check-in, start, latest entry, end and end + grace lie from now, in hours: far from every edge.
HOURS = {
    Phase.EARLY: (1, 2, 3, 4, 5),
    Phase.CHECK_IN: (-1, 1, 2, 3, 4),
    Phase.WRITING: (-2, -1, 1, 2, 3),
    Phase.ENDING: (-3, -2, -1, 1, 2),
    Phase.GRACE: (-4, -3, -2, -1, 1),
    Phase.CLOSED: (-5, -4, -3, -2, -1),
}
# Else agreement would mean little.
MUST_BE_MET = {
    *("login OK", "login ELSEWHERE", "step OK", "step ORDER", "step SUPERSEDED"),
    *("save OK", "save SUPERSEDED", "save CLOSED", "save too late", "save ORDER"),
    *("submit OK", "submit SUPERSEDED", "submit BEHIND", "submit TOO_EARLY", "submit LOST"),
}
TIMES = ("check_in_ms", "starts_ms", "entry_ms", "ends_ms", "closes_ms")
items = st.sampled_from(["A1", "A2", "A3"])
values = st.sampled_from(['"a"', '"b"', "null"])
starts = st.sampled_from([Phase.WRITING, Phase.WRITING, Phase.CHECK_IN, Phase.EARLY])
which_token = st.sampled_from([0, 0, 0, 0, -1, 1])  # added to the present epoch: the older device's, one never issued


class World:
    """Real stores for many candidates, one after the other, and the loop that all calls run in."""

    def __init__(self, folder: Path, postgres_dsn: str) -> None:
        self._folder = folder
        self._server = contextlib.ExitStack()
        self._child = self._start()
        self.redis = redis.Redis.from_url(embedded.redis_url(folder))
        self.loop = asyncio.Runner()
        self.exam = Exam(embedded.redis_url(folder), postgres_dsn)
        self.run(self.exam.hold())
        self.numbers = itertools.count()
        self.restarts = 0
        self.met: Counter[str] = Counter()  # what happened at all, over all candidates

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(call)

    def _start(self) -> subprocess.Popen[bytes]:
        # A killed process takes nothing from the kernel: waiting for the disk would prove nothing here.
        return self._server.enter_context(valkey_on(self._folder, self._folder, appendfsync="no"))

    def restart(self) -> None:
        """SIGKILL and a start on the same data; returns when the engine's own connections work again."""
        self.restarts += 1
        self._child.kill()
        self._child.wait()
        self._child = self._start()
        self.redis.connection_pool.disconnect()
        for _ in range(100):
            with contextlib.suppress(TryLater):
                self.run(self.exam.memory.read_bytes("anything"))
                return
        raise AssertionError("the restarted Redis was not reached again")

    def close(self) -> None:
        self.run(self.exam.close())
        self.loop.close()
        self.redis.close()
        self._server.close()


class Candidate(RuleBasedStateMachine):
    """Every rule does one thing to the engine and to the model, and compares."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        number = next(self.world.numbers)
        self.sitting = f"sitting-{number}"
        self.exam = Exam.beside(self.world.exam, f"batch-{number}")
        self.seq = 0  # the client's own counter
        self.sent: list[Change] = []

    @initialize(phase=starts, has_come=st.sampled_from([True, True, True, False]))
    def arm(self, phase: Phase, has_come: bool) -> None:
        """Some have logged in, confirmed and pledged already: else most would never get to write."""
        self.world.run(self.exam.arm(self.sitting))
        self.keys = self.exam.memory.partition_of(self.sitting)
        self.model = CandidateModel(phase, *self._where(), state="expected")
        self._move_time()
        if has_come and phase is not Phase.EARLY:
            self.log_in("free", False)
            for step in (("checked_in", "confirmed"), ("confirmed", "pledged")):
                self.take_step(0, step)

    # --- the candidate -----------------------------------------------------------------------------------------

    @rule(takeover=st.sampled_from(["free", "free", "free", "silent", "proctor"]), is_silent_enough=st.booleans())
    def log_in(self, takeover: str, is_silent_enough: bool) -> None:
        silent_ms = 0 if is_silent_enough else HOUR_MS
        reply = self.world.run(self.exam.login(self.sitting, takeover, silent_ms))

        self._agree("login", reply[0], self.model.login(takeover, is_silent_enough))
        if reply[0] == Outcome.OK:
            self.model.admitted(int(fields_of(reply, 5)["epoch"]))

    @rule(token=which_token, step=st.sampled_from([("checked_in", "confirmed"), ("confirmed", "pledged")]))
    def take_step(self, token: int, step: tuple[str, str]) -> None:
        epoch = self.model.epoch + token
        reply = self.world.run(self.exam.step(self.sitting, *step, epoch=str(epoch)))

        self._agree("step", reply[0], self.model.step(epoch, *step))

    @rule(
        token=which_token,
        answers=st.lists(st.tuples(items, values), min_size=1, max_size=4),
        is_reordered=st.booleans(),
    )
    def save(self, token: int, answers: list[tuple[str, str]], is_reordered: bool) -> None:
        """New changes, in order or not."""
        changes = [(item, self.seq + number, value) for number, (item, value) in enumerate(answers, 1)]
        self.seq += len(changes)
        self.sent += changes
        self._save(token, changes[::-1] if is_reordered else changes)

    @precondition(lambda self: self.sent)
    @rule(token=which_token, picked=st.lists(st.integers(min_value=0), min_size=1, max_size=4))
    def save_again(self, token: int, picked: list[int]) -> None:
        """Duplicates and stale changes, in any mixture."""
        self._save(token, [self.sent[number % len(self.sent)] for number in picked])

    @precondition(lambda self: self.model.journal)
    @rule()
    def replay_journal(self) -> None:
        """What a client does when the generation has risen."""
        self._save(0, [entry.change for entry in self.model.journal])

    @rule(token=which_token, ahead=st.sampled_from([0, 1, 1]), is_too_early=st.booleans())
    def hand_in(self, token: int, ahead: int, is_too_early: bool) -> None:
        epoch, seq = self.model.epoch + token, self.model.highest + ahead
        earliest_ms = now_ms() + HOUR_MS if is_too_early else 0
        reply = self.world.run(self.exam.submit(self.sitting, seq, str(epoch), earliest_ms))

        self._agree("submit", reply[0], self.model.submit(epoch, seq, is_too_early))

    # --- the server --------------------------------------------------------------------------------------------

    @precondition(lambda self: self.model.phase is not Phase.CLOSED)
    @rule(steps=st.sampled_from([0, 0, 1, 4]))
    def pass_time(self, steps: int) -> None:
        self.model.phase = Phase(min(self.model.phase.value + steps, Phase.CLOSED.value))
        self._move_time()

    @rule()
    def collect(self) -> None:
        self.world.redis.zadd(self.keys.due, {self.sitting: 0}, xx=True)
        self.world.run(collect_due(self.exam.memory, range(PARTITIONS)))
        self.model.collect()

    @rule()
    def record(self) -> None:
        self._record()

    @precondition(lambda self: self.sent)
    @rule()
    def restart_redis(self) -> None:
        """Really, a few times; after that only its run id changes, which is all that a script can see."""
        if self.world.restarts < RESTARTS_MAX:
            self.world.restart()
        else:
            self.world.redis.hset(self.keys.marker, "run_id", "f" * 40)
        self.model.is_restarted = True

    # --- what always holds -------------------------------------------------------------------------------------

    @invariant()
    def redis_holds_what_the_model_holds(self) -> None:
        stored = self.world.redis.hgetall(self.keys.sitting(self.sitting))
        responses = {name[2:].decode(): text for name, text in stored.items() if name.startswith(b"r:")}

        assert (stored[b"state"].decode(), int(stored[b"epoch"])) == (self.model.state, self.model.epoch)
        assert responses == {item: f"{seq}|{value}".encode() for item, (seq, value) in self.model.responses.items()}

    def teardown(self) -> None:
        """PostgreSQL in the end: everything that was accepted, once, in order, and nothing else."""
        if not hasattr(self, "model"):
            return
        self._record()
        run, query = self.world.run, self.exam.query
        of_sitting = "WHERE sitting_id = $1"
        rows = run(query(f"SELECT item, seq, value FROM response {of_sitting}", self.sitting))
        [(state, epoch)] = run(query(f"SELECT state, epoch FROM sitting {of_sitting}", self.sitting))
        self.world.redis.zrem(self.keys.due, self.sitting)  # the next candidate's closer must not find this one

        assert {item: (seq, value) for item, seq, value in rows} == self.model.responses
        assert (state, epoch) == (self.model.state, self.model.epoch)
        assert sum(kind in CLOSED_STATES for kind in self.model.events) <= 1

    # --- inside ------------------------------------------------------------------------------------------------

    def _agree(self, what: str, answered: int, expected: Outcome) -> None:
        assert answered == expected
        self.world.met[f"{what} {expected.name}"] += 1

    def _save(self, token: int, changes: list[Change]) -> None:
        epoch = self.model.epoch + token
        partition, *where, outcome = self.world.run(self.exam.save(self.sitting, *changes, epoch=str(epoch)))

        assert partition == Outcome.OK
        self._agree("save", outcome, self.model.save(epoch, changes))
        if outcome == Outcome.CLOSED and self.model.state == "pledged":
            self.world.met["save too late"] += 1
        self.model.answered_in(where[0])
        assert tuple(where[1:]) == (self.model.position, self.model.committed)
        if outcome == Outcome.OK:
            for forgotten in self.model.acknowledged(changes, *where):
                assert self.model.is_recorded(forgotten), f"{forgotten} would be forgotten before it was recorded"

    def _record(self) -> None:
        while self.world.run(self.exam.recorder.record()):
            pass
        self.model.recorded()
        history = "SELECT item, seq, value FROM response_history WHERE sitting_id = $1 ORDER BY generation, position"
        events = "SELECT kind FROM sitting_event WHERE sitting_id = $1 ORDER BY generation, position"
        found = self.world.run(self.exam.query(history, self.sitting))

        # Changes of one call share a position: in it their order is the call's, which the table does not keep.
        assert sorted(found) == sorted(self.model.history)
        assert [kind for (kind,) in self.world.run(self.exam.query(events, self.sitting))] == self.model.events

    def _move_time(self) -> None:
        now = now_ms()
        times = {name: now + hours * HOUR_MS for name, hours in zip(TIMES, HOURS[self.model.phase], strict=True)}
        self.world.redis.hset(self.keys.sitting(self.sitting), mapping=times)

    def _where(self) -> list[int]:
        """Generation, position and committed of the partition, raised if it has to be."""
        return self.world.run(self.exam.save(self.sitting, ("A1", 1, "null"), epoch="never"))[1:4]


@pytest.fixture
def world(postgres_dsn: str) -> Iterator[World]:
    with temporary_folder("machine") as folder:
        found = World(folder, postgres_dsn)
        yield found
        found.close()


@pytest.mark.slow
def test_whatever_a_candidate_does_engine_and_model_agree(world: World) -> None:
    """Logins, takeovers, saves of every kind, hand-ins, the end of time, restarts and recordings, in any order."""
    Candidate.world = world

    for examples in EXAMPLES:
        run_state_machine_as_test(
            Candidate,
            settings=settings(
                max_examples=examples,
                stateful_step_count=STEPS,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Generation.generate],  # a failure is told as it was found: shrinking it would take minutes
                suppress_health_check=list(HealthCheck),
            ),
        )
        if set(world.met) >= MUST_BE_MET:
            break

    assert world.restarts == RESTARTS_MAX
    assert set(world.met) >= MUST_BE_MET
