"""Answers go before the records: what that leaves, and by which archives the rest goes later."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest

from engine.keeping import erasing
from engine.keeping import purge as purge_module
from engine.keeping.archive import TABLES, archive
from engine.keeping.audit import audit
from engine.keeping.bundle import KeepingFault
from engine.rules.errors import Refused
from engine.scheduling import batches, key_changes
from engine.scoring import results, score_reviews, settling
from engine.scoring.publication import release_batch
from engine.scoring.rechecker import Rechecker
from engine.sealing import secrets, signature
from engine.settings import Settings
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection
from tests.integration.exam import GRADER_KEY, Exam, until_waiting
from tests.integration.purging import (
    ANSWERS,
    YEAR_MS,
    Killed,
    age,
    archived,
    count,
    graded,
    in_redis,
    killed,
    left,
    purged,
)
from tests.integration.test_archive import ARCHIVER, KEYS
from tests.integration.test_regrader import propose

pytestmark = pytest.mark.anyio


@pytest.fixture
async def over(exam: Exam) -> Exam:
    """An exam that was graded."""
    return await graded(exam)


async def test_answers_go_two_years_before_the_records(
    over: Exam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results and the rest stay and are served; what was answered is gone, from Redis too; then the rest goes.

    The same archive serves for both: what is left is compared with it.
    """
    await age(over, 4 * YEAR_MS)
    file = await archived(over, tmp_path / "a.zip")
    before = await left(over)
    tried = await purged(over, file, is_dry_run=True)
    first = await purged(over, file)

    assert (tried.kind, tried.rows, tried.record) == (first.kind, first.rows, None)
    after = {table: rows for table, rows in before.items() if table.removesuffix("_default") not in ANSWERS}
    assert await left(over) == {**after, "erasing": 1}
    assert [name for name in await in_redis(over) if ":s:" in name or name.startswith("login:")] == []
    assert first.record is not None and (first.record["kind"], set(first.record["rows"])) == ("answers", ANSWERS)
    with pytest.raises(KeepingFault, match="were erased on"):
        await purged(over, file)

    later_ms = now_ms() + 2 * YEAR_MS
    monkeypatch.setattr(purge_module, "now_ms", lambda: later_ms)
    await over.query("UPDATE sitting SET room = 'elsewhere' RETURNING 1")
    with pytest.raises(KeepingFault, match=r"not what was archived any more \(tables/sitting.ndjson\): archive what"):
        await purged(over, file)
    await over.query("UPDATE sitting SET room = 'r' RETURNING 1")
    second = await purged(over, file)

    assert second.record is not None and second.record["kind"] == "records"
    assert second.rows["response"] == 0 and second.rows["sitting"] == 2
    assert (await left(over), await in_redis(over)) == ({}, [])
    assert await count(over, "purge") == 2


