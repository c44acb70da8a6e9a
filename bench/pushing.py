"""What pushing costs an exam that runs: 200 batches with 50,000 candidates come in while others answer.

Exam alone and exam with pushes take turns within one run, at the same steady rate of saves, so that a machine that
slows down slows both. The pushing client is a process of its own, and everything it sends was made before.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from bench.driver import Load
from bench.field import Exam, Field
from bench.rows import BenchFault, Row, median
from bench.saving import WARM_S, Plan, measured, sound
from tests import servers

BATCHES = 200
CANDIDATES_PER_BATCH = 250
CALLS_PER_BATCH = 2  # the batch, its roster
PUSHED_WITHIN_S = 50.0  # the pace: done within a minute, with some time to spare
SAVES_PER_S = 1_000  # an exam of 5,000 who answer eagerly
DAYS_AHEAD = 30
_DAY_S = 86_400


def push_load(field: Field, plan: Plan) -> list[Row]:
    """p99 of saves with pushes over p99 without, pair by pair; and how long the pushes took in all."""
    exam = field.exam("saves", plan.sittings)
    field.warm(exam)
    files = _written(field, plan.rounds)
    calls_per_s = BATCHES * CALLS_PER_BATCH / PUSHED_WITHIN_S
    phase_s = PUSHED_WITHIN_S / plan.rounds
    alone: list[Load] = []
    beside: list[Load] = []
    told: list[dict[str, Any]] = []
    for file in files:
        alone.append(_saved(field, exam, plan, phase_s))
        with _pusher(field, file, calls_per_s) as pusher:
            beside.append(_saved(field, exam, plan, phase_s, pusher))
            told.append(_told(pusher))
    ratios = [busy.p99_ms / quiet.p99_ms for quiet, busy in zip(alone, beside, strict=True)]
    return [
        Row("push_load_s", sum(each["seconds"] for each in told), "s"),
        Row("push_load_p99_ratio", median(ratios), "x"),
        Row("push_load_p99_alone_ms", median([load.p99_ms for load in alone]), "ms"),
        Row("push_load_p99_beside_ms", median([load.p99_ms for load in beside]), "ms"),
        Row("push_load_p50_alone_ms", median([load.p50_ms for load in alone]), "ms"),
        Row("push_load_p50_beside_ms", median([load.p50_ms for load in beside]), "ms"),
        Row("push_load_max_alone_ms", max(load.max_ms for load in alone), "ms"),
        Row("push_load_max_beside_ms", max(load.max_ms for load in beside), "ms"),
        Row("push_load_slowest_call_s", max(each["slowest_s"] for each in told), "s"),
    ]


def _saved(field: Field, exam: Exam, plan: Plan, seconds: float, pusher: subprocess.Popen[str] | None = None) -> Load:
    options = {"connections": plan.connections, "rate": SAVES_PER_S, "seconds": seconds}
    with field.saving(exam, warm=WARM_S, **options) as driver:
        driver.wait_ready()
        if pusher is None:
            return measured(field, driver).load
        assert pusher.stdin is not None
        driver.go()
        time.sleep(WARM_S)
        pusher.stdin.write("g")
        pusher.stdin.flush()
        load = sound(driver.finish())
    return load


@contextmanager
def _pusher(field: Field, file: Path, calls_per_s: float) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.pusher", str(field.engine.port), str(file), str(calls_per_s)]
    process = subprocess.Popen(command, cwd=servers.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise BenchFault("the pushing client did not start")
        yield process
    finally:
        process.kill()
        process.communicate()


def _told(pusher: subprocess.Popen[str]) -> dict[str, Any]:
    """Raises BenchFault where a push was refused."""
    assert pusher.stdout is not None
    told: dict[str, Any] = json.loads(pusher.stdout.readline() or '{"fault": "the pushing client ended"}')
    if told["fault"]:
        raise BenchFault(told["fault"])
    return told


def _written(field: Field, rounds: int) -> list[Path]:
    """Everything that is pushed, one file per round: no person sits twice, every batch has an hour of its own."""
    key = field.engine.keys["schedule"]
    starts_s = int(time.time()) + DAYS_AHEAD * _DAY_S
    everybody = field.fresh_roster(BATCHES * CANDIDATES_PER_BATCH)
    files = []
    for number in range(rounds):
        lines = []
        for index in range(number, BATCHES, rounds):
            name, first = f"push-{index:03d}", index * CANDIDATES_PER_BATCH
            roster = everybody[first : first + CANDIDATES_PER_BATCH]
            batch = {"title": name, "occupation": "测量", "level": 3, "subject": "theory", "kind": "formal"}
            batch |= {"paper_id": "bench", "admission_code": f"PUSH{index:03d}", "duration_s": 5400}
            batch["starts_ms"] = (starts_s + index * 7200) * 1000
            for path, content in ((f"/v1/batches/{name}", batch), (f"/v1/batches/{name}/roster", roster)):
                body = orjson.dumps(content).decode()
                lines.append(json.dumps({"method": "PUT", "path": path, "key": key, "body": body}))
        file = field.folder / f"pushes-{number}"
        file.write_text("\n".join(lines) + "\n", "utf-8")
        files.append(file)
    return files
