"""What the engine answers. Objects are open: clients ignore members they do not know."""

from __future__ import annotations

from engine.openapi import assessing, devices, photos, regrades, score_reviews, sites, statistics, webhooks
from engine.openapi.building import (
    ID,
    INSTANT_MS,
    SEQ,
    VALUE,
    Schema,
    answered,
    base64url,
    choice,
    hex_digest,
    many,
    nullable,
    number,
    ref,
    text,
    whole,
)
from engine.openapi.sent import BATCH_MEMBERS, EITHER_PAPER, PAPER_MEMBERS, RULE_MEMBERS
from engine.rules.errors import CODES
from engine.rules.limits import (
    BATCH_LOG_PAGE_MAX,
    FAULTS_LISTED_MAX,
    ITEMS_MAX,
    RESULTS_PAGE_MAX,
    ROSTER_ROWS_MAX,
    SEQ_MAX,
    STALE_LISTED_MAX,
    TABLE_ROWS_MAX,
)
from engine.rules.terms import BatchState, Phase, SittingState
from engine.sealing.envelope import KEY_BYTES
from engine.sealing.signature import ALGORITHM

_COUNT = whole(0, ROSTER_ROWS_MAX)
_POSITION = whole(0, SEQ_MAX)
_GENERATION = whole(0, SEQ_MAX, description="Raised whenever the memory store came back; see `committed`")
_COMMITTED = whole(
    0, SEQ_MAX, description="The position up to which PostgreSQL holds everything of this generation: forget up to here"
)
_SITTING_STATE = choice(*SittingState)
_SIGNATURE = base64url(64, description=f"{ALGORITHM} over the RFC 8785 form of the object without `signature`")
_TOKEN = text(description="For `Authorization: Bearer …` of every call of the sitting, until a later login")
_POINTS = {"type": "number", "minimum": 0}
_MARK = nullable({**_POINTS, "description": "null while there is no result, or an assessor is awaited"})
_CURSOR = {"type": "string", "pattern": "^[0-9]+$"}


# --- candidates ------------------------------------------------------------------------------------------------
_CARD = answered(
    {name: {"type": "string"} for name in ("name", "admission_ticket", "site", "room", "seat")},
    description="What the candidate confirms",
)
_SITTING_RULES = answered(
    {
        "latest_entry_ms": INSTANT_MS,
        "earliest_submit_ms": INSTANT_MS,
        "warning_ms": INSTANT_MS,
        "grace_s": RULE_MEMBERS["grace_s"],
        "shuffle_items": {"type": "boolean"},
        "shuffle_options": {"type": "boolean"},
        "allow_copy": {"type": "boolean"},
        "photo": RULE_MEMBERS["photo"],
    }
)
_SITTING_MEMBERS: dict[str, Schema] = {
    "sitting_id": ID,
    "batch_id": ID,
    "state": _SITTING_STATE,
    "photo": photos.STATE,
    "phase": choice(*Phase, description="Where `server_ms` lies on the sitting's time line"),
    "server_ms": INSTANT_MS,
    "starts_ms": INSTANT_MS,
    "ends_ms": {**INSTANT_MS, "description": "With all time given so far"},
    "paper": answered({"digest": hex_digest("the sealed bytes"), "bytes": whole(1, SEQ_MAX)}),
    "candidate": _CARD,
    **{name: BATCH_MEMBERS[name] for name in ("title", "occupation", "level", "subject", "kind")},
    "rules": _SITTING_RULES,
}
_SITTING = answered(
    {
        **_SITTING_MEMBERS,
        "remaining_ms": whole(0, SEQ_MAX),
        "responses": {"type": "object", "additionalProperties": answered({"seq": SEQ, "value": VALUE})},
        "generation": _GENERATION,
        "committed": _COMMITTED,
    }
)
_SAVED = answered(
    {
        "saved": {**SEQ, "description": "The highest seq of the call, now on disk"},
        "generation": _GENERATION,
        "position": {**_POSITION, "description": "Where the call stands in the log"},
        "committed": _COMMITTED,
    }
)
_KEY_MEMBERS = {"paper_key": base64url(KEY_BYTES), "seed": base64url(KEY_BYTES)}


