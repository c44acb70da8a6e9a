"""A candidate's connection: the channel, or HTTP kept alive. asyncio protocols that write and read bytes themselves.

Promise: what the engine says reaches the sitting in the order in which it was said; a line that is lost is reported
once, and opened again by its owner (driver.py).
Why not a client library: one costs more per save than the whole of this process may.
"""

from __future__ import annotations

import abc
import asyncio
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

import orjson

from loadtest.openloop import frames
from loadtest.openloop.sitting import Sitting

if TYPE_CHECKING:
    from loadtest.openloop.driver import Driver

CHANNEL_PATH = "/v1/channel"
SAVE_PATH = "/v1/sitting/responses"
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n"
)
SAVE = (
    "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)
_HEAD_ENDS = b"\r\n\r\n"


class LineFault(Exception):
    """The line could not be opened: what the engine said instead."""


class Line(asyncio.Protocol, abc.ABC):
    """`opened` is done when saves may be sent, or fails with LineFault."""

    __slots__ = ("driver", "is_open", "opened", "rest", "sitting", "transport")

    def __init__(self, driver: Driver, sitting: Sitting) -> None:
        self.driver = driver
        self.sitting = sitting
        self.transport: asyncio.Transport | None = None
        self.is_open = False
        self.rest = b""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @abc.abstractmethod
    def go(self, now_ns: int) -> None:
        """Send what waits, if anything does and nothing is under way."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        was_open, self.is_open = self.is_open, False
        if not self.opened.done():
            self.opened.set_exception(LineFault(f"the connection was lost: {exc or 'end of file'}"))
        elif was_open:
            self.driver.lose(self, str(exc or "end of file"))

    def end(self, why: str) -> None:
        """What came cannot be understood, or says that this is the end."""
        if not self.opened.done():
            self.opened.set_exception(LineFault(why))
        if self.transport is not None:
            self.transport.abort()

    def hear_saved(self, reply: dict[str, Any], now_ns: int) -> None:
        self.sitting.acknowledge(reply, now_ns)
        self.driver.under_way -= 1
        if self.sitting.waiting:
            self.go(now_ns)

    def hear_refusal(self, problem: dict[str, Any]) -> None:
        self.driver.under_way -= 1
        self.driver.refuse(self, problem)

    def _become_open(self) -> None:
        self.is_open = True
        if not self.opened.done():
            self.opened.set_result(None)


class ChannelLine(Line):
    """One WebSocket."""

    __slots__ = ("_has_greeted", "_is_upgraded")

    def __init__(self, driver: Driver, sitting: Sitting) -> None:
        super().__init__(driver, sitting)
        self._is_upgraded = self._has_greeted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.write(self.driver.upgrade_head())

    def go(self, now_ns: int) -> None:
        if self.is_open and self.transport is not None:
            changes = self.sitting.next_call(now_ns)
            if changes:
                self.transport.write(frames.write(b'{"type":"save","changes":[%b]}' % changes))
                self.driver.under_way += 1

    def data_received(self, data: bytes) -> None:
        now_ns = monotonic_ns()
        if self.rest:
            data, self.rest = self.rest + data, b""
        if not self._is_upgraded:
            data = self._upgrade(data)
        at = 0
        try:
            for opcode, payload, behind in frames.read(data):
                at = behind
                if opcode == frames.TEXT:
                    self._hear(orjson.loads(payload), now_ns)
                elif opcode == frames.PING and self.transport is not None:
                    self.transport.write(frames.write(payload, frames.PONG))
                elif opcode == frames.CLOSE:
                    self.end(f"closed with {int.from_bytes(payload[:2], 'big')}")
        except ValueError as fault:
            self.end(str(fault))
            return
        if at < len(data):
            self.rest = data[at:]
        self.driver.look(now_ns)

    def _upgrade(self, data: bytes) -> bytes:
        """What stands behind the answer to the upgrade."""
        head, found, behind = data.partition(_HEAD_ENDS)
        if not found:
            self.rest = data
            return b""
        if not head.startswith(b"HTTP/1.1 101"):
            self.end(data[:300].decode("utf-8", "replace"))
            return b""
        self._is_upgraded = True
        if self.transport is not None:
            hello = orjson.dumps({"type": "hello", "token": self.sitting.token})
            self.transport.write(frames.write(hello))
        return behind

    def _hear(self, message: dict[str, Any], now_ns: int) -> None:
        kind = message["type"]
        if kind == "saved":
            self.hear_saved(message, now_ns)
        elif kind == "error":
            if self.sitting.under_way:
                self.hear_refusal(message)
            else:
                self.end(f"{message.get('code')}: {message.get('detail')}")
        elif kind == "time":
            self.driver.hear_time(message, now_ns)
            if not self._has_greeted:
                self._has_greeted = True
                self._become_open()
        elif kind == "paper_key":
            self.driver.hear_key(self.sitting, message, now_ns)


class HttpLine(Line):
    """One connection, one call at a time."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._become_open()

    def go(self, now_ns: int) -> None:
        if self.is_open and self.transport is not None:
            changes = self.sitting.next_call(now_ns)
            if changes:
                body = b'{"changes":[%b]}' % changes
                self.transport.write(self.driver.save_head(self.sitting.token, len(body)) + body)
                self.driver.under_way += 1

    def data_received(self, data: bytes) -> None:
        now_ns = monotonic_ns()
        data, self.rest = self.rest + data, b""
        head, found, behind = data.partition(_HEAD_ENDS)
        length = _content_length(head) if found else 0
        if not found or len(behind) < length:
            self.rest = data
            return
        try:
            status, said = int(head[9:12]), orjson.loads(behind)
        except ValueError:
            self.end(data[:300].decode("utf-8", "replace"))
            return
        if status < 300:
            self.hear_saved(said, now_ns)
        else:
            self.hear_refusal({"status": status, **said})
        self.driver.look(now_ns)


def _content_length(head: bytes) -> int:
    at = head.lower().find(b"\r\ncontent-length:")
    return int(head[at + 17 :].partition(b"\r\n")[0]) if at >= 0 else 0
