"""`./run loadtest` on a real engine: a small tier to a verdict that an impossible wish makes fail."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass

import msgspec
import pytest

from loadtest.judge import FAILURES
from loadtest.sizing.outcome import Outcome, Word, decode
from loadtest.sizing.verdict import word_of
from tests.servers import ROOT, temporary_folder

# What any machine holds that is not broken, and one thing that none does.
TIERS = """
[tiers.small]
candidates = 50
up_mbit_per_s = 10
down_mbit_per_s = 5
minutes = 1
[criteria.check_in]
errors = 0
[criteria.paper]
errors = 0
[criteria.start]
errors = 0
[criteria.steady]
errors = 0
saves_missing = 0.5
line_share = 0.5
[criteria.reconnect]
errors = 0
refused = 0
[criteria.deadline]
errors = 0
[criteria.grading]
grading_s = 60
[criteria.pull]
pull_s = 60
[criteria.exam]
lost = 0
wrong = 0
memory_engine_mib = 1
"""
IMPOSSIBLE = ("exam", "memory_engine_mib")
MAY_SHAPE = os.geteuid() == 0 and shutil.which("tc") is not None


@dataclass
class Ran:
    """One run of the command."""

    code: int
    said: str
    page: str
    kept: list[str]
    outcome: Outcome


@pytest.fixture(scope="module")
def ran() -> Ran:
    """Fifty candidates for a minute, on a line of their own where this machine lets us."""
    with temporary_folder("loadtest") as folder:
        file, report, kept = folder / "tiers.toml", folder / "report.html", folder / "kept"
        file.write_text(TIERS, "utf-8")
        command = [sys.executable, "-m", "engine", "loadtest", "--tier", "small", "--tiers", str(file), "--seed", "7"]
        command += ["--report", str(report), "--keep", str(kept), *(["--shaped"] if MAY_SHAPE else [])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
        assert report.exists(), done.stderr
        assert stat.S_IMODE(kept.stat().st_mode) == 0o700
        outcome = decode(report.with_suffix(".json").read_bytes())
        left = sorted(path.name for path in kept.iterdir())
        return Ran(done.returncode, done.stdout, report.read_text("utf-8"), left, outcome)


@pytest.mark.slow
def test_an_impossible_criterion_fails_the_run_and_is_its_reason(ran: Ran) -> None:
    """Exit 1, and the words say what was found and what was wished for."""
    assert ran.outcome.verdict is Word.FAIL, ran.said
    assert ran.code == 1
    assert any(reason.en.startswith("exam: engine's memory") for reason in ran.outcome.reasons)
    assert ran.said.startswith("FAIL")
    assert "FAIL" in ran.page and "memory" in ran.page


@pytest.mark.slow
def test_without_the_impossible_the_run_passes_or_says_why_it_measured_nothing(ran: Ran) -> None:
    """The same evidence, judged by what can be: a busy machine makes a run void, never a sound engine fail."""
    phases = [
        msgspec.structs.replace(phase, criteria=[one for one in phase.criteria if (phase.name, one.name) != IMPOSSIBLE])
        for phase in ran.outcome.phases
    ]

    word, reasons = word_of(phases, [])

    assert word in (Word.PASS, Word.VOID), reasons
    assert (word is Word.VOID) == any(phase.void for phase in phases)


@pytest.mark.slow
def test_a_run_accounts_for_every_candidate_and_loses_nothing(ran: Ran) -> None:
    account = ran.outcome.account

    assert account["candidates"] == ran.outcome.candidates == 50
    assert account["submitted"] + account["collected"] + account["absent"] == 50
    assert account["submitted"] and account["collected"] and account["absent"]
    assert {name: account[name] for name in FAILURES if account[name]} == {}
    assert ran.outcome.faults == []


@pytest.mark.slow
def test_a_run_measures_what_no_candidate_sees(ran: Ran) -> None:
    """Bytes on the wire both ways, processor time and memory of every process, and the recorder's lag."""
    by_name = {phase.name: phase for phase in ran.outcome.phases}
    traffic = by_name["check_in"].traffic

    assert traffic is not None and traffic.up_bytes > 10_000 and traffic.down_bytes > 100_000
    assert {"engine", "PostgreSQL", "Redis", "recorder", "grader"} <= set(by_name["exam"].cpu)
    assert by_name["exam"].memory_mib["engine"] > 20
    assert {"save", "save_intended", "login", "key", "reconnect", "closing"} <= set(by_name["exam"].operations)
    assert {"swarm-0", "openloop-0"} <= set(by_name["steady"].generators)
    assert {"up_bytes", "cpu/engine", "recorder_lag_s", "acknowledged", "channels"} <= set(ran.outcome.series)
    assert max(ran.outcome.series["channels"].values()) > 20
    assert ran.outcome.line.enforced is MAY_SHAPE or ran.outcome.line.why


@pytest.mark.slow
def test_what_is_left_of_a_run_repeats_it_and_holds_no_key(ran: Ran) -> None:
    """The plan with its API keys is gone; the command names the seed."""
    assert "plan.json" not in ran.kept and "responses" not in ran.kept
    assert {"swarm-0.ledger", "openloop-0.ledger"} <= set(ran.kept)
    assert "--seed 7" in ran.outcome.command and "--tier small" in ran.outcome.command
    assert len(ran.outcome.configuration_digest) == 64
    assert {"engine", "python", "postgresql", "redis", "locust"} <= set(ran.outcome.versions)
    assert not any("key" in name for name in ran.outcome.configuration)
