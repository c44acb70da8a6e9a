"""From the feed to deliveries: each published revision becomes one delivery per webhook that wants it.

Promise: whoever publishes, however, and whatever dies in between: every revision becomes exactly one delivery of each
webhook that was there, in the feed's order. How: the feed is the outbox. A result gets its publication number in the
transaction that makes it visible, numbers become visible in their order, and a webhook's cursor moves over them in the
transaction that makes the deliveries.
"""

from __future__ import annotations

from engine.rules.limits import FAN_OUT_RESULTS_MAX
from engine.stores.postgres import Postgres
from engine.stores.sql import Queries

_queries = Queries(__file__)


async def fan_out(database: Postgres) -> bool:
    """A stretch of the feed for each webhook that is behind; whether any was moved on. Raises TryLater."""
    async with database.connection() as connection:
        behind = [row["webhook_id"] for row in await connection.fetch(_queries.behind)]
    moved = False
    for webhook_id in behind:
        async with database.connection() as connection:
            made = await connection.fetchval(_queries.fan_out, webhook_id, FAN_OUT_RESULTS_MAX)
        moved = moved or made is not None
    return moved
