"""What the calendar says of batches and rosters, beside the answer to a push: nothing is refused for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs

from engine.rules.calendar import Warned, batch_warnings, day_of, is_joint_day, roster_warnings
from engine.rules.terms import Batch
from engine.scheduling.elsewhere import Elsewhere
from engine.stores.postgres import Connection
from engine.stores.sql import Queries

_queries = Queries(__file__)


async def roster_warned(
    connection: Connection, batch: Batch, people: Mapping[str, str], met: Elsewhere
) -> list[Warned]:
    """Of a roster as it stands, candidate id -> ID number; it counts from the last push that changed something."""
    if batch.kind != "formal" or not people:
        return []
    uploaded_ms = None
    if is_joint_day(day_of(batch.starts_ms)):  # of other days nothing is said of when it came
        uploaded_ms = await connection.fetchval(_queries.roster_changed, batch.batch_id)
    attempts = {candidate: met.attempts[number] for candidate, number in people.items() if number in met.attempts}
    return roster_warnings(batch, uploaded_ms, attempts)


async def all_warned(
    connection: Connection, batch: Batch, planned_ms: int, people: Mapping[str, str], met: Elsewhere
) -> list[Warned]:
    """Of a batch whose plan came at `planned_ms`, and of its roster as it stands."""
    return [*batch_warnings(batch, planned_ms), *await roster_warned(connection, batch, people, met)]


def with_warnings(answer: Mapping[str, Any], warned: Sequence[Warned]) -> dict[str, Any]:
    """`answer` with them; as it is when there are none."""
    if not warned:
        return dict(answer)
    return {**answer, "warnings": [*answer.get("warnings", []), *map(structs.asdict, warned)]}
