"""Evidence of load tests that nobody ran, for tests of how they are judged: an exam in which all went well and more."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from loadtest.judge import Verdict
from loadtest.sizing import model, tiers
from loadtest.sizing.evidence import Evidence, Instants
from loadtest.sizing.measure import Recorder
from loadtest.sizing.outcome import Line, Outcome, Text
from loadtest.sizing.plan import Person, Phase, PhaseName, Plan
from loadtest.sizing.verdict import WRITING
from loadtest.sizing.watching import Sample

STARTS_MS = 1_763_773_200_000
TIMETABLE = model.fitted(1)
PHASES = model.phases(TIMETABLE, STARTS_MS, TIMETABLE.grace_s + TIMETABLE.extra_time_s)
ENDS_MS = STARTS_MS + int(TIMETABLE.duration_s * 1000)
CLOSES_MS = ENDS_MS + (TIMETABLE.grace_s + TIMETABLE.extra_time_s) * 1000


def a_plan(candidates: int = 50) -> Plan:
    rows = [{"candidate_id": f"c{number}", "id_number": f"{number}"} for number in range(candidates)]
    people = model.dealt(model.people(rows, TIMETABLE, STARTS_MS, random.Random(1)), STARTS_MS)
    return Plan(
        url="http://engine",
        batch_id="b",
        paper_id="p",
        admission_code="C",
        schedule_key="",
        results_key="",
        starts_ms=STARTS_MS,
        ends_ms=ENDS_MS,
        grace_s=TIMETABLE.grace_s,
        seed=1,
        phases=PHASES,
        people=people,
        cut_ms=model.begins_ms(PHASES, PhaseName.RECONNECT) + 500,
    )


def a_span(name: PhaseName) -> Phase:
    return next(phase for phase in PHASES if phase.name is name)


def a_recorder(plan: Plan, steady_share: float = 1.0) -> Recorder:
    """What a generator notes of an exam in which all went well: everything within 10 ms. `steady_share` of the saves of
    the design peak are acknowledged."""
    recorder = Recorder("swarm-0", plan.phase_at)
    for person in plan.people:
        if person.arrives_ms:
            _arrive(recorder, plan, person)
    for name in (*WRITING, PhaseName.START, PhaseName.DEADLINE):
        _write(recorder, plan, a_span(name), steady_share if name is PhaseName.STEADY else 1.0)
    for second in range(PHASES[0].from_ms // 1000, PHASES[-1].until_ms // 1000):
        recorder.cpu(0.3, second * 1000)
    return recorder


def _arrive(recorder: Recorder, plan: Plan, person: Person) -> None:
    for operation in ("login", "pledge", "sealed"):
        recorder.note(operation, 10_000, person.arrives_ms + 100)
    if person.arrives_ms < STARTS_MS:
        recorder.note("key", 20_000, STARTS_MS + 20)
    if not person.submits_ms:
        recorder.note("closing", 700_000, CLOSES_MS + 700)
    if person.arrives_ms < plan.cut_ms and not 0 < person.submits_ms <= plan.cut_ms:
        recorder.note("reconnect", 900_000, plan.cut_ms + 900)


def _write(recorder: Recorder, plan: Plan, phase: Phase, share: float) -> None:
    planned = sum(model.saves_planned(person, plan.phases, phase.name, ENDS_MS) for person in plan.people)
    count = round(planned * share) + 1
    for number in range(count):
        at_ms = phase.from_ms + 100 + (phase.until_ms - phase.from_ms - 200) * number / count
        for operation in ("save", "save_intended", "lateness"):
            recorder.note(operation, 5_000, at_ms)


def samples(
    up_per_s: int = 4_000,
    cpu_per_s: float = 0.05,
    lag_s: float = 0.1,
    busy_per_s: float = 1.0,
    is_both_ways: bool = False,
) -> list[Sample]:
    """A reading a second: so many bytes up (half as many down, but on a loopback), so much CPU of the engine."""
    seconds = range(PHASES[0].from_ms // 1000 - 1, PHASES[-1].until_ms // 1000 + 5)
    return [
        Sample(
            at_ms=second * 1000,
            up_bytes=number * up_per_s,
            down_bytes=number * up_per_s // (1 if is_both_ways else 2),
            busy_s=number * busy_per_s,
            cpu_s={"engine": number * cpu_per_s, "Redis": number * 0.01},
            memory_mib={"engine": 100.0},
            recorder_lag_s=lag_s,
            channels=40,
        )
        for number, second in enumerate(seconds)
    ]


def evidence(recorder: Recorder | None = None, **other: Any) -> Evidence:
    plan = a_plan()
    told: dict[str, Any] = {
        "tier_name": "50",
        "tier": tiers.read(tiers.FILE, "50"),
        "minutes": 1.0,
        "seed": 1,
        "command": "./run loadtest --tier 50 --seed 1",
        "plan": plan,
        "reports": [(recorder or a_recorder(plan)).report()],
        "samples": samples(),
        "said": [],
        "line": Line(enforced=True, up_kbit_per_s=10_000, down_kbit_per_s=5_000),
        "is_both_ways": False,
        "why_no_traffic": Text("", ""),
        "instants": Instants(
            closes_ms=CLOSES_MS,
            graded_ms=CLOSES_MS + 1500,
            pull_from_ms=CLOSES_MS + 2000,
            pull_until_ms=CLOSES_MS + 2400,
        ),
        "account": Verdict(candidates=50, submitted=14, collected=35, absent=1, graded=49),
        "began_ms": STARTS_MS - 60_000,
        "took_s": 90.0,
        "cores": 4,
        "machine": {"cpu": "x"},
        "versions": {"engine": "1"},
        "configuration": {"tier": "50"},
    }
    return Evidence(**{**told, **other})


def noted(note: Callable[[Recorder], None]) -> dict[str, Any]:
    """All as it should be, and one thing more."""
    plan = a_plan()
    recorder = a_recorder(plan)
    note(recorder)
    return {"recorder": recorder}


def slow(operation: str, phase: PhaseName, latency_ms: float, times: int = 1) -> dict[str, Any]:
    begins_ms = a_span(phase).from_ms + 1000

    def note(recorder: Recorder) -> None:
        for _ in range(times):
            recorder.note(operation, latency_ms * 1000, begins_ms + latency_ms)

    return noted(note)


def failing(outcome: Outcome) -> list[str]:
    return [f"{phase.name}.{one.name}" for phase in outcome.phases for one in phase.criteria if one.holds is False]
