"""A short torture campaign: every process class is killed and stopped while exams go on, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.torture.field import CLASSES
from tests.servers import ROOT, environ, temporary_folder, wait_until

FINISHED_S = 400
COMMAND = [sys.executable, "-m", "engine", "torture", "--candidates", "18", "--seed", "3"]


@pytest.mark.slow
def test_killing_and_stopping_every_class_during_exams_loses_nothing() -> None:
    """The command says so itself, with exit code 0 and a zero for every kind of fault."""
    command = [*COMMAND, "--kills", "1", "--stops", "1", "--cuts", "2", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environ(), capture_output=True, text=True, timeout=FINISHED_S)
    assert done.stdout, done.stderr
    figures = json.loads(done.stdout)

    assert (figures["faults"], figures["ended_early"], done.returncode) == ([], [], 0)
    assert (figures["kills"], figures["stops"], figures["cuts"]) == (len(CLASSES), len(CLASSES), 2)
    assert (figures["lost"], figures["accepted_late"], figures["finalised_twice"]) == (0, 0, 0)
    assert figures["acknowledged"] > 100


@pytest.mark.slow
def test_an_interrupted_campaign_leaves_nothing_behind() -> None:
    """Neither processes nor folders; the exit code says that nothing was judged."""
    with temporary_folder("cut") as folder:  # short: servers put sockets below it
        torture = subprocess.Popen(
            [*COMMAND, "--kills", "9"],
            cwd=ROOT,
            env={**environ(), "TMPDIR": str(folder)},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert torture.stderr is not None
        try:
            while "the engine is up" not in (line := torture.stderr.readline()):
                assert line, "it ended by itself"
            wait_until(lambda: any(folder.glob("lk-torture-*/accounts/ledger-0.jsonl")), 60, "candidates")
            torture.send_signal(signal.SIGTERM)
            code = torture.wait(60)
        finally:
            torture.kill()
            torture.wait()

        assert code == 130
        assert list(folder.glob("lk-torture-*")) == []
        wait_until(lambda: not _processes_naming(str(folder)), 30, "no process of it any more")


def _processes_naming(text: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if text in command and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found
