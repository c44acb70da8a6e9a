"""Armed batches are in Redis as they stand in PostgreSQL, whoever failed half-way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from engine.rules.errors import TryLater
from engine.rules.limits import LAID_AT_ONCE, LAID_ROWS
from engine.rules.outcome import Outcome
from engine.stores.laying import lay_ready, lay_unlaid
from engine.stores.memory import Memory
from engine.stores.prepare import sealed_key
from tests.integration.copies import RedisCopy, settle
from tests.integration.exam import LOGIN_KEY, PARTITIONS, Exam

pytestmark = pytest.mark.anyio


async def test_batch_that_a_worker_could_not_lay_is_laid_by_the_recorder(exam: Exam) -> None:
    """Arming committed, Redis failed: nobody has to arm again on Saturday morning."""
    await exam.memory.delete(*[exam.memory.partition_of(name).sitting(name) for name in ("one", "two")])
    await exam.query("UPDATE batch SET laid_ready = false RETURNING 1")

    assert await lay_unlaid(exam.memory, exam.database, LOGIN_KEY) == 1

    await exam.enter("one", "two")
    assert await lay_unlaid(exam.memory, exam.database, LOGIN_KEY) == 0


async def test_what_is_laid_is_what_stands_now(exam: Exam) -> None:
    """A change of the roster that came between is laid, not the rows somebody had read before."""
    await exam.query("UPDATE sitting SET extra_time_s = 600 WHERE sitting_id = 'one' RETURNING 1")

    await lay_ready(exam.memory, exam.database, exam.batch.batch_id, LOGIN_KEY)

    assert int((await exam.stored("one"))["ends_ms"]) == exam.batch.ends_ms + 600_000
    assert int((await exam.stored("two"))["ends_ms"]) == exam.batch.ends_ms


async def test_roster_push_during_an_exam_leaves_what_was_answered(exam: Exam) -> None:
    """States, epochs and responses in Redis are newer than PostgreSQL's, and stay."""
    await lay_ready(exam.memory, exam.database, exam.batch.batch_id, LOGIN_KEY)
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    before = await exam.stored("one")

    await lay_ready(exam.memory, exam.database, exam.batch.batch_id, LOGIN_KEY)

    assert await exam.stored("one") == before


async def test_draft_is_never_laid(exam: Exam) -> None:
    """Nobody can log in to a batch that has not been armed."""
    await exam.query("UPDATE batch SET armed_ms = NULL RETURNING 1")

    assert await lay_ready(exam.memory, exam.database, exam.batch.batch_id, LOGIN_KEY) == 0


async def correct(exam: Exam) -> str:
    """The ID number of `one`, in PostgreSQL; the way in that is its own in Redis until it is laid again."""
    before = (await exam.stored("one"))["login"].decode()
    await exam.query("UPDATE sitting SET id_number = 'corrected' WHERE sitting_id = 'one' RETURNING 1")
    await exam.query("UPDATE batch SET laid_ready = false RETURNING 1")
    return before


async def test_a_corrected_id_number_is_the_only_way_in(exam: Exam) -> None:
    """What led to the sitting before does not any more; to whose else it leads, it does."""
    before = await correct(exam)
    await exam.set_field(before, "two", "B")

    await lay_ready(exam.memory, exam.database, exam.batch.batch_id, LOGIN_KEY)

    after = (await exam.stored("one"))["login"].decode()
    assert after != before
    assert await exam.memory.read_hash(after) == {b"one": b"B"}
    assert await exam.memory.read_hash(before) == {b"two": b"B"}


