"""The load driver from Python's side: compiled once, started in a process of its own, told when to begin.

A driver must not be what is measured: it is C, one thread, one epoll, and says how much CPU it took. A run in which it
used more than nine tenths of a core says more about the driver than about the engine, and is void.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

SOURCE = Path(__file__).with_name("driver.c")
KEPT = Path(__file__).resolve().parent.parent / ".benchmarks"  # git-ignored
BOTTLENECK_SHARE = 0.9  # of a core
READY_S = 300.0


class DriverFault(Exception):
    """The driver could not be made, or did not do what it was told; the message says why."""


class Load(Struct, frozen=True, kw_only=True):
    """What one run did: `counted` answers came within `seconds`; `span_s` includes warming and settling."""

    seconds: float
    span_s: float
    sent: int
    answered: int
    counted: int
    refused: int
    broken: int
    unanswered: int
    cpu_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    keys_seen: int
    key_first_ms: float
    key_last_ms: float
    fault: str

    @property
    def per_s(self) -> float:
        return self.counted / self.seconds if self.seconds > 0 else 0.0

    @property
    def driver_share(self) -> float:
        """Of one core."""
        return self.cpu_s / self.span_s if self.span_s > 0 else 0.0

    @property
    def why_void(self) -> str:
        """Why nothing can be read off this run; empty when something can."""
        if self.driver_share > BOTTLENECK_SHARE:
            return f"the driver was the bottleneck ({self.driver_share:.0%} of a core)"
        failed = self.refused + self.broken + self.unanswered
        if failed:
            return f"{self.refused} refused, {self.broken} broken, {self.unanswered} unanswered: {self.fault}"
        return "" if self.counted or self.keys_seen else "nothing was answered"


class Driver:
    """One driver process: connected when made, working from `go` until `finish` returns."""

    def __init__(self, port: int, *, before: Sequence[str] = (), **options: Any) -> None:
        """`before`: what the command begins with, to run it somewhere else."""
        self._standing: int | None = None
        told = {"port": port, **options}
        words = [part for name, value in told.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        self._process = subprocess.Popen(
            [*before, str(built()), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def wait_ready(self) -> int:
        """How many connections stand; may be asked again."""
        if self._standing is None:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line.startswith("ready "):
                raise DriverFault(self._last_words())
            self._standing = int(line.split()[1])
        return self._standing

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("g")
        self._process.stdin.flush()

    def finish(self) -> Load:
        """Wait for the end of its run. Raises DriverFault when it ended without a word."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise DriverFault(self._last_words())
        return load_of(json.loads(line))

    def _last_words(self) -> str:
        self._process.kill()
        _, said = self._process.communicate()
        return f"the driver ended with {self._process.returncode}: {said.strip()[-400:]}"


def load_of(told: Mapping[str, Any]) -> Load:
    return Load(**told)


def built() -> Path:
    """The driver's program, compiled when its source has changed. Raises DriverFault without a compiler."""
    source = SOURCE.read_bytes()
    program = KEPT / f"driver-{hashlib.sha256(source).hexdigest()[:16]}"
    if program.exists():
        return program
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        raise DriverFault("the driver is C and there is no compiler: apt install gcc libc6-dev")
    KEPT.mkdir(exist_ok=True)
    making = program.with_suffix(f".{os.getpid()}")
    done = subprocess.run([compiler, "-O2", "-o", str(making), str(SOURCE)], capture_output=True, text=True)
    if done.returncode != 0:
        raise DriverFault(f"{compiler} did not compile {SOURCE.name}: {done.stderr.strip()[-400:]}")
    making.replace(program)
    return program
