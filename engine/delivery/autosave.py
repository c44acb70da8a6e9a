"""Autosave: the call this engine exists for.

Promise: an answer of 200 means that every change of the call is fsynced by Redis, at or before `position`.
How: the call is checked against its paper in this process, then waits in its partition's lane; a lane has at most
one script call in flight, and everything that arrives meanwhile leaves together in the next (group commit).
Not here: recording in PostgreSQL (recording/), and deciding what time it is (the script asks Redis).
A call that ends in `try_later` may have been saved: sending it again is always safe.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import msgspec
import orjson
from msgspec import Struct
from starlette.types import Receive, Scope, Send

from engine import log, metrics
from engine.delivery.resources import ArmedBatch, Delivery
from engine.rules import exact_json
from engine.rules.errors import ExamError, Invalid, TryLater
from engine.rules.limits import (
    AUTOSAVE_BODY_BYTES_MAX,
    CHANGES_PER_CALL_MAX,
    CHUNK_BYTES_MAX,
    CHUNK_CALLS_MAX,
    QUEUE_CALLS_MAX,
    SEQ_MAX,
)
from engine.rules.outcome import Outcome, refuse
from engine.rules.shape import Faults, Members
from engine.rules.values import ValueRefused
from engine.sealing.token import Token
from engine.stores.clock import monotonic_s
from engine.stores.memory import Memory, PartitionKeys, beside
from engine.wire import JSON_HEADERS, problem_bytes, problem_headers, read_body, send_bytes

_AUTOSAVE = beside(__file__)


class Change(Struct, forbid_unknown_fields=True):
    item: str
    seq: int
    value: msgspec.Raw


class SaveCall(Struct, forbid_unknown_fields=True):
    changes: list[Change]


class Saved(Struct):
    """The acknowledgement: `saved` is the highest seq of the call, now on disk."""

    saved: int
    generation: int
    position: int
    committed: int


_call_decoder = msgspec.json.Decoder(SaveCall)


class Autosave:
    """The plain ASGI route `POST /v1/sitting/responses`: no middleware between socket and handler."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self._lanes = [Lane(delivery.memory, keys) for keys in delivery.memory.partitions]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began_s = monotonic_s()
        try:
            token = self.delivery.authenticate(scope)  # type: ignore[arg-type]
            body = await read_body(receive, AUTOSAVE_BODY_BYTES_MAX)
            armed = await self.delivery.batch(token.batch_id)
            saved = await self.save(token, armed, body)
        except ExamError as refused:
            await _send_problem(send, refused)
        except Exception as fault:
            log.logger().exception("autosave.internal")
            detail = f"{type(fault).__name__}; it is not known whether the call was saved, send it again"
            await _send_problem(send, ExamError("internal", detail))
        else:
            metrics.autosave_calls.labels("saved").inc()
            metrics.autosave_seconds.observe(monotonic_s() - began_s)
            await send_bytes(send, 200, JSON_HEADERS, msgspec.json.encode(saved))

    async def save(self, token: Token, armed: ArmedBatch, body: bytes) -> Saved:
        """Check and save one call, all or nothing. Raises Refused, Invalid or TryLater."""
        arguments, highest, count = _checked(token, armed, body)
        lane = self._lanes[self.delivery.memory.partition_of(token.sitting_id).number]
        outcome, generation, position, committed = await lane.save(token.sitting_id, arguments, len(body))
        if outcome != Outcome.OK:
            refuse(outcome, "autosave")
        metrics.autosave_changes.inc(count)
        return Saved(highest, generation, position, committed)

    async def drain(self) -> None:
        """Wait until every call that was accepted has been answered."""
        await asyncio.gather(*(lane.drain() for lane in self._lanes))


async def _send_problem(send: Send, error: ExamError) -> None:
    metrics.autosave_calls.labels(error.code).inc()
    await send_bytes(send, error.status, problem_headers(error), problem_bytes(error))


def _checked(token: Token, armed: ArmedBatch, body: bytes) -> tuple[list[str | bytes | int], int, int]:
    """The call as script arguments, its highest seq and its number of changes."""
    try:
        changes = _call_decoder.decode(body).changes
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _explained(armed, body) from None
    count = len(changes)
    if not 1 <= count <= CHANGES_PER_CALL_MAX:
        raise _explained(armed, body)
    if not _names_stand_once(body, count):
        exact_json.decode(body)  # refuses a name given twice, of which the quick decoder takes the last
    arguments: list[str | bytes | int] = [token.sitting_id, token.epoch, count]
    checkers = armed.checkers
    highest = 0
    for change in changes:
        seq = change.seq
        checker = checkers.get(change.item)
        if checker is None or not 1 <= seq <= SEQ_MAX:
            raise _explained(armed, body)
        try:
            value = checker(bytes(change.value))
        except ValueRefused:
            raise _explained(armed, body) from None
        arguments += (change.item, seq, value)
        highest = max(highest, seq)
    return arguments, highest, count


