"""The candidate's end of a channel: over a WebSocket library, and over a bare socket for what no library would send."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.contract.outsider import Sitting

PING = 0x89
PATIENCE_S = 30.0
PATH = "/v1/channel"


class Line:
    """An open channel; every message that was received stays in `heard`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []

    async def say(self, kind: str, **members: Any) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **members}, ensure_ascii=False))

    async def save(self, *changes: tuple[Any, Any, Any]) -> None:
        await self.say("save", changes=[{"item": item, "seq": seq, "value": value} for item, seq, value in changes])

    async def hear(self, *kinds: str) -> dict[str, Any]:
        """The next message of one of `kinds`, or the next one."""
        while True:
            received = await asyncio.wait_for(self.socket.receive(), PATIENCE_S)
            if received.type in (aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG):  # a quiet channel's signs of life
                continue
            assert received.type == aiohttp.WSMsgType.TEXT, (received, self.heard[-3:])
            message: dict[str, Any] = json.loads(received.data)
            self.heard.append(message)
            if not kinds or message["type"] in kinds:
                return message

    async def refused(self, status: int, code: str) -> dict[str, Any]:
        """The next answer to a message, which must be this error."""
        error = await self.hear("saved", "error")
        assert (error["type"], error.get("status"), error.get("code")) == ("error", status, code), error
        assert error["detail"]
        return error

    async def ended(self) -> int | None:
        """The close code, after everything that comes before it."""
        while True:
            received = await asyncio.wait_for(self.socket.receive(), PATIENCE_S)
            if received.type == aiohttp.WSMsgType.PING:
                continue
            if received.type != aiohttp.WSMsgType.TEXT:
                return self.socket.close_code
            self.heard.append(json.loads(received.data))


@contextlib.asynccontextmanager
async def channel(url: str, **headers: str) -> AsyncIterator[Line]:
    """A channel that has not said anything."""
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(url + PATH, headers=headers, autoping=False, max_msg_size=0) as socket,
    ):
        yield Line(socket)


@contextlib.asynccontextmanager
async def open_channel(sitting: Sitting) -> AsyncIterator[Line]:
    """A channel whose hello has been answered with the time."""
    async with channel(sitting.outsider.url) as line:
        await line.say("hello", token=sitting.token)
        assert (await line.hear())["type"] == "time"
        yield line


# --- bare sockets ----------------------------------------------------------------------------------------------
def frame(first: int, payload: bytes = b"", mask: bytes | None = b"\x01\x02\x03\x04", announced: int = -1) -> bytes:
    """A client's frame; without a mask, or announcing another length, an illegal one."""
    length = len(payload) if announced < 0 else announced
    bit = 0 if mask is None else 0x80
    if length < 126:
        head = bytes((first, bit | length))
    elif length < 65_536:
        head = bytes((first, bit | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + length.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def text(message: Any, first: int = 0x81) -> bytes:
    return frame(first, json.dumps(message).encode())


class Bare:
    """A socket after the upgrade."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._received = b""

    def send(self, *parts: bytes) -> None:
        self.connection.sendall(b"".join(parts))

    def receive(self) -> tuple[int, bytes]:
        """The next frame of the server but for pings, which may come at any time: its first byte and its payload."""
        first, length = self._take(2)
        assert length < 128, "a server's frames are not masked"
        if length == 126:
            length = int.from_bytes(self._take(2), "big")
        elif length == 127:
            length = int.from_bytes(self._take(8), "big")
        payload = self._take(length)
        return self.receive() if first == PING else (first, payload)

    def message(self) -> Any:
        first, payload = self.receive()
        assert first == 0x81, (first, payload)
        return json.loads(payload)

    def close_code(self) -> int:
        """Of the close frame, whatever comes before it; and nothing comes after it."""
        while True:
            first, payload = self.receive()
            if first == 0x88:
                return int.from_bytes(payload[:2], "big")

    def _take(self, count: int) -> bytes:
        while len(self._received) < count:
            more = self.connection.recv(65_536)
            assert more, f"the connection ended within a frame, after {self._received!r}"
            self._received += more
        taken, self._received = self._received[:count], self._received[count:]
        return taken


def handshake(url: str, method: str = "GET", **headers: str | None) -> bytes:
    """An opening handshake; a header given as None is left out."""
    chosen: dict[str, str | None] = {
        "host": urlsplit(url).netloc,
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": base64.b64encode(os.urandom(16)).decode(),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{method} {PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in chosen.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode()


@contextlib.contextmanager
def bare(url: str, receive_bytes: int = 0) -> Iterator[Bare]:
    """A bare channel; with `receive_bytes` of a small window."""
    parts = urlsplit(url)
    with socket.socket() as connection:
        connection.settimeout(PATIENCE_S)
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.connect((parts.hostname, parts.port))
        connection.sendall(handshake(url))
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += connection.recv(1)
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        yield Bare(connection)
