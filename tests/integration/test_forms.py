"""A sitting keeps the paper of its first login, whatever is pushed, lost or put back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from engine.recording.closer import collect_due
from engine.rules import values
from engine.rules.errors import Corrupt
from engine.scheduling.forms import assign_forms, seat_late
from engine.scoring.grader import Grader
from engine.sealing.provider import FileProvider, paper_key_purpose
from engine.sealing.signature import Signer
from engine.stores.laying import lay_ready
from engine.stores.prepare import PreparedBatch, batch_key
from tests.integration.copies import DatabaseCopy, RedisCopy, lose_redis, settle
from tests.integration.exam import GRADER_KEY, LOGIN_KEY, PARTITIONS, WRAP_KEY, Exam, batch
from tests.integration.test_closer import end

pytestmark = pytest.mark.anyio


@pytest.fixture
async def exam(redis_url: str, postgres_dsn: str) -> AsyncIterator[Exam]:
    """Two papers; `one` and `three` have the first, `two` the second."""
    made = Exam(redis_url, postgres_dsn, batch(papers=("P", "Q")))
    await made.hold()
    await made.arm("one", "two", "three")
    yield made
    await made.close()


async def form_in_redis(exam: Exam, sitting_id: str) -> bytes | None:
    return (await exam.stored(sitting_id)).get("form")


async def forms(exam: Exam) -> list[int]:
    """As recorded, of `one`, `three` and `two`."""
    return [form for (form,) in await exam.query("SELECT form FROM sitting ORDER BY sitting_id")]


async def give(exam: Exam, sitting_id: str, form: int) -> None:
    """What a change of seats does that has not heard of an entry yet."""
    await exam.query("UPDATE sitting SET form = $2 WHERE sitting_id = $1 AND state = 'expected'", sitting_id, form)
    await lay_ready(exam.memory, exam.database, "B", LOGIN_KEY)


async def test_a_lost_redis_is_rebuilt_with_every_paper(exam: Exam) -> None:
    """Each form's sealed paper and key, and the form of every sitting."""
    await exam.enter("one", "two")
    await exam.save("two", ("A1", 1, '"a"'))
    await settle(exam)
    await lose_redis(exam)

    await settle(exam)

    assert [await form_in_redis(exam, name) for name in ("one", "two", "three")] == [b"0", b"1", b"0"]
    keys = set()
    for form, name in enumerate(("B", "B/1")):
        stored = await exam.memory.read_bytes(batch_key(name))
        assert stored is not None
        prepared = msgspec.msgpack.decode(stored, type=PreparedBatch)
        keys.add(FileProvider(WRAP_KEY).unwrap(paper_key_purpose(name), prepared.paper_key_wrapped))
        assert (prepared.form, prepared.armed_id) == (form, name)
        assert values.checkers(msgspec.json.decode(prepared.item_index))
        assert await exam.memory.read_bytes(f"sealed:{prepared.sealed_digest}")
    assert len(keys) == 2


async def test_a_seat_changed_before_the_login_brings_another_paper(exam: Exam) -> None:
    """In both stores, and the login then fixes it."""
    await give(exam, "one", 1)
    assert await form_in_redis(exam, "one") == b"1"

    await exam.enter("one")
    await settle(exam)
    await give(exam, "one", 0)

    assert await form_in_redis(exam, "one") == b"1"
    assert await forms(exam) == [1, 0, 1]


