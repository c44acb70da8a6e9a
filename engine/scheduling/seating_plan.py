"""The seats of one batch: what lies in the database, what `rules/seating.py` makes of it, and what is stored of that.

Promise: what a push gave stays. Machines that candidates of other batches use at the same time are taken, and sites are
held until the transaction ends, so that two batches are not given one machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine import batch_log
from engine.rules import exact_json, timing
from engine.rules.errors import Refused
from engine.rules.limits import BATCH_LOG_CANDIDATES_MAX
from engine.rules.room_placing import Kind
from engine.rules.seating import Plan, Seated, Unassigned, Unseated, plan_seats
from engine.rules.seating_call import SeatingCall, check_names, rooms_chosen
from engine.rules.seating_warnings import Sitter, warnings_of
from engine.rules.shape import Faults
from engine.rules.sites import Site
from engine.rules.terms import Batch
from engine.scheduling.clashes import LONGEST_MS
from engine.scheduling.forms import seat_late
from engine.scheduling.sites import queries as site_queries
from engine.scheduling.sites import sites_of
from engine.stores.clock import now_ms
from engine.stores.laying import batch_of
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries
from engine.wire import check

_queries = Queries(__file__)


async def assign(
    connection: Connection, row: Record, call: SeatingCall, faults: Faults, key_id: str
) -> tuple[dict[str, Any], Plan]:
    """Plan and store for a batch that is held (`row`): the answer's members, and the plan. Raises Invalid, Refused.

    Where anything was assigned to an armed batch, it has to be laid ready again.
    """
    batch = batch_of(row)
    is_armed = row["armed_ms"] is not None
    if call.reseat and not faults:
        _check_reseat(batch, is_armed)
        await connection.execute(_queries.open_seats, batch.batch_id)
    sittings = await connection.fetch(_queries.sittings_of, batch.batch_id)
    names = sorted({sitting["site"] for sitting in sittings})
    chosen_ids = [chosen.site_id for chosen in call.sites or ()]
    sites = await sites_of(connection, await connection.fetch(site_queries.lock_sites, names, chosen_ids))
    check_names(call, sites, {sitting["candidate_id"] for sitting in sittings}, faults)
    check(faults)
    others = await _beside(connection, batch, sittings, names)
    plan = await asyncio.to_thread(_plan, batch, is_armed, call, sites, sittings, others)
    if plan.assigned or call.reseat:
        _check_time(batch, is_armed)
        columns, logged = await asyncio.to_thread(_written, plan, sittings, call)
        await connection.execute(_queries.assign_seats, *columns)
        await connection.execute(_queries.mark_unlaid, batch.batch_id)
        await batch_log.record(connection, batch.batch_id, "seated", key_id=key_id, after=logged)
        if is_armed:
            await seat_late(connection, batch, [(each.site, each.room) for each in plan.assigned])
    answer = await asyncio.to_thread(_answer, plan, sites, sittings, others)
    return answer, plan


def _check_reseat(batch: Batch, is_armed: bool) -> None:
    if is_armed:
        detail = f"batch {batch.batch_id!r} is armed: its candidates know their seats; only open ones are assigned"
        raise Refused("batch.armed", detail, batch_id=batch.batch_id)


def _check_time(batch: Batch, is_armed: bool) -> None:
    if is_armed and now_ms() >= timing.boundaries(batch, 0).latest_entry_ms:
        detail = f"batch {batch.batch_id!r} is armed and its latest entry has passed"
        raise Refused("batch.armed", detail, batch_id=batch.batch_id)


async def _beside(
    connection: Connection, batch: Batch, sittings: Sequence[Record], names: Sequence[str]
) -> list[Record]:
    """Who of other batches sits at the same sites at the same time."""
    extra_time_s = max((sitting["extra_time_s"] for sitting in sittings), default=0)
    closes_ms = timing.boundaries(batch, extra_time_s).closes_ms
    earliest_ms = batch.starts_ms - LONGEST_MS
    found: list[Record] = await connection.fetch(
        _queries.beside, batch.batch_id, names, batch.starts_ms, closes_ms, earliest_ms
    )
    return found


def _plan(
    batch: Batch,
    is_armed: bool,
    call: SeatingCall,
    sites: Sequence[Site],
    sittings: Sequence[Record],
    others: Sequence[Record],
) -> Plan:
    """Of several papers each candidate's follows from the seat, so before arming nobody's is known."""
    unseated: list[Unseated] = []
    seated: list[Seated] = []
    roomless: list[Unassigned] = []
    for sitting in sittings:
        organisation = call.organisation_of(sitting["candidate_id"], sitting["admission_ticket"])
        paper = batch.paper_id or ""
        if batch.papers and is_armed and sitting["seat"]:
            paper = batch.papers[sitting["form"]]
        kind = Kind(organisation, paper)
        place = {"site": sitting["site"], "room": sitting["room"], "kind": kind}
        if sitting["seat"] and not sitting["room"]:
            told = "has a seat but no room: push both, or neither"
            roomless.append(
                Unassigned(
                    candidate_id=sitting["candidate_id"],
                    site=sitting["site"],
                    room="",
                    code="room.missing",
                    message=told,
                )
            )
        elif sitting["seat"]:
            seated.append(Seated(seat=sitting["seat"], is_ours=True, **place))
        else:
            unseated.append(Unseated(candidate_id=sitting["candidate_id"], **place))
    for other in others:
        if other["seat"]:
            kind = Kind(other["admission_ticket"][: call.ticket_prefix], other["paper_id"])
            place = {"site": other["site"], "room": other["room"], "seat": other["seat"]}
            seated.append(Seated(kind=kind, is_ours=False, **place))
    plan = plan_seats(sites, rooms_chosen(call, sites), unseated, seated, str(call.seed), call.spares_kept)
    plan.unassigned.extend(roomless)
    return plan


def _written(plan: Plan, sittings: Sequence[Record], call: SeatingCall) -> tuple[list[list[str]], dict[str, Any]]:
    """Columns of the sittings that change, and what the batch's log says: many seats as a digest beside their seed."""
    sitting_ids = {sitting["candidate_id"]: sitting["sitting_id"] for sitting in sittings}
    assigned = plan.assigned
    columns = [
        [sitting_ids[each.candidate_id] for each in assigned],
        [each.room for each in assigned],
        [each.seat for each in assigned],
    ]
    logged = {
        "seed": call.seed,
        "assigned": len(assigned),
        "unassigned": len(plan.unassigned),
        "reseat": call.reseat,
    }
    seats = {each.candidate_id: [each.site, each.room, each.seat] for each in assigned}
    if len(seats) <= BATCH_LOG_CANDIDATES_MAX:
        return columns, {**logged, "seats": seats}
    return columns, {**logged, "seats_digest": exact_json.digest(seats)}


