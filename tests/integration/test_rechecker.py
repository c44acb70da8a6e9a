"""The rechecker: from what really lies in PostgreSQL, with the grader's rights, and nothing of it changed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.recording.closer import collect_due
from engine.rules.score_review import ReviewRequest
from engine.scoring import score_reviews
from engine.scoring.grader import Grader
from engine.scoring.rechecker import Rechecker
from engine.sealing import answer_key
from engine.sealing.signature import ALGORITHM, Signer
from engine.stores import public_keys
from tests.integration.exam import GRADER_KEY, PARTITIONS, Exam
from tests.integration.test_closer import end

pytestmark = pytest.mark.anyio
SIGNER = Signer(b"r" * 32)


@pytest.fixture
async def graded(exam: Exam) -> Exam:
    """`one` changed a response and handed in, `two` never came; both have their published results."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"b"'), ("A1", 2, '"a"'), ("A2", 3, '"a"'), ("A3", 4, '"b"'))
    await exam.submit("one", seq=4)
    await end(exam, "two")
    await collect_due(exam.memory, range(PARTITIONS))
    while await exam.recorder.record():
        pass
    async with exam.grader_database.transaction() as connection:
        await public_keys.register(connection, "result", ALGORITHM, SIGNER.public_key)
        await public_keys.register(connection, "answer_key", "X25519", answer_key.public_key(GRADER_KEY))
    assert await Grader(exam.grader_database, GRADER_KEY, SIGNER).grade() == 2
    return exam


async def file(exam: Exam, sitting_id: str = "one") -> None:
    """As a worker does within the window."""
    asked = ReviewRequest("candidate", ("tally",), "", "")
    async with exam.engine_database.transaction() as connection:
        sitting = await score_reviews._find_sitting(connection, sitting_id)
        rows = await connection.fetch(score_reviews._queries.published, sitting_id)
        revisions = [score_reviews._published(row) for row in rows]
        rules = score_reviews.msgspec.json.decode(sitting["rules"], type=score_reviews.Rules)
        await score_reviews._store(connection, sitting, revisions, rules, asked, "api")


async def findings(exam: Exam, sitting_id: str = "one") -> dict[str, Any]:
    rows = await exam.query("SELECT findings FROM score_review WHERE sitting_id = $1", sitting_id)
    return {finding["check"]: finding for finding in orjson.loads(rows[0][0])}


def rechecker(exam: Exam) -> Rechecker:
    return Rechecker(exam.grader_database, GRADER_KEY)


@pytest.mark.parametrize("sitting_id", ["one", "two"])
async def test_what_was_graded_passes_every_check(graded: Exam, sitting_id: str) -> None:
    """Who sat and who did not; once, and the log tells."""
    await file(graded, sitting_id)

    assert [await rechecker(graded).turn() for _ in range(2)] == [True, False]

    found = await findings(graded, sitting_id)
    assert [check for check, finding in found.items() if not finding["ok"]] == []
    log = await graded.query("SELECT kind, people FROM batch_event ORDER BY number")
    assert log == [("score_review_filed", ["candidate"]), ("score_review_checked", [])]


@pytest.mark.parametrize(
    ("tampered", "checks"),
    [
        ("""UPDATE response SET value = '"b"' WHERE item = 'A2'""", {"responses", "receipt", "score"}),
        ("DELETE FROM response_history WHERE item = 'A2'", {"responses", "receipt", "score"}),
        (
            "UPDATE result SET document = replace(document, '\"score\":50,', '\"score\":75,')",
            {"signature", "score", "tally"},
        ),
        ("UPDATE sitting SET admission_ticket = 'other' WHERE sitting_id = 'one'", {"registration"}),
        ("DELETE FROM sitting_event WHERE kind = 'submitted'", {"events"}),
        ("DELETE FROM public_key WHERE purpose = 'result'", {"signature"}),
        ("UPDATE answer_key SET envelope = 'x'", {"missed_marks", "score", "tally"}),
        ("""UPDATE result SET marks = replace(marks, '"mark":1', '"mark":0')""", {"score", "tally"}),
    ],
)
async def test_whatever_was_changed_behind_its_back_is_found_and_no_score_changes(
    graded: Exam, tampered: str, checks: set[str]
) -> None:
    """The findings name it; results stay byte for byte what they are."""
    await file(graded)
    await graded.query(f"{tampered} RETURNING 1")
    before = await graded.query("SELECT * FROM result ORDER BY sitting_id")

    await rechecker(graded).turn()

    found = await findings(graded)
    assert {check for check, finding in found.items() if not finding["ok"]} == checks
    assert await graded.query("SELECT * FROM result ORDER BY sitting_id") == before


async def test_what_cannot_be_read_is_said_and_stops_no_other_review(graded: Exam) -> None:
    """Nothing of it passes; the next one is checked."""
    await file(graded)
    await file(graded, "two")
    await graded.query("UPDATE response SET value = '{' WHERE item = 'A2' RETURNING 1")

    assert [await rechecker(graded).turn() for _ in range(3)] == [True, True, False]

    assert {finding["ok"] for finding in (await findings(graded)).values()} == {False}
    assert {finding["ok"] for finding in (await findings(graded, "two")).values()} == {True}


async def test_a_recheck_says_that_the_answers_are_erased(graded: Exam) -> None:
    """And takes none of them for missing; a review that is filed now is refused, the same again is not."""
    await file(graded)
    await erase(graded)

    assert [await rechecker(graded).turn() for _ in range(2)] == [True, False]

    assert {(each["ok"], each["detail"]) for each in (await findings(graded)).values()} == {
        (False, "the answers of this batch were erased when their years were over: nothing was compared")
    }


async def erase(exam: Exam) -> None:
    """As a purge begins."""
    await exam.query("INSERT INTO erasing (batch_id, archive_digest, closed_ms) VALUES ('B', 'd', 1) RETURNING 1")
    await exam.query("DELETE FROM response RETURNING 1")


async def test_a_window_that_is_over_is_named(graded: Exam) -> None:
    """By the moment at which the result became public."""
    await graded.query("UPDATE result SET publication = publication - 30 * 86400 * 1000000::bigint RETURNING 1")

    with pytest.raises(score_reviews.Refused) as refused:
        await file(graded)

    assert refused.value.code == "score_review.closed"
    assert refused.value.members["closes_ms"] < refused.value.members["server_ms"]
