"""What the logs hold beyond what is recorded, read in portions bounded by bytes and checked for completeness.

Nothing is written here. A partition whose log cannot be read on is reported beside the others, never instead of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from engine import metrics
from engine.recording.chunk import Chunk
from engine.recording.position import Position
from engine.recording.stand import Stand, follows
from engine.rules.errors import Corrupt, TryLater
from engine.rules.limits import RECORD_BYTES_MAX
from engine.stores.memory import Memory, Purpose, beside

_BACKLOG = beside(__file__)
_STEPS = 16  # from the least to the most that is read at once, one with every round recorded

Entry = Sequence[Any]  # id, flat fields


class RolledBack(Exception):
    """Redis holds less of a partition than PostgreSQL: it must be rebuilt before it is read on."""


class Portion(Struct):
    """One partition's part of a round."""

    left: Position
    reached: Position
    chunk: Chunk


class Reading(Struct):
    """One look at the logs: portions only of partitions that moved; `is_full` when there is more than was read."""

    portions: dict[int, Portion]
    faults: dict[int, Exception]
    is_full: bool = False


class Backlog:
    """Reads half as much at once after a round that failed, and slowly more again after rounds that were recorded."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._bytes_max = RECORD_BYTES_MAX

    def shrink(self) -> None:
        """What was read was too much, for Redis to send or for PostgreSQL to take in time."""
        self._bytes_max = max(1, self._bytes_max // 2)

    def grow(self) -> None:
        """What was read has been recorded. Reading alone proves nothing: recording may take too long."""
        self._bytes_max = min(RECORD_BYTES_MAX, self._bytes_max + RECORD_BYTES_MAX // _STEPS)

    async def read(self, positions: Mapping[int, Position], rollbacks_accepted: Collection[int]) -> Reading:
        """What can be read now; raises TryLater when nothing can. Repeatable."""
        each_bytes = max(1, self._bytes_max // max(1, len(positions)))
        calls: list[tuple[list[str], list[str | bytes | int]]] = [
            ([self._memory.partitions[number].log], [*position, each_bytes]) for number, position in positions.items()
        ]
        try:
            replies = await self._memory.run_each(_BACKLOG, calls, Purpose.LOGS)
        except TryLater:
            self.shrink()
            raise
        unread = sum(isinstance(reply, TryLater) for reply in replies)
        if unread:
            metrics.recorder_failures.labels("unread").inc(unread)
        reading = Reading({}, {})
        for (number, position), reply in zip(positions.items(), replies, strict=True):
            if isinstance(reply, TryLater):
                continue  # its node is away; the others are recorded
            _, more, *entries = reply
            if not entries:
                continue
            chunk = Chunk()
            try:
                reached = _read_on(number, position, entries, chunk, number in rollbacks_accepted)
            except (RolledBack, Corrupt, msgspec.MsgspecError, ValueError) as fault:
                reading.faults[number] = fault
                continue
            reading.portions[number] = Portion(position, reached, chunk)
            reading.is_full = reading.is_full or bool(more)
        return reading


def _read_on(
    number: int, position: Position, entries: Sequence[Entry], chunk: Chunk, rollback_accepted: bool
) -> Position:
    """Add `entries` to the chunk after checking that none is missing; the position reached."""
    for entry_id, fields in entries:
        reached = Position.parse(entry_id.decode())
        if reached != (position.generation, position.number + 1):
            raised = dict(zip(fields[::2], fields[1::2], strict=True)).get(b"raised", b"").decode()
            stand = follows(position, reached, raised)
            if stand is Stand.ROLLED_BACK and not rollback_accepted:
                raise RolledBack(f"Redis was at {raised} when it came back, PostgreSQL is at {position}")
            if stand is Stand.CORRUPT:
                left = f" (raised from {raised})" if raised else ""
                raise Corrupt(
                    f"partition {number}: the log goes from {position} to {reached}{left}, entries are missing"
                )
        chunk.add(reached, fields)
        position = reached
    return position