async def without_answers(exam: Exam, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five years are over, and the answers went after three; then came a migration and a release."""
    await age(exam, 4 * YEAR_MS)
    await purged(exam, await archived(exam, file))
    later_ms = now_ms() + 2 * YEAR_MS
    monkeypatch.setattr(purge_module, "now_ms", lambda: later_ms)
    await exam.query("ALTER TABLE sitting ADD COLUMN remark text NOT NULL DEFAULT 'added since'")
    async with exam.engine_database.transaction() as connection:
        assert await release_batch(connection, "B", ["甲", "乙"], "api")


async def test_records_that_changed_since_the_answers_went_are_archived_by_themselves(
    over: Exam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a migration, or a late release: the new archive holds all that is left and names the one with the answers."""
    file = tmp_path / "a.zip"
    await without_answers(over, file, monkeypatch)
    with pytest.raises(KeepingFault, match=r"tables/sitting.ndjson, tables/batch_event.ndjson, tables/batch.ndjson"):
        await purged(over, file)

    rest = tmp_path / "rest.zip"
    made = await archive(over.owner_database._dsn, "B", ARCHIVER, rest)
    faults, told = audit(rest, KEYS, [GRADER_KEY])
    tried = await purged(over, rest, is_dry_run=True)
    done = await purged(over, rest)

    assert faults == [] and "2 signed results, without the answers" in told and f"content {made.answers_in}," in told
    with zipfile.ZipFile(rest) as bundle:
        held = {Path(name).stem for name in bundle.namelist() if name.startswith("tables/")}
    assert held == {table.name for table in TABLES} - ANSWERS - {"receipt"}
    assert {table: done.rows.get(table, 0) for table in tried.rows} == tried.rows
    first, second = [orjson.loads(record) for (record,) in await over.query("SELECT record FROM purge ORDER BY 1")]
    assert (first["kind"], second["kind"]) == ("answers", "records")
    assert (second["archive_digest"], second["answers_in"]) == (made.digest, first["archive_digest"])
    assert signature.is_valid(second, KEYS) and "answers_in" not in first
    assert (await left(over), await in_redis(over)) == ({}, [])


async def test_an_archive_of_records_serves_only_while_it_holds_what_is_left(
    over: Exam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What really differs is refused, once it is being erased another archive as well, and none is made of a half."""
    await without_answers(over, tmp_path / "a.zip", monkeypatch)
    rest = await archived(over, tmp_path / "rest.zip")
    await over.query("UPDATE sitting SET room = 'elsewhere' RETURNING 1")

    with pytest.raises(KeepingFault, match=r"\(tables/sitting.ndjson\): archive what is left"):
        await purged(over, rest)
    newer = await archived(over, tmp_path / "newer.zip")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(erasing.Eraser, "_run", killed)
        await purged(over, newer)
    with pytest.raises(KeepingFault, match="something is gone that the archive"):
        await purged(over, rest)
    with pytest.raises(KeepingFault, match="something of batch 'B' is being erased"):
        await archived(over, tmp_path / "half.zip")

    await purged(over, newer)
    assert await left(over) == {}


async def test_an_archive_of_records_erases_no_answers(
    over: Exam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put back to before they were erased, the database has them again, and this archive has not."""
    await without_answers(over, tmp_path / "a.zip", monkeypatch)
    rest = await archived(over, tmp_path / "rest.zip")
    await over.query("DELETE FROM erasing RETURNING 1")

    with pytest.raises(KeepingFault, match="this archive holds no answers of batch 'B'"):
        await purged(over, rest)

    assert (await left(over))["sitting"] == 2


async def test_from_what_is_gone_nothing_is_made(over: Exam, tmp_path: Path) -> None:
    """No regrade over responses that are not there, no statistics that would take them for omissions, and no sittings
    laid ready again, by a roster that is pushed once more, that lack their answers."""
    await age(over, 4 * YEAR_MS)
    await purged(over, await archived(over, tmp_path / "a.zip"))

    for asked in (
        results._find_sitting,
        key_changes._check_over,
        settling.is_settled,
        batches.refuse_erased,
        score_reviews._refuse_erased,
    ):
        async with over.engine_database.transaction() as connection:
            with pytest.raises(Refused) as refused:
                await asked(connection, "one" if asked is results._find_sitting else "B")
        assert (refused.value.code, refused.value.status) == ("batch.erased", 410)


async def test_who_waits_for_a_purge_sees_that_it_has_begun(over: Exam) -> None:
    """A regrade, or a review of a score, that is asked for in the very moment in which the answers begin to go."""
    for asked in (key_changes._check_over, score_reviews._refuse_erased):
        async with over.owner_database.transaction() as purging:
            await purging.execute(purge_module._queries.lock_batch, "B")
            waiting = asyncio.create_task(_asked(over, asked))
            await until_waiting(over)
            await purging.execute(purge_module._queries.begin, "B", "digest", 1, "answers")

        with pytest.raises(Refused) as refused:
            await waiting
        assert refused.value.code == "batch.erased"
        await over.query("DELETE FROM erasing RETURNING 1")


async def _asked(exam: Exam, asked: Callable[[Connection, str], Awaitable[object]]) -> None:
    async with exam.engine_database.transaction() as connection:
        await asked(connection, "B")


async def test_a_review_that_waits_for_its_recheck_keeps_the_answers(over: Exam, tmp_path: Path) -> None:
    """The grader needs them; once it has had its turn they may go."""
    await age(over, 4 * YEAR_MS)
    await over.query(
        "INSERT INTO score_review (sitting_id, revision, batch_id, requested_by, requested_ms, due_ms, grounds, words,"
        " receipt, key_id) VALUES ('one', 1, 'B', 'c', 0, 0, '{tally}', '', '', 'k') RETURNING 1"
    )
    with pytest.raises(KeepingFault, match="a score review of batch 'B' waits for its recheck"):
        await purged(over, await archived(over, tmp_path / "a.zip"))

    assert await Rechecker(over.grader_database, GRADER_KEY).turn()

    await purged(over, await archived(over, tmp_path / "b.zip"))


async def test_an_open_regrade_keeps_everything(over: Exam, tmp_path: Path) -> None:
    """It would be made from what is about to go."""
    await age(over, 6 * YEAR_MS)
    settings = Settings(secrets_dir=str(tmp_path))
    secrets.create(tmp_path)
    await propose(over, settings, {"item": "A3", "answer": "b"})

    with pytest.raises(KeepingFault, match="regrade 'R1' of batch 'B' is open"):
        await purged(over, await archived(over, tmp_path / "a.zip"))

    assert (await left(over))["sitting"] == 2 and await count(over, "erasing") == 0
