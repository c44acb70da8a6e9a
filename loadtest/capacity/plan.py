"""A bill of machines for so many candidates at so many sites, from what single units cost. Pure.

Promise: every figure names its formula, whether it was measured or is carried on beyond what was, and how full it
leaves what it asks for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from loadtest.capacity.costs import Costs
from loadtest.sizing.model import DESIGN_SAVES_PER_S, MINUTES, SAVES_EACH, STRESS_SAVES_PER_S

MEASURED, EXTRAPOLATED = "measured", "extrapolated"

# How full each may be at the design peak. Half: the stress that every load test shows is twice that peak.
ENGINE_FULL = DESIGN_SAVES_PER_S / STRESS_SAVES_PER_S
REDIS_FULL = 0.5  # one thread: an AOF rewrite and a second primary's load after a failover fit in
POSTGRES_FULL = 0.5
MEMORY_FULL = 0.6
LINK_FULL = 0.5
GENERATOR_FULL = 0.6  # beyond 0.7 it is void
KIB_PER_GIB = 1024 * 1024
MBIT = 1e6
REDIS_COPY = 2.0  # a rewrite of the AOF forks: at worst every page is there twice
START_S = 1.0  # everybody has the paper key within this


class Wanted(Struct, frozen=True, kw_only=True):
    """An exam to carry, by the model that every load test has (sizing/model.py).

    `saves_each` of one candidate over all `minutes`, `saves_per_s` of one at the design peak. `peak`: how many times
    the entry's mean rate its busiest moments have.
    """

    candidates: int
    sites: int
    minutes: float = MINUTES
    saves_each: float = SAVES_EACH
    saves_per_s: float = DESIGN_SAVES_PER_S
    peak: float = 3.0
    entry_minutes: float = 15.0  # candidates log in over this time
    partitions: int = 16  # LIANKAO_PARTITIONS
    redis_gib: float = 8.0  # of one primary
    machine_cores: int = 8  # of one engine machine
    postgres_cores_max: int = 32  # of one primary

    @property
    def peak_saves_per_s(self) -> float:
        """Of everybody."""
        return self.candidates * self.saves_per_s


class Line(Struct, frozen=True, kw_only=True):
    """One figure. `kind` says how far it can be believed; `full` how full its resource is at the peak (0: no share)."""

    name: str
    value: float
    unit: str
    formula: str
    kind: str
    full: float = 0.0


class Bill(Struct, kw_only=True):
    wanted: Wanted
    lines: list[Line]
    notes: list[str]

    def value(self, name: str) -> float:
        return next(line.value for line in self.lines if line.name == name)

    def as_json(self) -> dict[str, Any]:
        return {
            "candidates": self.wanted.candidates,
            "sites": self.wanted.sites,
            "minutes": self.wanted.minutes,
            "saves_each": self.wanted.saves_each,
            "saves_per_s_each": self.wanted.saves_per_s,
            "lines": [
                {
                    "name": line.name,
                    "value": line.value,
                    "unit": line.unit,
                    "formula": line.formula,
                    "kind": line.kind,
                    "full": line.full,
                }
                for line in self.lines
            ],
            "notes": self.notes,
        }


def bill(wanted: Wanted, costs: Costs) -> Bill:
    """For `wanted`, from costs as costs.py has read them."""
    cost = lambda name: costs.costs[name].value  # noqa: E731
    lines = [
        Line(
            name="saves_per_s",
            value=rounded(wanted.peak_saves_per_s, 0),
            unit="saves/s",
            formula=f"{wanted.candidates:,} x {wanted.saves_per_s:g} saves/s, the design peak of one candidate",
            kind=EXTRAPOLATED,
        ),
        *_engine(wanted, cost),
        *_redis(wanted, cost),
        *_postgres(wanted, cost),
        *_links(wanted, cost),
        *_generators(wanted, cost),
    ]
    made = Bill(wanted=wanted, lines=lines, notes=[])
    made.notes = _notes(made, cost)
    return made


def rounded(value: float, digits: int) -> float:
    """To so many digits behind the point; below one to two digits that count, for a little is not nothing."""
    return round(value, digits) if value >= 1 else float(f"{value:.2g}")


def _kind(wanted: Wanted, cost: Callable[[str], float]) -> str:
    """Measured, where no more is asked of one than one was seen to do."""
    return MEASURED if wanted.peak_saves_per_s <= cost("knee_per_engine_core") * ENGINE_FULL else EXTRAPOLATED


def _engine(wanted: Wanted, cost: Callable[[str], float]) -> list[Line]:
    rate = wanted.peak_saves_per_s
    knee = cost("knee_per_engine_core")
    by_knee = rate / (knee * ENGINE_FULL)
    by_cpu = rate * cost("engine_us_per_save") / 1e6 / ENGINE_FULL
    entries = wanted.candidates / (wanted.entry_minutes * 60) * wanted.peak
    by_entries = entries * cost("engine_us_per_entry") / 1e6 / ENGINE_FULL
    by_start = wanted.candidates / cost("keys_per_s_per_worker") / START_S
    cores = math.ceil(max(by_cpu, by_entries, by_start, 1))
    channels_gib = wanted.candidates * cost("engine_kib_per_channel") / KIB_PER_GIB
    kind = _kind(wanted, cost)
    return [
        Line(
            name="engine_cores_for_saves",
            value=rounded(by_cpu, 1),
            unit="cores",
            formula=f"{rate:,.0f} saves/s x {cost('engine_us_per_save'):.1f} us / {ENGINE_FULL:g}",
            kind=kind,
            full=ENGINE_FULL,
        ),
        Line(
            name="engine_cores_for_entry",
            value=rounded(by_entries, 1),
            unit="cores",
            formula=f"{entries:,.0f} entries/s (in {wanted.entry_minutes:g} min, peak {wanted.peak:g}) x "
            f"{cost('engine_us_per_entry'):,.0f} us / {ENGINE_FULL:g}",
            kind=EXTRAPOLATED,
            full=ENGINE_FULL,
        ),
        Line(
            name="engine_cores_for_start",
            value=rounded(by_start, 1),
            unit="cores",
            formula=f"{wanted.candidates:,} keys in {START_S:g} s / {cost('keys_per_s_per_worker'):,.0f} keys/s of one",
            kind=EXTRAPOLATED,
            full=1.0,
        ),
        Line(
            name="engine_cores",
            value=cores,
            unit="cores",
            formula="the most of the three, for they do not coincide; one worker per core",
            kind=kind,
            full=rounded(max(by_cpu, by_entries) / cores * ENGINE_FULL, 2),
        ),
        Line(
            name="engine_machines",
            value=math.ceil(cores / wanted.machine_cores) + 1,
            unit=f"machines of {wanted.machine_cores} cores",
            formula=f"{cores} / {wanted.machine_cores}, and one that may fail",
            kind=kind,
        ),
        Line(
            name="machines_like_the_measured",
            value=rounded(by_knee, 1),
            unit="of them, with everything on each",
            formula=f"{rate:,.0f} saves/s / (knee {knee:,.0f} of one with one worker x {ENGINE_FULL:g}): cells by site",
            kind=kind,
            full=ENGINE_FULL,
        ),
        Line(
            name="channel_memory",
            value=rounded(channels_gib / MEMORY_FULL, 2),
            unit="GiB in all workers",
            formula=f"{wanted.candidates:,} x {cost('engine_kib_per_channel'):.1f} KiB / {MEMORY_FULL:g}; "
            "the kernel's socket buffers are not in it",
            kind=EXTRAPOLATED,
            full=MEMORY_FULL,
        ),
    ]


def _redis(wanted: Wanted, cost: Callable[[str], float]) -> list[Line]:
    rate = wanted.peak_saves_per_s
    by_cpu = rate * cost("redis_us_per_save") / 1e6 / REDIS_FULL
    needs_gib = wanted.candidates * cost("redis_kib_per_sitting") / KIB_PER_GIB * REDIS_COPY
    by_memory = needs_gib / (wanted.redis_gib * MEMORY_FULL)
    primaries = math.ceil(max(by_cpu, by_memory, 1))
    return [
        Line(
            name="redis_cores",
            value=rounded(by_cpu, 1),
            unit="cores",
            formula=f"{rate:,.0f} saves/s x {cost('redis_us_per_save'):.1f} us / {REDIS_FULL:g}",
            kind=_kind(wanted, cost),
            full=REDIS_FULL,
        ),
        Line(
            name="redis_memory",
            value=rounded(needs_gib, 2),
            unit="GiB",
            formula=f"{wanted.candidates:,} x {cost('redis_kib_per_sitting'):.1f} KiB x {REDIS_COPY:g} (a fork copies)",
            kind=EXTRAPOLATED,
        ),
        Line(
            name="redis_primaries",
            value=primaries,
            unit=f"primaries of one core and {wanted.redis_gib:g} GiB, each with a replica",
            formula=f"the more of {rounded(by_cpu, 1):g} by CPU and {rounded(by_memory, 1):g} by memory at "
            f"{MEMORY_FULL:g}",
            kind=_kind(wanted, cost) if primaries == 1 else EXTRAPOLATED,
            full=rounded(max(by_cpu * REDIS_FULL, by_memory * MEMORY_FULL) / primaries, 2),
        ),
    ]


def _postgres(wanted: Wanted, cost: Callable[[str], float]) -> list[Line]:
    rate = wanted.peak_saves_per_s
    cores = rate * cost("postgres_us_per_save") / 1e6 / POSTGRES_FULL
    recorders = math.ceil(max(1.0, rate * cost("recorder_us_per_save") / 1e6 / ENGINE_FULL))
    changes = wanted.candidates * wanted.saves_each
    kind = _kind(wanted, cost)
    return [
        Line(
            name="recorders",
            value=recorders,
            unit="processes",
            formula=f"{rate:,.0f} changes/s x {cost('recorder_us_per_save'):.1f} us / {ENGINE_FULL:g}",
            kind=kind,
            full=rounded(rate * cost("recorder_us_per_save") / 1e6 / recorders, 2),
        ),
        Line(
            name="postgres_cores",
            value=math.ceil(cores),
            unit="cores",
            formula=f"{rate:,.0f} changes/s x {cost('postgres_us_per_save'):.1f} us / {POSTGRES_FULL:g}",
            kind=kind,
            full=rounded(cores / math.ceil(cores) * POSTGRES_FULL, 2),
        ),
        Line(
            name="postgres_primaries",
            value=math.ceil(cores / wanted.postgres_cores_max),
            unit=f"primaries of at most {wanted.postgres_cores_max} cores",
            formula="more than one: cells by site, or partitioned tables",
            kind=kind,
        ),
        Line(
            name="postgres_disk",
            value=rounded(changes * cost("postgres_bytes_per_change") / 1e9, 1),
            unit="GB",
            formula=f"{changes:,.0f} changes x {cost('postgres_bytes_per_change'):.0f} B, without WAL",
            kind=EXTRAPOLATED,
        ),
    ]


def _links(wanted: Wanted, cost: Callable[[str], float]) -> list[Line]:
    there = math.ceil(wanted.candidates / wanted.sites)
    entry_s = wanted.entry_minutes * 60
    found = []
    for name, bits, formula in (
        (
            "site_link_down_saves",
            there * wanted.saves_per_s * cost("wire_down_bytes_per_save") * 8,
            f"{there:,} x {wanted.saves_per_s:g} saves/s x {cost('wire_down_bytes_per_save'):.0f} B",
        ),
        (
            "site_link_up_saves",
            there * wanted.saves_per_s * cost("wire_up_bytes_per_save") * 8,
            f"{there:,} x {wanted.saves_per_s:g} saves/s x {cost('wire_up_bytes_per_save'):.0f} B",
        ),
        (
            "site_link_down_start",
            there * cost("key_wire_bytes") * 8 / START_S,
            f"{there:,} keys x {cost('key_wire_bytes'):.0f} B in {START_S:g} s",
        ),
        (
            "site_link_down_entry",
            there * (cost("page_cold_bytes") + cost("sealed_paper_bytes")) * 8 / entry_s * wanted.peak,
            f"{there:,} x (page {cost('page_cold_bytes') / 1000:.0f} kB + sealed paper "
            f"{cost('sealed_paper_bytes') / 1000:.0f} kB) in {wanted.entry_minutes:g} min, peak {wanted.peak:g}",
        ),
    ):
        found.append(
            Line(
                name=name,
                value=rounded(bits / LINK_FULL / MBIT, 2),
                unit="Mbit/s",
                formula=f"{formula} / {LINK_FULL:g}",
                kind=EXTRAPOLATED,
                full=LINK_FULL,
            )
        )
    down = max(line.value for line in found if "down" in line.name)
    up = max(line.value for line in found if "up" in line.name)
    found.append(
        Line(
            name="site_link",
            value=down,
            unit="Mbit/s to each site",
            formula=f"the most of what comes down; {up:g} Mbit/s up",
            kind=EXTRAPOLATED,
            full=LINK_FULL,
        )
    )
    found.append(
        Line(
            name="central_link",
            value=rounded(down * wanted.sites, 0),
            unit="Mbit/s",
            formula=f"{wanted.sites} sites x {down:g}",
            kind=EXTRAPOLATED,
            full=LINK_FULL,
        )
    )
    return found


def _generators(wanted: Wanted, cost: Callable[[str], float]) -> list[Line]:
    rate = wanted.peak_saves_per_s
    cores = rate * cost("generator_us_per_save") / 1e6 / GENERATOR_FULL
    return [
        Line(
            name="generator_cores",
            value=math.ceil(cores),
            unit="cores, to try all of this",
            formula=f"{rate:,.0f} saves/s x {cost('generator_us_per_save'):.1f} us / {GENERATOR_FULL:g}",
            kind=_kind(wanted, cost),
            full=rounded(cores / math.ceil(cores) * GENERATOR_FULL, 2),
        )
    ]


def _notes(made: Bill, cost: Callable[[str], float]) -> list[str]:
    wanted, notes = made.wanted, []
    if made.value("redis_primaries") > wanted.partitions:
        notes.append(
            f"{made.value('redis_primaries'):.0f} Redis primaries have only {wanted.partitions} partitions to share: "
            "set LIANKAO_PARTITIONS higher before the first batch"
        )
    if made.value("recorders") > wanted.partitions:
        notes.append(f"{made.value('recorders'):.0f} recorders have only {wanted.partitions} partitions to hold")
    if wanted.peak_saves_per_s > cost("knee_per_engine_core"):
        times = wanted.peak_saves_per_s / cost("knee_per_engine_core")
        notes.append(
            f"{times:.0f} times what was measured: workers share nothing but Redis and PostgreSQL, so cores are "
            "carried on in proportion; rehearse the whole before relying on it"
        )
    return notes
