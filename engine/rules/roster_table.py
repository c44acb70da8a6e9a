"""Reads a sheet as a roster: which rows are candidates, and what each of their cells says. Checks nothing else.

Digits that a spreadsheet has lost are named here, where it is still known that a cell held a number: an ID number that
was rounded, a ticket that is shown as 2.02512E+11. Nothing is padded, rounded back or guessed.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable
from typing import Any

from engine.rules.documents import SPACES, fold_width_and_space, remove_invisible
from engine.rules.limits import FAULTS_LISTED_MAX, ROSTER_ROWS_MAX, TABLE_TEXT_CHARACTERS_MAX
from engine.rules.number_format import DIGITS_STORED_MAX
from engine.rules.roster_header import Header, field_of
from engine.rules.roster_row import FIELDS, REQUIRED_FIELDS, Decoded, Flaw, Row, too_many_rows
from engine.rules.sheet import Cell, CellKind, Sheet, Value, column_letter

_TOTAL = re.compile(r"(合计|总计|共计|小计|total)([:：]?|[:：(（]?[0-9].*)", re.ASCII | re.IGNORECASE)
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}(\.0+)?", re.ASCII)
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
# What a program that took digits for a number writes of them: 110101199003070000.0, 1.10101E+17
_WRITTEN_AS_NUMBER = re.compile(r"[0-9]+\.0+|[0-9](\.[0-9]+)?[eE]\+[0-9]{2,}|[0-9]\.[0-9]+[eE][0-9]{2,}", re.ASCII)
_OF_DIGITS = frozenset({"candidate_id", "id_number", "admission_ticket"})
_NUMBER_MAX = 10**DIGITS_STORED_MAX

_NO_TEXT = {
    CellKind.DATE: ("date", "is a date: the spreadsheet made it of what was typed; format the column as text"),
    CellKind.BOOLEAN: ("type", "is a truth value, expected a text"),
    CellKind.ERROR: ("error", "is an error"),
    CellKind.UNCALCULATED: ("formula", "is a formula whose outcome was not stored; put the text itself there"),
}


def read_table(sheet: Sheet, header: Header) -> Decoded:
    """The rows below `header`. Raises Refused `request.too_large` beyond ROSTER_ROWS_MAX."""
    letters = {field: column_letter(column) for field, column in header.columns.items()}
    above = _header_flaws(sheet, header)
    repeated = {field for field, _ in header.repeated}
    columns = {field: header.columns[field] for field in FIELDS if field in header.columns and field not in repeated}
    merged = _Merged(sheet, columns.values())
    rows: list[Row] = []
    totals: list[int] = []
    for number, cells in sheet.rows.items():
        if number <= header.row or (sheet.flaw and number >= sheet.flaw.row):
            continue
        own: dict[str, Value] = {
            field: cells[column] for field, column in columns.items() if not _is_blank(cells.get(column))
        }
        if not own or _is_repeated_header(own):
            continue
        if _is_total(cells, own):
            totals.append(number)
            continue
        if len(rows) == ROSTER_ROWS_MAX:
            raise too_many_rows("has more candidates")
        for field, column in columns.items():
            held = None if field in own else merged.at(number, column)
            if held is not None and not _is_blank(held):
                own[field] = held
        rows.append(_row(number, own, len(rows), letters))
    warnings = _warnings(sheet, header, rows, totals)
    if not rows and not sheet.flaw:
        above.append(Flaw(None, "candidates.missing", "the table has no candidates", None, "A"))
    if above:
        rows.insert(0, Row(0, {}, header.row, tuple(above), letters, is_candidate=False))
    if sheet.flaw:
        flaw = Flaw(None, sheet.flaw.code, sheet.flaw.message, None, "A")
        rows.append(Row(len(rows), {}, sheet.flaw.row, (flaw,), letters, is_candidate=False))
    return Decoded(rows, warnings, REQUIRED_FIELDS - columns.keys() | repeated)


def header_flaw(sheet: Sheet | None, row: int, column: int, code: str, message: str) -> Decoded:
    """A roster of which no row could be read, and why."""
    value = sheet.name if sheet else None
    flaw = Flaw(None, code, message, value, column_letter(column))
    return Decoded([Row(0, {}, row, (flaw,), {}, is_candidate=False)])


def _header_flaws(sheet: Sheet, header: Header) -> list[Flaw]:
    found = []
    for field, column in header.repeated:
        first = column_letter(header.columns[field])
        text = sheet.rows[header.row].get(column)
        message = f"is a second column for {field}, beside {first}: which one counts?"
        found.append(Flaw(field, "column.duplicate", message, text, column_letter(column)))
    for field in FIELDS:
        if field in REQUIRED_FIELDS and field not in header.columns:
            found.append(Flaw(field, "column.missing", f"no column is headed as {field}", None, "A"))
    return found


class _Merged:
    """What merged cells hold for the rows below their first."""

    def __init__(self, sheet: Sheet, columns: Iterable[int]) -> None:
        self._rows = sheet.rows
        self._of_column: dict[int, list[tuple[int, int]]] = {column: [] for column in columns}
        for merge in sheet.merges:
            if merge.first_column in self._of_column and merge.first_row < merge.last_row:
                self._of_column[merge.first_column].append((merge.first_row, merge.last_row))
        for ranges in self._of_column.values():
            ranges.sort()

    def at(self, row: int, column: int) -> Value | None:
        ranges = self._of_column[column]
        place = bisect.bisect(ranges, (row, 0)) - 1
        if place < 0 or row > ranges[place][1]:
            return None
        return self._rows.get(ranges[place][0], {}).get(column)


def _is_blank(value: Value | None) -> bool:
    if not isinstance(value, str):
        return value is None
    return not value or (not value[0].isalnum() and not remove_invisible(value).strip(SPACES + "\r\n"))


def _is_repeated_header(own: dict[str, Value]) -> bool:
    """Printed lists repeat it on every page."""
    return all(field_of(value) == field for field, value in own.items())


def _is_total(cells: dict[int, Value], own: dict[str, Value]) -> bool:
    first = next((cells[column] for column in sorted(cells) if not _is_blank(cells[column])), None)
    if not isinstance(first, str) or {"name", "id_number", "admission_ticket"} <= own.keys():
        return False
    return bool(_TOTAL.fullmatch(fold_width_and_space(first[:TABLE_TEXT_CHARACTERS_MAX])))


def _warnings(sheet: Sheet, header: Header, rows: list[Row], totals: list[int]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "row": row.number,
            "code": "row.hidden",
            "message": "is hidden, by a filter or by hand, and counts all the same",
        }
        for row in rows
        if row.number in sheet.hidden_rows
    ]
    found += [
        {
            "row": number,
            "code": "row.line_break",
            "message": "a cell holds a line break: a quotation mark may stand in the wrong place",
        }
        for number in sheet.long_rows
        if number > header.row
    ]
    found += [
        {"row": number, "code": "row.total", "message": "was taken for a total: nobody of the roster is in it"}
        for number in totals
    ]
    if sheet.doubt:
        found.append({"row": header.row, "code": "text.encoding", "message": sheet.doubt})
    found.sort(key=lambda warning: warning["row"])
    more = len(found) - FAULTS_LISTED_MAX
    return (
        found
        if more <= 0
        else [*found[:FAULTS_LISTED_MAX], {"code": "row.more", "message": f"{more} more rows are like these"}]
    )


def _row(number: int, cells: dict[str, Value], index: int, letters: dict[str, str]) -> Row:
    members: dict[str, Any] = {}
    flaws: list[Flaw] = []
    for field, value in cells.items():
        found = _text_flaw(field, value) if isinstance(value, str) else _cell_flaw(field, value)
        shown = value if isinstance(value, str) else value.shown
        if found is None:
            members[field] = _seconds(value) if field == "extra_time_s" else shown
        else:
            flaws.append(Flaw(field, f"{field}.{found[0]}", found[1], shown))
    return Row(index, members, number, tuple(flaws), letters)


def _text_flaw(field: str, text: str) -> tuple[str, str] | None:
    if len(text) > TABLE_TEXT_CHARACTERS_MAX:
        return "length", f"expected at most {TABLE_TEXT_CHARACTERS_MAX} characters in a cell, got {len(text)}"
    if text.isascii() and text.isalnum():  # most are
        return None
    if field in _OF_DIGITS and _WRITTEN_AS_NUMBER.fullmatch(fold_width_and_space(text)):
        return "lost_digits", "was taken for a number and has lost digits: write it as text"
    return None


def _cell_flaw(field: str, cell: Cell) -> tuple[str, str] | None:
    if cell.kind in _NO_TEXT:
        return _NO_TEXT[cell.kind]
    if field in _OF_DIGITS and abs(cell.stored) >= _NUMBER_MAX:
        message = f"is a number, of which a spreadsheet keeps {DIGITS_STORED_MAX} digits: format the column as text"
        return "lost_digits", f"{message} and type it again"
    if not cell.shown.strip():
        return "number", f"is a number in a format that cannot be read ({cell.number_format!r}): write it as text"
    if field in _OF_DIGITS and "E" in cell.shown and not _DIGITS.fullmatch(cell.shown):
        return "lost_digits", f"is a number shown as {cell.shown}: format the column as text and type it again"
    return None


def _seconds(value: Value) -> int | str:
    """The whole number that a person sees; anything else stays a text, which is none."""
    text = value if isinstance(value, str) else value.shown.replace(",", "")
    folded = fold_width_and_space(text)
    return int(folded.partition(".")[0]) if _WHOLE_NUMBER.fullmatch(folded) else text
