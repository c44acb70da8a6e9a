"""WebSocket frames of a client (RFC 6455): few instructions a frame, since there are thousands of channels. Pure.

No extension is offered to anybody who might take it up without our noticing: an answer that agrees on one is refused
where the handshake is read (channel.py).
"""

from __future__ import annotations

import base64
import hashlib

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
MESSAGE_BYTES_MAX = 8 * 1024 * 1024  # far more than an engine ever says at once
_CONTINUED = 0x0
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Broken(Exception):
    """What came is no frame that a server may send."""


def frame(payload: bytes, mask: int, opcode: int = TEXT) -> bytes:
    """One masked frame; `mask` is 32 random bits."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0xFF)) + size.to_bytes(8, "big")
    key = mask.to_bytes(4, "big")
    stream = (key * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return b"".join((head, key, masked.to_bytes(size, "big")))


def accepted(nonce: str) -> str:
    """What Sec-WebSocket-Accept has to be for this Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(nonce.encode() + _GUID, usedforsecurity=False).digest()).decode()


class Reader:
    """Frames out of pieces of any size."""

    __slots__ = ("_kept", "_parts")

    def __init__(self) -> None:
        self._kept = b""
        self._parts: list[bytes] = []

    def feed(self, piece: bytes) -> list[tuple[int, bytes]]:
        """(opcode, payload) of every message that is complete now. Raises Broken."""
        taken = self._kept + piece if self._kept else piece
        found = []
        at = 0
        while True:
            payload_at, ends = _bounds(taken, at)
            if ends > len(taken):
                break
            message = self._frame(taken[at], taken[payload_at:ends])
            if message is not None:
                found.append(message)
            at = ends
        self._kept = taken[at:]
        return found

    def _frame(self, first: int, payload: bytes) -> tuple[int, bytes] | None:
        opcode = first & 0x0F
        if first & 0x70:
            raise Broken("a reserved bit is set, but no extension was agreed on")
        if opcode in (CLOSE, PING, PONG):
            return opcode, payload
        if (opcode == _CONTINUED) != bool(self._parts):
            raise Broken(f"opcode {opcode} out of order")
        if opcode not in (_CONTINUED, TEXT):
            raise Broken(f"opcode {opcode}, where only texts are spoken")
        if first & 0x80 and not self._parts:
            return TEXT, payload
        self._parts.append(payload)
        if not first & 0x80:
            return None
        whole, self._parts = b"".join(self._parts), []
        return TEXT, whole


def _bounds(taken: bytes, at: int) -> tuple[int, int]:
    """Where the payload of the frame at `at` begins and ends; ends behind all bytes while too few are there."""
    if len(taken) - at < 2:
        return at, len(taken) + 1
    size, head = taken[at + 1], 2
    if size & 0x80:
        raise Broken("a server's frame is masked")
    if size >= 126:
        head = 4 if size == 126 else 10
        if len(taken) - at < head:
            return at, len(taken) + 1
        size = int.from_bytes(taken[at + 2 : at + head], "big")
    if size > MESSAGE_BYTES_MAX:
        raise Broken(f"a frame of {size} bytes")
    return at + head, at + head + size
