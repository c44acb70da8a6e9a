"""The roster of a batch: all of it or nothing, compared with what stands, and laid ready where the batch is armed.

It is read and checked by a process of its own (`roster_process.py`); here it is taken in small pieces, so that the
worker's candidates do not wait for it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec
import orjson
from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response

from engine import batch_log
from engine.access import require
from engine.rules import timing
from engine.rules.assigned_seats import AssignedSeats
from engine.rules.errors import Refused
from engine.rules.limits import ROSTER_BODY_BYTES_MAX
from engine.rules.roster_row import FIELDS
from engine.rules.seating_call import SeatingCall
from engine.rules.shape import Faults
from engine.rules.terms import Batch, Candidate
from engine.scheduling.batches import queries as batch_queries
from engine.scheduling.batches import refuse_erased, unknown_batch
from engine.scheduling.elsewhere import hold_rosters, look_elsewhere
from engine.scheduling.forms import seat_late
from engine.scheduling.resources import Scheduling
from engine.scheduling.roster_event import roster_event
from engine.scheduling.roster_jobs import Chunk, FaultyRoster, ReadRoster, TakenRoster
from engine.scheduling.seating_plan import assign
from engine.scheduling.warning import roster_warned, with_warnings
from engine.sealing.encoding import to_base32
from engine.stores.clock import now_ms, today
from engine.stores.laying import batch_of, lay_ready
from engine.stores.memory import partition_number
from engine.stores.postgres import (
    Connection,
    ExclusionViolation,
    Record,
    UniqueViolation,
    plans_kept,
    uncrossed,
)
from engine.stores.sql import Queries
from engine.tables.refusal import XLSX
from engine.vault import Vault, read_vault
from engine.wire import check, is_dry_run, json_response, path_id, query_whole

queries = Queries(__file__)
_COMPARED = FIELDS[1:]  # all but what a candidate is found by
_ID_BYTES, _ID_LETTERS = 15, 24
_PLACE = ("site", "room", "seat")
_COLUMNS = ("sitting_id", "batch_id", "partition", *FIELDS)


class _Faulty(Exception):
    """The roster is not taken."""

    def __init__(self, roster: FaultyRoster) -> None:
        super().__init__(roster.detail)
        self.roster = roster


class _Overlapping(Exception):
    """id_number -> why that person cannot be in this batch too."""

    def __init__(self, overlaps: dict[str, str]) -> None:
        super().__init__()
        self.overlaps = overlaps


async def put_roster(request: Request) -> Response:
    """`PUT /v1/batches/{batch_id}/roster`. Armed, it still takes additions and changes until the latest entry.

    `?dry_run=1` says what would happen; `?format=xlsx` answers faults as the sender's own sheet with marks in it;
    `?seating=1` assigns the seats it leaves open, after arming those of additions.
    """
    key_id = await require(request, "schedule", "dry_run", "format", "seating")
    scheduling: Scheduling = request.app.state.scheduling
    batch_id = path_id(request, "batch_id")
    faults = Faults()
    is_tried, is_marked = is_dry_run(request, faults), _is_marked(request, faults)
    seats_open = query_whole(request, "seating", 0, 0, 1, faults) == 1
    check(faults)
    body = await read_vault(request.scope, request.receive, ROSTER_BODY_BYTES_MAX)
    try:
        job = ReadRoster(request.headers.get("content-type", ""), today(), is_marked=is_marked)
        answer = await _put(scheduling, batch_id, job, body, key_id, is_tried, seats_open)
    except _Faulty as fault:
        return _faulty_response(batch_id, fault.roster)
    except (UniqueViolation, ExclusionViolation) as fault:
        # The pure check has seen every duplicate within the push, so another push of this batch crossed ours.
        raise Refused(
            "batch.armed", f"another push changed the roster meanwhile ({fault.constraint_name}); look and push again"
        ) from None
    finally:
        body.close()
    return json_response(answer)


async def _put(
    scheduling: Scheduling,
    batch_id: str,
    job: ReadRoster,
    body: Vault,
    key_id: str,
    is_tried: bool,
    seats_open: bool,
) -> dict[str, Any]:
    """Raises _Faulty with every fault, other batches' included. A roster that stands already is taken."""
    async with scheduling.database.connection() as connection:
        row = await connection.fetchrow(batch_queries.find_batch, batch_id)
        if row is None:
            raise unknown_batch(batch_id)
    roster = await scheduling.roster_reader.read(job, body)
    if isinstance(roster, FaultyRoster):
        id_numbers = [number for piece in roster.id_numbers for number in msgspec.msgpack.decode(piece, type=list[str])]
        async with scheduling.database.connection() as connection:
            overlaps = (await look_elsewhere(connection, batch_of(row), id_numbers)).overlaps
        raise _Faulty(await _with_overlaps(scheduling, job, body, overlaps) if overlaps else roster)

    async def replace() -> tuple[dict[str, Any], bool]:
        async with scheduling.database.transaction(is_dry_run=is_tried) as connection:
            return await _replace(scheduling, connection, batch_id, roster, key_id, seats_open)

    try:
        answer, is_armed = await uncrossed(replace)
    except _Overlapping as found:
        raise _Faulty(await _with_overlaps(scheduling, job, body, found.overlaps)) from None
    if is_armed and not is_tried:  # after the commit; should it fail here, a recorder finishes it
        await lay_ready(scheduling.memory, scheduling.database, batch_id, scheduling.login_key)
    return answer


