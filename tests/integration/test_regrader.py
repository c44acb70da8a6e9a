"""The regrader: what it shows is what it writes, whole or not at all, and nobody writes it twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from engine.recording.closer import collect_due
from engine.rules.errors import TryLater
from engine.scheduling import key_changes, sealer_jobs
from engine.scheduling.sealer_jobs import SealChanges, SealedChanges
from engine.scoring import regrader as regrader_module
from engine.scoring import regrades
from engine.scoring.grader import Grader
from engine.scoring.publication import release_batch
from engine.scoring.regrader import Regrader
from engine.sealing import answer_key, secrets
from engine.sealing.signature import Signer, is_valid, key_id, shown_key
from engine.settings import Settings
from engine.stores.postgres import Connection
from tests.integration.exam import GRADER_KEY, PARTITIONS, Exam, batch, question_set, until_waiting
from tests.integration.test_closer import end

pytestmark = pytest.mark.anyio
SIGNER = Signer(b"r" * 32)
RECIPIENT = answer_key.public_key(GRADER_KEY)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    secrets.create(tmp_path)
    return Settings(secrets_dir=str(tmp_path))


@pytest.fixture
async def graded(exam: Exam) -> Exam:
    """`one` has two of four right and handed in, `two` never came; both have their results."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'), ("A2", 2, '"a"'), ("A3", 3, '"b"'))
    await exam.submit("one", seq=3)
    await end(exam, "two")
    await collect_due(exam.memory, range(PARTITIONS))
    while await exam.recorder.record():
        pass
    assert await Grader(exam.grader_database, GRADER_KEY, SIGNER).grade() == 2
    return exam


async def propose(exam: Exam, settings: Settings, *changes: dict[str, Any], regrade_id: str = "R1") -> str:
    """As a worker does once the batch is over."""
    batch_id = exam.batch.batch_id
    body = orjson.dumps({"reason": "答案有误", "proposed_by": "王五", "changes": changes})
    job = SealChanges(regrade_id, batch_id, len(body), RECIPIENT)
    sealed = sealer_jobs.do(
        job, body + orjson.dumps([{"form": 0, "paper_id": "P", "items": question_set().index}]), settings
    )
    assert isinstance(sealed, SealedChanges), sealed
    async with exam.engine_database.transaction() as connection:
        await key_changes._store(connection, regrade_id, batch_id, sealed, key_id(RECIPIENT), "api")
    return regrade_id


async def approve(exam: Exam, regrade_id: str = "R1") -> None:
    async with exam.engine_database.transaction() as connection:
        row = await regrades._lock(connection, exam.batch.batch_id, regrade_id)
        assert await regrades._check_ready(connection, row) == []
        await regrades._decide(connection, row, "approved", ["甲", "乙"], "api")


def regrader(exam: Exam) -> Regrader:
    return Regrader(exam.grader_database, GRADER_KEY, SIGNER)


async def state_of(exam: Exam, regrade_id: str = "R1") -> tuple[str, str | None]:
    rows = await exam.query("SELECT state, fault FROM regrade WHERE regrade_id = $1", regrade_id)
    return rows[0]  # type: ignore[no-any-return]


async def results(exam: Exam) -> list[tuple[str, int, Any, Any]]:
    """(sitting, revision, score, passed), in the order of the feed."""
    rows = await exam.query("SELECT document FROM result ORDER BY publication NULLS LAST, sitting_id, revision")
    documents = [orjson.loads(document) for (document,) in rows]
    return [(each["sitting_id"], each["revision"], each["score"], each["passed"]) for each in documents]


