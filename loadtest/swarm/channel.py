"""The channel of one candidate's page, as engine/web/channel.js has it: one WebSocket, opened again for as long as it
is used, soon after a cut, later and later where there is none.

How: a connection is made in a greenlet of its own that ends as soon as hello is on its way. From then on the hub calls
`_readable` when bytes are there: no greenlet waits for thousands of quiet channels, and an answer costs no switch.
Answers come in the order of the frames. What was not answered when the line broke is told so, and sent again by whoever
sent it.
"""

from __future__ import annotations

import base64
import random
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import gevent
import orjson

from loadtest.swarm.frames import CLOSE, PING, PONG, TEXT, Broken, Reader, accepted, frame
from loadtest.swarm.wire import PIECE_BYTES, Origin, Problem, Reply, Unreachable, kind_of, problem_of, read_head
from loadtest.swarm.wire import reset_at_close as tear

PATH = "/v1/channel"
HELLO_S_MAX = ANSWER_S_MAX = 8.0
UPLOAD_S_PER_BYTE = 0.00125
QUIET_S_MAX = 240.0
RETRY_FIRST_S, RETRY_MAX_S, RETRY_LEAST_S = 1.0, 60.0, 0.1
SPREAD_S = 1.5
BLOCKED_AFTER = 3
PROBE = b'{"type":"hello","token":""}'
# What is answered with 1 MiB of silence at most: the engine reads saves faster than any page writes them.
OUT_BYTES_MAX = 1024 * 1024


class Asked(Protocol):
    """What waits for the answer to a frame."""

    def answered(self, message: dict[str, Any]) -> None: ...
    def failed(self, fault: Problem | Unreachable) -> None: ...


class Ear(Protocol):
    """Who uses a channel."""

    def opened(self, message: dict[str, Any], took_s: float) -> None: ...
    def down(self) -> None: ...
    def told(self, message: dict[str, Any]) -> None: ...
    def refused(self, fault: Problem) -> None: ...
    def doubted(self) -> None: ...
    def troubled(self, kind: str) -> None:
        """An attempt failed, or the connection broke by itself."""


class _Probe:
    """Asks only whether the line lives: any answer will do."""

    def answered(self, message: dict[str, Any]) -> None:
        pass

    def failed(self, fault: Problem | Unreachable) -> None:
        pass


