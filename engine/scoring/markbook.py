"""A mark book: one answer key, and what each response met so far has earned.

Most responses of an exam are the same few hundred values, so a sitting is marked by looking them up. What `marking.py`
says is said here, to the last digit: points are counted as whole units of one common denominator, so sums stay exact.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import orjson
from msgspec import Struct

from engine.rules import exact_json
from engine.rules.errors import Corrupt
from engine.rules.limits import MARK_BOOK_BYTES_MAX, MARK_BOOKS_BYTES_MAX, MARKS_KEPT_CHARACTERS_MAX
from engine.rules.marking import (
    AnswerKey,
    FillKey,
    ItemKey,
    MultipleKey,
    SectionKey,
    four_decimals,
    json_number,
    mark_item,
    score_of,
)

_UNANSWERED = "null"
_NOBODY: Mapping[str, Fraction] = {}
_ENTRY_BYTES = 300  # beside its two texts: the entry, its key, their place in the dictionary
_TIMES_JSON = 10  # what an answer key takes as objects, of what it takes as JSON


class Marked(Struct, frozen=True):
    """A sitting's marks: `score` is None while an assessor is awaited; `marks` is `{item: {mark, points}}` as JSON.

    `waiting`: what an assessor has yet to mark, as (item, its points).
    """

    score: Decimal | None
    sections: list[dict[str, Any]]
    marks: str
    waiting: tuple[tuple[str, Decimal], ...] = ()


class _Entry(Struct, frozen=True):
    """One response's mark, in units, and as it stands in `marks`."""

    units: int
    waits: bool
    shown: str


class MarkBook:
    """Marks sittings by one answer key, whose JSON has `json_bytes`; holds about `held_bytes` of memory."""

    def __init__(self, answer_key: AnswerKey, json_bytes: int = 0) -> None:
        self.answer_key = answer_key
        self._sections = answer_key.sections
        items = [item for section in self._sections for item in section.items]
        # Whatever an item can earn is a whole number of these.
        self._units = math.lcm(*(item.points.denominator * _parts(item) for item in items))
        self._full = answer_key.full
        self._points = [sum((item.counted for item in section.items), Fraction()) for section in self._sections]
        self._known: dict[tuple[str, str], _Entry] = {}
        self._key_bytes = json_bytes * _TIMES_JSON
        self._known_bytes = 0

    @property
    def held_bytes(self) -> int:
        return self._key_bytes + self._known_bytes

    def mark(self, responses: Mapping[str, str], assessed: Mapping[str, Fraction] = _NOBODY) -> Marked:
        """`responses`: item -> its value as JSON text; items that the key does not have count for nothing.

        `assessed`: item -> the points that assessors gave where the key alone cannot say.
        """
        shown: list[str] = []
        sections: list[dict[str, Any]] = []
        waiting: list[tuple[str, Decimal]] = []
        earned = Fraction()
        for section, points in zip(self._sections, self._points, strict=True):
            entries = [self._entry(item, responses.get(item.id, _UNANSWERED)) for item in section.items]
            given = Fraction()
            if assessed:
                entries, given = self._assessed(section, entries, assessed)
            shown += [entry.shown for entry in entries]
            section_earned = Fraction(sum([entry.units for entry in entries]), self._units) + given
            section_waits = any([entry.waits for entry in entries])
            if section_waits:
                items = zip(section.items, entries, strict=True)
                waiting += [(item.id, four_decimals(item.points)) for item, entry in items if entry.waits]
            section_score = None if section_waits else self._shown_points(section_earned)
            sections.append({"id": section.id, "score": section_score, "points": self._shown_points(points)})
            earned += section_earned
        score = None if waiting else score_of(earned, self._full)
        return Marked(score, sections, "{" + ",".join(shown) + "}", tuple(waiting))

    def _assessed(
        self, section: SectionKey, entries: list[_Entry], assessed: Mapping[str, Fraction]
    ) -> tuple[list[_Entry], Fraction]:
        """The entries with assessors' marks in place of those that wait, and the points of these together."""
        found, given = list(entries), Fraction()
        for place, (item, entry) in enumerate(zip(section.items, entries, strict=True)):
            if entry.waits and item.id in assessed:
                points = assessed[item.id]
                found[place] = _Entry(0, False, self._shown(item.id, self._shown_points(points), item.points))
                given += points
        return found, given

    def _entry(self, item: ItemKey, text: str) -> _Entry:
        found = self._known.get((item.id, text))
        return self._marked(item, text) if found is None else found

    def _marked(self, item: ItemKey, text: str) -> _Entry:
        mark = mark_item(item, exact_json.decode(text.encode()))
        units = mark.points * self._units
        if units.denominator != 1:
            raise Corrupt(f"item {item.id!r} earned {mark.points}, which is no whole number of 1/{self._units}")
        shown_mark = None if mark.waits else self._shown_points(mark.points)
        entry = _Entry(int(units), mark.waits, self._shown(item.id, shown_mark, mark.full))
        if len(text) <= MARKS_KEPT_CHARACTERS_MAX:
            entry_bytes = _ENTRY_BYTES + sys.getsizeof(text) + sys.getsizeof(entry.shown)
            if self._known_bytes + entry_bytes > MARK_BOOK_BYTES_MAX:
                self._known.clear()  # the usual ones come back within a sitting
                self._known_bytes = 0
            self._known[item.id, text] = entry
            self._known_bytes += entry_bytes
        return entry

    def _shown(self, item_id: str, shown_mark: float | None, full: Fraction) -> str:
        member = {"mark": shown_mark, "points": self._shown_points(full)}
        return f"{orjson.dumps(item_id).decode()}:{orjson.dumps(member).decode()}"

    def _shown_points(self, points: Fraction) -> int | float:
        return json_number(four_decimals(points))


class MarkBooks:
    """A mark book per answer key; those used longest ago go when all together hold too much."""

    def __init__(self) -> None:
        self._books: dict[str, MarkBook] = {}  # by the digest of the answer key, the one used last at the end

    def find(self, digest: str) -> MarkBook | None:
        book = self._books.pop(digest, None)
        return None if book is None else self.keep(digest, book)

    def keep(self, digest: str, book: MarkBook) -> MarkBook:
        self._books[digest] = book
        held_bytes = sum(each.held_bytes for each in self._books.values())
        while held_bytes > MARK_BOOKS_BYTES_MAX and len(self._books) > 1:
            held_bytes -= self._books.pop(next(iter(self._books))).held_bytes
        return book


def _parts(item: ItemKey) -> int:
    """Into how many equal parts an item's points may be divided."""
    if isinstance(item, FillKey):
        return len(item.answer)
    if isinstance(item, MultipleKey) and item.marking == "per_option":
        return len(item.answer)
    return 2  # half, of `subset_half`