async def test_a_dry_run_shows_the_difference_and_writes_no_result(graded: Exam, settings: Settings) -> None:
    """Who goes up, who gains a pass, and both keys' digests; results are what they were."""
    before = await results(graded)
    await propose(graded, settings, {"item": "A3", "answer": "b"})

    assert await regrader(graded).turn() is True

    assert await regrader(graded).turn() is False
    assert await state_of(graded) == ("ready", None)
    assert await results(graded) == before
    rows = await graded.query(
        "SELECT sitting_id, old_revision, old_score, new_score, old_passed, new_passed, direction, pass_change"
        " FROM regrade_sitting ORDER BY sitting_id"
    )
    assert rows == [
        ("one", 1, 50, 75, False, True, "up", "gained"),
        ("two", 1, None, None, False, False, "unscored", ""),
    ]
    ((text,),) = await graded.query("SELECT summary FROM regrade")
    summary = orjson.loads(text)
    (keys,) = summary.pop("answer_keys")
    assert summary == {
        "sittings": 2, "up": 1, "down": 0, "same": 0, "unscored": 1, "passes_gained": 1, "passes_lost": 0,
    }  # fmt: skip
    assert keys["before"] == question_set().answer_key_digest != keys["after"]


async def test_what_is_applied_is_what_the_dry_run_showed(graded: Exam, settings: Settings) -> None:
    """New signed revisions behind the old ones in the feed, all under the new key; the old ones stay."""
    await propose(graded, settings, {"item": "A3", "answer": "b"}, {"item": "A4", "voided": True})
    await regrader(graded).turn()
    shown = await graded.query("SELECT sitting_id, new_score, new_passed FROM regrade_sitting ORDER BY sitting_id")
    await approve(graded)

    assert await regrader(graded).turn() is True

    found = await results(graded)
    assert found[:2] == [("one", 1, 50, False), ("two", 1, None, False)]
    assert sorted(found[2:]) == [("one", 2, 100, True), ("two", 2, None, False)]
    assert shown == [("one", 100, True), ("two", None, False)]
    rows = await graded.query("SELECT document, marks FROM result WHERE revision = 2 ORDER BY sitting_id")
    documents = [orjson.loads(document) for document, _ in rows]
    ((digest,),) = await graded.query("SELECT answer_key_digest FROM regrade_key")
    assert all(is_valid(document, [shown_key(SIGNER.public_key)]) for document in documents)
    assert {document["answer_key_digest"] for document in documents} == {digest}
    assert [document["state"] for document in documents] == ["graded", "absent"]
    assert documents[0]["sections"] == [{"id": "A", "score": 3, "points": 3}]
    assert orjson.loads(rows[0][1])["A4"] == {"mark": 0, "points": 0}
    assert (await state_of(graded))[0] == "applied"
    log = await graded.query("SELECT kind, people, after FROM batch_event ORDER BY number")
    assert [(kind, people) for kind, people, _ in log] == [
        ("regrade_proposed", ["王五"]), ("regrade_tried", []), ("regrade_approved", ["甲", "乙"]),
        ("regrade_applied", ["甲", "乙"]),
    ]  # fmt: skip
    assert all('"b"' not in after for _, _, after in log)


async def test_taking_a_regrade_back_gives_the_old_scores(graded: Exam, settings: Settings) -> None:
    """A second regrade begins at the first one's key, and ends at the one pinned at arming."""
    for regrade_id, is_voided in (("R1", True), ("R2", False)):
        await propose(graded, settings, {"item": "A1", "voided": is_voided}, regrade_id=regrade_id)
        await regrader(graded).turn()
        await approve(graded, regrade_id)
        await regrader(graded).turn()

    scores = {(sitting, revision): score for sitting, revision, score, _ in await results(graded)}
    assert [scores["one", revision] for revision in (1, 2, 3)] == [50, 33.33, 50]
    digests = await graded.query("SELECT answer_key_digest FROM regrade_key ORDER BY number")
    assert digests[1] == (question_set().answer_key_digest,)


async def test_dropping_changes_nothing(graded: Exam, settings: Settings) -> None:
    """And frees the batch for another proposal."""
    before = await results(graded)
    await propose(graded, settings, {"item": "A3", "answer": "b"})
    await regrader(graded).turn()
    async with graded.engine_database.transaction() as connection:
        row = await regrades._lock(connection, graded.batch.batch_id, "R1")
        await regrades._decide(connection, row, "dropped", ["甲", "乙"], "api")

    assert await regrader(graded).turn() is False

    assert await results(graded) == before
    assert await graded.query("SELECT count(*) FROM regrade_key") == [(0,)]
    await propose(graded, settings, {"item": "A3", "answer": "b"}, regrade_id="R2")


