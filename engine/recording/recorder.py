"""The recorder: logs of the held partitions -> one transaction of responses, history, events and the new positions.

Exactly-once effect without consumer groups: the position moves in the same transaction as its rows, only from where it
was read, and only by the lease holder. A round that fails for any reason is simply repeated from the position that
PostgreSQL holds. While PostgreSQL works on a full round, the next one is read: at most two rounds are in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from engine import log, metrics
from engine.recording.backlog import Backlog, Portion, Reading, RolledBack
from engine.recording.copying import NAMED_MAX
from engine.recording.position import Position
from engine.rules.errors import TryLater
from engine.stores.clock import monotonic_s, now_ms
from engine.stores.memory import Memory, Purpose, beside
from engine.stores.postgres import UNFIT, Connection, Postgres
from engine.stores.sql import Queries

_queries = Queries(__file__)
_COMMITTED = beside(__file__, "committed")
_PARKED_S = 5.0
_HELD_RETRY_S = 0.5  # a sitting's row that somebody else is writing: a push of a large roster takes seconds


class Recorder:
    """Records the partitions in `held`, whose positions are those PostgreSQL holds."""

    def __init__(self, memory: Memory, database: Postgres, owner: str) -> None:
        self._memory = memory
        self._database = database
        self._owner = owner
        self._backlog = Backlog(memory)
        self._ahead: asyncio.Task[Reading] | None = None  # reads what follows the round that is being written
        self._unpublished: set[int] = set()
        self._rollbacks_accepted: set[int] = set()
        self._parked: dict[int, float] = {}  # partition left alone -> when to look at it again (monotonic seconds)
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

    @property
    def is_behind(self) -> bool:
        """The last round was full: there is more in the logs already."""
        return self._ahead is not None

    def reached(self, held: Mapping[int, Position]) -> dict[int, Position]:
        """Where each leased partition stands: by this process's own count where it has held it all along."""
        return {partition: self.held.get(partition, position) for partition, position in held.items()}

    def forget(self) -> None:
        """After a failed round: what PostgreSQL holds counts, not what this process believes."""
        self.held = {}

    async def record(self) -> int:
        """One round over the held partitions; the number of entries recorded.

        A corrupt partition is reported and left alone for a while, one of whose sittings somebody else is writing for a
        moment, a rolled-back one until it is held again, one that another recorder has taken over for good; the others
        go on. Raises TryLater: what was committed stands, and after a failed transaction nothing is held.
        """
        reading = await self._next_reading()
        if reading.faults:
            await self._set_aside(reading.faults)
        # What was read ahead counts only if the round before it came to where it begins.
        portions = {number: each for number, each in reading.portions.items() if self.held.get(number) == each.left}
        if portions and reading.is_full:
            self._read_ahead(portions)
        try:
            entries = await self._record(portions) if portions else 0
        except Exception:
            self._backlog.shrink()
            self.forget()
            raise
        if entries:
            self._backlog.grow()
        await self._publish()
        return entries

    async def measure_lag(self) -> None:
        """Set the metric from the oldest entry that PostgreSQL does not have, also while no round succeeds.

        What lies on a node that does not answer cannot be measured and is left out.
        """
        wanted = [(self._memory.partitions[number], *position) for number, position in self._known.items()]
        logs = await self._memory.read_each_log(wanted, 1)
        oldest = [int(dict(found[0][2])[b"at"]) for found in logs if found and not isinstance(found, TryLater)]
        metrics.recorder_lag_seconds.set(max(0, now_ms() - min(oldest)) / 1000 if oldest else 0)

    # --- reading ---

    async def _next_reading(self) -> Reading:
        if self._ahead is not None:
            task, self._ahead = self._ahead, None
            return await task
        return await self._read(self.held)

    def _read_ahead(self, portions: Mapping[int, Portion]) -> None:
        expected = {**self.held, **{number: portion.reached for number, portion in portions.items()}}
        self._ahead = asyncio.create_task(self._read(expected))

    async def _read(self, positions: Mapping[int, Position]) -> Reading:
        now_s = monotonic_s()
        wanted = {number: at for number, at in positions.items() if self._parked.get(number, 0.0) <= now_s}
        if not wanted:
            return Reading({}, {})
        return await self._backlog.read(wanted, frozenset(self._rollbacks_accepted))

    async def _set_aside(self, faults: Mapping[int, Exception]) -> None:
        """Believe a fault only where PostgreSQL says that this recorder still holds, and stands where it thought.

        A recorder that was frozen sees the log trimmed by its successor, and must not cry corruption.
        """
        known = {number: self.held[number] for number in faults if number in self.held}
        standing = await self._standing(known)
        for number in known:
            fault = faults[number]
            if number not in standing:
                del self.held[number]
                log.logger().warning("recorder.lease_lost", partition=number)
            elif isinstance(fault, RolledBack):
                del self.held[number]
                log.logger().error("recorder.rolled_back", partition=number, detail=str(fault))
            else:
                self._park(number, fault)

    async def _standing(self, known: Mapping[int, Position]) -> set[int]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(_queries.standing, *_position_columns(known), self._owner)
        return {row["partition"] for row in rows}

    def _park(self, number: int, fault: Exception) -> None:
        self._parked[number] = monotonic_s() + _PARKED_S
        metrics.recorder_failures.labels("corrupt").inc()
        log.logger().error("recorder.partition_corrupt", partition=number, detail=str(fault))

    # --- writing ---

    async def _record(self, portions: Mapping[int, Portion]) -> int:
        """Commit the portions, all but those that must wait, and those that PostgreSQL will never take.

        These are found by halving and parked.
        """
        try:
            async with self._database.transaction() as connection:
                portions = await self._free(connection, portions)
                if portions:
                    await self._write(connection, portions)
        except UNFIT as fault:
            numbers = list(portions)
            if len(numbers) == 1:
                self._park(numbers[0], fault)
                return 0
            middle = len(numbers) // 2
            halves = numbers[:middle], numbers[middle:]
            return sum([await self._record({number: portions[number] for number in half}) for half in halves])
        return self._advanced(portions)

    def _advanced(self, portions: Mapping[int, Portion]) -> int:
        reached = {number: portion.reached for number, portion in portions.items()}
        self.held.update(reached)
        self._known.update(reached)
        self._unpublished |= reached.keys()
        self._rollbacks_accepted -= reached.keys()
        entries = sum(portion.chunk.entries for portion in portions.values())
        metrics.recorder_entries.inc(entries)
        metrics.recorder_changes.inc(sum(len(portion.chunk.history) for portion in portions.values()))
        return entries

    async def _free(self, connection: Connection, portions: Mapping[int, Portion]) -> Mapping[int, Portion]:
        """Lock the sittings that are to be updated; the portions of which nobody else holds one. Waits for nobody."""
        sittings = {sitting_id: number for number, portion in portions.items() for sitting_id in portion.chunk.sittings}
        if not sittings:
            return portions
        held = [row["sitting_id"] for row in await connection.fetch(_queries.lock_sittings, list(sittings))]
        waiting = {sittings[sitting_id] for sitting_id in held}
        for number in waiting:
            self._parked[number] = monotonic_s() + _HELD_RETRY_S
            metrics.recorder_failures.labels("held").inc()
        if held:
            log.logger().warning("recorder.sittings_held", partitions=sorted(waiting), sittings=held[:NAMED_MAX])
        return {number: portion for number, portion in portions.items() if number not in waiting}

    async def _write(self, connection: Connection, portions: Mapping[int, Portion]) -> None:
        left = _position_columns({number: portion.left for number, portion in portions.items()})
        reached = _position_columns({number: portion.reached for number, portion in portions.items()})
        moved = await connection.fetch(_queries.advance, *left, *reached[1:], self._owner)
        if len(moved) != len(portions):
            raise TryLater("another recorder holds a partition now; nothing of this round was written")
        chunks = [portion.chunk for portion in portions.values()]
        history = list(chain.from_iterable(chunk.history for chunk in chunks))
        if history:
            await connection.copy_records_to_table("response_history", records=history)
            newest = _columns(chain.from_iterable(chunk.responses.values() for chunk in chunks))[:5]
            await connection.execute(_queries.upsert_responses, *newest, list(set(newest[0])))
        events = list(chain.from_iterable(chunk.events for chunk in chunks))
        if events:
            await connection.copy_records_to_table("sitting_event", records=events)
            # In one order: the scheduling side and the grader lock sittings, too.
            sittings = sorted(chain.from_iterable(chunk.sittings.items() for chunk in chunks))
            await connection.execute(
                _queries.update_sittings, *_columns((sitting_id, *newest) for sitting_id, newest in sittings)
            )

    # --- telling ---

    async def _publish(self) -> None:
        """Tell candidates; what fails is published in the next round."""
        numbers = sorted(self._unpublished & self.held.keys())
        if not numbers:
            return
        calls: list[tuple[list[str], list[str | bytes | int]]] = []
        for number in numbers:
            keys = self._memory.partitions[number]
            calls.append(([keys.marker, keys.log], list(self.held[number])))
        try:
            replies = await self._memory.run_each(_COMMITTED, calls, Purpose.LOGS)
        except TryLater:
            return
        self._unpublished -= {
            number for number, reply in zip(numbers, replies, strict=True) if not isinstance(reply, TryLater)
        }


def _position_columns(positions: Mapping[int, Position]) -> tuple[list[int], list[int], list[int]]:
    """Partitions, generations, numbers."""
    at = positions.values()
    return list(positions), [each.generation for each in at], [each.number for each in at]


def _columns(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True))