async def test_a_seat_changed_beside_the_login_brings_no_other_paper(exam: Exam) -> None:
    """The push does not know of the entry, which is not recorded yet: the entry stands, and the recorder says so."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))

    await give(exam, "one", 1)

    assert await form_in_redis(exam, "one") == b"0"
    assert await forms(exam) == [1, 0, 1], "as the push wrote it"
    while await exam.recorder.record():
        pass
    assert await forms(exam) == [0, 0, 1]


async def test_a_later_login_changes_nothing(exam: Exam) -> None:
    """Takeovers name the form in the log, too: the same."""
    await exam.enter("two")
    await settle(exam)

    await exam.login("two")
    await exam.submit("two", epoch="2")
    await settle(exam)

    assert await forms(exam) == [0, 0, 1]


async def test_a_restored_database_learns_the_paper_of_an_entry_it_has_lost(exam: Exam) -> None:
    """PostgreSQL put back to before the seat was changed and the candidate entered."""
    await settle(exam)
    backup = await DatabaseCopy.of(exam)
    await give(exam, "one", 1)
    await exam.enter("one")
    await settle(exam)
    exam.recorder.forget()
    await backup.put_back(exam)

    await settle(exam)

    assert await forms(exam) == [1, 0, 1]
    assert await form_in_redis(exam, "one") == b"1"


async def test_a_redis_put_back_learns_the_paper_of_an_entry_it_has_lost(exam: Exam) -> None:
    """Redis put back to before the seat was changed and the candidate entered."""
    await settle(exam)
    old = await RedisCopy.of(exam)
    await give(exam, "one", 1)
    await exam.enter("one")
    await settle(exam)
    await old.put_back(exam)
    assert await form_in_redis(exam, "one") == b"0"

    await settle(exam)

    assert await form_in_redis(exam, "one") == b"1"
    assert await forms(exam) == [1, 0, 1]


async def test_every_sitting_is_graded_by_the_paper_it_had(exam: Exam) -> None:
    """By its own seal: one that is wrong is noticed, and graded is nobody."""
    await exam.enter("one", "two")
    await exam.submit("one")
    await exam.submit("two")
    await end(exam, "three")
    await collect_due(exam.memory, range(PARTITIONS))
    while await exam.recorder.record():
        pass

    await exam.query("UPDATE seal SET answer_key_digest = 'another' WHERE form = 1")
    grader = Grader(exam.grader_database, GRADER_KEY, Signer(b"r" * 32))
    with pytest.raises(Corrupt, match="not the one that was pinned"):
        await grader.grade()
    await exam.query(
        "UPDATE seal SET answer_key_digest = other.answer_key_digest FROM seal AS other WHERE other.form = 0"
    )
    grader = Grader(exam.grader_database, GRADER_KEY, Signer(b"r" * 32))

    assert await grader.grade() == 3


async def test_a_worker_may_give_forms_to_who_has_not_entered(exam: Exam) -> None:
    """With its own role; in the rooms that are named, or in all. Seats 00, 01 and 02 are neighbours."""
    await exam.enter("two")
    await settle(exam)
    await exam.query("UPDATE sitting SET form = 1")
    async with exam.engine_database.transaction() as connection:
        await assign_forms(connection, exam.batch, [("s", "another")])
    assert await forms(exam) == [1, 1, 1]

    async with exam.engine_database.transaction() as connection:
        await assign_forms(connection, exam.batch)
    assert await forms(exam) == [0, 0, 1]

    async with exam.engine_database.transaction() as connection:
        await seat_late(connection, exam.batch, [])
    assert await forms(exam) == [0, 0, 1]


async def test_the_layout_of_a_room_says_who_sits_behind_whom(exam: Exam) -> None:
    """Seats 01 and 03 of two columns: one behind the other, which the order of the seats alone would not tell."""
    await exam.query(
        "UPDATE sitting SET seat = CASE sitting_id WHEN 'one' THEN '01' WHEN 'two' THEN '02' ELSE '04' END;"
    )
    async with exam.engine_database.transaction() as connection:
        await assign_forms(connection, exam.batch)
    one, three, two = await forms(exam)
    assert one == three != two

    await exam.query("INSERT INTO site VALUES ('S', 's', 'address', NULL, 0)")
    await exam.query("INSERT INTO room VALUES ('S', 0, 'r', 4, 0, 2, 2, 'by_row_snake')")
    async with exam.engine_database.transaction() as connection:
        await assign_forms(connection, exam.batch)

    one, three, two = await forms(exam)
    assert one != two and one != three
