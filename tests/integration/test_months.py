"""Monthly partitions: there before their month, whatever finds none is kept and moved, and readiness tells."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from engine import metrics
from engine.readiness import Readiness
from engine.rules.errors import TryLater
from engine.rules.limits import INSTANT_MS_MAX
from engine.sealing.signature import Signer
from engine.stores import migrations, months, postgres
from engine.stores.clock import now_ms
from engine.stores.months import Month, months_between
from tests.integration.exam import Exam, until_waiting

pytestmark = pytest.mark.anyio

NEW_YEAR_2027_MS = 1_798_761_600_000  # 2027-01-01T00:00:00Z
DAY_MS = 86_400_000


def test_a_month_ends_where_the_next_begins() -> None:
    """Half-open, in UTC, across the end of a year."""
    assert Month.of(NEW_YEAR_2027_MS - 1) == (2026, 12)
    assert Month.of(NEW_YEAR_2027_MS) == (2027, 1)
    assert Month(2026, 12).next.first_ms == Month(2027, 1).first_ms == NEW_YEAR_2027_MS
    assert months_between(NEW_YEAR_2027_MS - 1, NEW_YEAR_2027_MS) == [(2026, 12), (2027, 1)]
    assert Month(2026, 3).of_table("sitting_event") == "sitting_event_2026_03"


@pytest.mark.parametrize("day", range(0, 365, 13))
def test_three_months_are_ahead_on_every_day(day: int) -> None:
    """This month and the next two, also from the 31st and across February."""
    at_ms = NEW_YEAR_2027_MS + day * DAY_MS
    this = Month.of(at_ms)

    ahead = months_between(at_ms, at_ms + months.AHEAD_MS)

    assert ahead[:3] == [this, this.next, this.next.next]


async def test_months_are_made_once_and_take_what_is_recorded(exam: Exam) -> None:
    """Of both tables; the second time there is nothing to do."""
    made = await months.make_ahead(exam.database, now_ms())
    again = await months.make_ahead(exam.database, now_ms())
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    await exam.recorder.record()

    this = Month.of(now_ms())
    assert len(made) >= 6 and again == []
    places = await exam.query("SELECT tableoid::regclass::text FROM response_history")
    assert places in ([(this.of_table("response_history"),)], [(this.next.of_table("response_history"),)])
    assert await exam.query("SELECT count(*) FROM sitting_event_default") == [(0,)]


async def test_the_month_of_an_armed_batch_is_made_however_far_away(exam: Exam) -> None:
    """Until then it is told, and stops nobody: others may be in the middle of their exam."""
    starts_ms = now_ms() + 200 * DAY_MS
    month = Month.of(starts_ms).of_table("response_history")
    readiness = Readiness(exam.engine_database, exam.memory, Signer(b"s" * 32), {})
    await months.make_ahead(exam.database, now_ms())
    before = await readiness._months()
    await exam.query("UPDATE batch SET starts_ms = $1 RETURNING 1", starts_ms)

    red = await readiness._months()
    amber = readiness.warnings["months"]
    made = await months.make_ahead(exam.database, now_ms())

    assert (before, red) == ("", "")
    assert month in amber
    assert month in made
    assert await readiness._months() == ""
    assert "months" not in readiness.warnings


async def test_without_the_month_of_tomorrows_batch_nobody_is_ready(exam: Exam) -> None:
    """Tomorrow's path is walked today, also over the end of a month."""
    readiness = Readiness(exam.engine_database, exam.memory, Signer(b"s" * 32), {})

    assert Month.of(now_ms()).of_table("response_history") in await readiness._months()
    await months.make_ahead(exam.database, now_ms())
    assert await readiness._months() == ""


async def test_a_batch_at_the_end_of_the_calendar_harms_nobody(exam: Exam) -> None:
    """Its rows would lie in the default partition; the months of the others are made."""
    starts_ms = INSTANT_MS_MAX - 1000
    await exam.query("UPDATE batch SET starts_ms = $1 RETURNING 1", starts_ms)

    made = await months.make_ahead(exam.database, now_ms())

    assert Month.of(now_ms()).of_table("sitting_event") in made
    assert await months.make_ahead(exam.database, now_ms()) == []


