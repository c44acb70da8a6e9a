"""What a batch's marks tell about its items: difficulty, discrimination, options, omissions, time, reliability.

Pure and exact: sums are whole numbers (marks in ten-thousandths of a point, as results show them), so that the outcome
does not depend on the order of the sittings; each published figure is rounded once. Only graded sittings count.

* **difficulty**: the mean share of the item's points, 0 (nobody) to 1 (everybody); what was left out earned 0.
* **discrimination**: the correlation of the item's mark with the points of the rest of the paper; of an item that is
  right or wrong that is the point-biserial, corrected for the item itself. None where either does not vary.
* **best and worst third**: the sittings in the order of their points (equal ones by their id), a third of them rounded
  down from either end.
* **omitted**: nothing recorded, cleared, or empty.
* **time**: the median over sittings of the time before the item's changes: from each accepted change to the next, given
  to the item that was changed then. An estimate: who reads one item and answers another is seen at the other. Pauses
  above TIME_GAP_S_MAX count for nothing.
* **reliability**: Cronbach's alpha over the items of a paper.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from msgspec import Struct

from engine.rules.limits import (
    FREQUENT_WRONG_LISTED_MAX,
    TIME_GAP_S_MAX,
    WRONG_VALUES_COUNTED_MAX,
)
from engine.rules.marking import (
    AnswerKey,
    FillKey,
    ItemKey,
    MultipleKey,
    NumericKey,
    SingleKey,
    TextKey,
    TrueFalseKey,
    half_up,
    is_blank,
    json_number,
)

UNITS = 10_000  # of a point: what results show has four decimals
BEST, MIDDLE, WORST = "best", "middle", "worst"
_DECIMALS = 4
_TRUE_FALSE = ("true", "false")


class ItemTally:
    """The sums of one item over the graded sittings that had it."""

    def __init__(self, item_key: ItemKey, section: str, options: Sequence[str]) -> None:
        self.key = item_key
        self.section = section
        self.options = _TRUE_FALSE if isinstance(item_key, TrueFalseKey) else tuple(options)
        self.full = int(item_key.counted * UNITS)
        self.sittings = self.answered = 0
        self.sum_mark = self.sum_mark_squared = 0
        self.sum_rest = self.sum_rest_squared = self.sum_mark_rest = 0
        self.chosen: Counter[tuple[str, str]] = Counter()  # (option, third)
        self.wrong: Counter[str] = Counter()  # value as JSON, where there are no options
        self.seconds: Counter[int] = Counter()

    def add_mark(self, mark: int, total: int) -> None:
        """`mark` of this item and `total` of the sitting, in UNITS."""
        rest = total - mark
        self.sittings += 1
        self.sum_mark += mark
        self.sum_mark_squared += mark * mark
        self.sum_rest += rest
        self.sum_rest_squared += rest * rest
        self.sum_mark_rest += mark * rest

    def add_response(self, value: Any, text: str, mark: int, third: str) -> None:
        """`value` as decoded from its JSON `text`."""
        if _is_empty(value):
            return
        self.answered += 1
        if self.options:
            for option in _chosen(value):
                self.chosen[option, third] += 1
        elif mark < self.full and (text in self.wrong or len(self.wrong) < WRONG_VALUES_COUNTED_MAX):
            self.wrong[text] += 1

    @property
    def right_options(self) -> frozenset[str]:
        """Options that the answer key names."""
        match self.key:
            case SingleKey(answer=str(answer)):
                return frozenset({answer})
            case SingleKey(answer=frozenset(answers)):  # a regrade took several for right
                return answers
            case MultipleKey(answer=answers):
                return answers
            case TrueFalseKey(answer=answer):
                return frozenset({"true" if answer else "false"})
        return frozenset()

    @property
    def key_place(self) -> int | None:
        """Where the key of a single choice stands among its options, from 0; None for anything else."""
        if isinstance(self.key, SingleKey) and self.key.answer in self.options:
            return self.options.index(str(self.key.answer))
        return None

    @property
    def difficulty(self) -> Fraction | None:
        return Fraction(self.sum_mark, self.sittings * self.full) if self.sittings and self.full else None

    @property
    def discrimination_sign_and_square(self) -> tuple[int, Fraction] | None:
        """The correlation's sign and its square, both exact; None where mark or rest does not vary."""
        count = self.sittings
        joint = count * self.sum_mark_rest - self.sum_mark * self.sum_rest
        marks = count * self.sum_mark_squared - self.sum_mark**2
        rests = count * self.sum_rest_squared - self.sum_rest**2
        if not marks or not rests:
            return None
        return (joint > 0) - (joint < 0), Fraction(joint * joint, marks * rests)

    def chosen_in(self, option: str, third: str | None = None) -> int:
        thirds = (BEST, MIDDLE, WORST) if third is None else (third,)
        return sum(self.chosen[option, each] for each in thirds)


