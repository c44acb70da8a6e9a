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


@pytest.mark.parametrize("minutes", [model.MINUTES_MIN, 1, 5, 10, 60, model.MINUTES])
def test_nobody_comes_or_hands_in_when_the_rules_refuse_it(minutes: float) -> None:
    """Not after the latest entry, not before the earliest hand-in, in however long an exam."""
    timetable = model.fitted(minutes)
    rules = timetable.rules()
    people = model.people(ROWS, timetable, STARTS_MS, random.Random(1))

    latest_ms = STARTS_MS + rules["latest_entry_s"] * 1000
    earliest_ms = STARTS_MS + rules["earliest_submit_s"] * 1000
    assert all(person.arrives_ms < latest_ms for person in people)
    assert all(person.submits_ms > earliest_ms for person in people if person.submits_ms)


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


@pytest.mark.parametrize("minutes", [0.4, 1, 2, 4, 10, 30])
def test_an_exam_fits_its_minutes_and_keeps_its_peaks(minutes: float) -> None:
    """Down to the least that phases need; ninety are the whole exam, and of more there is no model."""
    timetable = model.fitted(minutes)
    rates = {name: saves_per_s for name, _, saves_per_s in timetable.writing}
    whole_s = timetable.check_in_s + timetable.duration_s + timetable.grading_s + timetable.pull_s

    assert rates[PhaseName.STEADY] == model.DESIGN_SAVES_PER_S and rates[PhaseName.STRESS] == model.STRESS_SAVES_PER_S
    assert all(span_s >= model.SPAN_MIN_S for _, span_s, _ in timetable.writing)
    assert whole_s == pytest.approx(minutes * 60, abs=8)
    assert model.fitted(90) is model.NINETY_MINUTES
    for none in (0.2, 90.5, 120):
        with pytest.raises(ValueError, match=f"{none:g}: expected 0.4 to 90"):
            model.fitted(none)


def test_rates_of_everybody_add_up_to_the_planned_peak() -> None:
    """400 candidates less those who do not come save about 40 times a second in `steady`, and 80 in `stress`."""
    timetable = model.TEN_MINUTES
    found = model.phases(timetable, STARTS_MS, 5)
    people = model.people(ROWS, timetable, STARTS_MS, random.Random(1))
    ends_ms = STARTS_MS + int(timetable.duration_s * 1000)
    there = sum(bool(person.arrives_ms) for person in people)

    def per_s(name: PhaseName) -> float:
        span_s = sum((phase.until_ms - phase.from_ms) / 1000 for phase in found if phase.name is name)
        return sum(model.saves_planned(person, found, name, ends_ms) for person in people) / span_s

    assert per_s(PhaseName.STEADY) == pytest.approx(there * 0.1)
    assert per_s(PhaseName.STRESS) == pytest.approx(there * 0.2)
    assert per_s(PhaseName.LATE) < there * 0.1  # some have handed in
    assert per_s(PhaseName.CHECK_IN) == 0


def test_a_lost_line_is_back_before_all_are_cut() -> None:
    """Else who was away would be missed in the storm."""
    for seed in range(20):
        found = model.phases(model.fitted(1), STARTS_MS, 5)
        people = model.people(ROWS, model.fitted(1), STARTS_MS, random.Random(seed))
        dropping = [person for person in people if person.drops_ms]

        assert dropping
        assert all(
            model.begins_ms(found, PhaseName.STEADY) <= person.drops_ms
            and person.drops_ms + person.drops_s * 1000 <= model.begins_ms(found, PhaseName.STRESS) + 1
            for person in dropping
        )


def test_a_tenth_is_given_to_the_open_loop_and_nobody_else_changes() -> None:
    people = model.people(ROWS, model.TEN_MINUTES, STARTS_MS, random.Random(1))

    dealt = model.dealt(people, STARTS_MS)

    openloop = [person for person in dealt if person.plays == "openloop"]
    assert len(openloop) == 40
    assert all(0 < one.arrives_ms < STARTS_MS and not one.submits_ms and not one.drops_ms for one in openloop)
    assert [person for person in dealt if person.plays == "swarm"] == [
        person for person in people if person.number not in {one.number for one in openloop}
    ]


def test_the_models_paper_is_a_text_exam_of_a_hundred_items() -> None:
    paper = model.paper()

    assert sum(len(section["items"]) for section in paper["sections"]) == model.ITEMS
    assert paper["media"] == {}
    assert "](" not in str(paper)
