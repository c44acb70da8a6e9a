"""Question sets come in here: checked whole, and sealed before anything of them is stored.

Content goes under a key of its own which the key provider wraps, answers to the grader's public key; both are done in
a process that forgets the paper (`sealer.py`), so that a worker never holds a readable one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.rules.errors import Refused, TryLater
from engine.rules.limits import PAPER_BODY_BYTES_MAX
from engine.rules.marking import json_number
from engine.scheduling.package import forget_package, is_package, store_package, take_package
from engine.scheduling.pinned import armed_batch_of, in_use, keep_answer_key
from engine.scheduling.resources import Scheduling
from engine.scheduling.sealer_jobs import SealedPaper, SealPaper
from engine.sealing.signature import key_id
from engine.stores import public_keys
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection
from engine.stores.sql import Queries
from engine.vault import read_vault
from engine.wire import json_response, new_id, path_id, read_dry_run

_queries = Queries(__file__)


async def put_paper(request: Request) -> Response:
    """`PUT /v1/papers/{paper_id}`: 201 for a new paper, 200 otherwise; the same content changes nothing."""
    await require(request, "schedule", "dry_run")
    scheduling: Scheduling = request.app.state.scheduling
    paper_id = new_id(request, "paper_id", "paper.invalid")
    is_dry = read_dry_run(request)
    if is_package(request):
        package = await take_package(request, scheduling.package_keys)
        is_new = await store_package(scheduling.database, paper_id, package, is_dry)
        return json_response(
            _shown(paper_id, package.paper_digest, package.items, package.points), 201 if is_new else 200
        )
    body = await read_vault(request.scope, request.receive, PAPER_BODY_BYTES_MAX)
    try:
        async with scheduling.database.connection() as connection:
            recipient = await public_keys.answer_key_recipient(connection)
        sealed = await scheduling.sealer.seal_paper(SealPaper(paper_id, recipient), body)
    finally:
        body.close()
    is_new = await _store(scheduling, paper_id, sealed, recipient, is_dry)
    return json_response(_shown(paper_id, sealed.digest, sealed.items, sealed.points), 201 if is_new else 200)


async def show_paper(request: Request) -> Response:
    """`GET /v1/papers/{paper_id}`: digest and size, no content."""
    await require(request, "schedule")
    scheduling: Scheduling = request.app.state.scheduling
    paper_id = path_id(request, "paper_id")
    async with scheduling.database.connection() as connection:
        row = await connection.fetchrow(_queries.find_paper, paper_id)
    if row is None:
        raise Refused("not_found", f"there is no paper {paper_id[:80]!r}")
    return json_response(_shown(row["paper_id"], row["digest"], row["items"], row["points"]))


async def _store(
    scheduling: Scheduling, paper_id: str, sealed: SealedPaper, sealed_to: bytes | None, is_dry: bool
) -> bool:
    async with scheduling.database.transaction(is_dry_run=is_dry) as connection:
        recipient = await public_keys.answer_key_recipient(connection)
        if recipient is None:
            raise TryLater("no grader has registered its public key yet; start one, the paper was not stored")
        if recipient != sealed_to:
            raise TryLater("a grader has registered another public key meanwhile; the paper was not stored")
        stored = await connection.fetchrow(_queries.lock_paper, paper_id)
        is_same = stored is not None and stored["digest"] == sealed.digest
        if stored and is_same and stored["has_content"] and stored["answer_key_recipient"] == key_id(recipient):
            return False
        batch_id = await armed_batch_of(connection, paper_id)
        if batch_id is not None and is_same:
            return False  # armed batches have pinned it, with the key in use then
        if batch_id is not None:
            raise in_use(paper_id, batch_id)
        await _put(connection, paper_id, sealed, key_id(recipient))
    return stored is None


async def _put(connection: Connection, paper_id: str, sealed: SealedPaper, recipient_id: str) -> None:
    await keep_answer_key(connection, sealed.digest, recipient_id, sealed.answer_key_envelope)
    await connection.execute(
        _queries.put_paper,
        paper_id,
        sealed.digest,
        sealed.items,
        sealed.points,
        sealed.content,
        sealed.item_index,
        sealed.answer_key_digest,
        recipient_id,
        now_ms(),
        sealed.content_key_wrapped,
    )
    await forget_package(connection, paper_id)


def _shown(paper_id: str, digest: str, items: int, points: Decimal) -> dict[str, Any]:
    return {"paper_id": paper_id, "digest": digest, "items": items, "points": json_number(points)}
