"""`./run archive`: everything that is known of a closed and graded batch, in one signed bundle (`schema/archive.md`).

Read in one transaction that sees one moment, a few rows at a time. Written beside its name and moved there when it is
whole and on disk; its digest is kept in table `archive`, so that purging can tell whether it is still all there is.
Of a batch whose answers were erased it holds the records alone, and says which archive has the answers.

Of the queries `$1` is the batch's id, or a few of its sittings. Order is by what a row is, byte by byte (COLLATE "C"),
so that the same content is always the same bytes. Bytes stand as the hex SHA-256 of themselves; `blobs` gives them.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from engine.keeping.bundle import BundleWriter, KeepingFault, new_file
from engine.keeping.erasing import ANSWER_TABLES
from engine.rules import timing
from engine.rules.limits import ARCHIVE_BLOBS_AT_ONCE, ARCHIVE_ROWS_AT_ONCE, ARCHIVE_SITTINGS_AT_ONCE
from engine.sealing.signature import ALGORITHM, Signer, shown_key
from engine.stores import public_keys
from engine.stores.clock import now_ms
from engine.stores.laying import batch_of
from engine.stores.postgres import Connection, connect
from engine.stores.sql import Queries

_queries = Queries(__file__)


class Table(Struct, frozen=True):
    """A table of the archive: its rows, by batch or by sittings, and the bytes that they name by their digests."""

    name: str
    rows: str
    by_sittings: bool = False
    blobs: str = ""


# In the order in which they are written. `receipt` is no table of the database: it is worked out from responses.
TABLES = (
    Table("batch", _queries.batch),
    Table("paper", _queries.paper, blobs=_queries.blobs_of_paper),
    Table("package", _queries.package, blobs=_queries.blobs_of_package),
    Table("seal", _queries.seal, blobs=_queries.blobs_of_seal),
    Table("answer_key", _queries.answer_key, blobs=_queries.blobs_of_answer_key),
    Table("batch_event", _queries.batch_event),
    Table("disarming", _queries.disarming),
    Table("regrade", _queries.regrade),
    Table("regrade_change", _queries.regrade_change, blobs=_queries.blobs_of_regrade_change),
    Table("regrade_key", _queries.regrade_key, blobs=_queries.blobs_of_regrade_key),
    Table("item_statistics", _queries.item_statistics),
    Table("flag_explanation", _queries.flag_explanation),
    Table("room_event", _queries.room_event),
    Table("device_check", _queries.device_check),
    Table("sitting", _queries.sitting, by_sittings=True),
    Table("withdrawn_sitting", _queries.withdrawn_sitting, by_sittings=True),
    Table("response", _queries.response, by_sittings=True),
    Table("response_history", _queries.response_history, by_sittings=True),
    Table("sitting_event", _queries.sitting_event, by_sittings=True),
    Table("photo", _queries.photo, by_sittings=True, blobs=_queries.blobs_of_photo),
    Table("photo_act", _queries.photo_act, by_sittings=True),
    Table("assessment_task", _queries.assessment_task, by_sittings=True),
    Table("assessment_mark", _queries.assessment_mark, by_sittings=True),
    Table("regrade_sitting", _queries.regrade_sitting, by_sittings=True),
    Table("result", _queries.result, by_sittings=True),
    Table("score_review", _queries.score_review, by_sittings=True),
    Table("receipt", _queries.receipt, by_sittings=True),
)
# What is not there any more once the answers are erased.
ANSWERS = frozenset((*ANSWER_TABLES, "receipt"))
# Tables of the database that no archive holds, and why.
LEFT_OUT = {
    "api_key": "a credential is no record of an exam; who used it stands in the logs by its id",
    "public_key": "those in force are in the manifest; trust in them comes from outside",
    "recording": "where the recorder stands, of no batch",
    "recorder": "which processes live",
    "feed": "the last publication number, of no batch",
    "assessment_due": "notes from worker to grader; none is left of a graded batch",
    "statistics_request": "notes from worker to grader",
    "site": "what rosters name in words, of no batch",
    "room": "the same",
    "webhook": "where results are sent to, of no batch",
    "webhook_secret": "a credential",
    "webhook_queue": "which results wait to be sent",
    "webhook_delivery": "how results were sent, not what they are",
    "response_history_default": "read as part of `response_history`",
    "sitting_event_default": "read as part of `sitting_event`",
    "archive": "what was archived cannot lie in itself",
    "purge": "what is left of batches that are gone",
    "erasing": "which batches are on their way out, and by which archive",
}


class Made(Struct, frozen=True):
    """An archive that is on disk: `digest` is its content's, `rows` those of all tables.

    `answers_in`: of the records alone, the content of the archive that has the answers.
    """

    path: Path
    digest: str
    bytes: int
    rows: int
    answers_in: str = ""


async def archive(dsn: str, batch_id: str, signer: Signer, path: Path) -> Made:
    """Write the archive of a batch to `path`. Raises KeepingFault: none, not over or graded, or `path` exists."""
    async with connected(dsn) as connection:
        with new_file(path) as file:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await find_finished(connection, batch_id)
                answers_in = await _answers_in(connection, batch_id)
                writer = BundleWriter(file)
                await write_tables(connection, batch_id, writer, with_answers=not answers_in)
            await public_keys.register(connection, "archive", ALGORITHM, signer.public_key)
            keys = [shown_key(key) for key in await public_keys.signing_keys(connection)]
            digest = writer.close(batch_id, keys, signer, answers_in)
            size = file.seek(0, os.SEEK_END)
        await connection.execute(_queries.keep_digest, batch_id, digest, size, signer.key_id, now_ms())
    return Made(path, digest, size, sum(member.rows or 0 for member in writer.members), answers_in)


async def _answers_in(connection: Connection, batch_id: str) -> str:
    """The content of the archive that has its answers, where they were erased; raises KeepingFault while some go."""
    row = await connection.fetchrow(_queries.find_erasing, batch_id)
    if row is not None and row["kind"] is not None:
        raise KeepingFault(
            f"something of batch {batch_id!r} is being erased: all of it lies in the archive of content"
            f" {row['archive_digest']}"
        )
    return "" if row is None else str(row["archive_digest"])


async def write_tables(
    connection: Connection, batch_id: str, writer: BundleWriter, *, with_answers: bool = True
) -> None:
    """Every table of the batch, as it is seen by the transaction that `connection` is in."""
    sitting_ids = await sittings_of(connection, batch_id)
    for table in TABLES:
        if table.name in ANSWERS and not with_answers:
            continue
        chunks: list[Any] = list(_chunks(sitting_ids)) if table.by_sittings else [batch_id]
        query = f"SELECT row_to_json(found)::text AS line FROM ({table.rows}) AS found"
        with writer.table(table.name) as rows:
            for chunk in chunks:
                async for row in connection.cursor(query, chunk, prefetch=ARCHIVE_ROWS_AT_ONCE):
                    rows.row(row["line"])
        if table.blobs:
            for chunk in chunks:
                async for row in connection.cursor(table.blobs, chunk, prefetch=ARCHIVE_BLOBS_AT_ONCE):
                    writer.blob(row["blob"])


async def find_finished(connection: Connection, batch_id: str) -> int:
    """When the batch closed. Raises KeepingFault: there is none, it is not over, or not graded."""
    row = await connection.fetchrow(_queries.find_batch, batch_id)
    if row is None:
        raise KeepingFault(f"there is no batch {batch_id[:80]!r}")
    if row["armed_ms"] is None:
        raise KeepingFault(f"batch {batch_id!r} was never armed: there was no exam")
    closes_ms = timing.boundaries(batch_of(row), row["extra_time_s_max"] or 0).closes_ms
    if now_ms() < closes_ms:
        raise KeepingFault(f"batch {batch_id!r} closes at {closes_ms} ms, it is {now_ms()} ms")
    counts = await connection.fetchrow(_queries.count_unfinished, batch_id)
    waiting = [f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count]
    if waiting:
        raise KeepingFault(f"batch {batch_id!r} is not graded: of its sittings {', '.join(waiting)}")
    return closes_ms


async def sittings_of(connection: Connection, batch_id: str) -> list[str]:
    """Those of the batch and of its undone armings, in the order in which tables of sittings are written."""
    return [row["sitting_id"] for row in await connection.fetch(_queries.sittings, batch_id)]


def _chunks(sitting_ids: Sequence[str]) -> list[list[str]]:
    some = ARCHIVE_SITTINGS_AT_ONCE
    return [list(sitting_ids[at : at + some]) for at in range(0, len(sitting_ids), some)]


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Connection]:
    """A connection of the owner's, as long as the block lasts."""
    connection = await connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()
