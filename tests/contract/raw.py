"""Bytes on a socket as they are, for what every HTTP library refuses to send; and the answer, read to its end."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from engine.rules.errors import CODES
from tests.contract.outsider import Outsider, Sitting

ANSWER_S = 10
SAVE = "/v1/sitting/responses"


@dataclass
class Answer:
    """What came back, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self) -> dict[str, Any]:
        """The problem, after checking that it is one of ours and not a failure of the engine."""
        assert self.headers.get("content-type") == "application/problem+json", (
            self.status,
            self.headers,
            self.body[:200],
        )
        found: dict[str, Any] = json.loads(self.body)
        status, title = CODES[found["code"]]
        assert (found["status"], found["title"], self.status) == (status, title, status)
        assert status < 500 or found["code"] == "try_later", found
        return found


class Wire:
    """Sends bytes as they are. `token` is a candidate's, `key` the scheduling system's."""

    def __init__(self, url: str, key: str, token: str) -> None:
        parts = urlsplit(url)
        self.address = (parts.hostname or "", parts.port or 80)
        self.key = key.encode()
        self.token = token.encode()

    def exchange(self, sent: bytes, *, is_head: bool = False) -> Answer:
        """One connection, one request, one whole answer."""
        with socket.create_connection(self.address, timeout=ANSWER_S) as line:
            line.sendall(sent)
            return read_answer(line, is_head)

    def request(
        self, method: str, path: str, body: bytes = b"", *, bearer: bytes = b"", headers: bytes = b""
    ) -> Answer:
        """A request that is well-formed but for what the caller puts into it."""
        credential = b"Authorization: Bearer %s\r\n" % bearer if bearer else b""
        head = b"%s %s HTTP/1.1\r\nHost: exam\r\nContent-Length: %d\r\n" % (method.encode(), path.encode(), len(body))
        return self.exchange(head + credential + headers + b"\r\n" + body, is_head=method == "HEAD")

    def save(self, body: bytes) -> Answer:
        return self.request("POST", SAVE, body, bearer=self.token)

    def is_alive(self) -> bool:
        return self.request("GET", "/healthz").status == 200


def read_answer(line: socket.socket, is_head: bool = False) -> Answer:
    with line.makefile("rb") as stream:
        first = stream.readline()
        assert first, "the connection was dropped without an answer"
        status = int(first.split()[1])
        headers: dict[str, str] = {}
        while (header := stream.readline()) not in (b"\r\n", b"\n", b""):
            name, _, value = header.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if status == 100:
            return read_answer(line, is_head)
        body = b"" if is_head else stream.read(int(headers.get("content-length", 0)))
        assert is_head or len(body) == int(headers.get("content-length", 0)), "the answer was cut off"
    return Answer(status, headers, body)


@contextlib.contextmanager
def harmless(outsider: Outsider, sitting: Sitting) -> Iterator[Wire]:
    """Whatever is sent over it, the engine lives afterwards and the sitting holds what it held."""
    wire = Wire(outsider.url, outsider.keys["schedule"], sitting.token)
    before = sitting.stored()
    yield wire
    assert wire.is_alive()
    assert sitting.stored() == before


# --- save calls as bytes ---------------------------------------------------------------------------------------
def change(value: bytes = b'"a"', seq: bytes = b"1", item: bytes = b'"A1"') -> bytes:
    return b'{"item":%s,"seq":%s,"value":%s}' % (item, seq, value)


def call(*changes: bytes) -> bytes:
    return b'{"changes":[%s]}' % b",".join(changes)


WHOLE = call(change())
