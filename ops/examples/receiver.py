"""An evaluation system's other way: results as the engine pushes them, each kept once.

    export EXAM_WEBHOOK_SECRET=whsec_…                     # as `PUT /v1/webhooks/{webhook_id}` answered it
    python3 receiver.py 8080 inbox.ndjson                  # behind something that speaks TLS

    curl -X PUT "$EXAM_URL/v1/webhooks/evaluation" -H "authorization: Bearer $EXAM_KEY" \
         -H 'content-type: application/json' -d '{"url": "https://receiver.example/results"}'

An event stands on one line of the inbox as it came, signed result included. A result's (sitting_id, revision) says
which it is; a higher revision replaces it. What a receiver owes is in `do_POST`: verify, store, then answer.
"""

# ruff: noqa: T201 (a server for the command line talks to people)
from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOLERANCE_S = 300  # between the engine's clock and ours; an older message may be somebody's copy
BODY_BYTES_MAX = 2**20


class Inbox:
    """A file that holds every event once."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "a+b")  # noqa: SIM115 (kept open as long as we run)
        self._file.seek(0)
        self._known = {json.loads(line)["webhook_id"] for line in self._file}
        self._turn = threading.Lock()

    def keep(self, message_id: str, event: bytes) -> None:
        """On disk when this returns, whether it came for the first time or again."""
        with self._turn:
            if message_id in self._known:
                return
            self._file.write(b'{"webhook_id":"%s","event":%s}\n' % (message_id.encode(), event))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._known.add(message_id)


class Receiver(BaseHTTPRequestHandler):
    """`inbox` and `secret` are set before the server starts."""

    inbox: Inbox
    secret: bytes
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        if length > BODY_BYTES_MAX:
            self._answer(413)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        message_id = self.headers.get("webhook-id", "")
        if not self._is_signed(message_id, body):
            self._answer(401)
            return
        self.inbox.keep(message_id, body)
        self._answer(204)  # only now: whatever is not answered with 2xx comes again

    def _is_signed(self, message_id: str, body: bytes) -> bool:
        """Standard Webhooks: HMAC-SHA256 over id, time and body; several signatures while the secret changes."""
        moment = self.headers.get("webhook-timestamp", "")
        if not moment.isdigit() or abs(time.time() - int(moment)) > TOLERANCE_S:
            return False
        signed = b"%s.%s.%s" % (message_id.encode(), moment.encode(), body)
        expected = "v1," + base64.b64encode(hmac.digest(self.secret, signed, hashlib.sha256)).decode()
        given = self.headers.get("webhook-signature", "").split(" ")
        return any(hmac.compare_digest(expected.encode(), each.encode()) for each in given)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The inbox says it."""


def main(port: str, inbox_file: str) -> None:
    Receiver.secret = base64.b64decode(os.environ["EXAM_WEBHOOK_SECRET"].removeprefix("whsec_"))
    Receiver.inbox = Inbox(Path(inbox_file))
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Receiver)
    print(f"listening on port {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
