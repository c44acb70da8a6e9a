"""HTTP to one engine: one shared connection pool, problems as exceptions, patient retries with full jitter.

Every call of the contract is safe to send again, so a lost connection, a timeout and `try later` are all answered
by sending the same once more, until `patience_s` is used up.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

import aiohttp
import orjson
from yarl import URL

from loadtest.tally import Tally

CALL_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 2.0
KEEP_ALIVE_S = 60.0
RETRY_AFTER_MAX_S = 60.0  # whatever a server asks for, a candidate looks again after a minute
RETRIED = frozenset({429, 500, 502, 503, 504})


class Unreachable(Exception):
    """No usable answer: connection refused or lost, a timeout, or `try later` for longer than our patience."""


class Problem(Exception):
    """The engine refused: HTTP `status`, stable `code`, and all `members` of the problem+json."""

    def __init__(self, call: str, status: int, members: dict[str, Any]) -> None:
        self.status = status
        self.code = str(members.get("code", ""))
        self.members = members
        shown = "".join(f"\n  {fault}" for fault in members.get("errors", [])[:5])
        super().__init__(f"{call}: {status} {self.code} {members.get('detail', '')}{shown}")


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer."""

    status: int
    body: bytes
    headers: Any

    def json(self) -> Any:
        return orjson.loads(self.body)


class Sending(TypedDict, total=False):
    """What `send` may be told beyond where to."""

    token: str
    body: bytes | None
    accept: str
    timeout_s: float


class Wire:
    """The connection pool that all clients of one run share. Use it as an async context manager.

    `ca`: a file with a root certificate that is taken beside the usual ones.
    """

    def __init__(
        self, url: str, tally: Tally | None = None, dice: random.Random | None = None, ca: str | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._tls = ssl.create_default_context(cafile=ca) if ca else True
        self.tally = tally or Tally()
        self.dice = dice or random.Random()
        self._urls: dict[str, URL] = {}
        self._pool: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._pool = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._tls, keepalive_timeout=KEEP_ALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent",),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            await self._pool.close()

    async def send(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        body: bytes | None = None,
        accept: str = "application/json",
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Reply:
        """Send once. Raises Problem for any status from 400, Unreachable when there is no answer."""
        if self._pool is None:
            raise RuntimeError("Wire is used outside its context")
        headers = {"Accept": accept}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with asyncio.timeout(timeout_s):
                async with self._pool.request(method, self._address(path), data=body, headers=headers) as answer:
                    reply = Reply(answer.status, await answer.read(), answer.headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise Unreachable(f"{method} {self.url}{path}: {type(fault).__name__} {fault}".rstrip()) from None
        if reply.status >= 400:
            raise _problem(method, path, reply)
        return reply

    async def connect(self, path: str, timeout_s: float = CALL_TIMEOUT_S) -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket, once. Raises Unreachable when there is none."""
        if self._pool is None:
            raise RuntimeError("Wire is used outside its context")
        try:
            async with asyncio.timeout(timeout_s):
                return await self._pool.ws_connect(
                    self._address(path), timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S)
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise Unreachable(f"WebSocket {self.url}{path}: {type(fault).__name__} {fault}".rstrip()) from None

    async def send_patiently(self, method: str, path: str, *, patience_s: float, **how: Unpack[Sending]) -> Reply:
        """Send until it is answered with something else than `try later`; full jitter between the attempts."""
        clock = asyncio.get_running_loop()
        until = clock.time() + patience_s
        attempt = 0
        while True:
            try:
                return await self.send(method, path, **how)
            except Unreachable as fault:
                self.tally.unreachable += 1
                trouble, pause_s = fault, 0.0
            except Problem as problem:
                if problem.status not in RETRIED:
                    raise
                self._count(problem)
                trouble, pause_s = Unreachable(str(problem)), float(problem.members.get("retry_after_s", 0))
            pause_s += full_jitter(attempt, self.dice)
            if clock.time() + pause_s > until:
                raise trouble
            await asyncio.sleep(pause_s)
            attempt += 1
            self.tally.retries += 1

    def _count(self, problem: Problem) -> None:
        if problem.status in (429, 503):
            self.tally.try_later += 1
        else:
            self.tally.server_errors += 1

    def _address(self, path: str) -> URL:
        known = self._urls.get(path)
        if known is None:
            known = URL(self.url + path)
            if len(self._urls) < 1000:  # the few fixed paths of the exam; not every sitting's
                self._urls[path] = known
        return known


def full_jitter(attempt: int, dice: random.Random) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 0): uniform up to a doubling, capped bound."""
    return dice.uniform(0, min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(attempt, 16)))


def _problem(method: str, path: str, reply: Reply) -> Problem:
    try:
        members = reply.json()
    except orjson.JSONDecodeError:
        members = {"detail": reply.body[:200].decode("utf-8", "replace")}
    if not isinstance(members, dict):
        members = {"detail": str(members)[:200]}
    wait = reply.headers.get("Retry-After", "")
    if wait.isdigit():
        members["retry_after_s"] = min(float(wait), RETRY_AFTER_MAX_S)
    return Problem(f"{method} {path}", reply.status, members)
