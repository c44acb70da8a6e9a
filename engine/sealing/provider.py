"""Who holds the wrapping key: secrets that must lie somewhere before their time lie wrapped by a provider.

Promise: what is stored opens only with the provider that wrapped it, and only for the purpose it was wrapped for, so a
row copied from one batch or paper to another is of no use. Which provider is a setting; nobody else knows.
A provider may ask a device and block: callers keep both calls off the event loop.
"""

from __future__ import annotations

import hmac
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.sealing import secrets
from engine.sealing.envelope import SealBroken
from engine.sealing.gcm_tag import TAG_BYTES, tag_of
from engine.settings import Settings

_MAGIC = b"LKW1"  # the suite: AES-256-GCM under the 32 bytes of wrap.key
_NONCE_BYTES = 12


class KeyProvider(Protocol):
    """`purpose` says what the secret is for, and is bound to it."""

    def wrap(self, purpose: str, secret: bytes) -> bytes:
        """`secret` as it may lie anywhere. Raises TryLater when the provider does not answer."""

    def unwrap(self, purpose: str, wrapped: bytes) -> bytes:
        """What was wrapped. Raises SealBroken for another key or purpose, or changed bytes, and TryLater."""


def paper_key_purpose(armed_id: str) -> str:
    """The paper key of a batch, or of one of its papers (rules/forms.py)."""
    return f"paper-key|{armed_id}"


def content_purpose(paper_id: str, digest: str) -> str:
    """The key under which a question set is kept until it is sealed for a batch."""
    return f"content|{paper_id}|{digest}"


def webhook_purpose(webhook_id: str) -> str:
    """What a webhook's messages are signed with; wrapped by a key of its own, which opens no paper."""
    return f"webhook|{webhook_id}"


class FileProvider:
    """The wrapping key is a file: for one box, or where no device is to be had."""

    def __init__(self, wrap_key: bytes) -> None:
        self._wrap_key = wrap_key
        self._cipher = AESGCM(wrap_key)

    def wrap(self, purpose: str, secret: bytes) -> bytes:
        nonce = secrets.random_bytes(_NONCE_BYTES)
        return _MAGIC + nonce + self._cipher.encrypt(nonce, secret, _MAGIC + purpose.encode())

    def unwrap(self, purpose: str, wrapped: bytes) -> bytes:
        if wrapped[: len(_MAGIC)] != _MAGIC:
            raise SealBroken(f"expected a secret wrapped by a key file, beginning with {_MAGIC!r}, got {wrapped[:4]!r}")
        nonce, sealed = _parts(wrapped)
        try:
            return self._cipher.decrypt(nonce, sealed, _MAGIC + purpose.encode())
        except (InvalidTag, ValueError):  # ValueError: cut off within the nonce
            raise SealBroken(f"wrap.key does not open {purpose!r}, or its bytes were changed") from None

    def has_wrapped(self, purpose: str, wrapped: bytes) -> bool:
        """Whether `unwrap` would succeed; told from the tag alone, so that nobody has the secret before its time."""
        nonce, sealed = _parts(wrapped)
        if wrapped[: len(_MAGIC)] != _MAGIC or len(sealed) < TAG_BYTES:
            return False
        tag = tag_of(self._wrap_key, nonce, _MAGIC + purpose.encode(), sealed[:-TAG_BYTES])
        return hmac.compare_digest(tag, sealed[-TAG_BYTES:])


def _parts(wrapped: bytes) -> tuple[bytes, bytes]:
    return wrapped[len(_MAGIC) :][:_NONCE_BYTES], wrapped[len(_MAGIC) + _NONCE_BYTES :]


def open_provider(settings: Settings) -> KeyProvider:
    """The provider that the settings name. Raises SecretError when it cannot be used."""
    if settings.key_provider == "pkcs11":
        from engine.sealing.hsm import TokenProvider  # its library is only there where it is wanted

        return TokenProvider(settings)
    return FileProvider(secrets.read(settings.secrets_dir, "wrap.key"))
