"""The channel's edges: handshake, protocol, size and rate. RFC 6455 is the contract where API.md is silent."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.contract import outsider as out
from tests.contract.line import PATIENCE_S, Bare, bare, frame, handshake, text
from tests.contract.outsider import Outsider, accepted

LARGEST = 256 * 1024
MANY = 300


@pytest.fixture(scope="module")
def exam(outsider: Outsider) -> out.Exam:
    return outsider.exam(rows=6)


@pytest.fixture(scope="module")
def sitting(exam: out.Exam) -> out.Sitting:
    return exam.enter()


@pytest.fixture
def line(sitting: out.Sitting) -> Iterator[Bare]:
    """A bare channel after hello and the key."""
    with bare(sitting.outsider.url) as opened:
        greet(opened, sitting)
        yield opened


def greet(line: Bare, sitting: out.Sitting) -> None:
    line.send(text({"type": "hello", "token": sitting.token}))
    while line.message()["type"] != "paper_key":
        pass


def save(seq: int, value: Any = "a", item: str = "A1") -> dict[str, Any]:
    return {"type": "save", "changes": [{"item": item, "seq": seq, "value": value}]}


def answer(line: Bare) -> Any:
    while True:
        message = line.message()
        if message["type"] in ("saved", "error"):
            return message


# --- the handshake ---------------------------------------------------------------------------------------------
def shake(url: str, method: str = "GET", **headers: str | None) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body of the answer to a handshake."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S) as connection:
        connection.sendall(handshake(url, method, **headers))
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65_536)
        head, _, body = received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode().split("\r\n")
        named = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        while len(body) < int(named.get("content-length", 0)):
            body += connection.recv(65_536)
    return int(status_line.split()[1]), named, json.loads(body) if body else None


def test_the_example_of_the_rfc_is_accepted(outsider: Outsider) -> None:
    """RFC 6455, 1.3; neither an extension nor a subprotocol is agreed on."""
    status, headers, _ = shake(
        outsider.url,
        sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ==",
        sec_websocket_extensions="permessage-deflate; client_max_window_bits",
        connection="keep-alive, Upgrade",
        upgrade="WebSocket",
    )

    assert (status, headers["sec-websocket-accept"]) == (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    assert not {"sec-websocket-extensions", "sec-websocket-protocol"} & headers.keys()


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://exam.example", "exam.example"),
        ("https://exam.example", "exam.example:443"),
        ("http://exam.example:80", "exam.example"),
        ("http://Exam.Example:8000", "exam.example:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        (None, "exam.example"),
    ],
)
def test_a_page_of_the_same_origin_opens_a_channel(outsider: Outsider, origin: str | None, host: str) -> None:
    """Behind a proxy the `Host` it passes on counts; a program has no origin."""
    assert shake(outsider.url, origin=origin, host=host)[0] == 101


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "exam.example"),
        ("https://exam.example.evil", "exam.example"),
        ("https://evilexam.example", "exam.example"),
        ("https://exam.example:8443", "exam.example"),
        ("http://exam.example:443", "exam.example"),
        ("https://user@exam.example", "exam.example"),
        ("null", "exam.example"),
        ("file://", "exam.example"),
        ("ftp://exam.example", "exam.example"),
        ("exam.example", "exam.example"),
        ("https://[", "exam.example"),
    ],
)
def test_a_page_of_a_foreign_origin_gets_403_before_the_upgrade(outsider: Outsider, origin: str, host: str) -> None:
    """API.md: a foreign `Origin` gets 403 before the upgrade."""
    status, headers, problem = shake(outsider.url, origin=origin, host=host)

    assert (status, headers["content-type"], problem["code"]) == (403, "application/problem+json", "channel.origin")


@pytest.mark.parametrize(
    ("method", "headers", "status", "code"),
    [
        ("GET", {"sec_websocket_version": "8"}, 426, "channel.upgrade"),
        ("GET", {"sec_websocket_version": None}, 426, "channel.upgrade"),
        ("GET", {"sec_websocket_key": None}, 400, "request.malformed"),
        ("GET", {"sec_websocket_key": "short"}, 400, "request.malformed"),
        ("GET", {"sec_websocket_key": "AAAAAAAAAAAAAAAAAAAA"}, 400, "request.malformed"),
        ("GET", {"content_length": "3"}, 400, "request.malformed"),
        ("GET", {"upgrade": None}, 426, "channel.upgrade"),
        ("GET", {"connection": None}, 426, "channel.upgrade"),
        ("GET", {"upgrade": "h2c"}, 426, "channel.upgrade"),
        ("POST", {}, 405, "method.not_allowed"),
    ],
)
def test_what_is_no_handshake_is_told_so(
    outsider: Outsider, method: str, headers: dict[str, str | None], status: int, code: str
) -> None:
    """426 says what to upgrade to, and which version (RFC 9110, 15.5.22; RFC 6455, 4.4)."""
    found, named, problem = shake(outsider.url, method, **headers)

    assert (found, problem["code"]) == (status, code)
    if status == 426:
        assert (named["upgrade"], named["sec-websocket-version"]) == ("websocket", "13")


def test_another_path_has_no_websocket(outsider: Outsider) -> None:
    """It answers as it always does."""
    headers = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13"}

    assert accepted(outsider.call("GET", "/healthz", headers=headers))["status"] == "ok"
    out.refused(outsider.call("GET", "/v1/channels", headers=headers), 404, "not_found")


# --- the protocol ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sent", "close_code"),
    [
        pytest.param(frame(0x81, b"{}", mask=None), 1002, id="no mask"),
        pytest.param(frame(0xC1, b"{}"), 1002, id="compressed"),
        pytest.param(frame(0x83, b"{}"), 1002, id="unknown kind"),
        pytest.param(frame(0x09, b""), 1002, id="ping in fragments"),
        pytest.param(frame(0x89, bytes(126)), 1002, id="long ping"),
        pytest.param(b"\x81\xfe\x00\x02\0\0\0\0{}", 1002, id="length written too long"),
        pytest.param(frame(0x80, b"{}"), 1002, id="end of no message"),
        pytest.param(frame(0x01, b"{") + frame(0x81, b"}"), 1002, id="message within a message"),
        pytest.param(frame(0x82, b"{}"), 1003, id="binary"),
        pytest.param(frame(0x02, b"{"), 1003, id="binary in fragments"),
        pytest.param(frame(0x81, b"\xff\xfe"), 1007, id="no UTF-8"),
        pytest.param(frame(0x01, "八".encode()[:2]) + frame(0x80, b"x"), 1007, id="no UTF-8 in fragments"),
        pytest.param(frame(0x81, announced=LARGEST + 1), 1009, id="announced too large"),
        pytest.param(frame(0x81, announced=2**63), 1009, id="announced far too large"),
        pytest.param(frame(0x01, bytes(LARGEST)) + frame(0x80, b"x"), 1009, id="too large in fragments"),
        pytest.param(frame(0x88, b"\x03"), 1002, id="half a close code"),
        pytest.param(frame(0x88, b"\x03\xed"), 1002, id="a close code that is never sent"),
        pytest.param(frame(0x88, b"\x03\xe8\xff"), 1007, id="a reason that is no text"),
        pytest.param(frame(0x88, b"\x0f\xa0bye"), 4000, id="a close frame"),
        pytest.param(frame(0x88), 1000, id="an empty close frame"),
    ],
)
def test_the_protocol_is_kept_to_the_letter(line: Bare, sent: bytes, close_code: int) -> None:
    """What breaks it ends the connection with the code the RFC asks for; a close frame is answered."""
    line.send(sent)

    assert line.close_code() == close_code


def test_a_ping_is_answered_with_what_it_holds(line: Bare) -> None:
    """Also between the fragments of a message; a pong is nothing to answer."""
    line.send(frame(0x89, b"one"), frame(0x8A, b"unasked"), frame(0x01, b'{"type":'), frame(0x89, b"two"))
    assert [line.receive() for _ in range(2)] == [(0x8A, b"one"), (0x8A, b"two")]

    line.send(frame(0x80, b'"no"}'))
    assert answer(line)["code"] == "request.invalid"


def test_a_save_may_come_in_pieces_of_any_size(line: Bare, sitting: out.Sitting) -> None:
    """In fragments cut within a character, and byte by byte; several at once."""
    message = json.dumps(save(11, "八小时", "F1"), ensure_ascii=False).encode()
    cut = message.index("小".encode()) + 1
    line.send(frame(0x01, message[:cut]), frame(0x00), frame(0x80, message[cut:]))
    assert answer(line)["saved"] == 11

    for byte in frame(0x81, json.dumps(save(12)).encode()):
        line.send(bytes((byte,)))
    assert answer(line)["saved"] == 12

    line.send(text(save(13)), text(save(14)), text(save(15)))
    assert [answer(line)["saved"] for _ in range(3)] == [13, 14, 15]
    assert sitting.stored() == {"F1": (11, "八小时"), "A1": (15, "a")}


def test_the_largest_save_is_taken(line: Bare) -> None:
    """API.md: at most 256 KiB."""
    changes = [{"item": "F1", "seq": 20 + at, "value": "x" * 20_000} for at in range(13)]
    message = json.dumps({"type": "save", "changes": changes}).encode()
    line.send(frame(0x81, message.ljust(LARGEST)))

    assert answer(line)["saved"] == 32


# --- limits ----------------------------------------------------------------------------------------------------
def test_more_than_is_answered_waits_and_nothing_is_lost(exam: out.Exam) -> None:
    """Three hundred saves in one breath: each is answered, in order, none with `try_later`."""
    sitting = exam.enter(1)
    with bare(exam.outsider.url) as line:
        greet(line, sitting)
        line.send(*(text(save(seq)) for seq in range(1, MANY + 1)))

        assert [answer(line).get("saved") for _ in range(MANY)] == list(range(1, MANY + 1))
    assert sitting.stored() == {"A1": (MANY, "a")}


def test_saves_may_follow_hello_at_once(exam: out.Exam) -> None:
    """A client need not wait for the answer to hello."""
    sitting = exam.enter(2)
    with bare(exam.outsider.url) as line:
        line.send(text({"type": "hello", "token": sitting.token}), text(save(1)), text(save(2)))

        assert [answer(line).get("saved") for _ in range(2)] == [1, 2]


def test_a_flood_is_told_to_stop_and_ends(exam: out.Exam) -> None:
    """`rate.limited`, how long to wait, and the close; what was taken before it is answered."""
    sitting = exam.enter(3)
    with bare(exam.outsider.url) as line:
        greet(line, sitting)
        line.send(text(save(1)), *[frame(0x8A)] * 10_000)
        told = [line.receive()]
        while told[-1][0] != 0x88:
            told.append(line.receive())
        spoken = [json.loads(payload) for first, payload in told[:-1]]

        assert [message["type"] for message in spoken if message["type"] in ("saved", "error")] == ["saved", "error"]
        assert (spoken[-1]["code"], spoken[-1]["status"]) == ("rate.limited", 429)
        assert spoken[-1]["retry_after_s"] >= 1
        assert int.from_bytes(told[-1][1][:2], "big") == 1008


def ended(outsider: Outsider, reason: str) -> float:
    """How many channels have ended so."""
    told = outsider.call("GET", "/metrics").text
    found = re.search(rf'^channel_ends_total{{reason="{reason}"}} ([0-9.e+]+)', told, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_who_does_not_read_is_cut_off(exam: out.Exam) -> None:
    """Answers wait in bounded memory: beyond it the connection goes, and the journal of its client stays."""
    outsider = exam.outsider
    before = ended(outsider, "slow")
    bad = [{"item": "A1", "seq": seq, "value": "x" * 200} for seq in range(1, 201)]
    with bare(outsider.url, receive_bytes=4096) as line:
        greet(line, exam.enter(4))
        refused_long = text({"type": "save", "changes": bad})
        with pytest.raises(ConnectionError):
            for _ in range(800):
                line.send(refused_long)

    out.poll(lambda: ended(outsider, "slow") > before, PATIENCE_S, "the slow reader is counted")
