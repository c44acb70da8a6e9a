"""Publication: the one order in which results become visible; who follows the feed by its cursor misses none.

Numbers are taken under a lock that is held until the commit, so what is visible is never overtaken by a lower one. They
are moments, and so above all that were ever given, also by a state of PostgreSQL that was lost: a cursor that has seen
more than a restored PostgreSQL knows stands below whatever is graded again. Numbers between may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine import batch_log
from engine.rules.errors import Refused
from engine.scoring.flags import hold_back
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection
from engine.stores.sql import Queries

_queries = Queries(__file__)


async def take_publications(connection: Connection, count: int) -> Iterator[int]:
    """The next `count` numbers; call inside the transaction that makes the results visible, near its end."""
    if not count:
        return iter(())
    last: int = await connection.fetchval(_queries.take_publications, count)
    return iter(range(last - count + 1, last + 1))


async def release_batch(connection: Connection, batch_id: str, approved_by: Sequence[str], key_id: str) -> bool:
    """Release an `approved` batch; False when it was released before. Raises Refused `not_found`, `batch.not_ready`."""
    row = await connection.fetchrow(_queries.lock_batch, batch_id)
    if row is None:
        raise Refused("not_found", f"there is no batch {batch_id[:80]!r}")
    if row["released_ms"] is not None:
        return False
    ungraded = await connection.fetchval(_queries.count_ungraded, batch_id)
    if row["armed_ms"] is None:
        raise Refused("batch.not_ready", f"batch {batch_id!r} has not been armed")
    if ungraded:
        raise Refused("batch.not_ready", f"batch {batch_id!r} has {ungraded} sittings without a final result")
    await hold_back(connection, batch_id)
    await connection.execute(_queries.release, batch_id, now_ms(), list(approved_by))
    unpublished = await connection.fetch(_queries.unpublished, batch_id)
    after = {"results": len(unpublished)}
    await batch_log.record(connection, batch_id, "released", people=approved_by, key_id=key_id, after=after)
    numbers = list(await take_publications(connection, len(unpublished)))
    sitting_ids, revisions = ([row[name] for row in unpublished] for name in ("sitting_id", "revision"))
    await connection.execute(_queries.publish, sitting_ids, revisions, numbers)
    return True
