"""A whole engine on embedded servers in a temporary folder, for a rehearsal or a campaign that brings its own."""

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
from collections.abc import Iterator, Mapping
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
def own_engine(*, workers: int = 1, settings: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """Start one and yield its ready file's content; it is stopped and its folder deleted afterwards.

    `ready_file` in it names that file, which stays true while processes are replaced. The folder is short because unix
    sockets live in it. Should we be killed, the kernel stops the engine too.
    """
    with tempfile.TemporaryDirectory(prefix="lk-rehearse-", ignore_cleanup_errors=True) as folder:
        engine = start_engine(Path(folder), workers=workers, settings=settings)
        try:
            yield {**wait_ready(engine, Path(folder)), "ready_file": str(ready_file_in(Path(folder)))}
        finally:
            stop_engine(engine)


def ready_file_in(folder: Path) -> Path:
    """Where an engine started in `folder` says what runs where."""
    return folder / "ready.json"


def start_engine(
    folder: Path,
    *,
    root: Path = ROOT,
    workers: int = 1,
    port: int | None = None,
    settings: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """`up --embedded` of the sources in `root`, with `folder`/data, on a free port; it is not waited for.

    `settings`: variables of its own, beyond the defaults.
    """
    ready_file_in(folder).unlink(missing_ok=True)  # of an earlier one that was killed
    command = [sys.executable, "-m", "engine", "up", "--embedded", "--data", str(folder / "data")]
    command += [
        "--port",
        str(port or _free_port()),
        "--workers",
        str(workers),
        "--ready-file",
        str(ready_file_in(folder)),
    ]
    dies_with_us = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    with open(_log_in(folder), "ab") as log:
        return subprocess.Popen(
            [*dies_with_us, *command],
            cwd=root,
            env={**_environ(root), **(settings or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the rehearsal first
        )


def wait_ready(engine: subprocess.Popen[bytes], folder: Path) -> dict[str, Any]:
    """The ready file's content once it takes traffic. Raises EngineMissing with the engine's last words."""
    until = time.monotonic() + READY_S
    while not ready_file_in(folder).exists():
        if engine.poll() is not None or time.monotonic() > until:
            state = "did not get ready" if engine.poll() is None else f"ended with code {engine.returncode}"
            words = _log_in(folder).read_text("utf-8", "replace")[-LAST_WORDS_CHARACTERS:]
            raise EngineMissing(f"the engine started for this {state}:\n{words}")
        time.sleep(0.05)
    ready: dict[str, Any] = json.loads(ready_file_in(folder).read_text("utf-8"))
    return ready


def stop_engine(engine: subprocess.Popen[bytes]) -> None:
    """Ask, wait, and kill only what does not listen."""
    if engine.poll() is None:
        engine.send_signal(signal.SIGTERM)
    try:
        engine.wait(STOP_S)
    except subprocess.TimeoutExpired:
        engine.kill()
        engine.wait()


def _log_in(folder: Path) -> Path:
    return folder / "supervisor.log"


def _environ(root: Path) -> dict[str, str]:
    kept = {
        name: text for name, text in os.environ.items() if not name.startswith("LIANKAO_") or name in KEPT_VARIABLES
    }
    return {**kept, "PYTHONPATH": str(root), "PYTHONSAFEPATH": "1"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
