"""HTTP/1.1 as a browser speaks it, over gevent: one `Origin` for a process, one `Http` for each candidate's machine.

Promise: a call ends in a Reply, a Problem (the engine answered and refused) or Unreachable, which names its kind in one
word; every connection is its candidate's own and is kept for the next call, as a browser keeps it.
How: heads are written as bytes (headers.py) and answers read by hand, since a library's sessions, cookies and
redirects cost more than the call. A kept connection that the engine has closed meanwhile is noticed at once and
replaced; one that dies under a call before any answer is replaced once, as browsers do.
"""

from __future__ import annotations

import socket as plain_socket
import ssl
import zlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import brotli
import gevent
import orjson
from gevent import socket
from gevent import ssl as gevent_ssl

from loadtest.swarm.headers import Heads

CALL_S = 8.0  # as engine/web/api.js: longer than any healthy reply
UPLOAD_S_PER_BYTE = 0.00125
IDLE_MAX = 6  # connections a browser keeps to one origin
PIECE_BYTES = 64 * 1024
HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 128 * 1024 * 1024
RETRY_FIRST_S, RETRY_MAX_S, RETRY_LEAST_S = 0.5, 8.0, 0.1


class Unreachable(Exception):
    """No usable answer; `kind` is one word: refused, reset, closed, timeout, tls, cut, away, garbled, network."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind
        self.retry_after_s = 0.0


class Problem(Exception):
    """The engine refused: HTTP `status`, stable `code`, all `members` of the problem+json."""

    def __init__(self, status: int, members: dict[str, Any], retry_after_s: float = 0.0) -> None:
        self.status = status
        self.code = str(members.get("code") or f"http_{status}")
        self.members = members
        self.retry_after_s = retry_after_s
        super().__init__(f"{status} {self.code} {members.get('detail', '')}".rstrip())

    @property
    def kind(self) -> str:
        return self.code

    @property
    def transient(self) -> bool:
        return self.status >= 500 or self.status in (408, 429)


@dataclass(slots=True)
class Reply:
    """An answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


def kind_of(fault: BaseException) -> str:
    """An OSError in one word."""
    if isinstance(fault, ConnectionRefusedError):
        return "refused"
    if isinstance(fault, ConnectionResetError | BrokenPipeError):
        return "reset"
    if isinstance(fault, TimeoutError):
        return "timeout"
    return "tls" if isinstance(fault, ssl.SSLError) else "network"


class Origin:
    """Where the engine is, resolved once; `connect` opens one connection. TLS as a browser's, HTTP/1.1 only."""

    def __init__(self, url: str, told: dict[str, str], ca_file: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"the engine's address is {url!r}, expected http://… or https://…")
        self.url = url.rstrip("/")
        self.heads = Heads(url, told)
        self._name = parts.hostname
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        found = plain_socket.getaddrinfo(parts.hostname, port, type=plain_socket.SOCK_STREAM)[0]
        self._family, self._address = found[0], found[4]
        self.tls: Any = None
        if parts.scheme == "https":
            self.tls = gevent_ssl.create_default_context(cafile=ca_file or None)
            self.tls.set_alpn_protocols(["http/1.1"])
        self._session: Any = None

    def connect(self) -> Any:
        """A connected socket. Raises OSError (a failed TLS handshake is one, too)."""
        connection = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.connect(self._address)
            if self.tls is not None:
                # A browser that was here before resumes its session; so do the machines of this process.
                connection = self.tls.wrap_socket(connection, server_hostname=self._name, session=self._session)
            return connection
        except BaseException:
            connection.close()
            raise

    def heard(self, connection: Any) -> None:
        """Something was read: by then a server has sent what its sessions are resumed with."""
        if self.tls is not None and self._session is None:
            self._session = connection.session


class Http:
    """The connections of one candidate's browser to the engine. `is_away`: the machine has no line."""

    __slots__ = ("_idle", "_origin", "is_away")

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._idle: list[Any] = []
        self.is_away = False

    def call(self, head: bytes, body: bytes = b"", limit_s: float | None = None) -> Reply:
        """Send once. Raises Problem for any status from 400, Unreachable when there is no answer."""
        if self.is_away:
            raise Unreachable("away")
        limit_s = CALL_S + len(body) * UPLOAD_S_PER_BYTE if limit_s is None else limit_s
        timer = gevent.Timeout(limit_s, TimeoutError())
        timer.start()
        try:
            reply = self._exchange(head + body)
        except (OSError, TimeoutError) as fault:
            raise Unreachable(kind_of(fault)) from None
        finally:
            timer.close()
        if reply.status >= 400:
            raise problem_of(reply)
        return reply

    def _exchange(self, message: bytes) -> Reply:
        while self._idle:
            kept = self._idle.pop()
            try:
                return self._over(kept.take(), message)
            except _Stale:
                continue
        try:
            return self._over(self._origin.connect(), message)
        except _Stale:
            raise Unreachable("closed") from None

    def _over(self, connection: Any, message: bytes) -> Reply:
        try:
            try:
                connection.sendall(message)
                begun = connection.recv(PIECE_BYTES)
            except (ConnectionResetError, BrokenPipeError):
                raise _Stale from None
            if not begun:
                raise _Stale
            reply, keeps = read_reply(connection, begun)
        except BaseException:
            connection.close()
            raise
        self._origin.heard(connection)
        if keeps and len(self._idle) < IDLE_MAX and not self.is_away:
            self._idle.append(_Kept(connection, self._idle))
        else:
            connection.close()
        return reply

    def close(self, *, abruptly: bool = False) -> None:
        """Close what is kept; a call under way has its own end."""
        while self._idle:
            connection = self._idle.pop().take()
            if abruptly:
                reset_at_close(connection)
            connection.close()


