"""The rehearsal's own marking, written from the contract and not from the engine: exact fractions throughout.

An item's mark is a Fraction of points, or None where an assessor has to read it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

DEFAULT_FOLD = ("width", "space", "case")


@dataclass(frozen=True)
class Marked:
    """A whole paper marked: `score` of 100 to two decimals, raw points per section, mark per item."""

    score: Decimal | None
    sections: dict[str, Decimal]
    marks: dict[str, Fraction]
    pending: bool


def mark_paper(paper: Mapping[str, Any], values: Mapping[str, Any]) -> Marked:
    """Mark the final `values` {item: value}; items without one are blank. `score` is None while one is pending."""
    marks: dict[str, Fraction] = {}
    sections: dict[str, Decimal] = {}
    total, pending = Fraction(0), False
    for section in paper["sections"]:
        raw = Fraction(0)
        for item in section["items"]:
            total += exact(item["points"])
            mark = mark_item(item, values.get(item["id"]))
            if mark is None:
                pending = True
                continue
            marks[item["id"]] = mark
            raw += mark
        sections[section["id"]] = round_half_up(raw, 4)
    score = None if pending else round_half_up(sum(marks.values(), Fraction(0)) / total * 100, 2)
    return Marked(score, sections, marks, pending)


def mark_item(item: Mapping[str, Any], value: Any) -> Fraction | None:
    """The mark of one item; None for a text that waits for an assessor. A value of the wrong kind earns 0."""
    if item["type"] == "text":
        blank = not isinstance(value, str) or not value.strip()
        return Fraction(0) if blank else None
    if value is None:
        return Fraction(0)
    return exact(item["points"]) * SHARES[item["type"]](item, value)


def exact(number: Any) -> Fraction:
    """A JSON number as the decimal it was written as."""
    return Fraction(Decimal(str(number)))


def round_half_up(number: Fraction, places: int) -> Decimal:
    """`number` (not negative) rounded once, half up."""
    scaled = number * 10**places
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Decimal(whole).scaleb(-places)


def _single(item: Mapping[str, Any], value: Any) -> Fraction:
    return Fraction(isinstance(value, str) and value == item["answer"])


def _true_false(item: Mapping[str, Any], value: Any) -> Fraction:
    return Fraction(isinstance(value, bool) and value == item["answer"])


def _multiple(item: Mapping[str, Any], value: Any) -> Fraction:
    if not isinstance(value, list) or not all(isinstance(option, str) for option in value):
        return Fraction(0)
    chosen, answer = set(value), set(item["answer"])
    marking = item.get("marking", "exact")
    if marking == "per_option":
        right, wrong = len(chosen & answer), len(chosen - answer)
        return max(Fraction(0), Fraction(right - wrong, len(answer)))
    if chosen == answer:
        return Fraction(1)
    proper_part = bool(chosen) and chosen < answer
    return Fraction(1, 2) if marking == "subset_half" and proper_part else Fraction(0)


def _fill(item: Mapping[str, Any], value: Any) -> Fraction:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        return Fraction(0)
    folds = item.get("fold", DEFAULT_FOLD)
    blanks = item["answer"]
    pairs = zip(blanks, value, strict=False)  # missing strings are blank
    right = sum(fold(text, folds) in {fold(known, folds) for known in accepted} for accepted, text in pairs)
    return Fraction(right, len(blanks))


def _numeric(item: Mapping[str, Any], value: Any) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return Fraction(0)
    distance = abs(exact(value) - exact(item["answer"]))
    return Fraction(distance <= exact(item.get("tolerance", 0)))


SHARES: dict[str, Callable[[Mapping[str, Any], Any], Fraction]] = {
    "single": _single,
    "multiple": _multiple,
    "true_false": _true_false,
    "fill": _fill,
    "numeric": _numeric,
}


def fold(text: str, folds: Any) -> str:
    """`text` in NFC and folded; numerals are never converted."""
    text = unicodedata.normalize("NFC", text)
    if "width" in folds:
        text = "".join(map(_ordinary_width, text))
    if "space" in folds:
        text = "".join(char for char in text if not char.isspace())
    if "case" in folds:
        text = text.casefold()
    if "punctuation" in folds:
        text = "".join(char for char in text if not unicodedata.category(char).startswith("P"))
    return unicodedata.normalize("NFC", text)


def _ordinary_width(char: str) -> str:
    """Unicode's own width variants and nothing else: no digit in a circle becomes a digit."""
    is_variant = unicodedata.decomposition(char).startswith(("<wide>", "<narrow>"))
    return unicodedata.normalize("NFKC", char) if is_variant else char
