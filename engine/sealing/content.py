"""A question set's content as it lies in PostgreSQL between its push and the arming of a batch."""

from __future__ import annotations

import zlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.sealing.envelope import SealBroken

MAGIC = b"LKC1"
KEY_BYTES = 32
_NONCE = b"\0" * 12  # every content has a key of its own, which seals nothing else
_LEVEL = 1  # read once or twice, so speed counts for more than size


def seal_content(purpose: str, plain: bytes, content_key: bytes) -> bytes:
    """magic, ciphertext and tag; `purpose` is what its key is wrapped for. One content key seals one content."""
    return MAGIC + AESGCM(content_key).encrypt(_NONCE, zlib.compress(plain, _LEVEL), MAGIC + purpose.encode())


def open_content(purpose: str, sealed: bytes, content_key: bytes) -> bytes:
    """What `seal_content` sealed. Raises SealBroken."""
    if sealed[: len(MAGIC)] != MAGIC:
        raise SealBroken(f"expected a content beginning with {MAGIC!r}, got {sealed[:4]!r}")
    try:
        packed = AESGCM(content_key).decrypt(_NONCE, sealed[len(MAGIC) :], MAGIC + purpose.encode())
    except (InvalidTag, ValueError):
        raise SealBroken(f"the key does not open {purpose!r}, or its bytes were changed") from None
    return zlib.decompress(packed)
