"""The floors: what the same server does when there is nothing to do. `python -m bench.floor asgi|echo PORT` runs one.

`asgi`, on uvicorn with the worker's settings and without what the engine puts in its protocol's place. `POST` anything:
the body is read and a small JSON object answered, as an acknowledgement is. A WebSocket: every text comes back.

`echo`, on the engine's own frames: a bare protocol that reads a frame and writes it back, and knows nothing else. It is
much the faster of the two echoes, so it is what saves over channels are compared with.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import sys
from typing import Any

import uvicorn
import uvloop

from engine import listening, pauses, precedence
from engine.delivery import frames
from engine.serve import configured
from engine.settings import Settings

FRAME_BYTES_MAX = 256 * 1024
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
ANSWER = b'{"saved":123456,"generation":1,"position":123456,"committed":123000}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]


async def floor(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """One plain ASGI callable for both."""
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": ANSWER})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})


class Echo(asyncio.Protocol):
    """After the handshake every whole frame goes back as it came."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._received = b""
        self._is_open = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        self._received = b""
        if not self._is_open:
            head, ends, received = received.partition(b"\r\n\r\n")
            if not ends:
                self._received = head
                return
            self._open(head)
        at = 0
        while at < len(received):
            found = frames.read(received, at, FRAME_BYTES_MAX)
            if found is None:
                self._received = received[at:]
                return
            first, payload, at = found
            self._transport.write(frames.write(first, payload))

    def _open(self, head: bytes) -> None:
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
        if key is None:
            self._transport.close()
            return
        accepted = base64.b64encode(hashlib.sha1(key[1] + _GUID, usedforsecurity=False).digest())
        lines = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        self._transport.write(lines + b"sec-websocket-accept: " + accepted + b"\r\n\r\n")
        self._is_open = True


async def _echo(settings: Settings) -> None:
    listener = listening.listen(settings.host, settings.port, settings.backlog)
    pauses.settle()
    precedence.take_short_turns()
    server = await asyncio.get_running_loop().create_server(Echo, sock=listener, backlog=settings.backlog)
    await server.serve_forever()


def serve_echo(port: int) -> None:
    """Until a signal."""
    listening.raise_file_limit()
    uvloop.run(_echo(Settings(port=port)))


def serve_asgi(port: int) -> None:
    """Until a signal."""
    settings = Settings(port=port)
    listening.raise_file_limit()
    config = configured(
        floor,
        settings,
        http="httptools",
        ws="auto",
        ws_per_message_deflate=False,
        lifespan="off",
        timeout_graceful_shutdown=settings.drain_s,
    )
    pauses.settle()
    precedence.take_short_turns()
    uvicorn.Server(config).run(sockets=[listening.listen(settings.host, settings.port, settings.backlog)])


if __name__ == "__main__":
    {"asgi": serve_asgi, "echo": serve_echo}[sys.argv[1]](int(sys.argv[2]))
