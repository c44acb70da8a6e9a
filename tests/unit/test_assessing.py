"""Assessors' marks: how many a task needs, what they come to, when a panel passes somebody; worked out by hand."""

from __future__ import annotations

import itertools
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from engine.rules.assessing import (
    assessors_needed,
    fault_of_mark,
    final_mark,
    kept_mark,
    read_assessment,
    verdict,
)
from engine.rules.limits import MARKS_PER_CALL_MAX
from engine.rules.shape import Faults
from engine.rules.terms import Rules

ONE = Rules()
TWO = Rules(second_marking=True)
PANEL = Rules(assessors=3)


def marks(*numbers: Any) -> list[Decimal]:
    return [Decimal(str(number)) for number in numbers]


def final(rules: Rules, points: Any, *numbers: Any) -> Fraction | None:
    return final_mark(marks(*numbers), Decimal(str(points)), rules)


def faults_of(document: Any) -> dict[str, str]:
    faults = Faults()
    read_assessment(document, faults)
    return {fault["pointer"]: fault["message"] for fault in faults.listed}


# --- one, two, three -------------------------------------------------------------------------------------------
def test_one_assessor_is_enough_unless_the_batch_says_otherwise() -> None:
    """And the mark stands as it was given."""
    assert final(ONE, 10) is None
    assert final(ONE, 10, 7.25) == Fraction("7.25")
    assert [assessors_needed([], Decimal(10), rules) for rules in (ONE, TWO, PANEL)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("given", "needed", "made"),
    [
        ((), 2, None),
        ((6,), 2, None),
        ((6, 6), 2, Fraction(6)),
        ((6, 7), 2, Fraction(13, 2)),
        ((6, 8), 2, Fraction(7)),  # two of ten apart: on the edge of the tolerance they agree
        ((8, 6), 2, Fraction(7)),
        ((6, 8.01), 3, None),
        ((2, 9), 3, None),
        ((2, 9, 8), 3, Fraction(17, 2)),  # with the nearer of the two
        ((2, 9, 3), 3, Fraction(5, 2)),
        ((2, 9, 5.5), 3, Fraction(11, 2)),  # in the middle: equally near, it stands alone
        ((2, 9, 2), 3, Fraction(2)),
        ((2, 9, 10), 3, Fraction(19, 2)),
        ((2, 9, 0), 3, Fraction(1)),
        ((6, 7, 0), 2, Fraction(13, 2)),  # corrected since: the first two agree, the third is not needed any more
    ],
)
def test_a_third_decides_where_two_disagree(given: tuple[Any, ...], needed: int, made: Fraction | None) -> None:
    """Ten points, tolerance a fifth of them."""
    assert assessors_needed(marks(*given), Decimal(10), TWO) == needed
    assert final(TWO, 10, *given) == made


def test_the_tolerance_is_exact_where_doubles_are_not() -> None:
    """0.3 - 0.1 is a fifth of a point, not 0.19999999999999998 of one."""
    tenth = Rules(second_marking=True, second_marking_tolerance=Decimal("0.1"))

    assert final(TWO, 1, 0.1, 0.3) == Fraction(1, 5)
    assert final(tenth, 3, 0.4, 0.7) == Fraction(11, 20)
    assert final(tenth, 3, 0.4, 0.71) is None


def test_no_tolerance_takes_every_difference_to_the_third() -> None:
    strict = Rules(second_marking=True, second_marking_tolerance=Decimal(0))

    assert final(strict, 5, 3, 3) == 3
    assert final(strict, 5, 3, 3.01) is None


def test_the_final_mark_never_leaves_what_was_given() -> None:
    """Whatever three assessors give, the outcome lies between the lowest and the highest of it."""
    for given in itertools.product(range(0, 11, 2), repeat=3):
        made = final(TWO, 10, *given)

        assert made is not None
        assert min(given) <= made <= max(given)


# --- panels ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "score", "has_passed"),
    [
        ((60, 60, 60), "60.00", True),
        ((59, 60, 61), "60.00", True),  # two of three are two thirds
        ((100, 59, 59), "72.67", False),  # the mean is there, one third is not enough
        ((0, 90, 89), "59.67", False),
        ((0, 90, 90), "60.00", True),
        ((59.99, 60, 60), "60.00", True),  # 59.996…: the published score is compared
        ((59.98, 60, 60), "59.99", False),
        ((70, 59.99, 80), "70.00", True),
        ((100, 100, 100), "100.00", True),
        ((0, 0, 0), "0.00", False),
    ],
)
def test_a_panel_passes_by_its_mean_and_two_thirds(given: tuple[Any, ...], score: str, has_passed: bool) -> None:
    """EXAM_RULES: mean >= 60 and at least two thirds of the assessors >= 60; the mean is rounded once, half up."""
    found = verdict(marks(*given), PANEL)

    assert found is not None
    assert (str(found[0]), found[1]) == (score, has_passed)


