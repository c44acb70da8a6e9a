"""One attempt: a message POSTed to a webhook, and what came of it. The only importer of the HTTP client.

Promise: it ends within its time-out whatever the other end does, calls only addresses that may be called, follows no
redirect, and takes no more of an answer than a few KiB.
How: the address is judged where the socket is made, after the name was resolved, so that a name cannot say one thing
when it is looked at and another when it is used. Nothing of the answer's body is kept: the status says it all. What
is told of a failure names no address and quotes nothing that was received: whoever set the webhook up may read it, and
must not learn from it what lies in the engine's own network. That is for the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp.client_exceptions import ClientConnectorError
from msgspec import Struct
from yarl import URL

from engine import VERSION
from engine.rules.addresses import Network, is_allowed
from engine.rules.backoff import asked_wait_s
from engine.rules.limits import (
    DELIVERY_ANSWER_BYTES_MAX,
    DELIVERY_ANSWER_S,
    DELIVERY_FAULT_CHARACTERS_MAX,
    DELIVERY_KEEP_ALIVE_S,
)
from engine.stores.clock import now_ms

_GONE = 410
_REFUSED_ADDRESS = "its address may not be called: it is not public, and in no network of LIANKAO_COURIER_NETWORKS"


class Answer(Struct, frozen=True):
    """`status` is 0 when none came; `fault` is empty when the message was taken; `detail` is for the log alone."""

    status: int
    fault: str
    kind: str  # delivered, refused, gone, silent, unreachable, forbidden: as the figure `courier_attempts` counts
    retry_after_s: int = 0
    detail: str = ""

    @property
    def is_delivered(self) -> bool:
        return self.kind == "delivered"

    @property
    def is_gone(self) -> bool:
        return self.kind == "gone"


class _Forbidden(OSError):
    """An address that must not be called."""


class Post:
    """Holds the connections; close it at the end."""

    def __init__(self, networks: tuple[Network, ...], timeout_s: float) -> None:
        self._networks = networks
        self._timeout_s = timeout_s
        connector = aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=DELIVERY_KEEP_ALIVE_S,
            socket_factory=self._socket,
            ssl=ssl.create_default_context(),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"user-agent": f"Liankao/{VERSION}"},
            auto_decompress=False,
            trust_env=False,
        )

    async def send(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """Never raises for what the other end does."""
        try:
            target = URL(url, encoded=True)
            async with self._session.post(target, data=content, headers=headers, allow_redirects=False) as reply:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):  # read only to keep the connection
                    async with asyncio.timeout(DELIVERY_ANSWER_S):
                        await reply.content.read(DELIVERY_ANSWER_BYTES_MAX)
                return _answered(reply)
        except TimeoutError:
            return Answer(0, f"no answer within {self._timeout_s:g} s", "silent")
        except ClientConnectorError as fault:
            if forbidden := _forbidden_in(fault):
                return Answer(0, _REFUSED_ADDRESS, "forbidden", detail=str(forbidden))
            return Answer(0, _told(fault), "unreachable", detail=_short(fault))
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            return Answer(0, _told(fault), "unreachable", detail=_short(fault))

    async def close(self) -> None:
        await self._session.close()

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        if not is_allowed(str(address[0]), self._networks):
            raise _Forbidden(f"{address[0]}: {_REFUSED_ADDRESS}")
        return socket.socket(family=family, type=kind, proto=protocol)


def _answered(reply: aiohttp.ClientResponse) -> Answer:
    status = reply.status
    if 200 <= status < 300:
        return Answer(status, "", "delivered")
    if status == _GONE:
        return Answer(status, "answered 410: it wants nothing more", "gone")
    told = f"answered {status}" + (", and redirects are not followed" if 300 <= status < 400 else "")
    return Answer(status, told, "refused", asked_wait_s(reply.headers.get("retry-after", ""), now_ms()))


def _forbidden_in(fault: BaseException | None) -> _Forbidden | None:
    """One of several addresses may be forbidden and another merely closed; what cannot be mended is told."""
    seen = [fault, getattr(fault, "os_error", None), getattr(fault, "__cause__", None)]
    for each in list(seen):
        seen += list(getattr(each, "exceptions", ()))
    return next((each for each in seen if isinstance(each, _Forbidden)), None)


def _told(fault: BaseException) -> str:
    """What kind of failure it was."""
    if isinstance(fault, aiohttp.ClientConnectorDNSError):
        return "the name of its host is not known"
    if isinstance(fault, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        found = getattr(fault, "certificate_error", None) or fault.__cause__
        why = getattr(found, "verify_message", "") or getattr(found, "reason", "") or "no connection"
        return f"TLS: {why}"[:DELIVERY_FAULT_CHARACTERS_MAX]
    if isinstance(fault, ClientConnectorError):
        return f"no connection: {_why(fault.os_error)}"
    if isinstance(fault, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        return "what it answers is no HTTP"
    return f"the connection broke: {_why(fault)}"


def _why(fault: BaseException) -> str:
    """In the system's own words, which name no place."""
    number = getattr(fault, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else type(fault).__name__


def _short(fault: BaseException) -> str:
    return f"{type(fault).__name__}: {fault}"[:DELIVERY_FAULT_CHARACTERS_MAX]
