"""The same ratio as `http_save` by a driver that is not ours: wrk, where it is installed. A check of the driver."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from bench.field import SEQS_PER_RUN, Exam, Field
from bench.rows import BenchFault, Row, median
from bench.saving import Plan

SCRIPT = Path(__file__).with_suffix(".lua")


def http_wrk(field: Field, plan: Plan) -> list[Row]:
    """Floor and saves, taking turns. No row where wrk is missing: nothing depends on it."""
    if shutil.which("wrk") is None:
        print("bench: wrk is not installed; there is no second driver to compare with", file=sys.stderr)
        return []
    exam = field.exam("saves", plan.sittings)
    field.warm(exam)
    floors, saves = [], []
    for _ in range(plan.rounds):
        floors.append(_per_s(field, exam, field.floors["asgi"], plan))
        saves.append(_per_s(field, exam, field.engine.port, plan))
        field.drained()
    return [
        Row("http_wrk_floor_per_s", median(floors), "1/s"),
        Row("http_wrk_save_per_s", median(saves), "saves/s"),
        Row("http_wrk_ratio", median(saves) / median(floors), "x"),
    ]


def _per_s(field: Field, exam: Exam, port: int, plan: Plan) -> float:
    exam.next_seq += SEQS_PER_RUN
    seconds = max(1, round(plan.seconds))  # wrk takes whole ones
    command = ["wrk", "-t", "1", "-c", str(plan.connections), "-d", f"{seconds}s", "-s", str(SCRIPT)]
    command += [f"http://127.0.0.1:{port}/", "--", str(exam.tokens_file), str(field.items_file), str(exam.next_seq)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    last = done.stdout.strip().rpartition("\n")[2]
    if done.returncode != 0 or not last.startswith("{"):
        raise BenchFault(f"wrk ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    told = json.loads(last)
    if told["failed"]:
        raise BenchFault(f"wrk: {told['failed']} of {told['requests']} failed")
    return float(told["requests"] / told["seconds"])
