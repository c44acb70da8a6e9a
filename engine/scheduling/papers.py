"""Question sets come in here: checked whole, split into what candidates may see and the envelope of the answers."""

from __future__ import annotations

import asyncio
import zlib
from decimal import Decimal
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.rules import exact_json
from engine.rules.errors import Refused, TryLater
from engine.rules.limits import ID_PATTERN, PAPER_BODY_BYTES_MAX
from engine.rules.marking import json_number
from engine.rules.question_set import QuestionSet, read_question_set
from engine.rules.shape import Faults
from engine.scheduling.resources import Scheduling
from engine.sealing.answer_key import seal_answer_key
from engine.sealing.signature import key_id
from engine.stores import public_keys
from engine.stores.clock import now_ms
from engine.stores.sql import Queries
from engine.wire import check, json_response, path_id, read_body

_queries = Queries(__file__)


async def put_paper(request: Request) -> Response:
    """`PUT /v1/papers/{paper_id}`: 201 for a new paper, 200 otherwise; the same content changes nothing."""
    await require(request, "schedule")
    scheduling: Scheduling = request.app.state.scheduling
    paper_id = request.path_params["paper_id"]
    check_id(paper_id, "paper_id", "paper.invalid")
    body = await read_body(request.receive, PAPER_BODY_BYTES_MAX)
    question_set = await asyncio.to_thread(lambda: read_question_set(exact_json.decode(body)))
    content = await asyncio.to_thread(lambda: zlib.compress(orjson.dumps(question_set.public, default=float), 1))
    is_new = await _store(scheduling, paper_id, question_set, content)
    return json_response(
        _shown(paper_id, question_set.digest, question_set.items, question_set.points), 201 if is_new else 200
    )


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


def check_id(given: str, name: str, code: str) -> None:
    """An id in a path that is to be created. Raises Invalid naming it."""
    faults = Faults()
    if not ID_PATTERN.fullmatch(given):
        faults.add(f"/{name}", "expected 1 to 64 characters of A-Z a-z 0-9 . _ -", given)
    check(faults, code)


async def _store(scheduling: Scheduling, paper_id: str, question_set: QuestionSet, content: bytes) -> bool:
    async with scheduling.database.transaction() as connection:
        recipient = await public_keys.answer_key_recipient(connection)
        if recipient is None:
            raise TryLater("no grader has registered its public key yet; start one, the paper was not stored")
        stored = await connection.fetchrow(_queries.lock_paper, paper_id)
        if stored and stored["digest"] == question_set.digest and stored["answer_key_recipient"] == key_id(recipient):
            return False
        batch_id = await connection.fetchval(_queries.armed_batch_of, paper_id)
        if batch_id is not None and stored and stored["digest"] == question_set.digest:
            return False  # armed batches have pinned it, with the key in use then
        if batch_id is not None:
            raise Refused(
                "paper.in_use", f"paper {paper_id!r} is pinned by armed batch {batch_id!r}", batch_id=batch_id
            )
        await connection.execute(
            _queries.put_paper,
            paper_id,
            question_set.digest,
            question_set.public["title"],
            question_set.items,
            question_set.points,
            content,
            orjson.dumps(question_set.index),
            question_set.answer_key_digest,
            seal_answer_key(question_set.answer_key, question_set.digest, recipient),
            key_id(recipient),
            now_ms(),
        )
    return stored is None


def _shown(paper_id: str, digest: str, items: int, points: Decimal) -> dict[str, Any]:
    return {"paper_id": paper_id, "digest": digest, "items": items, "points": json_number(points)}
