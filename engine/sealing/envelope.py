"""The envelope of one part of a sealed paper: AES-256-GCM under a key of its own.

    suite ("LKE1") | AES-256-GCM ciphertext and tag
    plaintext: length of what is packed (4 bytes, big-endian) | packed | zeros

Promise: one AES key never meets a nonce twice. A key comes by HKDF from the paper key and from suite, batch and part;
a part's name stands once in a paper, and a paper key, 32 fresh random bytes each time, seals one paper and nothing
else (`sealer_jobs.py` and `ceremony.py` draw it where they seal, and a sealing that is repeated draws another). So each
AES key encrypts one message, and its nonce may be 12 zero bytes.

What surrounds a part is associated data: which batch, which part of how many, of how many chunks of what size, and who
signs. So parts cannot change places, be left out, or be cut off behind a chunk without the others refusing to open.
The zeros hide a length but for its first few bits: a figure of a known collection is not recognised by its size.
"""

from __future__ import annotations

import zlib
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from engine.rules import exact_json

SUITE = "LKE1"  # AES-256-GCM, HKDF-SHA-256, zlib: what is done otherwise has another name
KEY_BYTES = 32
Packing = Literal["deflate", "stored"]
_SUITE_BYTES = SUITE.encode()
_NONCE = bytes(12)
_LENGTH_BYTES = 4


class SealBroken(Exception):
    """Bytes that this key does not open, or that were changed."""


class Place(Struct, frozen=True, kw_only=True):
    """Where a part belongs; `chunks` is how many there are of the thing that it is a chunk of."""

    batch_id: str
    part: str
    parts: int
    chunks: int
    chunk_bytes: int
    key_id: str


def seal_part(place: Place, plain: bytes | memoryview, packing: Packing, paper_key: bytes) -> bytes:
    """The envelope of one part; to be called once for a part of a paper key."""
    packed = zlib.compress(plain, level=9) if packing == "deflate" else plain
    padding = bytes(padded(len(packed)) - len(packed))
    message = b"".join([len(packed).to_bytes(_LENGTH_BYTES, "big"), packed, padding])
    return _SUITE_BYTES + _cipher(place, paper_key).encrypt(_NONCE, message, _header(place))


def open_part(place: Place, envelope: bytes | memoryview, packing: Packing, paper_key: bytes) -> bytes | memoryview:
    """What `seal_part` sealed. Raises SealBroken naming the part."""
    if envelope[: len(_SUITE_BYTES)] != _SUITE_BYTES:
        raise SealBroken(f"part {place.part} is sealed by another suite than {SUITE}, or was changed")
    try:
        message = _cipher(place, paper_key).decrypt(_NONCE, envelope[len(_SUITE_BYTES) :], _header(place))
    except (InvalidTag, ValueError):  # ValueError: shorter than a tag
        raise SealBroken(
            f"the key does not open part {place.part} of the paper of batch {place.batch_id!r}, or it was changed"
        ) from None
    ends = _LENGTH_BYTES + int.from_bytes(message[:_LENGTH_BYTES], "big")
    if len(message) < max(ends, _LENGTH_BYTES):
        raise SealBroken(f"part {place.part} was sealed with another length than it has")
    packed = memoryview(message)[_LENGTH_BYTES:ends]
    if packing == "stored":
        return packed
    try:
        return zlib.decompress(packed)
    except zlib.error:
        raise SealBroken(f"part {place.part} was not packed as a zlib stream") from None


def padded(length: int) -> int:
    """The next length that tells no more than the first bits of `length`: Padmé's, at most 12 percent longer."""
    exponent = length.bit_length() - 1
    if exponent < 1:
        return length
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return length + mask & ~mask


def derive(secret: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose.encode()).derive(secret)


def _cipher(place: Place, paper_key: bytes) -> AESGCM:
    return AESGCM(derive(paper_key, f"liankao/v2/paper|{SUITE}|{place.batch_id}|{place.part}"))


def _header(place: Place) -> bytes:
    return exact_json.canonical({"suite": SUITE, **msgspec.structs.asdict(place)})
