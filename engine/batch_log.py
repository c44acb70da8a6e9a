"""A batch's log: what was done to it, when, by whom, before and after; written in the transaction that does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from engine.stores.clock import now_ms
from engine.stores.postgres import Connection
from engine.stores.sql import Queries

_queries = Queries(__file__)


async def record(
    connection: Connection,
    batch_id: str,
    kind: str,
    *,
    people: Sequence[str] = (),
    key_id: str | None = None,
    before: Any = None,
    after: Any = None,
) -> None:
    """Put an event on record. `before` and `after` are JSON values: only what changed, no answers, no paper."""
    await connection.execute(
        _queries.insert_event, batch_id, kind, now_ms(), list(people), key_id, _json(before), _json(after)
    )


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
