"""What tests of erasing share: a batch made older, archived and purged, and what is left of it in both stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.keeping import erasing
from engine.keeping.archive import archive
from engine.keeping.purge import Purged, purge, shown
from engine.scoring.grader import Grader
from tests.integration.exam import GRADER_KEY, Exam
from tests.integration.test_archive import ARCHIVER, KEYS
from tests.integration.test_grader import SIGNER, finish

DAY_MS = 24 * 3600 * 1000
YEAR_MS = 366 * DAY_MS
ANSWERS = {"response", "response_history", "assessment_mark", "assessment_task"}


async def graded(exam: Exam) -> Exam:
    """An exam that is over; `age` makes it older."""
    await finish(exam)
    await Grader(exam.grader_database, GRADER_KEY, SIGNER).grade()
    return exam


async def age(exam: Exam, by_ms: int) -> None:
    await exam.query(f"UPDATE batch SET starts_ms = starts_ms - {by_ms} RETURNING 1")


async def archived(exam: Exam, path: Path) -> Path:
    await archive(exam.owner_database._dsn, exam.batch.batch_id, ARCHIVER, path)
    return path


async def purged(exam: Exam, path: Path, *, is_dry_run: bool = False) -> Purged:
    return await purge(
        exam.owner_database._dsn, exam.memory, exam.batch.batch_id, ARCHIVER, path, KEYS, is_dry_run=is_dry_run
    )


async def in_redis(exam: Exam) -> list[str]:
    """Every key that holds something of a sitting, a way in, or a paper; not those that say that it was erased."""
    found = {name async for names in exam.memory.find_keys("*") for name in names}
    kept = sorted(name for name in found if name.startswith(("login:", "batch:", "sealed:")) or ":s:" in name)
    return [name for name in kept if not name.startswith("batch:") or await exam.memory.read_bytes(name) != b"erased"]


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


class Killed(Exception):
    """As a process that is gone: nothing after it runs."""


async def until_done(exam: Exam, file: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Purge again and again, each time killed at its n-th step, n = 1, 2, 3 …; how often until one came through."""
    erase = erasing.Eraser._run
    for allowed in range(1, 200):
        left_to_do = allowed

        async def run(self: Any, *arguments: Any) -> int:
            nonlocal left_to_do
            left_to_do -= 1
            if left_to_do == 0:
                raise Killed
            return await erase(self, *arguments)

        monkeypatch.setattr(erasing.Eraser, "_run", run)
        try:
            await purged(exam, file)
        except Killed:
            told = await purged(exam, file, is_dry_run=True)
            assert told.is_under_way and "so much went so far" in shown(told)[-1]
        else:
            return allowed
    raise AssertionError("it never came through")


async def killed(*_: Any, **__: Any) -> int:
    raise Killed
