"""Score reviews over the API: filed for a candidate, shown with what the recheck found, and answered by a person.

The evaluation system files them, candidates have no key to this engine. The recheck is the grader's (`rechecker.py`);
nothing here or there changes a score: where a difference is found, people decide, and a wrong answer key is a regrade.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response

from engine import batch_log
from engine.access import require
from engine.rules.errors import Refused
from engine.rules.limits import CURSOR_MAX, RESULTS_PAGE_DEFAULT, RESULTS_PAGE_MAX, REVISION_MAX, SMALL_BODY_BYTES_MAX
from engine.rules.score_review import (
    Published,
    ReviewRequest,
    check_open,
    due_ms,
    read_answer,
    read_request,
    window,
)
from engine.rules.shape import Faults
from engine.rules.terms import Rules
from engine.scoring.results import Scoring, require_batch
from engine.scoring.review_report import CONTENT_SECURITY_POLICY, report
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries
from engine.wire import check, json_response, path_id, query_whole, read_json

_queries = Queries(__file__)
STATES = ("filed", "checked", "answered")
FORMATS = ("json", "html")


async def file(request: Request) -> Response:
    """`POST /v1/sittings/{sitting_id}/review`: 201, or 200 when the same was filed before.

    Raises Refused `score_review.not_published`, `score_review.closed` outside the window, `score_review.filed` when
    another one of the same result is there, `batch.erased` when what it would be checked against is gone.
    """
    key_id = await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    sitting_id = path_id(request, "sitting_id")
    asked = read_request(await read_json(request, SMALL_BODY_BYTES_MAX))
    async with scoring.database.transaction() as connection:
        sitting = await _find_sitting(connection, sitting_id)
        await connection.execute(_queries.lock_reviews, sitting["batch_id"])
        revisions = [_published(row) for row in await connection.fetch(_queries.published, sitting_id)]
        if not revisions:
            raise Refused("score_review.not_published", f"sitting {sitting_id!r} has no published result to review")
        revision = revisions[-1].revision
        found = await connection.fetchrow(_queries.find_review, sitting_id, revision)
        is_new = found is None
        if found is not None and _request_of(found) != asked:
            raise Refused(
                "score_review.filed",
                f"a review of revision {revision} of sitting {sitting_id!r} was filed at {found['requested_ms']} ms",
                revision=revision,
            )
        if is_new:
            await _refuse_erased(connection, sitting["batch_id"])
            rules = msgspec.json.decode(sitting["rules"], type=Rules)
            await _store(connection, sitting, revisions, rules, asked, key_id)
            found = await connection.fetchrow(_queries.find_review, sitting_id, revision)
    return json_response(_shown(found), 201 if is_new else 200)


async def show(request: Request) -> Response:
    """`GET /v1/sittings/{sitting_id}/review?revision=&format=`: the newest, as JSON or as a page to be printed."""
    await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    sitting_id = path_id(request, "sitting_id")
    faults = Faults()
    revision = query_whole(request, "revision", 0, 1, REVISION_MAX, faults)
    wanted = request.query_params.get("format") or FORMATS[0]
    if wanted not in FORMATS:
        faults.add("/format", "expected one of " + ", ".join(FORMATS), wanted)
    check(faults)
    async with scoring.database.connection() as connection:
        found = await _find(connection, sitting_id, revision)
        card = await connection.fetchrow(_queries.card_of, sitting_id)
    if wanted == "json":
        return json_response(_shown(found))
    headers = {
        "content-security-policy": CONTENT_SECURITY_POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    return Response(report(_shown(found), dict(card)), headers=headers, media_type="text/html")


async def answer(request: Request) -> Response:
    """`POST /v1/sittings/{sitting_id}/review/answer?revision=` by a named person; the same again changes nothing.

    The newest review, unless `revision` names another: a regrade may have opened a second before the first is answered.
    """
    key_id = await require(request, "results", "revision")
    scoring: Scoring = request.app.state.scoring
    sitting_id = path_id(request, "sitting_id")
    faults = Faults()
    revision = query_whole(request, "revision", 0, 1, REVISION_MAX, faults)
    check(faults)
    answered_by, text = read_answer(await read_json(request))
    async with scoring.database.transaction() as connection:
        meant = await _find(connection, sitting_id, revision)
        found = await connection.fetchrow(_queries.lock_review, sitting_id, meant["revision"])
        if found["state"] == "filed":
            raise Refused("score_review.not_checked", f"the recheck of sitting {sitting_id!r} is not done yet")
        if found["state"] == "answered" and (found["answered_by"], found["answer"]) != (answered_by, text):
            raise Refused(
                "score_review.answered",
                f"the review of sitting {sitting_id!r} was answered at {found['answered_ms']} ms; that answer stands",
            )
        if found["state"] == "checked":
            await connection.execute(_queries.answer, sitting_id, found["revision"], answered_by, text, now_ms())
            after = {"sitting_id": sitting_id, "revision": found["revision"]}
            people = [answered_by]
            await batch_log.record(
                connection, found["batch_id"], "score_review_answered", people=people, key_id=key_id, after=after
            )
        found = await _find(connection, sitting_id, found["revision"])
    return json_response(_shown(found))


async def show_many(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}/reviews?state=&after=&limit=`: in the order of their filing, with their deadlines."""
    await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    batch_id = path_id(request, "batch_id")
    faults = Faults()
    after = query_whole(request, "after", 0, 0, CURSOR_MAX, faults)
    limit = query_whole(request, "limit", RESULTS_PAGE_DEFAULT, 1, RESULTS_PAGE_MAX, faults)
    state = request.query_params.get("state") or None
    if state is not None and state not in STATES:
        faults.add("/state", "expected one of " + ", ".join(STATES), state)
    check(faults)
    async with scoring.database.connection() as connection:
        await require_batch(connection, batch_id)
        rows = await connection.fetch(_queries.page_of_reviews, batch_id, after, limit + 1, state)
    next_cursor = str(rows[limit - 1]["number"]) if len(rows) > limit else None
    return json_response({"reviews": [_shown(row) for row in rows[:limit]], "next": next_cursor})


