"""A photo through failures of the stores: nobody is kept out by PostgreSQL, nobody sent back by a rebuild of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from engine.candidates import Candidates
from engine.invigilation import photo
from engine.invigilation.resources import Invigilation
from engine.rules.errors import Refused, TryLater
from engine.rules.terms import Rules
from engine.sealing.token import Token
from engine.stores.laying import lay_ready
from engine.stores.postgres import Postgres
from engine.stores.prepare import PreparedBatch, prepare_sittings
from tests.integration.copies import RedisCopy, lose_redis, settle
from tests.integration.exam import LOGIN_KEY, Exam, batch, until_waiting
from tests.pictures import jpeg

pytestmark = pytest.mark.anyio


@pytest.fixture
async def exam(redis_url: str, postgres_dsn: str) -> AsyncIterator[Exam]:
    """`one` and `two` have pledged; a photo is required."""
    found = Exam(redis_url, postgres_dsn, batch(photo="required"))
    await found.hold()
    await found.arm("one", "two")
    await found.enter("one", "two")
    yield found
    await found.close()


@pytest.fixture
def room(exam: Exam) -> Invigilation:
    """A worker's."""
    return Invigilation(exam.engine_database, exam.memory, Candidates(exam.memory, b"t" * 32))


@pytest.fixture
def away(exam: Exam) -> Invigilation:
    """The same while PostgreSQL is away."""
    nowhere = Postgres("postgresql:///liankao?host=/nowhere", 1)
    return Invigilation(nowhere, exam.memory, Candidates(exam.memory, b"t" * 32))


async def take(room: Invigilation, content: bytes, sitting_id: str = "one") -> dict[str, Any]:
    return await photo._take(room, Token(sitting_id, "B", "1"), content)


async def known(exam: Exam, sitting_id: str = "one") -> str:
    return (await photo.note(exam.memory, sitting_id, "")).photo


# --- PostgreSQL away -------------------------------------------------------------------------------------------


async def test_photo_is_owed_while_postgresql_is_away_and_stored_when_it_is_sent_again(
    exam: Exam, room: Invigilation, away: Invigilation
) -> None:
    """Taken when it was first shown, not when PostgreSQL was back; both moments are events."""
    first = await take(away, jpeg())
    again = await take(away, jpeg())
    stored = await take(room, jpeg())

    assert (first["photo"], again["photo"], stored["photo"]) == ("owed", "owed", "taken")
    assert first["retry_after_s"] > 0 and "retry_after_s" not in stored
    rows = await exam.query("SELECT sitting_id, number, digest, jpeg, taken_ms FROM photo")
    assert rows == [("one", 1, first["digest"], jpeg(), first["taken_ms"])]
    await settle(exam)
    kinds = await exam.query("SELECT kind FROM sitting_event WHERE kind LIKE 'photo%' ORDER BY generation, position")
    assert kinds == [("photo_owed",), ("photo_taken",)]
    assert await exam.query("SELECT state FROM sitting WHERE sitting_id = 'one'") == [("pledged",)]


async def test_owed_photo_is_stored_after_the_hand_in_and_no_other(
    exam: Exam, room: Invigilation, away: Invigilation
) -> None:
    """The very picture that was shown in time is no new one."""
    await take(away, jpeg())
    assert (await exam.submit("one"))[0] == 0

    with pytest.raises(Refused, match=r"photo\.closed"):
        await take(room, jpeg(comment=b"another"))
    assert (await take(room, jpeg()))["photo"] == "taken"
    with pytest.raises(Refused, match=r"photo\.closed"):
        await take(room, jpeg(comment=b"another"))
    await settle(exam)
    assert await exam.query("SELECT state, closed_ms IS NULL FROM sitting WHERE sitting_id = 'one'") == [
        ("submitted", False)
    ]


async def test_photo_taken_again_while_postgresql_is_away_is_told_to_try_later(
    exam: Exam, room: Invigilation, away: Invigilation
) -> None:
    """The one that is stored stands; nobody waits for another."""
    await take(room, jpeg())

    with pytest.raises(TryLater):
        await take(away, jpeg(comment=b"another"))
    assert (await take(away, jpeg()))["photo"] == "taken"  # only its answer was lost
    assert await known(exam) == "taken"


# --- many at once ----------------------------------------------------------------------------------------------


