"""`./run purge`: what is known of a batch is erased once it need not be kept, and a signed record says what it was.

Promises: nothing goes before its day, and nothing that is not in an archive which the caller has at hand, whole and
valid, and which holds exactly what the database holds now. All of it goes in one transaction, or none. What stays is
the record in table `purge`: how many rows of which table, the archive's content, when, signed by the archive's key.
Papers and answer keys go with the last batch that uses them. Not here: what Redis may still hold of its sittings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from msgspec import Struct

from engine.keeping.archive import connected, find_finished, write_tables
from engine.keeping.audit import audit
from engine.keeping.bundle import BundleReader, BundleWriter, KeepingFault, content_digest
from engine.rules.limits import ARCHIVE_SITTINGS_AT_ONCE
from engine.rules.retention import PAPERS_YEARS, RECORDS_YEARS, day_of, kept_until_ms
from engine.sealing.signature import Signer
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection
from engine.stores.sql import Queries

_queries = Queries(__file__)

# In an order in which nothing is left that refers to what is gone: (table, statement), first those by sittings.
_BY_SITTINGS = (
    ("score_review", _queries.erase_score_review),
    ("regrade_sitting", _queries.erase_regrade_sitting),
    ("assessment_mark", _queries.erase_assessment_mark),
    ("assessment_task", _queries.erase_assessment_task),
    ("result", _queries.erase_result),
    ("photo_act", _queries.erase_photo_act),
    ("photo", _queries.erase_photo),
    ("sitting_event", _queries.erase_sitting_event),
    ("response_history", _queries.erase_response_history),
    ("response", _queries.erase_response),
    ("withdrawn_sitting", _queries.erase_withdrawn_sitting),
    ("sitting", _queries.erase_sitting),
)
_BY_BATCH = (
    ("webhook_delivery", _queries.erase_webhook_delivery),
    ("webhook_queue", _queries.erase_webhook_queue),
    ("assessment_due", _queries.erase_assessment_due),
    ("statistics_request", _queries.erase_statistics_request),
    ("regrade_key", _queries.erase_regrade_key),
    ("regrade_change", _queries.erase_regrade_change),
    ("regrade", _queries.erase_regrade),
    ("flag_explanation", _queries.erase_flag_explanation),
    ("item_statistics", _queries.erase_item_statistics),
    ("device_check", _queries.erase_device_check),
    ("room_event", _queries.erase_room_event),
    ("disarming", _queries.erase_disarming),
    ("batch_event", _queries.erase_batch_event),
    ("archive", _queries.erase_archive),
)


class Purged(Struct, frozen=True):
    """What went, table by table, and the signed record of it."""

    rows: dict[str, int]
    record: dict[str, Any]


async def purge(
    dsn: str, batch_id: str, signer: Signer, archive: Path, keys: Sequence[dict[str, Any]], *, is_dry_run: bool
) -> Purged:
    """Erase a batch. Raises KeepingFault naming the day from which on it may be, or what is wrong with `archive`."""
    digest = _checked_archive(archive, keys, batch_id)
    async with connected(dsn) as connection:
        transaction = connection.transaction(isolation="repeatable_read")
        await transaction.start()
        try:
            purged = await _purge(connection, batch_id, signer, digest)
        except BaseException:
            await transaction.rollback()
            raise
        await (transaction.rollback() if is_dry_run else transaction.commit())
    return purged


def _checked_archive(path: Path, keys: Sequence[dict[str, Any]], batch_id: str) -> str:
    """The digest of the archive's content, once everything in it was found valid."""
    faults, _ = audit(path, keys)
    if faults:
        raise KeepingFault(f"{path} is no valid archive: {faults[0]}")
    bundle = BundleReader(path, list(keys))
    bundle.close()
    if bundle.batch_id != batch_id:
        raise KeepingFault(f"{path} is an archive of batch {bundle.batch_id!r}, expected {batch_id!r}")
    return bundle.digest


async def _purge(connection: Connection, batch_id: str, signer: Signer, digest: str) -> Purged:
    closes_ms = await find_finished(connection, batch_id)
    _check_day(batch_id, closes_ms)
    writer = BundleWriter(None)
    sitting_ids = await write_tables(connection, batch_id, writer)
    if content_digest(batch_id, writer.members) != digest:
        raise KeepingFault(f"batch {batch_id!r} is not what was archived any more: archive it again")
    rows: dict[str, int] = {}
    for table, statement in _BY_SITTINGS:
        rows[table] = 0
        for at in range(0, len(sitting_ids), ARCHIVE_SITTINGS_AT_ONCE):
            rows[table] += await _erase(connection, statement, sitting_ids[at : at + ARCHIVE_SITTINGS_AT_ONCE])
    for table, statement in _BY_BATCH:
        rows[table] = await _erase(connection, statement, batch_id)
    rows |= await _erase_papers(connection, batch_id)
    record = signer.signed(
        {
            "format": "liankao-purge/1",
            "batch_id": batch_id,
            "closed_ms": closes_ms,
            "archive_digest": digest,
            "rows": dict(sorted(rows.items())),
            "purged_ms": now_ms(),
        }
    )
    await connection.execute(_queries.keep_record, batch_id, record["purged_ms"], orjson.dumps(record).decode())
    return Purged(rows, record)


def _check_day(batch_id: str, closed_ms: int) -> None:
    papers_ms, records_ms = (kept_until_ms(closed_ms, years) for years in (PAPERS_YEARS, RECORDS_YEARS))
    if now_ms() < max(papers_ms, records_ms):
        raise KeepingFault(
            f"batch {batch_id!r} closed on {day_of(closed_ms)}: its papers are to be kept until before"
            f" {day_of(papers_ms)}, its records until before {day_of(records_ms)}"
        )


async def _erase_papers(connection: Connection, batch_id: str) -> dict[str, int]:
    """Seals and the batch itself, then what no other batch uses: answer keys, packages, papers."""
    used = await connection.fetchrow(_queries.papers_of, batch_id)
    rows = {"seal": await _erase(connection, _queries.erase_seal, batch_id)}
    rows["package"] = await _erase(connection, _queries.erase_package, batch_id)
    rows["batch"] = await _erase(connection, _queries.erase_batch, batch_id)
    rows["paper"] = await _erase(connection, _queries.erase_paper, used["paper_ids"])
    rows["answer_key"] = await _erase(connection, _queries.erase_answer_key, used["paper_digests"])
    return rows


async def _erase(connection: Connection, statement: str, argument: Any) -> int:
    """How many rows went: PostgreSQL answers `DELETE 12`."""
    return int((await connection.execute(statement, argument)).rpartition(" ")[2])


def shown(purged: Purged) -> list[str]:
    """For a person: a line per table that held something, then the record."""
    lines = [f"{rows} rows of {table}" for table, rows in purged.rows.items() if rows]
    return [*lines, orjson.dumps(purged.record).decode()]
