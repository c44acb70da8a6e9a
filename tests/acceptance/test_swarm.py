"""Locust's candidates sit real exams on a real engine, and the judge finds every answer that they know to be saved."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loadtest.client import MachineClient
from loadtest.judge import Verdict
from loadtest.ledger import Ledger
from loadtest.sizing import measure
from tests.acceptance import swarming
from tests.servers import Engine

CANDIDATES = 12
ENDS_WITHIN_S = 60

pytestmark = pytest.mark.slow


@dataclass
class Sat:
    """An exam that is over: what the generators said and left behind, and the verdict."""

    lines: list[dict[str, Any]]
    reports: list[measure.Report]
    ledgers: list[Ledger]
    verdict: Verdict

    def counts(self) -> dict[str, int]:
        """Successes by operation, over all phases and processes."""
        found: dict[str, int] = {}
        for key, histogram in measure.merged(self.reports)[0].items():
            operation = key.split("/")[0]
            found[operation] = found.get(operation, 0) + histogram.total_count
        return found


@pytest.fixture(scope="module")
def sat(engine_up: Engine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sat]:
    """Three exams at one time: over channels with a storm in the middle, over HTTP, and as master and two workers."""
    return asyncio.run(
        hold(engine_up, {name: tmp_path_factory.mktemp(name) for name in ("channel", "http", "machines")})
    )


async def hold(engine: Engine, folders: dict[str, Path]) -> dict[str, Sat]:
    schedule, results = (MachineClient(engine.url, engine.keys[scope]) for scope in ("schedule", "results"))
    async with schedule, results:
        pushed = await asyncio.gather(*(swarming.push(schedule, engine, CANDIDATES) for _ in folders))
        planned = dict(zip(folders, pushed, strict=True))
        channel, http = planned["channel"].written(folders["channel"]), folders["http"]
        started = {
            "channel": play(channel, folders["channel"]),
            "http": play(planned["http"].written(http, channel=False, page="cold"), http),
            **play_on_three(planned["machines"].written(folders["machines"]), folders["machines"]),
        }
        found = {}
        for name, process in started.items():
            lines = swarming.said(process, ENDS_WITHIN_S)
            if name in folders:
                names = ["swarm-0", "swarm-1"] if name == "machines" else ["swarm-0"]
                reports, ledgers = swarming.left_behind(folders[name], names)
                verdict = await swarming.judged(schedule, results, planned[name], ledgers)
                found[name] = Sat(lines, reports, ledgers, verdict)
        return found


def play(plan_file: Path, folder: Path) -> Any:
    return swarming.started("loadtest.swarm", "--plan", str(plan_file), "--out", str(folder))


def play_on_three(plan_file: Path, folder: Path) -> dict[str, Any]:
    """A master that plays nobody, and two workers."""
    address = f"127.0.0.1:{free_port()}"
    what = ["--plan", str(plan_file), "--out"]
    master = [*what, str(folder), "--master", "--workers", "2", "--bind", address]
    return {
        "machines": swarming.started("loadtest.swarm", *master),
        **{
            name: swarming.started("loadtest.swarm", *what, str(folder / name), "--worker", address)
            for name in ("one", "two")
        },
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("name", ["channel", "http", "machines"])
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
