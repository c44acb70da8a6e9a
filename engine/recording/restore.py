"""Restores PostgreSQL, put back to an older state, from Redis: which still has the newest value of every item.

A partition is restored when Redis knows that PostgreSQL once held its log up to `reached`, and it now stands before
that; or that PostgreSQL once ordered its building, and now knows of none so new: then what was copied from Redis before
that building is missing, though the positions may agree. The log up to `reached` was trimmed then, so what lies between
the two positions is taken from the sittings' hashes: responses, states, epochs. Behind it the log goes on, and is
recorded as ever.

Not recoverable: the history between the two positions, of which only the newest value of each item is left (in
`response`, `saved_ms` then says when it was there at the latest), and the single events. Each sitting touched gets one
event `restored`, at the position `reached`, which says so.

Repeatable when it dies at any point: every row is guarded by its seq or written once, and the position moves last.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from engine import log
from engine.recording.position import Position
from engine.recording.unknown import copy_all
from engine.rules.errors import Corrupt, TryLater
from engine.rules.outcome import Outcome
from engine.stores.memory import Memory, beside
from engine.stores.postgres import Postgres
from engine.stores.sql import Queries

_queries = Queries(__file__)
_RESTORE = beside(__file__)


async def restore(
    memory: Memory,
    database: Postgres,
    owner: str,
    number: int,
    recorded: Position,
    ordered: int,
    sitting_ids: Sequence[str],
) -> None:
    """Bring one partition, which stands at `recorded` in PostgreSQL, back to where it once was.

    `ordered` is the last building of it that PostgreSQL knows of.

    Raises TryLater, also when another recorder holds the partition now; and Corrupt.
    """
    keys = memory.partitions[number]
    reply = await memory.run(_RESTORE, [keys.marker, keys.log], [str(recorded), ordered])
    if reply[0] != Outcome.OK:
        raise TryLater(f"partition {number} was lost in Redis while PostgreSQL was restored from it")
    reached, built = Position.parse(reply[1].decode()), int(reply[2])
    if reached <= recorded and built <= ordered:
        raise Corrupt(f"partition {number}: PostgreSQL stands at {recorded}, but was never further than {reached}")
    reached = max(reached, recorded)
    log.logger().error("restore.began", partition=number, recorded=str(recorded), reached=str(reached))
    copied = await copy_all(memory, database, sitting_ids, reached)
    async with database.transaction() as connection:
        moved = await connection.fetch(_queries.move_position, number, *recorded, *reached, owner, built)
        if not moved:
            raise TryLater(f"another recorder holds partition {number} now; it restores it")
    counts = {**structs.asdict(copied), "unknown": len(copied.unknown)}
    log.logger().error("restore.done", partition=number, recorded=str(recorded), reached=str(reached), **counts)
