"""Opens a sealed paper knowing nothing but `schema/sealed-paper.md`: what another language would write."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def read_manifest(sealed: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest, and the envelopes by name."""
    assert sealed[:4] == b"LKP2", sealed[:4]
    at = 8 + int.from_bytes(sealed[4:8], "big")
    manifest: dict[str, Any] = json.loads(sealed[8:at])
    envelopes = {}
    for part in manifest["parts"]:
        envelopes[part["name"]] = sealed[at : at + part["bytes"]]
        at += part["bytes"]
        assert hashlib.sha256(envelopes[part["name"]]).hexdigest() == part["sha256"], part
    assert at == len(sealed)
    return manifest, envelopes


def open_sealed(batch_id: str, sealed: bytes, paper_key: bytes) -> tuple[dict[str, Any], bytes]:
    """The sealed paper as JSON, and all the bytes that a candidate can read."""
    manifest, envelopes = read_manifest(sealed)
    shared = {"batch_id": batch_id, "parts": len(envelopes), "suite": manifest["suite"]}
    shared |= {name: manifest[name] for name in ("chunk_bytes", "key_id")}
    packed: dict[str, list[bytes]] = {}  # of each thing, its chunks
    things = [name.partition(".")[0] for name in envelopes]
    for name, thing in zip(envelopes, things, strict=True):
        assert envelopes[name][:4] == b"LKE1", name
        key = HKDF(SHA256(), 32, None, f"liankao/v2/paper|LKE1|{batch_id}|{name}".encode()).derive(paper_key)
        header = rfc8785.dumps({**shared, "part": name, "chunks": things.count(thing)})
        message = AESGCM(key).decrypt(bytes(12), envelopes[name][4:], header)
        packed.setdefault(thing, []).append(message[4 : 4 + int.from_bytes(message[:4], "big")])
    plain = [zlib.decompress(b"".join(packed.pop("index")))]
    index = json.loads(plain[0])
    plain += [zlib.decompress(b"".join(packed.pop(f"s{at}"))) for at in range(len(index["sections"]))]
    document = {**index, "sections": [json.loads(section) for section in plain[1:]], "media": {}}
    for at, medium in enumerate(index["media"]):
        chunks = packed.pop(f"m{at}")
        content = b"".join(map(zlib.decompress, chunks) if medium["packing"] == "deflate" else chunks)
        assert len(content) == medium["bytes"], medium
        document["media"][medium["name"]] = base64.b64encode(content).decode()
        plain.append(content)
    assert not packed, packed.keys()
    return document, b"\n".join(plain)
