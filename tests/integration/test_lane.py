"""Lanes: what waits leaves together, is bounded, and is answered once, whatever becomes of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count, islice
from typing import Any

import orjson
import pytest

from engine.delivery.autosave import Autosave
from engine.delivery.lane import Saved
from engine.delivery.resources import ArmedBatch, Delivery
from engine.rules import values
from engine.rules.errors import ExamError, TryLater
from engine.rules.limits import (
    CHUNK_CALLS_MAX,
    QUEUE_BYTES_MAX,
    SITTING_BYTES_MAX,
    SITTING_CALLS_MAX,
    TEXT_CHARACTERS_MAX,
)
from engine.rules.outcome import Outcome
from engine.sealing.signature import Signer
from engine.sealing.token import Token
from engine.stores.prepare import PreparedBatch
from tests.integration.exam import Exam


class Caller:
    """Save calls of several sittings, and their answers in the order in which they came."""

    def __init__(self, exam: Exam) -> None:
        self.autosave = Autosave(Delivery(exam.memory, b"t" * 32, b"l" * 32, b"w" * 32, Signer(b"s" * 32)))
        prepared = PreparedBatch(
            batch=exam.batch, sealed_digest="", sealed_bytes=0, paper_key_wrapped=b"", item_index=b""
        )
        self.armed = ArmedBatch(prepared, values.checkers({"F1": {"type": "text"}, "A1": {"type": "true_false"}}))
        self.answers: list[tuple[str, Saved | ExamError]] = []

    def begin(self, sitting_id: str, seq: int, value: Any = True, item: str = "A1") -> None:
        body = orjson.dumps({"changes": [{"item": item, "seq": seq, "value": value}]})
        token = Token(sitting_id, "B", "1")
        self.autosave.begin(token, self.armed, body, lambda answer: self.answers.append((sitting_id, answer)))

    async def drain(self) -> None:
        await self.autosave.drain()

    def outcomes(self, sitting_id: str) -> list[int | str]:
        """seq of each acknowledgement, code of each error."""
        return [
            answer.saved if isinstance(answer, Saved) else answer.code
            for name, answer in self.answers
            if name == sitting_id
        ]


CROWD = 14  # sittings of one partition: together they may wait with more than a lane holds


@pytest.fixture
async def entered(redis_url: str, postgres_dsn: str) -> AsyncIterator[Exam]:
    """Sittings `one`, `two`, `three`, and a crowd in one partition, all in progress."""
    exam = Exam(redis_url, postgres_dsn)
    await exam.hold()
    names = ["one", "two", "three", *crowd_of(exam)]
    await exam.arm(*names)
    await exam.enter(*names)
    yield exam
    await exam.close()


def crowd_of(exam: Exam) -> list[str]:
    numbered = (f"crowd-{number}" for number in count())
    return list(islice((name for name in numbered if exam.memory.partition_of(name).number == 0), CROWD))


async def test_calls_of_one_turn_share_a_chunk_and_a_position(entered: Exam) -> None:
    """Group commit: however many arrive together, the partition's log grows by one entry."""
    caller = Caller(entered)
    for seq in range(1, 11):
        caller.begin("one", seq)

    await caller.drain()

    assert caller.outcomes("one") == list(range(1, 11))
    positions = {answer.stand.position for _, answer in caller.answers if isinstance(answer, Saved)}
    assert len(positions) == 1


async def test_every_call_is_answered_in_order_over_many_chunks(entered: Exam) -> None:
    caller = Caller(entered)
    expected = {"one": 0, "two": 0, "three": 0}
    for seq in range(1, SITTING_CALLS_MAX + 1):
        for sitting_id in expected:
            caller.begin(sitting_id, seq)
        if seq % 7 == 0:
            await asyncio.sleep(0)

    await caller.drain()

    assert {name: caller.outcomes(name) for name in expected} == {
        name: list(range(1, SITTING_CALLS_MAX + 1)) for name in expected
    }
    assert (await entered.stored("two"))["r:A1"] == b"%d|true" % SITTING_CALLS_MAX