@pytest.mark.parametrize(
    ("assessors", "in_favour", "has_passed"),
    [
        (2, 1, False),
        (2, 2, True),
        (4, 2, False),
        (4, 3, True),
        (5, 3, False),
        (5, 4, True),
        (6, 4, True),
        (6, 3, False),
    ],
)
def test_two_thirds_of_other_panels_are_counted_exactly(assessors: int, in_favour: int, has_passed: bool) -> None:
    """A mean of at least 60 in every case."""
    given = [100] * in_favour + [59] * (assessors - in_favour)

    assert verdict(marks(*given), Rules(assessors=assessors)) is not None
    assert verdict(marks(*given), Rules(assessors=assessors))[1] is has_passed  # type: ignore[index]


def test_a_panel_waits_for_its_last_assessor() -> None:
    assert verdict(marks(90, 90), PANEL) is None
    assert verdict([], Rules(assessors=1)) is None


def test_one_assessor_of_sittings_may_be_marked_a_second_time() -> None:
    """Then the outcome passes or not, however the two judged."""
    rules = Rules(assessors=1, second_marking=True)

    assert verdict(marks(50, 70), rules) == (Decimal("60.00"), True)
    assert verdict(marks(50, 71), rules) is None
    assert verdict(marks(50, 71, 55), rules) == (Decimal("52.50"), False)


def test_the_pass_mark_of_the_batch_holds_for_panels_too() -> None:
    rules = Rules(assessors=3, pass_mark=Decimal("72.5"))

    assert verdict(marks(72.5, 72.5, 72.5), rules) == (Decimal("72.50"), True)
    assert verdict(marks(72.49, 72.49, 99), rules) == (Decimal("81.33"), False)


# --- what assessors send ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("mark", "points", "is_fine"),
    [
        (0, "10", True),
        (10, "10", True),
        ("7.25", "10", True),
        ("7.2500", "10", True),
        ("7.255", "10", False),
        ("10.01", "10", False),
        ("-0.01", "10", False),
        ("0.3333", "0.3333", True),  # all the points, though finer than marks are
        ("0.3332", "0.3333", False),
        ("1e2", "100", True),
        ("Infinity", "100", False),
    ],
)
def test_a_mark_lies_between_nothing_and_all_the_points(mark: Any, points: str, is_fine: bool) -> None:
    assert (fault_of_mark(Decimal(mark), Decimal(points)) is None) == is_fine


def test_a_refused_mark_is_told_what_was_expected() -> None:
    assert fault_of_mark(Decimal(11), Decimal("10.0000")) == "expected a mark from 0 to 10 with at most 2 decimals"


def test_marks_are_read_as_they_were_written() -> None:
    faults = Faults()
    sent = {"assessor": " 王  五 ", "marks": [{"task_id": "t1", "mark": Decimal("7.10"), "comment": "简"}]}

    assessor, given = read_assessment(sent, faults)

    assert not faults
    assert assessor == "王五", "as rosters have it: no way to be two assessors"
    assert (given[0].task_id, str(given[0].mark), given[0].comment) == ("t1", "7.10", "简")


@pytest.mark.parametrize(
    ("mark", "points", "kept"),
    [
        ("7.10", "10", "7.10"),
        ("0e-5000000", "10", "0.00"),
        ("8." + "0" * 20_000, "10", "8.00"),
        ("3.125", "3.125", "3.125"),
    ],
)
def test_a_mark_is_kept_without_the_zeros_behind_it(mark: str, points: str, kept: str) -> None:
    """JSON may carry more of them than any store takes."""
    assert fault_of_mark(Decimal(mark), Decimal(points)) is None
    assert str(kept_mark(Decimal(mark), Decimal(points))) == kept


def test_every_fault_of_a_call_is_listed() -> None:
    """At its place, with what was expected there."""
    found = faults_of(
        {
            "assessor": " ",
            "more": 1,
            "marks": [
                {"task_id": "t1", "mark": True},
                {"task_id": "", "mark": 1, "comment": ""},
                {"mark": "1"},
                {"task_id": "t1", "mark": 1, "comment": None, "name": "x"},
                "t1",
            ],
        }
    )

    assert sorted(found) == [
        "/assessor",
        "/marks/0/mark",
        "/marks/1/comment",
        "/marks/1/task_id",
        "/marks/2/mark",
        "/marks/2/task_id",
        "/marks/3/name",
        "/marks/3/task_id",
        "/marks/4",
        "/more",
    ]
    assert found["/marks/3/task_id"] == "is a task already marked in /marks/0"


@pytest.mark.parametrize("document", [None, [], {}, {"assessor": "a"}, {"assessor": "a", "marks": []}])
def test_a_call_without_marks_says_nothing(document: Any) -> None:
    assert faults_of(document)


def test_a_call_is_bounded() -> None:
    many = [{"task_id": f"t{number}", "mark": 1} for number in range(MARKS_PER_CALL_MAX + 1)]

    assert list(faults_of({"assessor": "a", "marks": many})) == ["/marks"]
