"""Whether there are item statistics of a batch's results as they stand; if not, the grader is asked to count."""

from __future__ import annotations

import asyncio

from engine.rules.errors import Refused, TryLater
from engine.rules.limits import FLAG_SITTINGS_MIN, STATISTICS_POLL_S, STATISTICS_WAIT_S, STATISTICS_WITHHELD_MS
from engine.stores.clock import monotonic_s, now_ms
from engine.stores.postgres import Connection, Postgres
from engine.stores.sql import Queries

_queries = Queries(__file__)
RETRY_S = 5


async def settle(database: Postgres, batch_id: str) -> None:
    """Return when there are statistics of the batch's results as they stand, asking the grader to count if need be.

    Raises Refused `not_found`, `batch.not_ready` while a sitting has no final result, `batch.erased`, and TryLater when
    it takes too long.
    """
    until_s = monotonic_s() + STATISTICS_WAIT_S
    is_asked = False
    while True:
        async with database.connection() as connection:
            if await is_settled(connection, batch_id):
                return
            if not is_asked:
                await connection.execute(_queries.insert_request, batch_id)
                is_asked = True
        if monotonic_s() > until_s:
            raise TryLater("the item statistics are being counted", retry_after_s=RETRY_S)
        await asyncio.sleep(STATISTICS_POLL_S)


async def is_settled(connection: Connection, batch_id: str) -> bool:
    row = await connection.fetchrow(_queries.look, batch_id)
    if row is None:
        raise Refused("not_found", f"there is no batch {batch_id[:80]!r}")
    if row["armed_ms"] is None or row["ungraded"] or not row["results"]:
        message = f"batch {batch_id!r} has {row['ungraded']} sittings without a final result"
        raise Refused("batch.not_ready", message if row["ungraded"] else f"batch {batch_id!r} has no results")
    is_counted = row["counted_stand"] == row["stand"]
    if row["is_erased"]:  # what was counted stands, and nothing can be counted again
        if not is_counted:
            raise Refused("batch.erased", f"the answers of batch {batch_id!r} need not be kept any more")
        return True
    if not is_counted:
        return False
    return not row["is_withheld"] or row["counted_ms"] + STATISTICS_WITHHELD_MS > now_ms()


async def settle_for_release(database: Postgres, batch_id: str) -> None:
    """The same where a release asks for it: in an `approved` batch, all graded, with enough sittings for a flag."""
    async with database.connection() as connection:
        needs_statistics = await connection.fetchval(_queries.needs_statistics, batch_id, FLAG_SITTINGS_MIN)
    if needs_statistics:
        await settle(database, batch_id)
