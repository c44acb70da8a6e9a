"""API keys of machine clients: made once, shown once, kept only as a digest."""

from __future__ import annotations

import hashlib
from typing import Any

from engine.sealing.encoding import to_base64url
from engine.sealing.secrets import random_bytes
from engine.stores import postgres
from engine.stores.clock import monotonic_s, now_ms
from engine.stores.postgres import Postgres
from engine.stores.sql import Queries

SCOPES = ("schedule", "results", "proctor", "ops")
_REMEMBERED_S = 5.0  # a revoked key works at most this much longer
_REMEMBERED_KEYS = 1_000
_queries = Queries(__file__)


def key_id_of(key: str) -> str:
    """The id that a key carries in its text; it means something once the key is known to be in force."""
    return key.split("_", 3)[2]


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


async def create(dsn: str, scope: str, label: str = "") -> str:
    """Make a key for `scope` and return its text, which nobody can show again."""
    if scope not in SCOPES:
        raise ValueError(f"unknown scope {scope!r}, expected one of {', '.join(SCOPES)}")
    key_id = random_bytes(6).hex()
    key = f"lk_{scope}_{key_id}_{to_base64url(random_bytes(24))}"
    connection = await postgres.connect(dsn)
    try:
        await connection.execute(_queries.insert_key, key_id, scope, label, digest(key), now_ms())
    finally:
        await connection.close()
    return key


async def listing(dsn: str) -> list[dict[str, Any]]:
    """All keys, revoked ones included: key_id, scope, label, created_ms, revoked_ms."""
    connection = await postgres.connect(dsn)
    try:
        return [dict(row) for row in await connection.fetch(_queries.all_keys)]
    finally:
        await connection.close()


async def revoke(dsn: str, key_id: str) -> bool:
    """Whether there was such a key in force."""
    connection = await postgres.connect(dsn)
    try:
        return await connection.fetchval(_queries.revoke_key, key_id, now_ms()) is not None
    finally:
        await connection.close()


class KnownKeys:
    """Looks presented keys up and remembers the answer for a few seconds."""

    def __init__(self, database: Postgres) -> None:
        self._database = database
        self._remembered: dict[bytes, tuple[float, str | None]] = {}

    async def scope_of(self, key: str) -> str | None:
        """The scope of a key in force, or None. Raises TryLater when PostgreSQL does not answer."""
        key_digest = digest(key)
        until_s, scope = self._remembered.get(key_digest, (0.0, None))
        now_s = monotonic_s()
        if until_s <= now_s:
            async with self._database.connection() as connection:
                scope = await connection.fetchval(_queries.scope_of, key_digest)
            if len(self._remembered) >= _REMEMBERED_KEYS:
                self._remembered.clear()
            self._remembered[key_digest] = (now_s + _REMEMBERED_S, scope)
        return scope
