"""The recorder: logs of the held partitions -> one transaction of responses, history, events and the new positions.

Exactly-once effect without consumer groups: the position moves in the same transaction as its rows, and only from where
it was read. A round that fails for any reason is simply repeated from the position PostgreSQL holds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from engine import log, metrics
from engine.recording.chunk import Chunk
from engine.recording.position import Position
from engine.recording.stand import Stand, follows
from engine.rules.errors import Corrupt, TryLater
from engine.rules.limits import RECORD_ENTRIES_MAX
from engine.stores.clock import monotonic_s, now_ms
from engine.stores.memory import Memory, beside
from engine.stores.postgres import Connection, Postgres
from engine.stores.sql import Queries

_queries = Queries(__file__)
_COMMITTED = beside(__file__, "committed")
_PARKED_S = 5.0

Entry = tuple[int, int, list[tuple[bytes, bytes]]]


class RolledBack(Exception):
    """Redis holds less of a partition than PostgreSQL: it must be rebuilt before it is read on."""


class Recorder:
    """Records the partitions in `held`, whose positions are those PostgreSQL holds."""

    def __init__(self, memory: Memory, database: Postgres, owner: str) -> None:
        self._memory = memory
        self._database = database
        self._owner = owner
        self._unpublished: set[int] = set()
        self._rollbacks_accepted: set[int] = set()
        self._parked: dict[int, float] = {}  # corrupt partition -> when to look at it again (monotonic seconds)
        self._entries_max = RECORD_ENTRIES_MAX
        self._known: dict[int, Position] = {}  # last held: no licence to write, but good enough to measure from
        self.held: dict[int, Position] = {}

    def hold(self, held: Mapping[int, Position], mended: Collection[int] = ()) -> None:
        """Take over what the leases say. A partition held before keeps its position: this process moved it.

        Those `mended` after a rollback of Redis are read on across the gap in their log.
        """
        for partition in held.keys() - self.held.keys():
            self._unpublished.add(partition)
        self.held = self.reached(held)
        self._rollbacks_accepted = set(mended)
        self._known = dict(self.held)

    def reached(self, held: Mapping[int, Position]) -> dict[int, Position]:
        """Where each leased partition stands: by this process's own count where it has held it all along."""
        return {partition: self.held.get(partition, position) for partition, position in held.items()}

    def forget(self) -> None:
        """After a failed round: what PostgreSQL holds counts, not what this process believes."""
        self.held = {}

    async def record(self) -> int:
        """One round over the held partitions; the number of entries recorded.

        A corrupt partition is reported and left alone for a while, a rolled-back one until it is held again; the
        others go on. Raises TryLater: nothing or everything of the round is committed.
        """
        now_s = monotonic_s()
        old = {number: position for number, position in self.held.items() if self._parked.get(number, 0.0) <= now_s}
        if not old:
            return 0
        logs = await self._read(old)
        chunk = Chunk()
        new: dict[int, Position] = {}
        for (number, position), entries in zip(old.items(), logs, strict=True):
            part = Chunk()
            try:
                reached = _read_on(number, position, entries, part, number in self._rollbacks_accepted)
            except (Corrupt, msgspec.MsgspecError, ValueError) as fault:
                self._park(number, fault)
                continue
            except RolledBack as fault:
                del self.held[number]
                log.logger().error("recorder.rolled_back", partition=number, detail=str(fault))
                continue
            if reached != position:
                new[number] = reached
                chunk.merge(part)
        if new:
            async with self._database.transaction() as connection:
                await self._write(connection, chunk, old, new)
            self.held.update(new)
            self._known.update(new)
            self._unpublished |= new.keys()
            self._rollbacks_accepted -= new.keys()
        metrics.recorder_entries.inc(chunk.entries)
        metrics.recorder_changes.inc(len(chunk.history))
        await self._publish()
        return chunk.entries

    async def measure_lag(self) -> None:
        """Set the metric from the oldest entry that PostgreSQL does not have, also while no round succeeds."""
        oldest = [
            int(dict(entries[0][2])[b"at"])
            for entries in await self._memory.read_logs(
                [(self._memory.partitions[number], *position) for number, position in self._known.items()], 1
            )
            if entries
        ]
        metrics.recorder_lag_seconds.set(max(0, now_ms() - min(oldest)) / 1000 if oldest else 0)

    async def _read(self, positions: Mapping[int, Position]) -> list[list[Entry]]:
        """The logs after `positions`; fewer entries at once after a reading that took too long."""
        wanted = [(self._memory.partitions[number], *position) for number, position in positions.items()]
        try:
            logs = await self._memory.read_logs(wanted, self._entries_max)
        except TryLater:
            self._entries_max = max(1, self._entries_max // 2)
            raise
        self._entries_max = min(RECORD_ENTRIES_MAX, self._entries_max * 2)
        return logs

    def _park(self, number: int, fault: Exception) -> None:
        self._parked[number] = monotonic_s() + _PARKED_S
        metrics.recorder_failures.labels("corrupt").inc()
        log.logger().error("recorder.partition_corrupt", partition=number, detail=str(fault))

    async def _write(
        self, connection: Connection, chunk: Chunk, old: Mapping[int, Position], new: Mapping[int, Position]
    ) -> None:
        numbers = list(new)
        moved = await connection.fetch(
            _queries.advance,
            numbers,
            [old[number].generation for number in numbers],
            [old[number].number for number in numbers],
            [new[number].generation for number in numbers],
            [new[number].number for number in numbers],
            self._owner,
        )
        if len(moved) != len(numbers):
            raise TryLater("another recorder holds a partition now; nothing of this round was written")
        if chunk.history:
            await connection.copy_records_to_table("response_history", records=chunk.history)
            rows = [(*name, *newest) for name, newest in sorted(chunk.responses.items())]
            await connection.execute(_queries.upsert_responses, *_columns(rows))
        if chunk.events:
            await connection.copy_records_to_table("sitting_event", records=chunk.events)
            sittings = [(sitting_id, *newest) for sitting_id, newest in sorted(chunk.sittings.items())]
            await connection.execute(_queries.update_sittings, *_columns(sittings))

    async def _publish(self) -> None:
        """Tell candidates; what fails is published in the next round."""
        if not self._unpublished:
            return
        numbers = sorted(self._unpublished & self.held.keys())
        calls = []
        for number in numbers:
            keys = self._memory.partitions[number]
            calls.append(([keys.marker, keys.log], list(self.held[number])))
        await self._memory.run_many(_COMMITTED, calls)
        self._unpublished.clear()


def _read_on(
    number: int, position: Position, entries: Sequence[Entry], chunk: Chunk, rollback_accepted: bool
) -> Position:
    """Add `entries` to the chunk after checking that none is missing; the position reached."""
    for generation, entry_number, fields in entries:
        reached = Position(generation, entry_number)
        raised = dict(fields).get(b"raised", b"").decode()
        stand = follows(position, reached, raised)
        if stand is Stand.ROLLED_BACK and not rollback_accepted:
            raise RolledBack(f"Redis was at {raised} when it came back, PostgreSQL is at {position}")
        if stand is Stand.CORRUPT:
            left = f" (raised from {raised})" if raised else ""
            raise Corrupt(f"partition {number}: the log goes from {position} to {reached}{left}, entries are missing")
        chunk.add(reached, fields)
        position = reached
    return position


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
