"""The tag of an AES-GCM envelope, computed without opening it: it tells whose key it is, and nothing of the content.

NIST SP 800-38D: a hash over associated data and ciphertext, and the cipher's block for the nonce over it. The blocks
that would uncover the content are never made. Slow in Python, and meant for wrapped keys of a few dozen bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

TAG_BYTES = 16
_BLOCK_BYTES = 16
_REDUCTION = 0xE1 << 120  # x^128 = 1 + x + x^2 + x^7, the lowest power first
_NONCE_BYTES = 12


def tag_of(key: bytes, nonce: bytes, associated: bytes, ciphertext: bytes) -> bytes:
    """The tag that belongs to them. Raises ValueError for a nonce of another length than 12 bytes."""
    if len(nonce) != _NONCE_BYTES:
        raise ValueError(f"a nonce of {len(nonce)} bytes, expected {_NONCE_BYTES}")
    multiplier = int.from_bytes(_encrypted(key, bytes(_BLOCK_BYTES)))
    lengths = (len(associated) * 8).to_bytes(8) + (len(ciphertext) * 8).to_bytes(8)
    state = 0
    for block in (*_blocks(associated), *_blocks(ciphertext), lengths):
        state = _multiplied(state ^ int.from_bytes(block), multiplier)
    return (state ^ int.from_bytes(_encrypted(key, nonce + b"\0\0\0\1"))).to_bytes(TAG_BYTES)


def _blocks(content: bytes) -> Iterator[bytes]:
    for at in range(0, len(content), _BLOCK_BYTES):
        yield content[at : at + _BLOCK_BYTES].ljust(_BLOCK_BYTES, b"\0")


def _multiplied(left: int, right: int) -> int:
    """In GF(2^128), bits in the order of the standard."""
    product = 0
    for bit in range(127, -1, -1):
        if left >> bit & 1:
            product ^= right
        right = right >> 1 ^ (_REDUCTION if right & 1 else 0)
    return product


def _encrypted(key: bytes, block: bytes) -> bytes:
    encryptor = Cipher(AES(key), ECB()).encryptor()  # single blocks, as the standard builds on them
    return encryptor.update(block) + encryptor.finalize()
