"""A lane: the save calls of one partition that wait in one worker, and the one chunk of them that is under way.

Promise: every call that joins is answered exactly once, in the order of arrival; what waits is bounded in calls and in
bytes, for the whole lane and for each sitting, so that nobody's flood delays the others for long.
How: at most one script call is in flight; whatever arrives meanwhile leaves together in the next (group commit). When
an answer comes, what waits leaves first and the answers are written afterwards: the two overlap.
Not here: what a change may be (autosave.py), and connections, time-outs and reconnecting (stores/).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from engine import log, metrics
from engine.rules.errors import Corrupt, ExamError, TryLater
from engine.rules.limits import (
    CHUNK_BYTES_MAX,
    CHUNK_CALLS_MAX,
    QUEUE_BYTES_MAX,
    QUEUE_CALLS_MAX,
    SITTING_BYTES_MAX,
    SITTING_CALLS_MAX,
)
from engine.rules.outcome import Outcome, refusal
from engine.stores.clock import monotonic_s
from engine.stores.memory import Memory, PartitionKeys, Script

Argument = str | bytes | int


class Stand(Struct, frozen=True):
    """Where a partition stood when a chunk was saved; `json` is the same as the tail of an acknowledgement."""

    generation: int
    position: int
    committed: int
    json: bytes


class Saved(Struct, frozen=True):
    """An acknowledgement: `saved` is the highest seq of the call, now on disk at or before the stand's position."""

    saved: int
    stand: Stand

    def as_json(self) -> bytes:
        return b'{"saved":%d%b' % (self.saved, self.stand.json)


Done = Callable[[Saved | ExamError], None]


class Waiting(Struct):
    """One save call in a lane; `highest` is the seq that its acknowledgement will name."""

    sitting_id: str
    sitting_key: str
    arguments: list[Argument]
    highest: int
    changes: int
    size_bytes: int
    arrived_s: float
    done: Done


class Lane:
    """One partition's queue in one worker."""

    def __init__(self, memory: Memory, keys: PartitionKeys, script: Script) -> None:
        self._memory = memory
        self._keys = keys
        self._script = script
        self._queue: deque[Waiting] = deque()
        self._queue_bytes = 0
        self._of: dict[str, list[int]] = {}  # sitting id -> [calls, bytes] that wait or are under way
        self._is_under_way = False
        self._drained: list[asyncio.Future[None]] = []

    def join(self, waiting: Waiting) -> None:
        """Wait for the next chunk; `done` is called later, once. Raises TryLater when there is no room."""
        sitting_id = waiting.sitting_id
        own = self._of.get(sitting_id)
        if own is not None and (own[0] >= SITTING_CALLS_MAX or own[1] + waiting.size_bytes > SITTING_BYTES_MAX):
            raise TryLater(
                f"{own[0]} save calls ({own[1]} bytes) of this sitting are waiting already; this one was not saved"
            )
        if len(self._queue) >= QUEUE_CALLS_MAX or self._queue_bytes + waiting.size_bytes > QUEUE_BYTES_MAX:
            raise TryLater(
                f"{len(self._queue)} save calls ({self._queue_bytes} bytes) are waiting already; this one was not saved"
            )
        if own is None:
            self._of[sitting_id] = [1, waiting.size_bytes]
        else:
            own[0] += 1
            own[1] += waiting.size_bytes
        self._queue.append(waiting)
        self._queue_bytes += waiting.size_bytes
        if not self._is_under_way:
            self._is_under_way = True
            # Not at once: what else arrives in this turn of the loop belongs into the same chunk.
            asyncio.get_running_loop().call_soon(self._send)

    @property
    def waiting_calls(self) -> int:
        return len(self._queue)

    async def drain(self) -> None:
        """Wait until every call that has joined is answered."""
        if self._is_under_way:
            drained = asyncio.get_running_loop().create_future()
            self._drained.append(drained)
            await drained

    def _send(self) -> None:
        chunk = self._next_chunk()
        keys = [self._keys.marker, self._keys.log]
        arguments: list[Argument] = []
        for waiting in chunk:
            keys.append(waiting.sitting_key)
            arguments += waiting.arguments
        self._memory.call(self._script, keys, arguments, lambda reply: self._answered(chunk, reply))

    def _next_chunk(self) -> list[Waiting]:
        queue = self._queue
        chunk: list[Waiting] = []
        chunk_bytes = 0
        while queue and len(chunk) < CHUNK_CALLS_MAX:
            chunk_bytes += queue[0].size_bytes
            if chunk_bytes > CHUNK_BYTES_MAX and chunk:
                break
            chunk.append(queue.popleft())
        self._queue_bytes -= sum(waiting.size_bytes for waiting in chunk)
        return chunk

    def _answered(self, chunk: list[Waiting], reply: list[Any] | Exception) -> None:
        if self._queue:
            self._send()  # first: Redis works on these while we write the answers
        else:
            self._is_under_way = False
        for waiting in chunk:
            own = self._of[waiting.sitting_id]
            if own[0] == 1:
                del self._of[waiting.sitting_id]
            else:
                own[0] -= 1
                own[1] -= waiting.size_bytes
        if isinstance(reply, Exception):
            _fail(chunk, reply)
        elif reply[0] != Outcome.OK:
            fault = refusal(Outcome(reply[0]), "autosave")
            if isinstance(fault, Corrupt):
                log.logger().error("autosave.corrupt", calls=len(chunk), marker=self._keys.marker)
            _fail(chunk, fault)
        else:
            _acknowledge(chunk, reply)
        if not self._is_under_way:
            for drained in self._drained:
                if not drained.done():
                    drained.set_result(None)
            self._drained.clear()


def _acknowledge(chunk: list[Waiting], reply: list[Any]) -> None:
    _, generation, position, committed = reply[:4]
    tail = b',"generation":%d,"position":%d,"committed":%d}' % (generation, position, committed)
    stand = Stand(generation, position, committed, tail)
    saved_calls = changes = 0
    for waiting, outcome in zip(chunk, reply[4:], strict=True):
        if outcome == 0:
            saved_calls += 1
            changes += waiting.changes
            _tell(waiting, Saved(waiting.highest, stand))
        else:
            fault = refusal(Outcome(outcome), "autosave")
            if isinstance(fault, Corrupt):
                log.logger().error("autosave.corrupt", sitting_id=waiting.sitting_id)
            _tell(waiting, fault)
    # Once per chunk: a metric costs as much as everything else that is done for one call here.
    metrics.autosave_chunk_calls.observe(len(chunk))
    metrics.autosave_seconds.observe(monotonic_s() - chunk[0].arrived_s)
    if saved_calls:
        metrics.autosave_calls.labels("saved").inc(saved_calls)
        metrics.autosave_changes.inc(changes)


def _fail(chunk: list[Waiting], fault: Exception) -> None:
    if not isinstance(fault, ExamError):
        log.logger().error("autosave.chunk_failed", calls=len(chunk), exc_info=fault)
        fault = TryLater(f"the save failed ({type(fault).__name__}); it may have happened, send it again")
    for waiting in chunk:
        _tell(waiting, fault)


def _tell(waiting: Waiting, answer: Saved | ExamError) -> None:
    if isinstance(answer, ExamError):
        metrics.autosave_calls.labels(answer.code).inc()
    try:
        waiting.done(answer)
    except Exception:  # one client's connection must not keep the others from their answers
        log.logger().exception("autosave.answer_failed")
