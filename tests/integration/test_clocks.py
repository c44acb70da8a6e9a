"""Clocks that step by an hour: Redis's, PostgreSQL's, a recorder's, a worker's; what holds all the same.

Redis's clock alone says whether a sitting takes saves. So a step of it shuts sittings, or opens them again, for as long
as it lasts; but it loses nothing, and it finalises nothing, since the closer goes by a second clock of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from engine.recording import closer
from engine.recording.leases import Leases
from engine.recording.recorder import Recorder
from engine.rules.errors import TryLater
from engine.rules.outcome import Outcome
from engine.sealing import secrets, token
from engine.stores import migrations
from engine.stores.clock import now_ms
from engine.supervision import binaries, embedded
from loadtest.torture.clocks import HOUR_S, NoSteppedClock, SteppedClock, find_postgres, find_redis
from tests.integration.exam import LOGIN_KEY, PARTITIONS, WRAP_KEY, Exam, batch
from tests.integration.forgetful import postgres_on, valkey_on
from tests.servers import ROOT, environ, free_port, stop, temporary_folder, wait_until

pytestmark = pytest.mark.anyio
HALF_HOUR_MS = 1_800_000
TOKEN_KEY = b"t" * 32


@contextmanager
def stepped_clock() -> Iterator[SteppedClock]:
    """Where the library is missing the test says so; under CI it fails."""
    with temporary_folder("clock") as folder:
        try:
            yield SteppedClock(folder)
        except NoSteppedClock as fault:
            if os.environ.get("CI"):
                pytest.fail(str(fault))
            pytest.skip(str(fault))


@pytest.fixture
def clock() -> Iterator[SteppedClock]:
    with stepped_clock() as found:
        yield found


class Stepped(Exam):
    """An exam over a Redis of its own whose clock can be set."""

    clock: SteppedClock
    client: redis.Redis

    def set_clock(self, seconds: int) -> None:
        """Returns when scripts see it: the server remembers the time for one turn of its loop."""
        self.clock.step(seconds)
        wait_until(lambda: abs(self._ahead_s() - seconds) < HOUR_S / 4, 20, f"Redis's clock {seconds:+d} s")

    def _ahead_s(self) -> float:
        return int(self.client.eval("return redis.call('TIME')[1]", 0)) - now_ms() / 1000


@pytest.fixture
async def exam(clock: SteppedClock, postgres_dsn: str) -> AsyncIterator[Stepped]:
    """A batch that began half an hour ago and ends in another; `one` is writing, `two` has not come."""
    with temporary_folder("stepped") as folder, valkey_on(folder, folder, clock.environ()):
        half_way = batch(starts_in_ms=-HALF_HOUR_MS, duration_s=2 * HALF_HOUR_MS // 1000, latest_entry_s=3000)
        found = Stepped(embedded.redis_url(folder), postgres_dsn, half_way)
        found.clock, found.client = clock, redis.Redis.from_url(embedded.redis_url(folder))
        await found.hold()
        await found.arm("one", "two")
        await found.enter("one")
        yield found
        found.client.close()
        await found.close()


async def save(exam: Exam, seq: int) -> Outcome:
    return Outcome((await exam.save("one", ("A1", seq, '"a"')))[4])


async def recorded(exam: Exam) -> list[int]:
    while await exam.recorder.record():
        pass
    return [seq for (seq,) in await exam.query("SELECT seq FROM response_history ORDER BY seq")]


# --- Redis's clock ---------------------------------------------------------------------------------------------


async def test_redis_an_hour_ahead_refuses_saves_and_finalises_nothing(exam: Stepped) -> None:
    """Nobody's exam is over because one clock says so: with the clock put right, everybody writes on."""
    assert await save(exam, 1) == Outcome.OK

    exam.set_clock(HOUR_S)
    ahead = await save(exam, 2)
    written_down = await closer.collect_due(exam.memory, range(PARTITIONS))
    exam.set_clock(0)

    assert (ahead, written_down) == (Outcome.CLOSED, 0)
    assert await save(exam, 2) == Outcome.OK
    assert await recorded(exam) == [1, 2]
    assert await exam.query("SELECT state FROM sitting ORDER BY sitting_id") == [("pledged",), ("expected",)]


async def test_redis_an_hour_behind_takes_nothing_before_its_own_start(exam: Stepped) -> None:
    """And moves no position or generation backwards: they come from counters."""
    before = await exam.save("one", ("A1", 1, '"a"'))

    exam.set_clock(-HOUR_S)
    behind = await save(exam, 2)
    exam.set_clock(0)
    after = await exam.save("one", ("A1", 2, '"a"'))

    assert behind == Outcome.NOT_OPEN
    assert (after[1], after[2]) == (before[1], before[2] + 1)
    assert await recorded(exam) == [1, 2]


