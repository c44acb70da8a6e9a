"""The grader: once, exact, and only with its own key."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from engine.recording.closer import collect_due
from engine.rules.errors import Corrupt
from engine.scoring.grader import Grader
from engine.sealing.signature import Signer, is_valid, shown_key
from tests.integration.exam import GRADER_KEY, PARTITIONS, Exam
from tests.integration.test_closer import end

pytestmark = pytest.mark.anyio
SIGNER = Signer(b"r" * 32)


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

    assert await Grader(exam.database, GRADER_KEY, SIGNER).grade() == 2

    rows = await exam.query("SELECT document, marks, publication FROM result ORDER BY sitting_id")
    one, two = (orjson.loads(document) for document, _, _ in rows)
    assert (one["state"], one["score"], one["passed"]) == ("graded", 50, False)
    assert (two["state"], two["score"]) == ("absent", None)
    assert is_valid(one, [shown_key(SIGNER.public_key)])
    assert orjson.loads(rows[0][1])["A3"] == {"mark": 0, "points": 1}
    assert sorted(publication for _, _, publication in rows) == [1, 2]


async def test_two_graders_grade_each_sitting_once(exam: Exam) -> None:
    """Who comes second finds the sittings locked or graded."""
    await finish(exam)
    graders = [Grader(exam.database, GRADER_KEY, SIGNER) for _ in range(2)]

    graded = await asyncio.gather(*(grader.grade() for grader in graders))
    more = [await grader.grade() for grader in graders]

    assert sum(graded) == 2
    assert more == [0, 0]
    assert await exam.query("SELECT count(*), count(DISTINCT sitting_id) FROM result") == [(2, 2)]


async def test_open_sitting_is_not_graded(exam: Exam) -> None:
    """Nothing is graded before it is closed and recorded."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    while await exam.recorder.record():
        pass

    assert await Grader(exam.database, GRADER_KEY, SIGNER).grade() == 0


async def test_hand_in_not_yet_recorded_is_not_graded(exam: Exam) -> None:
    """A score is made from committed responses only, and the hand-in stands after them in the log."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    await exam.submit("one", seq=1)

    assert await Grader(exam.database, GRADER_KEY, SIGNER).grade() == 0


async def test_another_graders_key_opens_nothing(exam: Exam) -> None:
    """Without the grader's private key no answer key is decrypted and no result is made."""
    await finish(exam)

    with pytest.raises(Corrupt, match=r"grader\.key does not open"):
        await Grader(exam.database, b"x" * 32, SIGNER).grade()

    assert await exam.query("SELECT count(*) FROM result") == [(0,)]


async def test_batch_that_cannot_be_graded_stops_no_other(exam: Exam) -> None:
    """Its fault is reported; the next chunk leaves it out."""
    await finish(exam)
    other = Exam.beside(exam, "A-broken")
    await other.arm("three")
    await exam.query(
        "UPDATE seal SET answer_key_envelope = 'x', answer_key_digest = 'x' WHERE batch_id = 'A-broken' RETURNING 1"
    )
    await exam.query("UPDATE sitting SET state = 'absent' WHERE sitting_id = 'three' RETURNING 1")
    grader = Grader(exam.database, GRADER_KEY, SIGNER)

    with pytest.raises(Corrupt, match="A-broken"):
        await grader.grade()

    assert await grader.grade() == 2
