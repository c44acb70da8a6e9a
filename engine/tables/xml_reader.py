"""XML as a stream of calls, without document types and so without entities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias
from xml.parsers import expat

from engine.tables.refusal import not_a_roster

Attributes: TypeAlias = dict[str, str]
Start: TypeAlias = Callable[[Attributes], None]
End: TypeAlias = Callable[[], None]
_TEXT_BYTES = 2**16
# Spreadsheets of the two variants of ISO/IEC 29500, and the relationships of either; elements of others are not ours.
_OURS = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
    "http://schemas.openxmlformats.org/package/2006/relationships",
    "",
)


class XmlReader:
    """Calls `starts[element](attributes)` and `ends[element]()` for a workbook's elements, by their local names."""

    def __init__(self, starts: Mapping[str, Start], ends: Mapping[str, End] | None = None) -> None:
        self._starts = starts
        self._ends = ends or {}
        # By names as they come, with what they belong to; a large sheet has millions of elements of ten names.
        self._known_starts: dict[str, Start | None] = {}
        self._known_ends: dict[str, End | None] = {}
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
        try:
            start = self._known_starts[name]
        except KeyError:
            space, _, local = name.rpartition(" ")
            start = self._known_starts[name] = self._starts.get(local) if space in _OURS else None
            self._known_ends[name] = self._ends.get(local) if space in _OURS else None
        if start is not None:
            start(attributes)

    def _finish(self, name: str) -> None:
        end = self._known_ends[name]
        if end is not None:
            end()


def _refuse_doctype(*_: object) -> None:
    raise not_a_roster("a workbook that declares a document type, which none does and none may")
