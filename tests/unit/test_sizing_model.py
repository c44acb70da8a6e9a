"""The model that load tests are made from says of itself what it is (loadtest/sizing/model.py)."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from loadtest.sizing import model
from loadtest.sizing.plan import PhaseName

STARTS_MS = 1_000_000_000
TIMETABLES = [model.NINETY_MINUTES, model.TEN_MINUTES]
ROWS = [{"candidate_id": f"c{number}", "id_number": f"{number}"} for number in range(400)]


def test_the_whole_exam_has_the_saves_that_the_model_promises() -> None:
    """In ninety minutes, whatever its peaks take of them."""
    assert model.NINETY_MINUTES.duration_s == model.MINUTES * 60
    assert model.NINETY_MINUTES.saves_each == pytest.approx(model.SAVES_EACH)


@pytest.mark.parametrize("timetable", TIMETABLES, ids=lambda timetable: timetable.name)
def test_peaks_keep_their_true_rates_however_short_the_exam(timetable: model.Timetable) -> None:
    """Design peak where capacity is stated, twice that in the stress."""
    rates = {name: saves_per_s for name, _, saves_per_s in timetable.writing}

    assert rates[PhaseName.STEADY] == rates[PhaseName.RECONNECT] == rates[PhaseName.DEADLINE] == 0.1
    assert rates[PhaseName.STRESS] == 0.2


@pytest.mark.parametrize("timetable", TIMETABLES, ids=lambda timetable: timetable.name)
def test_phases_follow_one_another_without_a_gap(timetable: model.Timetable) -> None:
    found = model.phases(timetable, STARTS_MS, 5)

    assert all(one.until_ms == following.from_ms for one, following in pairwise(found))
    assert model.begins_ms(found, PhaseName.START) == STARTS_MS
    assert model.begins_ms(found, PhaseName.GRADING) == STARTS_MS + int((timetable.duration_s + 5 + 3) * 1000)


@pytest.mark.parametrize("timetable", TIMETABLES, ids=lambda timetable: timetable.name)
def test_everybody_comes_and_goes_within_the_exam(timetable: model.Timetable) -> None:
    """And of every kind there is somebody."""
    people = model.people(ROWS, timetable, STARTS_MS, random.Random(1))
    there = [person for person in people if person.arrives_ms]
    opens_ms, ends_ms = STARTS_MS - timetable.check_in_s * 1000, STARTS_MS + timetable.duration_s * 1000

    assert all(opens_ms <= person.arrives_ms < ends_ms for person in there)
    assert all(STARTS_MS < person.submits_ms < ends_ms for person in there if person.submits_ms)
    assert all(person.arrives_ms < person.drops_ms < ends_ms for person in there if person.drops_ms)
    assert len(people) - len(there) == 8
    assert sum(person.arrives_ms > STARTS_MS for person in there) == 8