def _told(kind: str, members: dict[str, Schema], optional: dict[str, Schema] | None = None, of: str = "") -> Schema:
    """A message of the channel: one JSON object in a text message."""
    return answered({"type": {"const": kind}, **members}, optional, description=of)


_CHANNEL_TOLD: Schema = {
    "description": "Engine to candidate",
    "oneOf": [
        _told(
            "time",
            {
                "server_ms": INSTANT_MS,
                "starts_ms": INSTANT_MS,
                "ends_ms": INSTANT_MS,
                "remaining_ms": whole(0, SEQ_MAX),
                "state": _SITTING_STATE,
            },
            of="Answers `hello`, and comes whenever time changes",
        ),
        _told("saved", _SAVED["properties"], of="Answers a save, in the order of the messages"),
        _told("committed", {"generation": _GENERATION, "committed": _COMMITTED}, of="Unasked, while saves are not"),
        _told("paper_key", _KEY_MEMBERS, of="At the start, or after `hello`; to who has pledged and is past the photo"),
        _told(
            "notice",
            {"code": text(), "text": text()},
            of="`moving`: this server stops, connect again; `photo.…`: the photo's state",
        ),
        _told("closed", {"state": _SITTING_STATE}, of="Nothing more is taken; `committed` still comes"),
        _told(
            "error",
            {"status": whole(400, 599), "code": ref("Code"), "detail": text()},
            {
                "retry_after_s": whole(1, SEQ_MAX),
                "errors": many(ref("Fault"), 1, FAULTS_LISTED_MAX),
                "errors_total": whole(1, SEQ_MAX),
            },
            of="Answers a message in its order; what ends the channel comes before the close",
        ),
    ],
}
_RECEIPT = answered(
    {
        "sitting_id": ID,
        "batch_id": ID,
        "state": choice(SittingState.SUBMITTED, SittingState.COLLECTED),
        "submitted_ms": INSTANT_MS,
        "answered": whole(0, ITEMS_MAX),
        "items": whole(1, ITEMS_MAX),
        "digest": hex_digest("the RFC 8785 form of `[[item, seq, value], …]`, sorted by item"),
        "signature": _SIGNATURE,
        "key_id": text(),
    }
)

# --- the scheduling system -------------------------------------------------------------------------------------
_STORED_PAPER = answered(
    {
        "paper_id": ID,
        "digest": hex_digest("the RFC 8785 form of the question set"),
        "items": whole(1, ITEMS_MAX),
        "points": _POINTS,
    }
)
_WARNINGS = many(
    answered({"code": text(), "message": text()}, {"row": whole(1, TABLE_ROWS_MAX, description="Of a table")}),
    1,
    description="Of a formal batch: what the joint exams' calendar asks for and is not so; of one with several papers: "
    "that they differ in items or points; of a roster: what was taken "
    "all the same and wants a look, as rows that a filter hides; absent when all is well",
)
_COUNTED = ("rostered", "expected", "checked_in", "in_progress", "submitted", "collected", "absent", "void", "graded")
_STORED_BATCH = answered(
    {
        "batch_id": ID,
        **BATCH_MEMBERS,
        "rules": answered(RULE_MEMBERS),
        "state": choice(*BatchState),
        "counts": answered(
            dict.fromkeys(_COUNTED, _COUNT), description="Each sitting in exactly one; `rostered` are all"
        ),
        "graded": _COUNT,
        "armed_ms": nullable(INSTANT_MS),
        "released_ms": nullable(INSTANT_MS),
    },
    {**PAPER_MEMBERS, "warnings": _WARNINGS},
    oneOf=EITHER_PAPER,
)
_BATCH_EVENT = answered(
    {
        "number": whole(1, SEQ_MAX),
        "kind": text(description="`created`, `changed`, `roster`, `armed`, `disarmed`, `released` …"),
        "at_ms": INSTANT_MS,
        "people": many(text(), description="Whom the call names"),
        "key_id": nullable(text(description="The API key of the call")),
        "before": {"description": "What the event changed, as it was; null where there was nothing"},
        "after": {"description": "The same as it is; of an ID number only its last characters"},
    }
)
_ROSTER_TAKEN = answered(
    dict.fromkeys(("accepted", "added", "changed", "removed", "unchanged"), _COUNT),
    {"warnings": _WARNINGS, "seating": sites.SEATING},
)

