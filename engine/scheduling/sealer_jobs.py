"""What is done with a readable paper, and what is told of it: run only where it is forgotten (`sealer_process.py`).

A job comes with its bytes; its outcome holds ciphertext, digests, and what checking a response needs.
"""

from __future__ import annotations

import hmac
from decimal import Decimal

import msgspec
import orjson
from msgspec import Struct

from engine.rules import exact_json
from engine.rules.errors import ExamError, Invalid, Refused
from engine.rules.question_set import read_question_set
from engine.rules.regrading import Form, read_proposal
from engine.scheduling.workshop import Failed, TimeIsUp
from engine.sealing import content, paper, secrets, shares
from engine.sealing.answer_key import changes_place, seal_answer_key
from engine.sealing.envelope import KEY_BYTES, SealBroken, derive
from engine.sealing.provider import content_purpose, open_provider, paper_key_purpose
from engine.sealing.signature import Signer
from engine.settings import Settings


class SealPaper(Struct, frozen=True, tag=True):
    """Check a pushed paper, the job's bytes, and seal it; without a recipient its answers are dropped."""

    paper_id: str
    recipient: bytes | None


class SealedPaper(Struct, frozen=True, tag=True):
    digest: str
    items: int
    points: Decimal
    item_index: bytes
    content: bytes
    content_key_wrapped: bytes
    answer_key_digest: str
    answer_key_envelope: bytes


class SealBatch(Struct, frozen=True, tag=True):
    """Seal a paper for one batch, under a key of its own; the job's bytes are the paper's sealed content."""

    batch_id: str
    armed_id: str  # the batch, and which of its papers this is
    paper_id: str
    paper_digest: str
    content_key_wrapped: bytes


class SealedBatch(Struct, frozen=True, tag=True):
    sealed: bytes
    sealed_digest: str
    paper_key_wrapped: bytes


class ReadArming(Struct, frozen=True, tag=True):
    """Read the body of an arming call, the job's bytes, and leave its shares out."""


class CombineShares(Struct, frozen=True, tag=True):
    """Put a paper key together from the shares in the body of an arming call, the job's bytes, and wrap it."""

    batch_id: str
    armed_id: str
    sealed_digest: str
    key_check: str
    others: tuple[str, ...] = ()  # digests of the batch's other packages, whose shares come in the same body


class SealChanges(Struct, frozen=True, tag=True):
    """Check what a regrade would change and seal it; the job's bytes are the call's body, then the forms' items."""

    regrade_id: str
    batch_id: str
    body_bytes: int
    recipient: bytes


class SealedChanges(Struct, frozen=True, tag=True):
    """`told` is JSON: which members of which items would change, never to what. `fingerprint` knows the same call."""

    reason: str
    proposed_by: str
    told: bytes
    envelope: bytes
    fingerprint: bytes


class Told(Struct, frozen=True, tag=True):
    """What may be known: the rest of a body, or a wrapped key."""

    content: bytes


Job = SealPaper | SealBatch | ReadArming | CombineShares | SealChanges
Outcome = SealedPaper | SealedBatch | SealedChanges | Told | Failed


def do(job: Job, content_bytes: bytes, settings: Settings) -> Outcome:
    """Never raises, and tells nothing of the paper but what a refusal quotes to who sent it."""
    try:
        if isinstance(job, SealPaper):
            return _seal_paper(job, content_bytes, settings)
        if isinstance(job, SealBatch):
            return _seal_batch(job, content_bytes, settings)
        if isinstance(job, ReadArming):
            return _read_arming(content_bytes)
        if isinstance(job, SealChanges):
            return _seal_changes(job, content_bytes, settings)
        return _combine_shares(job, content_bytes, settings)
    except MemoryError:
        return Failed("request.too_large", "the paper takes more memory than may be used for one")
    except TimeIsUp:
        return Failed("try_later", "sealing took longer than it may; nothing was stored")
    except ExamError as fault:
        return Failed(fault.code, fault.detail, orjson.dumps(fault.members, default=float))
    except Exception as fault:  # its message may quote the paper
        return Failed("internal", f"{type(fault).__name__} while a paper was sealed; nothing was stored")


