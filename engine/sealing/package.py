"""The package: a paper sealed for one batch away from every server, with all that a server may know of it.

    "LKX1" | length of the head (4 bytes, big-endian) | head | sealed paper | envelope of the answers

The head is a signed RFC 8785 object: batch, digests of what follows, totals, and the plain index by which responses
are checked (item -> type, option ids, blanks). So whoever changes a byte of it, or puts parts of two packages
together, is found out. Of the paper key it holds a check value, from which nothing about the key follows.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import orjson
from msgspec import Struct

from engine.rules import exact_json
from engine.rules.errors import Refused
from engine.rules.marking import json_number
from engine.rules.question_set import QuestionSet
from engine.sealing.answer_key import seal_answer_key
from engine.sealing.envelope import SealBroken, derive
from engine.sealing.head import head_of, read_head
from engine.sealing.manifest import verify_manifest
from engine.sealing.paper import seal_paper, sealed_digest
from engine.sealing.signature import Signer, is_valid, key_id, shown_key

MEDIA_TYPE = "application/vnd.liankao.sealed"
MAGIC = b"LKX1"
_HEAD_BYTES_MAX = 4 * 2**20  # the index of the largest paper is a tenth of it
_MEMBERS = {
    "batch_id": str, "paper_digest": str, "items": int, "points": int | float | Decimal, "index": dict,
    "answer_key_digest": str, "answer_key_recipient": str, "sealed_digest": str, "sealed_bytes": int,
    "envelope_digest": str, "key_check": str, "key_id": str, "public_key": str, "signature": str,
}  # fmt: skip


class Package(Struct, frozen=True, kw_only=True):
    """One that is whole and signed as it says."""

    batch_id: str
    paper_digest: str
    items: int
    points: Decimal
    index: dict[str, dict[str, Any]]
    answer_key_digest: str
    answer_key_recipient: str  # id of the grader's public key
    key_check: str
    signer: dict[str, str]  # as in /v1/keys
    sealed: bytes
    envelope: bytes

    @property
    def sealed_digest(self) -> str:
        return sealed_digest(self.sealed)


def make_package(
    batch_id: str, question_set: QuestionSet, paper_key: bytes, grader_public_key: bytes, signer: Signer
) -> bytes:
    """Seal a paper for one batch; `paper_key` must seal nothing else, ever."""
    sealed = seal_paper(batch_id, question_set.public, paper_key, signer)
    envelope = seal_answer_key(question_set.answer_key, question_set.digest, grader_public_key)
    head = signer.signed(
        {
            "batch_id": batch_id,
            "paper_digest": question_set.digest,
            "items": question_set.items,
            "points": json_number(question_set.points),
            "index": question_set.index,
            "answer_key_digest": question_set.answer_key_digest,
            "answer_key_recipient": key_id(grader_public_key),
            "sealed_digest": sealed_digest(sealed),
            "sealed_bytes": len(sealed),
            "envelope_digest": hashlib.sha256(envelope).hexdigest(),
            "key_check": key_check(paper_key, batch_id),
            "key_id": signer.key_id,
            "public_key": shown_key(signer.public_key)["public_key"],
        }
    )
    written = exact_json.canonical(head)
    return head_of(MAGIC, written) + sealed + envelope


def read_package(content: bytes, trusted: Iterable[Mapping[str, Any]] | None = None) -> Package:
    """Raises SealBroken unless it is whole and signed, by one of `trusted` (entries of /v1/keys) if given."""
    head, rest = _parts(content)
    signer = {"key_id": head["key_id"], "algorithm": "Ed25519", "public_key": head["public_key"]}
    if not is_valid(head, [signer]) or head["key_id"] != key_id(_public_key(head)):
        raise SealBroken("the package's signature does not fit its head: it was changed")
    if trusted is not None and not is_valid(head, trusted):
        raise SealBroken(f"the package is signed by key {head['key_id']}, which is none of those that are trusted")
    sealed, envelope = rest[: head["sealed_bytes"]], rest[head["sealed_bytes"] :]
    if sealed_digest(sealed) != head["sealed_digest"]:
        raise SealBroken("the sealed paper in the package was changed or cut off")
    if verify_manifest(sealed, _public_key(head)).batch_id != head["batch_id"]:
        raise SealBroken("the package and the sealed paper in it are for two batches")
    if hashlib.sha256(envelope).hexdigest() != head["envelope_digest"]:
        raise SealBroken("the envelope of the answers in the package was changed or cut off")
    return Package(
        batch_id=head["batch_id"],
        paper_digest=head["paper_digest"],
        items=head["items"],
        points=Decimal(str(head["points"])),
        index=head["index"],
        answer_key_digest=head["answer_key_digest"],
        answer_key_recipient=head["answer_key_recipient"],
        key_check=head["key_check"],
        signer=signer,
        sealed=sealed,
        envelope=envelope,
    )


def key_check(paper_key: bytes, batch_id: str) -> str:
    """By which a paper key is known to be that of a package, without opening it."""
    return derive(paper_key, f"liankao/v1/key-check|{batch_id}").hex()


def fits(paper_key: bytes, package_key_check: str, batch_id: str) -> bool:
    return hmac.compare_digest(key_check(paper_key, batch_id), package_key_check)


def index_bytes(package: Package) -> bytes:
    """The index as it is kept with a plain paper."""
    return orjson.dumps(package.index)


def _parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    written, ends = read_head(content, MAGIC, "package", _HEAD_BYTES_MAX)
    try:
        head = exact_json.decode(written)
    except Refused as fault:
        raise SealBroken(f"the package's head cannot be read: {fault.detail}") from None
    if not isinstance(head, dict) or head.keys() != _MEMBERS.keys():
        raise SealBroken(f"the package's head has other members than {', '.join(_MEMBERS)}")
    for name, kind in _MEMBERS.items():
        if not isinstance(head[name], kind) or isinstance(head[name], bool):
            raise SealBroken(f"the package's head has no usable {name}")
    return head, content[ends:]


def _public_key(head: Mapping[str, Any]) -> bytes:
    return base64.b64decode(str(head["public_key"]))  # is_valid has read it before