# --- scorers ---------------------------------------------------------------------------------------------------
_RESULT = answered(
    {
        "sitting_id": ID,
        "candidate_id": ID,
        "admission_ticket": text(),
        "state": choice("graded", "pending_assessor", "absent", "void"),
        "score": nullable(number(0, 100, description="Raw points / the paper's total x 100, half up to two decimals")),
        "passed": nullable({"type": "boolean"}),
        "sections": many(
            answered({"id": ID, "score": nullable(_POINTS), "points": _POINTS}), description="Raw points, not scaled"
        ),
        "graded_ms": INSTANT_MS,
        "revision": whole(1, SEQ_MAX),
        "paper_digest": hex_digest("the RFC 8785 form of the question set"),
        "answer_key_digest": hex_digest("the RFC 8785 form of the answer key pinned at arming"),
        "signature": _SIGNATURE,
    }
)
_RESULTS = many(ref("Result"), 0, RESULTS_PAGE_MAX)
_RESPONSE = answered({"seq": SEQ, "value": VALUE, "mark": _MARK, "points": _MARK})
_ACCEPTED_CHANGE = answered({"item": ID, "seq": SEQ, "value": VALUE, "saved_ms": INSTANT_MS})

# --- operations ------------------------------------------------------------------------------------------------
_KEY = answered(
    {
        "key_id": text(),
        "algorithm": {"const": ALGORITHM},
        "public_key": {"type": "string", "contentEncoding": "base64", "description": "Base64 of 32 bytes"},
    }
)
_READINESS = answered(
    {
        "status": choice("ready", "not ready"),
        "colour": choice("red", "amber", "green"),
        "not_ready": {"type": "object", "additionalProperties": text(), "description": "Dependency and why"},
        "warnings": {
            "type": "object",
            "additionalProperties": text(),
            "description": "What is amiss, as a limit too low for a large exam; traffic is taken all the same",
        },
    }
)

