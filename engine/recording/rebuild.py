"""Builds partitions of Redis from PostgreSQL: on the first start, when Redis lost its data, when it was put back.

Only recorded responses come back; what a candidate's journal still holds comes again from there, because the rebuilt
partition begins a new generation. The marker is written last: until then every save of a lost partition is told to try
later. A partition that was only put back takes saves meanwhile: laying undoes nothing that a candidate did.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from engine import log, metrics
from engine.recording.position import NOWHERE, Position
from engine.rules.errors import ExamError, TryLater
from engine.stores.clock import now_ms
from engine.stores.laying import lay_ready
from engine.stores.memory import Memory, beside
from engine.stores.postgres import Postgres
from engine.stores.sql import Queries

_queries = Queries(__file__)
_MARK = beside(__file__, "mark_partition")
_BEGUN = Position(1, 0)  # in PostgreSQL: the partition has been given out, though nothing of it is recorded yet
_RECEIPTS_KEPT_MS = 7 * 24 * 3600 * 1000  # a closed sitting can show its receipt from Redis this long after a rebuild


async def rebuild(
    memory: Memory, database: Postgres, login_key: bytes, owner: str, partitions: Mapping[int, Position]
) -> None:
    """Build `partitions`, which stand in PostgreSQL as given, each in a generation above all that was.

    Raises TryLater; repeatable, also by several recorders at once.
    """
    numbers = sorted(partitions)
    markers = await memory.read_hash_fields([memory.partitions[number].marker for number in numbers], ["generation"])
    sittings = await _lay(memory, database, login_key, numbers)
    fresh = [number for number in numbers if partitions[number] == NOWHERE]
    if fresh:
        # Before its first login: should Redis lose that, PostgreSQL must know that there may have been one.
        async with database.connection() as connection:
            begun = await connection.fetch(_queries.begin_partitions, fresh, *_BEGUN, owner)
        if len(begun) != len(fresh):
            raise TryLater("another recorder holds a partition now; it builds it")
    calls: list[tuple[list[str], list[str | bytes | int]]] = []
    for number, (generation,) in zip(numbers, markers, strict=True):
        keys = memory.partitions[number]
        stands = _BEGUN if number in fresh else partitions[number]
        calls.append(([keys.marker, keys.log], [generation or b"", str(stands), "fresh" if number in fresh else ""]))
    await memory.run_many(_MARK, calls)
    log.logger().info("rebuild.done", partitions=numbers, sittings=sittings)


async def _lay(memory: Memory, database: Postgres, login_key: bytes, numbers: Collection[int]) -> int:
    """Lay the sittings of `numbers`, batch by batch; a batch that cannot be laid keeps no other from its exam."""
    async with database.connection() as connection:
        batches = await connection.fetch(_queries.armed_batches, now_ms() - _RECEIPTS_KEPT_MS)
    sittings = 0
    for row in batches:
        try:
            sittings += await lay_ready(memory, database, row["batch_id"], login_key, list(numbers))
        except TryLater:
            raise
        except Exception as fault:
            metrics.recorder_failures.labels("batch_not_laid").inc()
            unexpected = None if isinstance(fault, ExamError) else fault
            log.logger().error("rebuild.batch_not_laid", batch=row["batch_id"], detail=str(fault), exc_info=unexpected)
    return sittings
