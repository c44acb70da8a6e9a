"""The grader: once, exact, and only with its own key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from engine.recording.closer import collect_due
from engine.rules import exact_json
from engine.rules.errors import Corrupt, TryLater
from engine.scheduling import batches as batches_module
from engine.scoring import grader as grader_module
from engine.scoring.grader import Grader
from engine.sealing import answer_key
from engine.sealing.signature import Signer, is_valid, shown_key
from engine.stores import laying as laying_module
from engine.stores.postgres import Connection
from engine.stores.sql import Queries
from tests.integration.exam import GRADER_KEY, PARTITIONS, Exam, question_set
from tests.integration.test_closer import end

pytestmark = pytest.mark.anyio
SIGNER = Signer(b"r" * 32)
QUERIES_PER_CHUNK_MAX = 10


async def finish(exam: Exam) -> None:
    """`one` answers two of four and hands in, `two` never comes."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'), ("A2", 2, '"a"'), ("A3", 3, '"b"'))
    await exam.submit("one", seq=3)
    await end(exam, "two")
    await collect_due(exam.memory, range(PARTITIONS))
    while await exam.recorder.record():
        pass


async def test_closed_sittings_get_signed_results(exam: Exam) -> None:
    """Score, marks and signature come from the committed responses and the pinned key."""
    await finish(exam)

    assert await Grader(exam.grader_database, GRADER_KEY, SIGNER).grade() == 2

    rows = await exam.query("SELECT document, marks, publication FROM result ORDER BY sitting_id")
    one, two = (orjson.loads(document) for document, _, _ in rows)
    assert (one["state"], one["score"], one["passed"]) == ("graded", 50, False)
    assert (two["state"], two["score"]) == ("absent", None)
    assert is_valid(one, [shown_key(SIGNER.public_key)])
    assert orjson.loads(rows[0][1])["A3"] == {"mark": 0, "points": 1}
    assert len({publication for _, _, publication in rows}) == 2


async def test_two_graders_grade_each_sitting_once(exam: Exam) -> None:
    """Who comes second finds the sittings locked or graded."""
    await finish(exam)
    graders = [Grader(exam.grader_database, GRADER_KEY, SIGNER) for _ in range(2)]

    graded = await asyncio.gather(*(grader.grade() for grader in graders))
    more = [await grader.grade() for grader in graders]

    assert sum(graded) == 2
    assert more == [0, 0]
    assert await exam.query("SELECT count(*), count(DISTINCT sitting_id) FROM result") == [(2, 2)]


async def test_a_commit_whose_answer_is_lost_grades_once(exam: Exam, monkeypatch: pytest.MonkeyPatch) -> None:
    """The grader believes that nothing was written, looks again, and finds nothing to do."""
    await finish(exam)
    grader = Grader(exam.grader_database, GRADER_KEY, SIGNER)
    whole = exam.grader_database.transaction

    @asynccontextmanager
    async def answer_lost() -> AsyncIterator[Connection]:
        async with whole() as connection:
            yield connection
        raise TryLater("the connection broke after the commit")

    monkeypatch.setattr(exam.grader_database, "transaction", answer_lost)
    with pytest.raises(TryLater):
        await grader.grade()
    monkeypatch.undo()

    assert await grader.grade() == 0
    assert await exam.query("SELECT count(*), count(DISTINCT sitting_id), count(DISTINCT publication) FROM result") == [
        (2, 2, 2)
    ]


