"""Door lists, seat labels and sign-in sheets of a batch's rooms, to be printed or worked on in a workbook."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.rules.errors import Refused
from engine.rules.limits import PLACE_CHARACTERS_MAX, ROOM_LISTS_CANDIDATES_MAX
from engine.rules.room_lists import TITLES, heading_of, room_lists
from engine.rules.rostering import fold_place
from engine.rules.shape import Faults
from engine.scheduling.batches import queries as batch_queries
from engine.scheduling.batches import unknown_batch
from engine.scheduling.resources import Scheduling
from engine.stores.laying import batch_of
from engine.stores.sql import Queries
from engine.tables.refusal import XLSX
from engine.tables.room_page import CONTENT_SECURITY_POLICY, page
from engine.tables.room_workbook import workbook
from engine.wire import check, path_id

_queries = Queries(__file__)
FORMATS = ("html", "xlsx")


async def show(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}/lists/{list}?site=&room=&format=html|xlsx`: every room, a site's, or one."""
    await require(request, "schedule")
    scheduling: Scheduling = request.app.state.scheduling
    batch_id = path_id(request, "batch_id")
    kind = request.path_params["list"]
    if kind not in TITLES:
        raise Refused("not_found", f"there is no list {kind[:80]!r}, expected one of {', '.join(TITLES)}")
    faults = Faults()
    site, room = (_read_place(request, name, faults) for name in ("site", "room"))
    if room is not None and site is None:
        faults.add("/site", "is missing: rooms of several sites may have one name")
    wanted = request.query_params.get("format") or FORMATS[0]
    if wanted not in FORMATS:
        faults.add("/format", "expected one of " + ", ".join(FORMATS), wanted)
    check(faults)
    async with scheduling.database.connection() as connection:
        row = await connection.fetchrow(batch_queries.find_batch, batch_id)
        if row is None:
            raise unknown_batch(batch_id)
        found = await connection.fetch(_queries.sittings_at, batch_id, site, room, ROOM_LISTS_CANDIDATES_MAX + 1)
    if not found:
        raise Refused("not_found", f"the roster of batch {batch_id!r} has nobody there")
    if len(found) > ROOM_LISTS_CANDIDATES_MAX:
        faults.add("/site", f"expected a site or room with at most {ROOM_LISTS_CANDIDATES_MAX} candidates", site)
    check(faults)
    rooms, unseated = await asyncio.to_thread(room_lists, kind, found)
    heading = heading_of(batch_of(row))
    if wanted == "xlsx":
        made = await asyncio.to_thread(workbook, kind, heading, rooms, unseated)
        headers = {
            "cache-control": "no-store",
            "content-disposition": f'attachment; filename="{kind}-{batch_id}.xlsx"',
        }
        return Response(made, headers=headers, media_type=XLSX)
    headers = {
        "content-security-policy": CONTENT_SECURITY_POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    text = await asyncio.to_thread(page, kind, heading, rooms, unseated)
    return Response(text, headers=headers, media_type="text/html")


def _read_place(request: Request, name: str, faults: Faults) -> str | None:
    """As rosters write it; None for all."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if len(text) > PLACE_CHARACTERS_MAX or "\0" in text:
        faults.add(f"/{name}", f"expected a {name} of at most {PLACE_CHARACTERS_MAX} characters", text)
        return None
    return fold_place(text)
