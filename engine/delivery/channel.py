"""The channel: one candidate's WebSocket, `GET /v1/channel`.

Promise: saves are answered in the order of their frames, each with `saved` or an `error`; `saved` means what it means
over HTTP, because it is the same function. What the candidate must know without asking (time, paper key, end, takeover,
`committed`) comes by itself.
How: an asyncio.Protocol and no task: between two frames a channel is this object and its socket. A frame's bytes go to
`Autosave.begin_changes`; its answer comes back as a call. Who sends more than is answered is not read from for a while.
Not here: the handshake (channel_upgrade.py), frames as bytes (frames.py), who hears what when (channel_watch.py).

What ends a channel: a broken frame (1002, 1003, 1007, 1009 as RFC 6455 says); no hello in time or a refused one, a
takeover, a flood (1008 after an error frame); a store that is away at hello (1013); a worker that stops (1012). After
hello a message that cannot be understood is refused by an error frame, and the channel goes on.
"""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from msgspec import Struct

from engine import metrics
from engine.delivery import frames
from engine.delivery.autosave import Change, explained
from engine.delivery.channel_news import Look, committed_frame
from engine.delivery.lane import Saved
from engine.delivery.resources import ArmedBatch
from engine.delivery.sitting import edges_with_end
from engine.rules import exact_json, timing
from engine.rules.errors import ExamError, Invalid, Refused, TryLater
from engine.rules.limits import (
    CHANNEL_FRAME_BYTES_MAX,
    CHANNEL_FRAMES_BURST,
    CHANNEL_FRAMES_PER_S,
    CHANNEL_UNANSWERED_BYTES_MAX,
    CHANNEL_UNANSWERED_MAX,
    CHANNEL_UNREAD_BYTES_MAX,
)
from engine.rules.outcome import Outcome, refusal
from engine.rules.terms import SittingState
from engine.sealing.token import Token

if TYPE_CHECKING:
    from engine.delivery.channel_watch import Channels

_FINAL_STATES = (SittingState.SUBMITTED, SittingState.COLLECTED, SittingState.ABSENT, SittingState.VOID)
_PING = frames.write(frames.FINAL | frames.PING, b"")


class Hello(Struct, tag_field="type", tag="hello", forbid_unknown_fields=True):
    token: str


class Save(Struct, tag_field="type", tag="save", forbid_unknown_fields=True):
    changes: list[Change]


_decoder = msgspec.json.Decoder(Hello | Save)


class Stage(IntEnum):
    """How far a channel has come."""

    EXPECTED = 0  # nothing has been said
    GREETED = 1  # hello was heard, the sitting is being looked at: no frame is taken meanwhile
    OPEN = 2
    LEAVING = 3  # what is under way is answered, then it closes; no frame is taken any more
    CLOSING = 4  # the close frame is out, the client's is awaited
    DEAF = 5  # the same after a broken frame: where the next one begins is not known any more
    GONE = 6


