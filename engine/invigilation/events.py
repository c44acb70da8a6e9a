"""What happens in a room beside the answers: candidates' pages report it, proctors act, and a feed tells both.

Promise: an event is recorded once, however often it is sent, and told to proctors in an order that passes over none.
Leaving the window is noted and nothing else: what it means is for people to decide. Nothing of an answer waits for it.
How: the page gives each event an id of its own, keeps it until it is answered and sends it again; rows are written
straight to PostgreSQL, in turns per batch. Bounded per call, per minute and per sitting.
Not here: noticing it (web/leaving.js). Whoever controls a page can report what they like, or nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct, structs
from starlette.requests import Request
from starlette.responses import Response

from engine import metrics
from engine.access import require
from engine.candidates import Standing
from engine.invigilation.places import read_filter
from engine.invigilation.resources import Invigilation
from engine.rules.errors import Refused, TryLater
from engine.rules.limits import (
    DURATION_S_MAX,
    EVENT_CALLS_PER_MINUTE,
    EVENTS_BODY_BYTES_MAX,
    EVENTS_PAGE_DEFAULT,
    EVENTS_PAGE_MAX,
    EVENTS_PER_CALL_MAX,
    EVENTS_PER_SITTING_MAX,
    EVENTS_WAIT_S,
    EVENTS_WINDOW_S,
    EXTRA_TIME_S_MAX,
    ID_PATTERN,
    INSTANT_MS_MAX,
)
from engine.rules.shape import Faults, Members
from engine.rules.terms import REPORTED_EVENTS, SittingState
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries
from engine.wire import check, json_response, path_id, query_whole, read_json

_queries = Queries(__file__)
_AWAY_MS_MAX = (DURATION_S_MAX + EXTRA_TIME_S_MAX) * 1000
_CURSOR_MAX = 2**63 - 1
_BEGUN = (SittingState.IN_PROGRESS, SittingState.SUBMITTED, SittingState.COLLECTED)


class Event(Struct, frozen=True, kw_only=True):
    """One row to be; `proctor`, `reason` and `key_id` are of acts, `away_ms` of a return."""

    event_id: str
    kind: str
    at_ms: int
    away_ms: int | None = None
    proctor: str | None = None
    reason: str | None = None
    key_id: str | None = None


# --- candidates' pages -----------------------------------------------------------------------------------------


async def report(request: Request) -> Response:
    """`POST /v1/sitting/events`: how many of the call are on record now, perhaps since an earlier one."""
    invigilation: Invigilation = request.app.state.invigilation
    token = invigilation.candidates.authenticate(request.scope)  # type: ignore[arg-type]
    reported = _read_events(await read_json(request, EVENTS_BODY_BYTES_MAX))
    standing = await invigilation.candidates.standing(token)
    if standing.now_ms < standing.armed.prepared.batch.starts_ms:
        raise Refused("events.not_open", "events count from the start of the exam on; nothing was recorded")
    if standing.state not in _BEGUN:
        raise Refused("sitting.order", "the pledge comes before the exam; nothing was recorded")
    calls = await invigilation.memory.count_within(f"events:{token.sitting_id}", EVENTS_WINDOW_S)
    if calls > EVENT_CALLS_PER_MINUTE:
        detail = f"more than {EVENT_CALLS_PER_MINUTE} calls within {EVENTS_WINDOW_S} s; send several events in one"
        raise TryLater(detail, retry_after_s=EVENTS_WINDOW_S, code="rate.limited")
    within = _within(standing, reported)
    async with _turn(invigilation), invigilation.database.transaction() as connection:
        known = await _record_reported(connection, token.batch_id, token.sitting_id, within, standing.now_ms)
    metrics.events_recorded.inc(known)
    return json_response({"recorded": known})


def _read_events(document: Any) -> list[Event]:
    """Raises Invalid `request.invalid`, each fault at its pointer; one bad event refuses the whole call."""
    faults = Faults()
    call = Members(document, "", faults)
    found = []
    for index, each in enumerate(call.take_list("events", 1, EVENTS_PER_CALL_MAX)):
        members = Members(each, f"/events/{index}", faults)
        found.append(
            Event(
                event_id=members.take_pattern("id", ID_PATTERN, "1 to 64 characters of A-Z a-z 0-9 . _ -"),
                kind=members.take_choice("kind", REPORTED_EVENTS),
                at_ms=members.take_integer("at_ms", 0, INSTANT_MS_MAX),
                away_ms=members.take_integer("away_ms", 0, _AWAY_MS_MAX, None) if members.has("away_ms") else None,
            )
        )
        members.finish()
    call.finish()
    check(faults)
    return found


def _within(standing: Standing, reported: Sequence[Event]) -> list[Event]:
    """Those of the exam itself, from its start to the hand-in or the end; none happens later than now."""
    starts_ms = standing.armed.prepared.batch.starts_ms
    until_ms = min(standing.ends_ms, standing.closed_ms or standing.ends_ms)
    clamped = (structs.replace(event, at_ms=min(event.at_ms, standing.now_ms)) for event in reported)
    return [event for event in clamped if starts_ms <= event.at_ms < until_ms]


@asynccontextmanager
async def _turn(invigilation: Invigilation) -> AsyncIterator[None]:
    """Pages that all report at one moment wait here, not each with a connection that proctors and photos need."""
    try:
        async with asyncio.timeout(EVENTS_WAIT_S):
            await invigilation.reporting.acquire()
    except TimeoutError:
        raise TryLater("many pages report at this moment; nothing was recorded, send the same again") from None
    try:
        yield
    finally:
        invigilation.reporting.release()


async def _record_reported(
    connection: Connection, batch_id: str, sitting_id: str, reported: Sequence[Event], now_ms: int
) -> int:
    ids = [event.event_id for event in reported]
    await connection.fetchval(_queries.lock_events, batch_id)
    before = await connection.fetchrow(_queries.count_reported, sitting_id, ids)
    room = max(0, EVENTS_PER_SITTING_MAX - before["reported"])
    new = [event for event in reported if event.event_id not in before["known"]]
    await _add(connection, batch_id, sitting_id, new[:room], now_ms)
    after = await connection.fetchrow(_queries.count_reported, sitting_id, ids)
    return len(after["known"])


# --- recording -------------------------------------------------------------------------------------------------


async def record(connection: Connection, batch_id: str, sitting_id: str, acts: Sequence[Event], now_ms: int) -> None:
    """Write acts of proctors in the caller's transaction, as its last statement but what belongs to them."""
    await connection.fetchval(_queries.lock_events, batch_id)
    await _add(connection, batch_id, sitting_id, acts, now_ms)


