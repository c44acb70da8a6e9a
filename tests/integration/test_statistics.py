"""Item statistics from the tables: counted by the grader's role, and what they say about a release."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from engine.rules.errors import Refused, TryLater
from engine.scoring import counting, flags, settling
from engine.scoring.counting import count_statistics
from engine.scoring.grader import Grader
from engine.scoring.publication import release_batch
from engine.sealing.signature import Signer
from tests.integration.exam import GRADER_KEY, Exam, batch

pytestmark = pytest.mark.anyio
SIGNER = Signer(b"r" * 32)
SITTINGS = 40


@pytest.fixture
async def graded(redis_url: str, postgres_dsn: str) -> AsyncIterator[Exam]:
    """Forty sittings of an `approved` batch: everybody took the wrong option of A1; A4 is left out by half."""
    found = Exam(redis_url, postgres_dsn, batch(release="approved"))
    await found.hold()
    await found.arm(*(f"s{at:02d}" for at in range(SITTINGS)))
    for item, value in (("A1", "'b'"), ("A2", "'a'"), ("A3", "CASE WHEN sitting_id < 's20' THEN 'a' ELSE 'b' END")):
        await found.query(
            f"INSERT INTO response SELECT sitting_id, $1, 1, to_json({value}::text)::text, 0 FROM sitting RETURNING 1",
            item,
        )
        await found.query(
            "INSERT INTO response_history SELECT sitting_id, item, 1, value, $2, 1, $2 FROM response"
            " WHERE item = $1 RETURNING 1",
            item,
            int(item[1]) * 7_000,
        )
    await found.query("UPDATE sitting SET state = 'submitted' RETURNING 1")
    assert await grader_of(found).grade() == SITTINGS
    yield found
    await found.close()


def grader_of(exam: Exam) -> Grader:
    return Grader(exam.grader_database, GRADER_KEY, SIGNER)


async def count(exam: Exam) -> dict[str, Any]:
    """Ask as a worker does, count as the grader does; the one paper as it is stored."""
    async with exam.engine_database.connection() as connection:
        await connection.execute("INSERT INTO statistics_request (batch_id) VALUES ('B'), ('B')")
    assert await count_statistics(exam.grader_database, grader_of(exam))
    assert not await count_statistics(exam.grader_database, grader_of(exam))
    rows = await exam.query("SELECT document FROM item_statistics ORDER BY number DESC LIMIT 1")
    (paper,) = orjson.loads(rows[0][0])["papers"]
    return dict(paper)


async def release(exam: Exam) -> bool:
    async with exam.engine_database.transaction() as connection:
        return await release_batch(connection, "B", ["a", "b"], "k")


async def test_the_grader_counts_with_its_own_rights(graded: Exam) -> None:
    """Marks, options, omissions and times, by item."""
    paper = await count(graded)
    items = {item["item"]: item for item in paper["items"]}

    assert (paper["sittings"], paper["withheld"], list(items)) == (SITTINGS, False, ["A1", "A2", "A3", "A4"])
    assert [items[item]["difficulty"] for item in items] == [0, 1, 0.5, 0]
    assert [items[item]["omitted"] for item in items] == [0, 0, 0, SITTINGS]
    assert [option["chosen"] for option in items["A1"]["options"]] == [0, SITTINGS]
    assert [items[item]["median_s"] for item in items] == [None, 7, 7, None]
    assert {(flag["item"], flag["flag"], flag["severity"]) for flag in paper["flags"]} == {
        ("A1", "nobody_right", "explain"),
        ("A1", "distractor_over_key", "explain"),
        ("A2", "everybody_right", "watch"),
    }


async def test_a_batch_whose_key_does_not_open_holds_up_no_other(graded: Exam) -> None:
    """It asked first, and is left alone for a while; the next one is counted at once."""
    grader = grader_of(graded)
    async with graded.engine_database.connection() as connection:
        await connection.execute("INSERT INTO statistics_request (batch_id) VALUES ('broken'), ('B')")
    grader.parked("broken", "for a test")

    assert await count_statistics(graded.grader_database, grader)

    assert await graded.query("SELECT batch_id FROM item_statistics") == [("B",)]
    assert await graded.query("SELECT batch_id FROM statistics_request") == [("broken",)]


async def test_flags_hold_a_release_back_until_they_are_explained(graded: Exam) -> None:
    """All that have to be explained are named; what is only watched is not among them."""
    with pytest.raises(TryLater):
        await release(graded)
    paper = await count(graded)
    with pytest.raises(Refused, match="2 flags") as refused:
        await release(graded)

    for item, flag in (("A1", "nobody_right"), ("A1", "distractor_over_key")):
        async with graded.engine_database.connection() as connection:
            await connection.execute(
                "INSERT INTO flag_explanation"
                " (batch_id, paper_digest, item, flag, explanation, explained_by, explained_ms, key_id)"
                " VALUES ('B', $1, $2, $3, 'why', 'who', 0, 'k')",
                paper["paper_digest"],
                item,
                flag,
            )

    assert refused.value.code == "batch.not_ready"
    assert {each["code"] for each in refused.value.members["not_ready"]} == {
        "statistics.nobody_right",
        "statistics.distractor_over_key",
    }
    assert await release(graded)
    assert await graded.query("SELECT count(*) FROM result WHERE publication IS NULL") == [(0,)]


async def test_a_new_revision_puts_the_statistics_out_of_date(graded: Exam) -> None:
    """What was counted before it says nothing about a release."""
    await count(graded)
    async with graded.engine_database.connection() as connection:
        assert await settling.is_settled(connection, "B")
    await graded.query(
        "INSERT INTO result SELECT sitting_id, 2, batch_id, state, document, marks, graded_ms, NULL FROM result"
        " WHERE sitting_id = 's00' RETURNING 1"
    )

    async with graded.engine_database.connection() as connection:
        assert not await settling.is_settled(connection, "B")
        with pytest.raises(TryLater):
            await flags.hold_back(connection, "B")
    await count(graded)
    async with graded.engine_database.connection() as connection:
        assert await settling.is_settled(connection, "B")


async def test_a_paper_that_others_have_yet_to_sit_is_not_told(graded: Exam) -> None:
    """No options, no evidence: the key of Sunday's paper is not read from Saturday's statistics."""
    other = Exam.beside(graded, "sunday")
    await other.arm("later")

    paper = await count(graded)

    assert paper["withheld"] and paper["key_positions"] == []
    assert all(item["options"] == [] for item in paper["items"])
    assert all(flag["evidence"] == {} for flag in paper["flags"])
    assert paper["items"][2]["difficulty"] == 0.5


async def test_what_is_counted_while_the_answers_go_is_thrown_away(
    graded: Exam, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once they go nothing is counted: it would take them for omissions."""
    count_marks = counting._count_marks

    async def erased_meanwhile(*arguments: Any) -> None:
        await graded.query("INSERT INTO erasing (batch_id, archive_digest, closed_ms) VALUES ('B', 'd', 1) RETURNING 1")
        await graded.query("DELETE FROM response RETURNING 1")
        await count_marks(*arguments)

    monkeypatch.setattr(counting, "_count_marks", erased_meanwhile)
    for _ in range(2):  # the second time it is erased before
        await graded.query("INSERT INTO statistics_request (batch_id) VALUES ('B') RETURNING 1")
        assert await count_statistics(graded.grader_database, grader_of(graded))

    assert await graded.query("SELECT 1 FROM item_statistics") == []
    assert not await count_statistics(graded.grader_database, grader_of(graded))
    async with graded.engine_database.connection() as connection:
        with pytest.raises(Refused) as refused:
            await settling.is_settled(connection, "B")
    assert refused.value.code == "batch.erased"


async def test_a_batch_that_is_not_graded_has_no_statistics(exam: Exam) -> None:
    async with exam.engine_database.connection() as connection:
        with pytest.raises(Refused, match="2 sittings"):
            await settling.is_settled(connection, "B")
        with pytest.raises(Refused, match="no batch"):
            await settling.is_settled(connection, "nothing")


async def test_a_few_sittings_are_released_as_they_are(exam: Exam) -> None:
    """Below the evidence that a flag needs nobody has to count."""
    await exam.query('UPDATE batch SET rules = rules || \'{"release": "approved"}\' RETURNING 1')
    await exam.query("UPDATE sitting SET state = 'submitted' RETURNING 1")
    await grader_of(exam).grade()

    await settling.settle_for_release(exam.engine_database, "B")

    assert await release(exam)
