"""An outcome on one screen of a terminal: verdict, reasons, a line per phase, what failed or nearly did. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from loadtest.sizing import figures, words
from loadtest.sizing.outcome import Criterion, Outcome, PhaseOutcome, Text
from loadtest.sizing.standing import caveats, failing, standing

_NAME_WIDTH = 13
_STATE_WIDTH = 11
_FAULTS_SHOWN_MAX = 5
_REASONS_SHOWN_MAX = 6
_NEAR_SHOWN_MAX = 2  # of a phase
_STATES = {"holds": "holds", "fails": "FAILS", "void": "VOID", "unjudged": "not judged"}


def text(outcome: Outcome) -> str:
    """In English, as all commands here speak."""
    return "\n".join(map(figures.printable, _lines(outcome)))


def _lines(outcome: Outcome) -> Iterator[str]:
    line = outcome.line
    yield f"{outcome.verdict}: {_said(words.MEANINGS[outcome.verdict])}"
    yield from _some([f"  - {_said(reason)}" for reason in outcome.reasons], _REASONS_SHOWN_MAX, "reasons")
    yield from (f"  ! {_said(caveat)}" for caveat in caveats(outcome))
    yield ""
    yield (
        f"tier {outcome.tier}, {outcome.candidates} candidates, planned for {figures.number(outcome.minutes)} min, "
        f"seed {outcome.seed}, took {figures.span(outcome.took_s)}"
    )
    yield (
        f"line up {figures.bandwidth(line.up_kbit_per_s)}, down {figures.bandwidth(line.down_kbit_per_s)}, "
        + ("enforced" if line.enforced else f"NOT enforced, measured only{f': {line.why}' if line.why else ''}")
    )
    if line.delay_ms or line.loss:
        yield f"delay {figures.milliseconds(line.delay_ms)} each way, loss {figures.share(line.loss)}"
    yield ""
    yield (
        f"{'phase':<{_NAME_WIDTH}} {'lasted':>7}  {'verdict':<{_STATE_WIDTH}} {'save p99 closed/open':>21} "
        f"{'tier used up/down':>19}"
    )
    for phase in outcome.phases:
        yield _phase(phase)
        yield from _remarkable(phase)
    yield ""
    yield _account(outcome)
    yield from _some([f"  {fault}" for fault in outcome.faults], _FAULTS_SHOWN_MAX, "faults")
    yield f"again: {outcome.command}"


def _phase(phase: PhaseOutcome) -> str:
    times = [phase.operations[name].p99_ms if name in phase.operations else None for name in ("save", "save_intended")]
    latencies = " / ".join(map(figures.milliseconds, times)) if any(each is not None for each in times) else ""
    traffic = phase.traffic
    shares = f"{figures.share(traffic.up_share)} / {figures.share(traffic.down_share)}" if traffic else ""
    shown = (
        f"{phase.name:<{_NAME_WIDTH}} {figures.span(figures.lasted_s(phase)):>7}  "
        f"{_STATES[standing(phase)]:<{_STATE_WIDTH}} {latencies:>21} {shares:>19}"
    )
    return shown.rstrip()


def _remarkable(phase: PhaseOutcome) -> Iterator[str]:
    """Why a phase does not count, or what failed in it or nearly did."""
    if phase.void:
        yield f"    void: {phase.void}"
        over = ", ".join(_said(each.label) for each in failing(phase))
        if over:
            yield f"    over their limits, which does not count: {over}"
        return
    yield from (f"    FAILS {_criterion(each)}" for each in failing(phase))
    near = sorted(filter(figures.is_near, phase.criteria), key=lambda each: -(figures.used(each) or 0))
    yield from (f"    near its limit: {_criterion(each)}" for each in near[:_NEAR_SHOWN_MAX])


def _criterion(each: Criterion) -> str:
    sign = "<=" if each.is_at_most else ">="
    found, limit = figures.in_unit(each.found, each.unit), figures.in_unit(each.limit, each.unit)
    return f"{_said(each.label)}: {found}, limit {sign} {limit}{f' ({each.why})' if each.why else ''}"


def _account(outcome: Outcome) -> str:
    wrong = {name: count for name, count in outcome.account.items() if name in words.MUST_BE_NONE and count}
    if wrong:
        return "account: " + ", ".join(f"{name} {count}" for name, count in wrong.items())
    if not outcome.account:
        return "account: not settled"
    came = {name: count for name, count in outcome.account.items() if name not in words.MUST_BE_NONE}
    return "account: nothing lost, nothing wrong; " + ", ".join(f"{name} {count}" for name, count in came.items())


def _some(lines: list[str], shown_max: int, what: str) -> Iterator[str]:
    yield from lines[:shown_max]
    if len(lines) > shown_max:
        yield f"  ... and {len(lines) - shown_max} more {what}: the report lists them"


def _said(told: Text) -> str:
    return told.en
