"""The generators of a load test: started where candidates are, listened to, waited for, and never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson

from loadtest.own_engine import ROOT
from loadtest.sizing import measure
from loadtest.sizing.evidence import Progress
from loadtest.sizing.ground import dies_with_us, environ
from loadtest.sizing.measure import Report
from loadtest.swarm.__main__ import MASTER_PORT, UI_PORT

STOP_S = 5.0
LAST_WORDS_CHARACTERS = 1500


class CrewFault(Exception):
    """A generator that could not begin, or ended before the exam began; the message says why, or what it said last."""


MASTER = "swarm-master"


def ui_addresses(processes: int) -> list[str]:
    """Where so many processes of Locust show its pages. Raises CrewFault where somebody listens already: Locust would
    go on without them, and whoever opens the address see somebody else's."""
    for port in range(UI_PORT, UI_PORT + processes):
        try:
            _try_to_listen("127.0.0.1", port)
        except OSError as refused:
            raise CrewFault(f"--ui: 127.0.0.1:{port} cannot be had ({refused.strerror})") from None
    return [f"http://127.0.0.1:{port}" for port in range(UI_PORT, UI_PORT + processes)]


def check_bind(bind: str) -> None:
    """Raises CrewFault where Locust's master could not listen at HOST[:PORT]: it would tell so by a traceback, or of
    some ports by nothing at all."""
    host, _, port = bind.partition(":")
    try:
        if not host or port == "0":
            raise ValueError("no host" if not host else "no port")
        _try_to_listen(host, int(port or MASTER_PORT))
    except (OSError, OverflowError, ValueError) as refused:
        expected = "expected HOST[:PORT], an address of this machine at which nobody listens"
        raise CrewFault(f"--bind {bind}: {expected} ({refused})") from None


def _try_to_listen(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


class Crew:
    """Every process of every kind in `counts`; their files lie in `folder`. Use it as a context manager.

    `heard` is called, from threads, with what a process says of itself. `ui`: Locust shows its own pages as well.
    `bind`: the swarm is played on as many other machines, which find Locust's master there.
    """

    def __init__(
        self,
        before: Sequence[str],
        plan_file: Path,
        folder: Path,
        counts: Mapping[str, int],
        heard: Callable[[str, Mapping[str, Any]], None],
        ui: bool = False,
        bind: str = "",
    ) -> None:
        self.folder = folder
        self._leave = [f"{kind}-{index}" for kind, count in counts.items() for index in range(count)]
        self.said: list[Progress] = []
        self._latest: dict[str, dict[str, Any]] = {}
        self._heard = heard
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        here = {kind: count for kind, count in counts.items() if not bind or kind != "swarm"}
        shares = {
            f"{kind}-{index}": (kind, ["--index", str(index), "--of", str(count)])
            for kind, count in here.items()
            for index in range(count)
        }
        if bind:
            shares[MASTER] = ("swarm", ["--master", "--workers", str(counts["swarm"]), "--bind", bind])
        self._commands = {
            name: [
                *[*before, *dies_with_us(), sys.executable, "-m", f"loadtest.{kind}", "--plan", str(plan_file)],
                *[*share, "--out", str(folder)],
                *(["--ui"] if ui and kind == "swarm" else []),
            ]
            for name, (kind, share) in shares.items()
        }

    def __enter__(self) -> Crew:
        try:
            for name, command in self._commands.items():
                with open(self.folder / f"{name}.log", "wb") as log:
                    process = self._processes[name] = subprocess.Popen(
                        command,
                        cwd=ROOT,
                        env=environ(),
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=log,
                        start_new_session=True,
                    )
                threading.Thread(target=self._listen, args=(name, process), name=name, daemon=True).start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def names(self) -> list[str]:
        return list(self._commands)

    def are_done(self) -> bool:
        return all(process.poll() is not None for process in self._processes.values())

    def check_alive(self) -> None:
        """Raises CrewFault when one has ended already."""
        if any(process.poll() is not None for process in self._processes.values()):
            raise CrewFault("; ".join(self.faults(only_ended=True)) or "a generator ended before the exam began")

    def have_spoken(self) -> bool:
        """Whether every one of them is there, playing or waiting for its first candidate."""
        with self._lock:
            return set(self._latest) >= set(self._commands)

    def faults(self, only_ended: bool = False) -> list[str]:
        """Those that ended badly or (but with `only_ended`) not at all, each with its last words."""
        found = []
        for name, process in self._processes.items():
            code = process.poll()
            if code != 0 and not (only_ended and code is None):
                words = (self.folder / f"{name}.log").read_text("utf-8", "replace")[-LAST_WORDS_CHARACTERS:].strip()
                ended = "did not end in time" if code is None else f"ended with {code}"
                found.append(f"generator {name} {ended}: {words or 'it said nothing'}")
        return found

    def reports(self) -> tuple[list[Report], list[str]]:
        """What they left, and who left nothing that can be read."""
        found, missing = [], []
        for name in self._leave:
            try:
                found.append(measure.decode((self.folder / f"{name}.json").read_bytes()))
            except (OSError, msgspec.ValidationError, msgspec.DecodeError) as fault:
                missing.append(f"generator {name} left no report: {fault}")
        return found, missing

    def ledgers(self) -> list[Path]:
        return [file for name in self._leave if (file := self.folder / f"{name}.ledger").exists()]

    def _listen(self, name: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                said = orjson.loads(line)
                at_ms = int(said["now_ms"])
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                continue  # a library's own words
            with self._lock:
                self._latest[name] = said
                self.said.append(Progress(name, at_ms, said))
            self._heard(name, said)

    def _end(self) -> None:
        running = [process for process in self._processes.values() if process.poll() is None]
        for process in running:
            with contextlib.suppress(OSError):
                process.send_signal(signal.SIGTERM)
        until_s = time.monotonic() + STOP_S
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, until_s - time.monotonic()))
            if process.poll() is None:
                with contextlib.suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)  # a session of its own
                process.wait()
        for process in self._processes.values():
            if process.stdout is not None:
                process.stdout.close()
