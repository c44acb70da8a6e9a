"""A paper key split among people: any k of n shares give it back, fewer give nothing about it.

Each share is a text file (JSON) for one holder, locked by the holder's passphrase. What it is for it says in the clear,
and changing any of that locks it for ever. The splitting is Shamir's over GF(2^128), of each half of the
key by itself; a check value of the key tells whether what was put together is right.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import orjson
from Crypto.Protocol.SecretSharing import Shamir
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from msgspec import Meta, Struct

from engine.rules.limits import SHARES_MAX
from engine.sealing.encoding import from_base64url, to_base64url
from engine.sealing.envelope import KEY_BYTES, SealBroken
from engine.sealing.package import Package, fits
from engine.sealing.secrets import random_bytes

FORMAT = "liankao-share-1"
PASSPHRASE_CHARACTERS_MIN = 10
_HALF = KEY_BYTES // 2
_SCRYPT = (2**17, 8, 1)  # 128 MiB and a third of a second: a stolen share is not guessed open
_NONCE = b"\0" * 12  # every share has a salt of its own, and so a key that locks nothing else


class OpenShare(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One share as it is handed in; `split_id` keeps apart shares of two splits of one key."""

    sealed_digest: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    split_id: Annotated[str, Meta(min_length=1)]
    k: Annotated[int, Meta(ge=2, le=SHARES_MAX)]
    n: Annotated[int, Meta(ge=2, le=SHARES_MAX)]
    index: Annotated[int, Meta(ge=1, le=SHARES_MAX)]
    share: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{43}\Z")]  # base64url of 32 bytes


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: str
    batch_id: str
    sealed_digest: str
    split_id: str
    k: int
    n: int
    index: int
    salt: str
    locked: str


def split_key(paper_key: bytes, package: Package, k: int, n: int) -> list[OpenShare]:
    """Raises ValueError for a k or n that makes no sense, SealBroken when the key is not this package's."""
    if not 2 <= k <= n <= SHARES_MAX:
        raise ValueError(f"expected k of n shares with 2 <= k <= n <= {SHARES_MAX}, got {k} of {n}")
    if not fits(paper_key, package.key_check, package.batch_id):
        raise SealBroken(f"the key is not that of the package for batch {package.batch_id!r}")
    split_id = random_bytes(8).hex()
    halves = [Shamir.split(k, n, paper_key[at : at + _HALF]) for at in (0, _HALF)]
    return [
        OpenShare(
            sealed_digest=package.sealed_digest,
            split_id=split_id,
            k=k,
            n=n,
            index=index,
            share=to_base64url(first + second),
        )
        for (index, first), (_, second) in zip(*halves, strict=True)
    ]


def lock_share(share: OpenShare, batch_id: str, passphrase: str) -> bytes:
    """The holder's file. Raises ValueError for a passphrase that is too short."""
    if len(passphrase) < PASSPHRASE_CHARACTERS_MIN:
        raise ValueError(f"a passphrase of {len(passphrase)} characters, expected at least {PASSPHRASE_CHARACTERS_MIN}")
    file = _File(
        format=FORMAT,
        batch_id=batch_id,
        sealed_digest=share.sealed_digest,
        split_id=share.split_id,
        k=share.k,
        n=share.n,
        index=share.index,
        salt=to_base64url(random_bytes(16)),
        locked="",
    )
    locked = _cipher(file, passphrase).encrypt(_NONCE, from_base64url(share.share), _said(file))
    written = msgspec.to_builtins(msgspec.structs.replace(file, locked=to_base64url(locked)))
    return orjson.dumps(written, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def share_head(content: bytes, name: str) -> dict[str, Any]:
    """What a share's file says in the clear, with its bytes still locked away. Raises SealBroken."""
    try:
        file = msgspec.json.decode(content, type=_File)
    except msgspec.DecodeError as fault:
        raise SealBroken(f"{name} is no share: {fault}") from None
    told = ("batch_id", "sealed_digest", "split_id", "k", "n", "index")
    return {field: getattr(file, field) for field in told}


def open_share(content: bytes, passphrase: str, name: str) -> OpenShare:
    """`name` says in errors which file it is. Raises SealBroken."""
    try:
        file = msgspec.json.decode(content, type=_File)
        locked = from_base64url(file.locked)
        from_base64url(file.salt)
    except (msgspec.DecodeError, ValueError) as fault:
        raise SealBroken(f"{name} is no share: {fault}") from None
    if file.format != FORMAT:
        raise SealBroken(f"{name} has the format {file.format!r}, expected {FORMAT!r}")
    try:
        share = _cipher(file, passphrase).decrypt(_NONCE, locked, _said(file))
    except InvalidTag:
        raise SealBroken(f"{name}: the passphrase is wrong, or the file was changed") from None
    return OpenShare(
        sealed_digest=file.sealed_digest,
        split_id=file.split_id,
        k=file.k,
        n=file.n,
        index=file.index,
        share=to_base64url(share),
    )


def combine_shares(shares: Sequence[OpenShare], sealed_digest: str, batch_id: str, key_check: str) -> bytes:
    """The paper key. Raises SealBroken saying which share does not belong, how many are missing, or that none fit."""
    for share in shares:
        if share.sealed_digest != sealed_digest:
            raise SealBroken(
                f"share {share.index} is of another paper ({share.sealed_digest[:12]}…), expected {sealed_digest[:12]}…"
            )
        if (share.split_id, share.k) != (shares[0].split_id, shares[0].k):
            raise SealBroken(f"shares {shares[0].index} and {share.index} are of two different splits of the key")
    seen: set[int] = set()
    for share in shares:
        if share.index in seen:
            raise SealBroken(f"share {share.index} is given twice")
        seen.add(share.index)
    k = shares[0].k if shares else 0
    if not shares or len(shares) < k:
        expected = f"{k} of {shares[0].n}" if shares else "at least two"
        raise SealBroken(f"{len(shares)} shares are given, expected {expected}")
    points = [(share.index, _point(share)) for share in shares[:k]]
    halves = [Shamir.combine([(index, point[at : at + _HALF]) for index, point in points]) for at in (0, _HALF)]
    paper_key = b"".join(halves)
    if not fits(paper_key, key_check, batch_id):
        raise SealBroken("these shares do not give the key of this paper")
    return paper_key


def _point(share: OpenShare) -> bytes:
    try:
        point = from_base64url(share.share)
    except ValueError:
        point = b""
    if len(point) != KEY_BYTES or not 1 <= share.index <= SHARES_MAX:
        raise SealBroken(f"share {share.index} does not hold {KEY_BYTES} bytes as base64url")
    return point


def _cipher(file: _File, passphrase: str) -> AESGCM:
    cost, block, lanes = _SCRYPT
    kdf = Scrypt(salt=from_base64url(file.salt), length=KEY_BYTES, n=cost, r=block, p=lanes)
    # However a keyboard composes a letter, it is the same letter.
    return AESGCM(kdf.derive(unicodedata.normalize("NFC", passphrase).encode()))


def _said(file: _File) -> bytes:
    """What the file says in the clear: bound to what it locks."""
    return orjson.dumps([file.format, file.batch_id, file.sealed_digest, file.split_id, file.k, file.n, file.index])
