"""What proctors do with photos: look at them, accept or refuse them, let a candidate in without one.

Promise: every act is recorded with who, when and why before anything follows from it, and stays; the newest about a
photo holds. An act sent twice is one act. A candidate who waits at the photo step hears of a waiver over the channel.
What is said of a photo never closes an exam: a refused one is a reason to go and look, and may be taken again.
With PostgreSQL away nothing can be recorded and no proctor's key verified, so nobody is waived then: who has a camera
goes on all the same (photo.py), who has none waits for it at the photo step, or moves to a seat that has one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.invigilation.acts import Act, record_act, take_act
from engine.invigilation.photo import MEDIA_TYPE, note
from engine.invigilation.places import read_filter
from engine.invigilation.resources import Invigilation
from engine.rules import timing
from engine.rules.errors import Refused, TryLater
from engine.rules.limits import (
    ID_PATTERN,
    PHOTOS_PAGE_DEFAULT,
    PHOTOS_PAGE_MAX,
    PHOTOS_PER_SITTING_MAX,
)
from engine.rules.photo import EVENT_PREFIX, PhotoState
from engine.rules.shape import Faults, Members
from engine.rules.terms import Batch, Rules, SittingState
from engine.stores.clock import now_ms
from engine.stores.laying import batch_of
from engine.stores.memory import Memory
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries
from engine.wire import check as check_faults
from engine.wire import json_response, path_id, query_whole, read_json

_queries = Queries(__file__)
FILTERS = (PhotoState.DUE, PhotoState.TAKEN, PhotoState.WAIVED, PhotoState.ACCEPTED, PhotoState.REFUSED)


# --- looking ---------------------------------------------------------------------------------------------------


async def show_many(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}/photos`: sittings with the state of their photos, page by page."""
    await require(request, "proctor")
    invigilation: Invigilation = request.app.state.invigilation
    batch_id = path_id(request, "batch_id")
    faults = Faults()
    limit = query_whole(request, "limit", PHOTOS_PAGE_DEFAULT, 1, PHOTOS_PAGE_MAX, faults)
    places = read_filter(request, faults)
    state, after = request.query_params.get("state") or None, request.query_params.get("after", "")
    if state is not None and state not in FILTERS:
        faults.add("/state", "expected one of " + ", ".join(FILTERS), state)
    if after and not ID_PATTERN.fullmatch(after):
        faults.add("/after", "expected the `next` of the page before", after)
    check_faults(faults)
    async with invigilation.database.connection() as connection:
        row = await connection.fetchrow(_queries.find_batch, batch_id)
        if row is None:
            raise Refused("not_found", f"there is no batch {batch_id!r}")
        batch = batch_of(row)
        rows: Sequence[Record] = []
        if batch.rules.photo == "required":
            rows = await connection.fetch(_queries.list_photos, batch_id, *places, state, after, limit)
    owing = await _owing(invigilation.memory, rows)
    now = now_ms()
    photos = [_shown(batch, each, each["sitting_id"] in owing, now) for each in rows]
    following = photos[-1]["sitting_id"] if len(photos) == limit else None
    return json_response({"rule": batch.rules.photo, "photos": photos, "next": following})


def _shown(batch: Batch, row: Record, is_owed: bool, now: int) -> dict[str, Any]:
    edges = timing.boundaries(batch, row["extra_time_s"])
    has_photo = row["number"] is not None
    photo = {name: row[name] for name in ("number", "digest", "bytes", "taken_ms")} if has_photo else None
    act = {name: row[name] for name in ("act", "proctor", "reason", "acted_ms")} if row["act"] else None
    missing = PhotoState.OWED if is_owed else PhotoState.DUE
    return {
        **{name: row[name] for name in ("sitting_id", "admission_ticket", "name", "site", "room", "seat")},
        "sitting_state": timing.state_at(SittingState(row["sitting_state"]), edges, now),
        "state": row["act"] or (PhotoState.TAKEN if has_photo else missing),
        "photo": photo,
        "act": act,
    }


async def _owing(memory: Memory, rows: Sequence[Record]) -> set[str]:
    """Of those without a picture here, whose candidates went on all the same: theirs is still on its way, or was lost.

    Only Redis knows; while it is away they count as due.
    """
    missing = [row["sitting_id"] for row in rows if row["number"] is None and row["act"] is None]
    if not missing:
        return set()
    hashes = [memory.partition_of(sitting_id).sitting(sitting_id) for sitting_id in missing]
    try:
        found = await memory.read_hash_fields(hashes, ["photo"])
    except TryLater:
        return set()
    return {sitting_id for sitting_id, (photo,) in zip(missing, found, strict=True) if photo}


async def show_jpeg(request: Request) -> Response:
    """`GET /v1/sittings/{sitting_id}/photo`: the newest picture, or the one of `?number=`."""
    await require(request, "proctor")
    invigilation: Invigilation = request.app.state.invigilation
    sitting_id = path_id(request, "sitting_id")
    faults = Faults()
    number = query_whole(request, "number", 0, 1, PHOTOS_PER_SITTING_MAX, faults) or None
    check_faults(faults)
    async with invigilation.database.connection() as connection:
        row = await connection.fetchrow(_queries.find_jpeg, sitting_id, number)
    if row is None:
        raise Refused("not_found", f"there is no photo of sitting {sitting_id!r}")
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff", "etag": f'"{row["digest"]}"'}
    return Response(row["jpeg"], headers=headers, media_type=MEDIA_TYPE)


