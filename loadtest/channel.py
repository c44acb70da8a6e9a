"""A candidate's end of the channel: one WebSocket, opened by hello, whose saves are answered in order.

Promise: `save` returns what the engine acknowledged or raises what it said; whatever comes unasked goes to `told`.
Not done: opening again by itself, and deciding what to do meanwhile (candidate.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson

from loadtest.wire import CALL_TIMEOUT_S, Problem, Unreachable, Wire

PATH = "/v1/channel"
LOST = "lost"  # the type under which `told` hears that the connection has ended


class Channel:
    """`told` is called with every message that answers nothing."""

    def __init__(self, wire: Wire, told: Callable[[dict[str, Any]], None]) -> None:
        self.token = ""
        self._wire = wire
        self._told = told
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._asked: deque[asyncio.Future[dict[str, Any]]] = deque()
        self._has_greeted = False  # hello has been answered

    @property
    def is_open(self) -> bool:
        return self._reader is not None and not self._reader.done()

    async def open(self, token: str) -> None:
        """Connect and say hello. Raises Problem when the engine refuses the token, Unreachable when it is not there."""
        await self.close()
        socket = await self._wire.connect(PATH)
        self._socket = socket
        self.token = token
        self._has_greeted = False
        hello = asyncio.get_running_loop().create_future()
        self._asked.append(hello)
        self._reader = asyncio.create_task(self._read(socket))
        await self._send({"type": "hello", "token": token})
        self._told(await self._answer(hello))

    async def save(self, body: bytes) -> dict[str, Any]:
        """Send one save call (the body it would have over HTTP). Raises Problem or Unreachable."""
        answer = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        await self._send(b'{"type":"save",' + body[1:])
        return await self._answer(answer)

    async def close(self) -> None:
        """End it; who still waits for an answer gets Unreachable."""
        reader, socket = self._reader, self._socket
        self._reader = self._socket = None
        if reader is not None:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader
        if socket is not None:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await socket.close()
        self._give_up("closed by us")

    async def _send(self, message: dict[str, Any] | bytes) -> None:
        spoken = message if isinstance(message, bytes) else orjson.dumps(message)
        if self._socket is None:
            self._give_up("not open")
            return
        try:
            await self._socket.send_str(spoken.decode())
        except (aiohttp.ClientError, OSError) as fault:
            self._give_up(f"{type(fault).__name__} {fault}")

    async def _answer(self, answer: asyncio.Future[dict[str, Any]]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await answer
        except TimeoutError:
            await self.close()  # answers come in order: what follows could belong to anything
            raise Unreachable(f"{PATH}: no answer within {CALL_TIMEOUT_S:g} s") from None

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for received in socket:
                if received.type == aiohttp.WSMsgType.TEXT:
                    self._hear(orjson.loads(received.data))
        finally:
            self._give_up(f"it ended with {socket.close_code}")
            self._told({"type": LOST})

    def _hear(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        is_hello = bool(self._asked) and kind == "time" and not self._has_greeted
        if kind not in ("saved", "error") and not is_hello:
            self._told(message)
            return
        if not self._asked:
            if kind == "saved":
                raise AssertionError(f"{message} answers nothing that was sent")
            self._told(message)  # why it ends: the close follows
            return
        self._has_greeted = True
        answer = self._asked.popleft()
        if answer.done():
            return
        if kind == "error":
            answer.set_exception(Problem(PATH, message["status"], message))
        else:
            answer.set_result(message)

    def _give_up(self, why: str) -> None:
        while self._asked:
            answer = self._asked.popleft()
            if not answer.done():
                answer.set_exception(Unreachable(f"{PATH}: {why}"))