class _Stale(Exception):
    """A kept connection has died before it brought any answer."""


class _Kept:
    """A connection without a call: watched, so that the engine's closing of it is answered at once."""

    __slots__ = ("_connection", "_siblings", "_watcher")

    def __init__(self, connection: Any, siblings: list[Any]) -> None:
        self._connection = connection
        self._siblings = siblings
        self._watcher = gevent.get_hub().loop.io(connection.fileno(), 1)
        self._watcher.start(self._stirs)

    def take(self) -> Any:
        self._watcher.stop()
        self._watcher.close()
        return self._connection

    def _stirs(self) -> None:
        """Nothing was asked, so this is the end of it, or (over TLS) a ticket that may wait for the next reader."""
        if isinstance(self._connection, gevent_ssl.SSLSocket):
            self._connection.settimeout(0)
            try:
                ended = not self._connection.recv(1)
            except (ssl.SSLWantReadError, BlockingIOError):
                ended = False
            except OSError:
                ended = True
            self._connection.settimeout(None)
            if not ended:
                return
        if self in self._siblings:
            self._siblings.remove(self)
        self.take().close()


def reset_at_close(connection: Any) -> None:
    """From now on closing tears the connection: no farewell, and the other side is told so by a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def problem_of(reply: Reply) -> Problem:
    """An answer from 400 on; a proxy's HTML is a refusal without a code."""
    try:
        members = reply.json()
    except orjson.JSONDecodeError:
        members = {}
    wait = reply.headers.get("retry-after", "")
    return Problem(reply.status, members if isinstance(members, dict) else {}, float(wait) if wait.isdigit() else 0.0)


def read_head(connection: Any, taken: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers, and what has come after them. Raises Unreachable where it is no HTTP."""
    while (ends := taken.find(b"\r\n\r\n")) < 0:
        if len(taken) > HEAD_BYTES_MAX:
            raise Unreachable("garbled")
        taken += _more(connection)
    first, *lines = taken[:ends].decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if not words[0].startswith("HTTP/1.") or len(words) < 2 or not words[1].isdigit():
        raise Unreachable("garbled")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return int(words[1]), headers, taken[ends + 4 :]


def read_reply(connection: Any, begun: bytes) -> tuple[Reply, bool]:
    """The answer, and whether the connection may be kept."""
    status, headers, rest = read_head(connection, begun)
    keeps = headers.get("connection", "").lower() != "close"
    if status in (204, 304):
        return Reply(status, headers, b""), keeps and not rest
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _read_chunks(connection, rest)
    elif headers.get("content-length", "").isdigit():
        body = _read_exactly(connection, rest, int(headers["content-length"]))
        keeps = keeps and len(rest) <= len(body)
    else:
        body, keeps = _read_all(connection, rest), False
    return Reply(status, headers, _decoded(body, headers.get("content-encoding", ""))), keeps


def _more(connection: Any) -> bytes:
    piece: bytes = connection.recv(PIECE_BYTES)
    if not piece:
        raise Unreachable("closed")
    return piece


def _read_exactly(connection: Any, rest: bytes, size: int) -> bytes:
    if size > BODY_BYTES_MAX:
        raise Unreachable("garbled")
    if len(rest) >= size:
        return rest[:size]
    pieces, left = [rest], size - len(rest)
    while left > 0:
        pieces.append(_more(connection))
        left -= len(pieces[-1])
    return b"".join(pieces)[:size]


def _read_all(connection: Any, rest: bytes) -> bytes:
    pieces = [rest]
    while piece := connection.recv(PIECE_BYTES):
        pieces.append(piece)
    return b"".join(pieces)


def _read_chunks(connection: Any, rest: bytes) -> bytes:
    pieces: list[bytes] = []
    total = 0
    while True:
        while (ends := rest.find(b"\r\n")) < 0:
            rest += _more(connection)
        try:
            size = int(rest[:ends].split(b";")[0], 16)
        except ValueError:
            raise Unreachable("garbled") from None
        total += size
        if total > BODY_BYTES_MAX:
            raise Unreachable("garbled")
        rest = rest[ends + 2 :]
        while len(rest) < size + 2:
            rest += _more(connection)
        if size == 0:
            return b"".join(pieces)
        pieces.append(rest[:size])
        rest = rest[size + 2 :]


def _decoded(body: bytes, coding: str) -> bytes:
    try:
        if coding == "br":
            return brotli.decompress(body)  # type: ignore[no-any-return]
        if coding in ("gzip", "deflate"):
            return zlib.decompress(body, 47)
    except (brotli.error, zlib.error):
        raise Unreachable("garbled") from None
    if coding not in ("", "identity"):
        raise Unreachable("garbled")  # zstd is offered, as browsers do, but there is nothing here to read it with
    return body


def retry_delay_s(failures: int, fault: Unreachable | Problem, chance: float) -> float:
    """As engine/web/api.js: full jitter below a bound that doubles, never before Retry-After; `chance` is in [0, 1)."""
    bound_s = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(failures, 10))
    delay_s: float = fault.retry_after_s + RETRY_LEAST_S + chance * bound_s
    return delay_s
