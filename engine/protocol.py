"""HTTP as this engine speaks it: uvicorn's protocol, with a short way for save calls from their socket to their lane.

Promise: every request is answered as ASGI would; save calls are answered the same, with less work.
How: the heads of a candidate's save calls are the same but for the length of the body. Once the ordinary way has read a
head, found it to be a plain save call and verified its token, its bytes without that number are remembered; a request
that begins with exactly these bytes *is* such a call by that candidate, and only its length and body need reading.
Everything else (the first call, a body in several segments, a pipelined request, any other header) goes the ordinary
way through ASGI.
Of a paper that is pushed nothing is left behind: its bytes go into a vault, and whatever held them on the way is wiped.
Not here: what a save means (delivery/autosave.py).
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from engine import log
from engine.delivery import channel_upgrade
from engine.delivery.autosave import Autosave
from engine.delivery.lane import Saved
from engine.patience import Patience
from engine.rules.errors import ExamError, Refused, TryLater
from engine.rules.limits import (
    AUTOSAVE_BODY_BYTES_MAX,
    HEAD_BYTES_MAX,
    HEADS_KEPT,
    HEADS_KEPT_BYTES_MAX,
    PAPER_BODY_BYTES_MAX,
    REQUEST_BYTES_MIN,
    REQUEST_S,
    SAVE_HEAD_BYTES_MAX,
)
from engine.sealing.token import Token
from engine.vault import SCOPE_NAME, Vault, wipe, wipe_received
from engine.wire import JSON_HEADERS, problem_bytes, problem_headers

_CHANNEL_URL = channel_upgrade.PATH.encode()
HOT_PATH = "/v1/sitting/responses"
_HEAD_BEGINS = f"POST {HOT_PATH} HTTP/1.1\r\n".encode()
_HEAD_ENDS = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ([0-9]{1,6})\r\n")
_PLAIN_UNLESS = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"x-upgrade"})
_SECRET_PATHS = "/v1/papers/"
_SECRET_CALLS = ("/arm", "/regrades")
_FOREIGN_UPGRADE = re.compile(rb"\r\nupgrade:(?![ \t]*websocket[ \t]*\r\n)", re.IGNORECASE)
_CLOSE = b"connection: close\r\n"
_SAVED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: no-store\r\ncontent-length: %d\r\n\r\n%b"


class SaveHeads:
    """The heads that one worker remembers: their bytes without the digits of their length -> whose they are."""

    def __init__(self) -> None:
        self._known: dict[bytes, Token] = {}
        self._bytes = 0  # of all of them

    def find(self, data: bytes) -> tuple[Token, int] | None:
        """Whose save call `data` is, whole and nothing else, and where its body begins; None if that is not certain."""
        length = _LENGTH.search(data, 0, SAVE_HEAD_BYTES_MAX)
        if length is None:
            return None
        begins = data.find(_HEAD_ENDS, length.end(1)) + len(_HEAD_ENDS)
        if len(data) != begins + int(length[1]) or len(data) - begins > AUTOSAVE_BODY_BYTES_MAX:
            return None
        token = self._known.get(data[: length.start(1)] + data[length.end(1) : begins])
        return None if token is None else (token, begins)

    def learn(self, head: bytes, token: Token) -> None:
        """Remember a head that was read the long way, with one length; unless its end could be read in two ways."""
        length = _LENGTH.search(head)
        if length is None or not head.count(b"\r\n") == head.count(b"\n") == head.count(b"\r"):
            return
        known = head[: length.start(1)] + head[length.end(1) :]
        if len(self._known) >= HEADS_KEPT or self._bytes + len(known) > HEADS_KEPT_BYTES_MAX:
            self._known.clear()  # they come back within a call each
            self._bytes = 0
        if known not in self._known:
            self._bytes += len(known)
        self._known[known] = token


class Protocol(HttpToolsProtocol):
    """One connection. `config.app` is the worker, with its `autosave` and the `save_heads` it remembers."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        worker: Any = self.config.app
        self._autosave: Autosave = worker.autosave
        self._heads: SaveHeads = worker.save_heads
        self._is_between = True  # no part of a request has been given to the parser
        self._is_saving = False  # a save call that came the short way waits for its answer
        self._held = b""  # what arrived meanwhile
        self._head = b""  # of the request in the parser, when it may be worth remembering
        self._head_bytes = 0
        self._is_in_body = False
        self._has_cycle = False  # the request in the parser has been handed on
        self._vault: Vault | None = None  # of the request in the parser, when its body must not stay here
        self._has_secret = False  # in what is being parsed
        self._is_stopping = False
        self._used_s = 0.0  # when a save call last came the short way, by the loop's clock
        self._patience: Patience = worker.patience
        self._is_awaited = True  # it owes a request, or the rest of one
        self._bytes_of_late = 0  # that have come of it since it was last asked about
        self._running: RequestResponseCycle | None = None  # the request that is being answered
        self._last_words = b""  # behind the answers that are still to come; what arrives is not read any more

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._patience.await_first(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience.forget(self)
        super().connection_lost(exc)

    # --- the short way -------------------------------------------------------------------------------------------
    def data_received(self, data: bytes) -> None:
        if self._is_saving:
            self._hold(data)
            return
        if self._last_words:
            return
        if self._is_between and (self.cycle is None or self.cycle.response_complete):
            known = self._heads.find(data)
            if known is not None and self._save(known[0], data[known[1] :]):
                if self._is_awaited:
                    self._expect_nothing()
                return
            end = data.find(_HEAD_ENDS) + len(_HEAD_ENDS)
            head = data[:end]
            self._head = head if known is None and head.startswith(_HEAD_BEGINS) else b""
            # Java's client offers h2c with its first call, body and all; the parser would take the offer as accepted.
            if _FOREIGN_UPGRADE.search(head):
                data = _FOREIGN_UPGRADE.sub(b"\r\nx-upgrade:", head) + data[end:]
        self._parse(data)
        if self._has_secret:
            self._has_secret = False
            wipe_received(data, self.loop)
        if self._is_between:
            if self._is_awaited:
                self._expect_nothing()
        elif self.parser is not None and not self._last_words:
            self._is_awaited = True
            self._bytes_of_late += len(data)
            self._patience.await_rest(self)

    def _save(self, token: Token, body: bytes) -> bool:
        """Begin a save; False when it has to go the ordinary way."""
        armed = self._autosave.delivery.known_batch(token.armed_id)
        if armed is None or self.flow.write_paused or self.server_state.default_headers:
            return False  # the last: a worker that drains has something to add to every answer
        self._used_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_again_in(self.timeout_keep_alive)
        self._is_saving = True
        try:
            self._autosave.begin(token, armed, body, self._answer)
        except ExamError as refused:
            self._answer(refused)
        except Exception as fault:
            log.logger().exception("autosave.internal")
            self._answer(ExamError("internal", f"{type(fault).__name__}; nothing of the call was saved"))
        return True

    def _answer(self, answer: Saved | ExamError) -> None:
        self._is_saving = False
        if self.transport.is_closing():
            return
        if self._is_stopping:
            self.transport.write(_in_full(answer, _CLOSE))
            self.transport.close()
            return
        if isinstance(answer, Saved):
            body = answer.as_json()
            self.transport.write(_SAVED % (len(body), body))
        else:
            self.transport.write(_in_full(answer))
        self.server_state.total_requests += 1
        if self._held:
            held, self._held = self._held, b""
            self.flow.resume_reading()
            self.data_received(held)

    def _hold(self, data: bytes) -> None:
        self._held += data
        self.flow.pause_reading()

    # --- the ordinary way ----------------------------------------------------------------------------------------
    def _parse(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        is_copy = False
        while data and not self._last_words:
            if not self._is_between and self._head_bytes:
                self._head_bytes += len(data)
                if self._head_bytes > HEAD_BYTES_MAX:
                    self._refuse_unreadable(f"a request's head has more than {HEAD_BYTES_MAX} bytes")
                    return
            try:
                self.parser.feed_data(data)
                if is_copy and self._has_secret:
                    wipe(data)
                return
            except httptools.HttpParserError:
                self._refuse_unreadable("this is not HTTP/1.1 as RFC 9112 has it")
                return
            except httptools.HttpParserUpgrade as offered:
                data, is_copy = data[offered.args[0] :], True
                if self._should_upgrade():
                    self._hand_over(data)
                    return
                # A WebSocket where there is none is a request like any other, but the parser has stopped for good.
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _should_upgrade(self) -> bool:
        return self.url.partition(b"?")[0] == _CHANNEL_URL and self._get_upgrade() == b"websocket"

    def _hand_over(self, rest: bytes) -> None:
        """The connection becomes a channel, and this object goes."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._refuse_unreadable("an upgrade waits for the answer to the request before it")
            return
        self._expect_nothing()
        self.connections.discard(self)
        self.parser = None  # type: ignore[assignment]
        head = channel_upgrade.Head(self.scope["method"], self.scope["http_version"], self.headers)
        channel_upgrade.upgrade(self.config.app.channels, self.transport, head, rest)  # type: ignore[union-attr]

    def on_message_begin(self) -> None:
        self._is_between = self._is_in_body = self._has_cycle = False
        self._head_bytes = 1
        self._vault = None
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        self._is_in_body = True
        before = self.cycle
        super().on_headers_complete()
        self._has_cycle = self.cycle is not before  # an upgrade has none
        if self._has_cycle and self._is_secret(self.scope["method"], self.scope["path"]):
            self._vault = self.scope[SCOPE_NAME] = Vault(PAPER_BODY_BYTES_MAX)  # type: ignore[literal-required]
        if self._head:
            self._learn()

    @staticmethod
    def _is_secret(method: str, path: str) -> bool:
        """A paper that is pushed; shares of a paper key that are handed in; answers that a regrade would change."""
        is_paper = method == "PUT" and path.startswith(_SECRET_PATHS)
        return is_paper or (method == "POST" and path.endswith(_SECRET_CALLS))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_in_body:  # trailers mean nothing here
            super().on_header(name, value)

    def on_chunk_header(self) -> None:
        self._head_bytes = 1  # what stands between chunks, trailers too, is bounded as a head is

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        if self._vault is None:
            super().on_body(body)
        else:
            self._put_away(body, self._vault)

    def _put_away(self, body: bytes, vault: Vault) -> None:
        """As `super().on_body`, but the application is only told that there is more; one segment at a time."""
        self._has_secret = True
        if self.cycle.response_complete:
            wipe(body)
            return
        vault.take(body)
        self.flow.pause_reading()
        self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._is_between = True
        super().on_message_complete()

    def _learn(self) -> None:
        """Remember the head just parsed if it is that of a plain save call with a good token."""
        head, self._head = self._head, b""
        names = [name for name, _ in self.headers]
        if names.count(b"content-length") != 1 or not self.cycle.keep_alive or not _PLAIN_UNLESS.isdisjoint(names):
            return
        if self.scope["path"] != HOT_PATH or len(head) > SAVE_HEAD_BYTES_MAX:
            return
        try:
            token = self._autosave.delivery.authenticate(cast(dict[str, object], self.scope))
        except Refused:
            return
        self._heads.learn(head, token)

    def send_400_response(self, msg: str) -> None:
        self._refuse_unreadable(msg)

    def _refuse_unreadable(self, detail: str) -> None:
        """Even what cannot be parsed as a request is answered with a problem."""
        self._refuse_the_rest(Refused("request.malformed", detail))

    def _refuse_the_rest(self, error: ExamError) -> None:
        """The answer to what is in the parser, and the last one; those to the requests before it come first."""
        self._expect_nothing()
        self._last_words = _in_full(error, _CLOSE)
        if self._has_cycle and not self._is_between:  # of a request that was handed on already
            unread = self.cycle
            waiting = [entry for entry in self.pipeline if entry[0] is unread]
            for entry in waiting:
                self.pipeline.remove(entry)
            if not waiting:  # it is the one being answered, or has been
                if unread.response_started:
                    self.transport.close()
                    return
                unread.message_event.set()
            unread.disconnected = unread.response_complete = True
        self._say_last_words()

    def _say_last_words(self) -> None:
        is_answering = self._running is not None and not self._running.response_complete
        if self._last_words and not is_answering and not self.pipeline and not self.transport.is_closing():
            self.transport.write(self._last_words)
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._last_words:
            self._say_last_words()

    # --- who owes a request --------------------------------------------------------------------------------------
    def _expect_nothing(self) -> None:
        self._is_awaited = False
        self._bytes_of_late = 0
        self._patience.forget(self)

    def lose_patience(self) -> None:
        """Its request has not come in time; unless that is our doing, or a body is getting on."""
        if self.transport.is_closing():
            return
        if self._is_between:
            self.transport.close()  # it has never asked; who connected ahead connects again
            return
        is_getting_on = self._is_in_body and self._bytes_of_late >= REQUEST_BYTES_MIN
        self._bytes_of_late = 0
        if is_getting_on or self.flow.read_paused:
            self._patience.await_rest(self)
        else:
            self._refuse_the_rest(TryLater(f"half of a request came, and not enough for {REQUEST_S} s; send it again"))

    # --- the end of a connection ---------------------------------------------------------------------------------
    @property
    def is_idle(self) -> bool:
        """Between two requests, or before the first byte of the first."""
        return self._is_between and not self._is_saving and (self.cycle is None or self.cycle.response_complete)

    @property
    def has_asked(self) -> bool:
        """Whether a request has ever come."""
        return self.cycle is not None or self._used_s > 0

    def shutdown(self) -> None:
        """Answer what is under way, then close."""
        self._is_stopping = True
        is_half_received = not self._is_between and (self.cycle is None or self.cycle.response_complete)
        if not self._is_saving and not is_half_received:  # such a request's answer says `connection: close`
            super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        """The timer of the last ordinary answer; save calls since then have not moved it."""
        idle_s = self.loop.time() - self._used_s
        if self._is_saving or idle_s < self.timeout_keep_alive:
            self._look_again_in(max(1.0, self.timeout_keep_alive - idle_s))
        else:
            super().timeout_keep_alive_handler()

    def _look_again_in(self, pause_s: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(pause_s, self.timeout_keep_alive_handler)


def _in_full(answer: Saved | ExamError, *lines: bytes) -> bytes:
    """An answer with further header lines."""
    if isinstance(answer, Saved):
        status, headers, body = 200, JSON_HEADERS, answer.as_json()
    else:
        status, headers, body = answer.status, problem_headers(answer), problem_bytes(answer)
    head = [STATUS_LINE[status], *(b"%b: %b\r\n" % header for header in headers)]
    return b"".join([*head, b"content-length: %d\r\n" % len(body), *lines, b"\r\n", body])
