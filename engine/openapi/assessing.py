"""The calls of assessors, with what they send and answer."""

from __future__ import annotations

from functools import partial

from engine.openapi.building import (
    ID,
    INSTANT_MS,
    VALUE,
    Schema,
    answered,
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
    ASSESSMENT_BODY_BYTES_MAX,
    ASSESSMENTS_PAGE_DEFAULT,
    ASSESSMENTS_PAGE_MAX,
    COMMENT_CHARACTERS_MAX,
    MARK_DECIMALS_MAX,
    MARKS_PER_CALL_MAX,
    NAME_CHARACTERS_MAX,
    POINTS_MAX,
)

_TASK_ID = {**ID, "description": "Drawn by lot: it tells nothing about whose response it is"}
_ITEM = nullable({**ID, "description": "null: the whole sitting, scored from 0 to 100"})
_MARK = number(0, POINTS_MAX, description=f"0 to the task's points, at most {MARK_DECIMALS_MAX} decimals")
_ASSESSOR = text(NAME_CHARACTERS_MAX, description="Who marks")
_COUNT = whole(0, MARKS_PER_CALL_MAX)
_BATCH_ID = in_path("batch_id")

SENT: dict[str, Schema] = {
    "Marks": sent({"assessor": _ASSESSOR, "marks": many(ref("Mark"), 1, MARKS_PER_CALL_MAX)}),
    "Mark": sent({"task_id": ID, "mark": _MARK}, {"comment": nullable(text(COMMENT_CHARACTERS_MAX))}),
}
ANSWERED: dict[str, Schema] = {
    "Tasks": answered(
        {
            "tasks": many(
                answered(
                    {"task_id": _TASK_ID, "item": _ITEM, "points": number(0, POINTS_MAX)},
                    {
                        "paper_id": {**ID, "description": "In a batch with several papers: whose item it is"},
                        "value": {**VALUE, "description": "Of an item: what was answered"},
                        "responses": {
                            "type": "object",
                            "description": "Of a whole sitting: all that was answered, by item",
                            "additionalProperties": VALUE,
                        },
                    },
                ),
                0,
                ASSESSMENTS_PAGE_MAX,
            ),
            "next": nullable({**ID, "description": "For `after`, when there are more"}),
        }
    ),
    "MarksTaken": answered(
        {"accepted": _COUNT, "added": _COUNT, "corrected": _COUNT, "unchanged": _COUNT},
    ),
    "Assessment": answered(
        {
            "item": _ITEM,
            "assessor": text(),
            "mark": number(0, POINTS_MAX),
            "comment": nullable(text()),
            "marked_ms": INSTANT_MS,
        }
    ),
}

_results = partial(Operation, tag="results", caller="results")
CALLS = (
    _results(
        "GET /v1/batches/{batch_id}/assessments",
        "listAssessments",
        "What an assessor can mark, without names, in an order of this assessor's own",
        parameters=(
            _BATCH_ID,
            {**in_query("assessor", _ASSESSOR, "Who asks"), "required": True},
            in_query("item", ID, "Only responses to this item"),
            in_query("after", ID, "The `next` of the page before"),
            in_query("limit", whole(1, ASSESSMENTS_PAGE_MAX, default=ASSESSMENTS_PAGE_DEFAULT), "Tasks per page"),
        ),
        replies={200: json_reply("Tasks", "Those that need a mark and have none by this assessor")},
        codes=("request.invalid", "not_found"),
    ),
    _results(
        "POST /v1/batches/{batch_id}/assessments",
        "pushAssessments",
        "One assessor's marks, all or nothing; the same again changes nothing, another mark corrects one that is not "
        "final yet",
        parameters=(
            _BATCH_ID,
            in_query("dry_run", {"enum": ["0", "1"]}, "1: only tell what the call would do"),
        ),
        sends=json_body("Marks", ASSESSMENT_BODY_BYTES_MAX),
        replies={200: json_reply("MarksTaken", "What is on record now")},
        codes=("request.invalid", "assessment.invalid", "not_found"),
    ),
)
