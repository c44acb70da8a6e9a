"""`./run rehearse` on a real engine: passes when all is well, and fails when an answer or a score is not."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from engine.supervision import embedded
from loadtest import people, samples
from loadtest.client import MachineClient
from loadtest.rehearse import Held, Options, hold_exam, inspect, main
from tests.servers import ROOT, Engine, temporary_folder

CANDIDATES = 12
MINUTES = 0.4


def options(engine: Engine) -> Options:
    keys = engine.keys
    return Options(engine.url, keys["schedule"], keys["results"], CANDIDATES, MINUTES, seed=11)


def arguments(**given: Any) -> argparse.Namespace:
    """What the command line hands over."""
    default = {"candidates": CANDIDATES, "minutes": MINUTES, "json": True, "seed": 5}
    absent = {"url": None, "schedule_key": None, "results_key": None}
    return argparse.Namespace(**{**default, **absent, **given})


async def execute(engine: Engine, statement: str, *values: Any) -> Any:
    """Run one statement behind the engine's back; returns the first value of the first row."""
    sockets = embedded.postgres_socket_folder(embedded.socket_folder(engine.data))
    connection = await asyncpg.connect(embedded.postgres_dsn(sockets))
    try:
        return await connection.fetchval(statement, *values)
    finally:
        await connection.close()


def a_writer(held: Held) -> str:
    """The sitting of somebody who answered."""
    return next(ledger.sitting_id for ledger in held.ledgers if len(ledger.changes) > 3)