async def test_photo_that_meets_another_in_one_moment_is_stored_behind_it(exam: Exam, room: Invigilation) -> None:
    """PostgreSQL is there, so nothing is owed: two machines of one candidate both have sent one."""
    async with exam.owner_database.transaction() as other:
        await other.execute("INSERT INTO photo VALUES ('one', 1, 'B', 'of another', '\\x01', 1)")
        storing = asyncio.create_task(photo._store(room, Token("one", "B", "1"), jpeg(), "of this", 2))
        await until_waiting(exam)
    await storing

    rows = await exam.query("SELECT number, digest FROM photo ORDER BY number")
    assert rows == [(1, "of another"), (2, "of this")]


async def test_sitting_that_sends_photos_without_end_is_told_to_wait(
    exam: Exam, room: Invigilation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no reason to owe one; a photo whose answer was lost is answered all the same."""
    monkeypatch.setattr(photo, "PHOTO_CALLS_PER_MINUTE", 1)
    await take(room, jpeg())
    with pytest.raises(TryLater) as told:
        await take(room, b"no picture: it is not even looked into")
    again = await take(room, jpeg())
    monkeypatch.setattr(photo, "PHOTO_CALLS_PER_MINUTE", 0)
    with pytest.raises(TryLater):
        await take(room, jpeg(), "two")

    assert (told.value.code, again["photo"], await known(exam, "two")) == ("rate.limited", "taken", "")


# --- Redis rebuilt ---------------------------------------------------------------------------------------------


async def test_what_is_known_of_photos_comes_back_when_redis_is_rebuilt(
    exam: Exam, room: Invigilation, away: Invigilation
) -> None:
    """From the events: a photo taken, owed and then waived, in their order."""
    await take(room, jpeg(), "one")
    await take(away, jpeg(), "two")
    await photo.note(exam.memory, "two", "waived")
    await settle(exam)
    await lose_redis(exam)
    await exam.hold()

    assert (await known(exam, "one"), await known(exam, "two")) == ("taken", "waived")


async def test_who_was_in_the_middle_of_the_exam_is_not_sent_back_to_the_photo(exam: Exam) -> None:
    """Recorded responses show that the paper was open, though no event tells of a photo; the other has to take one."""
    await exam.save("one", ("A1", 1, '"a"'))
    await settle(exam)
    await lose_redis(exam)
    await exam.hold()

    assert (await known(exam, "one"), await known(exam, "two")) == ("owed", "")


async def test_a_rebuild_beside_candidates_undoes_no_photo(exam: Exam, room: Invigilation, away: Invigilation) -> None:
    """Redis was put back to when the photo was owed: PostgreSQL knows better of that, and not of what came since."""
    await take(away, jpeg(), "one")
    copy = await RedisCopy.of(exam)
    await take(room, jpeg(), "one")
    await settle(exam)
    await copy.put_back(exam)
    await take(room, jpeg(), "two")
    await exam.hold()

    assert (await known(exam, "one"), await known(exam, "two")) == ("taken", "taken")


async def test_laying_ready_again_leaves_the_photo_alone(exam: Exam, room: Invigilation) -> None:
    """As a corrected roster does in the middle of an exam."""
    await take(room, jpeg())
    await prepare_sittings(exam.memory, exam.batch, [exam.sitting("one", extra_time_s=60)], LOGIN_KEY)
    await lay_ready(exam.memory, exam.engine_database, "B", LOGIN_KEY)

    assert await known(exam) == "taken"


# --- batches from before the rule ------------------------------------------------------------------------------


def test_batch_that_was_armed_before_the_rule_asks_for_no_photo(exam: Exam) -> None:
    """As it lies in Redis and in PostgreSQL from an earlier release."""
    rules = msgspec.to_builtins(exam.batch.rules, builtin_types=())
    del rules["photo"]
    fields = {**msgspec.to_builtins(exam.batch, builtin_types=()), "rules": rules}
    prepared = {"batch": fields, "sealed_digest": "", "sealed_bytes": 1, "paper_key_wrapped": b"", "item_index": b"{}"}

    read = msgspec.msgpack.decode(msgspec.msgpack.encode(prepared), type=PreparedBatch)

    assert read.batch.rules.photo == msgspec.json.decode(b'{"grace_s":5}', type=Rules).photo == "none"
