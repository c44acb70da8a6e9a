"""Takes a batch out of Redis before it is erased in PostgreSQL: sittings with names and responses, and sealed papers.

Only of batches whose answers need not be kept any more: until then a sitting stays there, for its candidate may come
back for the receipt, and a PostgreSQL that was put back is restored from it. Afterwards no sitting may be left: a
sitting that Redis has and PostgreSQL does not would count as one that a restored PostgreSQL has lost
(`recording/unknown.py`), and a receipt made of what is left would be a false one. Everything is repeatable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.keeping.bundle import KeepingFault
from engine.rules.forms import armed_id
from engine.rules.limits import ERASED_SITTINGS_AT_ONCE
from engine.stores.memory import Memory
from engine.stores.postgres import Connection
from engine.stores.prepare import ERASED, batch_key, sealed_key
from engine.stores.sql import Queries

_queries = Queries(__file__)


async def check_redis(memory: Memory, connection: Connection) -> None:
    """Raises KeepingFault for a Redis that is not this database's, as under a wrong setting: nothing would go there.

    Each building of a partition has a number that both stores keep. Raises TryLater.
    """
    rows = {row["partition"]: row["built"] for row in await connection.fetch(_queries.buildings)}
    numbers = range(len(memory.partitions))
    known = await memory.read_hash_fields([memory.partitions[number].marker for number in numbers], ["built"])
    built = {number: int(found or 0) for number, (found,) in zip(numbers, known, strict=True)}
    if built != rows:
        raise KeepingFault(
            "the Redis at LIANKAO_REDIS_URL, with LIANKAO_PARTITIONS, is not the one that this database was built with,"
            " or it is being rebuilt"
        )


async def forget_sittings(memory: Memory, sitting_ids: Sequence[str]) -> None:
    """A few at a time. Raises TryLater."""
    for at in range(0, len(sitting_ids), ERASED_SITTINGS_AT_ONCE):
        some = sitting_ids[at : at + ERASED_SITTINGS_AT_ONCE]
        places = [(sitting_id, memory.partition_of(sitting_id)) for sitting_id in some]
        hashes = [keys.sitting(sitting_id) for sitting_id, keys in places]
        # The way in first: should it end here, the sitting still says which that was.
        ways_in: dict[str, list[str]] = {}
        for sitting_id, (login,) in zip(some, await memory.read_hash_fields(hashes, ["login"]), strict=True):
            if login:
                ways_in.setdefault(login.decode(), []).append(sitting_id)
        for sitting_id, keys in places:
            ways_in.setdefault(keys.unknown, []).append(sitting_id)
        await memory.delete_hash_fields(ways_in)
        await memory.delete(*hashes)


async def forget_ways_in(memory: Memory, batch_id: str) -> None:
    """Ways in that still lead to the batch though no sitting of it names them. Raises TryLater.

    Such are left where an ID number was corrected by an engine that left them, or one part of Redis was put back to
    before that: whoever has the number next would find a sitting that is not there, and be told to try later.
    """
    async for names in memory.find_keys("login:*"):
        found = await memory.read_hashes(names)
        strays = {name: _leading_to(batch_id, led) for name, led in zip(names, found, strict=True)}
        await memory.delete_hash_fields(strays)


def _leading_to(batch_id: str, led: Mapping[bytes, bytes]) -> list[str]:
    return [sitting_id.decode() for sitting_id, batch in led.items() if batch.decode() == batch_id]


async def forget_batch(memory: Memory, connection: Connection, batch_id: str, *, with_papers: bool) -> None:
    """What workers knew of the batch, of undone armings, too; and its sealed papers. Raises TryLater.

    That it was erased stays in the place of each, for good, or whoever has a token of it would be told to try later.
    """
    seals = await connection.fetch(_queries.seals_of, batch_id)
    known = [armed_id(batch_id, seal["form"], seal["disarmed_ms"]) for seal in seals]
    for disarming in await connection.fetch(_queries.disarmings_of, batch_id):
        known += disarming["armed_ids"]
    for name in known:
        await memory.write_bytes(batch_key(name), ERASED)
    if with_papers:
        await memory.delete(*(sealed_key(seal["sealed_digest"]) for seal in seals))
