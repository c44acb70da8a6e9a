"""Finds the header row of a roster's sheet: which column holds which field, whatever stands above it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from engine.rules.documents import fold_width_and_space
from engine.rules.limits import ROSTER_HEADER_ROWS_MAX
from engine.rules.roster_row import FIELDS
from engine.rules.sheet import Sheet, Value

_HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "candidate_id": ("考生编号", "考生号", "报名号"),
    "name": ("姓名", "考生姓名"),
    "id_number": ("身份证号", "身份证号码", "证件号码", "证件号"),
    "admission_ticket": ("准考证号",),
    "site": ("考点", "考点名称"),
    "room": ("考场", "考场号"),
    "seat": ("座位号", "机位号", "机位"),
    "extra_time_s": ("加时秒数",),
}
FIELD_OF_HEADER: Final = {header: field for field in FIELDS for header in (*_HEADERS[field], field)}
# One of these and some other field: `考点 | 第一中学 | 考场 | 301` above a table is a title, not its header.
_PERSONAL: Final = frozenset({"name", "id_number", "admission_ticket"})
_FIELDS_MIN = 2
_HEADER_CHARACTERS_MAX = 200  # longer is an instruction to who fills the table in
_HINT = re.compile(
    r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|<[^<>]*>|【[^【】]*】|〔[^〔〕]*〕|〈[^〈〉]*〉|《[^《》]*》|「[^「」]*」"
)
_LINE_BREAKS = dict.fromkeys(map(ord, "\r\n\v\f\x85"))


class Header(Struct, frozen=True):
    """Where the table begins. `repeated`: (field, column) of every further column for a field that has one."""

    row: int
    columns: dict[str, int]
    repeated: tuple[tuple[str, int], ...] = ()


def fold_header(text: str) -> str:
    """The one spelling of a header: half-width, lower case, without white space, `*` and bracketed hints."""
    if len(text) > _HEADER_CHARACTERS_MAX:
        return ""
    folded = fold_width_and_space(unicodedata.normalize("NFC", text)).translate(_LINE_BREAKS)
    while (without := _HINT.sub("", folded)) != folded:
        folded = without
    return folded.replace("*", "").lower()


def field_of(value: Value | None) -> str | None:
    """The field that a cell is the header of."""
    return FIELD_OF_HEADER.get(fold_header(value)) if isinstance(value, str) else None


def find_header(sheet: Sheet) -> Header | None:
    """The first row that names a person's field and another; of a header in two rows, the one that names more."""
    found: Header | None = None
    for number, cells in _rows_with_merged(sheet):
        if found is not None and number > found.row + 1:
            break
        header = _header(number, cells)
        if header is not None and (found is None or len(header.columns) > len(found.columns)):
            found = header
        elif found is not None:
            break
    return found


def _header(number: int, cells: dict[int, Value]) -> Header | None:
    columns: dict[str, int] = {}
    repeated = []
    for column in sorted(cells):
        field = field_of(cells[column])
        if field is None:
            continue
        if field in columns:
            repeated.append((field, column))
        else:
            columns[field] = column
    if len(columns) < _FIELDS_MIN or not _PERSONAL & columns.keys():
        return None
    return Header(number, columns, tuple(repeated))


def _rows_with_merged(sheet: Sheet) -> Iterator[tuple[int, dict[int, Value]]]:
    """The first rows that hold something, each with what merged cells that begin above hold for it too."""
    numbers = [number for number, _ in zip(sheet.rows, range(ROSTER_HEADER_ROWS_MAX), strict=False)]
    if not numbers:
        return
    last = numbers[-1]
    reaching = [merge for merge in sheet.merges if merge.first_row < merge.last_row and merge.first_row <= last]
    for number in numbers:
        cells = dict(sheet.rows[number])
        for merge in reaching:
            if merge.first_row < number <= merge.last_row:
                value = sheet.rows.get(merge.first_row, {}).get(merge.first_column)
                if value is not None:
                    cells.setdefault(merge.first_column, value)
        yield number, cells
