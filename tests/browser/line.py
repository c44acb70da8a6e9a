"""The line between a machine and the engine: slow, dead, cut, or with a proxy on it that lets no WebSocket through."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

from loadtest.torture.proxy import Proxy

_ANSWER_S = 20
_PIECE_BYTES = 64 * 1024


class Upgrade(Enum):
    """What becomes of a request for a WebSocket."""

    PASSES = "passes"
    REFUSED = "refused"
    SILENT = "silent"  # taken, and never answered


class _Wire(Proxy):
    upgrade = Upgrade.PASSES

    async def _connect(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        head = await reader.read(_PIECE_BYTES)
        if self.upgrade is not Upgrade.PASSES and b"upgrade: websocket" in head.lower():
            if self.upgrade is Upgrade.REFUSED:
                near.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                await near.drain()
            else:
                await reader.read()
            return
        passed = asyncio.StreamReader()
        passed.feed_data(head)
        pumping = asyncio.ensure_future(_pump(reader, passed))
        try:
            await super()._connect(passed, near)
        finally:
            pumping.cancel()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamReader) -> None:
    try:
        while piece := await source.read(_PIECE_BYTES):
            sink.feed_data(piece)
    except OSError:
        pass
    sink.feed_eof()


class Line:
    """A wire that runs beside the test: its conditions may be set at any time."""

    def __init__(self, wire: _Wire, loop: asyncio.AbstractEventLoop) -> None:
        self.wire = wire
        self._loop = loop

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.wire.port}"

    def away(self) -> None:
        """Nobody listens; every connection is reset."""
        self._do(self.wire.refuse)

    def back(self) -> None:
        self._do(self.wire.listen)

    def dead(self) -> None:
        """Half-open: what is sent disappears, and nobody is told."""
        self._loop.call_soon_threadsafe(self.wire.swallow)

    def healed(self) -> None:
        self._loop.call_soon_threadsafe(self.wire.heal)

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(self.wire.cut)

    def _do(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(_ANSWER_S)


@contextmanager
def line_to(port: int, upgrade: Upgrade = Upgrade.PASSES) -> Iterator[Line]:
    """A line to 127.0.0.1:`port`."""
    loop = asyncio.new_event_loop()
    running = threading.Thread(target=loop.run_forever, name="line", daemon=True)
    running.start()
    wire = _Wire(("127.0.0.1", port))
    wire.upgrade = upgrade
    line = Line(wire, loop)
    try:
        line.back()
        yield line
    finally:
        asyncio.run_coroutine_threadsafe(wire.__aexit__(), loop).result(_ANSWER_S)
        loop.call_soon_threadsafe(loop.stop)
        running.join(_ANSWER_S)
        loop.close()
