"""Autosave: the call this engine exists for.

Promise: an answer of 200 means that every change of the call is fsynced by Redis, at or before `position`.
How: the call is checked against its paper in this process, then joins its partition's lane (lane.py), where everything
that arrives while a chunk is under way leaves together in the next.
Not here: recording in PostgreSQL (recording/), and deciding what time it is (the script asks Redis).
A call that ends in `try_later` may have been saved: sending it again is always safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson
from msgspec import Struct
from starlette.types import Receive, Scope, Send

from engine import log, metrics
from engine.delivery.lane import Argument, Done, Lane, Saved, Waiting
from engine.delivery.resources import ArmedBatch, Delivery
from engine.rules import exact_json
from engine.rules.errors import ExamError, Invalid
from engine.rules.limits import AUTOSAVE_BODY_BYTES_MAX, CHANGES_PER_CALL_MAX, SEQ_MAX
from engine.rules.shape import Faults, Members
from engine.rules.values import ValueRefused
from engine.sealing.token import Token
from engine.stores.clock import monotonic_s
from engine.stores.memory import beside
from engine.wire import JSON_HEADERS, problem_bytes, problem_headers, read_body, send_bytes

_AUTOSAVE = beside(__file__)


class Change(Struct, forbid_unknown_fields=True):
    item: str
    seq: int
    value: msgspec.Raw


class SaveCall(Struct, forbid_unknown_fields=True):
    changes: list[Change]


_call_decoder = msgspec.json.Decoder(SaveCall)


class Autosave:
    """The plain ASGI route `POST /v1/sitting/responses`, and what the protocol and the channel call beneath it."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self._memory = delivery.memory
        self._lanes = [Lane(delivery.memory, keys, _AUTOSAVE) for keys in delivery.memory.partitions]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            token, armed, body = await self._read(scope, receive)
            saved = await self.save(token, armed, body)
        except ExamError as refused:
            await _send_problem(send, refused)
        except Exception as fault:
            log.logger().exception("autosave.internal")
            detail = f"{type(fault).__name__}; it is not known whether the call was saved, send it again"
            await _send_problem(send, ExamError("internal", detail))
        else:
            await send_bytes(send, 200, JSON_HEADERS, saved.as_json())

    async def _read(self, scope: Scope, receive: Receive) -> tuple[Token, ArmedBatch, bytes]:
        try:
            token = self.delivery.authenticate(scope)  # type: ignore[arg-type]
            body = await read_body(receive, AUTOSAVE_BODY_BYTES_MAX)
            return token, await self.delivery.batch(token.armed_id), body
        except ExamError as refused:
            metrics.autosave_calls.labels(refused.code).inc()
            raise

    async def save(self, token: Token, armed: ArmedBatch, body: bytes) -> Saved:
        """Check and save one call, all or nothing. Raises Refused, Invalid or TryLater."""
        answer: asyncio.Future[Saved | ExamError] = asyncio.get_running_loop().create_future()

        def done(saved: Saved | ExamError) -> None:
            if not answer.done():  # its client may have gone
                answer.set_result(saved)

        self.begin(token, armed, body, done)
        saved = await answer
        if isinstance(saved, ExamError):
            raise saved
        return saved

    def begin(self, token: Token, armed: ArmedBatch, body: bytes, done: Done) -> None:
        """Check one call's body and join its lane. Raises what refuses it; else `done` is called later, once."""
        try:
            changes = _call_decoder.decode(body).changes
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            refused = explained(armed, body)
            metrics.autosave_calls.labels(refused.code).inc()
            raise refused from None
        self.begin_changes(token, armed, changes, body, done)

    def begin_changes(
        self,
        token: Token,
        armed: ArmedBatch,
        changes: Sequence[Change],
        spelled: bytes,
        done: Done,
        is_frame: bool = False,
    ) -> None:
        """The same for changes that are decoded already; `spelled` = the JSON document they were read from.

        A channel's frame (`is_frame`) has a `type` beside its changes. What is raised, and what `done` is given, is
        already counted in the metrics.
        """
        keys = self._memory.partition_of(token.sitting_id)
        try:
            arguments, highest = _checked(token, armed, changes, spelled, is_frame)
            self._lanes[keys.number].join(
                Waiting(
                    token.sitting_id,
                    keys.sitting(token.sitting_id),
                    arguments,
                    highest,
                    len(changes),
                    len(spelled),
                    monotonic_s(),
                    done,
                )
            )
        except ExamError as refused:
            metrics.autosave_calls.labels(refused.code).inc()
            raise

    def measure(self) -> None:
        """Set the gauge of waiting calls; called now and then, not per call."""
        metrics.autosave_waiting.set(sum(lane.waiting_calls for lane in self._lanes))

    async def drain(self) -> None:
        """Wait until every call that was accepted has been answered."""
        await asyncio.gather(*(lane.drain() for lane in self._lanes))


async def _send_problem(send: Send, error: ExamError) -> None:
    await send_bytes(send, error.status, problem_headers(error), problem_bytes(error))


def _checked(
    token: Token, armed: ArmedBatch, changes: Sequence[Change], spelled: bytes, is_frame: bool
) -> tuple[list[Argument], int]:
    """The call as script arguments, and its highest seq."""
    count = len(changes)
    if not 1 <= count <= CHANGES_PER_CALL_MAX:
        raise explained(armed, spelled, is_frame)
    if not _names_stand_once(spelled, count):
        exact_json.decode(spelled)  # refuses a name given twice, of which the quick decoder takes the last
    arguments: list[Argument] = [token.sitting_id, token.epoch, count]
    checkers = armed.checkers
    highest = 0
    for change in changes:
        seq = change.seq
        checker = checkers.get(change.item)
        if checker is None or not 1 <= seq <= SEQ_MAX:
            raise explained(armed, spelled, is_frame)
        try:
            value = checker(bytes(change.value))
        except ValueRefused:
            raise explained(armed, spelled, is_frame) from None
        arguments += (change.item, seq, value)
        if seq > highest:
            highest = seq
    return arguments, highest


def _names_stand_once(body: bytes, count: int) -> bool:
    """Whether that is certain without parsing: each of the `count` decoded changes has all three names."""
    return (
        b"\\u" not in body  # a name may be written in escapes
        and body.count(b'"changes"') == 1
        and body.count(b'"item"') == body.count(b'"seq"') == body.count(b'"value"') == count
    )


def explained(armed: ArmedBatch, body: bytes, is_frame: bool = False) -> ExamError:
    """Read a refused body again, slowly, for the complete list of what is wrong with it; or what makes it no JSON."""
    faults = Faults()
    try:
        call = Members(exact_json.decode(body), "", faults)
    except ExamError as unreadable:
        return unreadable
    if is_frame:
        call.take("type")
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
