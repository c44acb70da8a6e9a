"""PostgreSQL stopped for twenty seconds in the middle of an exam: saves go on, and everything is recorded after."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.rehearsal import rehearsing
from tests.servers import Engine, engine_up

CANDIDATES = 40
MINUTES = 1.0
AWAY_S = 20


def processes_of_postgres(engine: Engine) -> list[int]:
    """The postmaster and every backend it has at this moment."""
    postmaster = engine.processes["postgres"]
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # gone while we looked
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == postmaster:
                children.append(int(stat.parent.name))
    return [postmaster, *children]


def readyz(engine: Engine) -> tuple[int, dict[str, Any]]:
    with urllib.request.urlopen(f"{engine.url}/readyz", timeout=30) as answer:
        return answer.status, json.load(answer)


@pytest.mark.slow
def test_postgresql_away_for_twenty_seconds_stops_no_save() -> None:
    """Frozen, not refused: the worst way to be away, since connections hang instead of failing."""
    with engine_up("away") as engine, rehearsing(engine, CANDIDATES, MINUTES) as rehearsal:
        rehearsal.wait_until_writing()
        frozen = processes_of_postgres(engine)
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(AWAY_S)
            status, said = readyz(engine)
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        code, figures = rehearsal.judgement()

    assert len(frozen) > 3
    assert (status, said["colour"], list(said["not_ready"])) == (200, "amber", ["postgresql", "months"])
    assert (figures["faults"], code) == ([], 0)
    assert (figures["lost"], figures["wrong_scores"]) == (0, 0)
    assert figures["submitted"] + figures["collected"] + figures["absent"] == CANDIDATES
    assert figures["server_errors"] == 0