def _seal_paper(job: SealPaper, body: bytes, settings: Settings) -> SealedPaper:
    question_set = read_question_set(exact_json.decode(body))
    content_key = secrets.random_bytes(content.KEY_BYTES)
    purpose = content_purpose(job.paper_id, question_set.digest)
    plain = orjson.dumps(question_set.public, default=float)
    envelope = b""
    if job.recipient is not None:
        envelope = seal_answer_key(question_set.answer_key, question_set.digest, job.recipient)
    return SealedPaper(
        digest=question_set.digest,
        items=question_set.items,
        points=question_set.points,
        item_index=orjson.dumps(question_set.index),
        content=content.seal_content(purpose, plain, content_key),
        content_key_wrapped=open_provider(settings).wrap(purpose, content_key),
        answer_key_digest=question_set.answer_key_digest,
        answer_key_envelope=envelope,
    )


def _seal_batch(job: SealBatch, sealed_content: bytes, settings: Settings) -> SealedBatch:
    purpose = content_purpose(job.paper_id, job.paper_digest)
    provider = open_provider(settings)
    try:
        content_key = provider.unwrap(purpose, job.content_key_wrapped)
        plain = content.open_content(purpose, sealed_content, content_key)
    except SealBroken as fault:
        raise _unready(f"paper {job.paper_id!r} cannot be opened, push it again: {fault}") from None
    paper_key = secrets.random_bytes(KEY_BYTES)
    signer = Signer(secrets.read(settings.secrets_dir, "receipt.key"))
    sealed = paper.seal_paper(job.batch_id, orjson.loads(plain), paper_key, signer)
    return SealedBatch(
        sealed=sealed,
        sealed_digest=paper.sealed_digest(sealed),
        paper_key_wrapped=provider.wrap(paper_key_purpose(job.armed_id), paper_key),
    )


def _read_arming(body: bytes) -> Told:
    document = exact_json.decode(body)
    _shares_of(document)
    return Told(orjson.dumps({name: value for name, value in document.items() if name != "shares"}, default=float))


def _combine_shares(job: CombineShares, body: bytes, settings: Settings) -> Told:
    try:
        given = [share for share in _shares_of(exact_json.decode(body)) if share.sealed_digest not in job.others]
        paper_key = shares.combine_shares(given, job.sealed_digest, job.batch_id, job.key_check)
    except SealBroken as fault:
        raise _unready(str(fault), "shares.wrong") from None
    return Told(open_provider(settings).wrap(paper_key_purpose(job.armed_id), paper_key))


def _seal_changes(job: SealChanges, body_and_forms: bytes, settings: Settings) -> SealedChanges:
    document = exact_json.decode(body_and_forms[: job.body_bytes])
    forms = msgspec.json.decode(body_and_forms[job.body_bytes :], type=list[Form])
    proposal = read_proposal(document, forms)
    sealed = {"changes": [{"form": each.form, "item": each.item, "members": each.members} for each in proposal.changes]}
    told = [{"form": each.form, "item": each.item, "changed": each.told} for each in proposal.changes]
    # Keyed: a digest of so few possible answers would tell them to whoever tries them all.
    key = derive(secrets.read(settings.secrets_dir, "login.key"), f"liankao/v1/regrade|{job.batch_id}")
    return SealedChanges(
        reason=proposal.reason,
        proposed_by=proposal.proposed_by,
        told=orjson.dumps(told),
        envelope=seal_answer_key(sealed, changes_place(job.regrade_id), job.recipient),
        fingerprint=hmac.digest(key, exact_json.canonical(document), "sha256"),
    )


def _shares_of(document: object) -> list[shares.OpenShare]:
    """Raises Invalid naming the first that is none; never its value."""
    listed = document.get("shares") if isinstance(document, dict) else None
    try:
        return msgspec.convert(listed, list[shares.OpenShare])
    except msgspec.ValidationError as fault:
        pointer = "/shares" if isinstance(document, dict) else ""
        raise Invalid("request.invalid", [{"pointer": pointer, "message": str(fault), "value": None}]) from None


def _unready(message: str, code: str = "paper.content") -> Refused:
    listed = [{"code": code, "message": message}]
    return Refused("batch.not_ready", message, not_ready=listed, errors=listed)
