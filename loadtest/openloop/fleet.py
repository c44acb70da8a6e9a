"""Several generator processes as one: sittings dealt out, phases gone through together, reports added up.

Promise: a step that any of them spoilt is void. The processes end with this one, however it ends.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic_ns
from types import TracebackType
from typing import Any, Self

import msgspec

from loadtest.openloop.driver import Manner
from loadtest.openloop.entering import Entered
from loadtest.openloop.figures import Measured, together
from loadtest.openloop.orders import Answer, Order, Ready, Setup, to_line
from loadtest.openloop.schedule import NS_PER_S, Phase

ROOT = Path(__file__).resolve().parent.parent.parent
BEGINS_IN_S = 0.2  # all processes have read their order by then


class FleetFault(Exception):
    """A generator process could not begin, or ended; the message says what it said."""


class Fleet:
    """Made with its lines open. Use it as a context manager."""

    def __init__(
        self,
        url: str,
        entered: Sequence[Entered],
        values: Sequence[tuple[str, str]],
        manner: Manner,
        *,
        processes: int = 1,
        next_seq: int = 1,
    ) -> None:
        """Raises FleetFault when not every line could be opened."""
        self.entered = entered
        self.processes = [_start() for _ in range(processes)]
        try:
            for part, process in enumerate(self.processes):
                own = msgspec.structs.replace(manner, part=part, parts=processes)
                setup = Setup(
                    url=url, entered=list(entered[part::processes]), values=list(values), manner=own, next_seq=next_seq
                )
                self._tell(process, setup)
            for process in self.processes:
                ready = self._hear(process, Ready)
                if ready.fault:
                    raise FleetFault(f"not every line could be opened: {ready.fault}")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, phases: Sequence[Phase]) -> list[Measured]:
        """What was measured of each phase; returns when all is answered or given up. Raises FleetFault."""
        self.begin(phases)
        return self.finish()

    def begin(self, phases: Sequence[Phase]) -> None:
        """Start a run and return; `finish` waits for it."""
        order = Order(phases=list(phases), begins_ns=monotonic_ns() + int(BEGINS_IN_S * NS_PER_S))
        for process in self.processes:
            self._tell(process, order)

    def finish(self) -> list[Measured]:
        answers = [self._hear(process, Answer) for process in self.processes]
        return [together(parts) for parts in zip(*(answer.measured for answer in answers), strict=True)]

    def keys_ms(self) -> list[float]:
        """When paper keys came down the channels, in milliseconds from the start; for those who were open then."""
        for process in self.processes:
            self._tell(process, Order())
        return sorted(key_ms for process in self.processes for key_ms in self._hear(process, Answer).keys_ms)

    def write_ledger(self, folder: Path) -> list[Path]:
        """Every process's part, as account.py has it."""
        files = [folder / f"openloop-{part}.jsonl" for part in range(len(self.processes))]
        for process, file in zip(self.processes, files, strict=True):
            self._tell(process, Order(ledger=str(file)))
        for process in self.processes:
            self._hear(process, Answer)
        return files

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def _tell(self, process: subprocess.Popen[bytes], told: Any) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(to_line(told) + b"\n")
            process.stdin.flush()
        except OSError:
            raise FleetFault(_last_words(process)) from None

    def _hear(self, process: subprocess.Popen[bytes], kind: Any) -> Any:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise FleetFault(_last_words(process))
        return msgspec.json.decode(line, type=kind)


def _start() -> subprocess.Popen[bytes]:
    dies_with_us = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    return subprocess.Popen(
        [*dies_with_us, sys.executable, "-m", "loadtest.openloop"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _last_words(process: subprocess.Popen[bytes]) -> str:
    process.kill()
    _, said = process.communicate()
    return f"a generator ended with {process.returncode}: {said.decode('utf-8', 'replace').strip()[-1000:]}"
