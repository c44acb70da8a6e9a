"""A roster in JSON: one array, or one object per line."""

from __future__ import annotations

import io
from typing import Any

from engine.rules import exact_json
from engine.rules.errors import Refused
from engine.rules.limits import ROSTER_ROWS_MAX
from engine.rules.roster_row import FIELDS, Flaw, Row, too_many_rows

_SPACE = b" \t\r\n"
_FIELD_SET = frozenset(FIELDS)


def decode_array(body: bytes) -> list[Row]:
    """Raises Refused `request.malformed` for what cannot be parsed, `request.too_large` beyond ROSTER_ROWS_MAX."""
    entries = exact_json.decode(body)
    if len(entries) > ROSTER_ROWS_MAX:
        raise too_many_rows(f"has {len(entries)} candidates")
    return [_row(entry, index) for index, entry in enumerate(entries)]


def is_one_object(body: bytes) -> bool:
    """Whether that is all that `body` holds, in however many lines."""
    try:
        return isinstance(exact_json.decode(body), dict)
    except Refused:
        return False


def decode_lines(body: bytes) -> list[Row]:
    """One row per line that is not blank; a line that cannot be parsed is a row with a flaw."""
    rows: list[Row] = []
    for number, line in enumerate(io.BytesIO(body), start=1):
        text = line.strip(_SPACE)
        if not text:
            continue
        if len(rows) == ROSTER_ROWS_MAX:
            raise too_many_rows("has more candidates")
        try:
            rows.append(_row(exact_json.decode(text), len(rows), number))
        except Refused as fault:
            message = fault.detail.replace("the body", "the line", 1)
            flaw = Flaw(None, "malformed", message, text.decode("utf-8", "replace"))
            rows.append(Row(len(rows), {}, number, (flaw,)))
    return rows


def _row(entry: Any, index: int, number: int | None = None) -> Row:
    if not isinstance(entry, dict):
        return Row(index, {}, number, (Flaw(None, "type", "expected an object", entry),))
    if entry.keys() <= _FIELD_SET:
        return Row(index, entry, number)
    # In a table an unknown column is ignored; here an unknown member is more likely a misspelt one.
    flaws = tuple(
        Flaw(name, "unknown", "is not a known member", value) for name, value in entry.items() if name not in _FIELD_SET
    )
    return Row(index, entry, number, flaws)
