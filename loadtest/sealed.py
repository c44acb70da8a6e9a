"""Opens a sealed paper as an exam client does, from the published layout (`schema/sealed-paper.md`)."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"LKP1"
NONCE_BYTES = 12


class SealBroken(Exception):
    """The sealed bytes are not what their digest says, or the paper key does not open them."""


def check_digest(sealed: bytes, digest: str) -> None:
    """Raises SealBroken unless `digest` is the hex SHA-256 of `sealed`."""
    found = hashlib.sha256(sealed).hexdigest()
    if found != digest:
        raise SealBroken(f"the sealed paper's digest is {found}, announced was {digest}")


def open_paper(sealed: bytes, paper_key: bytes, batch_id: str) -> dict[str, Any]:
    """The paper's JSON. Raises SealBroken on a wrong key, a wrong batch or altered bytes."""
    if sealed[: len(MAGIC)] != MAGIC:
        raise SealBroken(f"a sealed paper begins with {MAGIC!r}, this with {sealed[:4]!r}")
    head_bytes = len(MAGIC) + NONCE_BYTES
    nonce, ciphertext = sealed[len(MAGIC) : head_bytes], sealed[head_bytes:]
    cipher = AESGCM(_content_key(paper_key, batch_id))
    try:
        packed = cipher.decrypt(nonce, ciphertext, MAGIC + batch_id.encode())
    except (InvalidTag, ValueError):
        raise SealBroken(f"the paper key does not open the sealed paper of batch {batch_id}") from None
    paper: dict[str, Any] = orjson.loads(zlib.decompress(packed))
    if paper.get("batch_id") != batch_id:
        raise SealBroken(f"the paper says batch {paper.get('batch_id')!r}, the sitting {batch_id!r}")
    return paper


def _content_key(paper_key: bytes, batch_id: str) -> bytes:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"liankao/v1/paper|" + batch_id.encode())
    return derive.derive(paper_key)
