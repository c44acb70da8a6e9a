"""Lays armed batches ready in Redis from what PostgreSQL holds, under the batch's lock.

Used by arming and roster pushes right after their commit, by the recorder for what they could not finish, and by a
rebuild. Everything is repeatable and undoes nothing that a candidate did. That it was done stands in the log of each
partition: a Redis that was put back to before it is known by that, also where nobody has logged in since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

import msgspec

from engine.rules.limits import LAID_ROWS, REBUILT_ROWS
from engine.rules.photo import EVENT_PREFIX, PhotoState
from engine.rules.terms import Batch, Rules
from engine.stores.memory import Memory, beside
from engine.stores.postgres import Connection, Postgres, Record
from engine.stores.prepare import Sitting, prepare_batch, prepare_sittings, prepared_batch, prepared_sitting
from engine.stores.sql import Queries

_queries = Queries(__file__)
_NOTE = beside(__file__)


def batch_of(row: Record) -> Batch:
    """A row of `batch` as the rules know it."""
    fields = {name: row[name] for name in Batch.__struct_fields__ if name not in ("rules", "papers")}
    papers = tuple(row["papers"]) if row["papers"] else None
    return Batch(**fields, papers=papers, rules=msgspec.json.decode(row["rules"], type=Rules))


async def lay_ready(
    memory: Memory, database: Postgres, batch_id: str, login_key: bytes, partitions: Sequence[int] | None = None
) -> int:
    """Lay an armed batch ready; how many sittings. Raises TryLater.

    With `partitions`, only their sittings, and with their recorded responses: those partitions are being rebuilt.
    Otherwise Redis holds the responses, and nothing is gained by sending them all again in the middle of an exam.
    """
    async with database.transaction() as connection:
        row = await connection.fetchrow(_queries.lock_batch, batch_id)
        if row is None:
            return 0
        batch = batch_of(row)
        for form in range(len(batch.paper_ids)):  # one after the other: a sealed paper may have many MiB
            seal = await connection.fetchrow(_queries.find_seal, batch_id, form)
            await prepare_batch(memory, prepared_batch(batch, seal, row["disarmed_ms"]), seal["sealed"])
        is_rebuild = partitions is not None
        laid, after = 0, ""
        touched: set[int] = set()
        # Read as they are laid: that bounds what is held, and keeps PostgreSQL from taking us for frozen.
        while some := await connection.fetch(
            _queries.sittings_in, batch_id, partitions, after, REBUILT_ROWS if is_rebuild else LAID_ROWS
        ):
            laid, after = laid + len(some), some[-1]["candidate_id"]
            if is_rebuild:
                prepared = await _recorded(connection, batch, some)
            else:
                prepared = [prepared_sitting(sitting) for sitting in some]
            await prepare_sittings(memory, batch, prepared, login_key, row["disarmed_ms"], is_rebuild=is_rebuild)
            touched.update(memory.partition_of(sitting["sitting_id"]).number for sitting in some)
        if not is_rebuild:
            await _note_laid(memory, batch_id, touched)
            await connection.execute(_queries.mark_laid, batch_id)
    return laid


async def _note_laid(memory: Memory, batch_id: str, partitions: Collection[int]) -> None:
    """In the log of each. One that takes no entry is lost or corrupt: it is rebuilt, or looked at by a person."""
    touched = [memory.partitions[number] for number in sorted(partitions)]
    await memory.run_many(_NOTE, [([keys.marker, keys.log], [batch_id]) for keys in touched])


async def lay_unlaid(memory: Memory, database: Postgres, login_key: bytes) -> int:
    """Finish what a worker began: armed batches that are not in Redis yet. How many there were.

    One that cannot be laid keeps none of the others; its fault is raised after them.
    """
    async with database.connection() as connection:
        rows = await connection.fetch(_queries.unlaid_batches)
    faults: list[Exception] = []
    for row in rows:
        try:
            await lay_ready(memory, database, row["batch_id"], login_key)
        except Exception as fault:
            faults.append(fault)
    if faults:
        raise faults[0]
    return len(rows)


async def _recorded(connection: Connection, batch: Batch, sittings: Sequence[Record]) -> list[Sitting]:
    """With their responses, and with what their events say of their photos.

    Who has answered had the paper, so the photo step was behind them: it counts as owed where no event tells more, for
    a candidate in the middle of an exam is not sent back to it.
    """
    responses = await _responses(connection, sittings)
    photos: dict[str, str] = {}
    if batch.rules.photo == "required":
        photos = dict.fromkeys(responses, PhotoState.OWED)
        for row in await connection.fetch(_queries.photos_of, [sitting["sitting_id"] for sitting in sittings]):
            photos[row["sitting_id"]] = row["kind"].removeprefix(EVENT_PREFIX)
    return [
        prepared_sitting(sitting, responses.get(sitting["sitting_id"], ()), photos.get(sitting["sitting_id"], ""))
        for sitting in sittings
    ]


async def _responses(connection: Connection, sittings: Sequence[Record]) -> dict[str, list[tuple[str, int, str]]]:
    """sitting_id -> (item, seq, canonical JSON value) as recorded."""
    found: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
    for row in await connection.fetch(_queries.responses_of, [sitting["sitting_id"] for sitting in sittings]):
        found[row["sitting_id"]].append((row["item"], row["seq"], row["value"]))
    return found
