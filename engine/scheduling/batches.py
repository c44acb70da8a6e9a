"""Batches come in and their state is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from engine import batch_log
from engine.access import require
from engine.rules import timing
from engine.rules.batch import papers_warnings, read_batch, show_batch
from engine.rules.calendar import batch_warnings
from engine.rules.errors import Refused
from engine.rules.limits import FORMS_MAX, ID_PATTERN, INSTANT_MS_MAX
from engine.rules.shape import Faults
from engine.rules.terms import Batch, BatchState, SittingState
from engine.scheduling.resources import Scheduling
from engine.scheduling.warning import with_warnings
from engine.stores.clock import now_ms
from engine.stores.laying import batch_of
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries
from engine.wire import check, json_response, new_id, path_id, query_whole, read_dry_run, read_json

queries = Queries(__file__)
_COUNTED = ("expected", "checked_in", "in_progress", "submitted", "collected", "absent", "void")
_CHECKED_IN = (SittingState.CHECKED_IN, SittingState.CONFIRMED, SittingState.PLEDGED)


async def put_batch(request: Request) -> Response:
    """`PUT /v1/batches/{batch_id}`: 201 for a new batch, 200 otherwise; the same content changes nothing."""
    key_id = await require(request, "schedule", "dry_run")
    scheduling: Scheduling = request.app.state.scheduling
    batch_id = new_id(request, "batch_id", "batch.invalid")
    is_dry = read_dry_run(request)
    document = await read_json(request)
    async with scheduling.database.transaction(is_dry_run=is_dry) as connection:
        row = await connection.fetchrow(queries.lock_batch, batch_id)
        if row is None:  # it may be made at this moment: who comes second brings another version
            await connection.execute(queries.hold_new_batch, batch_id)
            row = await connection.fetchrow(queries.lock_batch, batch_id)
        stored = batch_of(row) if row else None
        papers = await _papers_named(connection, document)
        # What was accepted once is accepted again, even when its window has passed since.
        batch = read_batch(batch_id, document, 0 if stored else now_ms(), papers)
        if batch != stored:
            if row and row["armed_ms"] is not None:
                raise _armed(batch_id)
            if stored:
                read_batch(batch_id, document, now_ms(), papers)
            row = await _store(connection, batch)
            await _record(connection, stored, batch, key_id)
        # Of a new one nobody is counted: it has no sittings.
        shown = (await describe(connection, [row]))[0] if stored else _described(row, (), now_ms())
    warned = [*batch_warnings(batch, row["pushed_ms"]), *papers_warnings(batch, papers)]
    answer = with_warnings(shown, warned)
    return json_response(answer, 200 if stored else 201)


async def show(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}`."""
    await require(request, "schedule")
    scheduling: Scheduling = request.app.state.scheduling
    batch_id = path_id(request, "batch_id")
    async with scheduling.database.connection() as connection:
        row = await connection.fetchrow(queries.find_batch, batch_id)
        if row is None:
            raise unknown_batch(batch_id)
        shown = await describe(connection, [row])
    return json_response(shown[0])


async def show_many(request: Request) -> Response:
    """`GET /v1/batches?from_ms=&to_ms=`: those that start in [from, to)."""
    await require(request, "schedule")
    scheduling: Scheduling = request.app.state.scheduling
    faults = Faults()
    from_ms = query_whole(request, "from_ms", 0, 0, INSTANT_MS_MAX, faults)
    to_ms = query_whole(request, "to_ms", INSTANT_MS_MAX, 0, INSTANT_MS_MAX, faults)
    check(faults)
    async with scheduling.database.connection() as connection:
        rows = await connection.fetch(queries.batches_between, from_ms, to_ms)
        shown = await describe(connection, rows)
    return json_response({"batches": shown})


def _armed(batch_id: str) -> Refused:
    return Refused("batch.armed", f"batch {batch_id!r} is armed; its paper, time and rules stand", batch_id=batch_id)


def unknown_batch(batch_id: str) -> Refused:
    return Refused("not_found", f"there is no batch {batch_id[:80]!r}")


