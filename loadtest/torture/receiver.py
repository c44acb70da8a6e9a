"""The receiver of a campaign's webhook: what it was sent stands in `deliveries.jsonl` before it is answered.

It is no easy one: now and then it cannot just now, or stores what came and hangs up before the courier hears of it. So
a courier that takes silence or a refusal for a delivery loses something, and one that sends again must send the same.
Signatures are checked by whoever judges; here everything is written down as it came.
"""

from __future__ import annotations

import base64
import contextlib
import random
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson

SECRET_BYTES = 32
REFUSED_SHARE = 0.15  # answered 503, and not kept
UNHEARD_SHARE = 0.1  # kept, and never answered


class Receiver:
    """Listens while it is `open`; `url` and `secret` are what a webhook is made of."""

    def __init__(self, path: Path, dice: random.Random) -> None:
        self.path = path
        self.secret = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        self.url = ""
        self._dice = dice
        self._turn = threading.Lock()
        self._answered: set[str] = set()
        path.touch()

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}/results"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def has(self, count: int) -> bool:
        """Whether so many different messages were taken and answered."""
        with self._turn:
            return len(self._answered) >= count

    def _take(self, headers: dict[str, str], body: bytes) -> bool:
        """Write it down, unless this time it is refused; whether that was so."""
        with self._turn:
            fate = self._dice.random()
            if fate < REFUSED_SHARE:
                return False
            is_answered = fate >= REFUSED_SHARE + UNHEARD_SHARE
            line = {"headers": headers, "body": body.decode("utf-8", "replace"), "answered": is_answered}
            with open(self.path, "ab") as held:
                held.write(orjson.dumps(line) + b"\n")
            if not is_answered:
                raise ConnectionAbortedError
            self._answered.add(headers.get("webhook-id", ""))
            return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                try:
                    status = 204 if take({name.lower(): text for name, text in self.headers.items()}, body) else 503
                except ConnectionAbortedError:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """The file says it."""

        return Handler
