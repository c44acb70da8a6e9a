"""Checks receipts and signatures offline, from the contract alone: pure functions over JSON values."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def responses_digest(responses: Mapping[str, Mapping[str, Any]]) -> str:
    """Hex SHA-256 of the RFC 8785 form of `[[item, seq, value], ...]` sorted by item; empty where there is none."""
    rows = [[item, responses[item].get("seq"), responses[item].get("value")] for item in sorted(responses)]
    try:
        return hashlib.sha256(rfc8785.dumps(rows)).hexdigest()
    except rfc8785.CanonicalizationError:
        return ""


def canonical_digest(document: Mapping[str, Any]) -> str:
    """Hex SHA-256 of the RFC 8785 form."""
    return hashlib.sha256(rfc8785.dumps(dict(document))).hexdigest()


def is_signed(signed: Mapping[str, Any], public_keys: Mapping[str, str]) -> bool:
    """Whether `signature` over the rest holds under the key it names, or under any key where it names none."""
    try:
        signature = base64url(signed["signature"])
        message = rfc8785.dumps({name: value for name, value in signed.items() if name != "signature"})
    except (KeyError, TypeError, ValueError, rfc8785.CanonicalizationError):
        return False
    named = signed.get("key_id")
    eligible = [public_key for key_id, public_key in public_keys.items() if named in (None, key_id)]
    return any(_verifies(public_key, signature, message) for public_key in eligible)


def base64url(text: str) -> bytes:
    """Decode base64url with or without padding; raises ValueError."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as fault:
        raise ValueError(f"not base64url: {fault}") from None


def _verifies(public_key: str, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key)).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
