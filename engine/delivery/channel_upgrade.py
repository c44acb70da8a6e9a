"""The handshake of the channel: from an HTTP request to a WebSocket, or to the problem that says why not.

Promise: a page of a foreign origin opens no channel; the request is what RFC 6455 (4.2.1) asks for. No extension and no
subprotocol is agreed on: compressing 80 bytes costs more memory per channel than everything else together.
Not here: who the candidate is; that comes with `hello`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from engine import metrics
from engine.delivery.channel import Channel
from engine.delivery.channel_watch import Channels
from engine.rules.errors import ExamError, Refused
from engine.wire import problem_bytes, problem_headers, problem_response

PATH = "/v1/channel"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_KEY_BYTES = 16
_VERSION = b"13"
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_OFFER = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": _VERSION.decode()}


class Head(Struct, frozen=True):
    """A request that asks for an upgrade; header names in lower case."""

    method: str
    http_version: str
    headers: Sequence[tuple[bytes, bytes]]

    def values(self, name: bytes) -> list[bytes]:
        return [value.strip() for known, value in self.headers if known == name]

    def value(self, name: bytes) -> bytes:
        """The only value, or nothing. Raises Refused when there are several."""
        found = self.values(name)
        if len(found) > 1:
            raise Refused("request.malformed", f"the header {name.decode()} stands {len(found)} times")
        return found[0] if found else b""


def upgrade(channels: Channels, transport: asyncio.Transport, head: Head, rest: bytes) -> None:
    """Hand the connection over to a channel, or answer why not and close it. `rest`: what came behind the request."""
    try:
        answer = accept(head)
        channels.check_room()
    except ExamError as refused:
        metrics.channel_upgrades.labels(refused.code).inc()
        transport.write(_in_full(refused))
        transport.close()
        return
    metrics.channel_upgrades.labels("opened").inc()
    channel = Channel(channels)
    transport.write(answer)
    transport.set_protocol(channel)
    channel.connection_made(transport)
    transport.resume_reading()
    if rest:
        channel.data_received(rest)


def accept(head: Head) -> bytes:
    """The answer 101. Raises Refused for anything that is no opening handshake of a page of ours."""
    if head.method != "GET":
        raise Refused("method.not_allowed", f"{head.method} is not for {PATH}")
    if head.http_version != "1.1" or not _names(head, b"upgrade", b"websocket"):
        raise _no_upgrade(f"{PATH} speaks WebSocket over HTTP/1.1")
    if not _names(head, b"connection", b"upgrade"):
        raise _no_upgrade("expected `Connection: Upgrade`")
    if head.value(b"sec-websocket-version") != _VERSION:
        raise _no_upgrade("expected `Sec-WebSocket-Version: 13`")
    if head.values(b"transfer-encoding") or head.value(b"content-length") not in (b"", b"0"):
        raise Refused("request.malformed", "a handshake has no body")
    key = head.value(b"sec-websocket-key")
    if not _is_key(key):
        raise Refused("request.malformed", "expected `Sec-WebSocket-Key`: base64 of 16 bytes")
    _check_origin(head)
    accepted = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-accept: %b\r\n\r\n" % accepted
    )


async def show_offer(_: Request) -> Response:
    """`GET /v1/channel` without an upgrade: 426."""
    refused = _no_upgrade("expected the headers `Upgrade: websocket` and `Connection: Upgrade`")
    metrics.channel_upgrades.labels(refused.code).inc()
    answer = problem_response(refused)
    answer.headers.update(_OFFER)
    return answer


def _check_origin(head: Head) -> None:
    """Browsers always name the page's origin, programs need not. Behind a proxy its `Host` must be the public one."""
    origin = head.value(b"origin").decode("latin-1").lower()
    if not origin:
        return
    host = head.value(b"host").decode("latin-1").lower()
    try:
        parts = urlsplit(origin)
        default_port = _DEFAULT_PORTS.get(parts.scheme, "")
        theirs = parts.netloc
    except ValueError:
        default_port = theirs = ""
    if not default_port or not theirs or theirs.removesuffix(default_port) != host.removesuffix(default_port):
        raise Refused("channel.origin", f"the page comes from {origin[:200]!r}, expected the origin of {host[:200]!r}")


def _names(head: Head, header: bytes, token: bytes) -> bool:
    """Whether a list header names `token`."""
    return any(token == part.strip().lower() for value in head.values(header) for part in value.split(b","))


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False


def _no_upgrade(detail: str) -> Refused:
    return Refused("channel.upgrade", detail)


def _in_full(refused: ExamError) -> bytes:
    """The whole answer of a connection that ends with it."""
    status = HTTPStatus(refused.status)
    body = problem_bytes(refused)
    headers = [*problem_headers(refused), (b"content-length", str(len(body)).encode())]
    connection = "close"
    if refused.code == "channel.upgrade":
        headers += [(name.encode(), value.encode()) for name, value in _OFFER.items() if name != "connection"]
        connection = f"{_OFFER['connection']}, close"
    elif refused.code == "method.not_allowed":
        headers.append((b"allow", b"GET"))
    headers.append((b"connection", connection.encode()))
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status.value, status.phrase.encode(), lines, body)
