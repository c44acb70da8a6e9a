"""One room as its proctors see it: every seat with its candidate, how far they are, and whether their machine lives.

Promise: one answer shows the whole room at one moment, cheaply enough to be asked for every few seconds by every room.
How: the roster and what is recorded from PostgreSQL, how it goes now from Redis: one packed call per partition,
whatever the size of the batch. What a node of Redis does not tell is shown as recorded (`is_live` false).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.invigilation import rooms
from engine.invigilation.places import read_place
from engine.invigilation.resources import Invigilation
from engine.rules import timing
from engine.rules.errors import Refused, TryLater
from engine.rules.forms import armed_id
from engine.rules.limits import SEAT_ASKED_MS, SEATS_MAX
from engine.rules.outcome import Outcome
from engine.rules.shape import Faults
from engine.rules.terms import Batch, SittingState
from engine.stores.clock import now_ms
from engine.stores.laying import batch_of
from engine.stores.memory import Memory, Purpose, beside
from engine.stores.postgres import Record
from engine.stores.sql import Queries
from engine.wire import check, json_response, path_id

_queries = Queries(__file__)
_SEATS = beside(__file__)


class Live(Struct, frozen=True, kw_only=True):
    """A sitting as Redis has it."""

    state: SittingState
    ends_ms: int
    seen_ms: int  # 0: not since Redis was rebuilt
    takeover_ms: int  # until when the next login takes it over; 0: no such permission
    asked_ms: int  # when a login was last refused for the machine that has it; 0: not since one was let in
    answered: int


async def show(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}/seats?site=&room=`."""
    await require(request, "proctor")
    invigilation: Invigilation = request.app.state.invigilation
    batch_id = path_id(request, "batch_id")
    faults = Faults()
    site, room = read_place(request, faults)
    check(faults)
    async with invigilation.database.connection() as connection:
        row = await rooms.find_batch(connection, batch_id)
        seats = await connection.fetch(_queries.seats_of, batch_id, site, room, SEATS_MAX + 1)
    shown = seats[:SEATS_MAX]
    is_armed = row["armed_ms"] is not None
    batch = batch_of(row)
    armed = [armed_id(batch_id, form, row["disarmed_ms"]) for form in range(len(batch.paper_ids))]
    live, server_ms, items = await _look(invigilation, armed, shown) if is_armed else ({}, now_ms(), None)
    return json_response(
        {
            "server_ms": server_ms,
            "batch": rooms.shown_batch(batch),
            "items": items,
            "seats": [_shown(seat, live.get(seat["sitting_id"]), batch, server_ms, is_armed) for seat in shown],
            "is_complete": len(seats) <= SEATS_MAX,
        }
    )


async def _look(
    invigilation: Invigilation, armed: Sequence[str], seats: Sequence[Record]
) -> tuple[dict[str, Live], int, int | None]:
    """What Redis tells of each sitting, the server's time, and how many items a paper has, if all have as many."""
    memory = invigilation.memory
    grouped: dict[int, list[str]] = defaultdict(list)
    for seat in seats:
        grouped[memory.partition_of(seat["sitting_id"]).number].append(seat["sitting_id"])
    calls = [_call(memory, *group) for group in grouped.items()]
    try:
        sizes = {len((await invigilation.candidates.batch(each)).checkers) for each in armed}
        replies = await memory.run_each(_SEATS, calls, Purpose.CALLS)
    except (TryLater, Refused):  # it is away, or the batch was erased
        return {}, now_ms(), None
    live: dict[str, Live] = {}
    server_ms = 0
    for sitting_ids, reply in zip(grouped.values(), replies, strict=True):
        if isinstance(reply, TryLater) or reply[0] != Outcome.OK:
            continue
        server_ms = max(server_ms, int(reply[1]))
        for sitting_id, (outcome, *found) in zip(sitting_ids, reply[2:], strict=True):
            if outcome == Outcome.OK:
                live[sitting_id] = Live(
                    state=SittingState(found[0].decode()),
                    ends_ms=int(found[1]),
                    seen_ms=int(found[2]),
                    takeover_ms=int(found[3]),
                    asked_ms=int(found[4]),
                    answered=int(found[5]),
                )
    return live, server_ms or now_ms(), sizes.pop() if len(sizes) == 1 else None


def _call(memory: Memory, number: int, sitting_ids: Sequence[str]) -> tuple[list[str], list[str | bytes | int]]:
    keys = memory.partitions[number]
    names = [keys.marker, keys.log, keys.news, *(keys.sitting(sitting_id) for sitting_id in sitting_ids)]
    return names, [SEAT_ASKED_MS, *sitting_ids]


def _shown(seat: Record, live: Live | None, batch: Batch, server_ms: int, is_armed: bool) -> dict[str, Any]:
    recorded = live.state if live else SittingState(seat["state"])
    extra_time_s = (live.ends_ms - batch.ends_ms) // 1000 if live else seat["extra_time_s"]
    edges = timing.boundaries(batch, extra_time_s)
    may_be_taken = live is not None and live.takeover_ms > server_ms
    return {
        **{name: seat[name] for name in ("sitting_id", "candidate_id", "name", "admission_ticket", "seat")},
        "state": timing.state_at(recorded, edges, server_ms) if is_armed else recorded,
        "extra_time_s": extra_time_s,
        "ends_ms": edges.ends_ms,
        "is_live": live is not None,
        "seen_ms": live.seen_ms or None if live else None,
        "answered": live.answered if live else None,
        "asked_ms": live.asked_ms or None if live else None,
        "takeover_until_ms": live.takeover_ms if live and may_be_taken else None,
        "left": seat["left_count"],
        "away_ms": seat["away_ms"],
        "is_away": bool(seat["is_away"]),
    }
