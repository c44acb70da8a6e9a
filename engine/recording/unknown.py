"""Sittings in Redis that PostgreSQL does not know: it was restored from a backup older than their batch or roster.

Their exam goes on, and their responses are recorded; only their rows of `sitting` are missing. They are named loudly,
kept in mind in `{pNN}:unknown`, never deleted, and brought up to date as soon as a push has made PostgreSQL know them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from engine import log, metrics
from engine.recording.copying import NAMED_MAX, Copied, copy_sittings
from engine.recording.position import Position
from engine.rules.limits import CENSUS_SITTINGS_MAX, RESTORE_SITTINGS_MAX
from engine.stores.clock import now_ms
from engine.stores.memory import Memory
from engine.stores.postgres import Postgres
from engine.stores.sql import Queries

_queries = Queries(__file__)
_OLD_MS = 7 * 24 * 3600 * 1000  # long closed: its row may have been deleted on purpose


async def sittings_in_redis(memory: Memory, numbers: Iterable[int]) -> dict[int, list[str]]:
    """Partition -> ids of all sittings that Redis has in it."""
    found: dict[int, list[str]] = {number: [] for number in numbers}
    async for names in memory.find_keys("{p*}:s:*"):
        for name in names:
            sitting_id = name.partition(":s:")[2]
            number = memory.partition_of(sitting_id).number
            if number in found:
                found[number].append(sitting_id)
    return found


async def take_census(memory: Memory, database: Postgres, positions: dict[int, Position]) -> None:
    """Look through these partitions, which stand in PostgreSQL as given, for sittings that it does not know."""
    for number, sitting_ids in (await sittings_in_redis(memory, positions)).items():
        for at in range(0, len(sitting_ids), CENSUS_SITTINGS_MAX):
            some = sitting_ids[at : at + CENSUS_SITTINGS_MAX]
            unknown = sorted(set(some) - set(await _known(database, some)))
            await remember_unknown(memory, unknown, positions[number])


async def remember_unknown(memory: Memory, sitting_ids: Sequence[str], reached: Position) -> None:
    """Name them and keep them in mind; `reached` is how far PostgreSQL once was with their partition."""
    hashes = [memory.partition_of(sitting_id).sitting(sitting_id) for sitting_id in sitting_ids]
    found = await memory.read_hash_fields(hashes, ["batch", "closes_ms"]) if hashes else []
    batches: Counter[str] = Counter()
    marks: dict[str, dict[str, str | bytes]] = {}
    for sitting_id, (batch, closes_ms) in zip(sitting_ids, found, strict=True):
        if batch is None or closes_ms is None or int(closes_ms) + _OLD_MS < now_ms():
            continue
        batches[batch.decode()] += 1
        marks.setdefault(memory.partition_of(sitting_id).unknown, {})[sitting_id] = str(reached)
    if marks:
        await memory.write_hashes(marks)
        named = [sitting_id for some in marks.values() for sitting_id in some][:NAMED_MAX]
        detail = "PostgreSQL does not know these sittings; Redis keeps them: push their batch and roster again"
        log.logger().error("recorder.unknown_sittings", detail=detail, batches=dict(batches), sittings=named)


async def copy_all(memory: Memory, database: Postgres, sitting_ids: Sequence[str], reached: Position) -> Copied:
    """Copy these sittings out of Redis, a few at a time; those that PostgreSQL does not know are kept in mind."""
    copied = Copied()
    for at in range(0, len(sitting_ids), RESTORE_SITTINGS_MAX):
        some = await copy_sittings(memory, database, sitting_ids[at : at + RESTORE_SITTINGS_MAX], reached)
        await remember_unknown(memory, some.unknown, reached)
        copied.add(some)
    return copied


async def adopt_unknown(memory: Memory, database: Postgres, numbers: Sequence[int]) -> int:
    """Copy what Redis has of remembered sittings that PostgreSQL has got to know since; how many.

    The figure `recorder_unknown_sittings` says how many are left.
    """
    left = adopted = 0
    for number in numbers:
        redis_key = memory.partitions[number].unknown
        waiting = {name.decode(): reached.decode() for name, reached in (await memory.read_hash(redis_key)).items()}
        known = await _known(database, list(waiting)) if waiting else []
        left += len(waiting) - len(known)
        for at in range(0, len(known), RESTORE_SITTINGS_MAX):
            some = known[at : at + RESTORE_SITTINGS_MAX]
            reached = max(Position.parse(waiting[sitting_id]) for sitting_id in some)
            await copy_sittings(memory, database, some, reached)
            await memory.delete_fields(redis_key, some)
        adopted += len(known)
    metrics.recorder_unknown_sittings.set(left)
    if adopted:
        log.logger().info("recorder.unknown_adopted", sittings=adopted)
    return adopted


async def _known(database: Postgres, sitting_ids: Sequence[str]) -> list[str]:
    async with database.connection() as connection:
        return [row["sitting_id"] for row in await connection.fetch(_queries.find_sittings, list(sitting_ids))]
