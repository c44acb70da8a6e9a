"""Copies sittings out of Redis into PostgreSQL: the newest value of every item, state and epoch.

Only forward: an older seq, an earlier state or a lower epoch never replaces what PostgreSQL has, so copying twice, or
beside the recorder, does no harm. Nothing of a sitting that PostgreSQL knows as closed is changed: its score may have
been made from what stands there. Where Redis has more of such a one, that is reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from engine import log, metrics
from engine.recording.position import Position
from engine.stores.clock import now_ms
from engine.stores.memory import Memory
from engine.stores.postgres import Connection, Postgres
from engine.stores.sql import Queries

_queries = Queries(__file__)
NAMED_MAX = 50  # sitting ids in one log line; the figure beside them counts all


class Copied(Struct):
    """What was found and done; `unknown`: sittings that PostgreSQL has no row of."""

    sittings: int = 0
    touched: int = 0
    responses: int = 0
    contradicting: int = 0
    unknown: list[str] = []

    def add(self, other: Copied) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


async def copy_sittings(memory: Memory, database: Postgres, sitting_ids: Sequence[str], reached: Position) -> Copied:
    """Copy what Redis holds of these sittings into PostgreSQL, in one transaction."""
    keys = [memory.partition_of(sitting_id).sitting(sitting_id) for sitting_id in sitting_ids]
    hashes = dict(zip(sitting_ids, await memory.read_hashes(keys), strict=True))
    hashes = {
        sitting_id: fields
        for sitting_id, fields in sorted(hashes.items())
        if b"state" in fields and b"withdrawn" not in fields  # an arming that was undone has nothing to tell
    }
    async with database.transaction() as connection:
        standing = await connection.fetch(_queries.lock_sittings, list(hashes))
        closed = {row["sitting_id"] for row in standing if row["is_closed"]}
        open_ids = [sitting_id for sitting_id in hashes if sitting_id not in closed]
        responses = [row for sitting_id in open_ids for row in _responses(sitting_id, hashes[sitting_id])]
        put = await connection.fetch(_queries.put_responses, *_columns(responses, 5))
        moved = await connection.fetch(_queries.put_sittings, *_columns(_states(open_ids, hashes), 6))
        touched = sorted({row["sitting_id"] for row in put} | {row["sitting_id"] for row in moved})
        epochs = [_number(hashes[sitting_id], b"epoch") for sitting_id in touched]
        await connection.execute(_queries.add_events, touched, epochs, now_ms(), *reached)
        contradicting = await _contradicting(connection, closed, hashes)
    metrics.restore_responses.inc(len(put))
    unknown = sorted(hashes.keys() - {row["sitting_id"] for row in standing})
    return Copied(len(hashes), len(touched), len(put), contradicting, unknown)


async def _contradicting(connection: Connection, closed: set[str], hashes: Mapping[str, Mapping[bytes, bytes]]) -> int:
    """Report closed sittings of which Redis has newer responses; nothing is changed, a person decides."""
    responses = [row for sitting_id in sorted(closed) for row in _responses(sitting_id, hashes[sitting_id])]
    rows = await connection.fetch(_queries.find_newer, *_columns([row[:3] for row in responses], 3))
    if rows:
        metrics.restore_contradictions.inc(len(rows))
        graded = [row["sitting_id"] for row in rows if row["is_graded"]]
        named = [row["sitting_id"] for row in rows][:NAMED_MAX]
        detail = "Redis has newer responses of closed sittings; neither these nor their results were changed"
        log.logger().error(
            "restore.contradiction", detail=detail, sittings=named, total=len(rows), graded=graded[:NAMED_MAX]
        )
    return len(rows)


def _responses(sitting_id: str, fields: Mapping[bytes, bytes]) -> list[tuple[str, str, int, str, int]]:
    """(sitting_id, item, seq, value, saved_ms): saved when is not known, but not after the last sign of life."""
    saved_ms = _number(fields, b"seen_ms") or now_ms()
    rows = []
    for name, stored in fields.items():
        if name.startswith(b"r:"):
            seq, _, value = stored.partition(b"|")
            rows.append((sitting_id, name[2:].decode(), int(seq), value.decode(), saved_ms))
    return sorted(rows)


def _states(
    sitting_ids: Sequence[str], hashes: Mapping[str, Mapping[bytes, bytes]]
) -> list[tuple[str, str, int, int | None, int | None, int | None]]:
    """(sitting_id, state, epoch, entered_ms, closed_ms, form) as in a row of `sitting`."""
    return [
        (
            sitting_id,
            fields[b"state"].decode(),
            _number(fields, b"epoch"),
            _number(fields, b"entered_ms") or None,
            _number(fields, b"closed_ms") or None,
            _number(fields, b"form") if b"form" in fields else None,
        )
        for sitting_id in sitting_ids
        for fields in [hashes[sitting_id]]
    ]


def _number(fields: Mapping[bytes, bytes], name: bytes) -> int:
    return int(fields.get(name, b"0"))


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[column] for row in rows] for column in range(width)]
