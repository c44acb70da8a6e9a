"""What a response earns: a pure, exact function of one answer key and one value.

Promises: total (no value raises), deterministic, and exact: points are `Fraction`s from the decimals as written until
the one rounding of the published score. A value the save path would have refused (wrong kind, unknown option, too
many strings, too many digits) earns 0; an option twice counts once.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, Self, cast

import msgspec
from msgspec import Struct

from engine.rules.errors import Corrupt
from engine.rules.limits import NUMERIC_DIGITS_MAX

FOLDS = ("width", "space", "case", "punctuation")
FOLD_DEFAULT = ("width", "space", "case")
MARKINGS = ("exact", "subset_half", "per_option")
RULINGS = ("marked", "voided", "accept_all")

_NOTHING = Fraction(0)
_EXPONENT_MAX = 400  # past any double; keeps `Decimal("1e999999999")` from becoming a billion digits


# --- the answer key --------------------------------------------------------------------------------------------
class _ItemKey(Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    """`ruling`: what a regrade decided; a voided item counts for nobody, an accepted one in full for everybody."""

    id: str
    points: Fraction
    ruling: Literal["marked", "voided", "accept_all"] = "marked"

    @property
    def counted(self) -> Fraction:
        """The points that the item adds to the total."""
        return _NOTHING if self.ruling == "voided" else self.points


class SingleKey(_ItemKey, frozen=True, kw_only=True, tag="single"):
    """`answer` is one option; after a regrade perhaps several, each of them right."""

    answer: str | frozenset[str]


class MultipleKey(_ItemKey, frozen=True, kw_only=True, tag="multiple"):
    """`options` holds every option: choosing one that does not exist spoils the whole value."""

    answer: frozenset[str]
    options: frozenset[str]
    marking: Literal["exact", "subset_half", "per_option"]


class TrueFalseKey(_ItemKey, frozen=True, kw_only=True, tag="true_false"):
    answer: bool


class FillKey(_ItemKey, frozen=True, kw_only=True, tag="fill"):
    """`answer`: per blank the accepted strings, unfolded."""

    answer: tuple[tuple[str, ...], ...]
    fold: tuple[Literal["width", "space", "case", "punctuation"], ...]


class NumericKey(_ItemKey, frozen=True, kw_only=True, tag="numeric"):
    answer: Fraction
    tolerance: Fraction


class TextKey(_ItemKey, frozen=True, kw_only=True, tag="text"):
    pass


ItemKey = SingleKey | MultipleKey | TrueFalseKey | FillKey | NumericKey | TextKey


class SectionKey(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    items: tuple[ItemKey, ...]


class AnswerKey(Struct, frozen=True, forbid_unknown_fields=True):
    """All that marking needs of one paper."""

    sections: tuple[SectionKey, ...]

    @classmethod
    def load(cls, answer_key: Mapping[str, Any]) -> Self:
        """The typed form of `QuestionSet.answer_key`; raises Corrupt, for it was valid when it was stored."""
        try:
            loaded = msgspec.convert(answer_key, cls, dec_hook=_fraction)
        except (msgspec.ValidationError, ArithmeticError) as fault:
            raise Corrupt(f"a stored answer key cannot be read: {fault}") from None
        if loaded.full <= 0:
            raise Corrupt("a stored answer key has no points")
        return loaded

    @property
    def full(self) -> Fraction:
        """What a faultless sitting earns."""
        return sum((item.counted for section in self.sections for item in section.items), _NOTHING)


def _fraction(_kind: type, text: Any) -> Fraction:
    return Fraction(Decimal(text))


# --- marks -----------------------------------------------------------------------------------------------------
class Mark(Struct, frozen=True):
    """What one response earned of `full`; `waits` when an assessor has yet to say."""

    points: Fraction
    full: Fraction
    waits: bool = False


class SectionMark(Struct, frozen=True):
    """Raw points of one section; what waits counts as 0 so far."""

    id: str
    earned: Fraction
    full: Fraction
    waits: bool

    @property
    def score(self) -> Decimal:
        return four_decimals(self.earned)

    @property
    def points(self) -> Decimal:
        return four_decimals(self.full)


class SittingMark(Struct, frozen=True):
    """The marks of a whole sitting; `score` (0-100, two decimals) is None while something waits."""

    items: dict[str, Mark]
    sections: list[SectionMark]
    earned: Fraction
    full: Fraction
    waits: bool
    score: Decimal | None


def mark_sitting(
    answer_key: AnswerKey, responses: Mapping[str, Any], assessed: Mapping[str, Fraction] | None = None
) -> SittingMark:
    """Marks every item of the key, an unanswered one as null; responses to other items count for nothing.

    `assessed`: the points that assessors gave, by item; they count for what would wait for an assessor.
    """
    given = assessed or {}
    items: dict[str, Mark] = {}
    sections: list[SectionMark] = []
    for section in answer_key.sections:
        marks = [_with_assessed(mark_item(item, responses.get(item.id)), given.get(item.id)) for item in section.items]
        items.update(zip((item.id for item in section.items), marks, strict=True))
        earned = sum((mark.points for mark in marks), _NOTHING)
        full = sum((mark.full for mark in marks), _NOTHING)
        sections.append(SectionMark(section.id, earned, full, any(mark.waits for mark in marks)))
    earned = sum((section.earned for section in sections), _NOTHING)
    full = sum((section.full for section in sections), _NOTHING)
    waits = any(section.waits for section in sections)
    score = None if waits else score_of(earned, full)
    return SittingMark(items, sections, earned, full, waits, score)


def _with_assessed(mark: Mark, points: Fraction | None) -> Mark:
    return mark if points is None or not mark.waits else Mark(points, mark.full)


def score_of(earned: Fraction, full: Fraction) -> Decimal:
    """The published score: 0-100, rounded once, half up, to two decimals."""
    return half_up(earned / full * 100, decimals=2)


def passed(score: Decimal, pass_mark: Decimal | int) -> bool:
    """Whether the published score, already rounded, reaches the pass mark."""
    return score >= pass_mark


def mark_item(item_key: ItemKey, value: Any) -> Mark:
    """Marks one JSON value as `exact_json.decode` gives it; None is no response."""
    if item_key.ruling != "marked":  # whatever was answered, or not
        return Mark(item_key.counted, item_key.counted)
    if isinstance(item_key, TextKey):
        # Neither nothing nor a wrong kind is worth an assessor's time.
        return Mark(_NOTHING, item_key.points, waits=isinstance(value, str) and not is_blank(value))
    share = cast(Callable[[ItemKey, Any], Fraction | bool], _SHARES[type(item_key)])
    return Mark(item_key.points * share(item_key, value), item_key.points)


def four_decimals(points: Fraction) -> Decimal:
    """Raw points as results show them: exact up to four decimals, beyond them (a third of a point) rounded half up."""
    return half_up(points, decimals=4)


def json_number(number: Decimal) -> int | float:
    """`number` as what every JSON encoder writes with the same decimals; ValueError when a double cannot hold it."""
    if number == 0:
        return 0
    if number == number.to_integral_value() and abs(number) < 2**53:
        return int(number)  # 100, not 100.0: the form RFC 8785 has
    as_double = float(number)
    if Decimal(repr(as_double)) != number:
        raise ValueError(f"{number} is not exact as a JSON number")
    return as_double


def half_up(amount: Fraction, *, decimals: int) -> Decimal:
    """`amount` rounded to so many decimals."""
    units = math.floor(amount * 10**decimals + Fraction(1, 2))
    return Decimal(f"{units}e-{decimals}")  # built from text: no context can round it


# --- the share of its points a value earns, by type of item ----------------------------------------------------
def _single_share(item_key: SingleKey, value: Any) -> bool:
    if not isinstance(value, str):
        return False
    return value == item_key.answer if isinstance(item_key.answer, str) else value in item_key.answer


def _true_false_share(item_key: TrueFalseKey, value: Any) -> bool:
    # In Python 1 == True; a number is still no answer to a true-or-false item.
    return isinstance(value, bool) and value == item_key.answer


def _multiple_share(item_key: MultipleKey, value: Any) -> Fraction | bool:
    if not isinstance(value, list) or not all(isinstance(option, str) for option in value):
        return False
    chosen = frozenset(value)
    if not chosen or not chosen <= item_key.options:
        return False
    if chosen == item_key.answer:
        return True
    if item_key.marking == "subset_half":
        return Fraction(1, 2) if chosen < item_key.answer else False
    if item_key.marking == "per_option":
        right = len(chosen & item_key.answer)
        wrong = len(chosen - item_key.answer)
        return Fraction(max(0, right - wrong), len(item_key.answer))
    return False


def _fill_share(item_key: FillKey, value: Any) -> Fraction | bool:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        return False
    blanks = len(item_key.answer)
    if len(value) > blanks:
        return False
    # A shorter list leaves the last blanks empty.
    filled = zip(value, item_key.answer, strict=False)
    right = sum(folded(text, item_key.fold) in _accepted(strings, item_key.fold) for text, strings in filled)
    return Fraction(right, blanks)


def _numeric_share(item_key: NumericKey, value: Any) -> bool:
    number = exact_number(value)
    return number is not None and abs(number - item_key.answer) <= item_key.tolerance


_SHARES: dict[type, Callable[..., Fraction | bool]] = {
    SingleKey: _single_share,
    MultipleKey: _multiple_share,
    TrueFalseKey: _true_false_share,
    FillKey: _fill_share,
    NumericKey: _numeric_share,
}


# --- numbers and texts as the small print reads them -----------------------------------------------------------
def exact_number(value: Any) -> Fraction | None:
    """A JSON number as the decimal it was written as; None when it is none that can be marked.

    That is: no number, not finite, or more than NUMERIC_DIGITS_MAX significant digits. Zeros at either end are not
    significant, so the answer does not depend on whether someone wrote 1e2, 100 or 100.00.
    """
    if isinstance(value, float):
        value = repr(value)  # a double stands for its shortest decimal, which is what a browser sent
    elif isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    if not number.is_finite():
        return None
    sign, digits, exponent = number.as_tuple()
    significant = "".join(map(str, digits)).rstrip("0")
    if not significant:
        return _NOTHING
    if abs(number.adjusted()) > _EXPONENT_MAX or len(significant) > NUMERIC_DIGITS_MAX:
        return None
    scale = int(exponent) + len(digits) - len(significant)
    return Fraction(int(significant) * (-1) ** sign) * Fraction(10) ** scale


def folded(text: str, fold: Collection[str]) -> str:
    """`text` in the form in which fill-in answers are compared, by the item's `fold`.

    width: full-width and half-width forms become the ordinary ones (and U+3000 a space); space: all white space goes;
    case: full case folding; punctuation: every character of a Unicode category P goes (not symbols such as + or =).
    Numerals stay what they are: 8, 八, ⑧ and Ⅷ are four answers; only U+FF18 is a wide 8.
    """
    text = unicodedata.normalize("NFC", text)
    if "width" in fold:
        text = text.translate(_ordinary_widths())
    if "space" in fold:
        text = "".join(text.split())
    if "case" in fold:
        text = text.casefold()
    if "punctuation" in fold:
        text = "".join(character for character in text if unicodedata.category(character)[0] != "P")
    return unicodedata.normalize("NFC", text)  # a half-width ｶﾞ has become two characters that compose


def is_blank(text: str) -> bool:
    """Nothing but white space."""
    return not text.strip()


@lru_cache(maxsize=4096)  # a paper's blanks, folded once instead of once per sitting
def _accepted(strings: tuple[str, ...], fold: tuple[str, ...]) -> frozenset[str]:
    # What folds to nothing would reward an empty blank.
    return frozenset(folded(text, fold) for text in strings) - {""}


@lru_cache(maxsize=1)
def _ordinary_widths() -> dict[int, str]:
    # Unicode's own table of width variants. Not NFKC, which would also turn ⑧ and ² into digits.
    widths = {}
    for code in (0x3000, *range(0xFF01, 0xFFEF)):
        kind, *ordinary = unicodedata.decomposition(chr(code)).split() or [""]
        if kind in ("<wide>", "<narrow>"):
            widths[code] = "".join(chr(int(digits, 16)) for digits in ordinary)
    return widths
