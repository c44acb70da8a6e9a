"""XML as a stream of calls, without document types and so without entities."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias
from xml.parsers import expat

from engine.tables.refusal import not_a_roster

Attributes: TypeAlias = dict[str, str]
_TEXT_BYTES = 2**16
# Spreadsheets of the two variants of ISO/IEC 29500, and the relationships of either; elements of others are not ours.
_OURS = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
    "http://schemas.openxmlformats.org/package/2006/relationships",
    "",
)


def _nothing(_: str) -> None:
    pass


class XmlReader:
    """Calls `start(element, attributes)` and `end(element)` for the elements of a workbook, by their local names."""

    def __init__(self, start: Callable[[str, Attributes], None], end: Callable[[str], None] = _nothing) -> None:
        self._start = start
        self._end = end
        self._names: dict[str, str] = {}
        self._parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.buffer_size = _TEXT_BYTES
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._finish

    def read(self, blocks: Iterable[bytes]) -> None:
        """Raises ExpatError for what is no XML, and Refused for a document type; no blocks are an empty document."""
        is_begun = False
        for block in blocks:
            is_begun = True
            self._parser.Parse(block, False)
        if is_begun:
            self._parser.Parse(b"", True)

    def keep_text(self, pieces: list[str] | None) -> None:
        """From here on text goes into `pieces`, or nowhere."""
        self._parser.CharacterDataHandler = None if pieces is None else pieces.append

    def _begin(self, name: str, attributes: Attributes) -> None:
        local = self._names.get(name)
        if local is None:
            space, _, own = name.rpartition(" ")
            local = self._names[name] = own if space in _OURS else ""
        if local:
            self._start(local, attributes)

    def _finish(self, name: str) -> None:
        local = self._names[name]
        if local:
            self._end(local)


def _refuse_doctype(*_: object) -> None:
    raise not_a_roster("a workbook that declares a document type, which none does and none may")
