"""A wire that misbehaves on demand: an asyncio proxy between anything and anything, over TCP or unix sockets.

async with Proxy(upstream) as wire:     # upstream: ("127.0.0.1", 5432) or "/path/to.sock"
    connect_to(wire.port)
    wire.delay_s, wire.jitter_s, wire.bytes_per_s = 0.05, 0.02, 100_000
    wire.swallow(Way.BACK)              # half-open: bytes go in and nothing comes out, nobody is told
    wire.heal()                         # for new connections; those that lost bytes stay silent for ever
    wire.cut()                          # every connection is reset
    wire.cut_after(100)                 # and the next one to send back that many bytes, in the middle of them
    await wire.refuse()                 # nobody listens any more, until `await wire.listen()`
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Awaitable
from enum import Enum

Upstream = tuple[str, int] | str
PIECE_BYTES = 64 * 1024
PIECES_UNDER_WAY_MAX = 64  # beyond it the sender feels the slow wire
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER for no seconds: closing sends RST


class Way(Enum):
    FORTH = "forth"  # from who connected
    BACK = "back"  # from the server


class Connection:
    """Both ends of one connection through the proxy."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.ends = (near, far)
        self.silenced: set[Way] = set()  # bytes were lost on this way: what comes later must not come either

    def reset(self) -> None:
        for end in self.ends:
            held = end.get_extra_info("socket")
            if held is not None and held.family != socket.AF_UNIX and not end.is_closing():
                held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.transport.abort()


class Proxy:
    """One listening port in front of one server. Conditions hold for bytes that arrive from then on."""

    def __init__(self, upstream: Upstream, seed: int = 0, host: str = "127.0.0.1") -> None:
        self.upstream = upstream
        self.host = host
        self.port = 0
        self.delay_s = 0.0
        self.jitter_s = 0.0
        self.bytes_per_s = 0.0  # 0: as fast as it comes
        self.connections: set[Connection] = set()
        self._swallowed: set[Way] = set()
        self._cut_after_bytes: int | None = None
        self._dice = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Proxy:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what can go wrong -------------------------------------------------------------------------------------

    def swallow(self, *ways: Way) -> None:
        """Half-open from now on: what is sent these ways (both, without a name) disappears without a word."""
        self._swallowed = set(ways or Way)

    def heal(self) -> None:
        """As a wire should be; connections that lost bytes stay as they are, like those through a dead router."""
        self._swallowed = set()
        self.delay_s = self.jitter_s = self.bytes_per_s = 0.0
        self._cut_after_bytes = None

    def cut(self) -> None:
        """Reset every connection; new ones are welcome."""
        for connection in list(self.connections):
            connection.reset()

    def cut_after(self, count: int) -> None:
        """Once `count` more bytes have gone back, reset the connection that they went over, in mid-answer."""
        self._cut_after_bytes = count

    async def refuse(self) -> None:
        """Connection refused, and every present one reset."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    async def listen(self) -> None:
        """On the same port as before, if there was one."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, self.host, self.port, reuse_address=True)
            self.port = self._server.sockets[0].getsockname()[1]

    # --- the wire ----------------------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connect(reader, near)
        except (OSError, asyncio.CancelledError):
            pass  # the server was not there, or we are closing
        finally:
            near.transport.abort()
            self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if isinstance(self.upstream, str):
            far_reader, far = await asyncio.open_unix_connection(self.upstream)
        else:
            far_reader, far = await asyncio.open_connection(*self.upstream)
        connection = Connection(near, far)
        self.connections.add(connection)
        try:
            await _until_first(
                self._carry(connection, Way.FORTH, reader, far), self._carry(connection, Way.BACK, far_reader, near)
            )
        finally:
            self.connections.discard(connection)
            far.transport.abort()

    async def _carry(
        self, connection: Connection, way: Way, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        """One direction: a reader that notes when each piece is due, and a writer that waits for it."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(PIECES_UNDER_WAY_MAX)

        async def read() -> None:
            loop, due_s = asyncio.get_running_loop(), 0.0
            while piece := await source.read(PIECE_BYTES):
                if way in self._swallowed:
                    connection.silenced.add(way)
                if way in connection.silenced:
                    continue
                # Pieces keep their order, whatever the jitter.
                due_s = max(due_s, loop.time() + self._under_way_s(piece))
                await under_way.put((due_s, piece))
            if way not in connection.silenced:  # else the end of it is not told either
                await under_way.put((due_s, b""))
            await asyncio.Event().wait()  # the writer has still to do what was put before it

        async def write() -> None:
            loop = asyncio.get_running_loop()
            while True:
                due_s, piece = await under_way.get()
                await asyncio.sleep(max(0.0, due_s - loop.time()))
                if not piece:
                    return
                sink.write(self._cut_short(piece) if way is Way.BACK else piece)
                await sink.drain()
                if way is Way.BACK and self._cut_after_bytes == 0:
                    self._cut_after_bytes = None
                    connection.reset()
                    return
                if self.bytes_per_s:
                    await asyncio.sleep(len(piece) / self.bytes_per_s)

        with contextlib.suppress(OSError):
            await _until_first(read(), write())

    def _under_way_s(self, piece: bytes) -> float:
        """How long these bytes take."""
        return self.delay_s + self._dice.uniform(0, self.jitter_s)

    def _cut_short(self, piece: bytes) -> bytes:
        if self._cut_after_bytes is None:
            return piece
        piece = piece[: self._cut_after_bytes]
        self._cut_after_bytes -= len(piece)
        return piece


async def _until_first(*works: Awaitable[None]) -> None:
    """Until one is over; the others are given up."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