class Channel(asyncio.Protocol):
    """One connection after its upgrade. Idle it is about 600 bytes, with what uvloop keeps for a socket beside it."""

    __slots__ = (
        "_channels",
        "_ending",
        "_ends_ms",
        "_first_unsure",
        "_frames_left",
        "_has_key",
        "_is_paused",
        "_last_unsure",
        "_message",
        "_received",
        "_refilled_s",
        "_stage",
        "_state",
        "_told_closed",
        "_told_generation",
        "_transport",
        "_unanswered",
        "_unanswered_bytes",
        "armed",
        "heard_s",
        "moment_ms",
        "token",
        "unsure_generation",
    )

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._transport: asyncio.Transport | None = None
        self._stage = Stage.EXPECTED
        self._received: bytearray | None = None  # of a frame that is not all there
        self._message: bytearray | None = None  # the fragments of a message so far
        self._is_paused = False
        # In frame order: the bytes of a save under way, or an answer that waits for those before it.
        self._unanswered: list[int | bytes] = []
        self._unanswered_bytes = 0
        self._ending: tuple[int, bytes] | None = None  # LEAVING: close code and last words
        self._frames_left = CHANNEL_FRAMES_BURST
        self._refilled_s = channels.now_s
        self.heard_s = channels.now_s
        self.token: Token | None = None
        self.armed: ArmedBatch | None = None
        self._state = SittingState.EXPECTED
        self._ends_ms = 0
        self._has_key = False
        self._told_closed = ""
        self._told_generation = -1
        self.unsure_generation = 0
        self._first_unsure = self._last_unsure = 0  # positions of this channel's saves that may not be committed
        self.moment_ms = 0  # when something is to happen; kept by channel_watch.py

    # --- the connection ------------------------------------------------------------------------------------------
    @property
    def is_gone(self) -> bool:
        return self._stage >= Stage.CLOSING

    @property
    def is_waiting_for_key(self) -> bool:
        return self._stage == Stage.OPEN and not self._has_key and self._state == SittingState.PLEDGED

    @property
    def keeps_others_out(self) -> bool:
        """Whether the batch lets another machine in only after this one has been silent."""
        return (
            self._stage == Stage.OPEN
            and self.armed is not None
            and self.armed.prepared.batch.rules.takeover == "silent"
        )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        transport.set_write_buffer_limits(high=CHANNEL_UNREAD_BYTES_MAX)
        self._channels.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._stage < Stage.CLOSING:
            self._channels.count_end("left")
        self._stage = Stage.GONE
        self._transport = None
        self._received = self._message = None
        self._channels.leave(self)

    def pause_writing(self) -> None:
        """The reader is too slow; what it has not read it gets again by asking."""
        self.cut("slow")

    def cut(self, reason: str) -> None:
        """End it without another word."""
        if self._stage < Stage.CLOSING:
            self._channels.count_end(reason)
        self._stage = Stage.GONE
        if self._transport is not None:
            self._transport.abort()

    def ask_for_life(self) -> None:
        """A ping; any client answers by itself."""
        if self._transport is not None and self._stage < Stage.CLOSING:
            self._transport.write(_PING)

    def write(self, frame: bytes) -> None:
        if self._transport is not None and Stage.OPEN <= self._stage <= Stage.LEAVING:
            self._transport.write(frame)

    # --- frames --------------------------------------------------------------------------------------------------
    def data_received(self, data: bytes) -> None:
        self.heard_s = self._channels.now_s
        if self._stage >= Stage.DEAF:
            return
        if self._received is None:
            self._read(data)
        else:
            self._received += data
            if not self._is_paused:
                self._read(self._received)

    def _read(self, received: bytes | bytearray) -> None:
        """Take the frames of `received`; what is left of it is kept."""
        at = 0
        ends = len(received)
        try:
            while at < ends:
                if self._must_wait():
                    self._pause()
                    break
                found = frames.read(received, at, CHANNEL_FRAME_BYTES_MAX)
                if found is None:
                    break
                first, payload, at = found
                self._take(first, payload)
        except frames.Broken as broken:
            self._close(broken.close_code, broken.reason, "broken")
            self._stage = Stage.DEAF
        if at >= ends or self._stage >= Stage.DEAF:
            self._received = None
        elif at or self._received is None:
            self._received = bytearray(received[at:])

    def _must_wait(self) -> bool:
        return (
            self._stage in (Stage.GREETED, Stage.LEAVING)
            or len(self._unanswered) >= CHANNEL_UNANSWERED_MAX
            or self._unanswered_bytes >= CHANNEL_UNANSWERED_BYTES_MAX
        )

    def _pause(self) -> None:
        if not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def _go_on(self) -> None:
        """After an answer: read on, first what is here already."""
        if not self._is_paused or self._must_wait() or self._transport is None or self._transport.is_closing():
            return
        self._is_paused = False
        if self._received is not None:
            self._read(self._received)
        if not self._is_paused and self._transport is not None:
            self._transport.resume_reading()

    def _take(self, first: int, payload: bytes) -> None:
        if self._stage >= Stage.CLOSING:
            if first == frames.FINAL | frames.CLOSE and self._transport is not None:
                self._transport.close()
            return
        self._frames_left -= 1
        if self._frames_left < 0 and not self._refill():
            self.dismiss(_flood(), "flood")
        elif first == frames.FINAL_TEXT and self._message is None:
            self._take_text(payload)
        elif first & 0x08:
            self._take_control(first, payload)
        else:
            self._take_fragment(first, payload)

    def _refill(self) -> bool:
        """More frames by the time that has passed; False when there are none."""
        now_s = self._channels.clock()
        refilled = int((now_s - self._refilled_s) * CHANNEL_FRAMES_PER_S)
        self._frames_left = min(CHANNEL_FRAMES_BURST, refilled) - 1
        self._refilled_s = now_s
        return self._frames_left >= 0

    def _take_control(self, first: int, payload: bytes) -> None:
        opcode = first & 0x0F
        if opcode == frames.PING and self._transport is not None:
            self._transport.write(frames.write(frames.FINAL | frames.PONG, payload))
        elif opcode == frames.CLOSE:
            self._close(frames.read_close(payload), "", "left")
            if self._transport is not None:
                self._transport.close()

    def _take_fragment(self, first: int, payload: bytes) -> None:
        opcode = first & 0x0F
        if opcode == frames.BINARY:
            raise frames.Broken(frames.UNSUPPORTED, "messages are JSON texts")
        if (opcode == frames.CONTINUATION) == (self._message is None):
            raise frames.Broken(frames.PROTOCOL_ERROR, "a message begins once, and its fragments follow")
        if self._message is None:
            self._message = bytearray()
        if len(self._message) + len(payload) > CHANNEL_FRAME_BYTES_MAX:
            raise frames.Broken(frames.TOO_LARGE, f"a message has at most {CHANNEL_FRAME_BYTES_MAX} bytes")
        self._message += payload
        if first & frames.FINAL:
            message, self._message = bytes(self._message), None
            self._take_text(message)

    # --- messages ------------------------------------------------------------------------------------------------
    def _take_text(self, payload: bytes) -> None:
        frames.check_text(payload)
        try:
            message = _decoder.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._refuse(_explained(payload, self.armed))
            return
        if payload.count(b'"type"') != 1:  # or a value is called so: the slow way tells
            try:
                exact_json.decode(payload)
            except ExamError as refused:
                self._refuse(refused)
                return
        if type(message) is Save:
            self._save(message, payload)
        elif type(message) is Hello:
            self._greet(message)

    def _save(self, message: Save, payload: bytes) -> None:
        self._channels.count_frame("save")
        if self._stage != Stage.OPEN or self.token is None or self.armed is None:
            self._refuse(Refused("request.invalid", "expected `hello` before the first save"))
            return
        try:
            self._channels.autosave.begin_changes(
                self.token, self.armed, message.changes, payload, self._answer, is_frame=True
            )
        except ExamError as refused:
            self._refuse(refused)
            return
        self._unanswered.append(len(payload))
        self._unanswered_bytes += len(payload)

    def _answer(self, answer: Saved | ExamError) -> None:
        """The oldest save under way has been answered: a lane keeps the order of a sitting's calls."""
        unanswered = self._unanswered
        size_bytes = unanswered.pop(0)
        assert isinstance(size_bytes, int)
        self._unanswered_bytes -= size_bytes
        if isinstance(answer, Saved):
            stand = answer.stand
            body = b'{"type":"saved","saved":%d%b' % (answer.saved, stand.json)
            self.write(frames.write(frames.FINAL_TEXT, body))
            if stand.position > stand.committed:
                self._expect_commit(stand.generation, stand.position)
        else:
            self.write(_error_frame(answer))
            if answer.code == "sitting.superseded":
                self._leave(frames.POLICY, b"", "superseded")
        while unanswered and isinstance(unanswered[0], bytes):
            self.write(unanswered.pop(0))  # type: ignore[arg-type]
        if self._stage == Stage.LEAVING:
            self._leave_when_answered()
        elif self._is_paused:
            self._go_on()

    def _refuse(self, error: ExamError) -> None:
        """An error frame, in its turn; before hello it is the last one."""
        if self._stage == Stage.EXPECTED:
            self.dismiss(error, "refused")
        elif self._unanswered:
            self._unanswered.append(_error_frame(error))
        else:
            self.write(_error_frame(error))

    # --- hello, and what a look tells ----------------------------------------------------------------------------
    def _greet(self, hello: Hello) -> None:
        self._channels.count_frame("hello")
        if self._stage != Stage.EXPECTED:
            self._refuse(Refused("request.invalid", "expected `hello` once, and as the first message"))
            return
        try:
            self.token = self._channels.delivery.verified(hello.token)
        except ExamError as refused:
            self._refuse(refused)
            return
        self._stage = Stage.GREETED
        self._channels.greet(self, self.token)

    def see(self, look: Look, armed: ArmedBatch) -> None:
        """The sitting as Redis has it: the answer to hello, and whenever it may have changed unheard."""
        if self._stage not in (Stage.GREETED, Stage.OPEN):
            return
        if look.outcome == Outcome.SUPERSEDED:
            self.be_superseded()
            return
        if look.outcome != Outcome.OK:
            self.see_nothing(refusal(look.outcome, "autosave"))
            return
        self.armed = armed
        self._state = SittingState(look.state)
        is_hello = self._stage == Stage.GREETED
        self._stage = Stage.OPEN
        if is_hello or look.ends_ms != self._ends_ms:
            self._ends_ms = look.ends_ms
            self._tell_time(look.now_ms)
        if look.high and look.generation != self._told_generation:
            # It has saved before, perhaps through another connection: what of that is committed?
            self.write(committed_frame(look.generation, look.committed))
            if look.position > look.committed:
                self._expect_commit(look.generation, look.position)
        self._told_generation = look.generation
        self.advance(look.now_ms)
        if is_hello:
            self._go_on()

    def see_nothing(self, fault: ExamError) -> bool:
        """The look failed. True when this channel needs another; one that has just said hello goes."""
        if self._stage == Stage.GREETED:
            self._leave(frames.TRY_LATER, _error_frame(fault), "refused")
        return self._stage == Stage.OPEN

    def _tell_time(self, now_ms: int) -> None:
        assert self.armed is not None
        edges = edges_with_end(self.armed, self._ends_ms)
        self._say(
            {
                "type": "time",
                "server_ms": now_ms,
                "starts_ms": edges.starts_ms,
                "ends_ms": edges.ends_ms,
                "remaining_ms": timing.remaining_ms(edges, now_ms),
                "state": timing.state_at(self._state, edges, now_ms),
            }
        )

    # --- what time and others bring ------------------------------------------------------------------------------
    def advance(self, now_ms: int) -> None:
        """Tell what has become true by `now_ms` of Redis's clock, and note when to look again."""
        if self._stage != Stage.OPEN or self.armed is None:
            return
        edges = edges_with_end(self.armed, self._ends_ms)
        state = timing.state_at(self._state, edges, now_ms)
        if state in _FINAL_STATES:
            if self._told_closed != state:
                self._told_closed = state
                self._say({"type": "closed", "state": state})
            self._channels.expect_moment(self, 0)
            return
        self._told_closed = ""
        if state == SittingState.IN_PROGRESS and not self._has_key:
            self._give_key(self.armed)
        self._channels.expect_moment(self, edges.starts_ms if now_ms < edges.starts_ms else edges.closes_ms)

    def _give_key(self, armed: ArmedBatch) -> None:
        assert self.token is not None
        frame = self._channels.key_frame(armed, self.token.sitting_id)
        if frame is not None:
            self.write(frame)
            self._has_key = True

    def hear(self, news: str, now_ms: int) -> None:
        """News of this sitting, as a script has written it."""
        if self._stage != Stage.OPEN or self.token is None:
            if self._stage == Stage.GREETED:
                self._channels.look(self)  # the look under way may be older
            return
        kind, _, value = news.partition(":")
        if kind == "epoch":
            if int(value) > int(self.token.epoch):
                self.be_superseded()
        elif kind == "state":
            self._state = SittingState(value)
            self.advance(now_ms)
        else:
            self._channels.look(self)

    def hear_committed(self, generation: int, committed: int, frame: bytes) -> bool:
        """How far the log is committed; True when this channel has nothing more to wait for."""
        if generation != self.unsure_generation or committed < self._first_unsure:
            return generation > self.unsure_generation
        self.write(frame)
        self._first_unsure = committed + 1
        return committed >= self._last_unsure

    def _expect_commit(self, generation: int, position: int) -> None:
        if self._stage not in (Stage.OPEN, Stage.LEAVING):
            return
        if generation != self.unsure_generation or self._last_unsure < self._first_unsure:
            self.unsure_generation, self._first_unsure = generation, position
        self._last_unsure = position
        self._channels.expect_commit(self)

    def be_superseded(self) -> None:
        self.dismiss(refusal(Outcome.SUPERSEDED, "autosave"), "superseded")

    def move(self, text: str) -> None:
        """This worker stops: the client is to connect again, which leads to another."""
        self._say({"type": "notice", "code": "moving", "text": text})
        self._leave(frames.RESTART, b"", "moving")

    def _say(self, message: dict[str, Any]) -> None:
        self.write(frames.write(frames.FINAL_TEXT, orjson.dumps(message)))

    # --- the end -------------------------------------------------------------------------------------------------
    def dismiss(self, error: ExamError, reason: str) -> None:
        """Its end, and why."""
        self._leave(frames.POLICY, _error_frame(error), reason)

    def _leave(self, close_code: int, last_words: bytes, reason: str) -> None:
        """Close after everything under way is answered."""
        if self._stage >= Stage.LEAVING:
            return
        self._stage = Stage.LEAVING
        self._channels.count_end(reason)
        self._ending = (close_code, last_words)
        self._leave_when_answered()

    def _leave_when_answered(self) -> None:
        if self._unanswered or self._ending is None:
            return
        close_code, last_words = self._ending
        if last_words:
            self.write(last_words)
        self._close(close_code, "", "")

    def _close(self, close_code: int, reason: str, end: str) -> None:
        """Send the close frame; the client answers it, or is cut off after a while."""
        if self._stage < Stage.LEAVING:
            self._channels.count_end(end)
        if self._stage >= Stage.CLOSING or self._transport is None:
            return
        self._stage = Stage.CLOSING
        self._message = None
        self._transport.write(frames.write_close(close_code, reason))
        self._channels.expect_close(self)
        self._go_on()


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
    return Invalid("request.invalid", [{"pointer": pointer, "message": message, "value": value}])


def _flood() -> ExamError:
    allowed = f"{CHANNEL_FRAMES_PER_S} messages a second and {CHANNEL_FRAMES_BURST} at once"
    return TryLater(f"expected at most {allowed}; nothing of the last was done", code="rate.limited")


def _error_frame(error: ExamError) -> bytes:
    """The members of a problem that a channel's client needs; a problem over HTTP has a type and a title, too."""
    body = {"type": "error", "status": error.status, "code": error.code, "detail": error.detail, **error.members}
    if isinstance(error, TryLater):
        body["retry_after_s"] = error.retry_after_s
    return frames.write(frames.FINAL_TEXT, orjson.dumps(body, default=float))
