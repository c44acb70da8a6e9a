"""Which batches there are for proctors, and which rooms they sit in."""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.invigilation.resources import Invigilation
from engine.rules import timing
from engine.rules.errors import Refused
from engine.rules.limits import INSTANT_MS_MAX, ROOMS_SPAN_MS
from engine.rules.shape import Faults
from engine.rules.terms import Batch, SittingState
from engine.stores.clock import now_ms
from engine.stores.laying import batch_of
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries
from engine.wire import check, json_response, path_id, query_whole

_queries = Queries(__file__)
_SHOWN = ("batch_id", "title", "occupation", "level", "subject", "kind", "starts_ms", "ends_ms")


async def show_batches(request: Request) -> Response:
    """`GET /v1/invigilation?from_ms=&to_ms=`: armed batches that start in [from, to), by default a day around now."""
    await require(request, "proctor")
    invigilation: Invigilation = request.app.state.invigilation
    now = now_ms()
    faults = Faults()
    from_ms = query_whole(request, "from_ms", now - ROOMS_SPAN_MS, 0, INSTANT_MS_MAX, faults)
    to_ms = query_whole(request, "to_ms", now + ROOMS_SPAN_MS, 0, INSTANT_MS_MAX, faults)
    check(faults)
    async with invigilation.database.connection() as connection:
        rows = await connection.fetch(_queries.batches_between, from_ms, to_ms)
    batches = [{**shown_batch(batch_of(row)), "sittings": row["sittings"], "rooms": row["rooms"]} for row in rows]
    return json_response({"server_ms": now, "batches": batches})


async def show_rooms(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}/rooms`: each with how many of its sittings stand where."""
    await require(request, "proctor")
    invigilation: Invigilation = request.app.state.invigilation
    batch_id = path_id(request, "batch_id")
    async with invigilation.database.connection() as connection:
        row = await find_batch(connection, batch_id)
        groups = await connection.fetch(_queries.count_rooms, batch_id)
    batch, now = batch_of(row), now_ms()
    rooms: dict[tuple[str, str], Counter[str]] = {}
    for group in groups:
        state = SittingState(group["state"])
        if row["armed_ms"] is not None:
            state = timing.state_at(state, timing.boundaries(batch, group["extra_time_s"]), now)
        rooms.setdefault((group["site"], group["room"]), Counter())[state] += group["sittings"]
    shown = [
        {
            "site": site,
            "room": room,
            "sittings": counts.total(),
            "counts": {str(state): counts[state] for state in SittingState},
        }
        for (site, room), counts in rooms.items()
    ]
    return json_response({"server_ms": now, "batch": shown_batch(batch), "rooms": shown})


async def find_batch(connection: Connection, batch_id: str) -> Record:
    """Raises Refused `not_found`."""
    row = await connection.fetchrow(_queries.find_batch, batch_id)
    if row is None:
        raise Refused("not_found", f"there is no batch {batch_id!r}")
    return row


def shown_batch(batch: Batch) -> dict[str, Any]:
    """What a proctor needs to know of it: never its admission code, which is announced in the room."""
    return {
        **{name: getattr(batch, name) for name in _SHOWN},
        "takeover": batch.rules.takeover,
        "photo": batch.rules.photo,
    }
