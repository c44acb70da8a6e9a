"""A small exam for generators of load: pushed, written down as a plan, played by processes, judged to the end."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from loadtest import people, samples
from loadtest.client import MachineClient
from loadtest.judge import Exam, Pulled, Verdict, judge
from loadtest.ledger import Ledger
from loadtest.receipts import canonical_digest
from loadtest.sizing import ledger_file, measure, model, plan
from loadtest.sizing.plan import PhaseName, Plan
from tests.servers import ROOT, Engine, environ

GRACE_S = 1
PASS_MARK = 60
SAVES_PER_S = 1.5  # of one candidate: ten times a hall's, since a test has only seconds
GRADED_WITHIN_S = 30
# All that an exam has, in ten seconds; the first second is read.
SHORT = model.Timetable(
    "short",
    4.0,
    (
        (PhaseName.START, 1.0, SAVES_PER_S),
        (PhaseName.STEADY, 2.0, SAVES_PER_S),
        (PhaseName.RECONNECT, 3.0, SAVES_PER_S),
        (PhaseName.LATE, 2.0, SAVES_PER_S),
        (PhaseName.DEADLINE, 1.0, SAVES_PER_S),
    ),
    grading_s=5.0,
    pull_s=1.0,
    cut_after_s=0.5,
)


@dataclass(frozen=True)
class Planned:
    """An armed exam and its plan."""

    exam: Exam
    plan: Plan

    def written(self, folder: Path, **changes: Any) -> Path:
        """The plan in a file of its own, with `changes`."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "plan.json"
        plan.write(msgspec.structs.replace(self.plan, **changes), file)
        return file


def short() -> model.Timetable:
    """SHORT, with as much time before it as a machine needs that is busy: for pushing, and to start six processes."""
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-c", "import locust"], check=True, env=environ())
    return replace(SHORT, check_in_s=SHORT.check_in_s + 4 * (time.monotonic() - began_s))


async def push(client: MachineClient, engine: Engine, candidates: int, timetable: model.Timetable) -> Planned:
    """Paper, batch, roster, arming; the exam's check-in begins now."""
    dice = random.Random(5)
    tag = secrets.token_hex(4)
    paper = samples.load("ldgx3").paper
    await client.put_paper(f"paper-{tag}", paper)
    batch_id = f"swarm-{tag}"
    starts_ms = int(time.time() * 1000) + int(timetable.check_in_s * 1000)
    code = f"S{tag.upper()}"
    batch = {
        "title": "演练",
        "occupation": "演练",
        "level": 3,
        "subject": "theory",
        "kind": "mock",
        "paper_id": f"paper-{tag}",
        "admission_code": code,
        "starts_ms": starts_ms,
        "duration_s": int(timetable.duration_s),
        "rules": {
            "latest_entry_s": int(timetable.duration_s) - 1,
            "earliest_submit_s": 1,
            "warn_before_end_s": 1,
            "grace_s": GRACE_S,
            "pass_mark": PASS_MARK,
        },
    }
    await client.put_batch(batch_id, batch)
    roster = people.roster(candidates, f"{secrets.randbelow(10**6):06d}", random.Random())
    await client.put_roster(batch_id, roster)
    await client.arm(batch_id, ["甲", "乙"])
    phases = model.phases(timetable, starts_ms, GRACE_S)
    planned = Plan(
        url=engine.url,
        batch_id=batch_id,
        paper_id=f"paper-{tag}",
        admission_code=code,
        schedule_key=engine.keys["schedule"],
        results_key=engine.keys["results"],
        starts_ms=starts_ms,
        ends_ms=starts_ms + int(timetable.duration_s * 1000),
        grace_s=GRACE_S,
        seed=5,
        phases=phases,
        people=model.people(roster, timetable, starts_ms, dice),
        cut_ms=model.begins_ms(phases, PhaseName.RECONNECT) + int(timetable.cut_after_s * 1000),
    )
    return Planned(Exam(batch_id, paper, canonical_digest(paper), PASS_MARK), planned)


def started(module: str, *arguments: str) -> subprocess.Popen[str]:
    """`python -m MODULE` with its streams to read."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str], within_s: float) -> list[dict[str, Any]]:
    """The lines of a process that has ended well."""
    out, err = process.communicate(timeout=within_s)
    assert process.returncode == 0, f"exit {process.returncode}\n{out[-2000:]}\n{err[-4000:]}"
    return [json.loads(line) for line in out.splitlines()]


async def judged(client: MachineClient, scorer: MachineClient, planned: Planned, ledgers: Sequence[Ledger]) -> Verdict:
    """What the engine has, once it has graded, against what the candidates know."""
    batch_id = planned.exam.batch_id
    until = time.monotonic() + GRADED_WITHIN_S
    batch = await client.batch(batch_id)
    while batch["state"] != "graded" and time.monotonic() < until:
        await asyncio.sleep(0.1)
        batch = await client.batch(batch_id)
    entered = [ledger.sitting_id for ledger in ledgers if ledger.entered]
    pulled = Pulled(
        batch=batch,
        pages=await scorer.results(batch_id),
        ndjson=await scorer.results_ndjson(batch_id),
        responses={sitting_id: await scorer.responses(sitting_id) for sitting_id in entered},
        public_keys=await scorer.public_keys(),
    )
    return judge(planned.exam, ledgers, pulled)


def left_behind(folder: Path, names: Sequence[str]) -> tuple[list[measure.Report], list[Ledger]]:
    """Reports and ledgers of the processes called `names`."""
    reports = [measure.decode((folder / f"{name}.json").read_bytes()) for name in names]
    return reports, [ledger for name in names for ledger in ledger_file.read(folder / f"{name}.ledger")]