async def _with_overlaps(
    scheduling: Scheduling, job: ReadRoster, body: Vault, overlaps: dict[str, str]
) -> FaultyRoster:
    roster = await scheduling.roster_reader.read_again(job, body, overlaps)
    assert isinstance(roster, FaultyRoster)
    return roster


def _is_marked(request: Request, faults: Faults) -> bool:
    text = request.query_params.get("format", "")
    if text not in ("", "json", "xlsx"):
        faults.add("/format", "expected xlsx or json", text)
    return text == "xlsx"


def _faulty_response(batch_id: str, roster: FaultyRoster) -> Response:
    refused = Refused("roster.invalid", roster.detail, **orjson.loads(roster.members))
    if not roster.workbook:
        raise refused
    headers = {
        "cache-control": "no-store",
        "content-disposition": f'attachment; filename="roster-{batch_id}-faults.xlsx"',
    }
    return Response(roster.workbook, refused.status, headers=headers, media_type=XLSX)


def sitting_ids_of(batch_id: str, candidate_ids: Iterable[str], disarmed_ms: int | None) -> list[str]:
    """Stable: pushing a roster again finds the same sittings; those after a disarming are others than before."""
    tail = "" if disarmed_ms is None else f"|{disarmed_ms}"
    named = (f"{batch_id}|{candidate_id}{tail}" for candidate_id in candidate_ids)
    letters = to_base32(b"".join(hashlib.sha256(each.encode()).digest()[:_ID_BYTES] for each in named))
    return [letters[at : at + _ID_LETTERS] for at in range(0, len(letters), _ID_LETTERS)]


