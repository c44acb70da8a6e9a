"""Logins: what one costs the engine, and how long it takes when 5,000 come within half a minute."""

from __future__ import annotations

from bench.driver import Load
from bench.field import Exam, Field
from bench.rows import Row
from bench.saving import Plan, sound
from loadtest import usage

RUSH_S = 30.0


def login(field: Field, plan: Plan) -> list[Row]:
    """Twice as many persons as the plan has sittings: half log in as fast as it goes, half at the rush's rate."""
    fast = field.exam("fast", plan.sittings, enter=False)
    before = field.cpu()
    load = _log_in(field, fast, 0)
    cpu_s = usage.spent(before, field.cpu())
    rush = field.exam("rush", plan.sittings, enter=False)
    rushed = _log_in(field, rush, plan.sittings / RUSH_S)
    return [
        Row("login_per_s", load.per_s, "logins/s"),
        Row("login_per_core", load.counted / max(cpu_s["engine"], usage.TICK_S), "logins/s"),
        Row("login_cpu_us", sum(cpu_s.values()) / load.counted * 1e6, "us"),
        Row("login_p50_ms", rushed.p50_ms, "ms"),
        Row("login_p99_ms", rushed.p99_ms, "ms"),
    ]


def _log_in(field: Field, exam: Exam, rate: float) -> Load:
    field.enter(exam, rate)
    field.drained()
    assert exam.logins is not None
    return sound(exam.logins)