async def test_only_one_regrade_of_a_batch_is_open(graded: Exam, settings: Settings) -> None:
    """By a constraint, whoever proposes at the same moment."""
    await propose(graded, settings, {"item": "A3", "answer": "b"})

    with pytest.raises(asyncpg.UniqueViolationError, match="one_open_regrade_per_batch"):
        await propose(graded, settings, {"item": "A2", "answer": "b"}, regrade_id="R2")


async def revise(exam: Exam, sitting_id: str = "one") -> None:
    """Somebody else makes a new revision, of the same content."""
    await exam.query(
        "INSERT INTO result SELECT sitting_id, revision + 1, batch_id, state, document, marks, graded_ms, NULL"
        " FROM result WHERE sitting_id = $1 ORDER BY revision DESC LIMIT 1 RETURNING 1",
        sitting_id,
    )


async def test_results_that_changed_since_the_dry_run_are_named_and_tried_again(
    graded: Exam, settings: Settings
) -> None:
    """Before it is approved the worker sees it; after that the grader does, and the approval is over."""
    await propose(graded, settings, {"item": "A3", "answer": "b"})
    await regrader(graded).turn()
    async with graded.engine_database.connection() as connection:
        row = await connection.fetchrow("SELECT * FROM regrade")
        fresh = await regrades._check_ready(connection, row)
    await approve(graded)
    await revise(graded)
    async with graded.engine_database.connection() as connection:
        stale = await regrades._check_ready(connection, row)

    await regrader(graded).turn()

    assert (fresh, stale) == ([], ["one"])
    state, fault = await state_of(graded)
    assert state == "proposed" and fault is not None and "'one'" in fault
    assert await graded.query("SELECT decided_by, decided_ms FROM regrade") == [([], None)]
    assert await graded.query("SELECT count(*) FROM regrade_key") == [(0,)]
    assert await regrader(graded).turn() is True
    assert (await state_of(graded))[0] == "ready"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ([{"item": "A1", "answer": "a"}], "changes nothing"),
        ([{"item": f"A{number}", "voided": True} for number in range(1, 5)], "nothing is left"),
    ],
)
async def test_a_regrade_that_makes_no_sense_fails_and_says_why(
    graded: Exam, settings: Settings, change: list[dict[str, Any]], why: str
) -> None:
    """It is settled then: another may be proposed."""
    await propose(graded, settings, *change)

    await regrader(graded).turn()

    state, fault = await state_of(graded)
    assert state == "failed" and fault is not None and why in fault
    await propose(graded, settings, {"item": "A3", "answer": "b"}, regrade_id="R2")


async def test_a_result_that_cannot_be_reproduced_is_not_covered_up(graded: Exam, settings: Settings) -> None:
    """Somebody changed a response behind the engine's back: that is for a review, not for a regrade."""
    await graded.query("""UPDATE response SET value = '"a"' WHERE item = 'A3' RETURNING 1""")
    await propose(graded, settings, {"item": "A4", "voided": True})

    await regrader(graded).turn()

    state, fault = await state_of(graded)
    assert state == "failed" and fault is not None and "'one'" in fault and "review" in fault
    assert await graded.query("SELECT count(*) FROM regrade_sitting") == [(0,)]


async def test_what_cannot_be_read_fails_its_regrade_and_no_other(graded: Exam, settings: Settings) -> None:
    """Its kind is told, and nothing of its content."""
    await graded.query("UPDATE response SET value = '{' WHERE item = 'A2' RETURNING 1")
    await propose(graded, settings, {"item": "A3", "answer": "b"})

    assert [await regrader(graded).turn() for _ in range(2)] == [True, False]

    assert await state_of(graded) == ("failed", "something on record cannot be read (Refused)")


