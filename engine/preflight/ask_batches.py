"""Reads the batches of the coming days out of both stores, for `batches.py` to judge; changes nothing.

Sittings come 1,000 at a time and sealed papers one after another: this may run beside an exam.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from engine.preflight.batches import (
    ARMED_BEFORE_MS,
    Coming,
    Laid,
    Paper,
    RosterChange,
    judge_coming,
    judge_none_coming,
    judge_prepared,
    judge_roster,
    judge_unknown_batch,
)
from engine.preflight.finding import Finding
from engine.rules import timing
from engine.rules.calendar import batch_warnings, roster_warnings
from engine.rules.terms import Batch, SittingState
from engine.sealing.signature import key_id
from engine.stores import public_keys
from engine.stores.clock import CHINA, now_ms
from engine.stores.laying import batch_of
from engine.stores.memory import Memory
from engine.stores.postgres import Connection, Postgres, Record
from engine.stores.prepare import (
    PreparedBatch,
    Sitting,
    batch_key,
    laid_fields,
    login_entry,
    prepared_batch,
    prepared_sitting,
    sealed_key,
)
from engine.stores.sql import Queries

_queries = Queries(__file__)
CANARY_PREFIX = "preflight-canary-"  # loadtest/canary.py names its batches so
_AT_ONCE = 1_000
_FINAL = frozenset({SittingState.SUBMITTED, SittingState.COLLECTED, SittingState.ABSENT, SittingState.VOID})


class Known(Struct, frozen=True, kw_only=True):
    """A batch in scope, with what PostgreSQL holds of it."""

    batch: Batch
    row: Record
    sittings: int
    closes_ms: int  # of whoever has the most extra time

    @property
    def is_armed(self) -> bool:
        return self.row["armed_ms"] is not None


async def batches_in_scope(database: Postgres, batch_id: str | None, days: int) -> list[Known]:
    """The one named, or all that have not closed and start within `days`. Raises TryLater."""
    now = now_ms()
    async with database.connection() as connection:
        rows = await connection.fetch(
            _queries.coming, batch_id, now, now + days * ARMED_BEFORE_MS, CANARY_PREFIX.replace("_", r"\_") + "%"
        )
    return [_known(row) for row in rows]


def _known(row: Record) -> Known:
    batch = batch_of(row)
    closes_ms = timing.boundaries(batch, row["extra_time_s"]).closes_ms
    return Known(batch=batch, row=row, sittings=row["sittings"], closes_ms=closes_ms)


def sittings_at_once(batches: Sequence[Known]) -> int:
    """The most candidates that may be there at one moment: between check-in and close of their batches."""
    edges = [
        (moment, change)
        for known in batches
        for moment, change in (
            (timing.boundaries(known.batch, 0).check_in_ms, known.sittings),
            (known.closes_ms, -known.sittings),
        )
    ]
    most = there = 0
    for _, change in sorted(edges):
        there += change
        most = max(most, there)
    return most


# --- coming -----------------------------------------------------------------------------------------------------


async def look_at_coming(
    database: Postgres, batches: Sequence[Known], batch_id: str | None, days: int
) -> list[Finding]:
    """One finding per batch. Raises TryLater."""
    if not batches:
        return [judge_none_coming(days) if batch_id is None else judge_unknown_batch(batch_id)]
    async with database.connection() as connection:
        recipient = await public_keys.answer_key_recipient(connection)
        grader = key_id(recipient) if recipient else ""
        return [judge_coming(await _coming(connection, known, grader), now_ms()) for known in batches]


async def packages_of(database: Postgres, known: Known) -> dict[str, str]:
    """Of a batch's papers those that came sealed: paper id -> digest of the sealed paper. Raises TryLater."""
    async with database.connection() as connection:
        rows = await connection.fetch(_queries.papers_of, list(known.batch.paper_ids))
    return {row["paper_id"]: row["sealed_digest"] for row in rows if row["sealed_digest"]}


