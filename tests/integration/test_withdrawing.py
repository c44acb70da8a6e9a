"""An arming that was undone leaves no way in, whoever failed half-way and whichever store is put back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest

from engine.recording.unknown import take_census
from engine.rules.outcome import Outcome
from engine.stores.clock import now_ms
from engine.stores.prepare import PreparedBatch, batch_key, login_entry, sealed_key
from engine.stores.withdrawing import withdraw, withdraw_unfinished
from tests.integration.copies import RedisCopy, lose_redis, settle
from tests.integration.exam import LOGIN_KEY, Exam, batch

pytestmark = pytest.mark.anyio

NEW = {"one": "uno", "two": "due"}


@pytest.fixture
async def early(redis_url: str, postgres_dsn: str) -> AsyncIterator[Exam]:
    """An armed batch that begins in ten minutes, its check-in open, held by a recorder."""
    made = Exam(redis_url, postgres_dsn, batch(starts_in_ms=600_000, check_in_before_s=3600))
    await made.arm(*NEW)
    await made.hold()
    yield made
    await made.close()


async def undo(exam: Exam) -> str:
    """What disarming commits, by a worker that dies then; the digest of the sealed paper."""
    async with exam.engine_database.transaction() as connection:
        [digest] = await connection.fetchval(
            "SELECT undo_arming($1, $2, $3, $4, $5, $6)",
            exam.batch.batch_id,
            now_ms(),
            [exam.batch.batch_id],
            list(NEW),
            list(NEW.values()),
            [exam.memory.partition_of(name).number for name in NEW.values()],
        )
    return str(digest)


async def states(exam: Exam) -> list[tuple[str, str, int, int | None]]:
    return await exam.query("SELECT sitting_id, state, epoch, entered_ms FROM sitting ORDER BY sitting_id DESC")


async def ways_in(exam: Exam) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name in NEW:
        found |= await exam.memory.read_hash(login_entry(exam.batch.admission_code, name, LOGIN_KEY))
    return found


async def assert_withdrawn(exam: Exam, digest: str) -> None:
    """No login, no key, no paper, and tokens of before are told so."""
    assert await ways_in(exam) == {}
    assert not await exam.memory.is_there(sealed_key(digest))
    known = msgspec.msgpack.decode(
        await exam.memory.read_bytes(batch_key(exam.batch.batch_id)) or b"", type=PreparedBatch
    )
    assert (known.paper_key_wrapped, known.sealed_digest) == (b"", "")
    assert (await exam.step("one"))[0] == Outcome.SUPERSEDED  # who had logged in with epoch 1


async def test_what_a_worker_could_not_withdraw_a_recorder_withdraws(early: Exam) -> None:
    """With its own role: the act was committed, so it is finished, with nobody asking for it."""
    await early.enter("one")
    digest = await undo(early)
    assert len(await ways_in(early)) == 2

    assert await withdraw_unfinished(early.memory, early.database) == 1

    await assert_withdrawn(early, digest)
    assert await withdraw_unfinished(early.memory, early.database) == 0


async def test_withdrawing_again_changes_nothing(early: Exam) -> None:
    """A worker and a recorder may both be at it."""
    await undo(early)
    await withdraw(early.memory, early.engine_database, early.batch.batch_id)
    before = [await early.stored(name) for name in NEW]

    await withdraw(early.memory, early.database, early.batch.batch_id, with_withdrawn=True)

    assert [await early.stored(name) for name in NEW] == before


async def test_what_was_still_in_the_log_does_not_touch_the_new_sittings(early: Exam) -> None:
    """Who had logged in before is expected again, though the recorder hears of the login only now."""
    await early.enter("one")
    await undo(early)
    await withdraw(early.memory, early.engine_database, early.batch.batch_id)
    await settle(early)

    assert await states(early) == [("uno", "expected", 0, None), ("due", "expected", 0, None)]
    kinds = await early.query("SELECT kind FROM sitting_event WHERE sitting_id = 'one' ORDER BY position")
    assert kinds == [("login",), ("confirmed",), ("pledged",), ("withdrawn",)]


async def test_redis_put_back_to_before_the_disarming_is_no_way_in(early: Exam) -> None:
    """It has everything again, but for what the rebuild takes out of it."""
    await early.enter("one")
    await settle(early)
    old = await RedisCopy.of(early)
    digest = await undo(early)
    await withdraw(early.memory, early.engine_database, early.batch.batch_id)
    await settle(early)
    await old.put_back(early)
    assert len(await ways_in(early)) == 2

    await settle(early)

    await assert_withdrawn(early, digest)
    assert await states(early) == [("uno", "expected", 0, None), ("due", "expected", 0, None)]


async def test_lost_redis_comes_back_without_what_was_withdrawn(early: Exam) -> None:
    """Nothing is laid that is not armed."""
    await early.enter("one")
    await settle(early)
    await undo(early)
    await withdraw(early.memory, early.engine_database, early.batch.batch_id)
    await lose_redis(early)
    await settle(early)

    assert await ways_in(early) == {}
    assert [await early.stored(name) for name in NEW] == [{}, {}]


async def test_withdrawn_sittings_are_not_taken_for_unknown_ones(early: Exam) -> None:
    """Nobody is asked to push a roster again for them."""
    await undo(early)
    await withdraw(early.memory, early.engine_database, early.batch.batch_id)
    held = await early.hold()
    await take_census(early.memory, early.database, held)

    assert [await early.memory.read_hash(keys.unknown) for keys in early.memory.partitions] == [{}, {}, {}, {}]


async def test_nothing_of_a_withdrawn_sitting_comes_due(early: Exam) -> None:
    """The closer finds nobody to collect, and nobody absent."""
    await early.enter("one")
    await undo(early)
    await withdraw(early.memory, early.engine_database, early.batch.batch_id)

    due = await early.memory.due([keys.due for keys in early.memory.partitions], 2**53, 100)
    assert due == [[], [], [], []]


async def test_a_sealed_paper_in_force_again_stays(early: Exam) -> None:
    """A package has one sealed paper for ever: a late recorder must not take it from its next arming."""
    [(digest,)] = await early.query("SELECT sealed_digest FROM seal")
    stored = await early.query("SELECT * FROM seal")
    await undo(early)
    places = ", ".join(f"${number}" for number in range(1, len(stored[0]) + 1))
    await early.query(f"INSERT INTO seal VALUES ({places}) RETURNING 1", *stored[0])

    await withdraw_unfinished(early.memory, early.database)

    assert await early.memory.is_there(sealed_key(digest))
    assert await ways_in(early) == {}


async def test_arming_cannot_be_undone_once_the_exam_has_started(exam: Exam) -> None:
    """Whoever takes a worker over cannot destroy the papers of a running exam."""
    with pytest.raises(asyncpg.RaiseError, match="has started"):
        await undo(exam)

    assert len(await exam.query("SELECT 1 FROM seal")) == 1


async def test_every_sitting_gets_another_id(early: Exam) -> None:
    """One that kept its own could be met by what is still under way about it."""
    with pytest.raises(asyncpg.RaiseError, match="another id"):
        async with early.engine_database.transaction() as connection:
            await connection.execute(
                "SELECT undo_arming($1, 2, '{}', $2, $3, $4)", early.batch.batch_id, ["one"], ["uno"], [0]
            )

    assert [name for name, *_ in await states(early)] == ["two", "one"]
