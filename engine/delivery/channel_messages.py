"""The messages of the channel as bytes: what candidates say, and what they are told."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
from msgspec import Struct

from engine import metrics
from engine.delivery import frames
from engine.delivery.autosave import Change, explained
from engine.delivery.lane import Saved
from engine.delivery.resources import ArmedBatch
from engine.rules import exact_json
from engine.rules.errors import ExamError, Invalid, Refused, TryLater
from engine.rules.shape import shown


class Hello(Struct, tag_field="type", tag="hello", forbid_unknown_fields=True):
    token: str


class Save(Struct, tag_field="type", tag="save", forbid_unknown_fields=True):
    changes: list[Change]


_decoder = msgspec.json.Decoder(Hello | Save)


def read(payload: bytes, armed: ArmedBatch | None) -> Hello | Save:
    """A candidate's message. Raises ExamError; for a save, with every fault of it that its batch can tell."""
    try:
        message: Hello | Save = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _explained(payload, armed) from None
    if payload.count(b'"type"') != 1:
        exact_json.decode(payload)  # refuses a name given twice; here an item or a value may be called so, too
    return message


def frame(message: dict[str, Any]) -> bytes:
    return frames.write(frames.FINAL_TEXT, orjson.dumps(message, default=float))


def saved_frame(saved: Saved) -> bytes:
    return frames.write(frames.FINAL_TEXT, b'{"type":"saved","saved":%d%b' % (saved.saved, saved.stand.json))


def committed_frame(generation: int, committed: int) -> bytes:
    body = b'{"type":"committed","generation":%d,"committed":%d}' % (generation, committed)
    return frames.write(frames.FINAL_TEXT, body)


def error_frame(error: ExamError) -> bytes:
    """The members of a problem that a channel's client needs; a problem over HTTP has a type and a title, too."""
    body = {"type": "error", "status": error.status, "code": error.code, "detail": error.detail, **error.members}
    if isinstance(error, TryLater):
        body["retry_after_s"] = error.retry_after_s
    return frame(body)


def _explained(payload: bytes, armed: ArmedBatch | None) -> ExamError:
    """What is wrong with a message that has no known form."""
    try:
        message = exact_json.decode(payload)
    except ExamError as unreadable:
        return unreadable
    if not isinstance(message, dict):
        return _fault("", "expected an object", message)
    kind = message.get("type")
    if kind not in ("hello", "save"):
        return _fault("/type", "expected hello or save", kind)
    if kind == "hello":
        return _fault("", "expected `type` and `token`, a text, and nothing else", sorted(message))
    if armed is None:
        return Refused("request.invalid", "expected `hello` before the first save")
    refused = explained(armed, payload, is_frame=True)
    metrics.autosave_calls.labels(refused.code).inc()
    return refused


def _fault(pointer: str, message: str, value: Any) -> Invalid:
    return Invalid("request.invalid", [{"pointer": pointer, "message": message, "value": shown(value)}])
