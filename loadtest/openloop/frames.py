"""WebSocket frames as a client writes and reads them (RFC 6455): bytes in, bytes out. Pure.

How: every frame has the same mask, which is as hard to undo for the server as any other; masking is one XOR of long
integers. What a server sends is read where it lies.
"""

from __future__ import annotations

from collections.abc import Iterator

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
_FINAL, _MASKED = 0x80, 0x80
_MASK = bytes((0x5A, 0xC3, 0x71, 0x2E))
_SHORT_BYTES = 126  # from here on a length has two bytes of its own
_LONG_BYTES = 0x10000


def _mask_of(length: int) -> int:
    return int.from_bytes((_MASK * (length // 4 + 1))[:length], "little")


_SHORT_MASKS = [_mask_of(length) for length in range(_SHORT_BYTES)]
_SHORT_HEADS = [bytes((_FINAL | TEXT, _MASKED | length)) + _MASK for length in range(_SHORT_BYTES)]


def write(payload: bytes, opcode: int = TEXT) -> bytes:
    """One masked frame."""
    length = len(payload)
    if length < _SHORT_BYTES and opcode == TEXT:
        masked = int.from_bytes(payload, "little") ^ _SHORT_MASKS[length]
        return _SHORT_HEADS[length] + masked.to_bytes(length, "little")
    if length < _SHORT_BYTES:
        head = bytes((_FINAL | opcode, _MASKED | length))
    elif length < _LONG_BYTES:
        head = bytes((_FINAL | opcode, _MASKED | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((_FINAL | opcode, _MASKED | 127)) + length.to_bytes(8, "big")
    masked = int.from_bytes(payload, "little") ^ _mask_of(length)
    return head + _MASK + masked.to_bytes(length, "little")


def read(received: bytes) -> Iterator[tuple[int, bytes, int]]:
    """(opcode, payload, where the next frame begins) of every whole frame. Raises ValueError for what a server of
    ours does not send: fragments, masks, extensions."""
    at, ends = 0, len(received)
    while ends - at >= 2:
        first, length, begins = received[at], received[at + 1], at + 2
        if length >= _SHORT_BYTES:
            if not first & _FINAL or length > 127:
                raise ValueError(f"a frame begins with {received[at : at + 2].hex()}")
            size = 2 if length == 126 else 8
            if ends < begins + size:
                return
            length = int.from_bytes(received[begins : begins + size], "big")
            begins += size
        at = begins + length
        if at > ends:
            return
        if first & 0xF0 != _FINAL:
            raise ValueError(f"a frame begins with {first:02x}, expected a whole one")
        yield first & 0x0F, received[begins:at], at
