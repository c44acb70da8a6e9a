"""A rehearsal in a process of its own, watched from outside while things are done to its engine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.servers import ROOT, Engine, environ, wait_until

FINISHED_S = 240


class Rehearsal:
    """`python -m engine rehearse --json` on a given engine."""

    def __init__(self, engine: Engine, candidates: int, minutes: float) -> None:
        self._engine = engine
        command = [sys.executable, "-m", "engine", "rehearse", "--json", "--candidates", str(candidates)]
        command += ["--minutes", str(minutes), "--ready-file", str(engine.ready_file), "--seed", "7"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def wait_until_writing(self) -> None:
        """Returns a little after the start, when candidates are saving."""
        wait_until(lambda: self._batch_state() == "open", 120, "the rehearsal's batch to open")
        time.sleep(2)

    def is_open(self) -> bool:
        return self._batch_state() == "open"

    def judgement(self) -> tuple[int, dict[str, Any]]:
        """Exit code and figures, once it is through."""
        out, err = self.process.communicate(timeout=FINISHED_S)
        assert out, f"the rehearsal said nothing:\n{err}"
        return self.process.returncode, json.loads(out)

    def _batch_state(self) -> str:
        request = urllib.request.Request(
            f"{self._engine.url}/v1/batches", headers={"authorization": f"Bearer {self._engine.keys['schedule']}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                batches = json.load(answer)["batches"]
        except OSError:
            return "unknown"
        return str(batches[-1]["state"]) if batches else "none"


@contextmanager
def rehearsing(engine: Engine, candidates: int, minutes: float) -> Iterator[Rehearsal]:
    rehearsal = Rehearsal(engine, candidates, minutes)
    try:
        yield rehearsal
    finally:
        if rehearsal.process.poll() is None:
            rehearsal.process.kill()
        rehearsal.process.wait()
