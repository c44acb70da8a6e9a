"""`./run purge`: what is known of a batch is erased once it need not be kept, and a signed record says what it was.

Promises: nothing goes before its day, and nothing that is not in an archive which the caller has at hand, whole and
valid, and which holds exactly what the database holds. Each kind has a day of its own (`rules/retention.py`): the
answers go first, the rest later, by the same archive or, where a release or a migration came between, by one of what
was left. It goes in steps, each a small transaction (`erasing.py`), out of Redis first (`forgetting.py`); whatever ends
it on the way, the same call goes on where it was. What stays is the record in table `purge`: how many rows of which
table, the archive's content, when, signed by the archive's key.
How: the comparison changes nothing and holds nobody up. Only when it was found good, and nothing was done to the batch
meanwhile, a row in `erasing` says that something of it goes: from then on nobody works with that, and no comparison is
made again, for the database holds less than the archive. Whatever ends it before leaves the batch as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from msgspec import Struct

from engine.keeping.archive import ANSWERS, TABLES, connected, find_finished, sittings_of, write_tables
from engine.keeping.audit import audit
from engine.keeping.bundle import BundleReader, BundleWriter, KeepingFault, Member, table_name
from engine.keeping.erasing import Eraser
from engine.keeping.forgetting import check_redis, forget_batch, forget_sittings, forget_ways_in
from engine.rules.errors import TryLater
from engine.rules.retention import ANSWERS_YEARS, RECORDS_YEARS, Kind, day_of, kept_until_ms, kind_due
from engine.sealing.signature import Signer
from engine.stores.clock import now_ms
from engine.stores.memory import Memory
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries

_queries = Queries(__file__)
_FORMAT = "liankao-purge/2"  # 1 knew no kinds: all of a batch went at once
# Worked out from responses: it is gone with them, and no table.
_RECEIPT = "receipt"
_NAMED_MAX = 5


class Purged(Struct, frozen=True):
    """What went, table by table, and the signed record of it; of a dry run what would go, or went so far, and none."""

    kind: Kind
    rows: dict[str, int]
    record: dict[str, Any] | None = None
    is_under_way: bool = False


class _Held(Struct, frozen=True):
    """The archive at hand, found valid: its content, and what of it the database must still hold.

    `answers_in`: of an archive of the records alone, the content of the one that has the answers.
    """

    digest: str
    members: dict[str, Member]
    answers_in: str


class _Found(Struct, frozen=True):
    """What a purge finds to do. `archived`: table -> rows as compared with the archive; None where it is under way.

    `last_done` moves with whatever is done to the batch.
    """

    kind: Kind
    closes_ms: int
    standing: Record | None
    archived: dict[str, int] | None
    last_done: tuple[int, int]


async def purge(
    dsn: str,
    memory: Memory,
    batch_id: str,
    signer: Signer,
    archive: Path,
    keys: Sequence[dict[str, Any]],
    *,
    is_dry_run: bool,
) -> Purged:
    """Erase what is due of a batch.

    Raises KeepingFault naming the days until which it is to be kept, what is wrong with `archive`, or that Redis does
    not serve; then the same again goes on.
    """
    held = _checked_archive(archive, keys, batch_id)
    async with connected(dsn) as connection:
        if not await connection.fetchval(_queries.take_turn, batch_id):
            raise KeepingFault(f"batch {batch_id!r} is being purged by somebody else at this moment")
        if is_dry_run:
            return await _tried(connection, batch_id, held)
        try:
            await check_redis(memory, connection)
            kind = await _begun(connection, batch_id, held)
            sitting_ids = await sittings_of(connection, batch_id)
            await forget_sittings(memory, sitting_ids)
            await forget_ways_in(memory, batch_id)
            await forget_batch(memory, connection, batch_id, with_papers=kind is Kind.RECORDS)
        except TryLater as fault:
            raise KeepingFault(f"{fault.detail}; purge again, it goes on where it was") from None
        await Eraser(connection, batch_id).erase(kind, sitting_ids)
        return await _ended(connection, batch_id, signer, kind, held)


def _checked_archive(path: Path, keys: Sequence[dict[str, Any]], batch_id: str) -> _Held:
    """The archive, once everything in it was found valid."""
    faults, _ = audit(path, keys)
    if faults:
        raise KeepingFault(f"{path} is no valid archive: {faults[0]}")
    bundle = BundleReader(path, list(keys))
    bundle.close()
    if bundle.batch_id != batch_id:
        raise KeepingFault(f"{path} is an archive of batch {bundle.batch_id!r}, expected {batch_id!r}")
    return _Held(bundle.digest, bundle.members, bundle.answers_in)


# --- before anything goes --------------------------------------------------------------------------------------


async def _tried(connection: Connection, batch_id: str, held: _Held) -> Purged:
    """What a purge would do now."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        found = await _find(connection, batch_id, held)
        if found.archived is None:
            assert found.standing is not None
            return Purged(found.kind, orjson.loads(found.standing["rows"]), is_under_way=True)
        return Purged(found.kind, await Eraser(connection, batch_id).count(found.kind, found.archived))


