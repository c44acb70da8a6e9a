"""What assessors' marks make: how many marks a task needs, what they come to, and when a panel passes a candidate.

A **task** is one response to a `text` item, worth the item's points, or a whole sitting, worth 100. Pure and exact:
marks are decimals as written, what they come to is a `Fraction`, and only a published score is rounded.

How marks of one task become one, by the batch's rules:

* `assessors` above 1 (a panel): every one of them marks every sitting; the arithmetic mean counts.
* otherwise one assessor's mark counts, or with `second_marking` two: where they lie no further apart than
  `second_marking_tolerance` x points (the edge included) their mean counts; where they lie further apart, a third
  assessor marks as well, and the mean of the third mark and that of the first two which lies nearer to it counts. If
  both lie equally near, the third mark stands alone: it is their middle.

A panel passes a candidate when the published mean reaches `pass_mark` and at least two thirds of the assessors gave
`pass_mark` or more (EXAM_RULES, art. 15).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from msgspec import Struct

from engine.rules.limits import (
    COMMENT_CHARACTERS_MAX,
    ID_PATTERN,
    MARK_DECIMALS_MAX,
    MARKS_PER_CALL_MAX,
    NAME_CHARACTERS_MAX,
)
from engine.rules.marking import passed, score_of
from engine.rules.rostering import fold_name
from engine.rules.shape import Faults, Members
from engine.rules.terms import Rules

WHOLE_SITTING = ""  # in place of an item's id: the task is the whole sitting
WHOLE_SITTING_POINTS = 100
_PANEL_SHARE = Fraction(2, 3)


class GivenMark(Struct, frozen=True):
    """One mark as it was sent; `at` is its place in the call, for faults that are found later."""

    at: int
    task_id: str
    mark: Decimal
    comment: str | None

    @property
    def pointer(self) -> str:
        return f"/marks/{self.at}"


def is_panel(rules: Rules) -> bool:
    return rules.assessors > 1


def assessors_needed(marks: Sequence[Decimal], points: Decimal, rules: Rules) -> int:
    """How many assessors have to mark this task, knowing `marks`, one per assessor in the order of their first."""
    if is_panel(rules):
        return rules.assessors
    if not rules.second_marking:
        return 1
    return 2 if len(marks) < 2 or _agree(marks, points, rules) else 3


def final_mark(marks: Sequence[Decimal], points: Decimal, rules: Rules) -> Fraction | None:
    """What `marks` come to; None while an assessor is missing."""
    if len(marks) < assessors_needed(marks, points, rules):
        return None
    if is_panel(rules):
        return _mean(marks)
    if not rules.second_marking:
        return Fraction(marks[0])
    if _agree(marks, points, rules):
        return _mean(marks[:2])
    first, second, third = marks[:3]
    to_first, to_second = abs(Fraction(third) - Fraction(first)), abs(Fraction(third) - Fraction(second))
    if to_first == to_second:
        return Fraction(third)
    return _mean([third, first if to_first < to_second else second])


def verdict(marks: Sequence[Decimal], rules: Rules) -> tuple[Decimal, bool] | None:
    """(published score, whether it passes) of a whole sitting; None while an assessor is missing."""
    mean = final_mark(marks, Decimal(WHOLE_SITTING_POINTS), rules)
    if mean is None:
        return None
    score = score_of(mean, Fraction(WHOLE_SITTING_POINTS))
    if not is_panel(rules):
        return score, passed(score, rules.pass_mark)
    in_favour = sum(mark >= rules.pass_mark for mark in marks)
    return score, passed(score, rules.pass_mark) and Fraction(in_favour, len(marks)) >= _PANEL_SHARE


def fault_of_mark(mark: Decimal, points: Decimal) -> str | None:
    """What is wrong with a mark of a task worth `points`: it has two decimals at most, or is all the points."""
    if 0 <= mark <= points and (mark == points or mark == round(mark, MARK_DECIMALS_MAX)):
        return None
    return f"expected a mark from 0 to {points.normalize():f} with at most {MARK_DECIMALS_MAX} decimals"


def kept_mark(mark: Decimal, points: Decimal) -> Decimal:
    """A sound mark as it is stored: without the zeros behind it, of which a caller may have sent thousands."""
    return points if mark == points else round(mark, MARK_DECIMALS_MAX)


def read_assessment(document: Any, faults: Faults) -> tuple[str, list[GivenMark]]:
    """The assessor's name and the marks, as far as they can be read; the rest is in `faults`."""
    members = Members(document, "", faults)
    assessor = read_name(members, "assessor")
    marks = [
        _read_mark(at, Members(mark, f"/marks/{at}", faults))
        for at, mark in enumerate(members.take_list("marks", 1, MARKS_PER_CALL_MAX))
    ]
    members.finish()
    first_at: dict[str, int] = {}
    for mark in marks:
        if mark.task_id and first_at.setdefault(mark.task_id, mark.at) != mark.at:
            message = f"is a task already marked in /marks/{first_at[mark.task_id]}"
            faults.add(f"{mark.pointer}/task_id", message, mark.task_id)
    return assessor, marks


def read_name(members: Members, name: str) -> str:
    """A person's name, folded as rosters fold one: 王 五 and 王五 are one assessor."""
    given = members.take(name)
    folded = fold_name(" ".join(given.split())) if isinstance(given, str) else ""
    if members.has(name) and (not folded or len(folded) > NAME_CHARACTERS_MAX or "\0" in given):
        members.fault(name, f"expected a name of 1 to {NAME_CHARACTERS_MAX} characters")
        return ""
    return folded


def _read_mark(at: int, members: Members) -> GivenMark:
    task_id = members.take_pattern("task_id", ID_PATTERN, "the id of a task")
    value = members.take("mark")
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if members.has("mark") and not is_number:
        members.fault("mark", "expected a number")
    has_comment = members.take("comment", None) is not None
    comment = members.take_text("comment", COMMENT_CHARACTERS_MAX) if has_comment else None
    members.finish()
    return GivenMark(at, task_id, Decimal(value) if is_number else Decimal(0), comment)


def _agree(marks: Sequence[Decimal], points: Decimal, rules: Rules) -> bool:
    apart = abs(Fraction(marks[0]) - Fraction(marks[1]))
    return apart <= Fraction(rules.second_marking_tolerance) * Fraction(points)


def _mean(marks: Sequence[Decimal]) -> Fraction:
    return sum((Fraction(mark) for mark in marks), Fraction()) / len(marks)
