"""Locust's candidates sit real exams on a real engine, and the judge finds every answer that they know to be saved."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtest.client import MachineClient
from loadtest.judge import Verdict
from loadtest.ledger import Ledger
from loadtest.sizing import measure, plan
from loadtest.sizing.plan import Background
from tests.acceptance import swarming
from tests.acceptance.tls_line import TlsLine, tls_line_to
from tests.servers import Engine, free_port

CANDIDATES = 12
DAY_MS = 86_400_000
ENDS_WITHIN_S = 120

pytestmark = pytest.mark.slow


# What each of the three exams is to show, beside an exam.
CHANGES: dict[str, dict[str, Any]] = {
    "channel": {"background": Background(pushes_per_min=20, pushed_candidates=3, pulls_per_min=40)},
    "http": {"channel": False, "page": "cold"},
    "tls": {},
    "machines": {"page": ""},
}


@dataclass
class Sat:
    """An exam that is over: what the generators said and left behind, and the verdict."""

    lines: list[dict[str, Any]]
    reports: list[measure.Report]
    ledgers: list[Ledger]
    verdict: Verdict
    folder: Path
    plan_file: Path
    tls: TlsLine
    pushed: list[dict[str, Any]]

    def counts(self) -> dict[str, int]:
        """Successes by operation, over all phases and processes."""
        found: dict[str, int] = {}
        for key, histogram in measure.merged(self.reports)[0].items():
            operation = key.split("/")[0]
            found[operation] = found.get(operation, 0) + histogram.total_count
        return found


@pytest.fixture(scope="module")
def sat(engine_up: Engine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sat]:
    """Four exams at one time: over channels, over HTTP, over TLS, and as master and two workers."""
    folders = {name: tmp_path_factory.mktemp(name) for name in CHANGES}
    with tls_line_to(engine_up.port, folders["tls"]) as tls:
        return asyncio.run(hold(engine_up, folders, tls))


async def hold(engine: Engine, folders: dict[str, Path], tls: TlsLine) -> dict[str, Sat]:
    timetable = swarming.short()
    schedule, results = (MachineClient(engine.url, engine.keys[scope]) for scope in ("schedule", "results"))
    async with schedule, results:
        pushed = await asyncio.gather(*(swarming.push(schedule, engine, CANDIDATES, timetable) for _ in folders))
        planned = dict(zip(folders, pushed, strict=True))
        line = {"tls": {"url": f"https://localhost:{tls.port}", "ca_file": str(tls.ca_file)}}
        files = {name: planned[name].written(folders[name], **CHANGES[name], **line.get(name, {})) for name in folders}
        started = {
            **{name: play(files[name], folders[name]) for name in ("channel", "http", "tls")},
            **play_on_three(files["machines"], folders["machines"]),
        }
        found = {}
        for name, process in started.items():
            lines = swarming.said(process, ENDS_WITHIN_S)
            if name in folders:
                names = ["swarm-0", "swarm-1"] if name == "machines" else ["swarm-0"]
                reports, ledgers = swarming.left_behind(folders[name], names)
                verdict = await swarming.judged(schedule, results, planned[name], ledgers)
                beside = await pushed_beside(schedule, planned[name].plan)
                found[name] = Sat(lines, reports, ledgers, verdict, folders[name], files[name], tls, beside)
        return found


async def pushed_beside(client: MachineClient, beside: plan.Plan) -> list[dict[str, Any]]:
    """The batches that an exam's scheduling system pushed, of whatever day."""
    until_ms = beside.starts_ms + 365 * DAY_MS
    told = await client._json("GET", f"/v1/batches?from_ms={beside.starts_ms}&to_ms={until_ms}")
    return [batch for batch in told["batches"] if batch["batch_id"].startswith("sizing-beside-")]


def play(plan_file: Path, folder: Path) -> Any:
    return swarming.started("loadtest.swarm", "--plan", str(plan_file), "--out", str(folder))


def play_on_three(plan_file: Path, folder: Path, workers_plan: Path | None = None) -> dict[str, Any]:
    """A master that plays nobody, and two workers."""
    address = f"127.0.0.1:{free_port()}"
    master = ["--plan", str(plan_file), "--out", str(folder), "--master", "--workers", "2", "--bind", address]
    worker = ["--plan", str(workers_plan or plan_file), "--worker", address, "--out"]
    return {
        "machines": swarming.started("loadtest.swarm", *master),
        **{name: swarming.started("loadtest.swarm", *worker, str(folder / name)) for name in ("one", "two")},
    }


@pytest.mark.parametrize("name", CHANGES)
def test_no_answer_of_a_swarm_is_lost(sat: dict[str, Sat], name: str) -> None:
    """Whatever line it has, and through the cut of every channel at once: what is in the ledgers is in the engine."""
    found = sat[name]

    assert found.verdict.holds, found.verdict.faults
    assert (found.verdict.candidates, found.verdict.absent) == (CANDIDATES, 0)
    assert sum(change.acknowledged for ledger in found.ledgers for change in ledger.changes) > CANDIDATES


