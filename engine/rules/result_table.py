"""Results as a table for people: which columns there are, and what stands in a cell.

The columns are the members of the signed document, its sections spread out; nothing else of a person comes in.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.rules.errors import Corrupt

BOM = "\ufeff"  # without it a spreadsheet reads UTF-8 as whatever its country once used
Cell = str | int | float | bool | None
_BEFORE = ("sitting_id", "candidate_id", "admission_ticket", "state", "score", "passed")
_BEHIND = ("graded_ms", "revision", "paper_digest", "answer_key_digest", "signature")
# What a spreadsheet takes for a formula when it opens a CSV file, and the apostrophe that keeps it from doing so.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_TEXT_MARK = "'"


def section_ids(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """The sections of all these results, each once, in the order in which they are met."""
    return list(dict.fromkeys(section["id"] for result in results for section in result["sections"]))


def header(sections: Sequence[str]) -> list[str]:
    spread = [f"section_{section}_{member}" for section in sections for member in ("score", "points")]
    return [*_BEFORE, *spread, *_BEHIND]


def cells(result: Mapping[str, Any], sections: Sequence[str]) -> list[Cell]:
    """One row below `header(sections)`. Raises Corrupt for a result with a section that has no column."""
    found = {section["id"]: section for section in result["sections"]}
    if not found.keys() <= set(sections):
        raise Corrupt(f"the result of sitting {result['sitting_id']!r} has sections beyond {', '.join(sections)}")
    spread: list[Cell] = []
    for section in sections:
        shown = found.get(section, {})
        spread += (shown.get("score"), shown.get("points"))
    return [*(result[name] for name in _BEFORE), *spread, *(result[name] for name in _BEHIND)]


def csv_text(rows: Iterable[Sequence[Cell]]) -> str:
    """RFC 4180: text in quotes, numbers bare, nothing for what is not there; no cell begins as a formula does."""
    written = io.StringIO()
    writer = csv.writer(written, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerows([_csv_cell(cell) for cell in row] for row in rows)
    return written.getvalue()


def _csv_cell(cell: Cell) -> Cell:
    if isinstance(cell, str):
        return _TEXT_MARK + cell if cell.startswith(_FORMULA_STARTS) else cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return cell
