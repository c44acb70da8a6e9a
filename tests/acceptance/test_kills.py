"""kill -9 of every process in turn, in the middle of an exam: no acknowledged answer is lost."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.acceptance.rehearsal import rehearsing
from tests.servers import engine_up, wait_until

CANDIDATES = 40
MINUTES = 0.8
BETWEEN_KILLS_S = 2.5


@pytest.mark.slow
def test_killing_every_process_in_turn_loses_nothing() -> None:
    """Worker, recorder, grader, PostgreSQL and Valkey die by SIGKILL; every answer and score is right all the same."""
    with engine_up("kills") as engine, rehearsing(engine, CANDIDATES, MINUTES) as rehearsal:
        rehearsal.wait_until_writing()
        killed = []
        for name in ("worker-0", "redis", "recorder-0", "postgres", "grader-0", "redis"):
            killed.append((name, engine.processes[name]))
            assert rehearsal.process.poll() is None, "the exam was over before everything had been killed"
            os.kill(engine.processes[name], signal.SIGKILL)
            wait_until(lambda: engine.processes[name] != killed[-1][1], 20, f"{name} started again")  # noqa: B023
            time.sleep(BETWEEN_KILLS_S)
        code, figures = rehearsal.judgement()

    assert (figures["faults"], code) == ([], 0)
    assert (figures["lost"], figures["wrong_scores"], figures["wrong_states"]) == (0, 0, 0)
    assert figures["submitted"] + figures["collected"] + figures["absent"] == CANDIDATES
    assert figures["retries"] + figures["try_later"] + figures["unreachable"] > 0, "nobody noticed any kill"
    assert figures["acknowledged"] > CANDIDATES