class PaperTally:
    """The sums of one paper's items; sittings are added twice: first their marks, then, the thirds known, the rest."""

    def __init__(self, answer_key: AnswerKey, options: Mapping[str, Sequence[str]]) -> None:
        """`options`: item -> its option ids in the paper's order."""
        self.items = {
            item.id: ItemTally(item, section.id, options.get(item.id, ()))
            for section in answer_key.sections
            for item in section.items
        }
        self.totals: dict[str, int] = {}  # by sitting, in UNITS
        self._thirds: dict[str, str] | None = None

    def add_marks(self, sitting_id: str, marks: Mapping[str, int]) -> None:
        """`marks`: item -> its mark in UNITS, of a graded sitting."""
        total = sum(marks.values())
        self.totals[sitting_id] = total
        self._thirds = None
        for item, tally in self.items.items():
            tally.add_mark(marks.get(item, 0), total)

    def third_of(self, sitting_id: str) -> str:
        if self._thirds is None:
            self._thirds = thirds(self.totals)
        return self._thirds[sitting_id]

    def add_seconds(self, seconds: Mapping[str, int]) -> None:
        """`seconds`: item -> time before its changes, of one sitting."""
        for item, spent in seconds.items():
            if item in self.items:
                self.items[item].seconds[spent] += 1

    def key_positions(self) -> list[int]:
        """How many single choices have their key at the first place, the second, and so on."""
        places = [place for tally in self.items.values() if (place := tally.key_place) is not None]
        return [places.count(place) for place in range(max(places, default=-1) + 1)]

    @property
    def reliability(self) -> Fraction | None:
        """Cronbach's alpha; None for fewer than two items or sittings that are all alike."""
        items, count = list(self.items.values()), len(self.totals)
        if len(items) < 2 or not count:
            return None
        total = sum(self.totals.values())
        variance = count * sum(each * each for each in self.totals.values()) - total * total
        if not variance:
            return None
        parts = sum(count * item.sum_mark_squared - item.sum_mark**2 for item in items)
        return Fraction(len(items), len(items) - 1) * (1 - Fraction(parts, variance))


def thirds(totals: Mapping[str, int]) -> dict[str, str]:
    """sitting -> BEST, MIDDLE or WORST."""
    order = sorted(totals, key=lambda sitting_id: (-totals[sitting_id], sitting_id))
    size = len(order) // 3
    found = dict.fromkeys(order, MIDDLE)
    found.update(dict.fromkeys(order[:size], BEST))
    found.update(dict.fromkeys(order[len(order) - size :], WORST))
    return found


def seconds_by_item(changes: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Whole seconds before the changes of each item; `changes` are (item, saved_ms) in the order they were accepted."""
    spent: Counter[str] = Counter()
    for (_, before_ms), (item, saved_ms) in itertools.pairwise(changes):
        gap_ms = saved_ms - before_ms
        if 0 <= gap_ms <= TIME_GAP_S_MAX * 1000:
            spent[item] += gap_ms
    return {item: (milliseconds + 500) // 1000 for item, milliseconds in spent.items()}


def median(counts: Mapping[Any, int]) -> Fraction | None:
    """Of exact numbers, given how often each occurs."""
    total = sum(counts.values())
    if not total:
        return None
    below, middle = 0, list[Fraction]()
    wanted = ((total - 1) // 2, total // 2)
    for given, count in sorted(counts.items()):
        middle += [Fraction(given) for place in wanted if below <= place < below + count]
        below += count
    return sum(middle, Fraction()) / len(middle)


# --- as JSON ---------------------------------------------------------------------------------------------------
class Shown(Struct, frozen=True):
    """How figures are shown; a paper still to be sat by others shows nothing that tells its key."""

    is_withheld: bool

    def item(self, item_id: str, tally: ItemTally) -> dict[str, Any]:
        return {
            "item": item_id,
            "section": tally.section,
            "type": type_of(tally.key),
            "points": number(tally.key.points),
            "sittings": tally.sittings,
            "omitted": tally.sittings - tally.answered,
            "difficulty": number(tally.difficulty),
            "discrimination": rounded_root(tally.discrimination_sign_and_square),
            "options": [] if self.is_withheld else self._options(tally),
            "frequent_wrong": [] if self.is_withheld else _frequent(tally),
            "median_s": number(median(tally.seconds)),
        }

    def _options(self, tally: ItemTally) -> list[dict[str, Any]]:
        right = tally.right_options
        return [
            {
                "option": option,
                "is_key": option in right,
                "chosen": tally.chosen_in(option),
                "best_third": tally.chosen_in(option, BEST),
                "worst_third": tally.chosen_in(option, WORST),
            }
            for option in tally.options
        ]


def number(exact: Fraction | None) -> int | float | None:
    return None if exact is None else json_number(half_up(exact, decimals=_DECIMALS))


def rounded_root(sign_and_square: tuple[int, Fraction] | None) -> int | float | None:
    """A correlation from its sign and square, to four decimals, half up in its size."""
    if sign_and_square is None:
        return None
    sign, square = sign_and_square
    # One digit more than is shown, cut off: enough to round by, for a cut 5 stands for 5 or more.
    digits = math.isqrt(int(square * 10 ** (2 * _DECIMALS + 2)))
    return number(Fraction(sign * ((digits + 5) // 10), 10**_DECIMALS))


def type_of(item_key: ItemKey) -> str:
    names: dict[type, str] = {
        SingleKey: "single",
        MultipleKey: "multiple",
        TrueFalseKey: "true_false",
        FillKey: "fill",
        NumericKey: "numeric",
        TextKey: "text",
    }
    return names[type(item_key)]


def _is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return is_blank(value)
    return value is None or (isinstance(value, list) and not any(value))


def _chosen(value: Any) -> set[str]:
    if isinstance(value, bool):
        return {"true" if value else "false"}
    values = value if isinstance(value, list) else [value]
    return {option for option in values if isinstance(option, str)}


def _frequent(tally: ItemTally) -> list[dict[str, Any]]:
    """What several candidates answered and did not earn all points for: perhaps the key lacks a spelling."""
    if isinstance(tally.key, TextKey):
        return []
    found = sorted(tally.wrong.items(), key=lambda entry: (-entry[1], entry[0]))
    return [{"value": text, "count": count} for text, count in found[:FREQUENT_WRONG_LISTED_MAX] if count > 1]
