"""Builds partitions of Redis from PostgreSQL: on the first start, when Redis lost its data, when it was put back.

Only recorded responses come back; what a candidate's journal still holds comes again from there, because the rebuilt
partition begins a new generation. The marker is written last: until then every save of a lost partition is told to try
later. A partition that was only put back takes saves meanwhile: laying undoes nothing that a candidate did. It may also
hold what PostgreSQL never got (Redis was lost once, and what was put back is from before): that is copied first, since
its log entries lie before PostgreSQL's position and would never be read. Each building has a number that both stores
keep: whichever is put back to before the last one is known by it, even where the log seems to fit; and a Redis that is
lost in the middle of one has forgotten that it began.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from engine import log, metrics
from engine.recording.position import NOWHERE, Position
from engine.recording.unknown import copy_all, sittings_in_redis
from engine.rules.errors import ExamError, TryLater
from engine.stores.clock import now_ms
from engine.stores.laying import lay_ready
from engine.stores.memory import Memory, beside
from engine.stores.postgres import Postgres
from engine.stores.sql import Queries
from engine.stores.withdrawing import withdraw_again

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
    await withdraw_again(memory, database, numbers)
    copied = 0
    for number, sitting_ids in (await sittings_in_redis(memory, numbers)).items():
        copied += (await copy_all(memory, database, sitting_ids, partitions[number])).responses
    buildings = await _order(database, owner, numbers, [int(generation or 0) for (generation,) in markers])
    # Should Redis be lost once more before the mark, what has been laid by then is missing, and the mark is refused.
    begun_in = {memory.partitions[number].marker: {"building": str(built)} for number, built in buildings.items()}
    await memory.write_hashes(begun_in)
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
        fresh_or_not = "fresh" if number in fresh else ""
        calls.append(([keys.marker, keys.log], [generation or b"", str(stands), buildings[number], fresh_or_not]))
    await memory.run_many(_MARK, calls)
    log.logger().info("rebuild.done", partitions=numbers, sittings=sittings, responses_copied=copied)


async def read_ordered(database: Postgres, numbers: Sequence[int]) -> dict[int, int]:
    """Partition -> number of the building that was ordered last. Raises TryLater."""
    async with database.connection() as connection:
        rows = await connection.fetch(_queries.find_ordered, numbers)
    return {row["partition"]: row["built"] for row in rows}


async def _order(database: Postgres, owner: str, numbers: Sequence[int], generations: Sequence[int]) -> dict[int, int]:
    """The number of the building that begins now, for each partition: above all that PostgreSQL or Redis knows.

    Moments, as generations are: a PostgreSQL that was put back gives none out again.
    """
    wanted = [max(now_ms(), generation + 1) for generation in generations]
    async with database.connection() as connection:
        rows = await connection.fetch(_queries.order_building, list(numbers), wanted, owner)
    if len(rows) != len(numbers):
        raise TryLater("another recorder holds a partition now; it builds it")
    return {row["partition"]: row["built"] for row in rows}


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
