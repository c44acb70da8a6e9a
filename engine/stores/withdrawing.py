"""Takes out of Redis what an arming put there, after it was undone: the way in, sittings, key and sealed paper.

Used by disarming right after its commit, by the recorder for what a worker could not finish, and by a rebuild for what
a Redis that was put back has again. Everything is repeatable. The sittings of the next arming have ids of their own,
so nothing here can reach them, however late it comes.

A withdrawn sitting leaves its hash behind, in which a raised epoch tells every older token that its login has ended;
and what workers knew of the batch stays without its key, so that they can say so.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import structs

from engine.rules.errors import Corrupt
from engine.rules.outcome import Outcome
from engine.stores.clock import now_ms
from engine.stores.memory import Memory, beside
from engine.stores.postgres import Connection, Postgres, Record
from engine.stores.prepare import PreparedBatch, batch_key, sealed_key
from engine.stores.sql import Queries

_queries = Queries(__file__)
_WITHDRAW = beside(__file__)
_SITTINGS_PER_ROUND_TRIP = 500
_PUT_BACK_MS = 30 * 24 * 3600 * 1000  # no store is put back to a state older than this


async def withdraw(
    memory: Memory,
    database: Postgres,
    batch_id: str,
    *,
    partitions: Sequence[int] | None = None,
    with_withdrawn: bool = False,
) -> int:
    """Withdraw what is left of undone armings of a batch; how many sittings were looked at. Raises TryLater.

    With `partitions`, which are being rebuilt, only their sittings; `with_withdrawn`: also what was withdrawn before.
    """
    sittings = 0
    async with database.transaction() as connection:
        if await connection.fetchrow(_queries.lock_batch, batch_id) is None:
            return 0
        for disarming in await connection.fetch(_queries.disarmings_of, batch_id, with_withdrawn):
            sittings += await _withdraw_sittings(memory, connection, batch_id, disarming["disarmed_ms"], partitions)
            await _withdraw_papers(memory, connection, disarming)
            if partitions is None:
                await connection.execute(_queries.mark_withdrawn, batch_id, disarming["disarmed_ms"])
    return sittings


async def withdraw_unfinished(memory: Memory, database: Postgres) -> int:
    """Finish what workers began; how many batches there were. One that fails keeps no other; its fault comes after."""
    async with database.connection() as connection:
        rows = await connection.fetch(_queries.unwithdrawn)
    faults: list[Exception] = []
    for row in rows:
        try:
            await withdraw(memory, database, row["batch_id"])
        except Exception as fault:
            faults.append(fault)
    if faults:
        raise faults[0]
    return len(rows)


async def withdraw_again(memory: Memory, database: Postgres, partitions: Sequence[int]) -> None:
    """Before `partitions` are rebuilt: what was put back with them is no way into an exam. Raises TryLater."""
    async with database.connection() as connection:
        rows = await connection.fetch(_queries.disarmed_after, now_ms() - _PUT_BACK_MS)
    for row in rows:
        await withdraw(memory, database, row["batch_id"], partitions=partitions, with_withdrawn=True)


async def _withdraw_sittings(
    memory: Memory, connection: Connection, batch_id: str, disarmed_ms: int, partitions: Sequence[int] | None
) -> int:
    rows = await connection.fetch(_queries.sittings_of, batch_id, disarmed_ms, partitions)
    for at in range(0, len(rows), _SITTINGS_PER_ROUND_TRIP):
        some = [row["sitting_id"] for row in rows[at : at + _SITTINGS_PER_ROUND_TRIP]]
        places = [(sitting_id, memory.partition_of(sitting_id)) for sitting_id in some]
        hashes = [keys.sitting(sitting_id) for sitting_id, keys in places]
        # The way in first: should it end here, the sitting still says which that was.
        logins = await memory.read_hash_fields(hashes, ["login"])
        ways_in = {login.decode(): [name] for name, (login,) in zip(some, logins, strict=True) if login}
        await memory.delete_hash_fields(ways_in)
        calls = [
            ([keys.marker, keys.log, keys.due, keys.news, keys.sitting(sitting_id)], [sitting_id])
            for sitting_id, keys in places
        ]
        replies = await memory.run_many(_WITHDRAW, calls)
        if any(reply[0] != Outcome.OK for reply in replies):
            raise Corrupt(f"a partition's log takes no entries: sittings of batch {batch_id!r} could not be withdrawn")
    return len(rows)


async def _withdraw_papers(memory: Memory, connection: Connection, disarming: Record) -> None:
    """The wrapped keys and the sealed papers, unless one is in force again."""
    for armed_id in disarming["armed_ids"]:
        stored = await memory.read_bytes(batch_key(armed_id))
        if stored is not None:
            known = msgspec.msgpack.decode(stored, type=PreparedBatch)
            emptied = structs.replace(known, sealed_digest="", sealed_bytes=0, paper_key_wrapped=b"")
            await memory.write_bytes(batch_key(armed_id), msgspec.msgpack.encode(emptied))
    in_force = await connection.fetch(_queries.still_sealed, disarming["sealed_digests"])
    gone = set(disarming["sealed_digests"]) - {row["sealed_digest"] for row in in_force}
    await memory.delete(*(sealed_key(digest) for digest in sorted(gone)))
