"""Writes a faulty table as a workbook in which every fault can be seen, to be mended and sent again.

Rows and columns stand where they stood, so that a fault's row and letter hold here too. Faulty cells are coloured and
say why in a comment; a last column tells every fault of its row in words. Numbers, dates and errors stay what they are:
what was refused is refused again until somebody has mended it. Reading ignores the last column like any unknown one; of
a sheet that comes back with one still faulty, what it said then makes way for what is so now.
"""

from __future__ import annotations

import bisect
import io
import itertools
from collections.abc import Sequence
from typing import Any

import xlsxwriter
from msgspec import Struct
from xlsxwriter.exceptions import OverlappingRange

from engine.rules.limits import ROSTER_COMMENTS_MAX, TABLE_COLUMNS_MAX
from engine.rules.sheet import CellKind, Merge, Sheet, Value
from engine.tables.sheet_name import sheet_name

_HEADING = "错误 / faults"
_TEXT_CHARACTERS_MAX = 32_000  # of a cell; what a workbook can hold is little more
_COLUMN_WIDTH = 18.0
_LAST_COLUMN_WIDTH = 60.0
_MERGES_MAX = 20_000  # more than that, or larger than this, is no longer a look that anybody misses
_MERGED_CELLS_MAX = 10_000


class Mark(Struct, frozen=True):
    """One fault; without a column it is of the whole row."""

    row: int
    column: int | None
    message: str


def write_marked(
    sheet: Sheet, header_row: int, marks: Sequence[Mark], faults_total: int, others: Sequence[Sheet] = ()
) -> bytes:
    """The workbook. `faults_total` counts also those that are not among `marks`; `others` come as they are."""
    _forget_former(sheet, header_row)
    out = io.BytesIO()
    # Never a formula, a link or a number of what was a text: this is somebody else's content.
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, options) as book:
        names: set[str] = set()
        page = book.add_worksheet(sheet_name(sheet.name, names, without="roster"))
        writer = _Writer(book, page, sheet, marks)
        writer.write()
        writer.tell(header_row, faults_total)
        for other in others:
            _Writer(book, book.add_worksheet(sheet_name(other.name, names, without="roster")), other, ()).write()
    return out.getvalue()


def _forget_former(sheet: Sheet, header_row: int) -> None:
    """Takes out the column that an earlier answer put in."""
    header = sheet.rows.get(header_row, {})
    former = [column for column, value in header.items() if isinstance(value, str) and value.startswith(_HEADING)]
    for cells in sheet.rows.values():
        for column in former:
            cells.pop(column, None)


class _Writer:
    def __init__(self, book: Any, page: Any, sheet: Sheet, marks: Sequence[Mark]) -> None:
        self._book = book
        self._page = page
        self._sheet = sheet
        self._formats: dict[tuple[str, bool], Any] = {}
        self._numbers = list(sheet.rows)
        self._of_cell: dict[tuple[int, int], list[str]] = {}
        self._of_row: dict[int, list[str]] = {}
        for mark in marks:
            self._of_row.setdefault(mark.row, []).append(mark.message)
            if mark.column is not None:
                self._of_cell.setdefault((mark.row, mark.column), []).append(mark.message)
        widest = max((max(cells, default=0) for cells in sheet.rows.values()), default=0)
        widest = max(widest, max((mark.column or 0 for mark in marks), default=0))
        self._last_column = min(widest + 1, TABLE_COLUMNS_MAX)

    def write(self) -> None:
        """What was there, and colours."""
        page, sheet = self._page, self._sheet
        for column in range(1, self._last_column):
            page.set_column(column - 1, column - 1, sheet.widths.get(column, _COLUMN_WIDTH))
        page.set_column(self._last_column - 1, self._last_column - 1, _LAST_COLUMN_WIDTH)
        for place, merge in enumerate(sheet.merges):
            if not (place < _MERGES_MAX and self._merged(merge)):
                self._fill(merge)
        for number, cells in sheet.rows.items():
            for column, value in cells.items():
                self._cell(number, column, value)
            if number in sheet.hidden_rows:
                page.set_row(number - 1, None, None, {"hidden": number not in self._of_row})
        for number, column in self._of_cell:
            if column not in sheet.rows.get(number, {}):
                page.write_blank(number - 1, column - 1, None, self._format("General", True))

    def _merged(self, merge: Merge) -> bool:
        """Whether the cells are one again: not when they are too many, or some of them are marked by themselves."""
        rows = range(merge.first_row, merge.last_row + 1)
        columns = range(merge.first_column, merge.last_column + 1)
        if not 1 < len(rows) * len(columns) <= _MERGED_CELLS_MAX or merge.last_column >= self._last_column:
            return False
        places = itertools.islice(itertools.product(rows, columns), 1, None)
        if any(place in self._of_cell for place in places):
            return False
        try:
            self._page.merge_range(rows[0] - 1, columns[0] - 1, rows[-1] - 1, columns[-1] - 1, "")
        except OverlappingRange:  # of a broken workbook: what it looked like is not known
            return False
        return True

    def _fill(self, merge: Merge) -> None:
        """Each row says by itself what the merged cell said for it."""
        value = self._sheet.rows.get(merge.first_row, {}).get(merge.first_column)
        begin = bisect.bisect_right(self._numbers, merge.first_row)
        end = bisect.bisect_right(self._numbers, merge.last_row)
        if value is not None:
            for number in self._numbers[begin:end]:
                self._sheet.rows[number].setdefault(merge.first_column, value)

    def _cell(self, number: int, column: int, value: Value) -> None:
        page, is_marked, place = self._page, (number, column) in self._of_cell, (number - 1, column - 1)
        if isinstance(value, str):
            page.write_string(*place, value[:_TEXT_CHARACTERS_MAX], self._format("@", is_marked))
        elif value.kind in (CellKind.NUMBER, CellKind.DATE):
            page.write_number(*place, value.stored, self._format(value.number_format, is_marked))
        elif value.kind is CellKind.BOOLEAN:
            page.write_boolean(*place, bool(value.stored), self._format("General", is_marked))
        else:  # an error stays one, and so does a formula without an outcome
            page.write_formula(*place, "=NA()", self._format("General", is_marked), "#N/A")

    def _comments(self) -> None:
        for (number, column), messages in list(self._of_cell.items())[:ROSTER_COMMENTS_MAX]:
            self._page.write_comment(number - 1, column - 1, "\n".join(messages)[:_TEXT_CHARACTERS_MAX])

    def tell(self, header_row: int, faults_total: int) -> None:
        """What is wrong, in words."""
        self._comments()
        told = self._book.add_format({"font_color": "#C00000", "text_wrap": True, "num_format": "@"})
        marked = sum(map(len, self._of_row.values()))
        lines = {number: "; ".join(messages) for number, messages in self._of_row.items()}
        heading = _HEADING if marked == faults_total else f"{_HEADING} ({marked} / {faults_total})"
        lines[header_row] = ": ".join((heading, lines[header_row])) if header_row in lines else heading
        for number, text in lines.items():
            self._page.write_string(number - 1, self._last_column - 1, text[:_TEXT_CHARACTERS_MAX], told)

    def _format(self, number_format: str, is_marked: bool) -> Any:
        found = self._formats.get((number_format, is_marked))
        if found is None:
            look = {"num_format": number_format, **({"bg_color": "#FFC7CE", "border": 1} if is_marked else {})}
            found = self._formats[number_format, is_marked] = self._book.add_format(look)
        return found
