"""Where else a roster's people sit: one look at all of them tells what forbids a roster, and what is warned of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct

from engine.rules import timing
from engine.rules.calendar import Attempt, year_before_ms
from engine.rules.limits import ROSTER_CHUNK_ROWS
from engine.rules.terms import Batch
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries

_queries = Queries(__file__)


class Elsewhere(Struct, frozen=True):
    """By ID number: why that person cannot be in this batch too, and earlier attempts at the same within a year."""

    overlaps: dict[str, str]
    attempts: dict[str, list[Attempt]]


async def hold_rosters(connection: Connection) -> None:
    """Until this transaction ends no other push puts anybody anywhere: whom `look_elsewhere` misses sits nowhere."""
    await connection.execute(_queries.hold_rosters)


async def look_elsewhere(connection: Connection, batch: Batch, id_numbers: Sequence[str]) -> Elsewhere:
    """Of these people, every other batch that matters to this one."""
    window = (batch.starts_ms, timing.boundaries(batch, 0).closes_ms, batch.admission_code, now_ms())
    same = (batch.occupation, batch.level, batch.subject, year_before_ms(batch.starts_ms))
    rows: list[Record] = []
    for place in range(0, len(id_numbers), ROSTER_CHUNK_ROWS):
        asked = list(id_numbers[place : place + ROSTER_CHUNK_ROWS])
        rows += await connection.fetch(_queries.sittings_elsewhere, batch.batch_id, asked, *window, *same)
    overlaps: dict[str, str] = {}
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    for row in rows:
        if row["same_time"] or row["same_code"]:
            overlaps.setdefault(row["id_number"], _why(row))
        if row["is_attempt"]:
            attempts[row["id_number"]].append(Attempt(row["batch_id"], row["starts_ms"]))
    return Elsewhere(overlaps, attempts)


def _why(row: Record) -> str:
    if row["same_time"]:
        return f"this person sits batch {row['batch_id']!r} at an overlapping time"
    return f"this person is in unclosed batch {row['batch_id']!r} under the same admission code"
