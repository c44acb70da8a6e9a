"""The administration commands and `up` on configured servers, as an operator runs them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.supervision import embedded
from tests import servers

READY_S = 60


@pytest.fixture(scope="module")
def house() -> Iterator[dict[str, str]]:
    """Servers as an operator's house has them; yields the settings that lead to them."""
    with (
        servers.postgres(durable=True) as sockets,
        servers.redis() as redis_url,
        servers.temporary_folder("house") as folder,
    ):
        yield {
            **servers.environ(),
            "LIANKAO_POSTGRES_DSN": embedded.postgres_dsn(sockets),
            "LIANKAO_REDIS_URL": redis_url,
            "LIANKAO_SECRETS_DIR": str(folder / "secrets"),
            "LIANKAO_PORT": str(servers.free_port()),
        }


def _run(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engine", *arguments]
    return subprocess.run(command, env=environ, cwd=servers.ROOT, capture_output=True, text=True, timeout=60)


def test_an_operator_sets_up_runs_and_stops_an_engine(house: dict[str, str], tmp_path: Path) -> None:
    """migrate, secrets, a key, `up` on the configured servers; the key works until it is revoked; SIGTERM ends it."""
    assert _run(house, "migrate").stdout.splitlines()[0].endswith(".sql")
    assert _run(house, "migrate").stdout == "up to date\n"
    assert _run(house, "secrets", "create").returncode == 0
    key = _run(house, "key", "create", "--scope", "schedule", "--label", "排考系统").stdout.strip()
    listed = _run(house, "key", "list").stdout
    ops_key = _run(house, "key", "create", "--scope", "ops").stdout.strip()

    assert "排考系统" in listed
    assert key not in listed

    ready_file = tmp_path / "ready.json"
    command = [sys.executable, "-m", "engine", "up", "--ready-file", str(ready_file), "--workers", "2"]
    with open(tmp_path / "log", "wb") as log:
        up = subprocess.Popen(command, env=house, cwd=servers.ROOT, stdout=log, stderr=log, start_new_session=True)
    try:
        servers.wait_until(lambda: ready_file.exists() or up.poll() is not None, READY_S, "engine ready")
        assert up.poll() is None, (tmp_path / "log").read_text()
        ready = json.loads(ready_file.read_text())
        answered = _status(int(house["LIANKAO_PORT"]), "/v1/batches?from_ms=0&to_ms=1", key)
        looked = json.loads(_run(house, "preflight", "--json", "--no-canary", "--ops-key", ops_key).stdout)
    finally:
        code = servers.stop(up, signal.SIGTERM)

    assert ready["url"].endswith(":" + house["LIANKAO_PORT"])
    assert sorted(ready["processes"]) == ["courier-0", "grader-0", "recorder-0", "worker-0", "worker-1"]
    assert answered == 200
    told = {finding["en"].partition(":")[0] for finding in looked["findings"] if finding["colour"] == "green"}
    assert {"met 2 workers", "2 workers alike"} <= told
    assert code == 0

    key_id = listed.split()[0]
    assert _run(house, "key", "revoke", key_id).returncode == 0
    again = _run(house, "key", "revoke", key_id)
    assert (again.returncode, again.stderr) == (
        1,
        f"run: no key {key_id} in force; `./run key list` shows all\n",
    )


def test_servers_that_are_away_are_one_line_and_no_traceback(house: dict[str, str]) -> None:
    """The operator has mistyped the DSN."""
    away = {**house, "LIANKAO_POSTGRES_DSN": "postgresql://127.0.0.1:1/none"}
    done = _run(away, "migrate")

    assert done.returncode == 1
    assert done.stderr.startswith("run: ConnectionRefusedError")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "--embedded"], "--data DIR"),
        (["up", "--data", "x"], "only with --embedded"),
        (["up", "--embedded", "--data", "x", "--port", "0"], "expected 1 to 65535"),
        (["up", "--embedded", "--data", "x", "--port", "http"], "expected a whole number"),
        (["demo", "--minutes", "0"], "expected minutes above 0"),
        (["key", "create", "--scope", "all"], "invalid choice: 'all'"),
        (["verify", "paper", "x", "--keys", "y"], "invalid choice: 'paper'"),
        (["rehearse", "--candidates", "9" * 400], "expected at most 1000000000"),
        (["fly"], "invalid choice: 'fly'"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_by_name(arguments: list[str], said: str) -> None:
    """Before anything is touched."""
    done = _run(servers.environ(), *arguments)

    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("arguments", [["capacity", "plan", "--candidates", "9", "--sites", "1"], ["openapi"]])
def test_whoever_reads_only_the_beginning_gets_no_traceback(arguments: list[str]) -> None:
    """`| head` closes the pipe while we still speak."""
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "engine", *arguments]
    with open(writes, "wb") as pipe:
        done = subprocess.run(
            command, env=servers.environ(), cwd=servers.ROOT, stdout=pipe, stderr=subprocess.PIPE, timeout=60
        )

    assert (done.returncode, done.stderr) == (141, b"")


def _status(port: int, path: str, key: str) -> int:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        line.request("GET", path, headers={"authorization": f"Bearer {key}"})
        return line.getresponse().status
    finally:
        line.close()
