"""The manifest of a sealed paper: what parts it has, their digests, and a signature over all of it.

    "LKP2" | length of the manifest (4 bytes, big-endian) | manifest, in RFC 8785 form | the envelopes, in its order

It can be read, and its signature checked, by who has no paper key; it names nothing of the content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec
import orjson
from msgspec import Meta, Struct

from engine.rules import exact_json
from engine.sealing.envelope import SUITE, Place, SealBroken
from engine.sealing.head import head_of, read_head
from engine.sealing.signature import Signer, is_valid, shown_key

MAGIC = b"LKP2"
_MAGIC_BEFORE = b"LKP1"
_BYTES_MAX = 2**20  # of a manifest; one with all the parts that a paper may have is a fifth of it

_Whole = Annotated[int, Meta(ge=1, le=2**32)]
_Hex = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern=r"\A(index|s[0-9]{1,9}|m[0-9]{1,9}\.[0-9]{1,9})\Z")]
    bytes: _Whole
    sha256: _Hex


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    suite: str
    batch_id: str
    chunk_bytes: _Whole
    parts: list[Part]
    key_id: Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]
    signature: str

    def place(self, name: str, chunks: int = 1) -> Place:
        """Where the part `name` belongs."""
        return Place(
            batch_id=self.batch_id,
            part=name,
            parts=len(self.parts),
            chunks=chunks,
            chunk_bytes=self.chunk_bytes,
            key_id=self.key_id,
        )


def write_manifest(batch_id: str, chunk_bytes: int, envelopes: Sequence[tuple[str, bytes]], signer: Signer) -> bytes:
    """What stands before the envelopes; `envelopes` by their parts' names."""
    document = {
        "suite": SUITE,
        "batch_id": batch_id,
        "chunk_bytes": chunk_bytes,
        "parts": [
            {"name": name, "bytes": len(envelope), "sha256": hashlib.sha256(envelope).hexdigest()}
            for name, envelope in envelopes
        ],
        "key_id": signer.key_id,
    }
    return head_of(MAGIC, exact_json.canonical(signer.signed(document)))


def read_manifest(sealed: bytes) -> tuple[Manifest, dict[str, memoryview]]:
    """The manifest as it stands, and the envelopes by their parts' names, checked against it.

    Raises SealBroken naming what is missing, changed or too much. Who signed it is for `verify_manifest`.
    """
    manifest, _, begins = _read(sealed)
    return manifest, dict(_envelopes(manifest, memoryview(sealed)[begins:]))


def verify_manifest(sealed: bytes, public_key: bytes) -> Manifest:
    """The manifest, when it is signed by this Ed25519 key and every envelope is the one it lists; else SealBroken."""
    manifest, document, begins = _read(sealed)
    if not is_valid(document, [shown_key(public_key)]):
        raise SealBroken(f"the manifest was changed, or not signed by this key (it says by {manifest.key_id})")
    for _ in _envelopes(manifest, memoryview(sealed)[begins:]):
        pass  # each is checked on its way
    return manifest


def _read(sealed: bytes) -> tuple[Manifest, dict[str, Any], int]:
    """Manifest, the same as it was written, and where the envelopes begin."""
    if sealed[: len(_MAGIC_BEFORE)] == _MAGIC_BEFORE:
        raise SealBroken("the paper was sealed by an earlier release (LKP1): push it, or seal its package, again")
    written, ends = read_head(sealed, MAGIC, "sealed paper", _BYTES_MAX)
    try:
        document = orjson.loads(written)
        manifest = msgspec.convert(document, Manifest)
        is_canonical = exact_json.canonical(document) == written
    except (ValueError, msgspec.ValidationError) as fault:
        raise SealBroken(f"the manifest cannot be read: {fault}") from None
    if not is_canonical:
        raise SealBroken("the manifest is not in its RFC 8785 form")
    if manifest.suite != SUITE:
        raise SealBroken(f"the paper is sealed by suite {manifest.suite[:40]!r}, expected {SUITE}")
    return manifest, document, ends


def _envelopes(manifest: Manifest, rest: memoryview) -> Iterator[tuple[str, memoryview]]:
    names: set[str] = set()
    for part in manifest.parts:
        envelope, rest = rest[: part.bytes], rest[part.bytes :]
        if part.name in names:
            raise SealBroken(f"part {part.name} stands twice in the manifest")
        names.add(part.name)
        if len(envelope) < part.bytes:
            raise SealBroken(f"part {part.name} is cut off: {len(envelope)} of {part.bytes} bytes")
        if hashlib.sha256(envelope).hexdigest() != part.sha256:
            raise SealBroken(f"part {part.name} is not the one whose digest the manifest lists")
        yield part.name, envelope
    if rest:
        raise SealBroken(f"{len(rest)} bytes follow the last part")