async def refuse_erased(connection: Connection, batch_id: str) -> None:
    """Raises Refused `batch.erased`: what is laid ready again from it would lack its answers."""
    if await connection.fetchval(queries.find_erasing, batch_id):
        raise Refused("batch.erased", f"the answers of batch {batch_id!r} need not be kept any more")


async def describe(connection: Connection, rows: Sequence[Record]) -> list[dict[str, Any]]:
    """Each batch with its state and counts as they stand now; one query however many batches."""
    now = now_ms()
    found = await connection.fetch(queries.count_sittings, [row["batch_id"] for row in rows])
    groups: dict[str, list[Record]] = {row["batch_id"]: [] for row in rows}
    for group in found:
        groups[group["batch_id"]].append(group)
    return [_described(row, groups[row["batch_id"]], now) for row in rows]


def _described(row: Record, groups: Sequence[Record], now: int) -> dict[str, Any]:
    batch = batch_of(row)
    counts: Counter[str] = Counter()
    results: Counter[str] = Counter()
    closes_ms = timing.boundaries(batch, 0).closes_ms
    for group in groups:
        edges = timing.boundaries(batch, group["extra_time_s"])
        closes_ms = max(closes_ms, edges.closes_ms)
        recorded = SittingState(group["state"])
        state = timing.state_at(recorded, edges, now) if row["armed_ms"] is not None else recorded
        counts["checked_in" if state in _CHECKED_IN else state] += group["sittings"]
        results[group["result_state"] or "none"] += group["sittings"]
    rostered = sum(counts.values())
    is_graded = not results["none"] and not results["pending_assessor"]
    graded = results["graded"]
    return {
        **show_batch(batch),
        "state": _state(batch, row["armed_ms"], closes_ms, is_graded, now),
        "counts": {"rostered": rostered, **{state: counts[state] for state in _COUNTED}, "graded": graded},
        "graded": graded,
        "armed_ms": row["armed_ms"],
        "released_ms": row["released_ms"],
    }


def _state(batch: Batch, armed_ms: int | None, closes_ms: int, is_graded: bool, now: int) -> BatchState:
    if armed_ms is None:
        return BatchState.DRAFT
    if now < batch.starts_ms:
        return BatchState.ARMED
    if now < closes_ms:
        return BatchState.OPEN
    return BatchState.GRADED if is_graded else BatchState.CLOSED


async def _papers_named(connection: Connection, document: Any) -> dict[str, tuple[int, Decimal]]:
    """Of the papers a pushed batch names, those that have been pushed, with their items and points.

    They stay until the transaction ends.
    """
    members = document if isinstance(document, dict) else {}
    several = members.get("papers")
    named = [members.get("paper_id"), *(several[:FORMS_MAX] if isinstance(several, list) else [])]
    usable = [paper_id for paper_id in named if isinstance(paper_id, str) and ID_PATTERN.fullmatch(paper_id)]
    rows = await connection.fetch(queries.papers_known, usable)
    return {row["paper_id"]: (row["items"], row["points"]) for row in rows}


async def _record(connection: Connection, stored: Batch | None, batch: Batch, key_id: str) -> None:
    """Into the batch's log: a new batch whole, of another version what changed, every rule by its name."""
    after = _flat(batch)
    before = None
    if stored is not None:
        before, after = batch_log.changed(_flat(stored), after)
    kind = "created" if stored is None else "changed"
    await batch_log.record(connection, batch.batch_id, kind, key_id=key_id, before=before, after=after)


def _flat(batch: Batch) -> dict[str, Any]:
    members = show_batch(batch)
    rules = members.pop("rules")
    return {**members, **{f"rules.{name}": value for name, value in rules.items()}}


async def _store(connection: Connection, batch: Batch) -> Record:
    """As it stands now. Raises Refused `batch.armed`."""
    rules = msgspec.json.encode(batch.rules).decode()
    stored = await connection.fetchrow(
        queries.put_batch,
        batch.batch_id,
        batch.title,
        batch.occupation,
        batch.level,
        batch.subject,
        batch.kind,
        batch.paper_id,
        batch.admission_code,
        batch.starts_ms,
        batch.duration_s,
        rules,
        now_ms(),
        batch.papers,
    )
    if stored is None:
        raise _armed(batch.batch_id)
    return stored
