"""What papers and packages have in common as they are stored: armed batches hold theirs, and answers are put away."""

from __future__ import annotations

from engine.rules.errors import Refused
from engine.stores.postgres import Connection
from engine.stores.sql import Queries

_queries = Queries(__file__)


async def armed_batch_of(connection: Connection, paper_id: str) -> str | None:
    """A batch whose arming has pinned this paper."""
    found: str | None = await connection.fetchval(_queries.armed_batch_of, paper_id)
    return found


def in_use(paper_id: str, batch_id: str) -> Refused:
    return Refused("paper.in_use", f"paper {paper_id!r} is pinned by armed batch {batch_id!r}", batch_id=batch_id)


async def keep_answer_key(connection: Connection, paper_digest: str, recipient: str, envelope: bytes) -> None:
    """Sealed to the grader as it is; where it lies already nothing happens."""
    await connection.execute(_queries.put_answer_key, paper_digest, recipient, envelope)