class Channel:
    """`link_is_up()` says whether HTTP was answered last (api.js `link`)."""

    __slots__ = (
        "_began", "_blocked", "_dice", "_ear", "_fault", "_heard", "_in_vain", "_link_is_up", "_origin", "_out",
        "_pending", "_reader", "_socket", "_stopped", "_token", "_tried", "_unanswered", "_watcher", "_writer",
        "is_away", "is_open", "round_trip_s",
    )  # fmt: skip

    def __init__(
        self, origin: Origin, token: str, ear: Ear, link_is_up: Callable[[], bool], dice: random.Random
    ) -> None:
        self._origin, self._token, self._ear, self._link_is_up, self._dice = origin, token, ear, link_is_up, dice
        self._socket: Any = None
        self._watcher: Any = None
        self._writer: Any = None
        self._reader = Reader()
        self._out = b""
        self._unanswered: deque[tuple[Asked, float, float]] = deque()
        self._fault: Problem | None = None
        self._tried = self._began = self._heard = 0.0
        self._in_vain = self._blocked = 0
        self._stopped = False
        self._pending: Any = None
        self.is_open = False
        self.is_away = False
        self.round_trip_s = 0.0

    def start(self) -> None:
        self._pending = gevent.spawn(self._attempt)

    def save(self, changes: bytes, asked: Asked) -> None:
        """Send one frame of changes, an already written JSON array. Raises Unreachable."""
        self._send(b'{"type":"save","changes":%b}' % changes, asked)

    def stop(self) -> None:
        """Leave as a page does that is closed: with a farewell."""
        self._stopped = True
        self._cancel()
        if self.is_open:
            self._write(frame(b"", self._dice.getrandbits(32), CLOSE))
        self._drop("stopped")

    def cut(self) -> None:
        """The line breaks: no farewell in either direction."""
        if self._socket is not None:
            tear(self._socket)
        self._drop("cut")

    def soon(self) -> None:
        """HTTP was just answered again: so may this be."""
        if self._socket is None and not self._stopped and self._pending and self._blocked < BLOCKED_AFTER:
            self._cancel()
            self._pending = gevent.spawn_later(self._dice.random() * SPREAD_S, self._attempt)

    def check(self, now: float) -> None:
        """What the page looks at twice a second: hello without an answer, an answer overdue, a line that is quiet."""
        if self._socket is None:
            return
        if not self.is_open:
            if now - self._began > HELLO_S_MAX:
                self._drop("timeout")
        elif self._unanswered:
            _, sent, limit_s = self._unanswered[0]
            if now - sent > limit_s:
                self._drop("timeout")
        elif now - self._heard > QUIET_S_MAX:
            self._send(PROBE, _Probe())

    # --- connecting -----------------------------------------------------------------------------------------------

    def _attempt(self) -> None:
        self._pending = gevent.getcurrent()
        self._fault = None
        timer = gevent.Timeout(HELLO_S_MAX, TimeoutError())
        timer.start()
        try:
            if self.is_away:
                raise Unreachable("away")
            self._tried = time.monotonic()
            connection, rest = self._upgraded()
        except (OSError, TimeoutError) as fault:
            self._failed(kind_of(fault))
        except Unreachable as fault:
            self._failed(fault.kind)
        except Problem as problem:
            self._fault = problem
            self._failed(problem.kind)
        else:
            self._adopt(connection, rest)
        finally:
            timer.close()

    def _upgraded(self) -> tuple[Any, bytes]:
        connection = self._origin.connect()
        try:
            nonce = base64.b64encode(self._dice.randbytes(16)).decode()
            connection.sendall(self._origin.heads.upgrade(PATH, nonce))
            status, headers, rest = read_head(connection, b"")
            if status != 101:
                raise problem_of(Reply(status, headers, rest))
            if headers.get("sec-websocket-accept") != accepted(nonce) or "sec-websocket-extensions" in headers:
                raise Unreachable("garbled")
            return connection, rest
        except BaseException:
            connection.close()
            raise

    def _adopt(self, connection: Any, rest: bytes) -> None:
        self._pending = None
        if self._stopped or self.is_away:
            connection.close()
            return
        connection.settimeout(0)
        self._socket = connection
        self._reader = Reader()
        self._out = b""
        self._began = self._heard = time.monotonic()
        self._watcher = gevent.get_hub().loop.io(connection.fileno(), 1)
        self._watcher.start(self._readable)
        hello = b'{"type":"hello","token":"%b"}' % self._token.encode()
        self._write(frame(hello, self._dice.getrandbits(32)))
        if rest:
            self._take(rest)

    def _failed(self, kind: str) -> None:
        self._pending = None
        self._in_vain += 1
        self._blocked = self._blocked + 1 if self._link_is_up() else 0
        if self._stopped:
            return
        if kind != "away":
            self._ear.troubled(kind)
        self._again()

    def _again(self) -> None:
        if self._fault is not None and self._fault.code == "sitting.superseded":
            self._stopped = True
            self._ear.refused(self._fault)
            return
        if self._fault is not None and self._fault.status == 401:
            self._ear.doubted()
        bound_s = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(self._in_vain, 10))
        after_s = self._fault.retry_after_s if self._fault is not None else 0.0
        self._pending = gevent.spawn_later(after_s + RETRY_LEAST_S + self._dice.random() * bound_s, self._attempt)

    def _cancel(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None and pending is not gevent.getcurrent():
            pending.kill(block=False)

    def _drop(self, kind: str) -> None:
        """The connection is gone, or given up."""
        connection, self._socket = self._socket, None
        if connection is None:
            return
        for watcher in (self._watcher, self._writer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self._watcher = self._writer = None
        connection.close()
        was_open, self.is_open = self.is_open, False
        self._in_vain = 0 if was_open else self._in_vain + 1
        self._blocked = 0 if was_open or not self._link_is_up() else self._blocked + 1
        unanswered, self._unanswered = self._unanswered, deque()
        fault = Unreachable(kind)
        for asked, _, _ in unanswered:
            asked.failed(fault)
        if self._stopped:
            return
        if kind not in ("cut", "stopped") and self._fault is None:
            self._ear.troubled(kind)
        if was_open:
            self._ear.down()
        if not self._stopped:
            self._again()

    # --- frames ---------------------------------------------------------------------------------------------------

    def _send(self, payload: bytes, asked: Asked) -> None:
        if not self.is_open:
            raise Unreachable("closed")
        sent = time.monotonic()
        limit_s = ANSWER_S_MAX + len(payload) * UPLOAD_S_PER_BYTE
        if self._unanswered:  # behind a long frame a short one waits, too
            _, before, before_s = self._unanswered[-1]
            limit_s = max(limit_s, before + before_s - sent)
        self._unanswered.append((asked, sent, limit_s))
        self._write(frame(payload, self._dice.getrandbits(32)))

    def _write(self, spoken: bytes) -> None:
        """Write what the socket takes now; the rest when it takes more."""
        if self._out:
            self._out += spoken
            if len(self._out) > OUT_BYTES_MAX:
                self._drop("timeout")
            return
        try:
            sent = self._socket.send(spoken)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            sent = 0
        except OSError as fault:
            self._broke(kind_of(fault))
            return
        if sent < len(spoken):
            self._out = spoken[sent:]
            if self._writer is None:
                self._writer = gevent.get_hub().loop.io(self._socket.fileno(), 2)
            self._writer.start(self._writable)

    def _writable(self) -> None:
        if self._socket is None:
            return
        self._writer.stop()
        spoken, self._out = self._out, b""
        self._write(spoken)

    def _broke(self, kind: str) -> None:
        """Not from within a send: whoever sends is told by its answer."""
        connection = self._socket
        gevent.get_hub().loop.run_callback(lambda: self._drop(kind) if self._socket is connection else None)

    def _readable(self) -> None:
        """Called by the hub: nothing in here may wait, and nothing may escape."""
        connection = self._socket  # None: dropped by whoever was called before us in this turn of the loop
        while connection is not None and self._socket is connection:
            try:
                piece = connection.recv(PIECE_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except OSError as fault:
                return self._drop(kind_of(fault))
            if not piece:
                return self._drop("closed")
            self._take(piece)
            if self._origin.tls is None:
                return None
        return None

    def _take(self, piece: bytes) -> None:
        self._heard = time.monotonic()
        try:
            messages = self._reader.feed(piece)
            for opcode, payload in messages:
                if self._socket is None:
                    return
                if opcode == TEXT:
                    self._hear(orjson.loads(payload))
                elif opcode == PING:
                    self._write(frame(payload, self._dice.getrandbits(32), PONG))
                elif opcode == CLOSE:
                    self._drop("closed")
        except (Broken, orjson.JSONDecodeError):
            self._drop("garbled")

    def _hear(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "saved":
            if self._unanswered:
                asked, sent, _ = self._unanswered.popleft()
                self.round_trip_s = self._heard - sent
                asked.answered(message)
        elif kind == "error":
            self._fault = Problem(message["status"], message, float(message.get("retry_after_s", 0)))
            if self._unanswered:
                self._unanswered.popleft()[0].failed(self._fault)
        elif kind == "time" and not self.is_open:
            self.is_open = True
            self.round_trip_s = self._heard - self._began
            self._ear.opened(message, self._heard - self._tried)
        else:
            self._ear.told(message)
