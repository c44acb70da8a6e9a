"""base64url without padding, as tokens, keys and signatures travel; base32, of which the ids of sittings are made."""

from __future__ import annotations

import base64
import binascii

_BASE32_BYTES, _BASE32_LETTERS = 5, 8  # so many bytes are so many letters
_LETTERS = b"abcdefghijklmnopqrstuvwxyz234567"


def to_base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def to_base32(content: bytes) -> str:
    """RFC 4648 in small letters, of a multiple of five bytes.

    The first letters of all groups at once, then the second ones, and so on: the standard library takes ten times as
    long for one group after the other, which makes candidates wait where a roster's ids are made.
    """
    letters = bytearray(len(content) // _BASE32_BYTES * _BASE32_LETTERS)
    for place, (at, high, low) in enumerate(_BASE32_TABLES):
        values = int.from_bytes(content[at::_BASE32_BYTES].translate(high), "big")
        if low:
            values |= int.from_bytes(content[at + 1 :: _BASE32_BYTES].translate(low), "big")
        letters[place::_BASE32_LETTERS] = values.to_bytes(len(content) // _BASE32_BYTES, "big").translate(_TO_LETTERS)
    return letters.decode("ascii")


def _base32_table(place: int) -> tuple[int, bytes, bytes]:
    """Of a group's letter: the byte in which its five bits begin, and what of them such a byte holds, and the next."""
    at, bit = divmod(place * 5, 8)
    shift = 11 - bit  # of that byte and the next, to leave those five
    high = bytes((byte << 8 >> shift) & 31 for byte in range(256))
    return at, high, bytes(byte >> shift for byte in range(256)) if shift < 8 else b""


_BASE32_TABLES = [_base32_table(place) for place in range(_BASE32_LETTERS)]
_TO_LETTERS = _LETTERS.ljust(256)


def from_base64url(text: str) -> bytes:
    """Raises ValueError for anything that `to_base64url` would not have written."""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as fault:
        raise ValueError(str(fault)) from None
    if to_base64url(content) != text:
        raise ValueError("not the shortest base64url form")
    return content
