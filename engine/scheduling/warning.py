"""What the calendar says of batches and rosters, beside the answer to a push: nothing is refused for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs

from engine.rules.calendar import Attempt, Warned, batch_warnings, roster_warnings, year_before_ms
from engine.rules.limits import ROSTER_CHUNK_ROWS
from engine.rules.terms import Batch
from engine.stores.postgres import Connection
from engine.stores.sql import Queries

_queries = Queries(__file__)


async def roster_warned(connection: Connection, batch: Batch, people: Mapping[str, str]) -> list[Warned]:
    """Of a roster as it stands, candidate id -> ID number; it counts from the last push that changed something."""
    if batch.kind != "formal" or not people:
        return []
    uploaded_ms = await connection.fetchval(_queries.roster_changed, batch.batch_id)
    return roster_warnings(batch, uploaded_ms, await _attempts(connection, batch, people))


async def all_warned(connection: Connection, batch: Batch, planned_ms: int, people: Mapping[str, str]) -> list[Warned]:
    """Of a batch whose plan came at `planned_ms`, and of its roster as it stands."""
    return [*batch_warnings(batch, planned_ms), *await roster_warned(connection, batch, people)]


def with_warnings(answer: Mapping[str, Any], warned: Sequence[Warned]) -> dict[str, Any]:
    """`answer` with them; as it is when there are none."""
    if not warned:
        return dict(answer)
    return {**answer, "warnings": [*answer.get("warnings", []), *map(structs.asdict, warned)]}


async def _attempts(connection: Connection, batch: Batch, people: Mapping[str, str]) -> dict[str, list[Attempt]]:
    """Candidate id -> earlier sittings of the same person in the same occupation, level and subject."""
    kind = (batch.batch_id, batch.occupation, batch.level, batch.subject)
    since_ms = year_before_ms(batch.starts_ms)
    earlier = await connection.fetch(_queries.earlier_batches, *kind, since_ms, batch.starts_ms)
    if not earlier:
        return {}
    by_number: dict[str, list[Attempt]] = defaultdict(list)
    batch_ids = [row["batch_id"] for row in earlier]
    numbers = list(people.values())
    for place in range(0, len(numbers), ROSTER_CHUNK_ROWS):
        asked = numbers[place : place + ROSTER_CHUNK_ROWS]
        for row in await connection.fetch(_queries.attempts_of, asked, batch_ids):
            by_number[row["id_number"]].append(Attempt(row["batch_id"], row["starts_ms"]))
    return {candidate: by_number[number] for candidate, number in people.items() if number in by_number}
