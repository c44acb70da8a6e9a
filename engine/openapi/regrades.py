"""The calls of a regrade, with what they send and answer."""

from __future__ import annotations

from functools import partial

from engine.openapi.building import (
    ID,
    INSTANT_MS,
    Schema,
    answered,
    choice,
    hex_digest,
    many,
    nullable,
    number,
    ref,
    sent,
    text,
    whole,
)
from engine.openapi.operation import Operation, in_path, in_query, json_body, json_reply
from engine.rules.limits import (
    ACCEPTED_MAX,
    BLANKS_MAX,
    FILL_CHARACTERS_MAX,
    FORMS_MAX,
    NAME_CHARACTERS_MAX,
    OPTIONS_MAX,
    POINTS_MAX,
    REASON_CHARACTERS_MAX,
    REGRADE_BODY_BYTES_MAX,
    REGRADE_CHANGES_MAX,
    REGRADES_LISTED_MAX,
    RESULTS_PAGE_DEFAULT,
    RESULTS_PAGE_MAX,
    ROSTER_ROWS_MAX,
    SEQ_MAX,
)
from engine.rules.marking import FOLDS, MARKINGS
from engine.rules.regrading import CHANGED, ONLY

_STATES = ("proposed", "ready", "failed", "approved", "applied", "dropped")
_STATE = choice(
    *_STATES,
    description="`proposed`: its dry run is to be made; `ready`: look at it and decide; `failed`: `fault` says why; "
    "`approved`: the grader writes its revisions; then `applied`; or `dropped`",
)
_FORM = whole(0, FORMS_MAX - 1, description="Which of the batch's papers, in the order of `papers`")
_COUNT = whole(0, ROSTER_ROWS_MAX)

_CHANGE = sent(
    {"item": ID},
    {
        "form": {**_FORM, "description": "Which of the batch's papers; needed where several have the item"},
        "paper_id": {**ID, "description": "The same, by the paper's id"},
        "all_forms": {"type": "boolean", "description": "It is the same item in every paper that has it"},
        "answer": {
            "description": "As in the paper, by the item's type; of a `single` item also the list of all right options",
            "anyOf": [
                ID,
                many(ID, 1, OPTIONS_MAX),
                {"type": "boolean"},
                {"type": "number"},
                many(many(text(FILL_CHARACTERS_MAX), 1, ACCEPTED_MAX), 1, BLANKS_MAX),
            ],
        },
        "marking": choice(*MARKINGS),
        "fold": many(choice(*FOLDS), 0, len(FOLDS)),
        "tolerance": {"type": "number", "minimum": 0},
        "points": number(0, POINTS_MAX, description="Not of a `text` item"),
        "voided": {"type": "boolean", "description": "It counts for nobody, and its points leave the total"},
        "accept_all": {"type": "boolean", "description": "Everyone who sat earns its points"},
    },
    description="One item. `voided` and `accept_all` as false, or a new `answer`, have it marked again",
)
SENT: dict[str, Schema] = {
    "Regrade": sent(
        {
            "reason": text(REASON_CHARACTERS_MAX),
            "proposed_by": text(NAME_CHARACTERS_MAX),
            "changes": many(ref("KeyChange"), 1, REGRADE_CHANGES_MAX),
        }
    ),
    "KeyChange": _CHANGE,
}

