"""WebSocket frames as RFC 6455 has them: bytes in, values out, and the other way round.

Promise: whatever a client sends is either a legal frame or `Broken` with the close code that the RFC asks for.
How: a frame is read where it stands; nothing is kept between calls. No extension is ever agreed on, so a reserved bit
is a fault. Unmasking is one XOR of two long integers: Python's own loop would cost more than everything else here.
Not here: fragments, limits over time, what a message means (channel.py).
"""

from __future__ import annotations

FINAL = 0x80
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FINAL_TEXT = FINAL | TEXT
CONTROL_BYTES_MAX = 125

# Close codes (RFC 6455, 7.4.1, and its registry).
NORMAL, GOING_AWAY, PROTOCOL_ERROR, UNSUPPORTED, INVALID_BYTES = 1000, 1001, 1002, 1003, 1007
POLICY, TOO_LARGE, RESTART, TRY_LATER = 1008, 1009, 1012, 1013
_NO_STATUS = 1005  # stands for a close frame without a code, and is never sent

_DATA = frozenset(FINAL * final | opcode for final in (0, 1) for opcode in (CONTINUATION, TEXT, BINARY))
_CONTROL = frozenset(FINAL | opcode for opcode in (CLOSE, PING, PONG))
_MASKED = 0x80
_MASK_BYTES = 4


class Broken(Exception):
    """What the client sent breaks the protocol; the connection ends with `close_code`."""

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__(reason)
        self.close_code = close_code
        self.reason = reason


def read(received: bytes | bytearray, at: int, payload_bytes_max: int) -> tuple[int, bytes, int] | None:
    """The client's frame that begins at `at`: (its first byte, unmasked payload, where the next one begins).

    None while not all of it is there. Raises Broken, for a length as soon as it is announced.
    """
    there = len(received) - at
    if there < 2:
        return None
    first, second = received[at], received[at + 1]
    length = second & 0x7F
    if first not in _DATA:
        _check_control(first, length)
    if not second & _MASKED:
        raise Broken(PROTOCOL_ERROR, "a client masks its frames")
    begins = at + 2
    if length >= 126:
        extended = 2 if length == 126 else 8
        if there < 2 + extended:
            return None
        length = int.from_bytes(received[begins : begins + extended], "big")
        begins += extended
        if length < (126 if extended == 2 else 0x10000):
            raise Broken(PROTOCOL_ERROR, "a length is written in as few bytes as it needs")
    if length > payload_bytes_max:
        raise Broken(TOO_LARGE, f"a frame has {length} bytes, expected at most {payload_bytes_max}")
    begins += _MASK_BYTES
    ends = begins + length
    if len(received) < ends:
        return None
    return first, unmask(received[begins:ends], received[begins - _MASK_BYTES : begins]), ends


def unmask(payload: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """`payload` XOR the repeated `mask`; the same function masks."""
    length = len(payload)
    repeated = (bytes(mask) * (length // _MASK_BYTES + 1))[:length]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")).to_bytes(length, "little")


def write(first: int, payload: bytes) -> bytes:
    """A server's frame: never masked, in one piece."""
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 0x10000:
        return bytes((first, 126, length >> 8, length & 0xFF)) + payload
    return bytes((first, 127)) + length.to_bytes(8, "big") + payload


def write_close(code: int, reason: str = "") -> bytes:
    """A close frame; a reason too long for one is cut between characters."""
    said = reason.encode()[: CONTROL_BYTES_MAX - 2].decode("utf-8", "ignore").encode()
    return write(FINAL | CLOSE, code.to_bytes(2, "big") + said)


def read_close(payload: bytes) -> int:
    """The code with which a close frame is to be answered. Raises Broken."""
    if not payload:
        return NORMAL
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or not (1000 <= code <= 1014 or 3000 <= code <= 4999) or code in (1004, _NO_STATUS, 1006):
        raise Broken(PROTOCOL_ERROR, "a close frame holds no code that may be sent")
    check_text(payload[2:])
    return code


def check_text(payload: bytes) -> None:
    """Raises Broken for what is not UTF-8."""
    if payload.isascii():
        return
    try:
        payload.decode()
    except UnicodeDecodeError as fault:
        raise Broken(INVALID_BYTES, f"a text is not UTF-8 at byte {fault.start}") from None


def _check_control(first: int, length: int) -> None:
    if first & 0x70:
        raise Broken(PROTOCOL_ERROR, "a reserved bit is set, but no extension was agreed on")
    if first not in _CONTROL:
        opcode = first & 0x0F
        known = opcode in (CLOSE, PING, PONG)
        raise Broken(PROTOCOL_ERROR, "a control frame is not fragmented" if known else f"no frame is of kind {opcode}")
    if length > CONTROL_BYTES_MAX:
        raise Broken(PROTOCOL_ERROR, f"a control frame has at most {CONTROL_BYTES_MAX} bytes")