async def _coming(connection: Connection, known: Known, grader: str) -> Coming:
    batch, row = known.batch, known.row
    rows = await connection.fetch(_queries.papers_of, list(batch.paper_ids))
    uploaded_ms = await connection.fetchval(_queries.roster_uploaded, batch.batch_id)
    warned = [*batch_warnings(batch, row["pushed_ms"]), *roster_warnings(batch, uploaded_ms, {})]
    return Coming(
        batch_id=batch.batch_id,
        title=batch.title,
        starts_ms=batch.starts_ms,
        starts=shown(batch.starts_ms),
        armed_ms=row["armed_ms"],
        sittings=known.sittings,
        unseated=row["unseated"],
        is_over=known.closes_ms <= now_ms(),
        papers=[
            Paper(
                paper_id=paper["paper_id"],
                is_package=paper["sealed_digest"] is not None,
                has_content=paper["has_content"],
                is_for_grader=paper["answer_key_recipient"] == grader,
            )
            for paper in rows
        ],
        warnings=[(each.code, each.message) for each in warned],
    )


def shown(at_ms: int) -> str:
    """A moment as people in China read it."""
    return f"{datetime.fromtimestamp(at_ms / 1000, CHINA):%Y-%m-%d %H:%M}"


# --- prepared ---------------------------------------------------------------------------------------------------


async def look_at_prepared(
    memory: Memory, database: Postgres, batches: Sequence[Known], login_key: bytes | None
) -> list[Finding]:
    """One finding per armed batch. Raises TryLater."""
    return [judge_prepared(await _laid(memory, database, known, login_key)) for known in batches if known.is_armed]


async def _laid(memory: Memory, database: Postgres, known: Known, login_key: bytes | None) -> Laid:
    batch, disarmed_ms = known.batch, known.row["disarmed_ms"]
    async with database.connection() as connection:
        rows = await connection.fetch(_queries.sittings_of, batch.batch_id)
        faults = [
            fault for form in range(len(batch.paper_ids)) for fault in await _paper(memory, connection, known, form)
        ]
    expected: dict[str, dict[str, bytes]] = {}
    found: dict[str, dict[str, bytes]] = {}
    astray: list[str] = []
    undue: list[str] = []
    for at in range(0, len(rows), _AT_ONCE):
        some = [prepared_sitting(row) for row in rows[at : at + _AT_ONCE]]
        wanted = {sitting.sitting_id: _wanted(batch, sitting, login_key, disarmed_ms) for sitting in some}
        expected |= wanted
        states = await _read(memory, batch, some, wanted, found)
        astray += await _astray(memory, batch, some, login_key)
        undue += await _undue(memory, [sitting for sitting in some if states[sitting.sitting_id] not in _FINAL])
    return Laid(
        batch_id=batch.batch_id,
        expected=expected,
        found=found,
        astray=[sitting for sitting in astray if found[sitting]],
        undue=[sitting for sitting in undue if found[sitting]],
        paper_faults=faults,
        papers=len(batch.paper_ids),
        are_logins_checked=login_key is not None,
    )


def _wanted(batch: Batch, sitting: Sitting, login_key: bytes | None, disarmed_ms: int | None) -> dict[str, bytes]:
    login = login_entry(batch.admission_code, sitting.id_number, login_key) if login_key else ""
    fields = laid_fields(batch, sitting, login, disarmed_ms)
    if not login_key:
        del fields["login"]
    if batch.papers:
        fields["form"] = sitting.form
    return {name: value if isinstance(value, bytes) else str(value).encode() for name, value in fields.items()}


