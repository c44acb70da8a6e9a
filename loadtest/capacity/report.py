"""What was found, in words and as JSON: how many candidates, with what margin, and what gives first. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from loadtest.capacity.costs import Cost, Costs
from loadtest.capacity.judging import Outcome
from loadtest.capacity.knee import Knee, Step
from loadtest.capacity.plan import Bill
from loadtest.capacity.usl import Fit, fit
from loadtest.sizing.model import DESIGN_SAVES_PER_S, STRESS_SAVES_PER_S

COSTLY_ROLES = {"engine": "engine", "Redis": "redis", "recorder": "recorder", "PostgreSQL": "postgres"}
OTHERS_TOLD_SHARE = 0.05  # of all cores
NOT_COMPARED = (
    "NOT COMPARED: whether the engine delivers what it acknowledged was not looked at; that takes --results-key "
    "(./run key create --scope results makes one)"
)
MARGIN = STRESS_SAVES_PER_S / DESIGN_SAVES_PER_S


class Entry(Struct, frozen=True, kw_only=True):
    """What was measured around the steps of one installation; 0 for what could not be."""

    sittings: int
    entries_per_s: float
    engine_us_per_entry: float
    engine_kib_per_channel: float
    redis_kib_per_sitting: float
    changes_each: float
    postgres_bytes_per_change: float
    sealed_paper_bytes: float
    keys: int
    key_last_ms: float
    checked: int
    wrong: list[str]


class Found(Struct, kw_only=True):
    """One knee and one entry per number of workers."""

    machine: str
    began: str
    has_channel: bool
    knees: list[Knee]
    entries: list[Entry]

    @property
    def wrong(self) -> list[str]:
        return [fault for entry in self.entries for fault in entry.wrong]

    @property
    def compared(self) -> bool:
        """Whether acknowledged answers of every installation were pulled, which takes a results key."""
        return all(entry.checked for entry in self.entries)

    @property
    def others_share(self) -> float:
        """Of all cores, the most in any step."""
        return max((step.others_share for knee in self.knees for step in knee.steps), default=0.0)

    @property
    def best(self) -> Knee:
        return max(self.knees, key=lambda knee: knee.saves_per_s)

    def scaling(self) -> Fit | None:
        """None where nothing held. Through lower bounds the law is drawn, and tells nothing."""
        known = [knee for knee in self.knees if knee.workers and knee.saves_per_s]
        if not known:
            return None
        found = fit([(float(knee.workers), knee.saves_per_s) for knee in known])
        if len(known) > 1 and any(knee.is_lower_bound for knee in known):
            doubts = [f"{name}: a knee that is a lower bound cannot tell it" for name in ("sigma", "kappa")]
            return msgspec.structs.replace(found, doubts=doubts)
        return found


def candidates(saves_per_s: float) -> int:
    """How many of them save at the design peak with the margin that leaves."""
    return int(saves_per_s / STRESS_SAVES_PER_S)


def costs_of(found: Found) -> Costs:
    """Only what was measured. Per save: of the step that held nearest to the design peak, where it will run."""
    knee, entry = found.knees[0], found.entries[0]
    held = [step for step in knee.steps if step.outcome == Outcome.HELD]
    costs: dict[str, Cost] = {}

    def add(name: str, value: float, unit: str, how: str) -> None:
        if value > 0:
            costs[name] = Cost(round(value, 2), unit, how)

    if held:
        near = min(held, key=lambda step: abs(step.saves_per_s - knee.saves_per_s / MARGIN))
        way = "channel" if found.has_channel else "HTTP"
        how = f"CPU per save at {near.saves_per_s:,.0f} saves/s over {way}, {knee.workers} worker(s), until recorded"
        for role, name in COSTLY_ROLES.items():
            add(f"{name}_us_per_save", near.cpu_us.get(role, 0.0), "us", how)
        add("generator_us_per_save", near.generator_us, "us", how)
    if knee.workers:
        bound = " (a lower bound)" if knee.is_lower_bound else ""
        how = f"the knee of {knee.workers} worker(s), everything on one machine{bound}"
        add("knee_per_engine_core", knee.saves_per_s / knee.workers, "saves/s", how)
        if entry.keys == entry.sittings:
            how = f"{entry.keys} channels, the last key {entry.key_last_ms:.0f} ms after the start"
            add("keys_per_s_per_worker", entry.keys / entry.key_last_ms * 1000 / knee.workers, "1/s", how)
    how = f"{entry.sittings} logged in, confirmed and pledged at {entry.entries_per_s:.0f}/s"
    add("engine_us_per_entry", entry.engine_us_per_entry, "us", how)
    how = f"resident memory, {entry.sittings} channels; what letting them in took is in it"
    add("engine_kib_per_channel", entry.engine_kib_per_channel, "KiB", how)
    how = f"resident memory, {entry.sittings} sittings after {entry.changes_each:.0f} changes each"
    add("redis_kib_per_sitting", entry.redis_kib_per_sitting, "KiB", how)
    add("postgres_bytes_per_change", entry.postgres_bytes_per_change, "B", "tables and indexes on disk, without WAL")
    add("sealed_paper_bytes", entry.sealed_paper_bytes, "B", "the sample paper, sealed")
    return Costs(machine=found.machine, measured_on=found.began, costs=costs)


def as_json(found: Found) -> dict[str, Any]:
    scaling = found.scaling()
    best = found.best
    return {
        "machine": found.machine,
        "began": found.began,
        "over": "channel" if found.has_channel else "http",
        "candidates": candidates(best.saves_per_s),
        "margin": MARGIN,
        "knee_saves_per_s": best.saves_per_s,
        "knee_is_lower_bound": best.is_lower_bound,
        "gives_first": best.gives_first,
        "others_share": round(found.others_share, 3),
        "knees": [_knee_json(knee) for knee in found.knees],
        "scaling": None
        if scaling is None
        else {
            "lambda": round(scaling.lambda_, 1),
            "sigma": round(scaling.sigma, 4),
            "kappa": round(scaling.kappa, 6),
            "error": round(scaling.error, 4),
            "peak_workers": scaling.peak_n,
            "doubts": scaling.doubts,
        },
        "around": [{name: getattr(entry, name) for name in Entry.__struct_fields__} for entry in found.entries],
        "saves_compared": found.compared,
        "lost_or_wrong": len(found.wrong) if found.compared else None,
    }


def _knee_json(knee: Knee) -> dict[str, Any]:
    return {
        "workers": knee.workers,
        "generators": knee.generators,
        "saves_per_s": knee.saves_per_s,
        "p99_ms": knee.p99_ms,
        "is_lower_bound": knee.is_lower_bound,
        "gives_first": knee.gives_first,
        "steps": [step.as_json() for step in knee.steps],
    }


def in_words(found: Found) -> str:
    best = found.best
    lines = []
    for knee, entry in zip(found.knees, found.entries, strict=True):
        lines += _knee_words(knee, entry)
    lines.append(_scaling_words(found))
    if any(" used " in step.measured.why_void for knee in found.knees for step in knee.steps):
        lines.append("NOTE: a generator was short of a core: try again with more --generators")
    if found.others_share > OTHERS_TOLD_SHARE:
        lines.append(
            f"NOTE: other programs took up to {found.others_share:.0%} of all cores meanwhile: these figures are not "
            "the machine's best"
        )
    if found.wrong:
        lines += [f"WRONG: {len(found.wrong)} responses are not what was acknowledged", *found.wrong[:10]]
    if not best.saves_per_s:
        lines.append("NO ANSWER: no rate held, not even the lowest that was tried")
        return "\n".join(lines)
    at_least = "at least " if best.is_lower_bound else ""
    lines.append(
        f"ANSWER: {at_least}{candidates(best.saves_per_s):,} candidates at the design peak of {DESIGN_SAVES_PER_S:g} "
        f"saves/s each, which fills {1 / MARGIN:.0%} of the knee ({best.saves_per_s:,.0f} saves/s): a margin of "
        f"{MARGIN:g} x."
    )
    if not found.compared:
        lines.append(NOT_COMPARED)
    lines.append(f"What gives first: {best.gives_first}.")
    return "\n".join(lines)


def _knee_words(knee: Knee, entry: Entry) -> list[str]:
    plural = "s" if knee.workers > 1 else ""
    workers = f"{knee.workers} worker{plural}" if knee.workers else "an unknown number of workers"
    best = knee.best
    lines = [f"{workers}: " + ("no rate held" if best is None else _at_knee(knee, best))]
    lines.append(f"  above it gives first: {knee.gives_first}")
    if entry.checked:
        compared = f"{entry.checked} sittings compared with what the engine delivers"
        lines.append(f"  ledger: {compared}, {len(entry.wrong)} responses wrong")
    else:
        lines.append("  ledger: nothing compared")
    if not all(step.gauges_seen for step in knee.steps):
        lines.append("  /metrics did not tell of the recorder in every step: its backlog was not judged there")
    return lines


def _at_knee(knee: Knee, best: Step) -> str:
    cpu = ", ".join(f"{role} {us:.0f}" for role, us in sorted(best.cpu_us.items()) if us >= 0.5)
    return (
        f"knee {knee.saves_per_s:,.0f} saves/s, p99 {knee.p99_ms:.0f} ms from due"
        + (f"; CPU us per save: {cpu}" if cpu else "")
        + f"; generator {best.generator_us:.0f} us, the busiest of {knee.generators} at "
        f"{best.measured.busy_share:.0%} of a core"
    )


def _scaling_words(found: Found) -> str:
    scaling = found.scaling()
    if scaling is None:
        return "scaling: no knee of a known number of workers, so there is nothing to fit"
    told = {"sigma": f"sigma {scaling.sigma:.3f} (contention)", "kappa": f"kappa {scaling.kappa:.5f} (coherency)"}
    known = [words for name, words in told.items() if name not in scaling.unknown]
    text = f"scaling: lambda {scaling.lambda_:,.0f} saves/s of one worker" + "".join(f", {words}" for words in known)
    if scaling.peak_n is not None:
        text += f"; the most at {scaling.peak_n:.0f} workers"
    return text + "".join(f"\n  {doubt}" for doubt in scaling.doubts)


def bill_in_words(bill: Bill, costs: Costs) -> str:
    lines = [
        f"{bill.wanted.candidates:,} candidates at {bill.wanted.sites:,} sites, {bill.wanted.minutes:g} minutes; "
        f"costs of {costs.machine}, {costs.measured_on}"
    ]
    widest = max(len(line.name) for line in bill.lines)
    for line in bill.lines:
        full = f", {_full(line.full)} full" if line.full else ""
        lines.append(f"  {line.name:{widest}} {line.value:>12,.12g} {line.unit} [{line.kind}{full}]")
        lines.append(f"  {'':{widest}}              = {line.formula}")
    lines += [f"NOTE: {note}" for note in bill.notes]
    lines.append("Costs:")
    lines += [f"  {name} {cost.value:g} {cost.unit}: {cost.how}" for name, cost in costs.costs.items()]
    return "\n".join(lines)


def _full(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "below 1%"


def mean_of(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else 0.0
