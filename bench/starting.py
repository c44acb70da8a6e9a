"""The start: how long after T the last open channel has its paper key."""

from __future__ import annotations

import time

from bench.field import Field
from bench.rows import BenchFault, Row
from bench.saving import CHANNEL_PATH, Plan, sound

# To arm the batch, let everybody in and open their channels before T: about 5 ms per candidate on a slow machine.
READY_WITHIN_S_EACH = 0.008
READY_WITHIN_S_LEAST = 20.0
KEYS_WITHIN_S = 15.0


def start(field: Field, plan: Plan) -> list[Row]:
    """Everybody waits with an open channel; both clocks are this machine's."""
    within_s = max(READY_WITHIN_S_LEAST, plan.sittings * READY_WITHIN_S_EACH)
    exam = field.exam("start", plan.sittings, starts_in_s=within_s)
    left_s = exam.starts_ms / 1000 - time.time()
    options = {"connections": plan.sittings, "channel": 1, "path": CHANNEL_PATH, "wait_key": 1, "warm": 0}
    with field.saving(exam, seconds=max(0, left_s) + KEYS_WITHIN_S, **options) as driver:
        driver.wait_ready()
        if time.time() * 1000 >= exam.starts_ms:
            raise BenchFault(f"not everybody was in within {within_s:.0f} s: the machine is too slow or too busy")
        driver.go()
        load = sound(driver.finish())
    if load.keys_seen != plan.sittings:
        raise BenchFault(f"{load.keys_seen} of {plan.sittings} got a key within {KEYS_WITHIN_S:.0f} s of the start")
    if load.key_first_ms < exam.starts_ms:
        raise BenchFault(f"a key came {exam.starts_ms - load.key_first_ms:.0f} ms before the start")
    return [
        Row("start_key_first_s", (load.key_first_ms - exam.starts_ms) / 1000, "s"),
        Row("start_key_last_s", (load.key_last_ms - exam.starts_ms) / 1000, "s"),
    ]
