"""Channels that are held: what an idle one costs the engine, and fifty thousand of them at once."""

from __future__ import annotations

import contextlib
import itertools
import math
import resource
import time

from bench.driver import Driver
from bench.field import Exam, Field
from bench.rows import BenchFault, Row
from bench.saving import CHANNEL_PATH, WARM_S, Plan
from loadtest import usage

HELD = 50_000
HELD_SAVES_PER_S = 2_500
FILES_BESIDE = 2_000  # of a process, for everything that is no channel; balancing by the kernel is uneven, too
SETTLED_S = 2.0


def idle_channel(field: Field, plan: Plan) -> list[Row]:
    """Resident memory of a worker that has just started; what the kernel holds for a socket is not in it.

    An upper bound: what a worker needs for the rush of all of them opening at once is counted as theirs, too.
    """
    exam = field.exam("idle", plan.sittings)
    field.restart_workers()  # letting everybody in has left free memory that channels would use again
    options = {"channel": 1, "path": CHANNEL_PATH}
    with field.saving(exam, connections=1, **options) as driver:
        _all_open(driver, 1)  # what a worker reads once, it has read
    time.sleep(SETTLED_S)
    before_kib = engine_kib(field)
    with field.saving(exam, connections=plan.sittings, **options) as driver:
        _all_open(driver, plan.sittings)
        time.sleep(SETTLED_S)
        after_kib = engine_kib(field)
    return [Row("idle_channel_kib", (after_kib - before_kib) / plan.sittings, "KiB")]


def channels(field: Field, plan: Plan) -> list[Row]:
    """Open loop over all channels for the plan's minutes; as many drivers as the limit of open files asks for."""
    exam = field.exam("held", HELD)
    field.restart_workers()
    before_kib = engine_kib(field)
    shares = _shares(HELD, processes_for(HELD))
    with contextlib.ExitStack() as held:
        drivers = []
        for number, (first, count) in enumerate(shares):
            options = {"first_sitting": first, "connections": count, "source": f"127.0.0.{number + 1}"}
            drivers.append((held.enter_context(_holder(field, exam, plan, count, options)), count))
        for driver, count in drivers:
            _all_open(driver, count)
        kib = (engine_kib(field) - before_kib) / HELD
        before = field.cpu()
        for driver, _ in drivers:
            driver.go()
        loads = [driver.finish() for driver, _ in drivers]
        cpu_s = usage.spent(before, field.cpu())
    answered = sum(load.answered for load in loads)
    errors = sum(load.refused + load.broken + load.unanswered for load in loads)
    fault = next((load.fault for load in loads if load.fault), "")
    return [
        Row("channels_held", float(HELD - sum(load.broken for load in loads)), "channels"),
        Row("channels_minutes", plan.minutes, "min"),
        Row("channels_50000_errors", float(errors), "errors", fault),
        Row("channels_saves_per_s", sum(load.per_s for load in loads), "saves/s"),
        Row("channels_ack_p50_ms", max(load.p50_ms for load in loads), "ms"),
        Row("channels_ack_p99_ms", max(load.p99_ms for load in loads), "ms"),
        Row("channels_ack_max_ms", max(load.max_ms for load in loads), "ms"),
        Row("channels_engine_kib_each", kib, "KiB"),
        Row("channels_cpu_us", sum(cpu_s.values()) / max(1, answered) * 1e6, "us"),
        Row("channels_driver_share", sum(load.driver_share for load in loads), "cores"),
    ]


def processes_for(count: int) -> int:
    """How many processes hold `count` connections under this machine's limit of open files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    usable = count if hard == resource.RLIM_INFINITY else min(count, 65_536 - FILES_BESIDE, hard - FILES_BESIDE)
    if usable < 1:
        raise BenchFault(f"a process may open {hard} files, expected some more than {FILES_BESIDE}")
    return max(2, math.ceil(count / usable))


def engine_kib(field: Field) -> float:
    """Resident memory of all workers."""
    return sum(usage.resident_kib(pid) for name, pid in field.engine.processes.items() if name.startswith("worker-"))


def _holder(field: Field, exam: Exam, plan: Plan, count: int, options: dict[str, object]) -> Driver:
    rate = HELD_SAVES_PER_S * count / HELD
    told = {"channel": 1, "path": CHANNEL_PATH, "rate": rate, "seconds": plan.minutes * 60, "warm": WARM_S}
    return field.saving(exam, **told, **options)


def _shares(total: int, parts: int) -> list[tuple[int, int]]:
    """(first, count) of each part."""
    edges = [total * part // parts for part in range(parts + 1)]
    return [(first, last - first) for first, last in itertools.pairwise(edges)]


def _all_open(driver: Driver, wanted: int) -> None:
    standing = driver.wait_ready()
    if standing != wanted:
        raise BenchFault(f"{standing} of {wanted} channels could be opened")
