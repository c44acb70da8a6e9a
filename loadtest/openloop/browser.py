"""The calls that one candidate's page makes beside its saves, over connections of its own, with a browser's headers."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any

import aiohttp
import orjson
from yarl import URL

from loadtest.openloop.notes import Notes
from loadtest.swarm.headers import Heads
from loadtest.wire import CALL_TIMEOUT_S, RETRIED, Problem, Unreachable

CONNECTIONS_MAX = 2
_OWN_HEADERS = frozenset({"host", "content-length"})  # the library's
_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class Browser:
    """Of one candidate. Raises Problem for a status from 400, Unreachable without an answer."""

    def __init__(self, url: str, heads: Heads, tls: ssl.SSLContext | None, notes: Notes) -> None:
        self.token = ""
        self._url = url.rstrip("/")
        self._heads = heads
        self._tls = tls
        self._notes = notes
        self._pool: aiohttp.ClientSession | None = None

    async def call(
        self, operation: str, method: str, path: str, content: Any = None, *, expects: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """One call, noted; a status of `expects` is no error."""
        body = b"" if content is None else orjson.dumps(content)
        head = self._heads.fetch(method, path, self.token, len(body))
        found: dict[str, Any] = orjson.loads(await self.noted(operation, method, path, head, body, expects))
        return found

    async def noted(
        self, operation: str, method: str, path: str, head: bytes, body: bytes = b"", expects: tuple[int, ...] = ()
    ) -> bytes:
        """The answer's body; the engine's clock is taken from it where it tells it."""
        began_s = time.monotonic()
        try:
            answer, _ = await self.send(method, path, head, body)
        except Problem as problem:
            if problem.status not in expects:
                self._notes.fail(operation, problem.code or str(problem.status))
            raise
        except Unreachable:
            self._notes.fail(operation, "unreachable")
            raise
        ended_s = time.monotonic()
        self._notes.note(operation, ended_s - began_s)
        if b'"server_ms"' in answer[:4096]:
            self._notes.clock.sync(orjson.loads(answer)["server_ms"], began_s, ended_s)
        return answer

    async def send(self, method: str, path: str, head: bytes, body: bytes = b"") -> tuple[bytes, str]:
        """One request with this head, and its ETag; nothing is noted."""
        if self._pool is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX, ssl=self._tls if self._tls is not None else True)
            self._pool = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), skip_auto_headers=_AUTOMATIC
            )
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                request = self._pool.request(
                    method, URL(self._url + path), data=body or None, headers=_headers(head), allow_redirects=False
                )
                async with request as answer:
                    status, said, etag = answer.status, await answer.read(), answer.headers.get("ETag", "")
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise Unreachable(f"{method} {path}: {type(fault).__name__} {fault}") from None
        if status >= 400:
            raise Problem(f"{method} {path}", status, _members(said))
        return said, etag

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None


def is_transient(fault: Problem | Unreachable) -> bool:
    """Whether the same call may do better a little later."""
    return isinstance(fault, Unreachable) or fault.status in RETRIED


def _headers(head: bytes) -> list[tuple[str, str]]:
    pairs = (line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
    return [(name, value) for name, value in pairs if name.lower() not in _OWN_HEADERS]


def _members(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