async def test_a_correction_that_could_not_be_laid_whole_is_by_the_recorder(
    exam: Exam, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis went away between the old way in and the new one, or behind the sitting: neither number is lost."""
    before = await correct(exam)
    for step in ("run_many", "write_hashes"):
        with monkeypatch.context() as patched, pytest.raises(TryLater):
            patched.setattr(exam.memory, step, _away)
            await lay_ready(exam.memory, exam.database, exam.batch.batch_id, LOGIN_KEY)

    assert await lay_unlaid(exam.memory, exam.database, LOGIN_KEY) == 1

    after = (await exam.stored("one"))["login"].decode()
    assert [await exam.memory.read_hash(way) for way in (before, after)] == [{}, {b"one": b"B"}]


async def _away(*_: Any) -> None:
    raise TryLater("Redis does not serve")


async def test_a_redis_put_back_to_before_a_correction_is_no_way_in_by_it(exam: Exam) -> None:
    """Though nobody has logged in since: it is rebuilt from PostgreSQL, which closes it once more."""
    await settle(exam)
    old = await RedisCopy.of(exam)
    before = await correct(exam)
    await lay_ready(exam.memory, exam.database, exam.batch.batch_id, LOGIN_KEY)
    await settle(exam)
    await old.put_back(exam)
    assert await exam.memory.read_hash(before) == {b"one": b"B"}

    await settle(exam)

    assert await exam.memory.read_hash(before) == {}


async def test_a_redis_put_back_to_before_an_arming_has_it_again(exam: Exam) -> None:
    """Else nobody could log in to a batch that was armed the evening before, and nothing would say why."""
    await settle(exam)
    old = await RedisCopy.of(exam)
    later = Exam.beside(exam, "later")
    await later.arm("three", "four")
    await lay_ready(exam.memory, exam.engine_database, "later", LOGIN_KEY)
    await settle(exam)
    await old.put_back(exam)
    assert await exam.stored("three") == {}

    await settle(exam)

    assert [(await exam.login(name))[0] for name in ("three", "four")] == [Outcome.OK, Outcome.OK]


class Watched(Memory):
    """Notes how many sittings are sent together."""

    def __init__(self, url: str) -> None:
        super().__init__(url, PARTITIONS)
        self.sent: list[int] = []

    async def run_many(self, script: Any, calls: Sequence[Any], *purpose: Any) -> list[list[Any]]:
        if script.name == "prepare":
            self.sent.append(len(calls))
        return await super().run_many(script, calls, *purpose)


async def test_a_large_batch_is_laid_a_few_at_a_time(exam: Exam, redis_url: str) -> None:
    """Every sitting once, whatever page it stands on; no call of Redis's is longer than some saves."""
    large = Exam.beside(exam, "large")
    names = [f"s{number:03d}" for number in range(2 * LAID_ROWS + 1)]
    await large.arm(*names)
    await exam.memory.delete(*[exam.memory.partition_of(name).sitting(name) for name in names])
    memory = Watched(redis_url)
    try:
        laid = await lay_ready(memory, exam.engine_database, "large", LOGIN_KEY)
    finally:
        await memory.close()

    assert laid == sum(memory.sent) == len(names)
    assert max(memory.sent) <= LAID_AT_ONCE
    assert all([(await exam.stored(name))["batch"] == b"large" for name in names])


async def test_saves_are_answered_while_a_batch_is_laid(exam: Exam) -> None:
    """Between any two steps of it, in the same process and on the same Redis."""
    large = Exam.beside(exam, "large")
    await large.arm(*(f"s{number:03d}" for number in range(4 * LAID_AT_ONCE)))
    await exam.enter("one")

    laying = asyncio.create_task(lay_ready(exam.memory, exam.engine_database, "large", LOGIN_KEY))
    saved = 0
    while not laying.done():
        saved += 1
        await exam.save("one", ("A1", saved, '"a"'))

    assert await laying == 4 * LAID_AT_ONCE
    assert saved >= 4, "a save for every few sittings"


async def test_a_sealed_paper_that_is_there_is_not_written_again(exam: Exam) -> None:
    """It may have many MiB, and every late change of a roster lays its batch once more. A damaged one is mended."""
    [(digest, sealed)] = await exam.query("SELECT sealed_digest, sealed FROM seal")
    await exam.redis.config_resetstat()

    await lay_ready(exam.memory, exam.database, exam.batch.batch_id, LOGIN_KEY)
    written = (await exam.redis.info("commandstats"))["cmdstat_set"]["calls"]

    assert written == 1  # what workers know of the batch
    await exam.redis.append(sealed_key(digest), b"!")
    await lay_ready(exam.memory, exam.database, exam.batch.batch_id, LOGIN_KEY)
    assert await exam.memory.read_bytes(sealed_key(digest)) == sealed
