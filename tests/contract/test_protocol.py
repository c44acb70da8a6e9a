"""The short way of save calls answers as the ordinary one: one connection, raw bytes, every turn a client may take."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import Exam, Outsider, Sitting
from tests.contract.raw import ANSWER_S, SAVE, Answer, Wire, read_answer

_PEOPLE = 13


@pytest.fixture(scope="module")
def exam(outsider: Outsider) -> Exam:
    return outsider.exam(out.single("A1"), out.text("F1"), rows=_PEOPLE + 1)


@pytest.fixture(scope="module")
def sittings(exam: Exam) -> Iterator[Sitting]:
    return iter([exam.enter(number) for number in range(_PEOPLE)])


@pytest.fixture
def sitting(sittings: Iterator[Sitting]) -> Sitting:
    return next(sittings)


@pytest.fixture
def line(outsider: Outsider, sitting: Sitting) -> Iterator[socket.socket]:
    """One connection that has saved twice, so that its head is known: what follows may go the short way."""
    with connected(outsider, sitting) as line:
        yield line


@contextmanager
def connected(outsider: Outsider, sitting: Sitting) -> Iterator[socket.socket]:
    wire = Wire(outsider.url, outsider.keys["schedule"], sitting.token)
    with socket.create_connection(wire.address, timeout=ANSWER_S) as line:
        for seq in (1, 2):
            line.sendall(call(sitting, seq))
            assert saved(read_answer(line)) == seq
        yield line


def call(sitting: Sitting, seq: int, value: Any = "a", item: str = "A1", headers: bytes = b"") -> bytes:
    body = json.dumps({"changes": [{"item": item, "seq": seq, "value": value}]}).encode()
    head = b"POST %s HTTP/1.1\r\nHost: exam\r\nContent-Length: %d\r\n" % (SAVE.encode(), len(body))
    return head + b"Authorization: Bearer %s\r\n%s\r\n" % (sitting.token.encode(), headers) + body


def saved(answer: Answer) -> int:
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    document = json.loads(answer.body)
    assert document.keys() == {"saved", "generation", "position", "committed"}
    return int(document["saved"])


def test_a_known_head_saves_like_a_new_one(sitting: Sitting, line: socket.socket) -> None:
    line.sendall(call(sitting, 3, "b"))

    assert saved(read_answer(line)) == 3
    assert sitting.stored() == {"A1": (3, "b")}


def test_calls_in_one_segment_are_answered_in_order(sitting: Sitting, line: socket.socket) -> None:
    """Pipelined requests: each gets its own answer, none is lost between the two ways."""
    line.sendall(b"".join(call(sitting, seq) for seq in range(3, 9)))

    stream = line.makefile("rb")
    answers = [saved(answer_of(stream)) for _ in range(3, 9)]

    assert answers == list(range(3, 9))


def test_a_call_sent_while_another_waits_is_answered_after_it(sitting: Sitting, line: socket.socket) -> None:
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for seq in range(3, 20):
        line.sendall(call(sitting, seq))

    stream = line.makefile("rb")
    answers = [saved(answer_of(stream)) for _ in range(3, 20)]

    assert answers == list(range(3, 20))
    assert sitting.stored()["A1"][0] == 19


def test_a_call_in_two_segments_is_put_together(sitting: Sitting, line: socket.socket) -> None:
    whole = call(sitting, 3, "b")
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(whole), 37):
        line.sendall(whole[at : at + 37])

    assert saved(read_answer(line)) == 3
    line.sendall(call(sitting, 4, "a"))
    assert saved(read_answer(line)) == 4


def test_refusals_come_the_short_way_too(sitting: Sitting, line: socket.socket) -> None:
    line.sendall(call(sitting, 3, "z"))
    refused = read_answer(line)

    assert refused.problem()["code"] == "autosave.invalid"
    line.sendall(call(sitting, 3, "b"))
    assert saved(read_answer(line)) == 3


def test_a_superseded_token_is_refused_though_its_head_is_known(outsider: Outsider, exam: Exam) -> None:
    """What is remembered is who the token names, never that it still holds."""
    sitting = exam.enter(_PEOPLE)
    with connected(outsider, sitting) as line:
        exam.arrive(_PEOPLE)

        line.sendall(call(sitting, 3, "b"))

        assert read_answer(line).problem()["code"] == "sitting.superseded"


def test_other_requests_on_the_same_connection_are_answered(sitting: Sitting, line: socket.socket) -> None:
    line.sendall(b"GET /healthz HTTP/1.1\r\nHost: exam\r\n\r\n")
    assert read_answer(line).status == 200
    line.sendall(call(sitting, 3))
    assert saved(read_answer(line)) == 3
    line.sendall(call(sitting, 4, headers=b"X-Other: 1\r\n"))
    assert saved(read_answer(line)) == 4


def test_an_upgrade_that_is_not_taken_leaves_the_connection_in_order(sitting: Sitting, line: socket.socket) -> None:
    """Java's HTTP client offers h2c with its first request, body and all, and goes on with HTTP/1.1."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
    for seq in (3, 4):
        line.sendall(call(sitting, seq, headers=offer))
        assert saved(read_answer(line)) == seq
    line.sendall(call(sitting, 5))
    assert saved(read_answer(line)) == 5


def test_a_client_that_asks_to_close_gets_its_answer_and_the_end(sitting: Sitting, line: socket.socket) -> None:
    line.sendall(call(sitting, 3, headers=b"Connection: close\r\n"))

    assert saved(read_answer(line)) == 3
    assert line.recv(1) == b""


def answer_of(stream: Any) -> Answer:
    """One answer out of a stream of several."""
    status = int(stream.readline().split()[1])
    headers = {}
    while (header := stream.readline()) != b"\r\n":
        name, _, value = header.decode().partition(":")
        headers[name.lower()] = value.strip()
    return Answer(status, headers, stream.read(int(headers["content-length"])))


@pytest.mark.parametrize("spoilt", ["a head", "a body", "an upgrade"])
def test_what_cannot_be_read_is_answered_after_what_came_before_it(
    sitting: Sitting, line: socket.socket, spoilt: str
) -> None:
    """All in one segment, so that the fault is found while nothing has been answered yet."""
    get = b"GET %s HTTP/1.1\r\nHost: exam\r\n"
    rest = {
        "a head": b"no HTTP at all\r\n\r\n",
        "a body": get % b"/openapi.json" + b"Transfer-Encoding: chunked\r\n\r\nno length\r\n",
        "an upgrade": get % b"/v1/channel" + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    }[spoilt]

    before = call(sitting, 3, headers=b"X: 1\r\n") + get % b"/healthz" + b"\r\n" + get % b"/v1/keys" + b"\r\n"
    line.sendall(before + rest)
    stream = line.makefile("rb")
    answers = [answer_of(stream) for _ in range(4)]

    assert saved(answers[0]) == 3
    assert json.loads(answers[1].body)["status"] == "ok"
    assert json.loads(answers[2].body).keys() == {"keys"}
    assert answers[3].problem()["code"] == "request.malformed"
    assert answers[3].headers["connection"] == "close"


def test_thousands_of_upgrades_in_one_go_are_requests_like_others(line: socket.socket) -> None:
    """Where there is no WebSocket an offer means nothing, however often it is made."""
    offers = 3_000
    offer = b"GET /v1/nothing HTTP/1.1\r\nHost: exam\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    sending = threading.Thread(target=line.sendall, args=(offer * offers,), daemon=True)
    sending.start()

    stream = line.makefile("rb")
    answers = {answer_of(stream).status for _ in range(offers)}

    assert answers == {404}
