"""Answers as the swarm reads them: by length, in chunks, packed, up to the end (loadtest/swarm/wire.py)."""

from __future__ import annotations

import gzip
import random
import socket
import threading
import zlib

import brotli
import pytest

from loadtest.swarm import wire
from loadtest.swarm.wire import Problem, Reply, Unreachable

BODY = b'{"state":"pledged"}' * 40


def answer(head: str, body: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body


def chunks(body: bytes) -> bytes:
    """In pieces of 100 bytes, one of them with an extension."""
    pieces = [body[at : at + 100] for at in range(0, len(body), 100)]
    return b"".join(b"%x%b\r\n%b\r\n" % (len(piece), b";a=b" * (not at), piece) for at, piece in enumerate(pieces)) + (
        b"0\r\n\r\n"
    )


def read(sent: bytes, largest: int = 1 << 20) -> tuple[Reply, bool]:
    """What is made of an answer that comes in pieces of up to `largest` bytes."""
    near, far = socket.socketpair()

    def speak() -> None:
        dice, at = random.Random(largest), 0
        while at < len(sent):
            size = dice.randint(1, largest)
            far.sendall(sent[at : at + size])
            at += size
        far.close()

    speaking = threading.Thread(target=speak)
    speaking.start()
    try:
        return wire.read_reply(near, near.recv(largest))
    finally:
        near.close()
        speaking.join()


@pytest.mark.parametrize("largest", [3, 50, 1 << 20])
@pytest.mark.parametrize(
    ("head", "body", "keeps"),
    [
        (f"Content-Length: {len(BODY)}\r\n", BODY, True),
        (f"content-length: {len(BODY)}\r\nConnection: close\r\n", BODY, False),
        ("Transfer-Encoding: chunked\r\n", chunks(BODY), True),
        (f"content-encoding: br\r\ncontent-length: {len(brotli.compress(BODY))}\r\n", brotli.compress(BODY), True),
        ("content-encoding: gzip\r\ntransfer-encoding: chunked\r\n", chunks(gzip.compress(BODY)), True),
        ("content-encoding: deflate\r\ntransfer-encoding: chunked\r\n", chunks(zlib.compress(BODY)), True),
        ("", BODY, False),
    ],
    ids=["length", "last", "chunks", "brotli", "gzip", "deflate", "to the end"],
)
def test_a_body_is_read_however_it_is_framed(head: str, body: bytes, keeps: bool, largest: int) -> None:
    """Whole, unpacked, and the connection is kept only where its end is known."""
    reply, is_kept = read(answer(head, body), largest)

    assert (reply.status, reply.body, is_kept) == (200, BODY, keeps)


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n1234", "closed"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n123", "closed"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", "garbled"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "garbled"),
        (answer("content-encoding: br\r\ncontent-length: 4\r\n", b"oops"), "garbled"),
        (answer("content-encoding: zstd\r\ncontent-length: 4\r\n", b"oops"), "garbled"),
    ],
)
def test_an_answer_that_is_none_is_told_in_one_word(sent: bytes, kind: str) -> None:
    with pytest.raises(Unreachable) as told:
        read(sent)

    assert told.value.kind == kind


def test_a_refusal_keeps_its_code_and_its_patience() -> None:
    """The engine's problem+json; a proxy's HTML is a refusal all the same."""
    ours = wire.problem_of(Reply(503, {"retry-after": "2"}, b'{"code":"try_later"}'))
    proxy = wire.problem_of(Reply(502, {}, b"<html>"))

    assert (ours.kind, ours.retry_after_s, ours.transient) == ("try_later", 2.0, True)
    assert (proxy.kind, proxy.transient) == ("http_502", True)
    assert not Problem(409, {"code": "sitting.order"}).transient


@pytest.mark.parametrize(("failures", "bound_s"), [(0, 0.5), (3, 4.0), (20, 8.0)])
def test_retries_spread_over_a_bound_that_doubles(failures: int, bound_s: float) -> None:
    """As engine/web/api.js: never at once, never before Retry-After, never more than eight seconds later."""
    fault = Problem(503, {}, retry_after_s=2.0)

    assert wire.retry_delay_s(failures, fault, 0.0) == pytest.approx(2.1)
    assert wire.retry_delay_s(failures, fault, 1.0) == pytest.approx(2.1 + bound_s)
