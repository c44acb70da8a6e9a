"""Where a process publishes the public half of its keys, so that no other process needs the private one."""

from __future__ import annotations

from engine.sealing.signature import key_id
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection
from engine.stores.sql import Queries

_queries = Queries(__file__)


async def register(connection: Connection, purpose: str, algorithm: str, public_key: bytes) -> None:
    """`purpose`: receipt, result, answer_key or archive."""
    await connection.execute(_queries.register, key_id(public_key), purpose, algorithm, public_key, now_ms())


async def signing_keys(connection: Connection) -> list[bytes]:
    return [row["public_key"] for row in await connection.fetch(_queries.signing_keys)]


async def answer_key_recipient(connection: Connection) -> bytes | None:
    """The newest grader's public key, or None while no grader has ever started."""
    found: bytes | None = await connection.fetchval(_queries.newest_answer_key_recipient)
    return found