async def _replace(
    scheduling: Scheduling, connection: Connection, batch_id: str, roster: TakenRoster, key_id: str, seats_open: bool
) -> tuple[dict[str, Any], bool]:
    """The answer, and whether the batch is armed. Raises _Overlapping."""
    row = await connection.fetchrow(batch_queries.lock_batch, batch_id)
    if row is None:
        raise unknown_batch(batch_id)
    await refuse_erased(connection, batch_id)
    batch, is_armed = batch_of(row), row["armed_ms"] is not None
    standing = {each["candidate_id"]: each for each in await connection.fetch(queries.sittings_of, batch_id)}
    assigned = await _seen(roster, standing)
    changes = _Changes(standing, keeps_people=is_armed)
    people: dict[str, str] = {}
    async with plans_kept(connection):
        async for chunk in _chunks(roster):
            if assigned:
                room, seat = assigned.keep(chunk)
                chunk = structs.replace(chunk, room=room, seat=seat)
            await _store(scheduling, connection, row, chunk, *changes.compare(chunk))
            people.update(zip(chunk.candidate_id, chunk.id_number, strict=True))
    counts = changes.counts(roster.count)
    if assigned.confirmed:
        await connection.execute(queries.confirm_seats, assigned.confirmed)
    if changes:
        if is_armed:
            _check_armed_change(batch, changes, seats_open)
        if changes.left:
            await connection.execute(queries.remove_sittings, [sitting["sitting_id"] for sitting in changes.left])
        if is_armed:
            await seat_late(connection, batch, changes.rooms)
        if row["laid_ready"]:
            await connection.execute(queries.mark_unlaid, batch_id)
        before, after = roster_event(counts, changes.new_people, changes.other_people, changes.stood, is_armed)
        await batch_log.record(connection, batch_id, "roster", key_id=key_id, before=before, after=after)
    answer: dict[str, Any] = {**counts, "warnings": roster.warnings} if roster.warnings else dict(counts)
    if seats_open:
        answer["seating"] = await _seat_open(connection, row, key_id)
    if changes:  # last of all, for no other roster is taken until this one stands
        await hold_rosters(connection)
    met = await look_elsewhere(connection, batch, list(people.values()))
    if changes and met.overlaps:
        raise _Overlapping(met.overlaps)
    return with_warnings(answer, await roster_warned(connection, batch, people, met)), is_armed


async def _seat_open(connection: Connection, row: Record, key_id: str) -> dict[str, Any]:
    """As `POST …/seating` with its defaults. Raises Refused `batch.armed` where an addition finds no seat."""
    seating, plan = await assign(connection, row, SeatingCall(seed=row["batch_id"]), Faults(), key_id)
    if plan.unassigned and row["armed_ms"] is not None:
        first = plan.unassigned[0]
        detail = f"batch {row['batch_id']!r} is armed: no seat for candidate {first.candidate_id!r}: {first.message}"
        raise Refused("batch.armed", detail, candidate_id=first.candidate_id)
    return {name: seating[name] for name in ("assigned", "unassigned", "neighbours")}


async def _seen(roster: TakenRoster, standing: dict[str, Record]) -> AssignedSeats:
    """The seats that were assigned to who stands, having seen all that the push gives itself."""
    assigned = AssignedSeats(standing)
    if assigned:
        async for chunk in _chunks(roster):
            assigned.see(chunk)
    return assigned


class _Changes:
    """What a push changes, found out piece by piece; who they are only where somebody asks."""

    def __init__(self, standing: dict[str, Record], keeps_people: bool) -> None:
        self.new = self.other = 0
        self.new_people: list[Candidate] = []
        self.other_people: list[Candidate] = []
        self.stood: dict[str, Record] = {}
        self.first_unseated: str | None = None
        self._standing = standing
        self._keeps_people = keeps_people

    @property
    def moved_people(self) -> list[Candidate]:
        """Those of the changed ones who sit elsewhere."""
        return [
            person
            for person in self.other_people
            if any(getattr(person, field) != self.stood[person.candidate_id][field] for field in _PLACE)
        ]

    @property
    def rooms(self) -> list[tuple[str, str]]:
        """The (site, room) that somebody comes into, and those that somebody leaves."""
        moved = self.moved_people
        left = [self.stood[person.candidate_id] for person in moved]
        return [(person.site, person.room) for person in (*self.new_people, *moved)] + [
            (stood["site"], stood["room"]) for stood in left
        ]

    @property
    def left(self) -> list[Record]:
        """Who stands and was not pushed, once all pieces have been compared."""
        return list(self._standing.values())

    def __bool__(self) -> bool:
        return bool(self.new or self.other or self._standing)

    def counts(self, accepted: int) -> dict[str, int]:
        removed, unchanged = len(self._standing), accepted - self.new - self.other
        return {
            "accepted": accepted,
            "added": self.new,
            "changed": self.other,
            "removed": removed,
            "unchanged": unchanged,
        }

    def compare(self, chunk: Chunk) -> tuple[list[int], list[int]]:
        """The places of those that were otherwise, and of the new ones."""
        new, other = [], []
        for place, values in enumerate(zip(*(getattr(chunk, field) for field in FIELDS), strict=True)):
            sitting = self._standing.pop(values[0], None)
            if sitting is None:
                new.append(place)
            elif tuple(sitting[field] for field in _COMPARED) != values[1:]:
                other.append(place)
                if self._keeps_people:
                    self.stood[values[0]] = sitting
        if self._keeps_people:
            self.new_people += [_candidate(chunk, place) for place in new]
            self.other_people += [_candidate(chunk, place) for place in other]
        self.new, self.other = self.new + len(new), self.other + len(other)
        self.first_unseated = self.first_unseated or _first_unseated(chunk)
        return other, new


