"""A receiver of webhooks: a small HTTP server that can be down, fail, stall, and remembers what it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web
from msgspec import Struct
from standardwebhooks import Webhook

Answer = Callable[["Message"], Awaitable[web.StreamResponse]]


class Message(Struct, frozen=True):
    """One attempt, as it came."""

    id: str
    body: bytes
    headers: dict[str, str]

    @property
    def event(self) -> dict[str, Any]:
        return dict(orjson.loads(self.body))

    @property
    def result(self) -> dict[str, Any]:
        return dict(self.event["data"])

    @property
    def batch_id(self) -> str:
        return str(self.event["batch_id"])


async def taken(_: Message) -> web.StreamResponse:
    return web.Response(status=204)


def answers(status: int, **headers: str) -> Answer:
    async def answer(_: Message) -> web.StreamResponse:
        return web.Response(status=status, headers=headers)

    return answer


class Receiver:
    """`attempts` is everything that came, `accepted` what was answered with 2xx; `answer` may be exchanged."""

    def __init__(self, secret: str = "") -> None:
        self.attempts: list[Message] = []
        self.accepted: list[Message] = []
        self.answer: Answer = taken
        self.secret = secret
        self.under_way: dict[str, int] = {}
        self.most_under_way: dict[str, int] = {}  # per batch
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/results"

    @property
    def ids(self) -> list[str]:
        """Of what was taken, each once, in the order of its first coming: what a receiver that dedupes by id sees."""
        return list(dict.fromkeys(message.id for message in self.accepted))

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)  # by default it waits a minute for who stalls
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)  # the same port after it was down
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _take(self, request: web.Request) -> web.StreamResponse:
        message = Message(request.headers["webhook-id"], await request.read(), dict(request.headers))
        self.attempts.append(message)
        if self.secret:
            Webhook(self.secret).verify(message.body, message.headers)
        batch_id = message.batch_id
        self.under_way[batch_id] = self.under_way.get(batch_id, 0) + 1
        self.most_under_way[batch_id] = max(self.most_under_way.get(batch_id, 0), self.under_way[batch_id])
        try:
            reply = await self.answer(message)
        finally:
            self.under_way[batch_id] -= 1
        if reply.status < 300:
            self.accepted.append(message)
        return reply


async def until(promise: Callable[[], bool], what: str, within_s: float = 60) -> None:
    async with asyncio.timeout(within_s):
        while not promise():  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.01)
    assert promise(), what
