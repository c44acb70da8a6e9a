"""The recorder's lag under a steady load, and what a chunk costs Redis."""

from __future__ import annotations

import threading
import time
from collections import deque

from bench.field import Field
from bench.rows import BenchFault, Row
from bench.saving import WARM_S, Plan, measured

LAG_RATE = 5_000
LAG_S_MIN = 10.0
LOOK_EVERY_S = 0.01
SCRIPT_COMMANDS = ("evalsha", "eval", "fcall")


def recorder_lag(field: Field, plan: Plan) -> list[Row]:
    """Open loop at 5,000 saves/s; how long each position seen in Redis took to be published as committed."""
    exam = field.exam("saves", plan.sittings)
    field.warm(exam)
    options = {"connections": plan.connections, "rate": LAG_RATE, "warm": WARM_S}
    watch = LagWatch(field)
    with field.saving(exam, seconds=max(LAG_S_MIN, plan.seconds), **options) as driver:
        driver.wait_ready()
        watch.start()
        try:
            done = measured(field, driver)
        finally:
            lags_s = watch.stop()
    if not lags_s:
        raise BenchFault("nothing was committed while it was watched")
    if done.load.per_s < 0.98 * LAG_RATE:
        raise BenchFault(f"only {done.load.per_s:.0f} saves/s of {LAG_RATE} were answered")
    return [
        Row("recorder_lag_p50_s", lags_s[len(lags_s) // 2], "s"),
        Row("recorder_lag_p99_s", lags_s[int(len(lags_s) * 0.99)], "s"),
    ]


def script_chunk(field: Field, plan: Plan) -> list[Row]:
    """By Redis's own count, under full load over HTTP: its time per script call, and how many saves share one."""
    exam = field.exam("saves", plan.sittings)
    field.warm(exam)
    options = {"connections": plan.connections, "outstanding": plan.connections, "seconds": plan.seconds}
    with field.saving(exam, warm=WARM_S, **options) as driver:
        field.redis.config_resetstat()
        load = measured(field, driver).load
    stats = field.redis.info("commandstats")
    scripts = [stats[f"cmdstat_{name}"] for name in SCRIPT_COMMANDS if f"cmdstat_{name}" in stats]
    calls, used_us = sum(stat["calls"] for stat in scripts), sum(stat["usec"] for stat in scripts)
    if not calls:
        raise BenchFault("Redis counted no script call")
    return [
        Row("script_chunk_us", used_us / calls, "us"),
        Row("script_chunk_saves", load.answered / calls, "saves"),
        Row("script_save_us", used_us / load.answered, "us"),
    ]


class LagWatch:
    """Looks at all partitions in a thread of its own."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._waiting: list[deque[tuple[int, int, float]]] = [deque() for _ in range(field.partitions)]
        self._lags_s: list[float] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> list[float]:
        """All lags seen, sorted."""
        self._stopping.set()
        self._thread.join()
        return sorted(self._lags_s)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            marks, now_s = self._field.marks(), time.monotonic()
            for waiting, (generation, newest, committed) in zip(self._waiting, marks, strict=True):
                while waiting and waiting[0][:2] <= (generation, committed):
                    self._lags_s.append(now_s - waiting.popleft()[2])
                if newest > committed and (not waiting or waiting[-1][:2] < (generation, newest)):
                    waiting.append((generation, newest, now_s))
