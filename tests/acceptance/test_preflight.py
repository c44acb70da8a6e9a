"""`./run preflight` on a whole engine, as operations run it: 0 when all is well, and 1 when something is red."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.__main__ import main
from engine.preflight.ask_nodes import Caller, meet
from engine.preflight.finding import Colour
from engine.preflight.nodes import judge_equal
from engine.supervision import embedded, up
from loadtest import canary, people
from loadtest.client import MachineClient
from tests import servers
from tests.servers import ROOT, Engine, environ, free_port, stop, wait_until

# What depends on the machine that the tests run on: its disk, its limits, and whether its clock is kept right.
OF_THE_MACHINE = {"disks", "files", "time_source"}
HOUR_MS = 3_600_000


def preflight(engine: Engine, *more: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the JSON on stdout, stderr."""
    command = [sys.executable, "-m", "engine", "preflight", "--json", "--ready-file", str(engine.ready_file)]
    command += ["--data", str(engine.data), *more]
    done = subprocess.run(command, cwd=ROOT, env=environ(), capture_output=True, text=True, timeout=150)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def not_green(told: dict[str, Any]) -> dict[str, str]:
    """Check -> colour, without what is the machine's."""
    return {
        finding["check"]: finding["colour"]
        for finding in told["findings"]
        if finding["colour"] != "green"
        and finding["check"] not in OF_THE_MACHINE
        and not (finding["check"] == "nodes" and ("open_files" in finding["en"] or "backlog" in finding["en"]))
        and "asking took too long" not in finding["en"]  # of a clock, where everything else runs at the same time
    }


async def armed(engine: Engine, batch_id: str) -> None:
    """A mock of two candidates that starts tomorrow."""
    tag = secrets.token_hex(3)
    batch = {
        "title": "明日模拟",
        "occupation": "演练",
        "level": 3,
        "subject": "theory",
        "kind": "mock",
        "paper_id": f"P{tag}",
        "admission_code": f"T{tag.upper()}",
        "starts_ms": int(time.time() * 1000) + 20 * HOUR_MS,
        "duration_s": 3600,
    }
    async with MachineClient(engine.url, engine.keys["schedule"]) as schedule:
        await schedule.put_paper(f"P{tag}", canary.PAPER)
        await schedule.put_batch(batch_id, batch)
        await schedule.put_roster(batch_id, people.roster(2, "910000", random.Random(tag)))
        await schedule.arm(batch_id, ["甲", "乙"])


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """One of its own: what other tests leave in theirs is rightly told."""
    with servers.engine_up("preflight") as found:
        yield found


@pytest.fixture(scope="module")
def batch_id(engine: Engine) -> str:
    found = f"tomorrow-{secrets.token_hex(3)}"
    asyncio.run(armed(engine, found))
    return found


@pytest.mark.slow
def test_preflight_of_a_sound_engine_ends_with_0_and_its_canary_comes_back(
    engine: Engine, batch_id: str, tmp_path: Path
) -> None:
    """Every check there is, with one candidate through the whole path and a page to print."""
    page = tmp_path / "preflight.html"

    code, told, said = preflight(engine, "--batch", batch_id, "--html", str(page))

    assert (code, not_green(told)) == (0, {}), said
    checks = {finding["check"] for finding in told["findings"]}
    assert checks >= {"canary", "prepared", "versions", "nodes", "clocks", "certificates", "ports", "files", "roster"}
    [flown] = [finding for finding in told["findings"] if finding["check"] == "canary"]
    assert "scored 70 as known, signature valid" in flown["en"]
    assert batch_id in page.read_text("utf-8")


@pytest.mark.slow
def test_preflight_of_a_spoilt_engine_ends_with_1(engine: Engine, batch_id: str) -> None:
    """A sitting is gone from Redis; arming once more, as the report says, brings it back."""
    import redis

    with redis.Redis.from_url(embedded.redis_url(embedded.socket_folder(engine.data))) as store:
        sitting = next(key for key in store.scan_iter("{p*}:s:*") if store.hget(key, "batch") == batch_id.encode())
        store.delete(sitting)
    options = ("--batch", batch_id, "--no-canary")

    spoilt = preflight(engine, *options)
    asyncio.run(arm_again(engine, batch_id))
    mended = preflight(engine, *options)

    assert (spoilt[0], not_green(spoilt[1])) == (1, {"prepared": "red", "canary": "amber"})
    assert (mended[0], not_green(mended[1])) == (0, {"canary": "amber"})


async def arm_again(engine: Engine, batch_id: str) -> None:
    async with MachineClient(engine.url, engine.keys["schedule"]) as schedule:
        await schedule.arm(batch_id, ["甲", "乙"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--ready-file", "nowhere.json"], "nowhere.json"),
        (["--data", "nowhere"], "embedded engine"),
        (["--url", "127.0.0.1:8000"], "http://"),
        (["--accept", "durability"], "cannot be accepted"),
        (["--days", "0"], "1 to 60"),
    ],
)
def test_preflight_that_cannot_run_ends_with_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told in one line; nothing was judged."""
    try:
        code = main(["preflight", "--url", f"http://127.0.0.1:{free_port()}", *arguments])
    except SystemExit as refused:  # argparse's own way
        code = int(refused.code or 0)

    told = capsys.readouterr()
    assert (code, told.out) == (2, "")
    assert says in told.err


def test_a_canary_that_is_refused_says_at_which_step(engine: Engine) -> None:
    """With a key that may not push."""
    [flight] = asyncio.run(canary.fly([engine.url], engine.keys["results"], engine.keys["results"]))

    assert flight.step == "paper"
    assert "auth.scope" in flight.fault
    assert flight.batch_id.startswith(canary.PREFIX)


@contextmanager
def another_node(engine: Engine, folder: Path, login_key: bytes) -> Iterator[str]:
    """A worker beside the engine's own, on the same stores, with a key file that somebody mixed up; its URL."""
    shutil.copytree(engine.data / "secrets", folder)
    (folder / "login.key").write_bytes(login_key)
    port = free_port()
    told = {**up.embedded_settings(engine.data), "port": port, "secrets_dir": folder}
    settings = {f"LIANKAO_{name.upper()}": str(value) for name, value in told.items()}
    command = [sys.executable, "-m", "engine", "serve"]
    with open(folder / "log", "wb") as log:
        node = subprocess.Popen(command, cwd=ROOT, env={**environ(), **settings}, stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(port) or node.poll() is not None, 60, "the node answers")
        assert node.poll() is None, (folder / "log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(node, signal.SIGTERM)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_a_node_with_another_key_file_is_found_before_its_rooms_find_it(engine: Engine, tmp_path: Path) -> None:
    """What was armed elsewhere cannot be logged in to there; every other file, and the stores, are the same."""
    keys = engine.keys

    with another_node(engine, tmp_path / "secrets", b"z" * 32) as other:
        urls = [engine.url, other]
        met = asyncio.run(meet(urls, Caller(keys["ops"])))
        sound, lost = asyncio.run(canary.fly(urls, keys["schedule"], keys["results"]))

    found = judge_equal(met.answers, {})
    assert [(finding.subject, finding.colour) for finding in found] == [("login.key", Colour.RED)]
    assert (sound.fault, sound.score) == ("", canary.SCORE)
    assert lost.step == "login"
    assert "login.refused" in lost.fault
