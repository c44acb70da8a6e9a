"""Opens a sealed paper as an exam client does, from the published layout (`schema/sealed-paper.md`)."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"LKP2"
SUITE = "LKE1"
NONCE = bytes(12)


class SealBroken(Exception):
    """The sealed bytes are not what their digest says, or the paper key does not open them."""


def check_digest(sealed: bytes | memoryview, digest: str) -> None:
    """Raises SealBroken unless `digest` is the hex SHA-256 of `sealed`."""
    found = hashlib.sha256(sealed).hexdigest()
    if found != digest:
        raise SealBroken(f"the sealed paper's digest is {found}, announced was {digest}")


def open_paper(sealed: bytes, paper_key: bytes, batch_id: str) -> dict[str, Any]:
    """The paper as it was pushed. Raises SealBroken on a wrong key, a wrong batch or altered bytes."""
    if sealed[: len(MAGIC)] != MAGIC:
        raise SealBroken(f"a sealed paper begins with {MAGIC!r}, this with {sealed[:4]!r}")
    begins = 8 + int.from_bytes(sealed[4:8], "big")
    try:
        manifest = orjson.loads(sealed[8:begins])
        head = {"batch_id": batch_id, "chunk_bytes": manifest["chunk_bytes"], "key_id": manifest["key_id"]}
        if (manifest["suite"], manifest["batch_id"]) != (SUITE, batch_id):
            raise SealBroken(f"sealed for batch {manifest['batch_id']!r} by suite {manifest['suite']!r}")
        return _opened(_parts(manifest["parts"], memoryview(sealed)[begins:]), head, paper_key)
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as fault:
        raise SealBroken(f"the sealed paper is not laid out as it should be: {fault!r}") from None


def _parts(listed: list[dict[str, Any]], rest: memoryview) -> list[tuple[str, memoryview]]:
    """Names and envelopes, in order; each has the digest that the manifest lists, and nothing is left."""
    parts = []
    for part in listed:
        envelope, rest = rest[: part["bytes"]], rest[part["bytes"] :]
        check_digest(envelope, part["sha256"])
        parts.append((part["name"], envelope))
    if rest:
        raise SealBroken(f"{len(rest)} bytes follow the last part")
    return parts


def _opened(parts: list[tuple[str, memoryview]], head: dict[str, Any], paper_key: bytes) -> dict[str, Any]:
    """Parts are taken strictly in the order which the index demands, and all of them."""
    left = iter(parts)
    head["parts"] = len(parts)

    def take(count: int, kind: str, packing: str = "deflate") -> Iterator[bytes]:
        names = [f"{kind}{n}" for n in range(count)] if kind else ["index"]
        for expected, (name, envelope) in zip(names, islice(left, count), strict=True):
            if name != expected:
                raise SealBroken(f"part {name} stands where {expected} should")
            header = {**head, "part": name, "chunks": count if "." in name else 1, "suite": SUITE}
            yield _opened_part(header, envelope, packing, paper_key)

    index = orjson.loads(next(take(1, "")))
    sections = [orjson.loads(plain) for plain in take(len(index["sections"]), "s")]
    media = {}
    for at, medium in enumerate(index["media"]):
        chunks = max(1, -(-medium["bytes"] // head["chunk_bytes"]))
        media[medium["name"]] = base64.b64encode(b"".join(take(chunks, f"m{at}.", medium["packing"]))).decode()
    if (extra := next(left, None)) is not None:
        raise SealBroken(f"part {extra[0]} is one too many")
    types = {medium["name"]: medium["type"] for medium in index["media"]}
    return {**index, "sections": sections, "media": media, "media_types": types}


def _opened_part(header: dict[str, Any], envelope: memoryview, packing: str, paper_key: bytes) -> bytes:
    if envelope[:4] != SUITE.encode():
        raise SealBroken(f"part {header['part']} is sealed by another suite")
    cipher = AESGCM(part_key(paper_key, header["batch_id"], header["part"]))
    try:
        message = cipher.decrypt(NONCE, envelope[4:], associated_data(header))
    except InvalidTag:
        raise SealBroken(f"the paper key does not open part {header['part']}") from None
    packed = message[4 : 4 + int.from_bytes(message[:4], "big")]
    return zlib.decompress(packed) if packing == "deflate" else packed


def associated_data(header: dict[str, Any]) -> bytes:
    """RFC 8785: only whole numbers and plain ASCII are in it, so sorting is all there is to do."""
    return orjson.dumps(header, option=orjson.OPT_SORT_KEYS)


def part_key(paper_key: bytes, batch_id: str, part: str) -> bytes:
    """The AES key of one part."""
    info = f"liankao/v2/paper|{SUITE}|{batch_id}|{part}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(paper_key)