async def _begun(connection: Connection, batch_id: str, held: _Held) -> Kind:
    """What goes now, once the archive was found to hold it. A purge on its way goes on."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        found = await _find(connection, batch_id, held)
    if found.archived is None:
        return found.kind
    async with connection.transaction():
        await connection.execute(_queries.lock_batch, batch_id)
        await connection.execute(_queries.lock_log, batch_id)
        if await _last_done(connection, batch_id) != found.last_done:
            raise KeepingFault(f"something was done to batch {batch_id!r} while it was compared: purge again")
        await connection.execute(_queries.begin, batch_id, held.digest, found.closes_ms, found.kind)
    return found.kind


async def _find(connection: Connection, batch_id: str, held: _Held) -> _Found:
    """In the caller's transaction, which sees one moment. Raises KeepingFault for what must not go."""
    closes_ms = await find_finished(connection, batch_id)
    standing = await connection.fetchrow(_queries.find_erasing, batch_id)
    last_done = await _last_done(connection, batch_id)
    _check_same(batch_id, held, standing)
    kind = _kind(batch_id, closes_ms, standing)
    if _is_under_way(standing):
        return _Found(kind, closes_ms, standing, None, last_done)
    if open_regrade := await connection.fetchval(_queries.open_regrade, batch_id):
        raise KeepingFault(f"regrade {open_regrade!r} of batch {batch_id!r} is open: apply or drop it first")
    if await connection.fetchval(_queries.waiting_review, batch_id):
        raise KeepingFault(f"a score review of batch {batch_id!r} waits for its recheck: let the grader do it first")
    return _Found(kind, closes_ms, standing, await _compare(connection, batch_id, held, standing), last_done)


async def _last_done(connection: Connection, batch_id: str) -> tuple[int, int]:
    row = await connection.fetchrow(_queries.last_done, batch_id)
    return row["event"], row["counting"]


def _is_under_way(standing: Record | None) -> bool:
    return standing is not None and standing["kind"] is not None


def _check_same(batch_id: str, held: _Held, standing: Record | None) -> None:
    """What is gone lies in one archive: only that, or one of what was left then, will do. Raises KeepingFault."""
    if standing is None:
        if held.answers_in:
            raise KeepingFault(f"this archive holds no answers of batch {batch_id!r}, and none of them were erased")
        return
    known = {held.digest} if _is_under_way(standing) else {held.digest, held.answers_in}
    if standing["archive_digest"] not in known:
        raise KeepingFault(
            f"of batch {batch_id!r} something is gone that the archive of content {standing['archive_digest']} holds,"
            f" and this one is of content {held.digest}"
        )