_DIGEST = hex_digest("the RFC 8785 form of the answer key")
_SUMMARY = answered(
    {
        "sittings": {**_COUNT, "description": "Results that would get a new revision: all of the forms it touches"},
        "up": _COUNT,
        "down": _COUNT,
        "same": _COUNT,
        "unscored": {**_COUNT, "description": "Absent, void, or awaiting an assessor"},
        "passes_gained": _COUNT,
        "passes_lost": _COUNT,
        "answer_keys": many(answered({"form": _FORM, "before": _DIGEST, "after": _DIGEST})),
    }
)
_REGRADE: dict[str, Schema] = {
    "regrade_id": ID,
    "batch_id": ID,
    "state": _STATE,
    "reason": text(),
    "proposed_by": text(),
    "proposed_ms": INSTANT_MS,
    "tried_ms": nullable(INSTANT_MS),
    "fault": nullable(text(description="Why it failed, or why another dry run is made")),
    "decided_by": many(text()),
    "decided_ms": nullable(INSTANT_MS),
    "applied_ms": nullable(INSTANT_MS),
    "changes": many(
        answered({"form": _FORM, "item": ID, "changed": many(choice(*CHANGED), 1)}),
        1,
        description="Which members of which items, never to what",
    ),
    "summary": nullable(_SUMMARY),
}
_SCORED = answered({"score": nullable(number(0, 100)), "passed": nullable({"type": "boolean"})})
_DIFFERENCE = answered(
    {
        "sitting_id": ID,
        "candidate_id": ID,
        "admission_ticket": text(),
        "revision": whole(1, SEQ_MAX, description="Of the result there was"),
        "direction": choice("up", "down", "same", "unscored"),
        "pass_change": nullable(choice("gained", "lost")),
        "before": _SCORED,
        "after": _SCORED,
    }
)
ANSWERED: dict[str, Schema] = {
    "RegradeProposed": answered({"regrade_id": ID, "batch_id": ID, "state": _STATE}),
    "ShownRegrade": answered(_REGRADE),
    "RegradeDifferences": answered(
        {**_REGRADE, "differences": many(_DIFFERENCE, 0, RESULTS_PAGE_MAX), "next": nullable(ID)}
    ),
    "Regrades": answered({"regrades": many(ref("ShownRegrade"), 0, REGRADES_LISTED_MAX)}),
}

_BATCH_ID, _REGRADE_ID = in_path("batch_id"), in_path("regrade_id")
_results = partial(Operation, tag="results", caller="results")
_decision = partial(
    _results,
    parameters=(_BATCH_ID, _REGRADE_ID),
    sends=json_body("Release"),
    replies={200: json_reply("ShownRegrade", "The regrade as it stands now")},
)
CALLS = (
    _results(
        "POST /v1/batches/{batch_id}/regrades",
        "proposeRegrade",
        "Propose another answer key for a batch that is over; the grader tries it, and changes nothing yet",
        parameters=(_BATCH_ID,),
        sends=json_body("Regrade", REGRADE_BODY_BYTES_MAX),
        replies={
            200: json_reply("RegradeProposed", "The same proposal is open already"),
            201: json_reply("RegradeProposed", "A new proposal"),
        },
        codes=("regrade.invalid", "not_found", "batch.erased", "regrade.not_closed", "regrade.open"),
    ),
    _results(
        "GET /v1/batches/{batch_id}/regrades",
        "listRegrades",
        "A batch's regrades, the newest first",
        parameters=(_BATCH_ID,),
        replies={200: json_reply("Regrades", "Without their differences")},
        codes=("not_found",),
    ),
    _results(
        "GET /v1/batches/{batch_id}/regrades/{regrade_id}",
        "showRegrade",
        "A regrade with its figures, and a page of the results that it would change, or has changed",
        parameters=(
            _BATCH_ID,
            _REGRADE_ID,
            in_query("only", choice(*ONLY, default=ONLY[0]), "Which sittings; `changed`: another score or pass"),
            in_query("after", ID, "The `next` of the page before"),
            in_query("limit", whole(1, RESULTS_PAGE_MAX, default=RESULTS_PAGE_DEFAULT), "Sittings per page"),
        ),
        replies={200: json_reply("RegradeDifferences", "In the order of sittings; `next` is null at the end")},
        codes=("request.invalid", "not_found"),
    ),
    _decision(
        "POST /v1/batches/{batch_id}/regrades/{regrade_id}/apply",
        "applyRegrade",
        "Approve a dry run, by two people: every result it touches gets a new revision, the old ones stay",
        codes=("request.invalid", "not_found", "regrade.not_ready", "regrade.settled", "regrade.stale"),
    ),
    _decision(
        "POST /v1/batches/{batch_id}/regrades/{regrade_id}/drop",
        "dropRegrade",
        "Drop a regrade, by two people: nothing changes",
        codes=("request.invalid", "not_found", "regrade.settled"),
    ),
)
