"""An outcome judged anew: the figures of its run, held against the limits that a tier has today. Pure.

Promise: no figure is invented. What a criterion found in the run stays; one that the run was not asked is judged where
the outcome's own tables hold its figure, and otherwise not judged, which is told. That it was judged anew is told, too.
"""

from __future__ import annotations

import msgspec

from loadtest.sizing.criteria import CRITERIA, Facts, Found, held_against
from loadtest.sizing.measure import OUTSIDE
from loadtest.sizing.outcome import Criterion, Outcome, PhaseOutcome, Text, Word
from loadtest.sizing.standing import why
from loadtest.sizing.tiers import Limits, Tier, named_limits
from loadtest.sizing.verdict import EXAM, PAPER, digest, unjudged, word_of

NOT_KEPT = Text("本次测试的结果中没有保存该数字", "the outcome of this run does not hold it")
TOLD = Text(
    "本报告为事后重新判定:数字取自当时的测试,限值为重新判定之日的限值",
    "judged anew after the run: its figures, held against the limits of the day on which it was judged anew",
)
_CRITERION = "criteria."  # what names of limits in a configuration begin with


class CannotJudge(ValueError):
    """The message says why not."""


def judged_anew(outcome: Outcome, tier: Tier) -> Outcome:
    """The same run by the limits of `tier`, as it is where nothing differs. Raises CannotJudge where these are not for
    it, or where it says nothing."""
    _refuse_unlike(outcome, tier)
    has_lag = bool(outcome.series.get("recorder_lag_s"))
    phases = [_phase(phase, tier.criteria, has_lag) for phase in (*outcome.phases, *_outside(outcome))]
    configuration = {name: told for name, told in outcome.configuration.items() if not name.startswith(_CRITERION)}
    configuration |= named_limits(tier)
    if (phases, configuration) == (outcome.phases, outcome.configuration):
        return outcome
    verdict, reasons = word_of(phases, outcome.voids)
    stale = [*unjudged(outcome.phases), TOLD]
    return msgspec.structs.replace(
        outcome,
        verdict=verdict,
        reasons=reasons,
        phases=phases,
        configuration=configuration,
        configuration_digest=digest(configuration),
        notes=[*(note for note in outcome.notes if note not in stale), TOLD, *unjudged(phases)],
    )


def _refuse_unlike(outcome: Outcome, tier: Tier) -> None:
    if outcome.verdict is Word.VOID:
        raise CannotJudge("the run is VOID: its figures say nothing of the engine, whatever the limits are")
    ran = (outcome.candidates, outcome.line.up_kbit_per_s, outcome.line.down_kbit_per_s)
    asked = (tier.candidates, tier.up_kbit_per_s, tier.down_kbit_per_s)
    if ran != asked:
        raise CannotJudge(
            f"the run had {ran[0]} candidates on {ran[1]}/{ran[2]} kbit/s, the tier has {asked[0]} on "
            f"{asked[1]}/{asked[2]}"
        )


def _outside(outcome: Outcome) -> list[PhaseOutcome]:
    """What a run met in no phase, if it was not told as one: errors of the whole exam that no phase has."""
    by_name = {phase.name: phase for phase in outcome.phases}
    if EXAM not in by_name or OUTSIDE in by_name:
        return []
    left = dict(by_name[EXAM].error_kinds)
    for phase in outcome.phases:
        for kind, count in phase.error_kinds.items() if phase.name not in (EXAM, PAPER) else ():
            left[kind] = left.get(kind, 0) - count
    left = {kind: count for kind, count in left.items() if count > 0}
    after_ms = outcome.phases[-1].until_ms
    return [PhaseOutcome(name=OUTSIDE, from_ms=after_ms, until_ms=after_ms, error_kinds=left)] if left else []


def _phase(phase: PhaseOutcome, limits: Limits, has_lag: bool) -> PhaseOutcome:
    known = {one.name: one for one in phase.criteria}
    facts = _facts(phase, has_lag)
    criteria = [
        held_against(limit, _found(facts, name, known.get(name)), name, facts)
        for name, limit in limits.get(phase.name, {}).items()
    ]
    return msgspec.structs.replace(phase, criteria=criteria)


def _found(facts: Facts, name: str, known: Criterion | None) -> Found:
    if known is None:
        return CRITERIA[facts.name][name].found(facts)
    return why(known) if known.found is None else known.found


def _facts(phase: PhaseOutcome, has_lag: bool) -> Facts:
    """Of a whole exam the share of the line is no difference of counters, so it cannot be found again."""
    traffic = phase.traffic
    return Facts(
        name=phase.name,
        from_ms=phase.from_ms,
        until_ms=phase.until_ms,
        operations=phase.operations,
        errors=phase.error_kinds,
        traffic=None if phase.name == EXAM else traffic,
        why_no_traffic=NOT_KEPT,
        is_both_ways=traffic is not None and traffic.up_bytes == traffic.down_bytes,
        cpu=phase.cpu,
        memory_mib=phase.memory_mib,
        recorder_lag_s=phase.recorder_lag_max_s if has_lag else None,
    )