async def _store(
    connection: Connection,
    sitting: Record,
    revisions: list[Published],
    rules: Rules,
    asked: ReviewRequest,
    key_id: str,
) -> None:
    requested_ms = now_ms()
    check_open(window(revisions, rules), requested_ms)
    sitting_id, revision = sitting["sitting_id"], revisions[-1].revision
    due = due_ms(requested_ms, rules)
    await connection.execute(
        _queries.insert_review,
        sitting_id,
        revision,
        sitting["batch_id"],
        asked.requested_by,
        requested_ms,
        due,
        list(asked.grounds),
        asked.text,
        asked.receipt,
        key_id,
    )
    after = {"sitting_id": sitting_id, "revision": revision, "grounds": asked.grounds, "due_ms": due}
    people = [asked.requested_by]
    await batch_log.record(
        connection, sitting["batch_id"], "score_review_filed", people=people, key_id=key_id, after=after
    )


def _published(row: Record) -> Published:
    # A publication number is the moment in microseconds.
    document = orjson.loads(row["document"])
    said = (document["state"], document["score"], document["passed"])
    return Published(row["revision"], row["publication"] // 1000, said)


def _request_of(row: Record) -> ReviewRequest:
    return ReviewRequest(row["requested_by"], tuple(row["grounds"]), row["words"], row["receipt"])


async def _find_sitting(connection: Connection, sitting_id: str) -> Record:
    sitting = await connection.fetchrow(_queries.find_sitting, sitting_id)
    if sitting is None:
        raise Refused("not_found", f"there is no sitting {sitting_id!r}")
    return sitting


async def _refuse_erased(connection: Connection, batch_id: str) -> None:
    """Until the caller's transaction ends no purge begins. Raises Refused `batch.erased`."""
    await connection.execute(_queries.hold_batch, batch_id)
    if await connection.fetchval(_queries.is_erased, batch_id):
        raise Refused("batch.erased", f"the answers of batch {batch_id!r} need not be kept any more")


async def _find(connection: Connection, sitting_id: str, revision: int) -> Record:
    """The review of that revision, or the newest for 0."""
    found = await connection.fetchrow(_queries.find_review, sitting_id, revision or None)
    if found is None:
        raise Refused("not_found", f"no review of a score of sitting {sitting_id!r} was filed")
    return found


def _shown(row: Record) -> dict[str, Any]:
    """A review as the answer's members."""
    names = (
        "sitting_id", "batch_id", "candidate_id", "admission_ticket", "revision", "state", "requested_by",
        "requested_ms", "due_ms", "grounds", "checked_ms",
    )  # fmt: skip
    is_answered = row["answered_ms"] is not None
    given = {"answered_by": row["answered_by"], "text": row["answer"], "answered_ms": row["answered_ms"]}
    findings = None if row["findings"] is None else orjson.loads(row["findings"])
    document = orjson.loads(row["document"])
    return {
        **{name: row[name] for name in names},
        "text": row["words"],
        "is_overdue": (row["answered_ms"] or now_ms()) >= row["due_ms"],
        "result": {name: document[name] for name in ("state", "score", "passed", "graded_ms")},
        "findings": findings,
        "ok": None if findings is None else all(finding["ok"] for finding in findings),
        "answer": given if is_answered else None,
    }