async def _add(connection: Connection, batch_id: str, sitting_id: str, events: Sequence[Event], now_ms: int) -> None:
    await connection.execute(
        _queries.add_events,
        batch_id,
        sitting_id,
        now_ms,
        [event.event_id for event in events],
        [event.kind for event in events],
        [event.at_ms for event in events],
        [event.away_ms for event in events],
        [event.proctor for event in events],
        [event.reason for event in events],
        [event.key_id for event in events],
    )


# --- proctors --------------------------------------------------------------------------------------------------


async def show_feed(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}/events`: of the batch, or of one `site` and `room`; `next` is always there."""
    await require(request, "proctor")
    invigilation: Invigilation = request.app.state.invigilation
    batch_id = path_id(request, "batch_id")
    faults = Faults()
    after = query_whole(request, "after", 0, 0, _CURSOR_MAX, faults)
    limit = query_whole(request, "limit", EVENTS_PAGE_DEFAULT, 1, EVENTS_PAGE_MAX, faults)
    site, room = read_filter(request, faults)
    if ("site" in request.query_params) != ("room" in request.query_params):
        faults.add("/site" if site is None else "/room", "expected both, site and room, or neither")
    check(faults)
    async with invigilation.database.connection() as connection:
        if await connection.fetchval(_queries.find_batch, batch_id) is None:
            raise Refused("not_found", f"there is no batch {batch_id!r}")
        if site is None:
            rows = await connection.fetch(_queries.page_of_events, batch_id, after, limit)
        else:
            rows = await connection.fetch(_queries.page_of_room_events, batch_id, after, limit, site, room)
    next_cursor = str(rows[-1]["number"] if rows else after)
    return json_response({"events": [_shown(row) for row in rows], "next": next_cursor})


def _shown(row: Record) -> dict[str, Any]:
    names = ("sitting_id", "kind", "at_ms", "recorded_ms", "away_ms", "proctor", "reason", "key_id")
    return {name: row[name] for name in names}