async def test_another_graders_key_opens_no_changes(graded: Exam, settings: Settings) -> None:
    """They were sealed to the one that was registered then."""
    await propose(graded, settings, {"item": "A3", "answer": "b"})

    await Regrader(graded.grader_database, b"x" * 32, SIGNER).turn()

    state, fault = await state_of(graded)
    assert state == "failed" and fault is not None and "grader.key does not open" in fault


async def test_a_grader_killed_while_applying_leaves_nothing_and_the_next_one_does_it(
    graded: Exam, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither half of the revisions nor a number of the feed; whoever is told of no commit finds nothing to do."""
    await propose(graded, settings, {"item": "A3", "answer": "b"})
    await regrader(graded).turn()
    await approve(graded)
    whole = graded.grader_database.transaction

    @asynccontextmanager
    async def dying() -> AsyncIterator[Connection]:
        async with whole() as connection:
            yield connection
            raise TryLater("the grader died before the commit")

    @asynccontextmanager
    async def answer_lost() -> AsyncIterator[Connection]:
        async with whole() as connection:
            yield connection
        raise TryLater("the connection broke after the commit")

    monkeypatch.setattr(graded.grader_database, "transaction", dying)
    with pytest.raises(TryLater):
        await regrader(graded).turn()
    monkeypatch.undo()
    died = (await state_of(graded), len(await results(graded)))
    monkeypatch.setattr(graded.grader_database, "transaction", answer_lost)
    with pytest.raises(TryLater):
        await regrader(graded).turn()
    monkeypatch.undo()

    assert died == (("approved", None), 2)
    assert await regrader(graded).turn() is False
    assert (await state_of(graded))[0] == "applied"
    assert [revision for _, revision, _, _ in await results(graded)] == [1, 1, 2, 2]


async def test_a_grader_whose_connection_is_ended_in_the_middle_of_applying_has_written_nothing(
    graded: Exam, settings: Settings
) -> None:
    """It waits for the feed with every revision in hand; then it is gone, and the next one begins anew."""
    await propose(graded, settings, {"item": "A3", "answer": "b"})
    await regrader(graded).turn()
    await approve(graded)

    async with graded.owner_database.transaction() as other:
        await other.execute("SELECT 1 FROM feed FOR UPDATE")
        applying = asyncio.create_task(regrader(graded).turn())
        await until_waiting(graded)
        await graded.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        with pytest.raises(TryLater):
            await applying

    assert await state_of(graded) == ("approved", None)
    assert len(await results(graded)) == 2
    assert await graded.query("SELECT count(*) FROM regrade_key") == [(0,)]
    assert await regrader(graded).turn() is True
    assert len(await results(graded)) == 4


@pytest.mark.parametrize("seed", range(3))
async def test_a_dry_run_equals_what_applying_writes_whatever_changes(
    graded: Exam, settings: Settings, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Any changes, any responses, chunk by chunk; and what voids or accepts, taken back, gives the old scores again."""
    monkeypatch.setattr(regrader_module, "REGRADE_SITTINGS_MAX", 7)
    chance = random.Random(seed)
    other = Exam.beside(graded, "many")
    sitting_ids = [f"s{number:02d}" for number in range(20)]
    await other.arm(*sitting_ids)
    await graded.query("UPDATE sitting SET state = 'collected' WHERE batch_id = 'many' RETURNING 1")
    async with graded.owner_database.connection() as connection:
        rows = [
            (sitting_id, f"A{number}", number, chance.choice(['"a"', '"b"', "null"]), 0)
            for sitting_id in sitting_ids
            for number in range(1, 5)
        ]
        await connection.copy_records_to_table("response", records=rows)
    while await Grader(graded.grader_database, GRADER_KEY, SIGNER).grade():
        pass
    scores = "SELECT sitting_id, (document::json ->> 'score')::numeric FROM result WHERE batch_id = 'many'"
    first = dict(await graded.query(scores))
    ruled = [f"A{number}" for number in chance.sample(range(1, 5), 2)]
    rulings = [{"item": item, chance.choice(["voided", "accept_all"]): True} for item in ruled]
    others = [{"item": item, "answer": chance.choice("ab"), "points": chance.randint(1, 5)} for item in ("A1", "A2")]
    back = [{"item": item, "answer": "a", "points": 1} for item in ("A1", "A2", "A3", "A4")]

    for number, changes in enumerate((rulings, others, back), 1):
        await propose(other, settings, *changes, regrade_id=f"R{number}")
        await regrader(graded).turn()
        found = "SELECT sitting_id, new_score FROM regrade_sitting WHERE regrade_id = $1"
        shown = dict(await graded.query(found, f"R{number}"))
        await approve(other, f"R{number}")
        await regrader(graded).turn()
        written = dict(await graded.query(f"{scores} AND revision = $1", number + 1))
        assert written == shown and len(shown) == len(sitting_ids)

    assert written == first
    numbers = "SELECT count(*), count(DISTINCT publication) FROM result WHERE batch_id = 'many'"
    assert await graded.query(numbers) == [(4 * len(sitting_ids), 4 * len(sitting_ids))]
    keys = await graded.query("SELECT answer_key_digest FROM regrade_key ORDER BY number DESC LIMIT 1")
    assert keys == [(question_set().answer_key_digest,)]


async def test_two_graders_apply_a_regrade_once(graded: Exam, settings: Settings) -> None:
    """Who comes second finds it held, or done."""
    await propose(graded, settings, {"item": "A3", "answer": "b"})
    await regrader(graded).turn()
    await approve(graded)

    turns = await asyncio.gather(*(regrader(graded).turn() for _ in range(3)))

    assert sorted(turns) == [False, False, True]
    assert len(await results(graded)) == 4


async def test_a_batch_that_waits_for_its_release_gets_only_the_newest_revision_published(
    graded: Exam, settings: Settings
) -> None:
    """What nobody has seen and was replaced stays on record, and out of the feed."""
    other = Exam.beside(graded, "late")
    other.batch = batch("late", release="approved", duration_s=1, grace_s=0)
    await other.arm("three")
    await graded.query("UPDATE sitting SET state = 'collected' WHERE sitting_id = 'three' RETURNING 1")
    await Grader(graded.grader_database, GRADER_KEY, SIGNER).grade()
    await propose(other, settings, {"item": "A3", "accept_all": True})
    await regrader(graded).turn()
    await approve(other)
    await regrader(graded).turn()
    hidden = await graded.query("SELECT count(publication) FROM result WHERE batch_id = 'late'")
    async with graded.engine_database.transaction() as connection:
        await release_batch(connection, "late", ["甲", "乙"], "api")

    published = "SELECT revision, publication IS NOT NULL FROM result WHERE batch_id = 'late' ORDER BY revision"
    assert hidden == [(0,)]
    assert await graded.query(published) == [(1, False), (2, True)]


async def test_queries_do_not_grow_with_the_sittings_of_a_chunk(
    graded: Exam, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four for reading and one for keeping, however many sittings a chunk has."""
    other = Exam.beside(graded, "large")
    await other.arm(*(f"s{number:03d}" for number in range(60)))
    await graded.query("UPDATE sitting SET state = 'collected' WHERE batch_id = 'large' RETURNING 1")
    grader = Grader(graded.grader_database, GRADER_KEY, SIGNER)
    while await grader.grade():
        pass
    asked = []

    @asynccontextmanager
    async def counted() -> AsyncIterator[Connection]:
        async with whole() as connection:
            heard: list[str] = []
            connection.add_query_logger(lambda record: heard.append(record.query))
            yield connection
            asked.append(len(heard))

    whole = graded.grader_database.transaction
    await propose(other, settings, {"item": "A1", "accept_all": True})
    for chunk in (60, 60, 30, 15):  # the first time the driver asks what types there are
        monkeypatch.setattr(regrader_module, "REGRADE_SITTINGS_MAX", chunk)
        monkeypatch.setattr(graded.grader_database, "transaction", counted)
        await regrader(graded).turn()
        monkeypatch.undo()
        await graded.query("UPDATE regrade SET state = 'proposed' RETURNING 1")

    _, one_chunk, two_chunks, four_chunks = asked
    assert two_chunks - one_chunk == 5
    assert four_chunks - two_chunks == 10
