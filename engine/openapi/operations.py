"""Every operation of the HTTP API as a row of data: who calls it, what is sent, what comes back, how it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from engine.openapi import (
    assessing,
    devices,
    nodes,
    photos,
    regrades,
    rosters,
    score_reviews,
    sites,
    statistics,
    webhooks,
)
from engine.openapi.building import Schema, ref, whole
from engine.openapi.invigilation import INVIGILATION_CALLS
from engine.openapi.operation import (
    CANDIDATE,
    CSV,
    JSON,
    NDJSON,
    OCTETS,
    PUBLIC,
    XLSX,
    Content,
    Operation,
    in_path,
    in_query,
    json_body,
    json_reply,
)
from engine.rules.limits import (
    AUTOSAVE_BODY_BYTES_MAX,
    BATCH_LOG_PAGE_DEFAULT,
    BATCH_LOG_PAGE_MAX,
    INSTANT_MS_MAX,
    PAPER_BODY_BYTES_MAX,
    RESULTS_PAGE_DEFAULT,
    RESULTS_PAGE_MAX,
)

_IMMUTABLE = {"ETag": "The digest in quotes", "Cache-Control": "A year, immutable"}
_PAPER_ID = in_path("paper_id")
_BATCH_ID = in_path("batch_id")
_SITTING_ID = in_path("sitting_id")
_DRY_RUN = in_query("dry_run", whole(0, 1, default=0), "1: every check, the same answer, and nothing is changed")
_AFTER = in_query("after", whole(0, 2**63 - 1, default=0), "The `next` of the page before")
_LIMIT = in_query("limit", whole(1, RESULTS_PAGE_MAX, default=RESULTS_PAGE_DEFAULT), "Results per page")
_LINES: Schema = {"type": "string", "description": "One JSON object per line, as in the JSON array"}
_TABLE: Schema = {
    "type": "string",
    "description": "RFC 4180 with BOM: the members of a result, its sections as `section_<id>_score` and `_points`. A "
    "text that a spreadsheet would take for a formula has an apostrophe before it",
}
_HTML: Schema = {"type": "string"}

_candidate = partial(Operation, tag="candidate", caller=CANDIDATE)
_scheduling = partial(Operation, tag="scheduling", caller="schedule")
_results = partial(Operation, tag="results", caller="results")
_public = partial(Operation, tag="operations", caller=PUBLIC, stores=False)

_CANDIDATES_CALLS = (
    _candidate(
        "POST /v1/login",
        "logIn",
        "Enter, or enter again: admission code and ID number for a token of one sitting",
        caller=PUBLIC,
        sends=json_body("Login"),
        replies={200: json_reply("LoggedIn", "A token; every older one of the sitting stops")},
        codes=(
            "request.invalid",
            "login.refused",
            "login.too_early",
            "login.too_late",
            "login.elsewhere",
            "rate.limited",
        ),
    ),
    _candidate(
        "GET /v1/sitting",
        "showSitting",
        "The sitting as it stands, with every response the engine holds",
        replies={200: json_reply("Sitting", "The sitting")},
    ),
    _candidate(
        "POST /v1/sitting/confirm",
        "confirm",
        "The personal data shown are right",
        sends=json_body("Accepted"),
        replies={200: json_reply("SittingState", "The state now")},
        codes=("request.invalid", "confirm.refused", "sitting.order"),
    ),
    _candidate(
        "POST /v1/sitting/pledge",
        "pledge",
        "The room's rules are accepted",
        sends=json_body("Accepted"),
        replies={200: json_reply("SittingState", "The state now")},
        codes=("request.invalid", "pledge.refused", "sitting.order"),
    ),
    _candidate(
        "GET /v1/sitting/paper-key",
        "showPaperKey",
        "The key of the sealed paper and the sitting's seed, from the start on",
        replies={200: json_reply("PaperKey", "32 bytes each, in base64url")},
        codes=("paper_key.too_early", "sitting.order", "photo.due"),
    ),
    _candidate(
        "POST /v1/sitting/responses",
        "saveResponses",
        "Save changes: all of the call or none; safe to send again, in any order",
        sends=json_body("SaveCall", AUTOSAVE_BODY_BYTES_MAX),
        replies={200: json_reply("Saved", "Every change of the call is on disk")},
        codes=("autosave.invalid", "autosave.not_open", "autosave.closed", "sitting.order"),
    ),
    _candidate(
        "GET /v1/channel",
        "openChannel",
        "The sitting's WebSocket: saves up; acknowledgements, time, paper key, takeover and end down",
        caller=PUBLIC,
        replies={101: Content({}, "Switched to WebSocket; see `ChannelSent` and `ChannelTold` for its messages")},
        codes=("channel.origin", "channel.upgrade", "request.malformed"),
    ),
    _candidate(
        "POST /v1/sitting/submit",
        "submit",
        "Hand in; repeated, the same receipt again",
        sends=json_body("Submit"),
        replies={200: json_reply("Receipt", "The signed receipt")},
        codes=("request.invalid", "submit.behind", "submit.too_early", "submit.closed", "sitting.order"),
    ),
    _candidate(
        "GET /v1/sitting/receipt",
        "showReceipt",
        "The receipt of a sitting handed in, or collected at its end",
        replies={200: json_reply("Receipt", "The signed receipt")},
        codes=("sitting.order",),
    ),
    _candidate(
        "GET /v1/sealed/{digest}",
        "showSealed",
        "The sealed paper's bytes, the same for every candidate of its batch",
        caller=PUBLIC,
        parameters=(in_path("digest", {"type": "string", "pattern": "^[0-9a-f]{64}$"}),),
        replies={
            200: Content({OCTETS: {}}, "Bytes whose SHA-256 is the digest", _IMMUTABLE),
            304: Content({}, "The `If-None-Match` of the request names it", _IMMUTABLE),
        },
        codes=("not_found",),
    ),
)

_SCHEDULING_CALLS = (
    _scheduling(
        "PUT /v1/papers/{paper_id}",
        "putPaper",
        "Push a question set, or a package sealed for one batch; the same content again changes nothing",
        parameters=(_PAPER_ID, _DRY_RUN),
        sends=Content(
            {JSON: ref("Paper")},
            "JSON in UTF-8; or, as `application/vnd.liankao.sealed`, a package made by `./run paper seal`",
            bytes_max=PAPER_BODY_BYTES_MAX,
        ),
        replies={
            200: json_reply("StoredPaper", "The paper was there already, the same or in another version"),
            201: json_reply("StoredPaper", "A new paper"),
        },
        codes=("paper.invalid", "paper.in_use", "request.invalid"),
    ),
    _scheduling(
        "GET /v1/papers/{paper_id}",
        "showPaper",
        "A paper's digest and size, never its content",
        parameters=(_PAPER_ID,),
        replies={200: json_reply("StoredPaper", "The paper")},
        codes=("not_found",),
    ),
    _scheduling(
        "GET /v1/batches",
        "listBatches",
        "The batches that start in [from_ms, to_ms)",
        parameters=(
            in_query("from_ms", whole(0, INSTANT_MS_MAX, default=0), "Unix milliseconds"),
            in_query("to_ms", whole(0, INSTANT_MS_MAX, default=INSTANT_MS_MAX), "Unix milliseconds"),
        ),
        replies={200: json_reply("StoredBatches", "In the order of their starts")},
        codes=("request.invalid",),
    ),
    _scheduling(
        "PUT /v1/batches/{batch_id}",
        "putBatch",
        "Push a batch; the same content again changes nothing",
        parameters=(_BATCH_ID, _DRY_RUN),
        sends=json_body("Batch"),
        replies={
            200: json_reply("StoredBatch", "The batch was there already, the same or as another draft"),
            201: json_reply("StoredBatch", "A new batch"),
        },
        codes=("batch.invalid", "batch.armed", "request.invalid"),
    ),
    _scheduling(
        "GET /v1/batches/{batch_id}",
        "showBatch",
        "A batch with its state and how many sittings stand where",
        parameters=(_BATCH_ID,),
        replies={200: json_reply("StoredBatch", "The batch")},
        codes=("not_found",),
    ),
    _scheduling(
        "PUT /v1/batches/{batch_id}/roster",
        "putRoster",
        "Push the whole roster, all or nothing; the content decides the format",
        parameters=(_BATCH_ID, _DRY_RUN, rosters.FORMAT, sites.SEATS_OPEN),
        sends=rosters.SENT,
        replies={200: rosters.TAKEN},
        codes=("request.invalid", "not_found", "roster.invalid", "roster.file_format", "batch.armed"),
        refused_as=rosters.MARKED,
    ),
    _scheduling(
        "POST /v1/batches/{batch_id}/arm",
        "armBatch",
        "Seal the paper and lay everything ready, before two witnesses; again it changes nothing",
        parameters=(_BATCH_ID, _DRY_RUN),
        sends=json_body("Arm"),
        replies={200: json_reply("StoredBatch", "The armed batch")},
        codes=("request.invalid", "not_found", "batch.not_ready"),
    ),
    _scheduling(
        "POST /v1/batches/{batch_id}/disarm",
        "disarmBatch",
        "Make a draft of an armed batch again before it starts, by two people: its seal, key and logins end",
        parameters=(_BATCH_ID, _DRY_RUN),
        sends=json_body("Disarm"),
        replies={200: json_reply("StoredBatch", "The draft")},
        codes=("request.invalid", "not_found", "batch.begun", "batch.not_armed"),
    ),
    _scheduling(
        "GET /v1/batches/{batch_id}/log",
        "showBatchLog",
        "What was done to a batch: by whom, when, and what it changed",
        parameters=(
            _BATCH_ID,
            _AFTER,
            in_query("limit", whole(1, BATCH_LOG_PAGE_MAX, default=BATCH_LOG_PAGE_DEFAULT), "Events per page"),
        ),
        replies={200: json_reply("BatchLog", "Oldest first; `next` is null at the end")},
        codes=("request.invalid", "not_found"),
    ),
    _scheduling(
        "POST /v1/batches/{batch_id}/release",
        "releaseBatch",
        "Publish the results of a batch whose rule is `approved`, by two people; again it changes nothing",
        parameters=(_BATCH_ID, _DRY_RUN),
        sends=json_body("Release"),
        replies={200: json_reply("Released", "Its results are in the feed")},
        codes=("request.invalid", "not_found", "batch.erased", "batch.not_ready"),
    ),
)

_RESULTS_CALLS = (
    _results(
        "GET /v1/batches/{batch_id}/results",
        "listBatchResults",
        "A batch's results: a page, or by `Accept` all of them as lines, as CSV or as a workbook",
        parameters=(_BATCH_ID, _AFTER, _LIMIT),
        replies={
            200: Content(
                {JSON: ref("ResultsPage"), NDJSON: _LINES, CSV: _TABLE, XLSX: {}},
                "In publication order; `next` is null at the end",
            )
        },
        codes=("request.invalid", "not_found", "not_acceptable"),
    ),
    _results(
        "GET /v1/results",
        "followResults",
        "The feed of results over all batches, in publication order",
        parameters=(_AFTER, _LIMIT),
        replies={200: json_reply("ResultsFeed", "`next` is always there, for the next look")},
        codes=("request.invalid",),
    ),
    _results(
        "GET /v1/sittings/{sitting_id}/responses",
        "showResponses",
        "The newest recorded response per item, with its mark once there is a result",
        parameters=(_SITTING_ID,),
        replies={200: json_reply("Responses", "By item")},
        codes=("not_found", "batch.erased"),
    ),
    _results(
        "GET /v1/sittings/{sitting_id}/history",
        "showHistory",
        "Every accepted change of a sitting",
        parameters=(_SITTING_ID,),
        replies={200: json_reply("History", "In the order in which they were accepted")},
        codes=("not_found", "batch.erased"),
    ),
)


_PAGE_HEADERS = {"ETag": "Of the content", "Cache-Control": "How long it may be kept"}
_UNCHANGED = Content({}, "The `If-None-Match` of the request names it", _PAGE_HEADERS)
_FILES: Mapping[str, Schema] = dict.fromkeys(("text/html", "text/javascript", "text/css", "image/svg+xml"), _HTML)
_FILE = {200: Content(_FILES, "The file", _PAGE_HEADERS), 304: _UNCHANGED}

_PUBLIC_CALLS = (
    _public(
        "GET /v1/keys", "listKeys", "What receipts and results are verified with", {200: json_reply("Keys", "All keys")}
    ),
    _public("GET /healthz", "showHealth", "This process lives", {200: json_reply("Health", "It does")}),
    _public(
        "GET /readyz",
        "showReadiness",
        "Whether this worker may take traffic",
        {
            200: json_reply("Readiness", "It may; `not_ready` names what candidates can do without, as PostgreSQL"),
            503: json_reply("Readiness", "It may not; which dependency is not ready, why"),
        },
    ),
    _public(
        "GET /metrics",
        "showMetrics",
        "Prometheus text of all processes on this machine",
        {200: Content({"text/plain": {"type": "string"}}, "Prometheus text")},
    ),
    _public(
        "GET /openapi.json",
        "showOpenapi",
        "This document",
        {200: Content({JSON: {"type": "object"}}, "OpenAPI 3.1")},
    ),
    _public(
        "GET /",
        "showPage",
        "The candidate's page",
        {200: Content({"text/html": _HTML}, "The page", _PAGE_HEADERS), 304: _UNCHANGED},
        tag="page",
    ),
    _public(
        "GET /room",
        "showRoomPage",
        "The room's page, for proctors; it asks for an API key of scope `proctor`",
        {200: Content({"text/html": _HTML}, "The page", _PAGE_HEADERS), 304: _UNCHANGED},
        tag="page",
    ),
    _public(
        "GET /web/{path}",
        "showPageFile",
        "A file of the page; one whose path begins with the release's digest may be kept as long as the release stands",
        tag="page",
        parameters=(in_path("path", {"type": "string"}),),
        replies=_FILE,
        codes=("not_found",),
    ),
)

OPERATIONS = (
    *_CANDIDATES_CALLS,
    *_SCHEDULING_CALLS,
    *sites.CALLS,
    *INVIGILATION_CALLS,
    *photos.CALLS,
    *devices.CALLS,
    *_RESULTS_CALLS,
    *assessing.CALLS,
    *regrades.CALLS,
    *score_reviews.CALLS,
    *webhooks.CALLS,
    *statistics.CALLS,
    *nodes.CALLS,
    *_PUBLIC_CALLS,
)
