"""A batch's log as the scheduling system reads it: who did what, when, and what it changed."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from engine import batch_log
from engine.access import require
from engine.rules.limits import BATCH_LOG_PAGE_DEFAULT, BATCH_LOG_PAGE_MAX, CURSOR_MAX
from engine.rules.shape import Faults
from engine.scheduling.batches import queries as batch_queries
from engine.scheduling.batches import unknown_batch
from engine.scheduling.resources import Scheduling
from engine.wire import check, json_response, path_id, query_whole


async def show(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}/log?after=&limit=`: oldest first; `next` is null at the end."""
    await require(request, "schedule")
    scheduling: Scheduling = request.app.state.scheduling
    batch_id = path_id(request, "batch_id")
    faults = Faults()
    after = query_whole(request, "after", 0, 0, CURSOR_MAX, faults)
    limit = query_whole(request, "limit", BATCH_LOG_PAGE_DEFAULT, 1, BATCH_LOG_PAGE_MAX, faults)
    check(faults)
    async with scheduling.database.connection() as connection:
        if await connection.fetchrow(batch_queries.find_batch, batch_id) is None:
            raise unknown_batch(batch_id)
        events = await batch_log.page(connection, batch_id, after, limit + 1)
    next_cursor = str(events[limit - 1]["number"]) if len(events) > limit else None
    return json_response({"events": events[:limit], "next": next_cursor})
