"""Rosters in the API's description: every format they come in, with an example, and how faults come back."""

from __future__ import annotations

import json
from typing import Any

from engine.openapi.building import Schema, choice, ref
from engine.openapi.operation import CSV, JSON, NDJSON, XLSX, Content, in_query
from engine.rules.limits import ROSTER_BODY_BYTES_MAX
from engine.rules.roster_header import FIELD_OF_HEADER
from engine.rules.roster_row import FIELDS
from engine.tables.refusal import XLS

_CANDIDATE: dict[str, Any] = {
    "candidate_id": "K0001",
    "name": "阿里·买买提",
    "id_number": "11010519491231002X",
    "admission_ticket": "20261122001",
    "site": "第一考点",
    "room": "301",
    "seat": "01",
    "extra_time_s": 600,
}
_HEADERS = [next(header for header, known in FIELD_OF_HEADER.items() if known == field) for field in FIELDS]
_LINES: Schema = {"type": "string", "description": "One JSON object per line, as in the JSON array"}
_CSV: Schema = {
    "type": "string",
    "description": "Comma, semicolon or TAB; UTF-8, GB 18030 (GBK) or UTF-16; one row names the columns, by "
    + "; ".join(
        f"`{field}`: " + ", ".join(header for header, known in FIELD_OF_HEADER.items() if known == field)
        for field in FIELDS
    ),
}
_WORKBOOK: Schema = {
    "type": "string",
    "format": "binary",
    "description": "The one visible sheet with such a header row",
}

SENT = Content(
    {JSON: ref("Roster"), NDJSON: _LINES, CSV: _CSV, XLSX: _WORKBOOK, XLS: _WORKBOOK},
    "The content decides the format, not its name; JSON is UTF-8",
    bytes_max=ROSTER_BODY_BYTES_MAX,
    examples={
        JSON: [_CANDIDATE],
        NDJSON: json.dumps(_CANDIDATE, ensure_ascii=False) + "\n",
        CSV: f"{','.join(_HEADERS)}\n{','.join(map(str, _CANDIDATE.values()))}\n",
    },
)
TAKEN = Content(
    {JSON: ref("RosterTaken")},
    "What changed, or with `dry_run` would change",
    examples={JSON: {"accepted": 50, "added": 2, "changed": 1, "removed": 0, "unchanged": 47}},
)
# Beside the problem, with `format=xlsx`.
MARKED = {422: {XLSX: {"type": "string", "format": "binary", "description": "What was sent, with every fault marked"}}}
FORMAT = in_query(
    "format", choice("json", "xlsx", "", default="json"), "How faults are answered: `xlsx` as a marked workbook"
)