async def test_one_sitting_cannot_fill_the_lane(entered: Exam) -> None:
    """Who sends without waiting for answers is told to try later; the others are saved."""
    caller = Caller(entered)
    for seq in range(1, SITTING_CALLS_MAX + 1):
        caller.begin("one", seq)

    with pytest.raises(TryLater):
        caller.begin("one", SITTING_CALLS_MAX + 1)
    caller.begin("two", 1)
    await caller.drain()

    assert caller.outcomes("two") == [1]
    caller.begin("one", SITTING_CALLS_MAX + 1)
    await caller.drain()
    assert caller.outcomes("one")[-1] == SITTING_CALLS_MAX + 1


async def test_one_sitting_cannot_fill_the_lane_with_few_large_calls(entered: Exam) -> None:
    """Its share is bounded in bytes as well, and room is there again once they are answered."""
    caller = Caller(entered)
    one, other = crowd_of(entered)[:2]
    text = "x" * TEXT_CHARACTERS_MAX

    def begin(sitting_id: str, seq: int) -> int:
        changes = [{"item": "F1", "seq": seq, "value": text} for _ in range(12)]
        body = orjson.dumps({"changes": changes})
        answered = lambda answer: caller.answers.append((sitting_id, answer))  # noqa: E731
        caller.autosave.begin(Token(sitting_id, "B", "1"), caller.armed, body, answered)
        return len(body)

    fits = SITTING_BYTES_MAX // begin(one, 1)
    for seq in range(2, fits + 1):
        begin(one, seq)
    with pytest.raises(TryLater):
        begin(one, fits + 1)
    begin(other, 1)
    await caller.drain()
    begin(one, fits + 1)
    await caller.drain()

    assert fits < SITTING_CALLS_MAX
    assert caller.outcomes(one) == list(range(1, fits + 2))
    assert caller.outcomes(other) == [1]


async def test_waiting_bytes_are_bounded_and_what_was_taken_is_saved(entered: Exam) -> None:
    """Large answers fill a lane by their bytes, long before it is full of calls."""
    caller = Caller(entered)
    text = "x" * TEXT_CHARACTERS_MAX
    taken: dict[str, list[int]] = {name: [] for name in crowd_of(entered)}
    for seq in range(1, SITTING_CALLS_MAX + 1):
        for name, seqs in taken.items():
            with suppress(TryLater):
                caller.begin(name, seq, text, "F1")
                seqs.append(seq)

    await caller.drain()

    calls = sum(map(len, taken.values()))
    assert QUEUE_BYTES_MAX * 0.9 < calls * len(text) <= QUEUE_BYTES_MAX
    assert calls < CROWD * SITTING_CALLS_MAX
    assert {name: caller.outcomes(name) for name in taken} == taken


async def test_a_refused_call_leaves_the_lane_as_it_was(entered: Exam) -> None:
    caller = Caller(entered)

    with pytest.raises(ExamError):
        caller.begin("one", 1, "not a truth value")
    caller.begin("one", 1)
    await caller.drain()

    assert caller.outcomes("one") == [1]


async def test_calls_to_a_lost_partition_are_told_to_try_later(entered: Exam) -> None:
    """Each of them, and once."""
    caller = Caller(entered)
    keys = entered.memory.partition_of("one")
    await entered.memory.delete(keys.marker)
    for seq in range(1, 6):
        caller.begin("one", seq)

    await caller.drain()

    assert caller.outcomes("one") == ["try_later"] * 5


async def test_an_answer_that_fails_costs_only_itself(entered: Exam) -> None:
    """A connection that breaks while it is answered must not keep its neighbours from theirs."""
    caller = Caller(entered)

    def broken(answer: Saved | ExamError) -> None:
        raise RuntimeError("the connection is gone")

    body = orjson.dumps({"changes": [{"item": "A1", "seq": 1, "value": True}]})
    caller.autosave.begin(Token("one", "B", "1"), caller.armed, body, broken)
    caller.begin("one", 2)
    await caller.drain()

    assert caller.outcomes("one") == [2]


