"""The grader's second turn: marks make one revision, whoever grades and however often it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from engine.rules.errors import TryLater
from engine.scoring.assessing import grade_assessed
from engine.scoring.grader import Grader
from engine.sealing.signature import Signer, is_valid, shown_key
from tests.integration.exam import GRADER_KEY, Exam, batch, until_waiting

pytestmark = pytest.mark.anyio
SIGNER = Signer(b"r" * 32)


@pytest.fixture
async def review(redis_url: str, postgres_dsn: str) -> AsyncIterator[Exam]:
    """A panel of three; `one` and `two` have handed in and wait for it, `three` was absent."""
    found = Exam(redis_url, postgres_dsn, batch(assessors=3))
    await found.hold()
    await found.arm("one", "two", "three")
    await found.query(
        "UPDATE sitting SET state = CASE sitting_id WHEN 'three' THEN 'absent' ELSE 'submitted' END RETURNING 1"
    )
    assert await grader_of(found).grade() == 3
    yield found
    await found.close()


def grader_of(exam: Exam) -> Grader:
    return Grader(exam.grader_database, GRADER_KEY, SIGNER)


async def mark(exam: Exam, sitting_id: str, **marks: float) -> None:
    """By assessor, and the worker's note that nobody is missing."""
    for assessor, given in marks.items():
        await exam.query(
            "INSERT INTO assessment_mark (task_id, assessor, mark, marked_ms, key_id)"
            f" SELECT task_id, $2, {given}, 0, 'k' FROM assessment_task WHERE sitting_id = $1 RETURNING 1",
            sitting_id,
            assessor,
        )
    await exam.query("INSERT INTO assessment_due (batch_id, sitting_id) VALUES ('B', $1) RETURNING 1", sitting_id)


async def newest(exam: Exam) -> dict[str, dict[str, Any]]:
    rows = await exam.query("SELECT DISTINCT ON (sitting_id) document FROM result ORDER BY sitting_id, revision DESC")
    return {document["sitting_id"]: document for document in (orjson.loads(text) for (text,) in rows)}


async def test_who_has_entered_waits_for_the_panel(review: Exam) -> None:
    """One task each, worth 100, for three; who was absent has none."""
    tasks = await review.query(
        "SELECT sitting_id, item, points, missing, length(task_id) FROM assessment_task ORDER BY 1"
    )

    assert tasks == [("one", "", 100, 3, 32), ("two", "", 100, 3, 32)]
    assert {name: row["state"] for name, row in (await newest(review)).items()} == {
        "one": "pending_assessor",
        "two": "pending_assessor",
        "three": "absent",
    }


async def test_two_graders_make_one_revision(review: Exam) -> None:
    """Each note is taken once, and a second note of the same sitting finds nothing to do."""
    await mark(review, "one", a=60, b=70, c=59)
    await mark(review, "one")
    await mark(review, "two", a=90, b=50, c=50)

    dealt = await asyncio.gather(*(grade_assessed(review.grader_database, grader_of(review)) for _ in range(2)))

    assert sum(dealt) == 3
    rows = await newest(review)
    assert [(rows[name]["score"], rows[name]["passed"], rows[name]["revision"]) for name in ("one", "two")] == [
        (63, True, 2),
        (63.33, False, 2),
    ]
    assert is_valid(rows["one"], [shown_key(SIGNER.public_key)])
    assert await review.query("SELECT count(*), count(DISTINCT publication) FROM result") == [(5, 5)]
    assert await review.query("SELECT count(*) FROM assessment_due") == [(0,)]


async def test_a_note_that_came_too_early_makes_nothing(review: Exam) -> None:
    """What counts are the marks; the last one writes a note of its own."""
    await mark(review, "one", a=60, b=70)
    assert await grade_assessed(review.grader_database, grader_of(review)) == 1
    assert (await newest(review))["one"]["state"] == "pending_assessor"

    await mark(review, "one", c=80)
    assert await grade_assessed(review.grader_database, grader_of(review)) == 1

    assert (await newest(review))["one"]["score"] == 70


async def test_an_assessors_newest_mark_holds(review: Exam) -> None:
    """Corrections are rows beside what they correct."""
    await mark(review, "one", a=0, b=70, c=80)
    await mark(review, "one", a=60)

    await grade_assessed(review.grader_database, grader_of(review))

    assert (await newest(review))["one"]["score"] == 70
    assert await review.query("SELECT count(*) FROM assessment_mark") == [(4,)]


async def test_a_regrade_that_was_there_first_stands_and_the_marks_are_counted_again(review: Exam) -> None:
    """It made its revision while this waited for the sitting: that is no failure, and the note is kept."""
    await mark(review, "one", a=60, b=70, c=80)
    async with review.owner_database.transaction() as connection:
        await connection.execute("SELECT FROM sitting WHERE sitting_id = 'one' FOR NO KEY UPDATE")
        grading = asyncio.create_task(grade_assessed(review.grader_database, grader_of(review)))
        await until_waiting(review)
        await connection.execute(
            "INSERT INTO result SELECT sitting_id, 2, batch_id, state, document, marks, graded_ms, NULL FROM result"
            " WHERE sitting_id = 'one'"
        )
    with pytest.raises(TryLater, match="a result changed"):
        await grading

    assert await grade_assessed(review.grader_database, grader_of(review)) == 1
    assert (await newest(review))["one"]["revision"] == 3


async def test_a_sitting_that_is_graded_is_not_graded_again(review: Exam) -> None:
    await mark(review, "one", a=60, b=70, c=80)
    await grade_assessed(review.grader_database, grader_of(review))
    await mark(review, "one", a=0)

    assert await grade_assessed(review.grader_database, grader_of(review)) == 1

    assert (await newest(review))["one"]["score"] == 70
    assert await grade_assessed(review.grader_database, grader_of(review)) == 0