def _candidate(chunk: Chunk, place: int) -> Candidate:
    return Candidate(**{field: getattr(chunk, field)[place] for field in FIELDS})


async def _chunks(roster: TakenRoster) -> AsyncIterator[Chunk]:
    """Piece by piece, giving way to whatever else the worker has to do."""
    for piece in roster.chunks:
        yield msgspec.msgpack.decode(piece, type=Chunk)
        await asyncio.sleep(0)


def _first_unseated(chunk: Chunk) -> str | None:
    places = zip(chunk.candidate_id, chunk.room, chunk.seat, strict=True)
    return next((candidate_id for candidate_id, room, seat in places if not room or not seat), None)


def _check_armed_change(batch: Batch, changes: _Changes, seats_open: bool) -> None:
    """Who is on an armed roster stays, and keeps a seat; seats must be known, or be assigned to additions."""
    if now_ms() >= timing.boundaries(batch, 0).latest_entry_ms:
        raise Refused("batch.armed", f"batch {batch.batch_id!r} is armed and its latest entry has passed")
    removed = changes.left
    if removed:
        first = removed[0]["candidate_id"]
        missing = f"{len(removed)} missing, the first is {first!r}"
        detail = f"batch {batch.batch_id!r} is armed: nobody can be taken off its roster ({missing})"
        raise Refused("batch.armed", detail, candidate_id=first)
    unseated = changes.first_unseated
    if seats_open:
        moved = changes.moved_people
        unseated = next((person.candidate_id for person in moved if not person.room or not person.seat), None)
    if unseated is not None:
        raise Refused(
            "batch.armed", f"batch {batch.batch_id!r} is armed: candidate {unseated!r} needs a room and a seat"
        )


async def _store(
    scheduling: Scheduling,
    connection: Connection,
    batch: Record,
    chunk: Chunk,
    other: Sequence[int],
    new: Sequence[int],
) -> None:
    """Under the batch's lock: who is new to it has no sitting yet."""
    if other:  # first: a seat is left before it is taken
        sitting_ids, _, numbers, *values = await _columns(scheduling, batch, chunk, other)
        await connection.execute(queries.change_sittings, sitting_ids, batch["batch_id"], numbers, *values)
    if new:
        columns = await _columns(scheduling, batch, chunk, new)
        rows = zip(*columns, strict=True)
        await connection.copy_records_to_table("sitting", columns=_COLUMNS, records=rows)  # half the cost of lists


async def _columns(
    scheduling: Scheduling, batch: Record, chunk: Chunk, places: Sequence[int]
) -> list[Sequence[str | int]]:
    """What _COLUMNS hold of them."""
    values = [[column[place] for place in places] for column in (getattr(chunk, field) for field in FIELDS)]
    await asyncio.sleep(0)
    sitting_ids = sitting_ids_of(batch["batch_id"], values[0], batch["disarmed_ms"])
    partitions = len(scheduling.memory.partitions)
    numbers = [partition_number(sitting_id, partitions) for sitting_id in sitting_ids]
    await asyncio.sleep(0)  # what follows takes as long again: every value is written into a message
    return [sitting_ids, [batch["batch_id"]] * len(places), numbers, *values]
