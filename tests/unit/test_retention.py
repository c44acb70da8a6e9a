"""How long records are kept: by the day, in China, at both edges."""

from __future__ import annotations

import datetime

import pytest

from engine.rules.retention import ANSWERS_YEARS, RECORDS_YEARS, Kind, day_of, kept_until_ms, kind_due


def at(text: str) -> int:
    return round(datetime.datetime.fromisoformat(f"{text}+08:00").timestamp() * 1000)


@pytest.mark.parametrize(
    ("closed", "years", "until"),
    [
        ("2026-11-28T10:30:05", 3, "2029-11-29T00:00:00"),
        ("2026-11-28T10:30:05", 5, "2031-11-29T00:00:00"),
        ("2026-11-28T00:00:00", 5, "2031-11-29T00:00:00"),
        ("2026-11-28T23:59:59.999", 5, "2031-11-29T00:00:00"),
        ("2026-12-31T09:00:00", 3, "2030-01-01T00:00:00"),
        ("2028-02-29T09:00:00", 3, "2031-03-02T00:00:00"),
        ("2028-02-29T09:00:00", 4, "2032-03-01T00:00:00"),
    ],
)
def test_what_is_kept_for_years_may_go_on_the_day_after(closed: str, years: int, until: str) -> None:
    """The whole last day is still kept; a 29 February that the year does not have is its 1 March."""
    assert kept_until_ms(at(closed), years) == at(until)


def test_the_years_are_those_of_the_exam_rules() -> None:
    """Art. 23: papers three, records five."""
    assert (ANSWERS_YEARS, RECORDS_YEARS) == (3, 5)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-28T10:30:05", None),
        ("2029-11-28T23:59:59.999", None),
        ("2029-11-29T00:00:00", Kind.ANSWERS),
        ("2031-11-28T23:59:59.999", Kind.ANSWERS),
        ("2031-11-29T00:00:00", Kind.RECORDS),
    ],
)
def test_each_kind_is_due_on_its_own_day(now: str, due: Kind | None) -> None:
    """The answers first; with the records goes what is left."""
    assert kind_due(at("2026-11-28T10:30:05"), at(now)) == due


def test_a_day_is_chinas() -> None:
    """Midnight in Shanghai is still yesterday in London."""
    assert day_of(at("2031-11-29T00:00:00")) == "2031-11-29"
