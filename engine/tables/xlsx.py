"""Reads XLSX workbooks, as little of them as a list needs, with a bound on everything that can grow.

Promise: what is read is what a person sees. Numbers come as their cells show them, formulas as what was stored of them
when the workbook was saved; nothing is computed here. Why no library: those that know number formats build an object
for each cell and take a formula without an outcome for an empty cell; those that are fast know no number formats.
No part of a workbook may declare a document type, so that there are no entities, external ones least of all.
"""

from __future__ import annotations

import io
import lzma
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from xml.parsers import expat

from engine.rules.limits import ROSTER_PARTS_MAX, ROSTER_UNPACKED_BYTES_MAX, TABLE_CELLS_MAX, TABLE_STRINGS_MAX
from engine.rules.number_format import BUILT_IN, GENERAL
from engine.rules.sheet import Sheet
from engine.tables.refusal import not_a_roster, too_large, unpacks_to
from engine.tables.xlsx_sheet import SheetReader, decode_escapes
from engine.tables.xml_reader import Attributes, XmlReader

# What reading a damaged container comes to; ValueError for places before its beginning, LookupError for encodings.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    ValueError,
)
_BLOCK_BYTES = 2**18
_OTHERS = {
    "word/document.xml": "a document (DOCX)",
    "xl/workbook.bin": "a binary workbook (XLSB): save it as XLSX",
    "content.xml": "an OpenDocument file: save it as XLSX",
}


def read_xlsx(body: bytes, has_header: Callable[[Sheet], bool]) -> list[Sheet]:
    """The visible sheets; one without a header row among its first rows is not read to its end.

    Raises Refused `roster.file_format` for what is no workbook, `request.too_large` beyond what it may hold.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as container:
            parts = _Parts(container)
            return _read(parts, has_header)
    except _BROKEN as fault:
        raise not_a_roster(f"a ZIP container that cannot be read ({fault})") from None
    except expat.ExpatError as fault:
        raise not_a_roster(f"a workbook whose XML cannot be read ({fault})") from None


class _Parts:
    """The files in a workbook's container. What each says of its size is believed, for no more is ever unpacked."""

    def __init__(self, container: zipfile.ZipFile) -> None:
        entries = container.infolist()
        if len(entries) > ROSTER_PARTS_MAX:
            raise too_large(f"has {len(entries)} parts, expected at most {ROSTER_PARTS_MAX}")
        total_bytes = sum(entry.file_size for entry in entries)
        if total_bytes > ROSTER_UNPACKED_BYTES_MAX:
            raise unpacks_to(total_bytes)
        self._container = container
        self._entries = {entry.filename.replace("\\", "/").lstrip("/").lower(): entry for entry in entries}

    def has(self, path: str) -> bool:
        return path.lower() in self._entries

    def blocks(self, path: str) -> Iterator[bytes]:
        """A part, piece by piece; nothing where there is none."""
        entry = self._entries.get(path.lower())
        if entry is not None:
            with self._container.open(entry) as stream:
                while block := stream.read(_BLOCK_BYTES):
                    yield block


def _read(parts: _Parts, has_header: Callable[[Sheet], bool]) -> list[Sheet]:
    root = next((target for kind, target in _relations(parts, "").values() if kind == "officeDocument"), "")
    path = root if parts.has(root) else "xl/workbook.xml"
    if path.endswith(".bin") or not parts.has(path):
        found = next((name for part, name in _OTHERS.items() if parts.has(part)), "a ZIP container without a workbook")
        raise not_a_roster(found)
    relations = _relations(parts, path)
    by_kind = {kind: target for kind, target in relations.values()}
    texts = _shared_texts(parts, by_kind.get("sharedStrings", ""))
    formats = _formats(parts, by_kind.get("styles", ""))
    sheets = []
    cells_left = TABLE_CELLS_MAX
    for name, relation_id in _visible_sheets(parts, path):
        kind, target = relations.get(relation_id, ("", ""))
        if kind != "worksheet":  # a chart has a sheet of its own
            continue
        reader = SheetReader(name, texts, formats, cells_left, has_header)
        sheets.append(reader.read(parts.blocks(target)))
        cells_left = reader.cells_left
    return sheets


def _relations(parts: _Parts, path: str) -> dict[str, tuple[str, str]]:
    """id -> (kind, path) of what a part refers to inside the container."""
    folder, _, name = path.rpartition("/")
    found: dict[str, tuple[str, str]] = {}

    def relation(attributes: Attributes) -> None:
        if attributes.get("TargetMode") != "External":
            target = attributes.get("Target", "")
            joined = target.lstrip("/") if target.startswith("/") else posixpath.join(folder, target)
            kind = attributes.get("Type", "").rpartition("/")[2]
            found[attributes.get("Id", "")] = (kind, posixpath.normpath(joined))

    XmlReader({"Relationship": relation}).read(parts.blocks(posixpath.join(folder, "_rels", f"{name}.rels")))
    return found


def _visible_sheets(parts: _Parts, path: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    def sheet(attributes: Attributes) -> None:
        if attributes.get("state", "visible") == "visible":
            relation_id = next((value for name, value in attributes.items() if name.endswith("relationships id")), "")
            found.append((attributes.get("name", ""), relation_id))

    XmlReader({"sheet": sheet}).read(parts.blocks(path))
    return found


def _shared_texts(parts: _Parts, path: str) -> list[str]:
    """The texts that cells refer to by number, without the readings that are printed above them."""
    texts: list[str] = []
    pieces: list[str] = []
    readings = 0

    def start_text(_: Attributes) -> None:
        if not readings:
            reader.keep_text(pieces)

    def start_reading(_: Attributes) -> None:
        nonlocal readings
        readings += 1

    def end_reading() -> None:
        nonlocal readings
        readings -= 1

    def end_entry() -> None:
        if len(texts) == TABLE_STRINGS_MAX:
            raise too_large(f"has more than {TABLE_STRINGS_MAX} different texts")
        texts.append(decode_escapes("".join(pieces)))
        pieces.clear()

    starts = {"t": start_text, "rPh": start_reading}
    reader = XmlReader(starts, {"t": lambda: reader.keep_text(None), "rPh": end_reading, "si": end_entry})
    reader.read(parts.blocks(path))
    return texts


def _formats(parts: _Parts, path: str) -> list[str]:
    """The number format of each style that cells refer to."""
    custom: dict[str, str] = {}
    used: list[str] = []
    is_of_cells = False

    def number_format(attributes: Attributes) -> None:
        custom[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")

    def start_styles(_: Attributes) -> None:
        nonlocal is_of_cells
        is_of_cells = True

    def end_styles() -> None:
        nonlocal is_of_cells
        is_of_cells = False

    def style(attributes: Attributes) -> None:
        if is_of_cells:  # others are of named styles
            used.append(attributes.get("numFmtId", "0"))

    XmlReader({"numFmt": number_format, "cellXfs": start_styles, "xf": style}, {"cellXfs": end_styles}).read(
        parts.blocks(path)
    )
    return [custom.get(number) or BUILT_IN.get(_whole(number), GENERAL) for number in used]


def _whole(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) else 0