async def test_nothing_is_taken_after_end_and_grace_by_redis_however_its_clock_goes(exam: Stepped) -> None:
    """Each change is judged at its own moment; one that was refused stays out until it is sent and taken."""
    taken = []
    for seq, seconds in enumerate((0, HOUR_S, 0, -HOUR_S, HOUR_S, 0), 1):
        exam.set_clock(seconds)
        if await save(exam, seq) == Outcome.OK:
            taken.append(seq)

    assert taken == [1, 3, 6]
    assert await recorded(exam) == taken


async def test_a_restart_with_the_clock_behind_still_begins_a_higher_generation(
    clock: SteppedClock, postgres_dsn: str
) -> None:
    """Else a journal could take the `committed` of other changes for its own."""
    with temporary_folder("restarted") as folder:
        with valkey_on(folder, folder, clock.environ()):
            exam = Exam(embedded.redis_url(folder), postgres_dsn)
            await exam.hold()
            await exam.arm("one")
            await exam.enter("one")
            before = await exam.save("one", ("A1", 1, '"a"'))
        clock.step(-HOUR_S)
        with valkey_on(folder, folder, clock.environ()):
            clock.step(0)
            keys = exam.memory.partition_of("one")
            await exam.hold()
            after = await until_answered(exam, 2)

            assert after[1] > before[1]
            assert await recorded(exam) == [1, 2]
            assert (await exam.memory.read_hash_fields([keys.marker], ["n"]))[0][0] is not None
            await exam.close()


async def until_answered(exam: Exam, seq: int) -> list[int]:
    for _ in range(100):
        try:
            return await exam.save("one", ("A1", seq, '"a"'))
        except TryLater:
            continue
    raise AssertionError("Redis was not reached again")


# --- the recorder's own clock ----------------------------------------------------------------------------------