async def test_a_failed_chunk_leaves_nothing_in_the_feed(exam: Exam, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its numbers were seen by nobody: who follows the feed by its cursor misses none."""
    await finish(exam)
    grader = Grader(exam.grader_database, GRADER_KEY, SIGNER)
    whole = exam.grader_database.transaction

    @asynccontextmanager
    async def dying() -> AsyncIterator[Connection]:
        async with whole() as connection:
            yield connection
            raise TryLater("the grader died before the commit")

    monkeypatch.setattr(exam.grader_database, "transaction", dying)
    with pytest.raises(TryLater):
        await grader.grade()
    monkeypatch.undo()

    assert await exam.query("SELECT count(*) FROM result") == [(0,)]
    assert await grader.grade() == 2
    assert await exam.query(
        "SELECT count(DISTINCT publication), max(publication) = max(last_publication) FROM result, feed"
    ) == [(2, True)]


async def test_many_sittings_are_shared_by_chunks_at_once(exam: Exam, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks under way together pass over each other's sittings; their numbers do not mix with one another's order."""
    monkeypatch.setattr(grader_module, "GRADE_SITTINGS_MAX", 7)
    other = Exam.beside(exam, "large")
    await other.arm(*(f"s{number:02d}" for number in range(60)))
    await exam.query("UPDATE sitting SET state = 'absent' WHERE batch_id = 'large' RETURNING 1")
    graders = [Grader(exam.grader_database, GRADER_KEY, SIGNER) for _ in range(3)]

    async def grade_all(grader: Grader) -> int:
        total = 0
        while graded := await grader.grade():
            total += graded
        return total

    totals = await asyncio.gather(*(grade_all(grader) for grader in graders))
    totals.append(await grade_all(graders[0]))  # what was locked while the others looked

    assert sum(totals) == 60
    counted = "SELECT count(*), count(DISTINCT sitting_id), count(DISTINCT publication) FROM result"
    assert await exam.query(counted) == [(60, 60, 60)]


@pytest.mark.parametrize("other_batches", [0, 3])
async def test_a_chunk_takes_as_many_queries_however_many_sittings_it_has(
    exam: Exam, monkeypatch: pytest.MonkeyPatch, other_batches: int
) -> None:
    """Whole chunks are read and written at once: what one sitting costs the server does not grow with round trips."""
    for number in range(other_batches):
        await Exam.beside(exam, f"other-{number}").arm(f"other-{number}-1")
    large = Exam.beside(exam, "large")
    await large.arm(*(f"s{number:03d}" for number in range(80)))
    await exam.query(
        "INSERT INTO response SELECT sitting_id, item, 1, '\"a\"', 0 FROM sitting, unnest('{A1,A2,A3}'::text[]) AS item"
        " RETURNING 1"
    )
    await exam.query("UPDATE sitting SET state = 'submitted' RETURNING 1")
    asked = count_queries(exam, monkeypatch)
    grader = Grader(exam.grader_database, GRADER_KEY, SIGNER)
    monkeypatch.setattr(grader_module, "GRADE_SITTINGS_MAX", 1)
    await grader.grade()  # a fresh connection asks for the types it does not know, once
    counts = {}
    for sittings_max in (2, 5, 200):
        monkeypatch.setattr(grader_module, "GRADE_SITTINGS_MAX", sittings_max)
        asked.clear()
        graded = await grader.grade()
        counts[graded] = len(asked)

    assert len(counts) == 3 and max(counts) > 70
    assert len(set(counts.values())) == 1, counts
    assert max(counts.values()) <= QUERIES_PER_CHUNK_MAX, asked


def count_queries(exam: Exam, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that the grader sends from now on, as the driver logs it."""
    asked: list[str] = []
    whole = exam.grader_database.transaction

    @asynccontextmanager
    async def counted() -> AsyncIterator[Connection]:
        async with whole() as connection:
            connection.add_query_logger(note)
            yield connection

    def note(record: Any) -> None:
        asked.append(record.query)

    monkeypatch.setattr(exam.grader_database, "transaction", counted)
    return asked


async def test_batch_that_is_laid_or_pushed_meanwhile_is_graded(exam: Exam) -> None:
    """Laying a large roster takes seconds, and its results wait for none of them."""
    await finish(exam)
    grader = Grader(exam.grader_database, GRADER_KEY, SIGNER)

    async with exam.owner_database.transaction() as laying:
        assert await laying.fetchrow(Queries(laying_module.__file__).lock_batch, exam.batch.batch_id)
        assert await laying.fetchrow(Queries(batches_module.__file__).lock_batch, exam.batch.batch_id)
        assert await asyncio.wait_for(grader.grade(), 30) == 2


async def test_open_sitting_is_not_graded(exam: Exam) -> None:
    """Nothing is graded before it is closed and recorded."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    while await exam.recorder.record():
        pass

    assert await Grader(exam.grader_database, GRADER_KEY, SIGNER).grade() == 0


async def test_hand_in_not_yet_recorded_is_not_graded(exam: Exam) -> None:
    """A score is made from committed responses only, and the hand-in stands after them in the log."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    await exam.submit("one", seq=1)

    assert await Grader(exam.grader_database, GRADER_KEY, SIGNER).grade() == 0


async def pin(exam: Exam, batch_id: str, envelope: bytes, digest: str) -> None:
    """Give a batch another answer key than the paper's."""
    await exam.query(
        "INSERT INTO answer_key SELECT paper_digest, $1, $2 FROM seal WHERE batch_id = $1 RETURNING 1",
        batch_id,
        envelope,
    )
    await exam.query(
        "UPDATE seal SET answer_key_recipient = $1, answer_key_digest = $2 WHERE batch_id = $1 RETURNING 1",
        batch_id,
        digest,
    )


async def test_another_graders_key_opens_nothing(exam: Exam) -> None:
    """Without the grader's private key no answer key is decrypted and no result is made."""
    await finish(exam)

    with pytest.raises(Corrupt, match=r"grader\.key does not open"):
        await Grader(exam.grader_database, b"x" * 32, SIGNER).grade()

    assert await exam.query("SELECT count(*) FROM result") == [(0,)]


async def test_batch_that_cannot_be_graded_stops_no_other(exam: Exam) -> None:
    """Its fault is reported; the next chunk leaves it out."""
    await finish(exam)
    other = Exam.beside(exam, "A-broken")
    await other.arm("three")
    await pin(exam, "A-broken", b"x", "x")
    await exam.query("UPDATE sitting SET state = 'absent' WHERE sitting_id = 'three' RETURNING 1")
    grader = Grader(exam.grader_database, GRADER_KEY, SIGNER)

    with pytest.raises(Corrupt, match="A-broken"):
        await grader.grade()

    assert await grader.grade() == 2


async def test_a_batch_that_cannot_be_marked_stops_no_other(exam: Exam) -> None:
    """Whatever is wrong with its key: it is parked and named, and the others get their results."""
    await finish(exam)
    other = Exam.beside(exam, "A-first")  # grading takes batches in order: this one comes before
    await other.arm("three")
    unreadable: dict[str, Any] = {"sections": "none"}
    envelope = answer_key.seal_answer_key(unreadable, question_set().digest, answer_key.public_key(GRADER_KEY))
    await pin(exam, "A-first", envelope, exact_json.digest(unreadable))
    await exam.query("UPDATE sitting SET state = 'collected' WHERE batch_id = 'A-first' RETURNING 1")
    grader = Grader(exam.grader_database, GRADER_KEY, SIGNER)

    with pytest.raises(Corrupt, match="A-first"):
        await grader.grade()

    assert await grader.grade() == 2
    assert await exam.query("SELECT DISTINCT batch_id FROM result") == [(exam.batch.batch_id,)]