def _kind(batch_id: str, closed_ms: int, standing: Record | None) -> Kind:
    """What goes now: what is under way, else what is due. Raises KeepingFault naming the days."""
    if standing is not None and _is_under_way(standing):
        return Kind(standing["kind"])
    erased_ms = None if standing is None else standing["answers_erased_ms"]
    kind = kind_due(closed_ms, now_ms())
    answers_ms, records_ms = (kept_until_ms(closed_ms, years) for years in (ANSWERS_YEARS, RECORDS_YEARS))
    if kind is Kind.ANSWERS and erased_ms is not None:
        raise KeepingFault(
            f"the answers of batch {batch_id!r} were erased on {day_of(erased_ms)}, its records are"
            f" to be kept until before {day_of(records_ms)}"
        )
    if kind is None:
        raise KeepingFault(
            f"batch {batch_id!r} closed on {day_of(closed_ms)}: its answers are to be kept until before"
            f" {day_of(answers_ms)}, its records until before {day_of(records_ms)}"
        )
    return kind


async def _compare(connection: Connection, batch_id: str, held: _Held, standing: Record | None) -> dict[str, int]:
    """Table -> rows. Raises KeepingFault unless the database holds what the archive does, but for erased answers."""
    writer = BundleWriter(None)
    await write_tables(connection, batch_id, writer, with_answers=standing is None)
    gone = set() if standing is None else {table_name(table) for table in ANSWERS}
    archived = [member for member in held.members.values() if member.name not in gone]
    if writer.members != archived:
        again = "archive it again" if standing is None else "archive what is left, and purge with that archive"
        differing = _named(writer.members, archived)
        raise KeepingFault(f"batch {batch_id!r} is not what was archived any more ({differing}): {again}")
    rows = {member.name: member.rows or 0 for member in writer.members}
    return {table.name: rows.get(table_name(table.name), 0) for table in TABLES if table.name != _RECEIPT}


def _named(found: Sequence[Member], archived: Sequence[Member]) -> str:
    """What differs, for a person: a few names, those of tables first, for bytes are named by what they hold."""
    names = sorted({member.name for member in set(found) ^ set(archived)}, reverse=True) or ["their order"]
    return ", ".join(names[:_NAMED_MAX]) + (f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else "")


# --- when it is gone -------------------------------------------------------------------------------------------


async def _ended(connection: Connection, batch_id: str, signer: Signer, kind: Kind, held: _Held) -> Purged:
    """The signed record; of the records' erasing, in the transaction in which the batch itself goes."""
    async with connection.transaction():
        row = await connection.fetchrow(_queries.find_erasing, batch_id)
        rows: dict[str, int] = orjson.loads(row["rows"])
        if kind is Kind.RECORDS:
            rows |= await Eraser(connection, batch_id).erase_batch()
        record = signer.signed(
            {
                "format": _FORMAT,
                "batch_id": batch_id,
                "kind": kind,
                "closed_ms": row["closed_ms"],
                "archive_digest": row["archive_digest"],
                **({"answers_in": held.answers_in} if held.answers_in else {}),
                "rows": dict(sorted(rows.items())),
                "purged_ms": now_ms(),
            }
        )
        await connection.execute(_queries.keep_record, batch_id, record["purged_ms"], orjson.dumps(record).decode())
        if kind is Kind.ANSWERS:
            await connection.execute(_queries.mark_answers_erased, batch_id, record["purged_ms"])
    return Purged(kind, rows, record)


def shown(purged: Purged) -> list[str]:
    """For a person: a line per table that held something, then the record."""
    lines = [f"{rows} rows of {table}" for table, rows in sorted(purged.rows.items()) if rows]
    if purged.record is not None:
        return [*lines, orjson.dumps(purged.record).decode()]
    told = "are being erased, so much went so far" if purged.is_under_way else "would go"
    return [*lines, f"the {purged.kind} {told}"]
