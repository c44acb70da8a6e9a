"""One sheet of an XLSX workbook, element by element."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable

from engine.rules.errors import Refused
from engine.rules.limits import (
    ROSTER_HEADER_ROWS_MAX,
    TABLE_CELLS_MAX,
    TABLE_COLUMNS_MAX,
    TABLE_MERGES_MAX,
    TABLE_ROWS_MAX,
)
from engine.rules.number_format import GENERAL, shown_number
from engine.rules.sheet import Cell, CellKind, Merge, Sheet, Value, column_number
from engine.tables.refusal import not_a_roster, too_large
from engine.tables.xml_reader import Attributes, XmlReader

_NUMBER = re.compile(r"[0-9]{1,8}", re.ASCII)
_STYLE = re.compile(r"[0-9]{1,6}", re.ASCII)
_LETTERS = re.compile(r"[A-Z]{1,3}", re.ASCII)
_RANGE = re.compile(r"([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})", re.ASCII)
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_", re.ASCII)
_TRUE = ("1", "true")


class _Enough(Exception):
    """The sheet is no list of people: it need not be read to its end."""


def decode_escapes(text: str) -> str:
    """`_x000A_` stands for a character that XML cannot hold, or that its readers would change."""
    if "_x" not in text:
        return text
    units = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    # Characters beyond the BMP may have been written as their two halves.
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class SheetReader:
    """Reads one sheet. `cells_left`: how many cells it may have, and afterwards how many are left for others."""

    def __init__(
        self, name: str, texts: list[str], formats: list[str], cells_left: int, has_header: Callable[[Sheet], bool]
    ) -> None:
        self.sheet = Sheet(name)
        self.cells_left = cells_left
        self._texts = texts
        self._formats = formats
        self._has_header = has_header
        self._reader = XmlReader(
            {
                "row": self._start_row,
                "c": self._start_cell,
                "v": self._start_text,
                "t": self._start_text,
                "f": self._start_formula,
                "rPh": self._start_reading,
                "mergeCell": self._merge,
                "col": self._width,
            },
            {
                "row": self._end_row,
                "c": self._end_cell,
                "v": self._end_text,
                "t": self._end_text,
                "rPh": self._end_reading,
            },
        )
        self._columns: dict[str, int] = {}
        self._row_number = self._column = self._readings = self._merges = 0
        self._row: dict[int, Value] = {}
        self._kind = self._style = ""
        self._has_formula = self._is_in_cell = False
        self._pieces: list[str] = []

    def read(self, blocks: Iterable[bytes]) -> Sheet:
        """Raises Refused `roster.file_format` for what is broken, `request.too_large` for what is beyond all need."""
        with contextlib.suppress(_Enough):
            self._reader.read(blocks)
        if list(self.sheet.rows) != sorted(self.sheet.rows):
            self.sheet.rows = dict(sorted(self.sheet.rows.items()))
        return self.sheet

    def _start_text(self, _: Attributes) -> None:
        if self._is_in_cell and not self._readings:
            self._reader.keep_text(self._pieces)

    def _end_text(self) -> None:
        self._reader.keep_text(None)

    def _start_formula(self, _: Attributes) -> None:
        self._has_formula = True

    def _start_reading(self, _: Attributes) -> None:
        self._readings += 1

    def _end_reading(self) -> None:
        self._readings -= 1

    def _start_row(self, attributes: Attributes) -> None:
        given = attributes.get("r")
        self._row_number = _bounded(given, TABLE_ROWS_MAX) if given else self._row_number + 1
        if self._row_number in self.sheet.rows or self._row_number > TABLE_ROWS_MAX:
            raise _broken(f"row {self._row_number} twice, or beyond the last there is")
        if attributes.get("hidden") in _TRUE:
            self.sheet.hidden_rows.add(self._row_number)
        self._row = {}
        self._column = 0

    def _end_row(self) -> None:
        if not self._row:
            return
        rows = self.sheet.rows
        rows[self._row_number] = self._row
        self.cells_left -= len(self._row)
        if self.cells_left < 0:
            raise too_large(f"has more than {TABLE_CELLS_MAX} cells")
        if len(rows) == ROSTER_HEADER_ROWS_MAX and not self._has_header(self.sheet):
            raise _Enough

    def _start_cell(self, attributes: Attributes) -> None:
        given = attributes.get("r")
        if given:
            letters = given.rstrip("0123456789")
            column = self._columns.get(letters)
            if column is None:
                column = self._columns[letters] = _column(letters)
            if given[len(letters) :] != str(self._row_number):
                raise _broken(f"cell {given[:20]} in row {self._row_number}")
        else:
            column = self._column + 1
        if column in self._row or column > TABLE_COLUMNS_MAX:
            raise _broken(f"column {column} of row {self._row_number} twice, or beyond the last there is")
        self._column = column
        self._kind = attributes.get("t", "n")
        self._style = attributes.get("s", "")
        self._has_formula = False
        self._is_in_cell = True
        self._pieces.clear()

    def _end_cell(self) -> None:
        self._is_in_cell = False
        text = "".join(self._pieces)
        value = self._value(text)
        if value is not None and value != "":
            self._row[self._column] = value

    def _value(self, text: str) -> Value | None:
        kind = self._kind
        if kind == "s":
            return self._shared(text)
        if kind in ("inlineStr", "str"):
            return decode_escapes(text)
        if not text:
            return Cell(CellKind.UNCALCULATED, "") if self._has_formula else None
        if kind == "n":
            return self._number(text)
        if kind == "b":
            return Cell(CellKind.BOOLEAN, "TRUE" if text in _TRUE else "FALSE", float(text in _TRUE))
        if kind == "e":
            return Cell(CellKind.ERROR, text[:20])
        if kind == "d":
            return Cell(CellKind.DATE, text[:40])
        raise _broken(f"a cell of type {kind[:20]!r}")

    def _shared(self, text: str) -> str | None:
        if not text:
            return None
        place = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else -1
        if not 0 <= place < len(self._texts):
            raise _broken(f"a reference to text {text[:20]!r}, which there is not")
        return self._texts[place]

    def _number(self, text: str) -> Cell:
        try:
            stored = float(text)
        except ValueError:
            raise _broken(f"a number {text[:20]!r}") from None
        if stored in (float("inf"), float("-inf")) or stored != stored:
            raise _broken(f"a number {text[:20]!r}")
        number_format = GENERAL
        if self._style:
            style = int(self._style) if _STYLE.fullmatch(self._style) else -1
            number_format = self._formats[style] if 0 <= style < len(self._formats) else GENERAL
        return number_cell(stored, number_format)

    def _merge(self, attributes: Attributes) -> None:
        found = _RANGE.fullmatch(attributes.get("ref", ""))
        if not found:  # a single cell
            return
        self._merges += 1
        if self._merges > TABLE_MERGES_MAX:
            raise too_large(f"has more than {TABLE_MERGES_MAX} merged cells")
        first, last = int(found[2]), int(found[4])
        self.sheet.merges.append(Merge(first, last, _column(found[1]), _column(found[3])))

    def _width(self, attributes: Attributes) -> None:
        first = _bounded(attributes.get("min", ""), TABLE_COLUMNS_MAX)
        last = _bounded(attributes.get("max", ""), TABLE_COLUMNS_MAX)
        try:
            width = float(attributes.get("width", "0"))
        except ValueError:
            return
        if last - first < 100 and 0 < width < 256:
            self.sheet.widths.update(dict.fromkeys(range(first, last + 1), width))


def number_cell(stored: float, number_format: str) -> Cell:
    """A number as its cell shows it."""
    shown = shown_number(stored, number_format)
    if shown is None:
        return Cell(CellKind.DATE, shown_number(stored, GENERAL) or "", stored, number_format)
    return Cell(CellKind.NUMBER, shown, stored, number_format)


def _column(letters: str) -> int:
    if not _LETTERS.fullmatch(letters):
        raise _broken(f"a cell in column {letters[:20]!r}")
    return column_number(letters)


def _bounded(text: str, largest: int) -> int:
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= largest:
        raise _broken(f"{text[:20]!r} where a number up to {largest} belongs")
    return int(text)


def _broken(what: str) -> Refused:
    return not_a_roster(f"a workbook that has {what}")