async def test_a_recorder_an_hour_ahead_collects_nobody_early(exam: Stepped, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks too early; the script decides by Redis's clock."""
    monkeypatch.setattr(closer, "now_ms", lambda: now_ms() + HOUR_S * 1000)

    assert await closer.collect_due(exam.memory, range(PARTITIONS)) == 0
    assert await save(exam, 1) == Outcome.OK


async def test_both_clocks_past_the_end_write_it_down_once(exam: Stepped, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a real end is."""
    monkeypatch.setattr(closer, "now_ms", lambda: now_ms() + HOUR_S * 1000)
    exam.set_clock(HOUR_S)

    rounds = [await closer.collect_due(exam.memory, range(PARTITIONS)) for _ in range(2)]
    await recorded(exam)

    assert rounds == [2, 0]
    assert await exam.query("SELECT state FROM sitting ORDER BY sitting_id") == [("collected",), ("absent",)]


# --- PostgreSQL's clock ----------------------------------------------------------------------------------------


async def test_leases_never_have_two_writers_and_never_last_an_hour(clock: SteppedClock, redis_url: str) -> None:
    """Ahead: everybody looks dead, and still only one may move a position. Back: the dead are not held for alive."""
    with temporary_folder("pg") as folder:
        if embedded.postgres_identity().uid is not None:
            folder.chmod(0o711)
        embedded.initialise_postgres(binaries.find_postgres(), folder / "data", sync=False)
        with postgres_on(folder / "data", folder, clock.environ()):
            dsn = embedded.postgres_dsn(embedded.postgres_socket_folder(folder))
            await migrations.migrate(dsn)
            exam = Exam(redis_url, dsn)
            other = Leases(exam.database, "recorder-2", PARTITIONS)
            await exam.hold()
            await exam.arm("one")
            await exam.enter("one")
            assert await save(exam, 1) == Outcome.OK

            clock.step(HOUR_S)
            taken = await other.take()
            with pytest.raises(TryLater):
                await exam.recorder.record()
            second = Recorder(exam.memory, exam.database, "recorder-2")
            second.hold(taken)
            while await second.record():
                pass
            assert sorted(taken) == list(range(PARTITIONS))
            assert await exam.query("SELECT seq FROM response_history") == [(1,)]
            await exam.leases.leave()

            clock.step(0)  # back by an hour, and recorder-2 is never heard of again
            third = Leases(exam.database, "recorder-3", PARTITIONS)
            assert sorted(await third.take()) == list(range(PARTITIONS))
            await exam.close()


# --- a worker's clock ------------------------------------------------------------------------------------------


async def test_a_worker_an_hour_ahead_gives_no_paper_key_out(
    clock: SteppedClock, redis_url: str, postgres_dsn: str
) -> None:
    """The start is Redis's to tell; and a worker an hour behind keeps nobody waiting."""
    early = Exam(redis_url, postgres_dsn, batch(starts_in_ms=HALF_HOUR_MS, check_in_before_s=3600))
    await early.hold()
    await early.arm("one")
    await early.enter("one")
    begun = Exam.beside(early, "begun")
    await begun.arm("two")
    await begun.enter("two")
    with Worker(clock, redis_url, postgres_dsn) as worker:
        clock.step(HOUR_S)
        before = worker.paper_key(early, "one")
        clock.step(-HOUR_S)
        after = worker.paper_key(begun, "two")
    await early.close()

    assert (before, after) == (425, 200)


class Worker:
    """A real worker process under the clock."""

    def __init__(self, clock: SteppedClock, redis_url: str, postgres_dsn: str) -> None:
        self._clock = clock
        self._settings = {"LIANKAO_REDIS_URL": redis_url, "LIANKAO_POSTGRES_DSN": postgres_dsn}

    def __enter__(self) -> Worker:
        self._folder = temporary_folder("worker")
        folder = self._folder.__enter__()
        keys = folder / "keys"
        secrets.create(keys)
        for name, content in (("token.key", TOKEN_KEY), ("login.key", LOGIN_KEY), ("wrap.key", WRAP_KEY)):
            (keys / name).write_bytes(content)
        self._port = free_port()
        settings = {**self._settings, "LIANKAO_SECRETS_DIR": str(keys), "LIANKAO_PORT": str(self._port)}
        settings["LIANKAO_PARTITIONS"] = str(PARTITIONS)
        self._log = open(folder / "log", "ab")
        self._log_path = folder / "log"
        self._child = subprocess.Popen(
            [sys.executable, "-m", "engine", "serve"],
            cwd=ROOT,
            env={**environ(), **settings, **self._clock.environ()},
            stdout=self._log,
            stderr=self._log,
        )
        wait_until(lambda: self._status("/healthz") or self._child.poll() is not None, 60, "a worker")
        assert self._child.poll() is None, (folder / "log").read_text()
        return self

    def paper_key(self, exam: Exam, sitting_id: str) -> int:
        """The status of a candidate's call for it."""
        issued = token.issue(token.Token(sitting_id, exam.batch.batch_id, "1"), TOKEN_KEY)
        return self._status("/v1/sitting/paper-key", issued)

    def released(self) -> list[dict[str, Any]]:
        """What it has logged of keys that it has given out."""
        lines = self._log_path.read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines if '"release.paper_key"' in line]

    def __exit__(self, *fault: object) -> None:
        stop(self._child, signal.SIGTERM)
        self._log.close()
        self._folder.__exit__(None, None, None)

    def _status(self, path: str, bearer: str = "") -> int:
        headers = {"authorization": f"Bearer {bearer}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return 0


# --- the instrument --------------------------------------------------------------------------------------------


def test_a_wrapped_server_is_taken_for_itself_and_has_another_clock(clock: SteppedClock, tmp_path: Path) -> None:
    """In a campaign the engine starts what it takes for its server programs."""
    assert find_redis() == binaries.find_redis().path.resolve()
    assert find_postgres() == binaries.find_postgres().path.resolve()
    wrapped = clock.wrapped(find_redis(), tmp_path)
    clock.wrapped(find_postgres(), tmp_path / "pg")
    clock.wrapped(find_postgres().with_name("initdb"), tmp_path / "pg")

    assert binaries.find_redis({"LIANKAO_REDIS_BIN": str(wrapped)}).version == binaries.find_redis().version
    assert binaries.find_postgres({"LIANKAO_PG_BIN": str(tmp_path / "pg")}).major == binaries.find_postgres().major
    clock.step(-100 * 24 * HOUR_S)
    date = clock.wrapped(Path("/bin/date"), tmp_path)
    told = int(subprocess.run([date, "+%s"], capture_output=True, check=True).stdout)
    assert abs(told + 100 * 24 * HOUR_S - now_ms() / 1000) < HOUR_S


def test_a_place_without_the_library_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A test of stepping clocks that silently did nothing would be worse than none."""
    monkeypatch.setattr("loadtest.torture.clocks._PLACES", ("/nowhere",))

    with pytest.raises(NoSteppedClock, match="apt install libfaketime"):
        SteppedClock(tmp_path)