def _names_stand_once(body: bytes, count: int) -> bool:
    """Whether that is certain without parsing: each of the `count` decoded changes has all three names."""
    return (
        b"\\u" not in body  # a name may be written in escapes
        and body.count(b'"changes"') == 1
        and body.count(b'"item"') == body.count(b'"seq"') == body.count(b'"value"') == count
    )


def _explained(armed: ArmedBatch, body: bytes) -> ExamError:
    """Read a refused body again, slowly, for the complete list of what is wrong with it."""
    faults = Faults()
    call = Members(exact_json.decode(body), "", faults)
    for index, change in enumerate(call.take_list("changes", 1, CHANGES_PER_CALL_MAX)):
        members = Members(change, f"/changes/{index}", faults)
        item = members.take("item")
        members.take_integer("seq", 1, SEQ_MAX)
        value = members.take("value")
        members.finish()
        if not members.has("item") or not members.has("value"):
            continue
        checker = armed.checkers.get(item) if isinstance(item, str) else None
        if checker is None:
            members.fault("item", "expected an item of this paper")
            continue
        try:
            checker(_as_json(value))
        except ValueRefused as refused:
            faults.add(members.at("value"), f"item {item}: {refused}", value)
    call.finish()
    if not faults:
        faults.add("", "expected integers written as integers and each name once")
    return Invalid("autosave.invalid", faults.listed, errors_total=faults.total)


def _as_json(value: Any) -> bytes:
    return orjson.dumps(value, default=lambda number: orjson.Fragment(str(number)))


class Waiting(Struct):
    """One save call in a lane."""

    sitting_id: str
    arguments: list[str | bytes | int]
    body_bytes: int
    answer: asyncio.Future[tuple[Outcome, int, int, int]]


class Lane:
    """One partition's queue in one worker: bounded, first in first out, one script call in flight."""

    def __init__(self, memory: Memory, keys: PartitionKeys) -> None:
        self._memory = memory
        self._keys = keys
        self._queue: deque[Waiting] = deque()
        self._runner: asyncio.Task[None] | None = None

    async def save(
        self, sitting_id: str, arguments: list[str | bytes | int], body_bytes: int
    ) -> tuple[Outcome, int, int, int]:
        """Join the next chunk; (outcome, generation, position, committed). Raises TryLater when the lane is full."""
        if len(self._queue) >= QUEUE_CALLS_MAX:
            raise TryLater(f"{QUEUE_CALLS_MAX} save calls are waiting already; this one was not saved")
        answer: asyncio.Future[tuple[Outcome, int, int, int]] = asyncio.get_running_loop().create_future()
        self._queue.append(Waiting(sitting_id, arguments, body_bytes, answer))
        metrics.autosave_waiting.inc()
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return await answer

    async def drain(self) -> None:
        while self._runner is not None:
            await asyncio.wait([self._runner])

    async def _run(self) -> None:
        try:
            while self._queue:
                chunk = self._next_chunk()
                metrics.autosave_waiting.dec(len(chunk))
                metrics.autosave_chunk_calls.observe(len(chunk))
                try:
                    _answer(chunk, await self._save_chunk(chunk))
                except Exception as fault:
                    _fail(chunk, fault)
        finally:
            self._runner = None

    def _next_chunk(self) -> list[Waiting]:
        chunk = [self._queue.popleft()]
        chunk_bytes = chunk[0].body_bytes
        while self._queue and len(chunk) < CHUNK_CALLS_MAX:
            chunk_bytes += self._queue[0].body_bytes
            if chunk_bytes > CHUNK_BYTES_MAX:
                break
            chunk.append(self._queue.popleft())
        return chunk

    async def _save_chunk(self, chunk: list[Waiting]) -> list[Any]:
        keys = [self._keys.marker, self._keys.log, *(self._keys.sitting(waiting.sitting_id) for waiting in chunk)]
        arguments = [argument for waiting in chunk for argument in waiting.arguments]
        return await self._memory.run(_AUTOSAVE, keys, arguments)


def _answer(chunk: list[Waiting], reply: list[Any]) -> None:
    if reply[0] != Outcome.OK:
        raise TryLater("this part of the memory store is being rebuilt; nothing was saved")
    _, generation, position, committed, *outcomes = reply
    for waiting, outcome in zip(chunk, outcomes, strict=True):
        if not waiting.answer.done():  # its client may have gone
            waiting.answer.set_result((Outcome(outcome), generation, position, committed))


def _fail(chunk: list[Waiting], fault: Exception) -> None:
    if not isinstance(fault, ExamError):
        log.logger().error("autosave.chunk_failed", calls=len(chunk), exc_info=fault)
        fault = TryLater(f"the save failed ({type(fault).__name__}); it may have happened, send it again")
    for waiting in chunk:
        if not waiting.answer.done():
            waiting.answer.set_exception(fault)
