"""The knee of one installation: steps of load, each judged, and what everything cost meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from loadtest.capacity import machine
from loadtest.capacity.installation import Exam, Gauges, Installation
from loadtest.capacity.judging import (
    Backlog,
    Bounds,
    Outcome,
    Share,
    faults_of,
    growth_per_s,
    outcome_of,
    unseen,
    what_gives_first,
    why_spoilt,
)
from loadtest.capacity.search import Search
from loadtest.openloop.driver import Manner
from loadtest.openloop.figures import Measured
from loadtest.openloop.fleet import Fleet
from loadtest.openloop.schedule import Phase

WARM_S = 2.0
LOOK_S = 0.5


class Wish(Struct, frozen=True, kw_only=True):
    """How to look for it."""

    manner: Manner = Manner()
    generators: int = 1
    first: float = 1000.0
    highest: float = 1e6
    seconds: float = 10.0
    precision: float = 1.05
    bounds: Bounds = Bounds()


class Step(Struct, kw_only=True):
    """One rate, tried once. CPU is in microseconds per acknowledged save, warming and draining included, by role."""

    saves_per_s: float
    outcome: Outcome
    faults: list[str]
    why_void: str
    measured: Measured
    shares: list[Share]
    lag_s: float
    backlog_per_s: float
    cpu_us: dict[str, float]
    generator_us: float
    wire_bytes: float  # per save, both directions, over the loopback
    others_share: float  # of all cores
    gauges_seen: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "outcome": str(self.outcome),
            "faults": self.faults,
            **self.measured.as_json(),
            "why_void": self.why_void,
            "recorder_lag_s": round(self.lag_s, 3),
            "backlog_growth_per_s": round(self.backlog_per_s, 1),
            "cpu_us_per_save": {role: round(us, 1) for role, us in self.cpu_us.items()},
            "generator_us_per_save": round(self.generator_us, 1),
            "wire_bytes_per_save": round(self.wire_bytes),
            "others_share": round(self.others_share, 3),
            "shares": {share.name: round(share.used, 3) for share in self.shares},
        }


class Knee(Struct, kw_only=True):
    """`saves_per_s`: what was acknowledged at the highest rate that held; 0 when none did."""

    workers: int
    generators: int
    saves_per_s: float
    p99_ms: float
    gives_first: str
    is_lower_bound: bool  # the step above is void, or was never reached
    steps: list[Step]

    @property
    def best(self) -> Step | None:
        """The highest step that held."""
        held = [step for step in self.steps if step.outcome == Outcome.HELD]
        return max(held, key=lambda step: step.saves_per_s, default=None)


def find(on: Installation, exam: Exam, fleet: Fleet, wish: Wish, says: Callable[[str], None]) -> Knee:
    """Raises FleetFault when a generator ends."""
    search = Search(first=wish.first, highest=wish.highest, precision=wish.precision)
    steps: list[Step] = []
    gauges = Gauges(on)
    gauges.settle()
    while (rate := search.next_rate()) is not None:
        step = try_step(on, fleet, gauges, rate, wish)
        steps.append(step)
        search.note(rate, held=step.outcome == Outcome.HELD)
        says(told(step))
    return _knee(on, len(fleet.processes), steps, search)


def _knee(on: Installation, generators: int, steps: list[Step], search: Search) -> Knee:
    knee = Knee(
        workers=on.workers, generators=generators, saves_per_s=0.0, p99_ms=0.0, gives_first="", is_lower_bound=False,
        steps=steps,
    )  # fmt: skip
    best = knee.best
    if best is not None:
        knee.saves_per_s = round(best.measured.acknowledged / best.measured.seconds, 1)
        knee.p99_ms = best.measured.percentiles_ms()["p99"]
    above = [step for step in steps if step.outcome != Outcome.HELD and step.saves_per_s == search.failed]
    if above:
        last = above[-1]
        knee.gives_first = what_gives_first(last.shares if on.processes else [], last.faults, last.why_void)
        knee.is_lower_bound = all(step.outcome == Outcome.VOID for step in above)
    else:
        knee.gives_first = "not reached, the highest rate that was tried held"
        knee.is_lower_bound = True
    return knee


def try_step(on: Installation, fleet: Fleet, gauges: Gauges, rate: float, wish: Wish) -> Step:
    """Warm up, measure, and wait until the recorder has everything."""
    warm_s = min(WARM_S, wish.seconds)
    phases = [Phase("warm", warm_s, rate, is_judged=False), Phase("step", wish.seconds, rate)]
    at_first = machine.look(on.processes)
    began_s = time.monotonic()
    fleet.begin(phases)
    time.sleep(max(0.0, began_s + warm_s - time.monotonic()))
    before = machine.look(on.processes)
    seen = []
    while (now_s := time.monotonic()) < began_s + warm_s + wish.seconds:
        seen.append(gauges.look(now_s - began_s - warm_s))
        time.sleep(LOOK_S)
    after = machine.look(on.processes)
    warm, measured = fleet.finish()
    has_drained = gauges.settle()
    at_last = machine.look(on.processes)
    backlog = [one for one in seen if one is not None]
    saved = max(1, warm.acknowledged + measured.acknowledged)
    faults = _faults(measured, backlog, wish)
    if gauges.has_told:
        faults += unseen(len(seen), len(backlog), has_drained)
    generator_cores = measured.cpu_s / measured.seconds
    others_share = machine.others_share(before, after, generator_cores)
    why_void = why_spoilt(faults, measured.why_void, others_share)
    return Step(
        saves_per_s=rate,
        outcome=outcome_of(faults, why_void),
        why_void=why_void,
        faults=faults,
        measured=measured,
        shares=machine.shares(before, after, measured.busy_share, generator_cores),
        lag_s=max((one.lag_s for one in backlog), default=0.0),
        backlog_per_s=growth_per_s(backlog),
        cpu_us={role: used / saved * 1e6 for role, used in machine.by_role(at_first, at_last).items()},
        generator_us=measured.cpu_s * 1e6 / max(1, measured.acknowledged),
        wire_bytes=(at_last.lo_bytes - at_first.lo_bytes) / saved,
        others_share=others_share,
        gauges_seen=bool(backlog),
    )


def _faults(measured: Measured, backlog: list[Backlog], wish: Wish) -> list[str]:
    return faults_of(
        saves_per_s=measured.saves_per_s,
        p99_ms=measured.percentiles_ms()["p99"],
        errors=measured.failed,
        fault=measured.fault,
        backlog=backlog,
        bounds=wish.bounds,
    )


def told(step: Step) -> str:
    """One line."""
    at = step.measured.percentiles_ms()
    busiest = ", ".join(f"{share.name} {share.used:.0%}" for share in step.shares)
    why = step.why_void or "; ".join(step.faults)
    return (
        f"{step.saves_per_s:9,.0f}/s {step.outcome:6} p50 {at['p50']:.1f} p99 {at['p99']:.1f} ms "
        f"(generator late {at['late_p99']:.1f}); {busiest}" + (f"; {why}" if why else "")
    )
