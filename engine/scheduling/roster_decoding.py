"""From what was sent to a roster's rows: tells the format by the content, whatever the sender calls it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from engine.rules.errors import Invalid
from engine.rules.roster_header import find_header
from engine.rules.roster_json import decode_array, decode_lines, is_one_object
from engine.rules.roster_row import FIELDS, Decoded, Row
from engine.rules.roster_table import header_flaw, read_table
from engine.rules.sheet import Cell, CellKind, Sheet, Value, column_number
from engine.tables.marked import Mark, write_marked
from engine.tables.refusal import not_a_roster
from engine.tables.text import decode_text, encoding_doubt, read_text
from engine.tables.xls import read_xls
from engine.tables.xlsx import read_xlsx

_BOM = b"\xef\xbb\xbf"
_JSON_SPACE = b" \t\r\n"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_BIFF = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x09\x08", b"\x09\x04", b"\x09\x02", b"\x09\x00")
_OTHERS: Final = {
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"Rar!": "an archive",
    b"7z\xbc\xaf": "an archive",
    b"\x1f\x8b": "an archive",
    b"{\\rtf": "a document (RTF)",
    b"SQLite": "a database",
}
_OF_LINES = re.compile(r"\s*[a-z]+/(x-)?(ndjson|ldjson|json-?l(ines)?)\s*(;|\Z)", re.IGNORECASE)
_ONE_OBJECT = (
    "one JSON object: the whole roster is an array of candidates; a roster of one line is sent as application/x-ndjson"
)
_NUMBER_MAX = 10**300  # what a workbook can hold
_MARKUP = re.compile(r"\s*<")
_INDEX = re.compile(r"/([0-9]+)(?:/(.*))?", re.DOTALL)


class Sent(Struct, frozen=True):
    """A decoded roster; of a table the sheet it was read from, to be given back marked."""

    decoded: Decoded
    sheet: Sheet | None = None
    header_row: int = 1
    others: list[Sheet] = []


def decode_roster(body: bytes, content_type: str) -> Sent:
    """The rows of a roster, unchecked; only the JSON text `[]` gives none.

    The content decides the format. Of `content_type` only the charset is read, for texts, and whether one object alone
    is meant as a roster of one line: anybody else has sent a candidate where the whole roster belongs.
    Raises Refused `roster.file_format` for an unknown or broken format, `request.malformed` for a JSON array that
    cannot be parsed, `request.too_large` beyond what a roster may hold.
    """
    plain = body.removeprefix(_BOM)
    if not plain.strip(_JSON_SPACE):
        raise not_a_roster(f"an empty body, sent as {content_type or 'nothing'}")
    first_byte = plain.lstrip(_JSON_SPACE)[:1]
    other = next((name for magic, name in _OTHERS.items() if plain.startswith(magic)), None)
    if other:
        raise not_a_roster(f"{other}, sent as {content_type or 'nothing'}")
    if first_byte == b"[":
        return Sent(Decoded(decode_array(plain)))
    if first_byte == b"{":
        if not _OF_LINES.match(content_type) and is_one_object(plain):
            raise not_a_roster(_ONE_OBJECT)
        return Sent(Decoded(decode_lines(plain)))
    if body.startswith(_ZIP):
        return _of_workbook(read_xlsx(body, _has_header))
    if body.startswith(_BIFF):
        return _of_workbook(read_xls(body, _has_header))
    return _of_text(body, content_type)


def _of_text(body: bytes, content_type: str) -> Sent:
    text = decode_text(body, content_type)
    if _MARKUP.match(text):
        raise not_a_roster("a page of HTML or XML, whatever its name says: save it as XLSX")
    sheet = read_text(text, _has_header)
    sheet.doubt = encoding_doubt(body, content_type)
    if max(map(len, sheet.rows.values()), default=0) < 2:
        raise not_a_roster(f"a text without columns, sent as {content_type or 'nothing'}")
    return _of_workbook([sheet])


def _of_workbook(sheets: Sequence[Sheet]) -> Sent:
    """The one sheet with a header row; none or several are a fault of the roster."""
    found = [(sheet, header) for sheet in sheets if (header := find_header(sheet)) is not None]
    if not found:
        sheet = next((sheet for sheet in sheets if sheet.rows), Sheet("roster"))
        first_row = next(iter(sheet.rows), 1)
        message = "no row names the columns: expected headers such as 姓名, 身份证号, 准考证号, 考点"
        return Sent(header_flaw(sheet, first_row, 1, "header.missing", message), sheet, first_row)
    (sheet, header), *others = found
    if others:
        names = " and ".join(repr(each.name) for each, _ in found)
        message = f"the visible sheets {names} both have a header row: leave one, or hide the others"
        column = min(header.columns.values())
        flawed = header_flaw(sheet, header.row, column, "sheets.several", message)
        return Sent(flawed, sheet, header.row, [each for each, _ in others])
    return Sent(read_table(sheet, header), sheet, header.row)


def _has_header(sheet: Sheet) -> bool:
    return find_header(sheet) is not None


def marked_workbook(sent: Sent, invalid: Invalid) -> bytes:
    """What was sent, as a workbook with the faults of `invalid` marked; JSON becomes a table first."""
    total = invalid.members.get("errors_total", len(invalid.faults))
    if sent.sheet is not None:
        marks = [
            Mark(fault["row"], column_number(fault["column"]) if fault["column"] else None, _told(fault))
            for fault in invalid.faults
        ]
        return write_marked(sent.sheet, sent.header_row, marks, total, sent.others)
    sheet, columns = _sheet_of(sent.decoded.rows)
    marks = []
    for fault in invalid.faults:
        place = _INDEX.fullmatch(fault["pointer"])
        assert place
        marks.append(Mark(int(place[1]) + 2, columns.get(_unescaped(place[2])), _told(fault)))
    return write_marked(sheet, 1, marks, total)


def _told(fault: Mapping[str, Any]) -> str:
    field = fault.get("field") or (_INDEX.fullmatch(fault["pointer"]) or [None, None, None])[2]
    return f"{field}: {fault['message']}" if field else str(fault["message"])


def _unescaped(name: str | None) -> str | None:
    return None if name is None else name.replace("~1", "/").replace("~0", "~")


def _sheet_of(rows: Sequence[Row]) -> tuple[Sheet, dict[str | None, int]]:
    """JSON as a table: the fields first, then whatever else members were called."""
    others = {name: None for row in rows for name in row.members if name not in FIELDS}
    names = [*FIELDS, *others]
    columns: dict[str | None, int] = {name: column for column, name in enumerate(names, start=1)}
    sheet = Sheet("roster", rows={1: {column: name for column, name in enumerate(names, start=1)}})
    for row in rows:
        cells = {columns[name]: _cell(value) for name, value in row.members.items() if value is not None}
        if not row.members and row.flaws:  # a line that is no object: as it was sent
            cells = {1: _cell(row.flaws[0].value)}
        sheet.rows[row.index + 2] = {column: cell for column, cell in cells.items() if cell != ""}
    return sheet, columns


def _cell(value: Any) -> Value:
    """Numbers stay numbers, so that what a number has lost is not hidden in a text."""
    if isinstance(value, bool):
        return Cell(CellKind.BOOLEAN, str(value), float(value))
    if isinstance(value, int | Decimal):
        number = Decimal(value)
        if number.is_finite() and abs(number) < _NUMBER_MAX:
            return Cell(CellKind.NUMBER, str(value), float(number), "0" if number == int(number) else "General")
    return value if isinstance(value, str) else str(value)