def _answer(plan: Plan, sites: Sequence[Site], sittings: Sequence[Record], others: Sequence[Record]) -> dict[str, Any]:
    place_of = {each.candidate_id: (each.room, each.seat) for each in plan.assigned}
    ours = [_sitter(sitting, place_of) for sitting in sittings]
    theirs = [
        Sitter(site=other["site"], room=other["room"], seat=other["seat"], batch_id=other["batch_id"])
        for other in others
    ]
    rooms = plan.rooms
    return {
        "open": len(plan.assigned) + len(plan.unassigned),
        "assigned": msgspec.to_builtins(plan.assigned),
        "unassigned": msgspec.to_builtins(plan.unassigned),
        "rooms": msgspec.to_builtins(rooms),
        "neighbours": {
            "pairs": sum(room.neighbours for room in rooms),
            "same_organisation": sum(room.same_organisation for room in rooms),
            "same_paper": sum(room.same_paper for room in rooms),
        },
        "warnings": warnings_of(sites, ours, theirs),
    }


def _sitter(sitting: Record, place_of: Mapping[str, tuple[str, str]]) -> Sitter:
    room, seat = place_of.get(sitting["candidate_id"], (sitting["room"], sitting["seat"]))
    return Sitter(site=sitting["site"], room=room, seat=seat)
