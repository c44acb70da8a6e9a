"""A whole exam in a few minutes: times that fit, and a cast that does everything candidates do."""

from __future__ import annotations

import random

import pytest

from loadtest import people, samples
from loadtest.timetable import TooShort, extra_times, scripts, timetable


@pytest.mark.parametrize(("candidates", "minutes"), [(12, 0.4), (40, 1), (200, 2), (1000, 5), (1, 0.3)])
def test_everything_fits_into_the_minutes(candidates: int, minutes: float) -> None:
    """Lead, writing, extra time, grace and grading end in time; the rules keep the contract's order."""
    times = timetable(candidates, minutes)
    rules = times.rules()

    assert times.lead_s + times.duration_s + times.extra_time_s + times.grace_s <= minutes * 60
    assert 0 < rules["earliest_submit_s"] < times.duration_s
    assert 0 < rules["latest_entry_s"] <= times.duration_s


def test_too_short_names_what_would_do() -> None:
    """The message gives minutes that are then accepted."""
    with pytest.raises(TooShort) as raised:
        timetable(600, 0.2)

    enough = float(str(raised.value).split(" minutes")[0].split()[-1])
    assert timetable(600, enough + 0.1)


def test_cast_has_every_kind_of_candidate() -> None:
    """Some never come, some lose their connection, some hand in, some have extra time; twice the same from one seed."""
    times = timetable(50, 1)
    paper = samples.load("ldgx3").paper
    cast = scripts(50, 100, times, paper, random.Random(7))
    present = [script for script in cast if script]

    assert len(present) < 50
    assert any(script.away for script in present)
    assert any(script.submits_s for script in present) and not all(script.submits_s for script in present)
    assert all(script.submits_s > times.rules()["earliest_submit_s"] for script in present if script.submits_s)
    assert any(extra_times(50, times, random.Random(7)))
    again = scripts(50, 100, times, paper, random.Random(7))
    assert [script and script.pace_s for script in again] == [script and script.pace_s for script in cast]


def test_invented_people_have_valid_and_distinct_documents() -> None:
    """Check characters fit, nobody can exist, nobody sits on another's seat."""
    roster = people.roster(100, "123456", random.Random(3))

    assert people.check_character("11010519491231002") == "X"  # the standard's own example
    for row in roster:
        assert people.check_character(row["id_number"][:17]) == row["id_number"][17]
        assert row["id_number"][2:6] == "9999" and "1901" <= row["id_number"][6:10] <= "1910"
    assert len({row["id_number"] for row in roster}) == 100
    assert len({(row["room"], row["seat"]) for row in roster}) == 100
    assert len({row["admission_ticket"] for row in roster}) == 100
