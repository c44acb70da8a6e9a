"""Armed batches are in Redis as they stand in PostgreSQL, whoever failed half-way."""

from __future__ import annotations

import pytest

from engine.stores.laying import lay_ready, lay_unlaid
from tests.integration.exam import LOGIN_KEY, Exam

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


async def test_sitting_names_the_login_that_is_its_own(exam: Exam) -> None:
    """After a corrected ID number the old entry may still lie there, but it is not the sitting's."""
    before = (await exam.stored("one"))["login"]
    await exam.query("UPDATE sitting SET id_number = 'corrected' WHERE sitting_id = 'one' RETURNING 1")

    await lay_ready(exam.memory, exam.database, exam.batch.batch_id, LOGIN_KEY)

    after = (await exam.stored("one"))["login"]
    assert after != before
    assert await exam.memory.read_hash(after.decode()) == {b"one": b"B"}
