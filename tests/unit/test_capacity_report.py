"""What a measurement says, in words and as costs, made from knees that are known."""

from __future__ import annotations

import pytest

from loadtest.capacity.judging import Outcome, Share
from loadtest.capacity.knee import Knee, Step
from loadtest.capacity.report import Entry, Found, as_json, candidates, costs_of, in_words
from loadtest.openloop.figures import Figures
from loadtest.openloop.schedule import Phase


def step(rate: float, outcome: Outcome = Outcome.HELD, others: float = 0.0) -> Step:
    figures = Figures(Phase("step", 1.0, rate))
    for _ in range(int(rate)):
        figures.offered += 1
        figures.acknowledged(5000, 4000)
    return Step(
        saves_per_s=rate,
        outcome=outcome,
        faults=[],
        why_void="",
        measured=figures.report(),
        shares=[Share("engine core", 0.95, 0.9, "worker-0 95% of a core")],
        lag_s=0.1,
        backlog_per_s=0.0,
        cpu_us={"engine": 30.0 + 10_000 / rate, "Redis": 10.0, "recorder": 4.0, "PostgreSQL": 20.0},
        generator_us=25.0,
        wire_bytes=400.0,
        others_share=others,
        gauges_seen=True,
    )


def knee(workers: int, rates: list[float], *, others: float = 0.0, is_lower_bound: bool = False) -> Knee:
    steps = [step(rate, others=others) for rate in rates]
    return Knee(
        workers=workers, generators=1, saves_per_s=max(rates, default=0.0), p99_ms=5.0,
        gives_first="engine core (worker-0 95% of a core)", is_lower_bound=is_lower_bound, steps=steps,
    )  # fmt: skip


def entry(wrong: list[str] | None = None, keys: int = 100, checked: int = 100) -> Entry:
    return Entry(
        sittings=100, entries_per_s=300.0, engine_us_per_entry=600.0, engine_kib_per_channel=2.0,
        redis_kib_per_sitting=3.0, changes_each=50.0, postgres_bytes_per_change=0.0, sealed_paper_bytes=60_000.0,
        keys=keys, key_last_ms=20.0, checked=checked, wrong=wrong or [],
    )  # fmt: skip


def found(*knees: Knee, **how: object) -> Found:
    made = entry(**how)  # type: ignore[arg-type]
    return Found(machine="m", began="d", has_channel=True, knees=list(knees), entries=[made for _ in knees])


def test_the_answer_leaves_the_margin_that_the_model_asks_for() -> None:
    """At the design peak the knee is half used; what gives first is beside it."""
    said = in_words(found(knee(1, [1000, 2000])))

    assert candidates(2000) == 10_000
    assert "ANSWER: 10,000 candidates" in said and "a margin of 2 x" in said
    assert said.endswith("What gives first: engine core (worker-0 95% of a core).")


def test_a_lower_bound_and_a_busy_machine_are_told() -> None:
    """Nobody is to take them for the machine's best."""
    said = in_words(found(knee(1, [2000], others=0.4, is_lower_bound=True)))

    assert "ANSWER: at least 10,000" in said
    assert "other programs took up to 40% of all cores" in said
    assert "other programs" not in in_words(found(knee(1, [2000], others=0.01)))


def test_nothing_held_is_no_answer() -> None:
    """Not zero candidates with a margin."""
    said = in_words(found(knee(1, [])))

    assert "NO ANSWER" in said and "ANSWER: " not in said.replace("NO ANSWER: ", "")


def test_wrong_responses_are_named() -> None:
    """Capacity at the price of answers is none."""
    said = in_words(found(knee(1, [100]), wrong=["c1 A1: lost"]))

    assert "WRONG: 1" in said and "c1 A1: lost" in said


def test_whoever_gave_no_results_key_is_told_that_nothing_was_compared() -> None:
    """Beside the answer, not by a line that is missing; zero lost is not said either."""
    looked, blind = found(knee(1, [100])), found(knee(1, [100]), checked=0)

    answer = in_words(blind).split("ANSWER: ")[1]
    assert "NOT COMPARED: " in answer and "--results-key" in answer and "ledger: nothing compared" in in_words(blind)
    assert "NOT COMPARED" not in in_words(looked) and "ledger: 100 sittings compared" in in_words(looked)
    assert (as_json(blind)["saves_compared"], as_json(blind)["lost_or_wrong"]) == (False, None)
    assert (as_json(looked)["saves_compared"], as_json(looked)["lost_or_wrong"]) == (True, 0)


def test_workers_are_fitted_and_doubts_are_told() -> None:
    """Two numbers of workers tell no kappa; three do."""
    two = in_words(found(knee(1, [1000]), knee(2, [1800])))
    three = as_json(found(knee(1, [1000]), knee(2, [1800]), knee(4, [3000])))

    assert "kappa: 2 different numbers of workers" in two and "sigma 0.111" in two
    assert three["scaling"]["lambda"] == pytest.approx(1000, rel=0.01)
    assert three["knee_saves_per_s"] == 3000 and len(three["knees"]) == 3


def test_lower_bounds_tell_nothing_of_scaling() -> None:
    """Two workers that were stopped by something else look like contention."""
    said = in_words(found(knee(1, [7600], is_lower_bound=True), knee(2, [8800])))

    assert "sigma: a knee that is a lower bound cannot tell it" in said
    assert "(contention)" not in said and "(coherency)" not in said


def test_costs_are_those_at_the_design_peak() -> None:
    """Half of the knee, where it will run; what was not measured is left out."""
    priced = costs_of(found(knee(1, [500, 1000, 2000]), keys=100)).costs

    assert priced["engine_us_per_save"].value == 40.0  # of the step at 1,000/s
    assert priced["knee_per_engine_core"].value == 2000
    assert priced["keys_per_s_per_worker"].value == 5000
    assert "postgres_bytes_per_change" not in priced
    assert "keys_per_s_per_worker" not in costs_of(found(knee(1, [500]), keys=99)).costs
