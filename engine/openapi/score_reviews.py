"""The calls of a score review (成绩复核), with what they send and answer."""

from __future__ import annotations

from functools import partial

from engine.openapi.building import (
    ID,
    INSTANT_MS,
    Schema,
    answered,
    choice,
    many,
    nullable,
    number,
    ref,
    sent,
    text,
    whole,
)
from engine.openapi.operation import JSON, Content, Operation, in_path, in_query, json_body, json_reply
from engine.rules.limits import (
    NAME_CHARACTERS_MAX,
    RESULTS_PAGE_DEFAULT,
    RESULTS_PAGE_MAX,
    REVIEW_CHARACTERS_MAX,
    REVISION_MAX,
)
from engine.rules.recheck import CHECKS
from engine.rules.score_review import GROUNDS

_STATES = ("filed", "checked", "answered")
_STATE = choice(*_STATES, description="`filed`: the recheck is to be done; `checked`: a person is to answer")
_REVISION = whole(1, REVISION_MAX, description="Of the result that is reviewed")
_NAME = text(NAME_CHARACTERS_MAX)

SENT: dict[str, Schema] = {
    "ScoreReviewRequest": sent(
        {"grounds": many(choice(*GROUNDS), 1, len(GROUNDS), uniqueItems=True)},
        {
            "requested_by": {**_NAME, "description": "By default `candidate`"},
            "text": text(REVIEW_CHARACTERS_MAX, 0, description="The candidate's own words"),
            "receipt": {
                "type": "object",
                "description": "As the candidate was given it, to be compared",
            },
        },
    ),
    "ScoreReviewAnswer": sent({"answered_by": _NAME, "text": text(REVIEW_CHARACTERS_MAX)}),
}
_FINDING = answered(
    {
        "check": choice(*CHECKS),
        "ok": {"type": "boolean", "description": "False: a difference, which changes no score by itself"},
        "detail": text(),
        "detail_zh": text(description="The same in Chinese"),
    }
)
ANSWERED: dict[str, Schema] = {
    "ScoreReview": answered(
        {
            "sitting_id": ID,
            "batch_id": ID,
            "candidate_id": ID,
            "admission_ticket": text(),
            "revision": _REVISION,
            "state": _STATE,
            "requested_by": text(),
            "requested_ms": INSTANT_MS,
            "due_ms": {**INSTANT_MS, "description": "The end of the last working day for its answer"},
            "is_overdue": {"type": "boolean", "description": "Answered after `due_ms`, or not answered by then"},
            "grounds": many(choice(*GROUNDS), 1),
            "text": text(None, 0),
            "result": answered(
                {
                    "state": choice("graded", "pending_assessor", "absent", "void"),
                    "score": nullable(number(0, 100)),
                    "passed": nullable({"type": "boolean"}),
                    "graded_ms": INSTANT_MS,
                },
                description="What the reviewed revision says",
            ),
            "checked_ms": nullable(INSTANT_MS),
            "findings": nullable(many(_FINDING, len(CHECKS), len(CHECKS))),
            "ok": nullable({"type": "boolean", "description": "Whether every check found what it should"}),
            "answer": nullable(answered({"answered_by": text(), "text": text(), "answered_ms": INSTANT_MS})),
        }
    ),
    "ScoreReviews": answered(
        {
            "reviews": many(ref("ScoreReview"), 0, RESULTS_PAGE_MAX),
            "next": nullable({"type": "string", "pattern": "^[0-9]+$"}),
        }
    ),
}

_SITTING_ID = in_path("sitting_id")
_results = partial(Operation, tag="results", caller="results")
_REPORT = Content(
    {JSON: ref("ScoreReview"), "text/html": {"type": "string"}},
    "The newest review of the sitting; with `format=html` a report in Chinese to be read, printed and signed",
)
CALLS = (
    _results(
        "POST /v1/sittings/{sitting_id}/review",
        "fileScoreReview",
        "File a score review for a candidate, while the score is published; the grader rechecks what is on record",
        parameters=(_SITTING_ID,),
        sends=json_body("ScoreReviewRequest"),
        replies={
            200: json_reply("ScoreReview", "The same was filed before"),
            201: json_reply("ScoreReview", "A new review"),
        },
        codes=(
            "request.invalid",
            "not_found",
            "batch.erased",
            "score_review.not_published",
            "score_review.closed",
            "score_review.filed",
        ),
    ),
    _results(
        "GET /v1/sittings/{sitting_id}/review",
        "showScoreReview",
        "A score review with what the recheck found, its deadline and its answer",
        parameters=(
            _SITTING_ID,
            in_query("revision", _REVISION, "Of the result; by default the newest that was reviewed"),
            in_query("format", choice("json", "html", default="json"), "`html`: a self-contained page"),
        ),
        replies={200: _REPORT},
        codes=("request.invalid", "not_found"),
    ),
    _results(
        "POST /v1/sittings/{sitting_id}/review/answer",
        "answerScoreReview",
        "Answer a score review of a sitting, by a named person; the same again changes nothing",
        parameters=(_SITTING_ID, in_query("revision", _REVISION, "Of the result; by default the newest reviewed one")),
        sends=json_body("ScoreReviewAnswer"),
        replies={200: json_reply("ScoreReview", "The answered review")},
        codes=("request.invalid", "not_found", "score_review.not_checked", "score_review.answered"),
    ),
    _results(
        "GET /v1/batches/{batch_id}/reviews",
        "listScoreReviews",
        "A batch's score reviews with their deadlines, in the order in which they were filed",
        parameters=(
            in_path("batch_id"),
            in_query("state", choice(*_STATES), "Only these"),
            in_query("after", whole(0, 2**63 - 1, default=0), "The `next` of the page before"),
            in_query("limit", whole(1, RESULTS_PAGE_MAX, default=RESULTS_PAGE_DEFAULT), "Reviews per page"),
        ),
        replies={200: json_reply("ScoreReviews", "`next` is null at the end")},
        codes=("request.invalid", "not_found"),
    ),
)