# --- acts ------------------------------------------------------------------------------------------------------


async def check(request: Request) -> Response:
    """`POST /v1/sittings/{sitting_id}/photo/check`: it shows the candidate, or it does not."""
    key_id = await require(request, "proctor")
    invigilation: Invigilation = request.app.state.invigilation
    sitting_id = path_id(request, "sitting_id")
    faults = Faults()
    body = Members(await read_json(request), "", faults)
    act = _take_act(body, key_id, needs_reason=False)
    state = PhotoState.ACCEPTED if body.take_boolean("accepted") else PhotoState.REFUSED
    looked_at = body.take_text("digest", 64, None) or None
    body.finish()
    check_faults(faults)
    async with invigilation.database.transaction() as connection:
        batch_id = await _hold(connection, sitting_id)
        photo = await connection.fetchrow(_queries.newest_photo, sitting_id)
        if photo is None:
            raise Refused("not_found", f"there is no photo of sitting {sitting_id!r}")
        if looked_at not in (None, photo["digest"]):
            detail = f"the newest photo is {photo['digest']}, not {looked_at}; look at it first"
            raise Refused("photo.changed", detail)
        standing = await _record(connection, batch_id, sitting_id, photo["number"], state, act)
    # Redis may be away, or have forgotten the exam: nothing depends on what it would tell the candidate.
    with contextlib.suppress(TryLater):
        await note(invigilation.memory, sitting_id, state, photo["digest"], photo["taken_ms"])
    return json_response({"sitting_id": sitting_id, "state": state, "act": dict(standing)})


async def waive(request: Request) -> Response:
    """`POST /v1/sittings/{sitting_id}/photo/waive`: in without a photo, as when the camera is broken."""
    key_id = await require(request, "proctor")
    invigilation: Invigilation = request.app.state.invigilation
    sitting_id = path_id(request, "sitting_id")
    faults = Faults()
    body = Members(await read_json(request), "", faults)
    act = _take_act(body, key_id, needs_reason=True)
    body.finish()
    check_faults(faults)
    async with invigilation.database.transaction() as connection:
        batch_id = await _hold(connection, sitting_id)
        photo = await connection.fetchrow(_queries.newest_photo, sitting_id)
        number = photo["number"] if photo else 0
        said = await connection.fetchrow(_queries.newest_act, sitting_id, number)
        if number and (said is None or said["act"] == PhotoState.ACCEPTED):
            raise Refused("sitting.order", f"photo {number} of the sitting is here: accept it, or refuse it first")
        standing = await _record(connection, batch_id, sitting_id, number, PhotoState.WAIVED, act)
    await note(invigilation.memory, sitting_id, PhotoState.WAIVED)
    return json_response({"sitting_id": sitting_id, "state": PhotoState.WAIVED, "act": dict(standing)})


async def _hold(connection: Connection, sitting_id: str) -> str:
    """The batch of a sitting, its acts held until the transaction ends. Raises Refused where none can be acted on."""
    row = await connection.fetchrow(_queries.find_sitting, sitting_id)
    if row is None:
        raise Refused("not_found", f"there is no sitting {sitting_id!r}")
    if msgspec.json.decode(row["rules"], type=Rules).photo != "required":
        raise Refused("photo.not_required", "the rule `photo` of the sitting's batch is `none`")
    if row["armed_ms"] is None:
        raise Refused("batch.not_ready", f"batch {row['batch_id']!r} is not armed: nobody can be at the photo step")
    await connection.execute(_queries.hold_acts, sitting_id)
    batch_id: str = row["batch_id"]
    return batch_id


async def _record(
    connection: Connection, batch_id: str, sitting_id: str, number: int, state: PhotoState, act: Act
) -> Record:
    """The act as it stands: recorded now, and among the room's events; or before, if this is the same again."""
    standing = await connection.fetchrow(_queries.newest_act, sitting_id, number)
    if standing and (standing["act"], standing["proctor"], standing["reason"]) == (state, act.proctor, act.reason):
        return standing
    now = now_ms()
    standing = await connection.fetchrow(_queries.add_act, sitting_id, number, state, act.proctor, act.reason, now)
    await record_act(connection, batch_id, sitting_id, EVENT_PREFIX + state, act, now)
    return standing


# --- what is given ---------------------------------------------------------------------------------------------


def _take_act(body: Members, key_id: str, *, needs_reason: bool) -> Act:
    """Who and why: acts on faces are nobody's whose name is not known."""
    act = take_act(body, key_id)
    for name, given in (("proctor", act.proctor), ("reason", act.reason)):
        if given is None and (name == "proctor" or needs_reason or body.has(name)) and not _has_fault(body, name):
            body.fault(name, "expected a text" if body.has(name) else "is missing")
    return act


def _has_fault(body: Members, name: str) -> bool:
    return any(fault["pointer"] == body.at(name) for fault in body.faults.listed)
