"""Builds partitions of Redis from PostgreSQL: on the first start, when Redis lost its data, when it was rolled back.

Only recorded responses come back; what a candidate's journal still holds comes again from there, because the rebuilt
partition begins a new generation. The marker is written last: until then every save is told to try later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from engine import log
from engine.recording.position import Position
from engine.rules.terms import Batch, Rules
from engine.stores.clock import now_ms
from engine.stores.memory import Memory, beside
from engine.stores.postgres import Connection, Postgres, Record
from engine.stores.prepare import prepare_batch, prepare_sittings, prepared_batch, prepared_sitting
from engine.stores.sql import Queries

_queries = Queries(__file__)
_MARK = beside(__file__, "mark_partition")
_RECEIPTS_KEPT_MS = 7 * 24 * 3600 * 1000  # a closed sitting can show its receipt from Redis this long after a rebuild


async def find_lost(memory: Memory, held: Mapping[int, Position]) -> list[int]:
    """Held partitions whose marker is missing, or stands before what PostgreSQL has recorded."""
    numbers = list(held)
    markers = await memory.read_hash_fields(
        [memory.partitions[number].marker for number in numbers], ["generation", "n"]
    )
    lost = []
    for number, (generation, position) in zip(numbers, markers, strict=True):
        if generation is None or position is None or Position(int(generation), int(position)) < held[number]:
            lost.append(number)
    return lost


async def rebuild(
    memory: Memory, database: Postgres, login_key: bytes, held: Mapping[int, Position], numbers: Sequence[int]
) -> None:
    """Build `numbers` and put their markers, each in a generation above all that was. Raises TryLater; repeatable."""
    sittings = 0
    async with database.connection() as connection:
        for row in await connection.fetch(_queries.armed_batches, now_ms() - _RECEIPTS_KEPT_MS):
            sittings += await _rebuild_batch(memory, connection, row, login_key, numbers)
    markers = await memory.read_hash_fields([memory.partitions[number].marker for number in numbers], ["generation"])
    for number, (generation,) in zip(numbers, markers, strict=True):
        keys = memory.partitions[number]
        begins = max(held[number].generation, int(generation or 0)) + 1
        await memory.run(_MARK, [keys.marker, keys.log], [begins])
    log.logger().warning("rebuild.done", partitions=list(numbers), sittings=sittings)


async def _rebuild_batch(
    memory: Memory, connection: Connection, row: Record, login_key: bytes, numbers: Sequence[int]
) -> int:
    fields = {name: row[name] for name in Batch.__struct_fields__ if name != "rules"}
    batch = Batch(**fields, rules=msgspec.json.decode(row["rules"], type=Rules))
    seal = await connection.fetchrow(_queries.find_seal, batch.batch_id)
    await prepare_batch(memory, prepared_batch(batch, seal), seal["sealed"])
    rows = await connection.fetch(_queries.sittings_in, batch.batch_id, list(numbers))
    responses: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
    for response in await connection.fetch(_queries.responses_of, [sitting["sitting_id"] for sitting in rows]):
        responses[response["sitting_id"]].append((response["item"], response["seq"], response["value"]))
    sittings = [prepared_sitting(sitting, responses[sitting["sitting_id"]]) for sitting in rows]
    await prepare_sittings(memory, batch, sittings, login_key)
    return len(sittings)
