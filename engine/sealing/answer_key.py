"""The answer key's envelope: sealed to the grader's public key, so no process that talks to candidates can open it."""

from __future__ import annotations

from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.sealing.envelope import SealBroken

MAGIC = b"LKA1"
_PUBLIC_BYTES = 32
_NONCE = b"\0" * 12  # every envelope has a key of its own, from an ephemeral key pair


def public_key(grader_key: bytes) -> bytes:
    """The half that may be published."""
    return X25519PrivateKey.from_private_bytes(grader_key).public_key().public_bytes_raw()


def seal_answer_key(answer_key: dict[str, Any], paper_digest: str, grader_public_key: bytes) -> bytes:
    """magic, ephemeral public key, ciphertext and tag; bound to the paper it belongs to."""
    ephemeral = X25519PrivateKey.generate()
    ephemeral_public = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(grader_public_key))
    cipher = AESGCM(_derive(shared, ephemeral_public, grader_public_key))
    return MAGIC + ephemeral_public + cipher.encrypt(_NONCE, orjson.dumps(answer_key), MAGIC + paper_digest.encode())


def changes_place(regrade_id: str) -> str:
    """What the changes of a regrade are bound to, in place of a paper's digest."""
    return f"regrade {regrade_id}"


def open_answer_key(envelope: bytes, paper_digest: str, grader_key: bytes) -> dict[str, Any]:
    """What `seal_answer_key` sealed. Raises SealBroken when it belongs to another grader or paper, or was changed."""
    if envelope[: len(MAGIC)] != MAGIC:
        raise SealBroken(f"expected an answer key beginning with {MAGIC!r}, got {envelope[:4]!r}")
    ephemeral_public = envelope[len(MAGIC) : len(MAGIC) + _PUBLIC_BYTES]
    private = X25519PrivateKey.from_private_bytes(grader_key)
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral_public))
        cipher = AESGCM(_derive(shared, ephemeral_public, private.public_key().public_bytes_raw()))
        plain = cipher.decrypt(_NONCE, envelope[len(MAGIC) + _PUBLIC_BYTES :], MAGIC + paper_digest.encode())
    except (InvalidTag, ValueError):
        raise SealBroken(f"grader.key does not open the answer key of paper {paper_digest[:12]}…") from None
    return orjson.loads(plain)  # type: ignore[no-any-return]


def _derive(shared: bytes, ephemeral_public: bytes, grader_public: bytes) -> bytes:
    purpose = b"liankao/v1/answer-key|" + ephemeral_public + grader_public
    return HKDF(SHA256(), 32, salt=None, info=purpose).derive(shared)
