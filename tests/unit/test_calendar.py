"""The calendar of the joint exams: its weekends, and working days counted over holidays."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.calendar import (
    CHINA,
    Attempt,
    batch_warnings,
    is_joint_day,
    joint_saturdays,
    roster_warnings,
    workday_before,
    year_before_ms,
)
from engine.rules.limits import INSTANT_MS_MAX
from engine.rules.terms import Batch, Rules


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def ms(text: str) -> int:
    """A moment of China's clock."""
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp()) * 1000


def batch(starts: str | int, **members: Any) -> Batch:
    starts_ms = starts if isinstance(starts, int) else ms(starts)
    return Batch(
        **{
            "batch_id": "B",
            "title": "批次",
            "occupation": "劳动关系协调师",
            "level": 3,
            "subject": "theory",
            "kind": "formal",
            "paper_id": "P",
            "admission_code": "LDGX3",
            "starts_ms": starts_ms,
            "duration_s": 5400,
            "rules": Rules(),
            **members,
        }
    )


def codes(warned: Any) -> list[str]:
    return [each.code.removeprefix("calendar.") for each in warned]


@pytest.mark.parametrize("saturday", ["2025-09-20", "2025-11-15"])
def test_the_joint_weekends_of_2025_are_those_the_authority_names(saturday: str) -> None:
    """EXAM_RULES: in 2025 20-21 September and 15-16 November."""
    first = day(saturday)

    assert joint_saturdays(first.year, first.month) == {first}
    assert [is_joint_day(first + datetime.timedelta(days=more)) for more in (-1, 0, 1, 2)] == [False, True, True, False]


@pytest.mark.parametrize("month", [2, 4, 6, 8, 10, 12])
def test_there_is_no_joint_weekend_in_the_other_months(month: int) -> None:
    """EXAM_RULES: January, March, May, July, September, November."""
    assert joint_saturdays(2025, month) == set()


def test_a_month_that_begins_on_a_sunday_has_two_readings_of_its_third_week() -> None:
    """1 March 2026 is one: its week may be the first or none; either weekend is taken."""
    assert joint_saturdays(2026, 3) == {day("2026-03-14"), day("2026-03-21")}


@pytest.mark.parametrize(
    ("exam", "workdays", "until"),
    [
        ("2025-11-15", 10, "2025-11-03"),  # two plain weeks
        ("2025-11-15", 7, "2025-11-06"),
        ("2025-10-18", 10, "2025-09-29"),  # National Day: 1 to 8 October off, Saturday the 11th worked
        ("2025-10-09", 7, "2025-09-23"),  # and Sunday the 28th of September worked
        ("2026-02-25", 10, "2026-02-04"),  # Spring Festival: 15 to 23 February off, Saturday the 14th worked
        ("2026-03-02", 3, "2026-02-26"),  # Saturday the 28th of February worked for it, too
        ("2024-09-21", 10, "2024-09-06"),  # Mid-Autumn: 15 to 17 September off, Saturday the 14th worked
    ],
)
def test_working_days_are_counted_back_over_holidays_and_moved_weekends(exam: str, workdays: int, until: str) -> None:
    """As the State Council's notices have them."""
    assert workday_before(day(exam), workdays) == (day(until), set())


def test_a_year_without_a_notice_is_counted_by_weekdays_and_named() -> None:
    """The calendar ends somewhere; whoever relies on it is told."""
    assert workday_before(day("2099-01-15"), 10) == (day("2099-01-01"), {2099})


def test_a_batch_that_meets_the_calendar_is_not_warned_of() -> None:
    """Saturday 09:00 of the joint weekend, planned on the tenth working day before, its last moment."""
    assert batch_warnings(batch("2025-11-15 09:00"), ms("2025-11-03 23:59:59")) == []
    assert batch_warnings(batch("2025-11-16 09:00", subject="review"), ms("2025-11-03 23:59:59")) == []


@pytest.mark.parametrize(
    ("starts", "subject", "expected"),
    [
        ("2025-11-14 09:00", "theory", ["not_joint_day"]),
        ("2025-11-17 09:00", "skill", ["not_joint_day"]),
        ("2025-12-20 09:00", "theory", ["not_joint_day"]),
        ("2025-11-15 09:30", "theory", ["start"]),
        ("2025-11-16 09:00", "theory", ["start"]),
        ("2025-11-15 09:00", "review", ["start"]),
        ("2025-11-15 14:00", "skill", []),
    ],
)
def test_a_start_off_the_joint_exams_hour_is_warned_of(starts: str, subject: str, expected: list[str]) -> None:
    """EXAM_RULES: theory starts Saturday 09:00, comprehensive review Sunday 09:00; skill at any time of the weekend."""
    assert codes(batch_warnings(batch(starts, subject=subject), ms("2025-09-01 09:00"))) == expected


