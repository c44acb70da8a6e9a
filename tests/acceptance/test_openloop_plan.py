"""The open-loop driver as a conductor starts it: a share of a plan, from the first login to the last receipt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hdrh.histogram import HdrHistogram

from loadtest.client import MachineClient
from loadtest.sizing import model
from loadtest.sizing.measure import Report
from loadtest.sizing.plan import Plan
from tests.acceptance import swarming
from tests.servers import ROOT, Engine

pytestmark = pytest.mark.anyio
CANDIDATES = 12
EXAM = model.Timetable("short", 10.0, swarming.SHORT.writing, grading_s=5.0, pull_s=1.0, cut_after_s=0.5)


def all_in_the_open_loop(plan: Plan) -> Plan:
    """Everybody comes in time and stays, which is whom a conductor gives to this driver."""
    people = [
        msgspec.structs.replace(
            person,
            plays="openloop",
            arrives_ms=min(person.arrives_ms or plan.starts_ms, plan.starts_ms - 2500),
            submits_ms=0,
            drops_ms=0,
        )
        for person in plan.people
    ]
    return msgspec.structs.replace(plan, people=people)


def count(report: Report, operation: str) -> int:
    return sum(
        HdrHistogram.decode(encoded).total_count
        for key, encoded in report.histograms.items()
        if key.split("/")[0] == operation
    )


@pytest.mark.slow
async def test_a_share_of_a_plan_is_played_to_the_end_and_the_account_holds(engine_up: Engine, tmp_path: Path) -> None:
    """Half of the candidates over channels, which a storm cuts in the middle, half over HTTP: nothing is lost, every
    receipt is there, and everything a conductor counts has been noted."""
    async with MachineClient(engine_up.url, engine_up.keys["schedule"]) as client:
        planned = await swarming.push(client, engine_up, CANDIDATES, EXAM)
        plan = all_in_the_open_loop(planned.plan)
        files = [
            swarming.Planned(planned.exam, plan).written(tmp_path / way, channel=way == "channel")
            for way in ("channel", "http")
        ]
        processes = [
            swarming.started(
                "loadtest.openloop", "--plan", str(file), "--index", str(index), "--of", "2", "--out", str(tmp_path)
            )
            for index, file in enumerate(files)
        ]
        said = [swarming.said(process, within_s=60) for process in processes]
        async with MachineClient(engine_up.url, engine_up.keys["results"]) as scorer:
            (channel, http), ledgers = swarming.left_behind(tmp_path, ["openloop-0", "openloop-1"])
            verdict = await swarming.judged(client, scorer, planned, ledgers)

    assert (verdict.faults, verdict.holds, verdict.collected) == ([], True, CANDIDATES)
    half = CANDIDATES // 2
    for report in (channel, http):
        assert [count(report, each) for each in ("login", "confirm", "pledge", "sealed", "receipt")] == [half] * 5
        assert count(report, "save") == count(report, "save_intended") > half
        assert count(report, "lateness") > 50 and len(report.cpu) > 5
    assert count(channel, "channel") == count(channel, "reconnect") == channel.counters["cut"] == half
    assert count(channel, "key") == half and count(http, "channel") == 0
    assert [lines[-1]["acknowledged"] for lines in said] == [count(report, "save") for report in (channel, http)]
    assert all(lines[-1]["entered"] == half and lines[-1]["errors"] == 0 for lines in said)


def test_a_plan_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Exit 2 before anything begins."""
    command = [sys.executable, "-m", "loadtest.openloop", "--plan", str(tmp_path / "none.json"), "--out", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 2 and "none.json" in ended.stderr