# --- problems --------------------------------------------------------------------------------------------------
_FAULT = answered(
    {"pointer": {"type": "string", "description": "JSON Pointer into what was sent"}, "message": text(), "value": {}},
    {
        "code": text(description="In rosters: what kind of fault"),
        "row": whole(1, SEQ_MAX, description="In tables and NDJSON, from 1"),
        "column": nullable(
            text(description="In tables: the column's letter; null when the table has none for the field")
        ),
        "field": nullable(text()),
        "first_pointer": text(description="Of a duplicate: where its first stands"),
        "first_row": whole(1, SEQ_MAX),
    },
)
_NOT_READY = answered({"code": text(), "message": text()})
_PROBLEM_MEMBERS: dict[str, Schema] = {
    "type": {"type": "string", "pattern": "^urn:liankao:error:"},
    "title": text(),
    "status": whole(400, 599),
    "detail": text(description="Names the offender, what was seen and what was expected"),
    "code": ref("Code"),
}
# What single codes add, for programs.
_PROBLEM_DATA: dict[str, Schema] = {
    "errors": many({"anyOf": [ref("Fault"), ref("NotReady")]}, 1, FAULTS_LISTED_MAX, description="Every fault found"),
    "errors_total": whole(1, SEQ_MAX, description="When more were found than are listed"),
    "not_ready": many(ref("NotReady"), 1, description="`batch.not_ready`"),
    "accepted": many(text(), description="`roster.file_format`, `photo.file_format`: the content types taken"),
    "bytes_max": whole(1, SEQ_MAX, description="`request.too_large`"),
    "scope": text(description="`auth.scope`: what the key has"),
    "expected": text(description="`auth.scope`: what the call needs"),
    "batch_id": {**ID, "description": "`batch.armed`, `paper.in_use`"},
    "candidate_id": {**ID, "description": "`batch.armed`: who is missing from the roster"},
    "starts_ms": {**INSTANT_MS, "description": "`paper_key.too_early`"},
    "earliest_submit_ms": {**INSTANT_MS, "description": "`submit.too_early`"},
    "server_ms": {**INSTANT_MS, "description": "`paper_key.too_early`, `submit.too_early`, `score_review.closed`"},
    "kind": text(description="`device.not_a_check`: what the batch is"),
    "closes_ms": {**INSTANT_MS, "description": "`regrade.not_closed`, `score_review.closed`"},
    "opens_ms": {**INSTANT_MS, "description": "`score_review.closed`: from when the review could be filed"},
    "revision": {**whole(1, SEQ_MAX), "description": "`score_review.filed`"},
    "unfinished": {**_COUNT, "description": "`regrade.not_closed`: sittings without a result"},
    "regrade_id": {**ID, "description": "`regrade.open`: the one to decide on first"},
    "sittings": many(ID, 1, STALE_LISTED_MAX, description="`regrade.stale`: whose results have changed, some of them"),
    "high": whole(0, SEQ_MAX, description="`submit.behind`: the highest seq that arrived"),
}
_CODE: Schema = {
    **choice(*CODES),
    "description": "Stable: " + "; ".join(f"`{code}` {title} ({status})" for code, (status, title) in CODES.items()),
}

SCHEMAS: dict[str, Schema] = {
    "LoggedIn": answered({"token": _TOKEN, **_SITTING_MEMBERS}),
    "Sitting": _SITTING,
    "SittingState": answered({"state": _SITTING_STATE}),
    "PaperKey": answered(_KEY_MEMBERS),
    "Saved": _SAVED,
    "ChannelTold": _CHANNEL_TOLD,
    "Receipt": _RECEIPT,
    "StoredPaper": _STORED_PAPER,
    "StoredBatch": _STORED_BATCH,
    "StoredBatches": answered({"batches": many(ref("StoredBatch"))}),
    "BatchLog": answered({"events": many(_BATCH_EVENT, 0, BATCH_LOG_PAGE_MAX), "next": nullable(_CURSOR)}),
    "RosterTaken": _ROSTER_TAKEN,
    "Released": answered({"batch_id": ID, "released": {"const": True}}),
    "Result": _RESULT,
    "ResultsPage": answered({"results": _RESULTS, "next": nullable(_CURSOR)}),
    "ResultsFeed": answered({"results": _RESULTS, "next": _CURSOR}),
    "Responses": answered(
        {"responses": {"type": "object", "additionalProperties": _RESPONSE}},
        {"assessments": many(ref("Assessment"), 1, description="Assessors' marks, once the result is final")},
    ),
    "History": answered({"history": many(_ACCEPTED_CHANGE)}),
    "Keys": answered({"keys": many(_KEY, 1)}),
    "Health": answered({"status": {"const": "ok"}, "version": text()}),
    "Readiness": _READINESS,
    **assessing.ANSWERED,
    **statistics.ANSWERED,
    **photos.ANSWERED,
    **devices.ANSWERED,
    **regrades.ANSWERED,
    **score_reviews.ANSWERED,
    **webhooks.ANSWERED,
    **sites.ANSWERED,
    "Problem": answered(_PROBLEM_MEMBERS, _PROBLEM_DATA, description="RFC 9457"),
    "Code": _CODE,
    "Fault": _FAULT,
    "NotReady": _NOT_READY,
}
