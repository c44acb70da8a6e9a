"""Device checks: what a page measured is judged here, kept per machine, and shown to who looks after the room.

Promise: the page, the room's list and the acceptance form tell one and the same verdict, the one that was given when
the check came in. A machine is a seat of a room of a site; of each device check its newest result is kept.
How: the sitting of the caller's token says which machine it is; a room's management machine has no sitting, so its
check comes with a proctor's key. Not here: the verdicts themselves (rules/device.py) and the form's figures
(rules/acceptance.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.invigilation.places import read_place
from engine.invigilation.probe import KIND, admit_candidate, admit_management
from engine.invigilation.resources import Invigilation
from engine.rules.acceptance import MANAGEMENT_SEAT, Machine, accept, in_order, show_finding, show_machine
from engine.rules.device import Finding, Measured, Tier, judge, share_of, tier_of, worst
from engine.rules.errors import Refused
from engine.rules.limits import DEVICE_BODY_BYTES_MAX
from engine.rules.measured import read_measured
from engine.rules.shape import Faults
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries
from engine.wire import check, json_response, path_id, read_json

_queries = Queries(__file__)


async def keep(request: Request) -> Response:
    """`POST /v1/sitting/device`: the verdicts; kept as the machine's newest check."""
    invigilation: Invigilation = request.app.state.invigilation
    token = invigilation.candidates.authenticate(request.scope)  # type: ignore[arg-type]
    measured = read_measured(await read_json(request, DEVICE_BODY_BYTES_MAX))
    await admit_candidate(request)
    async with invigilation.database.connection() as connection:
        machine = await connection.fetchrow(_queries.find_machine, token.sitting_id)
        if machine is None:
            raise Refused("not_found", "the sitting is no longer on the roster")
        place = (machine["site"], machine["room"], machine["seat"])
        kept = await _keep(connection, place, token.batch_id, measured, machine["candidates"])
    return json_response(kept)


async def look(request: Request) -> Response:
    """`POST /v1/device`: the verdicts on a machine nobody has logged in at; kept nowhere."""
    measured = read_measured(await read_json(request, DEVICE_BODY_BYTES_MAX))
    return json_response(_judged(judge(measured, None)))


async def keep_management(request: Request) -> Response:
    """`POST /v1/batches/{batch_id}/devices?site=&room=`: the same for the room's management machine."""
    await require(request, "proctor", "site", "room")
    invigilation: Invigilation = request.app.state.invigilation
    batch_id = path_id(request, "batch_id")
    faults = Faults()
    site, room = read_place(request, faults)
    check(faults)
    measured = read_measured(await read_json(request, DEVICE_BODY_BYTES_MAX))
    await admit_management(request)
    async with invigilation.database.connection() as connection:
        batch = await _batch(connection, batch_id, site, room)
        kept = await _keep(connection, (site, room, MANAGEMENT_SEAT), batch_id, measured, batch["candidates"])
    return json_response(kept)


async def show_room(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}/devices?site=&room=`: all machines of a room and its acceptance form.

    Of a device check only its own results; of any other batch the newest that its machines have.
    """
    await require(request, "proctor")
    invigilation: Invigilation = request.app.state.invigilation
    batch_id = path_id(request, "batch_id")
    faults = Faults()
    site, room = read_place(request, faults)
    check(faults)
    async with invigilation.database.connection() as connection:
        batch = await _batch(connection, batch_id, site, room)
        is_own = batch["kind"] == KIND
        rows = await connection.fetch(_queries.machines_in, batch_id, site, room, MANAGEMENT_SEAT, is_own)
    machines = in_order([_machine(row) for row in rows])
    shown = {
        "batch_id": batch_id,
        "title": batch["title"],
        "kind": batch["kind"],
        **_line(site, room, batch["candidates"]),
        "machines": [show_machine(machine) for machine in machines],
        "acceptance": accept(machines),
        "server_ms": now_ms(),
    }
    return json_response(shown)


async def _keep(
    connection: Connection, place: Sequence[str], batch_id: str, measured: Measured, candidates: int
) -> dict[str, Any]:
    """Judge and store; what the caller is told."""
    findings = judge(measured, share_of(candidates))
    judged = _judged(findings)
    checked_ms = now_ms()
    await connection.execute(
        _queries.keep_check,
        *place,
        batch_id,
        checked_ms,
        judged["verdict"],
        msgspec.json.encode(measured).decode(),
        msgspec.json.encode(findings).decode(),
    )
    site, room, seat = place
    return {**_line(site, room, candidates), "seat": seat, "checked_ms": checked_ms, **judged}


def _judged(findings: Sequence[Finding]) -> dict[str, Any]:
    verdict = worst(finding.verdict for finding in findings)
    return {"verdict": verdict, "findings": [show_finding(finding) for finding in findings]}


async def _batch(connection: Connection, batch_id: str, site: str, room: str) -> Record:
    batch = await connection.fetchrow(_queries.batch_at, batch_id, site, room)
    if batch is None:
        raise Refused("not_found", f"there is no batch {batch_id[:80]!r}")
    if not batch["has_room"]:
        raise Refused("not_found", f"batch {batch_id!r} has no seat in room {room!r} of site {site!r}")
    return batch


def _line(site: str, room: str, candidates: int) -> dict[str, Any]:
    """Where it is, and what the documents ask of the site's line."""
    tier: Tier = tier_of(candidates)
    share = share_of(candidates)
    return {
        "site": site,
        "room": room,
        "candidates": candidates,
        "tier": msgspec.to_builtins(tier),
        "share": msgspec.to_builtins(share),
    }


def _machine(row: Record) -> Machine:
    if row["checked_ms"] is None:
        return Machine(seat=row["seat"])
    findings = msgspec.json.decode(row["findings"], type=tuple[Finding, ...])
    return Machine(seat=row["seat"], checked_ms=row["checked_ms"], checks=row["checks"], findings=findings)