def test_chunks_are_smaller_than_lua_can_unpack() -> None:
    """A log entry has two fields per sitting, which the script unpacks at once."""
    assert CHUNK_CALLS_MAX * 2 + 2 < 8_000


# --- what cannot be what a script wrote ------------------------------------------------------------------------


@pytest.mark.parametrize("spoilt", ["another type", "no end", "no high", "a start that is no number"])
async def test_a_sitting_that_cannot_be_read_harms_no_other_of_its_chunk(entered: Exam, spoilt: str) -> None:
    """A script that failed half-way would leave the first one's change without its log entry, never to be recorded."""
    first, broken, last = crowd_of(entered)[:3]
    redis: Any = entered.redis
    key = entered.memory.partition_of(broken).sitting(broken)
    match spoilt:
        case "another type":
            await redis.delete(key)
            await redis.set(key, "no hash")
        case "no end":
            await redis.hdel(key, "closes_ms")
        case "no high":
            await redis.hdel(key, "high")
        case _:
            await redis.hset(key, "starts_ms", "soon")
    caller = Caller(entered)
    for sitting_id in (first, broken, last):
        caller.begin(sitting_id, 1)
        caller.begin(sitting_id, 2, "x", item="F1")
    await caller.drain()
    while await entered.recorder.record():
        pass

    assert [caller.outcomes(sitting_id) for sitting_id in (first, broken, last)] == [[1, 2], ["corrupt"] * 2, [1, 2]]
    recorded = await entered.query("SELECT sitting_id, item, seq FROM response ORDER BY sitting_id, item")
    assert recorded == [(name, item, seq) for name in sorted((first, last)) for item, seq in (("A1", 1), ("F1", 2))]


@pytest.mark.parametrize("spoilt", ["another type", "an entry from beyond"])
async def test_a_log_that_takes_no_entry_is_found_before_anything_is_written(entered: Exam, spoilt: str) -> None:
    """Else the change stands unlogged, its repetition counts as stale, and the client forgets what nobody records."""
    sitting_id = crowd_of(entered)[0]
    keys = entered.memory.partition_of(sitting_id)
    redis: Any = entered.redis
    before = await entered.stored(sitting_id)
    marker = await entered.memory.read_hash(keys.marker)
    if spoilt == "another type":
        await redis.delete(keys.log)
        await redis.set(keys.log, "no stream")
    else:
        await redis.xadd(keys.log, {"at": 1}, id=f"{int(marker[b'generation']) + 5}-1")
    caller = Caller(entered)
    caller.begin(sitting_id, 1)
    await caller.drain()
    handed_in = await entered.submit(sitting_id, seq=0)
    taken_over = await entered.login(sitting_id)

    assert caller.outcomes(sitting_id) == ["corrupt"]
    assert (handed_in, taken_over) == ([Outcome.CORRUPT], [Outcome.CORRUPT])
    assert await entered.stored(sitting_id) == before
    assert await entered.memory.read_hash(keys.marker) == marker


async def test_redis_without_memory_left_writes_nothing_of_a_chunk(entered: Exam) -> None:
    """`noeviction` refuses the first write of a script, or none: what is refused is whole, and goes well later."""
    sitting_ids = crowd_of(entered)[:3]
    redis: Any = entered.redis
    before = [await entered.stored(sitting_id) for sitting_id in sitting_ids]
    caller = Caller(entered)
    await redis.config_set("maxmemory", "1mb")
    try:
        for sitting_id in sitting_ids:
            caller.begin(sitting_id, 1)
        await caller.drain()
        after = [await entered.stored(sitting_id) for sitting_id in sitting_ids]
    finally:
        await redis.config_set("maxmemory", "0")
    for sitting_id in sitting_ids:
        caller.begin(sitting_id, 1)
    await caller.drain()
    while await entered.recorder.record():
        pass

    assert after == before
    assert [caller.outcomes(sitting_id) for sitting_id in sitting_ids] == [["try_later", 1]] * 3
    assert await entered.query("SELECT count(*) FROM response") == [(3,)]
