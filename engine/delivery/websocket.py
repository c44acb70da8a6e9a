"""A WebSocket on the server's side: from the upgrade to the last byte, whatever its messages mean.

Promise: every text message arrives once, in order and valid UTF-8; everything else a client may send is answered as
RFC 6455 says, or ends the connection with the right close code. Nothing a client sends or leaves unread makes more than
a bounded number of bytes wait here.
How: an asyncio.Protocol without a task. While its owner has enough to do (`must_wait`) it is not read from.
Not here: frames as bytes (frames.py); who closes silent connections (channel_watch.py).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from enum import IntEnum

from engine.delivery import frames
from engine.rules.errors import ExamError, TryLater
from engine.rules.limits import (
    CHANNEL_FRAME_BYTES_MAX,
    CHANNEL_FRAMES_BURST,
    CHANNEL_FRAMES_PER_S,
    CHANNEL_UNREAD_BYTES_MAX,
)
from engine.stores.clock import monotonic_s

# Before a minute of quiet is over somebody between would cut the line; a pong nobody asked for needs no answer.
_SIGN = frames.write(frames.FINAL | frames.PONG, b"")
_PING = frames.write(frames.FINAL | frames.PING, b"")


class Stage(IntEnum):
    """How far a connection has come."""

    EXPECTED = 0  # nothing has been said
    GREETED = 1  # hello was heard, the sitting is being looked at: no frame is taken meanwhile
    OPEN = 2
    LEAVING = 3  # what is under way is answered, then it closes; no frame is taken any more
    CLOSING = 4  # the close frame is out, the client's is awaited
    DEAF = 5  # the same after a broken frame: where the next one begins is not known any more
    GONE = 6


class WebSocket(asyncio.Protocol, ABC):
    """One connection after its upgrade. Its owner is the subclass that says what messages mean."""

    __slots__ = ("_frames_left", "_is_paused", "_message", "_received", "_refilled_s", "_transport", "heard_s", "stage")

    def __init__(self, now_s: float) -> None:
        self._transport: asyncio.Transport | None = None
        self.stage = Stage.EXPECTED
        self._received: bytearray | None = None  # of a frame that is not all there
        self._message: bytearray | None = None  # the fragments of a message so far
        self._is_paused = False
        self._frames_left = CHANNEL_FRAMES_BURST
        self._refilled_s = now_s
        self.heard_s = now_s

    # --- for the owner to say ------------------------------------------------------------------------------------
    @abstractmethod
    def take_message(self, payload: bytes) -> None:
        """A text message, valid UTF-8."""

    @abstractmethod
    def must_wait(self) -> bool:
        """Whether no frame is to be taken now; `go_on` follows when that has changed."""

    @abstractmethod
    def take_flood(self, error: ExamError) -> None:
        """More frames than anybody needs."""

    @abstractmethod
    def end(self, reason: str) -> None:
        """Called once, when it is decided that the connection ends."""

    @abstractmethod
    def now_s(self) -> float:
        """About what time it is, for free."""

    # --- what the loop calls -------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        transport.set_write_buffer_limits(high=CHANNEL_UNREAD_BYTES_MAX)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.stage < Stage.LEAVING:
            self.end("left")
        self.stage = Stage.GONE
        self._transport = None
        self._received = self._message = None

    def pause_writing(self) -> None:
        """The reader is too slow; what it has not read it gets again by asking."""
        self.cut("slow")

    def data_received(self, data: bytes) -> None:
        self.heard_s = self.now_s()
        if self.stage >= Stage.DEAF:
            return
        if self._received is None:
            self._read(data)
        else:
            self._received += data
            if not self._is_paused:
                self._read(self._received)

    # --- frames --------------------------------------------------------------------------------------------------
    def _read(self, received: bytes | bytearray) -> None:
        """Take the frames of `received`; what is left of it is kept."""
        at = 0
        ends = len(received)
        try:
            while at < ends:
                if self.must_wait():
                    self._pause()
                    break
                found = frames.read(received, at, CHANNEL_FRAME_BYTES_MAX)
                if found is None:
                    break
                first, payload, at = found
                self._take(first, payload)
        except frames.Broken as broken:
            self.close(broken.close_code, broken.reason, "broken")
            self.stage = max(self.stage, Stage.DEAF)
        if at >= ends or self.stage >= Stage.DEAF:
            self._received = None
        elif at or self._received is None:
            self._received = bytearray(received[at:])

    def _pause(self) -> None:
        if not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def go_on(self) -> None:
        """After a pause: read on, first what is here already."""
        if not self._is_paused or self.must_wait() or self._transport is None or self._transport.is_closing():
            return
        self._is_paused = False
        if self._received is not None:
            self._read(self._received)
        if not self._is_paused and self._transport is not None:
            self._transport.resume_reading()

    def _take(self, first: int, payload: bytes) -> None:
        if self.stage >= Stage.CLOSING:
            if first == frames.FINAL | frames.CLOSE and self._transport is not None:
                self._transport.close()
            return
        self._frames_left -= 1
        if self._frames_left < 0 and not self._refill():
            allowed = f"{CHANNEL_FRAMES_PER_S} messages a second and {CHANNEL_FRAMES_BURST} at once"
            detail = f"expected at most {allowed}; nothing of the last was done"
            self.take_flood(TryLater(detail, code="rate.limited"))
        elif first == frames.FINAL_TEXT and self._message is None:
            frames.check_text(payload)
            self.take_message(payload)
        elif first & 0x08:
            self._take_control(first, payload)
        else:
            self._take_fragment(first, payload)

    def _refill(self) -> bool:
        """More frames by the time that has passed; False when there are none."""
        now_s = monotonic_s()
        refilled = int((now_s - self._refilled_s) * CHANNEL_FRAMES_PER_S)
        self._frames_left = min(CHANNEL_FRAMES_BURST, refilled) - 1
        self._refilled_s = now_s
        return self._frames_left >= 0

    def _take_control(self, first: int, payload: bytes) -> None:
        opcode = first & 0x0F
        if opcode == frames.PING and self._transport is not None:
            self._transport.write(frames.write(frames.FINAL | frames.PONG, payload))
        elif opcode == frames.CLOSE:
            self.close(frames.read_close(payload), "", "left")
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
            frames.check_text(message)
            self.take_message(message)

    # --- writing, and the end ------------------------------------------------------------------------------------
    def write(self, frame: bytes) -> None:
        """A frame, while there is somebody to read it."""
        if self._transport is not None and Stage.OPEN <= self.stage <= Stage.LEAVING:
            self._transport.write(frame)

    def ask_for_life(self) -> None:
        """A ping; any client answers by itself."""
        if self._transport is not None and self.stage < Stage.CLOSING:
            self._transport.write(_PING)

    def show_life(self) -> None:
        """Something to read that needs no answer."""
        if self._transport is not None and self.stage < Stage.CLOSING:
            self._transport.write(_SIGN)

    def close(self, close_code: int, said: str = "", reason: str = "") -> None:
        """Send the close frame; the client answers it, or is cut off after a while."""
        if self.stage >= Stage.CLOSING or self._transport is None:
            return
        if self.stage < Stage.LEAVING:
            self.end(reason)
        self.stage = Stage.CLOSING
        self._message = None
        self._transport.write(frames.write_close(close_code, said))
        self.await_close()
        self.go_on()

    @abstractmethod
    def await_close(self) -> None:
        """The close frame is out; `cut` is to follow if the client does not answer it."""

    def cut(self, reason: str) -> None:
        """End it without another word."""
        if self.stage < Stage.LEAVING:
            self.end(reason)
        self.stage = Stage.GONE
        if self._transport is not None:
            self._transport.abort()
