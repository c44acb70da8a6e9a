"""A whole engine on embedded servers in a temporary folder, for a rehearsal that was given none."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
READY_S = 90.0
STOP_S = 15.0
LAST_WORDS_CHARACTERS = 2000
KEPT_VARIABLES = frozenset({"LIANKAO_PG_BIN", "LIANKAO_REDIS_BIN"})  # other settings belong to another engine


class EngineMissing(Exception):
    """No engine to rehearse on; the message says what was tried and what it said."""


@contextmanager
def own_engine() -> Iterator[dict[str, Any]]:
    """Start one and yield its ready file's content; it is stopped and its folder deleted afterwards.

    The folder is short because unix sockets live in it. Should we be killed, the kernel stops the engine too.
    """
    with tempfile.TemporaryDirectory(prefix="lk-rehearse-", ignore_cleanup_errors=True) as folder:
        ready_file, log_file = Path(folder) / "ready.json", Path(folder) / "supervisor.log"
        with open(log_file, "ab") as log:
            engine = subprocess.Popen(
                _command(Path(folder) / "data", ready_file),
                cwd=ROOT,
                env=_environ(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the rehearsal first
            )
        try:
            yield _wait_ready(engine, ready_file, log_file)
        finally:
            _stop(engine)


def _command(data: Path, ready_file: Path) -> list[str]:
    command = [sys.executable, "-m", "engine", "up", "--embedded", "--data", str(data), "--port", str(_free_port())]
    dies_with_us = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    return [*dies_with_us, *command, "--ready-file", str(ready_file)]


def _environ() -> dict[str, str]:
    return {
        name: text for name, text in os.environ.items() if not name.startswith("LIANKAO_") or name in KEPT_VARIABLES
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_ready(engine: subprocess.Popen[bytes], ready_file: Path, log_file: Path) -> dict[str, Any]:
    until = time.monotonic() + READY_S
    while not ready_file.exists():
        if engine.poll() is not None or time.monotonic() > until:
            state = "did not get ready" if engine.poll() is None else f"ended with code {engine.returncode}"
            words = log_file.read_text("utf-8", "replace")[-LAST_WORDS_CHARACTERS:]
            raise EngineMissing(f"the engine started for the rehearsal {state}:\n{words}")
        time.sleep(0.05)
    ready: dict[str, Any] = json.loads(ready_file.read_text("utf-8"))
    return ready


def _stop(engine: subprocess.Popen[bytes]) -> None:
    if engine.poll() is None:
        engine.send_signal(signal.SIGTERM)
    try:
        engine.wait(STOP_S)
    except subprocess.TimeoutExpired:
        engine.kill()
        engine.wait()
