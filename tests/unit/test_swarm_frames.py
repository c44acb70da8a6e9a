"""Frames of the swarm's channels: a server can read them, and they are read however they are cut (loadtest/swarm)."""

from __future__ import annotations

import random

import pytest

from loadtest.swarm import frames
from loadtest.swarm.frames import CLOSE, PING, TEXT, Broken, Reader

SIZES = [0, 1, 3, 125, 126, 1000, 65_535, 65_536]


def unmasked(sent: bytes) -> tuple[int, bytes]:
    """Opcode and payload of one masked frame, by RFC 6455, 5.2."""
    size, at = sent[1] & 0x7F, 2
    if size == 126:
        size, at = int.from_bytes(sent[2:4], "big"), 4
    elif size == 127:
        size, at = int.from_bytes(sent[2:10], "big"), 10
    assert sent[0] & 0x80 and sent[1] & 0x80 and len(sent) == at + 4 + size
    key = sent[at : at + 4]
    return sent[0] & 0x0F, bytes(byte ^ key[index % 4] for index, byte in enumerate(sent[at + 4 :]))


def served(payload: bytes, opcode: int = TEXT, final: bool = True) -> bytes:
    """One frame as a server writes it."""
    size = len(payload)
    first = (0x80 if final else 0) | opcode
    if size < 126:
        return bytes((first, size)) + payload
    return bytes((first, 126)) + size.to_bytes(2, "big") + payload if size < 65_536 else (
        bytes((first, 127)) + size.to_bytes(8, "big") + payload
    )  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
def test_a_server_reads_what_was_written(size: int) -> None:
    """Around both borders of the length's three forms, and under a mask that begins with zeros."""
    dice = random.Random(size)
    payload = dice.randbytes(size)

    for mask in (dice.getrandbits(32), 0, 0x000000FF):
        assert unmasked(frames.frame(payload, mask)) == (TEXT, payload)


def test_messages_are_read_however_they_are_cut() -> None:
    """Byte by byte, in random pieces, and all at once; a message in three frames is one."""
    messages = [b'{"type":"saved"}', b"x" * 70_000, b"", b"y" * 300]
    whole = b"".join(map(served, messages))
    whole += served(b"one ", final=False) + served(b"", PING) + served(b"two ", 0, False) + served(b"three", 0)
    expected = [*((TEXT, each) for each in messages), (PING, b""), (TEXT, b"one two three")]

    for most in (1, 7, 1500, len(whole)):
        reader, dice, at, found = Reader(), random.Random(most), 0, []
        while at < len(whole):
            piece = whole[at : at + dice.randint(1, most)]
            found += reader.feed(piece)
            at += len(piece)
        assert found == expected


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(served(b"x")[:1] + b"\x81" + b"\0" * 5, id="masked"),
        pytest.param(bytes((0xC1, 1)) + b"x", id="compressed, which nobody agreed on"),
        pytest.param(served(b"x", 0x2), id="binary"),
        pytest.param(served(b"x", 0x0), id="a continuation of nothing"),
        pytest.param(served(b"x", final=False) + served(b"y"), id="a message inside another"),
        pytest.param(bytes((0x81, 127)) + (1 << 40).to_bytes(8, "big"), id="a terabyte"),
    ],
)
def test_what_no_server_may_send_is_refused(piece: bytes) -> None:
    with pytest.raises(Broken):
        Reader().feed(piece)


def test_a_close_is_told_with_its_code() -> None:
    assert Reader().feed(served((1001).to_bytes(2, "big"), CLOSE)) == [(CLOSE, b"\x03\xe9")]


def test_the_handshake_is_answered_as_the_standard_has_it() -> None:
    """The example of RFC 6455, 1.3."""
    assert frames.accepted("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