def test_the_edge_of_a_day_is_china_s() -> None:
    """Friday 23:59 in Shanghai is no joint day, a minute later it is, whatever day it is in Greenwich."""
    late = batch_warnings(batch("2025-11-14 23:59"), 0)
    then = batch_warnings(batch("2025-11-15 00:00"), 0)

    assert (codes(late), codes(then)) == (["not_joint_day"], ["start"])


@pytest.mark.parametrize(
    ("planned", "expected"),
    [
        ("2025-11-03 23:59", []),
        ("2025-11-04 00:00", ["plan_late"]),
        ("2025-11-06 23:59", ["plan_late"]),
        ("2025-11-07 00:00", ["plan_late", "staff_late"]),
    ],
)
def test_a_late_plan_is_warned_of_to_the_day(planned: str, expected: list[str]) -> None:
    """EXAM_RULES: the plan 10 working days before, staff 7; both days still count."""
    assert codes(batch_warnings(batch("2025-11-15 09:00"), ms(planned))) == expected


def test_a_batch_in_an_unknown_year_is_told_so() -> None:
    """Counted by weekdays."""
    [warned] = batch_warnings(batch("2099-01-17 09:00"), 0)

    assert warned.code == "calendar.unknown_year" and "2099" in warned.message


@pytest.mark.parametrize("kind", ["mock", "device_check"])
def test_only_formal_exams_have_a_calendar(kind: str) -> None:
    """Mock exams and device checks are held whenever there is time."""
    other = batch("2025-11-12 03:00", kind=kind)

    assert batch_warnings(other, ms("2025-11-12 02:00")) == []
    assert roster_warnings(other, ms("2025-11-12 02:00"), {"K1": [Attempt("A", 0), Attempt("C", 0)]}) == []


@pytest.mark.parametrize(("uploaded", "expected"), [("2025-11-03 12:00", []), ("2025-11-04 12:00", ["roster_late"])])
def test_a_roster_of_a_joint_exam_comes_ten_working_days_before(uploaded: str, expected: list[str]) -> None:
    """EXAM_RULES: candidates are uploaded 10 working days before."""
    assert codes(roster_warnings(batch("2025-11-15 09:00"), ms(uploaded), {})) == expected


def test_a_late_roster_of_another_day_is_not_warned_of() -> None:
    """That it is no joint exam has been said of the batch."""
    assert roster_warnings(batch("2025-11-13 09:00"), ms("2025-11-13 08:00"), {}) == []


def test_a_second_resit_within_a_year_is_warned_of() -> None:
    """EXAM_RULES: one resit within a year; who resits once is not named."""
    once = [Attempt("A", ms("2025-03-15 09:00"))]
    twice = [*once, Attempt("C", ms("2025-09-20 09:00"))]
    [warned] = roster_warnings(batch("2025-11-15 09:00"), None, {"K1": once, "K2": twice})

    assert warned.code == "calendar.resit_again"
    assert "'K2' (also in 'A', 'C')" in warned.message and "K1" not in warned.message


def test_a_resit_on_the_same_joint_weekend_is_warned_of() -> None:
    """EXAM_RULES: on a later joint-exam day."""
    same = {"K1": [Attempt("A", ms("2025-11-15 09:00"))]}

    assert codes(roster_warnings(batch("2025-11-16 14:00"), None, same)) == ["resit_same_weekend"]


def test_many_candidates_are_counted_and_a_few_are_named() -> None:
    """A warning is read by a person."""
    attempts = {f"K{number}": [Attempt("A", 0), Attempt("C", 0)] for number in range(50)}
    [warned] = roster_warnings(batch("2025-11-15 09:00"), None, attempts)

    assert "and 47 more" in warned.message and len(warned.message) < 300


def test_a_year_before_leap_day_is_the_last_of_february() -> None:
    """There is no 29 February in most years."""
    assert year_before_ms(ms("2024-02-29 09:00")) == ms("2023-02-28 09:00")
    assert year_before_ms(ms("2025-11-15 09:00")) == ms("2024-11-15 09:00")


@given(st.integers(0, INSTANT_MS_MAX), st.integers(0, INSTANT_MS_MAX))
def test_no_instant_is_beyond_the_calendar(starts_ms: int, planned_ms: int) -> None:
    """A batch may lie anywhere the contract lets it lie."""
    found = batch_warnings(batch(starts_ms), planned_ms)

    assert all(each.message for each in found)
    assert roster_warnings(batch(starts_ms), planned_ms, {"K": [Attempt("A", year_before_ms(starts_ms))]}) is not None
