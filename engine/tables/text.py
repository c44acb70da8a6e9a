"""Tables as text: comma, semicolon or TAB between cells, in the encodings that office programs of this country write.

`charset` of the content type wins, then a byte order mark, then UTF-8 where the bytes are valid in it, else GB 18030,
which holds GBK and GB 2312.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Callable
from typing import Final

from engine.rules.errors import Refused
from engine.rules.limits import ROSTER_HEADER_ROWS_MAX, TABLE_CELLS_MAX, TABLE_ROWS_MAX
from engine.rules.sheet import Flaw, Sheet
from engine.tables.refusal import ACCEPTED, not_a_roster, too_large

_UTF_8 = "utf-8"
_GB_18030 = "gb18030"
_CODECS: Final = {
    **dict.fromkeys(("utf-8", "utf8", "us-ascii", "ascii"), _UTF_8),
    **dict.fromkeys(("gb18030", "gbk", "gb2312", "cp936", "ms936", "windows-936", "x-gbk"), _GB_18030),
    **{name: name for name in ("utf-16", "utf-16le", "utf-16be")},
}
_MARKS: Final = ((b"\xef\xbb\xbf", _UTF_8), (b"\xff\xfe", "utf-16le"), (b"\xfe\xff", "utf-16be"))
# Python's GB 18030 is that of 2000, which had to put these into the private use area; in 2005 they got their places.
_PLACED_SINCE = dict(
    zip(
        "\ue81e\ue826\ue82b\ue82c\ue832\ue843\ue854\ue864\ue816\ue817\ue818\ue831\ue83b\ue855\ue7c7",
        "\u9fb4\u9fb5\u9fb6\u9fb7\u9fb8\u9fb9\u9fba\u9fbb\U00020087\U00020089\U000200cc\U000215d7\U0002298f\U000241fe\u1e3f",
        strict=True,
    )
)
_PLACES = str.maketrans(_PLACED_SINCE)
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
_BEGINNING = 4096  # characters in which what is no text shows itself
_READABLE_TO_BROKEN = 4
_BLANK_ROWS_MAX = 10_000  # above a header
_DELIMITERS = ",;\t"
_SEP_LINE = re.compile(r"sep=([,;\t])\Z")  # a spreadsheet's own word for what separates the cells
# How exporters keep a spreadsheet from taking digits for a number: ="0123"
_KEPT_AS_TEXT = re.compile(r'\s*="((?:[^"]|"")*)"\s*', re.DOTALL)


def decode_text(body: bytes, content_type: str) -> str:
    """Raises Refused `roster.file_format` for what is no text, or in no encoding that is taken."""
    declared = _CHARSET.search(content_type)
    marked = next(((mark, codec) for mark, codec in _MARKS if body.startswith(mark)), None)
    if declared:
        codec = _CODECS.get(declared[1].lower())
        if codec is None:
            detail = f"the charset {declared[1][:40]!r} is not taken, expected utf-8, gb18030 or utf-16"
            raise Refused("roster.file_format", detail, accepted=list(ACCEPTED))
    elif marked:
        codec = marked[1]
    else:
        codec = _UTF_8 if _is_utf_8(body) else _GB_18030
    try:
        text = body.decode(codec)
    except UnicodeDecodeError as fault:
        line = body.count(b"\n", 0, fault.start) + 1
        known = "as its charset says" if declared else "as it seems to be"
        raise not_a_roster(f"a text that is not {codec}, {known}, at byte {fault.start} (line {line})") from None
    text = text.removeprefix("\ufeff")
    if "\0" in text[:_BEGINNING]:
        raise not_a_roster("binary content")
    return text.translate(_PLACES) if codec == _GB_18030 and not text.isascii() else text


def encoding_doubt(body: bytes, content_type: str) -> str:
    """What speaks against GB 18030 where nothing was declared: a text in UTF-8 with a few broken bytes is taken for it.

    Hardly any text in GB 18030 is UTF-8 by chance, and none is for most of its characters.
    """
    if _CHARSET.search(content_type) or any(body.startswith(mark) for mark, _ in _MARKS) or _is_utf_8(body):
        return ""
    as_utf_8 = body.decode(_UTF_8, "replace")
    broken = as_utf_8.count("\ufffd")
    others = len(as_utf_8) - len(as_utf_8.encode("ascii", "ignore")) - broken
    if others < broken * _READABLE_TO_BROKEN:
        return ""
    return f"was read as GB 18030, but all except {broken} broken places are UTF-8: look at the names"


def _is_utf_8(body: bytes) -> bool:
    try:
        body.decode(_UTF_8)
    except UnicodeDecodeError:
        return False
    return True


def read_text(text: str, has_header: Callable[[Sheet], bool]) -> Sheet:
    """The one sheet of a text; among the separators that which gives a header row, else that which gives most cells.

    A quotation mark that is opened and never closed is the sheet's `flaw`: what it swallowed may be candidates.
    """
    first_line = text[:16].partition("\n")[0].rstrip("\r")
    named = _SEP_LINE.match(first_line)
    if named:
        return _read(text, named[1])
    heads = {delimiter: _read(text, delimiter, ROSTER_HEADER_ROWS_MAX) for delimiter in _DELIMITERS}
    chosen = [delimiter for delimiter, head in heads.items() if has_header(head)]
    ranked = max(chosen or _DELIMITERS, key=lambda delimiter: sum(map(len, heads[delimiter].rows.values())))
    return _read(text, ranked)


def _read(text: str, delimiter: str, rows_max: int | None = None) -> Sheet:
    sheet = Sheet("roster")
    records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = cells_count = lines = 0
    try:
        for number, record in enumerate(records, start=1):
            cells = {column: _cell(cell) for column, cell in enumerate(record, start=1) if cell}
            if cells:
                sheet.rows[number] = dict(cells)
                cells_count += len(cells)
            if records.line_num - lines > 1:
                sheet.long_rows.append(number)
            lines = records.line_num
            if cells_count > TABLE_CELLS_MAX:
                raise too_large(f"has more than {TABLE_CELLS_MAX} cells")
            if number > TABLE_ROWS_MAX:
                raise too_large(f"has more than {TABLE_ROWS_MAX} rows")
            if rows_max is not None and (len(sheet.rows) >= rows_max or number > _BLANK_ROWS_MAX):
                break
    except csv.Error as fault:
        message = f"cannot be read from here on, a quotation mark is in the wrong place ({fault})"
        sheet.flaw = Flaw(number + 1, "quotation", message)
        rest = "".join(itertools.islice(io.StringIO(text, newline=""), lines, None))
        sheet.rows[number + 1] = {1: rest}  # nothing is lost where the sheet is given back
    return sheet


def _cell(text: str) -> str:
    kept = _KEPT_AS_TEXT.fullmatch(text)
    return kept[1].replace('""', '"') if kept else text
