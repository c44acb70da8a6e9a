"""The roster of a batch: all of it or nothing, compared with what stands, and laid ready where the batch is armed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine import batch_log
from engine.access import require
from engine.rules import timing
from engine.rules.errors import Invalid, Refused
from engine.rules.limits import ROSTER_BODY_BYTES_MAX
from engine.rules.rostering import Row, check_rows, decode_roster, id_numbers_of
from engine.rules.terms import Batch, Candidate
from engine.scheduling.batches import queries as batch_queries
from engine.scheduling.batches import unknown_batch
from engine.scheduling.forms import seat_late
from engine.scheduling.resources import Scheduling
from engine.scheduling.roster_event import roster_event
from engine.scheduling.warning import roster_warned, with_warnings
from engine.stores.clock import now_ms, today
from engine.stores.laying import batch_of, lay_ready
from engine.stores.memory import partition_number
from engine.stores.postgres import Connection, ExclusionViolation, Record, UniqueViolation
from engine.stores.sql import Queries
from engine.wire import json_response, path_id, read_body

queries = Queries(__file__)
_COMPARED = ("name", "id_number", "admission_ticket", "site", "room", "seat", "extra_time_s")


async def put_roster(request: Request) -> Response:
    """`PUT /v1/batches/{batch_id}/roster`. Armed, it still takes additions and changes until the latest entry."""
    key_id = await require(request, "schedule")
    scheduling: Scheduling = request.app.state.scheduling
    batch_id = path_id(request, "batch_id")
    body = await read_body(request.receive, ROSTER_BODY_BYTES_MAX)
    async with scheduling.database.connection() as connection:
        if await connection.fetchrow(batch_queries.find_batch, batch_id) is None:
            raise unknown_batch(batch_id)
    content_type = request.headers.get("content-type", "")
    rows = await asyncio.to_thread(decode_roster, body, content_type)
    try:
        async with scheduling.database.transaction() as connection:
            answer, is_armed = await _replace(scheduling, connection, batch_id, rows, key_id)
    except (UniqueViolation, ExclusionViolation) as fault:
        # The pure check has seen every duplicate within the push, so another push of this batch crossed ours.
        raise Refused(
            "batch.armed", f"another push changed the roster meanwhile ({fault.constraint_name}); look and push again"
        ) from None
    if is_armed:  # after the commit; should it fail here, a recorder finishes it
        await lay_ready(scheduling.memory, scheduling.database, batch_id, scheduling.login_key)
    return json_response(answer)


async def find_overlaps(connection: Connection, batch: Batch, id_numbers: Sequence[str]) -> dict[str, str]:
    """id_number -> why that person cannot be in this batch too, naming the other."""
    closes_ms = timing.boundaries(batch, 0).closes_ms
    rows = await connection.fetch(
        queries.overlapping,
        batch.batch_id,
        list(id_numbers),
        batch.starts_ms,
        closes_ms,
        batch.admission_code,
        now_ms(),
    )
    found = {}
    for row in reversed(rows):
        if row["same_time"]:
            found[row["id_number"]] = f"this person sits batch {row['batch_id']!r} at an overlapping time"
        else:
            found[row["id_number"]] = (
                f"this person is in unclosed batch {row['batch_id']!r} under the same admission code"
            )
    return found


def sitting_id_of(batch_id: str, candidate_id: str, disarmed_ms: int | None) -> str:
    """Stable: pushing a roster again finds the same sittings; those after a disarming are others than before."""
    named = f"{batch_id}|{candidate_id}" if disarmed_ms is None else f"{batch_id}|{candidate_id}|{disarmed_ms}"
    name = hashlib.sha256(named.encode()).digest()
    return base64.b32encode(name[:15]).decode().lower()


async def _replace(
    scheduling: Scheduling, connection: Connection, batch_id: str, rows: Sequence[Row], key_id: str
) -> tuple[dict[str, Any], bool]:
    """The answer, and whether the batch is armed."""
    row = await connection.fetchrow(batch_queries.lock_batch, batch_id)
    if row is None:
        raise unknown_batch(batch_id)
    batch = batch_of(row)
    standing = {sitting["candidate_id"]: sitting for sitting in await connection.fetch(queries.sittings_of, batch_id)}
    candidates = await _check(connection, batch, rows, standing)
    added = [candidate for candidate in candidates if candidate.candidate_id not in standing]
    kept = [candidate for candidate in candidates if candidate.candidate_id in standing]
    changed = [candidate for candidate in kept if _differs(candidate, standing[candidate.candidate_id])]
    pushed_ids = {candidate.candidate_id for candidate in candidates}
    removed = [sitting for candidate_id, sitting in standing.items() if candidate_id not in pushed_ids]
    answer = {
        "accepted": len(candidates),
        "added": len(added),
        "changed": len(changed),
        "removed": len(removed),
        "unchanged": len(kept) - len(changed),
    }
    is_armed = row["armed_ms"] is not None
    people = {candidate.candidate_id: candidate.id_number for candidate in candidates}
    if added or changed or removed:
        if is_armed:
            _check_armed_change(batch, candidates, removed)
        await connection.execute(queries.remove_sittings, [sitting["sitting_id"] for sitting in removed])
        await _store(scheduling, connection, row, [*added, *changed])
        if is_armed:
            moved = [candidate for candidate in changed if _has_moved(candidate, standing[candidate.candidate_id])]
            await seat_late(connection, batch, [*added, *moved])
        await connection.execute(queries.mark_unlaid, batch_id)
        before, after = roster_event(answer, added, changed, standing, is_armed)
        await batch_log.record(connection, batch_id, "roster", key_id=key_id, before=before, after=after)
    return with_warnings(answer, await roster_warned(connection, batch, people)), is_armed


def _check_armed_change(batch: Batch, candidates: Sequence[Candidate], removed: Sequence[Record]) -> None:
    """Who is on an armed roster stays; seats must be known."""
    if now_ms() >= timing.boundaries(batch, 0).latest_entry_ms:
        raise Refused("batch.armed", f"batch {batch.batch_id!r} is armed and its latest entry has passed")
    if removed:
        first = removed[0]["candidate_id"]
        missing = f"{len(removed)} missing, the first is {first!r}"
        detail = f"batch {batch.batch_id!r} is armed: nobody can be taken off its roster ({missing})"
        raise Refused("batch.armed", detail, candidate_id=first)
    unseated = [candidate.candidate_id for candidate in candidates if not candidate.room or not candidate.seat]
    if unseated:
        raise Refused(
            "batch.armed", f"batch {batch.batch_id!r} is armed: candidate {unseated[0]!r} needs a room and a seat"
        )


async def _check(
    connection: Connection, batch: Batch, rows: Sequence[Row], standing: dict[str, Record]
) -> list[Candidate]:
    """The candidates, or Invalid with every fault, other batches' included. A roster that stands already is taken."""
    day = today()
    candidates: list[Candidate] | None = None
    with contextlib.suppress(Invalid):  # raised below, with the overlaps beside its faults
        candidates = await asyncio.to_thread(check_rows, rows, day)
    if candidates is not None and _stands(candidates, standing):
        return candidates
    overlaps = await find_overlaps(connection, batch, id_numbers_of(rows, day))
    if candidates is not None and not overlaps:
        return candidates
    return await asyncio.to_thread(check_rows, rows, day, overlaps)


def _stands(candidates: Sequence[Candidate], standing: dict[str, Record]) -> bool:
    return len(candidates) == len(standing) and not any(
        candidate.candidate_id not in standing or _differs(candidate, standing[candidate.candidate_id])
        for candidate in candidates
    )


async def _store(
    scheduling: Scheduling, connection: Connection, batch: Record, candidates: Sequence[Candidate]
) -> None:
    partitions = len(scheduling.memory.partitions)
    batch_id, disarmed_ms = batch["batch_id"], batch["disarmed_ms"]
    sitting_ids = [sitting_id_of(batch_id, candidate.candidate_id, disarmed_ms) for candidate in candidates]
    columns = [[getattr(candidate, name) for candidate in candidates] for name in ("candidate_id", *_COMPARED)]
    numbers = [partition_number(sitting_id, partitions) for sitting_id in sitting_ids]
    await connection.execute(queries.put_sittings, sitting_ids, batch_id, numbers, *columns)


def _has_moved(candidate: Candidate, sitting: Record) -> bool:
    return any(getattr(candidate, name) != sitting[name] for name in ("site", "room", "seat"))


def _differs(candidate: Candidate, sitting: Record) -> bool:
    return any(getattr(candidate, name) != sitting[name] for name in _COMPARED)
