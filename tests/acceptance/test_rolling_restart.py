"""SIGHUP replaces every process in the middle of an exam: no candidate notices, nothing is lost."""

from __future__ import annotations

import os
import signal

from tests import servers
from tests.acceptance.rehearsal import rehearsing
from tests.servers import Engine, engine_up, wait_until

CANDIDATES = 30
MINUTES = 0.3
ROLL_S = 90  # four seconds on an idle machine
OURS = ("worker-0", "worker-1", "recorder-0", "grader-0", "courier-0")


def test_candidates_save_through_a_rolling_restart() -> None:
    """All of the engine's processes are replaced while everybody writes: connections move, no call is refused."""
    with engine_up("rolling", workers=2) as engine, rehearsing(engine, CANDIDATES, MINUTES) as rehearsal:
        rehearsal.wait_until_writing()
        before = engine.processes

        hang_up(engine)
        wait_until(lambda: "rolling restart: done" in said(engine), ROLL_S, "the rolling restart done")

        after = engine.processes
        code, figures = rehearsal.judgement()

    assert {name for name in before if before[name] != after[name]} == set(OURS)
    assert (figures["faults"], code) == ([], 0)
    assert (figures["lost"], figures["wrong_scores"], figures["wrong_states"]) == (0, 0, 0)
    assert figures["acknowledged"] > CANDIDATES
    assert figures["channels"] > CANDIDATES, "nobody's channel has moved"
    assert (figures["try_later"], figures["server_errors"]) == (0, 0), "somebody was told of it"


def test_a_worker_that_does_not_start_leaves_the_old_one() -> None:
    """The restart is abandoned with the reason, nothing is stopped, and the next one works."""
    with engine_up("unrolled") as engine:
        before = engine.processes
        secrets, aside = engine.data / "secrets", engine.data / "aside"
        secrets.rename(aside)

        hang_up(engine)
        wait_until(lambda: "rolling restart: abandoned" in said(engine), ROLL_S, "the rolling restart abandoned")

        assert engine.processes == before
        assert engine.is_ready()
        assert "the new worker-0 ended with exit code" in said(engine)
        aside.rename(secrets)
        hang_up(engine)
        wait_until(lambda: "rolling restart: done" in said(engine), ROLL_S, "the second rolling restart done")
        assert engine.is_ready()
        assert servers.stop_engine(engine) == 0


def hang_up(engine: Engine) -> None:
    os.kill(engine.supervisor.pid, signal.SIGHUP)


def said(engine: Engine) -> str:
    return engine.supervisor_log.read_text("utf-8")
