"""Monthly partitions of the tables that only ever grow: there before their month begins, whoever looks at the calendar.

A month is a calendar month in UTC, by the milliseconds in the table's own column. What finds no month goes into the
table's default partition, so that nothing is ever refused; when its month is made, it moves there.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from engine.rules.limits import INSTANT_MS_MAX
from engine.stores.postgres import Connection, Postgres
from engine.stores.sql import Queries

_queries = Queries(__file__)
TABLES = {"response_history": "saved_ms", "sitting_event": "at_ms"}  # table: the column that decides
_DAY_MS = 86_400_000
AHEAD_MS = 62 * _DAY_MS  # this month and the next two, on whatever day it is
# A batch's changes lie between its check-in and its end with extra time: each less than a day away.
_AROUND_BATCH_MS = _DAY_MS
_YEAR_MAX = 9998  # the calendar ends with the next; its rows may lie in the default partition
_LOCK_TIMEOUT_MS = 2_000  # who waits for a lock on a big table makes everybody else wait behind it
_LOCK = 0x11A_2CA1  # any constant of our own: two recorders must not make one month at once


class Month(NamedTuple):
    year: int
    number: int

    @classmethod
    def of(cls, at_ms: int) -> Month:
        """The month in which a moment lies."""
        moment = datetime.fromtimestamp(min(at_ms, INSTANT_MS_MAX) / 1000, UTC)
        return cls(moment.year, moment.month)

    @property
    def next(self) -> Month:
        return Month(self.year + 1, 1) if self.number == 12 else Month(self.year, self.number + 1)

    @property
    def first_ms(self) -> int:
        return int(datetime(self.year, self.number, 1, tzinfo=UTC).timestamp()) * 1000

    def of_table(self, table: str) -> str:
        """The name of the table's partition for this month."""
        return f"{table}_{self.year:04d}_{self.number:02d}"


def months_between(from_ms: int, until_ms: int) -> list[Month]:
    """Every month that the span touches, both ends included."""
    months = [Month.of(from_ms)]
    while months[-1] < Month.of(until_ms):
        months.append(months[-1].next)
    return months


async def missing(
    connection: Connection, now_ms: int, ahead_ms: int, batches_ahead_ms: int | None = None
) -> list[tuple[str, Month]]:
    """Which table lacks which month, of those from now on for `ahead_ms` and those of armed batches yet to end.

    With `batches_ahead_ms`, only of batches that begin within it.
    """
    wanted = set(months_between(now_ms, now_ms + ahead_ms))
    for row in await connection.fetch(_queries.armed_spans, now_ms - _AROUND_BATCH_MS):
        if batches_ahead_ms is None or row["starts_ms"] <= now_ms + batches_ahead_ms:
            wanted |= set(months_between(row["starts_ms"] - _AROUND_BATCH_MS, row["ends_ms"] + _AROUND_BATCH_MS))
    return await _without(connection, {month for month in wanted if month.year <= _YEAR_MAX})


async def stray_rows(connection: Connection) -> dict[str, list[Month]]:
    """Table -> the months of rows that found no partition of their own."""
    found = {}
    for table, column in TABLES.items():
        rows = await connection.fetch(_queries.stray_months.format(table=table, column=column))
        if rows:
            found[table] = [Month.of(row["first_ms"]) for row in rows]
    return found


async def make_ahead(database: Postgres, now_ms: int) -> list[str]:
    """Make the months that will be needed, and those of rows that found none; the names made. Raises TryLater."""
    async with database.connection() as connection:
        wanted = await missing(connection, now_ms, AHEAD_MS)
        for table, months in (await stray_rows(connection)).items():
            wanted += [(table, month) for month in months]
    made = []
    for table, month in sorted(set(wanted)):
        async with database.transaction() as connection:
            await connection.execute(_queries.take_turn, _LOCK)
            await connection.execute(_queries.limit_waiting, f"{_LOCK_TIMEOUT_MS}ms")
            if await _without(connection, [month], [table]):
                await connection.execute(_queries.make_month, table, month.first_ms)
                made.append(month.of_table(table))
    return made


async def _without(
    connection: Connection, months: Iterable[Month], tables: Iterable[str] = TABLES
) -> list[tuple[str, Month]]:
    attached = {row["name"] for row in await connection.fetch(_queries.attached, list(TABLES))}
    return sorted((table, month) for table in tables for month in months if month.of_table(table) not in attached)