async def test_rows_that_found_no_month_are_told_and_moved_into_theirs(exam: Exam) -> None:
    """Nothing is refused and nothing lost: the default partition takes it until the month is made."""
    readiness = Readiness(exam.engine_database, exam.memory, Signer(b"s" * 32), {"backlog": "low"})
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'), ("A2", 2, '"b"'))
    await exam.recorder.record()
    before = await exam.query("SELECT * FROM response_history ORDER BY item")
    astray = await exam.query("SELECT count(*) FROM response_history_default")

    missing = await readiness._months()
    warned = dict(readiness.warnings)
    await months.make_ahead(exam.database, now_ms())
    await readiness._months()

    assert astray == [(2,)]
    assert missing.startswith("partitions are missing")
    assert "response_history_20" in warned["months"] and "sitting_event_20" in warned["months"]
    assert readiness.warnings == {"backlog": "low"}
    assert await exam.query("SELECT * FROM response_history ORDER BY item") == before
    assert await exam.query("SELECT count(*) FROM response_history_default") == [(0,)]


async def test_what_is_recorded_while_its_month_is_made_is_recorded_again(exam: Exam, postgres_dsn: str) -> None:
    """It was on its way into the default partition, which takes it no longer: no fault of the row."""
    await exam.enter("one")
    await exam.recorder.record()
    await exam.save("one", ("A1", 1, '"a"'))
    before = metrics.recorder_failures.labels("corrupt")._value.get()
    maker = await postgres.connect(postgres_dsn)
    async with maker.transaction():
        await maker.execute("LOCK TABLE response_history_default IN ACCESS EXCLUSIVE MODE")
        recording = asyncio.create_task(exam.recorder.record())
        await until_waiting(exam)
        await maker.execute(
            "CREATE TABLE made (LIKE response_history INCLUDING ALL);"
            " ALTER TABLE response_history ATTACH PARTITION made FOR VALUES FROM (0) TO (9000000000000)"
        )
    await maker.close()
    with pytest.raises(TryLater, match="a month was made"):
        await recording

    await exam.hold()
    assert await exam.recorder.record() == 1
    assert await exam.query("SELECT item, seq FROM made") == [("A1", 1)]
    assert metrics.recorder_failures.labels("corrupt")._value.get() == before


async def test_a_month_that_cannot_be_made_now_leaves_everything_as_it_was(exam: Exam) -> None:
    """A long transaction on the default partition: the maker gives way instead of making everybody queue behind it."""
    await exam.enter("one")
    await exam.recorder.record()
    async with exam.owner_database.transaction() as connection:
        await connection.execute("LOCK TABLE sitting_event_default IN ROW EXCLUSIVE MODE")
        with pytest.raises(TryLater):
            await months.make_ahead(exam.database, now_ms())

    await months.make_ahead(exam.database, now_ms())

    assert await exam.query("SELECT count(*) FROM sitting_event") == [(3,)]
    assert await exam.query("SELECT count(*) FROM sitting_event_default") == [(0,)]


async def test_the_migration_moves_every_row_into_its_month(postgres_dsn_empty: str, tmp_path: Path) -> None:
    """Two months, the edge between them, and a moment that no calendar prints."""
    shutil.copy(migrations.FOLDER / "0001_exam.sql", tmp_path)
    await migrations.migrate(postgres_dsn_empty, tmp_path)
    moments = [NEW_YEAR_2027_MS - 1, NEW_YEAR_2027_MS, NEW_YEAR_2027_MS + 1, -5]
    connection = await postgres.connect(postgres_dsn_empty)
    try:
        for moment in moments:
            await connection.execute("INSERT INTO response_history VALUES ('s', 'A1', 1, '1', $1, 1, 1)", moment)
            await connection.execute("INSERT INTO sitting_event VALUES ('s', 'login', $1, 1, 1, 1)", moment)

        await migrations.migrate(postgres_dsn_empty)

        for table, column in months.TABLES.items():
            rows = await connection.fetch(f"SELECT tableoid::regclass::text AS place, {column} AS at FROM {table}")
            assert sorted((row["at"], row["place"]) for row in rows) == [
                (-5, f"{table}_default"),
                (moments[0], f"{table}_2026_12"),
                (moments[1], f"{table}_2027_01"),
                (moments[2], f"{table}_2027_01"),
            ]
    finally:
        await connection.close()
