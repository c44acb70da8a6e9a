"""Redis servers that a test may stop, restart and form a cluster of; and a wire in front of one that can be watched."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from engine.stores.clock import monotonic_s
from engine.supervision import binaries, embedded
from tests import servers

EVENTUALLY_S = 30


class Server:
    """One server on a folder of its own: a unix socket, and a TCP port when it is a node of a cluster."""

    def __init__(self, folder: Path, *options: str, port: int = 0, bus_port: int = 0) -> None:
        self.folder = folder
        self.port = port
        self.bus_port = bus_port
        self._options = [*options]
        if port:
            self._options += ["--cluster-enabled", "yes", "--bind", "127.0.0.1"]
            self._options += ["--port", str(port), "--cluster-port", str(bus_port)]
            self._options += ["--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"]
        self._child: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}" if self.port else embedded.redis_url(self.folder)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = embedded.redis_command(binaries.find_redis(), self.folder, self.folder) + self._options
        with open(self.folder / "log", "ab") as log:
            self._child = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        servers.wait_until(self._is_ready, servers.SERVER_READY_S, f"Redis on {self.folder} ready")

    def _is_ready(self) -> bool:
        assert self._child is not None and self._child.poll() is None, (self.folder / "log").read_text()
        try:
            return bool(self.do("PING"))
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False

    def do(self, *parts: Any) -> Any:
        """One command on a connection of its own."""
        once = Retry(NoBackoff(), 0)
        with redis.Redis(unix_socket_path=f"{self.folder}/redis.sock", retry=once) as client:
            return client.execute_command(*parts)

    def kill(self) -> None:
        assert self._child is not None
        self.signal(signal.SIGKILL)
        self._child.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """It lives and its connections stand, but nothing moves."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        assert self._child is not None
        if self._child.poll() is None:
            self._child.send_signal(number)


@contextlib.contextmanager
def server(*options: str) -> Iterator[Server]:
    with servers.temporary_folder("node") as folder:
        one = Server(folder, *options)
        try:
            yield one
        finally:
            one.kill()


@contextlib.contextmanager
def cluster(size: int) -> Iterator[list[Server]]:
    """`size` primaries that share the slots evenly, each knowing all."""
    with servers.temporary_folder("cluster") as folder, contextlib.ExitStack() as ending:
        nodes: list[Server] = []
        for number in range(size):
            nodes.append(add_node(folder, ending))
            first, last = (16_384 * at // size for at in (number, number + 1))
            nodes[-1].do("CLUSTER", "ADDSLOTSRANGE", first, last - 1)
            nodes[-1].do("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for one in nodes[1:]:
            one.do("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, nodes[0].bus_port)
        servers.wait_until(lambda: all(knows_all(one, size) for one in nodes), EVENTUALLY_S, "the cluster is formed")
        yield nodes


def add_node(folder: Path, ending: contextlib.ExitStack) -> Server:
    """A node of a cluster that nobody knows yet. Its second port is not 10,000 above: that may be another's."""
    own = folder / f"n{len([*folder.iterdir()])}"
    own.mkdir()
    port = servers.free_port()
    with socket.socket() as held:
        held.bind(("127.0.0.1", port))  # so that the next free one is another
        bus_port = servers.free_port()
    one = Server(own, port=port, bus_port=bus_port)
    ending.callback(one.kill)
    return one


def knows_all(one: Server, size: int) -> bool:
    told = one.do("CLUSTER INFO")
    return bool(told["cluster_state"] == "ok" and int(told["cluster_known_nodes"]) == size)


async def eventually(promise: Callable[[], Awaitable[Any]], *tolerated: type[Exception]) -> Any:
    """What `promise` returns once it is true; errors of the kinds `tolerated` count as not yet."""
    until_s = monotonic_s() + EVENTUALLY_S
    while True:
        try:
            found = await promise()
        except tolerated:
            if monotonic_s() > until_s:
                raise
            found = None
        if found:
            return found
        assert monotonic_s() < until_s, f"not within {EVENTUALLY_S} s"
        await asyncio.sleep(0.05)


class Wire:
    """Passes bytes between clients and a server, and keeps what the clients sent, chunk by chunk."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.port = 0


@contextlib.asynccontextmanager
async def wire_to(one: Server, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    wire = Wire()
    tasks: set[asyncio.Task[None]] = set()

    async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: list[bytes]) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(2**16):
                kept.append(chunk)
                sink.write(chunk)
                await sink.drain()
        sink.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server = await asyncio.open_unix_connection(f"{one.folder}/redis.sock")
        for job in (pass_on(reader, to_server[1], wire.sent), pass_on(to_server[0], writer, [])):
            tasks.add(asyncio.create_task(job))

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    wire.port = listener.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
