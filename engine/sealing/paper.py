"""The sealed paper: one AES-256-GCM object per batch, the same bytes for every candidate.

Layout and test vectors: `schema/sealed-paper.md`. Useless before the 32 bytes of its paper key are known.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from collections.abc import Callable
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"LKP1"
KEY_BYTES = 32
NONCE_BYTES = 12


class SealBroken(Exception):
    """Bytes that this key does not open, or that were changed."""


def seal_paper(batch_id: str, content: dict[str, Any], paper_key: bytes, nonce: bytes) -> bytes:
    """`content` (title, sections, media) -> magic, nonce, ciphertext and tag. One paper key seals one object."""
    plain = zlib.compress(orjson.dumps({"batch_id": batch_id, **content}), level=9)
    cipher = AESGCM(_derive(paper_key, f"liankao/v1/paper|{batch_id}"))
    return MAGIC + nonce + cipher.encrypt(nonce, plain, MAGIC + batch_id.encode())


def open_paper(batch_id: str, sealed: bytes, paper_key: bytes) -> dict[str, Any]:
    """What `seal_paper` sealed. Raises SealBroken."""
    if sealed[: len(MAGIC)] != MAGIC:
        raise SealBroken(f"expected a sealed paper beginning with {MAGIC!r}, got {sealed[:4]!r}")
    nonce = sealed[len(MAGIC) : len(MAGIC) + NONCE_BYTES]
    cipher = AESGCM(_derive(paper_key, f"liankao/v1/paper|{batch_id}"))
    try:
        plain = cipher.decrypt(nonce, sealed[len(MAGIC) + NONCE_BYTES :], MAGIC + batch_id.encode())
    except (InvalidTag, ValueError):  # ValueError: cut off within the nonce
        raise SealBroken(f"the key does not open the paper of batch {batch_id!r}, or its bytes were changed") from None
    return orjson.loads(zlib.decompress(plain))  # type: ignore[no-any-return]


def sealed_digest(sealed: bytes) -> str:
    return hashlib.sha256(sealed).hexdigest()


def sitting_seed(paper_key: bytes, sitting_id: str) -> bytes:
    """32 bytes that order a sitting's items and options: the same on every machine, unknown before the start."""
    return sitting_seeds(paper_key)(sitting_id)


def sitting_seeds(paper_key: bytes) -> Callable[[str], bytes]:
    """`sitting_seed` for many sittings of one batch: what is the same for all is done once."""
    seed_key = _derive(paper_key, "liankao/v1/seed")
    return lambda sitting_id: hmac.digest(seed_key, sitting_id.encode(), "sha256")


def _derive(secret: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose.encode()).derive(secret)
