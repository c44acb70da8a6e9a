"""Requests that do not come, or do not end, are not waited for longer than anybody needs; on real connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from engine.delivery.autosave import Autosave
from engine.delivery.resources import Delivery
from engine.patience import Patience
from engine.protocol import Protocol, SaveHeads
from engine.rules.limits import FIRST_REQUEST_S, REQUEST_BYTES_MIN, REQUEST_S
from engine.sealing.signature import Signer
from engine.stores.clock import monotonic_s
from engine.stores.memory import Memory
from engine.wire import JSON_HEADERS, read_body, send_bytes

pytestmark = pytest.mark.anyio
PATIENCE_S = 30
BODY_BYTES = 10 * REQUEST_BYTES_MIN


class Worker:
    """What a connection needs of one, with one route that counts a body's bytes; time passes when a test says so."""

    def __init__(self) -> None:
        memory = Memory("unix:///nowhere", 1)
        self.autosave = Autosave(Delivery(memory, b"t" * 32, b"l" * 32, b"w" * 32, Signer(b"s" * 32)))
        self.save_heads = SaveHeads()
        self.patience = Patience()
        self.connections: list[Protocol] = []
        self.address: tuple[str, int] = ("", 0)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = await read_body(receive, BODY_BYTES)
        await send_bytes(send, 200, JSON_HEADERS, b"%d" % len(body))

    def made(self) -> Protocol:
        config = uvicorn.Config(self, http=Protocol, ws="none", log_config=None, lifespan="off")
        config.load()
        config.app = config.loaded_app = self
        self.connections.append(Protocol(config, ServerState(), {}))
        return self.connections[-1]

    def pass_time(self, seconds: float) -> None:
        self.patience.look(monotonic_s() + seconds)

    @property
    def waiting(self) -> int:
        return len(self.patience._fresh) + len(self.patience._begun)

    async def until(self, promise: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not promise():  # noqa: ASYNC110 - a state, not an event
                await asyncio.sleep(0.01)

    async def received(self, count: int) -> None:
        """Until so many bytes of a request have come that is not all there."""
        await self.until(lambda: self.connections and self.connections[-1]._bytes_of_late == count)


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker()
    server = await asyncio.get_running_loop().create_server(worker.made, "127.0.0.1", 0)
    worker.address = server.sockets[0].getsockname()
    yield worker
    server.close()


@pytest.fixture
async def line(worker: Worker) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*worker.address)
    yield reader, writer
    writer.close()


Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """Everything until the end of the connection."""
    async with asyncio.timeout(PATIENCE_S):
        return await reader.read()


async def test_a_connection_that_never_asks_is_closed(worker: Worker, line: Line) -> None:
    """In silence: browsers connect ahead, and were not refused anything."""
    await worker.until(lambda: worker.waiting == 1)

    worker.pass_time(FIRST_REQUEST_S - 1)
    before = worker.waiting
    worker.pass_time(FIRST_REQUEST_S + 1)

    assert await all_of(line[0]) == b""
    assert (before, worker.waiting) == (1, 0)


async def test_a_head_that_drips_is_told_to_come_again(worker: Worker, line: Line) -> None:
    """However fast it drips: a head is small, and comes whole or not at all."""
    head = b"POST / HTTP/1.1\r\nX: " + b"x" * BODY_BYTES
    line[1].write(head)
    await worker.received(len(head))

    worker.pass_time(REQUEST_S + 1)
    status, _, rest = (await all_of(line[0])).partition(b"\r\n")

    assert b" 503 " in status
    assert json.loads(rest.partition(b"\r\n\r\n")[2])["code"] == "try_later"
    assert b"connection: close" in rest
    assert worker.waiting == 0


async def test_a_body_is_waited_for_while_it_gets_on(worker: Worker, line: Line) -> None:
    """A slow line is no attack, a body that stands still is not waited for."""
    reader, writer = line
    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES
    for _ in range(2):
        writer.write(head)
        await worker.received(len(head))
        for _ in range(9):
            before = worker.connections[-1]._bytes_of_late
            writer.write(b"x" * REQUEST_BYTES_MIN)
            await worker.received(before + REQUEST_BYTES_MIN)
            worker.pass_time(REQUEST_S + 1)
        writer.write(b"x" * REQUEST_BYTES_MIN)
        await worker.until(lambda: worker.waiting == 0)
    answers = await reader.readuntil(b"%d" % BODY_BYTES)
    writer.write(head + b"x" * (REQUEST_BYTES_MIN - len(head) - 1))
    await worker.received(REQUEST_BYTES_MIN - 1)
    worker.pass_time(REQUEST_S + 1)

    assert answers.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 503 " in await all_of(reader)


async def test_an_idle_connection_owes_nothing(worker: Worker, line: Line) -> None:
    """Between two requests only its keep-alive counts."""
    reader, writer = line
    for _ in range(2):
        writer.write(b"GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
        await reader.readuntil(b"\r\n\r\n1")
        worker.pass_time(FIRST_REQUEST_S + 1)

    assert worker.waiting == 0
    assert not worker.connections[-1].transport.is_closing()
