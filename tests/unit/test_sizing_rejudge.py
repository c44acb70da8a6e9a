"""An outcome judged anew: its figures stay what they were, and nothing that it does not hold is made up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from loadtest.sizing import tiers
from loadtest.sizing.outcome import Outcome, Text, Word
from loadtest.sizing.rejudge import NOT_KEPT, TOLD, CannotJudge, judged_anew
from loadtest.sizing.tiers import Tier
from loadtest.sizing.verdict import digest, outcome_of
from tests import outcomes
from tests.evidence import evidence, samples
from tests.outcomes import latency, phase


def a_tier(**criteria: dict[str, float]) -> Tier:
    return Tier(candidates=1000, up_mbit_per_s=28, down_mbit_per_s=20, minutes=10, criteria=criteria)


def a_run(*phases: Any, **members: Any) -> Outcome:
    return outcomes.outcome(phases=list(phases), **members)


def test_a_figure_that_was_judged_is_held_against_another_limit() -> None:
    """It fails by a limit that was tightened, with the figure of then."""
    judged = outcomes.criterion("collected_s", 4.0, 5.0, unit="s")
    outcome = a_run(phase("deadline", 540, 620, criteria=[judged]))

    same, tighter = (judged_anew(outcome, a_tier(deadline={"collected_s": limit})) for limit in (5, 3))

    assert same.verdict is Word.PASS and tighter.verdict is Word.FAIL
    assert [(one.found, one.limit, one.holds) for one in tighter.phases[0].criteria] == [(4.0, 3, False)]
    assert "has to be <= 3" in tighter.reasons[0].en


def test_what_was_not_asked_is_judged_by_the_tables_of_the_outcome() -> None:
    """Percentiles, errors, memory and CPU are in them."""
    outcome = a_run(
        phase("start", 0, 30, 0.0, operations={"save": latency(4)}, criteria=[]),
        phase("steady", 30, 240, criteria=[], error_kinds={"save/503": 2}),
    )
    limits = {"start": {"save_p99_ms": latency(4).p99_ms}, "steady": {"errors": 1.0, "cpu_engine": 0.42}}

    again = judged_anew(outcome, a_tier(**limits))

    assert [(one.name, one.found, one.holds) for each in again.phases for one in each.criteria] == [
        ("save_p99_ms", latency(4).p99_ms, True),
        ("errors", 2.0, False),
        ("cpu_engine", 0.42, True),
    ]
    assert again.verdict is Word.FAIL


def test_what_an_outcome_does_not_hold_is_not_judged() -> None:
    """A share of a whole exam is no difference of its counters; what was counted once is nowhere else."""
    outcome = a_run(phase("exam", 0, 660, criteria=[]), phase("start", 0, 30, criteria=[]))
    limits = {"exam": {"line_share": 0.25, "lost": 0.0}, "start": {"keys_missing": 0.0, "save_p99_ms": 1000.0}}

    again = judged_anew(outcome, a_tier(**limits))

    assert {one.name: one.holds for each in again.phases for one in each.criteria} == {
        "line_share": None, "lost": None, "keys_missing": None, "save_p99_ms": True,
    }  # fmt: skip
    assert again.phases[0].criteria[0].why == NOT_KEPT.en
    assert sum("not judged: " in note.en for note in again.notes) == 3


def test_errors_that_no_phase_had_are_judged_where_the_outcome_tells_of_them() -> None:
    """A run of before told them of the whole exam alone; the sealed papers' are those of the check-in."""
    early = {"sealed/404": 1}
    told = {"error_kinds": early, "criteria": []}
    outcome = a_run(
        phase("check_in", -120, 0, **told),
        phase("paper", -120, 0, **told),
        phase("exam", -120, 660, criteria=[], error_kinds={"sealed/404": 1, "page/500": 2}),
    )

    again = judged_anew(outcome, a_tier(outside={"errors": 0.0}))

    assert again.verdict is Word.FAIL
    assert [each.error_kinds for each in again.phases if each.name == "outside"] == [{"page/500": 2}]
    assert judged_anew(again, a_tier(outside={"errors": 0.0})) == again


def test_a_reader_sees_that_it_was_judged_anew_and_by_which_limits() -> None:
    """Once, however often it is; the digest is that of the limits that counted."""
    old = {"tier": "x", "criteria.steady.save_p99_ms": "7", "criteria.late.errors": "0"}
    outcome = a_run(phase("steady", 30, 240, criteria=[]), configuration=old, notes=[Text("注", "a note")])
    tier = a_tier(steady={"save_p99_ms": 100.0})

    once = judged_anew(outcome, tier)

    assert judged_anew(once, tier) == once
    assert once.notes == [Text("注", "a note"), TOLD]
    assert once.configuration == {"tier": "x", "criteria.steady.save_p99_ms": "100"}
    assert once.configuration_digest == digest(once.configuration)


@pytest.mark.parametrize(("up_per_s", "holds"), [(4_000, True), (4_000_000, None)])
def test_a_run_that_was_judged_by_the_same_limits_stays_as_it_is(up_per_s: int, holds: bool | None) -> None:
    """Also where both directions of a line were one figure, which is an upper bound and fails nothing."""
    tier = tiers.read(tiers.FILE, "50")
    configuration = {"tier": "50", **tiers.named_limits(tier)}
    outcome = outcome_of(
        evidence(is_both_ways=True, samples=samples(up_per_s, is_both_ways=True), configuration=configuration)
    )

    assert outcome.verdict is Word.PASS
    assert [one.holds for one in outcome.phases[-1].criteria if one.name == "line_share"] == [holds]
    assert judged_anew(outcome, tier) == outcome
    assert TOLD in judged_anew(outcome, msgspec.structs.replace(tier, criteria={"exam": {"lost": 0.0}})).notes


def test_a_phase_that_did_not_count_does_not_count_anew() -> None:
    void = phase("steady", 30, 240, criteria=[], void="late", void_zh="迟了")

    assert judged_anew(a_run(void), a_tier(steady={"save_p99_ms": 0.001})).verdict is Word.VOID


def test_what_voids_a_run_voids_it_anew() -> None:
    """Lost answers had failed it all the same; by limits that do not ask for them it says nothing."""
    why = [Text("异常", "a generator ended badly")]
    lost = phase("exam", 0, 660, criteria=[outcomes.criterion("lost", 1, 0, unit="")])
    outcome = a_run(lost, phase("steady", 30, 240), verdict=Word.FAIL, voids=why)

    again = judged_anew(outcome, a_tier(exam={"lost": 0.0}, steady={"save_p99_ms": 0.001}))

    assert again.verdict is Word.FAIL and len(again.reasons) == 2
    assert judged_anew(outcome, a_tier(steady={"save_p99_ms": 0.001})).verdict is Word.VOID


@pytest.mark.parametrize(
    ("outcome", "named"),
    [
        (a_run(verdict=Word.VOID), "VOID"),
        (a_run(candidates=999), "999 candidates"),
        (a_run(line=msgspec.structs.replace(outcomes.outcome().line, up_kbit_per_s=1)), "1/20000 kbit/s"),
    ],
)
def test_limits_for_something_else_are_refused(outcome: Outcome, named: str) -> None:
    with pytest.raises(CannotJudge, match=named):
        judged_anew(outcome, a_tier())
