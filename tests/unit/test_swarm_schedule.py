"""When candidates of the swarm write, and when Locust has to have them (loadtest/swarm/schedule.py, arrivals.py)."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from loadtest.sizing import model
from loadtest.sizing.plan import Person, Phase, PhaseName, Plan
from loadtest.swarm.arrivals import AHEAD_MS, Arrivals, timetable_of
from loadtest.swarm.clock import EngineClock, Wake
from loadtest.swarm.schedule import next_due_ms

PHASES = [
    Phase(PhaseName.STEADY, 0, 600_000, 0.1),
    Phase(PhaseName.STRESS, 600_000, 900_000, 0.2),
    Phase(PhaseName.LATE, 900_000, 1_200_000, 0.0),
    Phase(PhaseName.DEADLINE, 1_200_000, 1_500_000, 0.1),
]
HALL = 400


def a_plan(people: int = 0, ends_ms: int = 1_500_000) -> Plan:
    return Plan(
        url="http://engine", batch_id="b", paper_id="p", admission_code="C", schedule_key="s", results_key="r",
        starts_ms=0, ends_ms=ends_ms, grace_s=5, seed=1, phases=PHASES,
        people=[Person(number, f"c{number}", f"{number}", 1000 + (number * 7919) % 60_000) for number in range(people)],
    )  # fmt: skip


def due(dice: random.Random) -> list[float]:
    """All due instants of one candidate."""
    found: list[float] = []
    at: float | None = 0.0
    while at is not None:
        at = next_due_ms(at, 1_500_000, a_plan().rate_at, 0.2, dice)
        found += [] if at is None else [at]
    return found


def test_thinning_keeps_every_phase_s_rate_from_its_first_second_on() -> None:
    """A hall's saves per second are the plan's, within four deviations; where the rate is nothing, nothing is due."""
    hall = [instant for number in range(HALL) for instant in due(random.Random(number))]

    for phase in PHASES:
        for from_ms, until_ms in ((phase.from_ms, phase.until_ms), (phase.from_ms, phase.from_ms + 10_000)):
            expected = HALL * phase.saves_per_s * (until_ms - from_ms) / 1000
            found = sum(from_ms <= instant < until_ms for instant in hall)
            assert abs(found - expected) <= 4 * expected**0.5


def test_pauses_are_a_person_s_and_not_a_metronome_s() -> None:
    """Exponential: their deviation is their mean."""
    pauses = []
    for number in range(HALL):
        steady = [instant for instant in due(random.Random(number)) if instant < 600_000]
        pauses += [after - before for before, after in pairwise(steady)]
    mean = sum(pauses) / len(pauses)
    deviation = (sum((pause - mean) ** 2 for pause in pauses) / len(pauses)) ** 0.5

    assert mean == pytest.approx(10_000, rel=0.05)
    assert deviation == pytest.approx(mean, rel=0.05)


@pytest.mark.parametrize("of", [1, 2, 3])
@pytest.mark.parametrize("beside", [0, 2])
def test_every_worker_has_a_user_before_its_person_arrives(of: int, beside: int) -> None:
    """However Locust deals out the users, which it does evenly, those beside the candidates first."""
    plan = a_plan(people=100)
    shares = [plan.share("swarm", index, of) for index in range(of)]
    arrivals = Arrivals(shares, beside)

    for instant_ms in range(-5_000, 70_000, 500):
        users = arrivals.users_at(instant_ms)
        dealt = [users // of + (index < users % of) for index in range(of)]
        candidates = [count - (index < beside) - (beside > of and index == 0) for index, count in enumerate(dealt)]
        for share, count in zip(shares, candidates, strict=True):
            assert count >= sum(person.arrives_ms <= instant_ms + AHEAD_MS for person in share)
    assert arrivals.users_at(70_000) <= 100 + of * 2 + beside


def test_the_shape_of_a_plan_is_told_by_its_length() -> None:
    """The model's own timetables have a shape each; any other plan is followed as it is."""
    for timetable in (model.NINETY_MINUTES, model.TEN_MINUTES):
        assert timetable_of(a_plan(ends_ms=int(timetable.duration_s * 1000))) is timetable
    assert timetable_of(a_plan()) is None


def test_the_clock_believes_the_sample_that_took_least() -> None:
    """A reading over a slow round trip is worth less, unless the better one is old or cannot be true."""
    clock = EngineClock()
    clock.sync(1_000_000, 10.0, 10.010)
    offset_ms = 1_000_000 - 10_005

    for server_ms, sent, received, expected_ms in (
        (1_001_300, 11.0, 11.5, offset_ms),  # slower, and both may be true
        (1_001_995, 12.0, 12.002, 1_001_995 - 12_001),  # faster
        (2_000_000, 13.0, 13.5, 2_000_000 - 13_250),  # slower, but they contradict each other: the clock was set
    ):
        clock.sync(server_ms, sent, received)
        assert clock.offset_ms == pytest.approx(expected_ms)


@pytest.mark.parametrize(
    ("due_in_s", "corrected_by_s", "late_s"),
    [
        (600, 0, 0),  # not yet
        (-600, 0, 600),  # this process was busy with something else
        (600, 3000, 0),  # the clock was put forward meanwhile: whoever slept has not overslept
        (600, -3000, 0),  # or back
        (-600, 3000, 600),  # late before that, and no later by it
    ],
)
def test_a_clock_that_is_corrected_makes_nobody_late(due_in_s: float, corrected_by_s: float, late_s: float) -> None:
    """Over a full line the engine's clock moves by 150 ms, under a whole hall that sleeps: no test is void for it."""
    clock = EngineClock()
    wake = Wake(clock, clock.now_ms() + due_in_s * 1000)

    clock.offset_ms += corrected_by_s * 1000

    assert wake.late_s() == pytest.approx(late_s, abs=60)
