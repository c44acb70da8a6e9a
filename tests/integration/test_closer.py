"""The closer writes down what time has decided, exactly once."""

from __future__ import annotations

from typing import Any

import pytest

from engine.recording import closer
from engine.recording.closer import collect_due
from engine.stores.clock import now_ms
from tests.integration.exam import PARTITIONS, Exam

pytestmark = pytest.mark.anyio
ALL = range(PARTITIONS)


async def end(exam: Exam, *sitting_ids: str, ago_ms: int = 10_000) -> None:
    """Move the sittings' ends into the past, as time would."""
    for sitting_id in sitting_ids:
        keys = exam.memory.partition_of(sitting_id)
        ended = now_ms() - ago_ms
        times = {"entry_ms": str(ended), "ends_ms": str(ended), "closes_ms": str(ended + 5000)}
        await exam.memory.write_hashes({keys.sitting(sitting_id): times})
        await exam.redis.zadd(keys.due, {sitting_id: ended})


async def states(exam: Exam, *sitting_ids: str) -> list[bytes]:
    return [(await exam.stored(sitting_id))["state"] for sitting_id in sitting_ids]


async def test_who_entered_is_collected_and_who_never_came_is_absent(exam: Exam) -> None:
    """At the end every sitting is in exactly one final state, recorded with the moment that decided it."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    await end(exam, "one", "two")

    await collect_due(exam.memory, ALL)
    while await exam.recorder.record():
        pass

    assert await states(exam, "one", "two") == [b"collected", b"absent"]
    recorded = await exam.query("SELECT sitting_id, state, closed_ms FROM sitting ORDER BY sitting_id")
    assert [row[:2] for row in recorded] == [("one", "collected"), ("two", "absent")]
    assert recorded[0][2] == int((await exam.stored("one"))["ends_ms"])


async def test_collecting_twice_writes_one_event(exam: Exam) -> None:
    """Two closers at once, or one again: the compare-and-set lets one write."""
    await exam.enter("one")
    await end(exam, "one")

    await collect_due(exam.memory, ALL)
    await exam.redis.zadd(exam.memory.partition_of("one").due, {"one": 0})
    await collect_due(exam.memory, ALL)
    while await exam.recorder.record():
        pass

    assert await exam.query("SELECT count(*) FROM sitting_event WHERE kind = 'collected'") == [(1,)]


async def test_more_than_one_round_can_hold_are_all_collected(exam: Exam, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round is bounded, so that saves get their turn; the next takes what is left."""
    monkeypatch.setattr(closer, "COLLECT_SITTINGS_MAX", 3)
    sitting_ids = [f"s{number:02d}" for number in range(30)]
    other = Exam.beside(exam, "large")
    await other.arm(*sitting_ids)
    await end(other, *sitting_ids)

    rounds = 0
    while await collect_due(exam.memory, ALL):
        rounds += 1
    while await exam.recorder.record():
        pass

    assert rounds >= 30 / (3 * PARTITIONS)
    assert await exam.query("SELECT count(*) FROM sitting_event WHERE kind = 'absent'") == [(30,)]
    assert await exam.query("SELECT count(*) FROM sitting WHERE state = 'absent'") == [(30,)]


async def test_handed_in_sitting_is_not_collected(exam: Exam) -> None:
    """A hand-in stays a hand-in."""
    await exam.enter("one")
    await exam.submit("one")
    await end(exam, "one")

    await collect_due(exam.memory, ALL)

    assert await states(exam, "one") == [b"submitted"]


async def test_sitting_in_grace_is_left_alone(exam: Exam) -> None:
    """What is under way at the end still counts until the grace is over."""
    await exam.enter("one")
    await end(exam, "one", ago_ms=2_000)

    await collect_due(exam.memory, ALL)

    assert await states(exam, "one") == [b"pledged"]
    assert (await exam.save("one", ("A1", 1, '"a"')))[4] == 0


async def test_a_sitting_that_cannot_be_read_keeps_nobody_from_being_collected(exam: Exam) -> None:
    """A script that failed half-way would have collected the first without an event: never recorded, never graded."""
    names = [name for number in range(99) if exam.memory.partition_of(name := f"s{number:02d}").number == 0][:3]
    other = Exam.beside(exam, "spoilt")
    await other.arm(*names)
    await end(other, *names)
    redis: Any = exam.redis
    due = sorted(names)
    await redis.delete(exam.memory.partition_of(due[1]).sitting(due[1]))
    await redis.set(exam.memory.partition_of(due[1]).sitting(due[1]), "no hash")

    written = await collect_due(exam.memory, ALL)
    again = await collect_due(exam.memory, ALL)
    while await exam.recorder.record():
        pass

    assert (written, again) == (2, 0)
    closed = await exam.query("SELECT sitting_id FROM sitting WHERE state = 'absent' ORDER BY sitting_id")
    assert closed == [(due[0],), (due[2],)]