@pytest.mark.slow
def test_rehearsal_passes_on_a_sound_engine(engine_up: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, nothing lost, every candidate in one final state, and one JSON object on stdout."""
    keys = engine_up.keys

    code = main(arguments(url=engine_up.url, schedule_key=keys["schedule"], results_key=keys["results"]))

    numbers = json.loads(capsys.readouterr().out)
    assert (code, numbers["faults"]) == (0, [])
    assert numbers["verdict"] == "pass"
    assert (numbers["lost"], numbers["wrong_scores"], numbers["wrong_states"]) == (0, 0, 0)
    assert numbers["submitted"] + numbers["collected"] + numbers["absent"] == CANDIDATES
    assert min(numbers["submitted"], numbers["collected"], numbers["absent"], numbers["reconnects"]) > 0
    assert numbers["acknowledged"] > CANDIDATES
    assert 0 < numbers["ack_p50_ms"] <= numbers["ack_p99_ms"]


@pytest.mark.slow
async def test_rehearsal_fails_when_a_score_is_altered_or_a_response_dropped(engine_up: Engine) -> None:
    """One exam, judged as it is, with one score changed, and with one stored response gone."""
    held = await hold_exam(options(engine_up))
    sound = await inspect(held)
    assert (sound.verdict.faults, sound.exit_code) == ([], 0)

    sitting_id = a_writer(held)
    document = await execute(engine_up, "SELECT document FROM result WHERE sitting_id = $1", sitting_id)
    altered = json.dumps({**json.loads(document), "score": json.loads(document)["score"] - 0.5})
    await execute(engine_up, "UPDATE result SET document = $2 WHERE sitting_id = $1", sitting_id, altered)
    rescored = await inspect(held)
    await execute(engine_up, "UPDATE result SET document = $2 WHERE sitting_id = $1", sitting_id, document)
    dropped = await execute(
        engine_up,
        "DELETE FROM response WHERE (sitting_id, item) IN"
        " (SELECT sitting_id, item FROM response WHERE sitting_id = $1 LIMIT 1) RETURNING item",
        sitting_id,
    )
    robbed = await inspect(held)

    assert rescored.exit_code == 1
    assert (rescored.verdict.wrong_scores, rescored.verdict.bad_signatures, rescored.verdict.lost) == (1, 1, 0)
    assert robbed.exit_code == 1
    assert (robbed.verdict.lost, robbed.verdict.bad_receipts, robbed.verdict.wrong_scores) == (1, 1, 0)
    assert any(f"item {dropped}" in fault for fault in robbed.verdict.faults)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"url": "http://127.0.0.1:9", "schedule_key": "a", "results_key": "b"}, "no engine answers"),
        ({"url": "http://127.0.0.1:9"}, "--schedule-key"),
        ({"candidates": 0}, "--candidates"),
        ({"minutes": -1.0}, "--minutes"),
        ({"candidates": 500, "minutes": 0.1}, "at least"),
    ],
)
def test_rehearsal_without_an_engine_or_sense_exits_2(
    given: dict[str, Any], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be run is told in one line and is no verdict."""
    monkeypatch.setattr("loadtest.rehearse.REACH_S", 0.5)

    code = main(arguments(**given))

    told = capsys.readouterr()
    assert (code, told.out) == (2, "")
    assert says in told.err


def test_wrong_key_exits_2(engine_up: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal is passed on in the engine's own words."""
    code = main(arguments(url=engine_up.url, schedule_key="nonsense", results_key="nonsense"))

    assert code == 2
    assert "auth.missing" in capsys.readouterr().err


@pytest.mark.slow
def test_command_starts_an_engine_of_its_own_and_leaves_nothing_behind() -> None:
    """Without `--url`: one JSON object on stdout, exit 0, no process and no folder left."""
    command = [sys.executable, "-m", "engine", "rehearse", "--candidates", "3", "--minutes", "0.3", "--json"]
    with temporary_folder("own") as folder:
        environ = {**os.environ, "TMPDIR": str(folder)}

        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=150, check=False)

        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["verdict"] == "pass"
        assert processes_naming(str(folder)) == []
        assert list(folder.iterdir()) == []


def processes_naming(text: str) -> list[str]:
    """Command lines of all present processes that hold `text`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        found += [line] if text in line else []
    return found


@pytest.mark.slow
def test_crowd_writes_until_it_is_told_to_stop(engine_up: Engine, tmp_path: Path) -> None:
    """The demo's crowd sits an armed batch over the public API and leaves quietly on SIGTERM."""
    roster = tmp_path / "roster.json"
    batch_id, code = asyncio.run(armed_batch(engine_up, roster))
    command = [sys.executable, "-m", "loadtest.crowd", "--url", engine_up.url, "--batch", batch_id, "--code", code]
    command += ["--roster", str(roster), "--candidates", "3", "--skip", "1", "--seed", "1", "--arrive-s", "1"]

    crowd = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        counts = asyncio.run(until_in_progress(engine_up, batch_id, 3))
    finally:
        crowd.terminate()
        out, err = crowd.communicate(timeout=5)

    assert (counts["in_progress"], counts["expected"]) == (3, 1)
    assert (crowd.returncode, out, err) == (0, b"", b"")


async def armed_batch(engine: Engine, roster_file: Path) -> tuple[str, str]:
    """A batch of four that starts in three seconds; its id and admission code."""
    tag = secrets.token_hex(4)
    sample = samples.load("aixl4")
    roster = people.roster(4, "900000", random.Random(tag))
    roster_file.write_text(json.dumps(roster), "utf-8")  # noqa: ASYNC240 - nothing else runs yet
    batch = {**sample.batch, "paper_id": f"P{tag}", "admission_code": tag.upper()}
    async with MachineClient(engine.url, engine.keys["schedule"]) as schedule:
        await schedule.put_paper(f"P{tag}", sample.paper)
        await schedule.put_batch(tag, {**batch, "starts_ms": await schedule.server_ms() + 3000})
        await schedule.put_roster(tag, roster)
        await schedule.arm(tag, ["甲", "乙"])
    return tag, tag.upper()


async def until_in_progress(engine: Engine, batch_id: str, wanted: int) -> dict[str, int]:
    """The counts of the batch once `wanted` candidates write, or after 20 s."""
    async with MachineClient(engine.url, engine.keys["schedule"]) as schedule:
        for _ in range(200):
            counts: dict[str, int] = (await schedule.batch(batch_id))["counts"]
            if counts["in_progress"] == wanted:
                break
            await asyncio.sleep(0.1)
        return counts
