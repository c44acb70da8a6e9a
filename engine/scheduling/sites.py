"""Sites with their rooms and machines come in, are shown and taken away; rosters only name them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.rules.errors import Invalid, Refused
from engine.rules.limits import ID_PATTERN, SITE_BODY_BYTES_MAX, SITES_PAGE_DEFAULT, SITES_PAGE_MAX
from engine.rules.shape import Faults
from engine.rules.sites import Layout, Room, Site, read_site, show_site
from engine.scheduling.resources import Scheduling
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection, Record, UniqueViolation
from engine.stores.sql import Queries
from engine.wire import check, is_dry_run, json_response, new_id, path_id, query_whole, read_json

queries = Queries(__file__)


async def put_site(request: Request) -> Response:
    """`PUT /v1/sites/{site_id}`: 201 for a new site, 200 otherwise; the same content changes nothing."""
    await require(request, "schedule", "dry_run")
    scheduling: Scheduling = request.app.state.scheduling
    site_id = new_id(request, "site_id", "site.invalid")
    faults = Faults()
    is_dry = is_dry_run(request, faults)
    document = await read_json(request, SITE_BODY_BYTES_MAX)
    check(faults)
    site = read_site(site_id, document)
    try:
        async with scheduling.database.transaction(is_dry_run=is_dry) as connection:
            row = await connection.fetchrow(queries.lock_site, site_id)
            if other := await connection.fetchval(queries.site_named, site.name, site_id):
                raise _name_taken(site.name, f"site {other!r}")
            stored = await sites_of(connection, [row]) if row else []
            if stored != [site]:
                await _store(connection, site)
    except UniqueViolation:  # pushed at the same moment
        raise _name_taken(site.name, "another site") from None
    return json_response(show_site(site), 200 if stored else 201)


async def show(request: Request) -> Response:
    """`GET /v1/sites/{site_id}`."""
    await require(request, "schedule")
    scheduling: Scheduling = request.app.state.scheduling
    site_id = path_id(request, "site_id")
    async with scheduling.database.connection() as connection:
        row = await connection.fetchrow(queries.find_site, site_id)
        if row is None:
            raise _unknown_site(site_id)
        found = await sites_of(connection, [row])
    return json_response(show_site(found[0]))


async def show_many(request: Request) -> Response:
    """`GET /v1/sites?after=&limit=`: a page in the order of their ids; `next` is null at the end."""
    await require(request, "schedule")
    scheduling: Scheduling = request.app.state.scheduling
    faults = Faults()
    after = request.query_params.get("after", "")
    if after and not ID_PATTERN.fullmatch(after):
        faults.add("/after", "expected the `next` of the page before", after)
    limit = query_whole(request, "limit", SITES_PAGE_DEFAULT, 1, SITES_PAGE_MAX, faults)
    check(faults)
    async with scheduling.database.connection() as connection:
        found = await sites_of(connection, await connection.fetch(queries.sites_after, after, limit + 1))
    page = found[:limit]
    following = page[-1].site_id if len(found) > limit else None
    return json_response({"sites": [show_site(site) for site in page], "next": following})


async def remove(request: Request) -> Response:
    """`DELETE /v1/sites/{site_id}`: rosters and seats that name it stay as they are."""
    await require(request, "schedule")
    scheduling: Scheduling = request.app.state.scheduling
    site_id = path_id(request, "site_id")
    async with scheduling.database.transaction() as connection:
        if await connection.fetchval(queries.remove_site, site_id) is None:
            raise _unknown_site(site_id)
    return json_response({"site_id": site_id, "removed": True})


async def sites_of(connection: Connection, rows: Sequence[Record]) -> list[Site]:
    """Rows of `site` as the rules know them, with their rooms; one query however many."""
    rooms: dict[str, list[Room]] = defaultdict(list)
    for row in await connection.fetch(queries.rooms_of, [row["site_id"] for row in rows]):
        layout = None
        if row["numbering"] is not None:
            layout = Layout(row["layout_rows"], row["layout_columns"], row["numbering"])
        room = Room(name=row["name"], machines=row["machines"], spares=row["spares"], layout=layout)
        rooms[row["site_id"]].append(room)
    return [
        Site(
            site_id=row["site_id"],
            name=row["name"],
            address=row["address"],
            tier=row["tier"],
            rooms=tuple(rooms[row["site_id"]]),
        )
        for row in rows
    ]


async def _store(connection: Connection, site: Site) -> None:
    await connection.execute(queries.put_site, site.site_id, site.name, site.address, site.tier, now_ms())
    await connection.execute(queries.remove_rooms, site.site_id)
    layouts = [room.layout for room in site.rooms]
    await connection.execute(
        queries.put_rooms,
        site.site_id,
        list(range(len(site.rooms))),
        [room.name for room in site.rooms],
        [room.machines for room in site.rooms],
        [room.spares for room in site.rooms],
        [layout and layout.rows for layout in layouts],
        [layout and layout.columns for layout in layouts],
        [layout and layout.numbering for layout in layouts],
    )


def _unknown_site(site_id: str) -> Refused:
    return Refused("not_found", f"there is no site {site_id[:80]!r}")


def _name_taken(name: str, owner: str) -> Invalid:
    faults = Faults()
    faults.add("/name", f"{owner} has this name already, and rosters could not tell them apart", name)
    return Invalid("site.invalid", faults.listed, errors_total=faults.total)
