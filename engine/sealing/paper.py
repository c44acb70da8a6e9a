"""The sealed paper: its parts in envelopes under one signed manifest, the same bytes for every candidate of a batch.

Layout and test vectors: `schema/sealed-paper.md`. Useless before the 32 bytes of its paper key are known.

    index       title; of each section id, title and number of items; of each medium name, type and size
    s0, s1 …    one section each
    m0.0 …      one medium each, in chunks of `chunk_bytes`

The index says what parts there must be, so that a paper without one of them does not open. What is left out of the
promise: the number of sections and media, and roughly how long each is, can be read off the manifest.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import msgspec
import orjson
from msgspec import Struct
from msgspec.structs import asdict, replace

from engine.sealing.envelope import Packing, Place, SealBroken, derive, open_part, seal_part
from engine.sealing.manifest import Manifest, read_manifest, write_manifest
from engine.sealing.signature import Signer

CHUNK_BYTES = 2**20  # of a medium: what sealing and opening hold several times over
# These are compressed already; deflating them once more would take most of the time and save nothing.
_COMPRESSED_TYPES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})


class _Medium(Struct, frozen=True):
    name: str
    type: str
    bytes: int
    packing: Packing

    def chunks(self, chunk_bytes: int) -> int:
        return max(1, -(-self.bytes // chunk_bytes))


class _Index(Struct, frozen=True):
    sections: list[dict[str, Any]]
    media: list[_Medium]

    def names(self, chunk_bytes: int) -> list[str]:
        """Of all parts, in order."""
        chunks = [f"m{at}.{n}" for at, medium in enumerate(self.media) for n in range(medium.chunks(chunk_bytes))]
        return ["index", *(f"s{at}" for at in range(len(self.sections))), *chunks]


def seal_paper(
    batch_id: str, content: dict[str, Any], paper_key: bytes, signer: Signer, chunk_bytes: int = CHUNK_BYTES
) -> bytes:
    """`content` (title, sections, media in base64, media_types) for one batch; the paper key must seal nothing else.

    Takes one medium at a time out of its base64: beside `content` it holds that medium and twice what it returns.
    """
    index = _Index(
        sections=[
            {"id": section["id"], "title": section["title"], "items": len(section["items"])}
            for section in content["sections"]
        ],
        media=[_medium(name, encoded, content["media_types"][name]) for name, encoded in content["media"].items()],
    )
    names = index.names(chunk_bytes)
    somewhere = Place(
        batch_id=batch_id, part="", parts=len(names), chunks=1, chunk_bytes=chunk_bytes, key_id=signer.key_id
    )

    def sealed_part(name: str, plain: bytes | memoryview, packing: Packing = "deflate", chunks: int = 1) -> bytes:
        return seal_part(replace(somewhere, part=name, chunks=chunks), plain, packing, paper_key)

    others = {name: value for name, value in content.items() if name not in ("media", "media_types")}
    shown = {**others, "batch_id": batch_id, **asdict(index)}
    envelopes = [sealed_part("index", msgspec.json.encode(shown))]
    for at, section in enumerate(content["sections"]):
        envelopes.append(sealed_part(f"s{at}", orjson.dumps(section)))
    for at, medium in enumerate(index.media):
        plain = memoryview(binascii.a2b_base64(content["media"][medium.name]))
        chunks = medium.chunks(chunk_bytes)
        for n in range(chunks):
            chunk = plain[n * chunk_bytes : (n + 1) * chunk_bytes]
            envelopes.append(sealed_part(f"m{at}.{n}", chunk, medium.packing, chunks))
    head = write_manifest(batch_id, chunk_bytes, list(zip(names, envelopes, strict=True)), signer)
    return b"".join([head, *envelopes])


def open_paper(batch_id: str, sealed: bytes, paper_key: bytes) -> dict[str, Any]:
    """What `seal_paper` sealed, and `batch_id`. Raises SealBroken naming the part that does not open.

    Every byte is checked but the signature's own: those are for `verify_manifest`.
    """
    manifest, envelopes = read_manifest(sealed)
    if manifest.batch_id != batch_id:
        raise SealBroken(f"the manifest names batch {manifest.batch_id[:80]!r}, expected {batch_id!r}")

    def opened(name: str, packing: Packing = "deflate", chunks: int = 1) -> bytes | memoryview:
        if name not in envelopes:
            raise SealBroken(f"part {name} is missing")
        return open_part(manifest.place(name, chunks), envelopes[name], packing, paper_key)

    shown, index = _read_index(opened("index"))
    _check_names(manifest, index)
    media: dict[str, str] = {}
    for at, medium in enumerate(index.media):
        chunks = medium.chunks(manifest.chunk_bytes)
        pieces = [opened(f"m{at}.{n}", medium.packing, chunks) for n in range(chunks)]
        media[medium.name] = base64.b64encode(b"".join(pieces)).decode("ascii")
    return {
        **shown,
        "sections": [orjson.loads(opened(f"s{at}")) for at in range(len(index.sections))],
        "media": media,
        "media_types": {medium.name: medium.type for medium in index.media},
    }


def sealed_digest(sealed: bytes) -> str:
    return hashlib.sha256(sealed).hexdigest()


def sitting_seed(paper_key: bytes, sitting_id: str) -> bytes:
    """32 bytes that order a sitting's items and options: the same on every machine, unknown before the start."""
    return sitting_seeds(paper_key)(sitting_id)


def sitting_seeds(paper_key: bytes) -> Callable[[str], bytes]:
    """`sitting_seed` for many sittings of one batch: what is the same for all is done once."""
    seed_key = derive(paper_key, "liankao/v1/seed")
    return lambda sitting_id: hmac.digest(seed_key, sitting_id.encode(), "sha256")


def _medium(name: str, encoded: str, media_type: str) -> _Medium:
    size = len(encoded) // 4 * 3 - encoded.count("=", -2)
    return _Medium(name, media_type, size, "stored" if media_type in _COMPRESSED_TYPES else "deflate")


def _read_index(plain: bytes | memoryview) -> tuple[dict[str, Any], _Index]:
    try:
        shown = orjson.loads(plain)
        return shown, msgspec.convert(shown, _Index)
    except (ValueError, msgspec.ValidationError) as fault:
        raise SealBroken(f"part index was sealed by somebody who writes it otherwise: {fault}") from None


def _check_names(manifest: Manifest, index: _Index) -> None:
    listed, expected = [part.name for part in manifest.parts], index.names(manifest.chunk_bytes)
    if listed != expected:
        at = next(at for at in range(len(listed) + 1) if listed[at : at + 1] != expected[at : at + 1])
        raise SealBroken(f"part {(expected[at:] or listed[at:])[0]} is missing, too much or out of its order")
