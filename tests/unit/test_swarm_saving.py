"""The swarm's autosave sends as the page's does, and counts what took long as such (loadtest/swarm/saving.py)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import gevent
import orjson
import pytest

from loadtest.ledger import Ledger
from loadtest.sizing.measure import Recorder, merged
from loadtest.swarm.clock import EngineClock
from loadtest.swarm.notes import Notes
from loadtest.swarm.saving import NEXT_S, Autosave
from loadtest.swarm.wire import Problem, Unreachable


class Line:
    """An open channel whose other end is the test: what was sent, and who waits for the answers."""

    def __init__(self) -> None:
        self.is_open = True
        self.sent: list[tuple[list[int], Any]] = []

    def save(self, changes: bytes, asked: Any) -> None:
        self.sent.append(([change["seq"] for change in orjson.loads(changes)], asked))

    def answer(self, at: int, generation: int = 1, committed: int = 0) -> None:
        seqs, asked = self.sent[at]
        asked.answered({"saved": seqs[-1], "generation": generation, "position": at + 1, "committed": committed})


class Desk:
    """An autosave with everything around it in sight."""

    def __init__(self, *, has_channel: bool = True, post: Callable[[bytes], dict[str, Any]] | None = None) -> None:
        self.line = Line()
        self.ledger = Ledger()
        self.refusals: list[Problem] = []
        self.notes = Notes(Recorder("desk", lambda _: None), EngineClock(), lambda **_: None)
        self.autosave = Autosave(
            self.line if has_channel else None,  # type: ignore[arg-type]
            post or self._unexpected,
            lambda: None,
            self.refusals.append,
            self.ledger,
            self.notes,
            random.Random(1),
        )

    def type(self, item: str, late_s: float = 0.0) -> None:
        self.autosave.change(item, "a", time.monotonic() - late_s)

    def measured(self) -> dict[str, int]:
        return {key: found.total_count for key, found in merged([self.notes.recorder.report()])[0].items()}

    def _unexpected(self, body: bytes) -> dict[str, Any]:
        raise AssertionError(f"over HTTP: {body!r}")


def test_what_is_typed_meanwhile_goes_with_the_next_frame() -> None:
    """One frame is under way; two more changes are one more frame once it is answered."""
    desk = Desk()
    for item in "abc":
        desk.type(item)

    desk.line.answer(0)

    assert [seqs for seqs, _ in desk.line.sent] == [[1], [2, 3]]


def test_an_answer_that_is_overdue_holds_up_the_next_frame_for_a_moment_only() -> None:
    """Then a second one is under way beside it, and neither change is sent twice."""
    desk = Desk()
    desk.type("a")
    desk.type("b")
    gevent.sleep(NEXT_S * 1.8)

    assert [seqs for seqs, _ in desk.line.sent] == [[1], [2]]


def test_a_change_whose_line_broke_goes_again_and_stands_once_in_the_ledger() -> None:
    """Its latency runs from the first sending, and from when it was due."""
    desk = Desk()
    desk.type("a", late_s=10.0)
    desk.line.sent[0][1].failed(Unreachable("cut"))
    gevent.sleep(0.8)
    desk.line.answer(1)

    assert [seqs for seqs, _ in desk.line.sent] == [[1], [1]]
    assert [(change.seq, change.acknowledged) for change in desk.ledger.changes] == [(1, True)]
    second = desk.notes.recorder.report().seconds
    assert max(each.max_us for each in second["save"].values()) >= 100_000
    assert max(each.max_us for each in second["save_intended"].values()) >= 10_000_000
    assert desk.notes.errors == 0


def test_an_answer_is_kept_until_it_is_committed_and_goes_again_in_a_new_generation() -> None:
    """And what was let go leaves its JSON behind."""
    desk = Desk()
    desk.type("a")
    desk.line.answer(0, committed=1)
    desk.type("b")
    desk.line.answer(1, committed=1)

    desk.autosave.observe(generation=2, committed=0)

    assert [seqs for seqs, _ in desk.line.sent] == [[1], [2], [2]]
    assert desk.ledger.changes[0].encoded == b"" != desk.ledger.changes[1].encoded
    assert desk.notes.acknowledged == 1 + 1


def test_what_is_under_way_when_somebody_leaves_is_an_error_and_in_the_account() -> None:
    """As is what waited behind it and was never sent; what was acknowledged and goes again is neither."""
    desk = Desk()
    for item in "abc":
        desk.type(item)
    desk.line.answer(0)
    desk.type("d")
    desk.autosave.observe(generation=2, committed=0)

    desk.autosave.leave()

    assert [seqs for seqs, _ in desk.line.sent] == [[1], [2, 3]]
    assert desk.notes.recorder.report().errors == {"save/outside/unanswered": 3}
    assert [(change.seq, change.acknowledged) for change in desk.ledger.changes] == [(1, True), (2, False), (3, False)]
    assert desk.ledger.unsent == 1
    assert desk.autosave.over


@pytest.mark.parametrize("code", ["autosave.closed", "sitting.superseded"])
def test_a_refusal_for_good_is_told_once_and_nothing_is_sent_after_it(code: str) -> None:
    desk = Desk()
    desk.type("a")
    desk.line.sent[0][1].failed(Problem(409, {"code": code}))
    desk.type("b")

    assert [refusal.code for refusal in desk.refusals] == [code]
    assert len(desk.line.sent) == 1
    assert desk.notes.recorder.report().errors == {f"save/outside/{code}": 1}


def test_what_was_typed_while_one_s_own_line_was_gone_is_no_latency_of_the_engine() -> None:
    """It counts by itself, up to the moment at which all of it is saved; then latency counts again."""
    desk = Desk()
    desk.autosave.lose_line(time.monotonic())
    desk.type("a")
    desk.autosave.line_is_back(time.monotonic())
    desk.line.answer(0)
    gevent.sleep(0.01)
    desk.type("b")
    desk.line.answer(1)

    assert desk.notes.recorder.report().counters == {"saves_while_away": 1}
    assert desk.measured() == {"save/outside": 1, "save_intended/outside": 1}


def test_without_a_channel_one_call_is_under_way_at_a_time() -> None:
    """Each with what had been typed when it left."""
    bodies: list[list[int]] = []

    def post(body: bytes) -> dict[str, Any]:
        bodies.append([change["seq"] for change in orjson.loads(body)["changes"]])
        gevent.sleep(0.02)
        return {"saved": bodies[-1][-1], "generation": 1, "position": len(bodies), "committed": 0}

    desk = Desk(has_channel=False, post=post)
    for item in "abc":
        desk.type(item)
        gevent.sleep(0)

    assert desk.autosave.drain(5.0)
    assert bodies == [[1], [2, 3]]
    assert desk.notes.recorder.report().counters == {"saves_over_http": 2}