def test_every_operation_of_an_exam_is_measured(sat: dict[str, Sat]) -> None:
    """Once for each candidate who did it, and each save twice: from its sending, and from when it was due."""
    counts = sat["channel"].counts()

    for operation in ("page", "login", "confirm", "pledge", "sealed", "channel", "key"):
        assert counts[operation] == CANDIDATES, operation
    assert counts["save"] == counts["save_intended"] > CANDIDATES
    assert counts["submit"] + counts["closing"] == CANDIDATES
    assert counts["lateness"] > counts["save"]


def test_every_channel_that_the_storm_cuts_comes_back(sat: dict[str, Sat]) -> None:
    """By itself, as the page comes back, and measured from the cut; the sitting was asked for meanwhile."""
    (report,) = sat["channel"].reports
    counts = sat["channel"].counts()

    assert report.counters["cut"] == counts["reconnect"] > CANDIDATES / 2
    assert counts["look"] >= CANDIDATES / 2


def test_a_sound_engine_makes_no_errors(sat: dict[str, Sat]) -> None:
    """What the swarm did itself, the cut and the lines that were lost as planned, is none of the engine's."""
    errors = {name: measure.merged(found.reports)[1] for name, found in sat.items()}

    # A busy machine may be late for a call.
    assert [(name, key) for name, found in errors.items() for key in found if not key.endswith("/timeout")] == []
    assert sat["channel"].reports[0].counters["drops"] == 1


def test_over_tls_sessions_are_resumed(sat: dict[str, Sat]) -> None:
    """As by browsers that were here before: a storm of new handshakes would be another load than the hall's."""
    tls = sat["tls"].tls

    assert tls.handshakes > CANDIDATES * 2
    assert tls.resumed > tls.handshakes / 2


def test_without_a_channel_all_goes_over_http(sat: dict[str, Sat]) -> None:
    """The key is asked for, every save is a call, and the page is loaded by a machine that has none of it."""
    (report,) = sat["http"].reports
    counts = sat["http"].counts()

    assert not counts.keys() & {"channel", "reconnect"}
    assert counts["key_asked"] == counts["page"] == CANDIDATES
    assert report.counters["saves_over_http"] >= counts["save"] > CANDIDATES / 2


def test_other_programs_push_and_pull_beside_the_exam(sat: dict[str, Sat]) -> None:
    """At the plan's rates; each call counts, and none fails."""
    counts = sat["channel"].counts()

    assert counts["push"] >= 4 and counts["pull"] >= 1


def test_what_was_pushed_beside_an_exam_is_over_soon_after_it(sat: dict[str, Sat]) -> None:
    """On an engine that goes on nothing of a load test begins on somebody's exam day; and it is known by its name."""
    ends_ms = plan.read(sat["channel"].plan_file).ends_ms
    over_ms = [batch["starts_ms"] + batch["duration_s"] * 1000 for batch in sat["channel"].pushed]

    assert over_ms
    assert all(ends_ms < each <= ends_ms + 30 * 60 * 1000 for each in over_ms)


def test_two_machines_play_half_the_plan_each(sat: dict[str, Sat]) -> None:
    """And their reports and ledgers lie at the master, whole."""
    one, other = sat["machines"].reports

    assert {one.process, other.process} == {"swarm-0", "swarm-1"}
    assert [sum(key.startswith("login/") for key in each.histograms) > 0 for each in (one, other)] == [True, True]
    assert len({ledger.candidate_id for ledger in sat["machines"].ledgers}) == CANDIDATES
    assert not list(sat["machines"].folder.glob("*.part"))


@pytest.mark.parametrize("name", CHANGES)
def test_a_swarm_says_once_a_second_how_it_is_going(sat: dict[str, Sat], name: str) -> None:
    """For the conductor, and for who watches; afterwards Locust's own report is there."""
    lines = sat[name].lines
    saves = [line["saves"] for line in lines]

    assert saves == sorted(saves) and saves[-1] > 0
    assert lines[-1].keys() == {"now_ms", "entered", "writing", "saves", "acknowledged", "errors", "cpu"}
    assert max(line["writing"] for line in lines) > CANDIDATES / 2
    assert len(list(sat[name].folder.glob("*.html"))) == 1


def test_a_plan_for_an_engine_that_nobody_knows_is_refused(tmp_path: Path, sat: dict[str, Sat]) -> None:
    """At once and with 2, as for any plan that cannot be played: not candidate by candidate."""
    plan_file = tmp_path / "plan.json"
    plan.write(msgspec.structs.replace(plan.read(sat["tls"].plan_file), url="https://engine.invalid"), plan_file)
    process = play(plan_file, tmp_path)

    _, err = process.communicate(timeout=ENDS_WITHIN_S)

    assert process.returncode == 2
    assert "engine.invalid" in err or "plan.json" in err


def test_a_worker_with_another_plan_is_sent_home(tmp_path: Path, sat: dict[str, Sat]) -> None:
    """Two halves of different exams would add up to nothing; the master says which, and ends with 1."""
    other = tmp_path / "other.json"
    other.write_bytes(sat["machines"].plan_file.read_bytes() + b"\n")
    started = play_on_three(sat["machines"].plan_file, tmp_path, workers_plan=other)

    _, err = started.pop("machines").communicate(timeout=ENDS_WITHIN_S)

    assert "has another plan" in err
    for worker in started.values():
        worker.communicate(timeout=ENDS_WITHIN_S)