async def _read(
    memory: Memory,
    batch: Batch,
    sittings: Sequence[Sitting],
    wanted: dict[str, dict[str, bytes]],
    found: dict[str, dict[str, bytes]],
) -> dict[str, str]:
    """Add to `found` what Redis has of each, nothing of what was withdrawn there; returns their states in Redis."""
    names = list(next(iter(wanted.values()), {}))
    hashes = [memory.partition_of(sitting.sitting_id).sitting(sitting.sitting_id) for sitting in sittings]
    states = {}
    for sitting, values in zip(
        sittings, await memory.read_hash_fields(hashes, ["state", "withdrawn", *names]), strict=True
    ):
        state, withdrawn, *rest = values
        fields = {name: value for name, value in zip(names, rest, strict=True) if value is not None}
        if batch.papers and state != b"expected" and state is not None:  # who has entered keeps the form of the login
            fields["form"] = wanted[sitting.sitting_id]["form"]
        found[sitting.sitting_id] = {} if state is None or withdrawn else fields
        states[sitting.sitting_id] = (state or b"").decode()
    return states


async def _astray(memory: Memory, batch: Batch, sittings: Sequence[Sitting], login_key: bytes | None) -> list[str]:
    """Those that admission code and ID number do not lead to."""
    if login_key is None:
        return []
    logins = [login_entry(batch.admission_code, sitting.id_number, login_key) for sitting in sittings]
    ways_in = await memory.read_hashes(logins)
    return [
        sitting.sitting_id
        for sitting, way_in in zip(sittings, ways_in, strict=True)
        if way_in.get(sitting.sitting_id.encode()) != batch.batch_id.encode()
    ]


async def _undue(memory: Memory, sittings: Sequence[Sitting]) -> list[str]:
    """Those that stand in no due set, so that nobody would collect them."""
    by_set: dict[str, list[str]] = {}
    for sitting in sittings:
        by_set.setdefault(memory.partition_of(sitting.sitting_id).due, []).append(sitting.sitting_id)
    answers = await memory.read_scores(by_set)
    return [
        sitting_id
        for names, scores in zip(by_set.values(), answers, strict=True)
        for sitting_id, score in zip(names, scores, strict=True)
        if score is None
    ]


async def _paper(memory: Memory, connection: Connection, known: Known, form: int) -> list[str]:
    """What is wrong with one of the batch's papers in either store."""
    batch = known.batch
    seal = await connection.fetchrow(_queries.seal_of, batch.batch_id, form)
    if seal is None:
        return [f"PostgreSQL has no seal of form {form}"]
    wanted = prepared_batch(batch, seal, known.row["disarmed_ms"])
    stored = await memory.read_bytes(batch_key(wanted.armed_id))
    faults = []
    if stored is None:
        faults.append(f"{batch_key(wanted.armed_id)} is not in Redis")
    elif msgspec.msgpack.decode(stored, type=PreparedBatch) != wanted:
        faults.append(f"{batch_key(wanted.armed_id)} in Redis is not what was armed")
    digest = seal["sealed_digest"]
    if hashlib.sha256(seal["sealed"]).hexdigest() != digest:
        faults.append(f"the sealed paper in PostgreSQL is not {digest[:12]}…")
    sealed = await memory.read_bytes(sealed_key(digest))
    if sealed is None:
        faults.append(f"{sealed_key(digest)[:19]}… is not in Redis")
    elif hashlib.sha256(sealed).hexdigest() != digest:
        faults.append(f"{sealed_key(digest)[:19]}… in Redis has other bytes")
    return faults


# --- roster -----------------------------------------------------------------------------------------------------


async def look_at_rosters(database: Postgres, batches: Sequence[Known]) -> list[Finding]:
    """One finding per armed batch. Raises TryLater."""
    found = []
    for known in batches:
        if not known.is_armed:
            continue
        batch_id = known.batch.batch_id
        async with database.connection() as connection:
            rows = await connection.fetch(_queries.roster_since_arming, batch_id)
        changes = [
            RosterChange(
                at=shown(row["at_ms"]),
                key_id=row["key_id"] or "-",
                added=row["added"],
                changed=row["changed"],
                removed=row["removed"],
            )
            for row in rows
            if row["at_ms"] is not None
        ]
        found.append(judge_roster(batch_id, changes, rows[0]["armed_with"], rows[0]["sittings"]))
    return found
