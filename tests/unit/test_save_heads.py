"""The heads of save calls that a worker remembers: exactly these bytes are known, and they never take much memory."""

from __future__ import annotations

from engine.protocol import SaveHeads
from engine.rules.limits import HEADS_KEPT_BYTES_MAX, SAVE_HEAD_BYTES_MAX
from engine.sealing.token import Token


def call(name: str, size: int = 200, body: bytes = b"{}") -> bytes:
    """A save call whose head has about so many bytes."""
    head = f"POST /v1/sitting/responses HTTP/1.1\r\nX-Name: {name:>0{size}}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_a_head_is_known_whatever_the_length_of_its_body() -> None:
    heads = SaveHeads()
    token = Token("one", "B", "1")
    heads.learn(call("one")[:-2], token)

    found = heads.find(call("one", body=b'{"changes":[]}'))

    assert found is not None and found[0] is token
    assert heads.find(call("two")) is None
    assert heads.find(call("one") + b"more") is None


def test_remembered_heads_are_bounded_in_bytes() -> None:
    """A client may choose how long its heads are and how often they change: it must not choose our memory."""
    heads = SaveHeads()
    size = SAVE_HEAD_BYTES_MAX - 200
    most = HEADS_KEPT_BYTES_MAX // size
    for number in range(most + most // 2):
        heads.learn(call(str(number), size)[:-2], Token("one", "B", "1"))
        assert sum(map(len, heads._known)) == heads._bytes or number % 1000
        assert heads._bytes <= HEADS_KEPT_BYTES_MAX

    assert 0 < len(heads._known) <= most
    assert heads.find(call(str(number), size)) is not None
