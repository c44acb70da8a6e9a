"""A batch's log: what was done to it, when, by whom, before and after; written in the transaction that does it.

Writers of one batch take turns until their commit, so whoever reads on from the last number passes over none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


async def page(connection: Connection, batch_id: str, after: int, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` events with a number above `after`, JSON-ready, in the order in which they were recorded."""
    rows = await connection.fetch(_queries.page_of_log, batch_id, after, limit)
    return [{**dict(row), "before": _fragment(row["before"]), "after": _fragment(row["after"])} for row in rows]


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of two states of one thing the members that differ, as they were and as they are."""
    names = [name for name in {**after, **before} if before.get(name) != after.get(name)]
    return {name: before.get(name) for name in names}, {name: after.get(name) for name in names}


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _fragment(stored: str | None) -> orjson.Fragment | None:
    return None if stored is None else orjson.Fragment(stored)
