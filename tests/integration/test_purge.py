"""What may be erased, when, and that nothing of it stays but a signed record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.keeping.archive import TABLES, archive
from engine.keeping.bundle import KeepingFault
from engine.keeping.purge import Purged, purge, shown
from engine.rules.retention import day_of, kept_until_ms
from engine.scoring.grader import Grader
from engine.sealing import signature
from engine.stores.clock import now_ms
from tests.integration.exam import GRADER_KEY, Exam
from tests.integration.test_archive import ARCHIVER, KEYS
from tests.integration.test_grader import SIGNER, finish

pytestmark = pytest.mark.anyio
DAY_MS = 24 * 3600 * 1000
YEAR_MS = 366 * DAY_MS


@pytest.fixture
async def over(exam: Exam) -> Exam:
    """An exam that was graded; `age` makes it older."""
    await finish(exam)
    await Grader(exam.grader_database, GRADER_KEY, SIGNER).grade()
    return exam


async def age(exam: Exam, by_ms: int) -> None:
    await exam.query(f"UPDATE batch SET starts_ms = starts_ms - {by_ms} RETURNING 1")


async def archived(exam: Exam, path: Path) -> Path:
    await archive(exam.owner_database._dsn, exam.batch.batch_id, ARCHIVER, path)
    return path


async def purged(exam: Exam, path: Path, *, is_dry_run: bool = False) -> Purged:
    return await purge(exam.owner_database._dsn, exam.batch.batch_id, ARCHIVER, path, KEYS, is_dry_run=is_dry_run)


async def left(exam: Exam) -> dict[str, int]:
    """Rows of the batch in every table that has a column for it or for its sittings, but for the record."""
    columns = await exam.query(
        "SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables USING"
        " (table_schema, table_name) WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
        " AND column_name IN ('batch_id', 'sitting_id') AND table_name <> 'purge'"
    )
    assert len(columns) > 20
    found: dict[str, int] = {}
    for table, column in columns:
        [(rows,)] = await exam.query(f"SELECT count(*) FROM {table} WHERE {column} IS NOT NULL")
        if rows:
            found[table] = rows
    return found


async def count(exam: Exam, table: str) -> int:
    [(rows,)] = await exam.query(f"SELECT count(*) FROM {table}")
    return int(rows)


async def test_a_batch_whose_time_has_come_goes_whole_and_leaves_a_signed_record(over: Exam, tmp_path: Path) -> None:
    """In every table there is; its paper and answer key as well, for nobody else uses them."""
    await age(over, 6 * YEAR_MS)
    file = await archived(over, tmp_path / "a.zip")
    before = await left(over)

    done = await purged(over, file)

    assert before["sitting"] == 2 and before["response"] and before["result"]
    assert await left(over) == {}
    assert await count(over, "paper") == 0
    assert await count(over, "answer_key") == 0
    [(purged_ms, kept)] = await over.query("SELECT purged_ms, record FROM purge")
    record: dict[str, Any] = orjson.loads(kept)
    assert record == done.record and signature.is_valid(record, KEYS)
    assert record["rows"]["sitting"] == 2 and record["rows"]["response"] == before["response"]
    # `receipt` is worked out, no table.
    assert {table.name for table in TABLES} - {"receipt"} <= record["rows"].keys()
    assert purged_ms == record["purged_ms"] <= now_ms()
    assert orjson.loads(shown(done)[-1]) == record and "2 rows of sitting" in shown(done)


async def test_a_dry_run_says_the_same_and_erases_nothing(over: Exam, tmp_path: Path) -> None:
    await age(over, 6 * YEAR_MS)
    file = await archived(over, tmp_path / "a.zip")
    before = await left(over)

    tried = await purged(over, file, is_dry_run=True)

    assert await left(over) == before
    assert await over.query("SELECT 1 FROM purge") == []
    assert tried.rows == (await purged(over, file)).rows


@pytest.mark.parametrize("years", [0, 4])
async def test_nothing_goes_before_its_day(over: Exam, tmp_path: Path, years: int) -> None:
    """The refusal names the days; also after three years, for the records are kept longer than the papers."""
    await age(over, years * YEAR_MS + DAY_MS)
    file = await archived(over, tmp_path / "a.zip")
    before = await left(over)
    [(ends_ms,)] = await over.query("SELECT starts_ms + duration_s * 1000::bigint FROM batch")
    records_ms = kept_until_ms(ends_ms, 5)

    with pytest.raises(KeepingFault, match=f"its records until before {day_of(records_ms)}"):
        await purged(over, file)

    assert await left(over) == before


async def test_what_was_not_archived_as_it_is_stays(over: Exam, tmp_path: Path) -> None:
    """Something came after the archive was made: archive it again, then it goes."""
    await age(over, 6 * YEAR_MS)
    file = await archived(over, tmp_path / "a.zip")
    await over.query("UPDATE sitting SET room = 'elsewhere' RETURNING 1")

    with pytest.raises(KeepingFault, match="archive it again"):
        await purged(over, file)

    assert (await left(over))["sitting"] == 2
    await purged(over, await archived(over, tmp_path / "b.zip"))
    assert await left(over) == {}


async def test_an_archive_that_is_not_valid_erases_nothing(over: Exam, tmp_path: Path) -> None:
    """Half of it is missing; or none of the keys that we trust signed it."""
    await age(over, 6 * YEAR_MS)
    file = await archived(over, tmp_path / "a.zip")
    half = tmp_path / "half.zip"
    half.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    with pytest.raises(KeepingFault, match="is no archive"):
        await purged(over, half)
    with pytest.raises(KeepingFault, match="no published key signed"):
        await purge(over.owner_database._dsn, over.batch.batch_id, ARCHIVER, file, KEYS[1:], is_dry_run=False)

    assert (await left(over))["sitting"] == 2


async def test_a_paper_that_another_batch_uses_stays(over: Exam, tmp_path: Path) -> None:
    """It goes with the last of them."""
    await age(over, 6 * YEAR_MS)
    file = await archived(over, tmp_path / "a.zip")
    await over.query(
        "INSERT INTO batch (batch_id, title, occupation, level, subject, kind, paper_id, admission_code, starts_ms,"
        " duration_s, rules, pushed_ms) SELECT 'other', title, occupation, level, subject, kind, paper_id,"
        " admission_code, starts_ms, duration_s, rules, pushed_ms FROM batch RETURNING 1"
    )

    done = await purged(over, file)

    assert (done.rows["paper"], done.rows["answer_key"], done.rows["batch"]) == (0, 0, 1)
    assert await count(over, "paper") == 1
    assert await count(over, "answer_key") == 1
