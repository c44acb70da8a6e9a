"""The calls of item statistics and their flags, with what they send and answer."""

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
    matching,
    nullable,
    number,
    ref,
    sent,
    text,
    whole,
)
from engine.openapi.operation import JSON, XLSX, Content, Operation, in_path, in_query, json_body, json_reply
from engine.rules.explaining import DIGEST_PATTERN
from engine.rules.limits import (
    ASSESSMENT_BODY_BYTES_MAX,
    COMMENT_CHARACTERS_MAX,
    EXPLANATIONS_PER_CALL_MAX,
    FREQUENT_WRONG_LISTED_MAX,
    ITEMS_MAX,
    NAME_CHARACTERS_MAX,
    POINTS_MAX,
    ROSTER_ROWS_MAX,
)
from engine.rules.statistics_flags import FLAGS, SEVERITIES

_COUNT = whole(0, ROSTER_ROWS_MAX)
_CORRELATION = nullable(number(-1, 1, description="To four decimals; null where nothing varies"))
_PAPER_DIGEST = hex_digest("the RFC 8785 form of the question set")
_SCORE = nullable(number(0, 100))
_FLAG_NAME = choice(*FLAGS)
_EXPLANATION = answered({"explanation": text(), "explained_by": text(), "explained_ms": INSTANT_MS})
_BATCH_ID = in_path("batch_id")

SENT: dict[str, Schema] = {
    "Explanations": sent(
        {
            "explained_by": text(NAME_CHARACTERS_MAX, description="Who says so"),
            "explanations": many(ref("Explanation"), 1, EXPLANATIONS_PER_CALL_MAX),
        }
    ),
    "Explanation": sent(
        {"item": ID, "flag": _FLAG_NAME, "explanation": text(COMMENT_CHARACTERS_MAX)},
        {
            "paper_digest": nullable(
                matching(DIGEST_PATTERN, description="Needed where several papers of the batch have this flag")
            )
        },
    ),
}
_ITEM = answered(
    {
        "item": ID,
        "section": ID,
        "type": choice("single", "multiple", "true_false", "fill", "numeric", "text"),
        "points": number(0, POINTS_MAX),
        "sittings": _COUNT,
        "omitted": _COUNT,
        "difficulty": nullable(number(0, 1, description="Mean share of the points: 1 is everybody right")),
        "discrimination": _CORRELATION,
        "options": many(
            answered(
                {
                    "option": text(),
                    "is_key": {"type": "boolean"},
                    "chosen": _COUNT,
                    "best_third": _COUNT,
                    "worst_third": _COUNT,
                }
            ),
            description="In the paper's order",
        ),
        "frequent_wrong": many(
            answered({"value": text(description="As JSON"), "count": _COUNT}),
            0,
            FREQUENT_WRONG_LISTED_MAX,
            description="What several answered without earning all points, where there are no options",
        ),
        "median_s": nullable(number(0, 86_400, description="Estimated time on the item")),
    }
)
_PAPER = answered(
    {
        "paper_digest": _PAPER_DIGEST,
        "sittings": _COUNT,
        "withheld": {
            "type": "boolean",
            "description": "Somebody has yet to sit this paper: options, wrong answers and evidence are left out",
        },
        "reliability": nullable({"type": "number", "maximum": 1, "description": "Cronbach's alpha"}),
        "key_positions": many(_COUNT, description="How many keys of single choices stand first, second, ..."),
        "items": many(_ITEM, 0, ITEMS_MAX),
    }
)
ANSWERED: dict[str, Schema] = {
    "Flag": answered(
        {
            "paper_digest": _PAPER_DIGEST,
            "item": ID,
            "flag": _FLAG_NAME,
            "severity": choice(*SEVERITIES, description="`explain`: it holds a release back until somebody does"),
            "evidence": {"type": "object", "additionalProperties": True},
            "explanation": nullable(_EXPLANATION),
        }
    ),
    "Flags": answered({"flags": many(ref("Flag")), "unexplained": whole(0, ITEMS_MAX * len(FLAGS))}),
    "Statistics": answered(
        {
            "batch_id": ID,
            "title": text(),
            "occupation": text(),
            "level": whole(1, 5),
            "subject": text(),
            "starts_ms": INSTANT_MS,
            "pass_mark": number(0, 100),
            "counted_ms": INSTANT_MS,
            "results": {"type": "object", "additionalProperties": _COUNT, "description": "By state"},
            "scores": answered(
                {
                    "graded": _COUNT,
                    "passed": _COUNT,
                    "bands": many(
                        answered({"from": whole(0, 90), "to": whole(10, 100), "count": _COUNT}),
                        description="Each without its upper end, but the last",
                    ),
                    **dict.fromkeys(("mean", "median", "deviation", "lowest", "highest"), _SCORE),
                }
            ),
            "papers": many(_PAPER),
            "flags": many(ref("Flag")),
            "unexplained": whole(0, ITEMS_MAX * len(FLAGS)),
        }
    ),
}

_results = partial(Operation, tag="results", caller="results")
CALLS = (
    _results(
        "GET /v1/batches/{batch_id}/statistics",
        "showStatistics",
        "Item statistics of a batch, once every sitting has its final result",
        parameters=(
            _BATCH_ID,
            in_query("format", choice("json", "html", "xlsx", default="json"), "A page or a workbook with charts"),
            in_query("lang", choice("zh", "en", default="zh"), "Of page and workbook"),
        ),
        replies={
            200: Content(
                {JSON: ref("Statistics"), "text/html": {"type": "string"}, XLSX: {}}, "Of the results as they stand"
            )
        },
        codes=("request.invalid", "not_found", "batch.erased", "batch.not_ready"),
    ),
    _results(
        "POST /v1/batches/{batch_id}/statistics/flags",
        "explainFlags",
        "Say why flags stand, so that the results may be released; the same again changes nothing",
        parameters=(_BATCH_ID, in_query("dry_run", whole(0, 1, default=0), "1: only tell what the call would do")),
        sends=json_body("Explanations", ASSESSMENT_BODY_BYTES_MAX),
        replies={200: json_reply("Flags", "All flags, explained or not")},
        codes=("request.invalid", "not_found", "batch.erased", "batch.not_ready"),
    ),
)
