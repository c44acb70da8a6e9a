"""Builds partitions of Redis from PostgreSQL: on the first start, when Redis lost its data, when it was rolled back.

Only recorded responses come back; what a candidate's journal still holds comes again from there, because the rebuilt
partition begins a new generation. The marker is written last: until then every save is told to try later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine import log
from engine.recording.position import Position
from engine.stores.clock import now_ms
from engine.stores.laying import lay_ready
from engine.stores.memory import Memory, beside
from engine.stores.postgres import Postgres
from engine.stores.sql import Queries

_queries = Queries(__file__)
_MARK = beside(__file__, "mark_partition")
# Redis may have raised its generation a few times that were never recorded; issuing one of those again would let a
# journal take other changes' `committed` for its own. No number of restarts between two recordings fills this gap.
_GENERATION_GAP = 1_000
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
    async with database.connection() as connection:
        batches = await connection.fetch(_queries.armed_batches, now_ms() - _RECEIPTS_KEPT_MS)
    sittings = 0
    for row in batches:
        sittings += await lay_ready(memory, database, row["batch_id"], login_key, numbers)
    markers = await memory.read_hash_fields([memory.partitions[number].marker for number in numbers], ["generation"])
    for number, (generation,) in zip(numbers, markers, strict=True):
        keys = memory.partitions[number]
        begins = max(held[number].generation, int(generation or 0)) + _GENERATION_GAP
        await memory.run(_MARK, [keys.marker, keys.log], [begins])
    log.logger().info("rebuild.done", partitions=list(numbers), sittings=sittings)
