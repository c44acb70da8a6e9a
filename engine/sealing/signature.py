"""Ed25519 signatures over the RFC 8785 form of an object without its `signature`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from engine.rules import exact_json
from engine.sealing.encoding import from_base64url, to_base64url

ALGORITHM = "Ed25519"


class Signer:
    """One private key and the id under which `/v1/keys` shows its public half."""

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._private.public_key().public_bytes_raw()
        self.key_id = key_id(self.public_key)

    def signed(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """`document` with `signature` added (replacing one that was there)."""
        unsigned = {name: value for name, value in document.items() if name != "signature"}
        return {**unsigned, "signature": to_base64url(self._private.sign(exact_json.canonical(unsigned)))}


def key_id(public_key: bytes) -> str:
    return hashlib.sha256(public_key).hexdigest()[:16]


def shown_key(public_key: bytes) -> dict[str, str]:
    """One entry of `/v1/keys`."""
    text = base64.b64encode(public_key).decode()
    return {"key_id": key_id(public_key), "algorithm": ALGORITHM, "public_key": text}


def is_valid(document: Mapping[str, Any], keys: Iterable[Mapping[str, Any]]) -> bool:
    """Whether one of `keys` (entries of `/v1/keys`) signed `document`; a `key_id` in it must then be that key's."""
    unsigned = {name: value for name, value in document.items() if name != "signature"}
    try:
        signature = from_base64url(str(document["signature"]))
        message = exact_json.canonical(unsigned)
    except (KeyError, ValueError, TypeError):
        return False
    for entry in keys:
        if entry.get("algorithm") != ALGORITHM or document.get("key_id", entry.get("key_id")) != entry.get("key_id"):
            continue
        try:
            public = Ed25519PublicKey.from_public_bytes(base64.b64decode(str(entry.get("public_key")), validate=True))
            public.verify(signature, message)
        except (InvalidSignature, ValueError):
            continue
        return True
    return False
