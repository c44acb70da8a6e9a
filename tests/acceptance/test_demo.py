"""The demo shows what its guide says, to somebody who copies every line of it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers

GUIDE_S = 90
STOP_S = 5  # promised
GUIDE_ENDS = "Ctrl-C stops everything"


class Demo:
    """One run of it; `guide` is what it prints."""

    def __init__(self, data: Path, port: int) -> None:
        self.screen = data.parent / f"screen-{time.monotonic_ns()}"
        command = [sys.executable, "-m", "engine", "demo", "--data", str(data), "--port", str(port)]
        with open(self.screen, "wb") as screen:
            self.process = subprocess.Popen(
                [*command, "--candidates", "2", "--minutes", "2"],
                cwd=servers.ROOT,
                env=servers.environ(),
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=screen,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.screen.read_text("utf-8")

    def guide(self) -> str:
        """Waits for it."""
        servers.wait_until(lambda: GUIDE_ENDS in self.said() or self.process.poll() is not None, GUIDE_S, "the guide")
        assert self.process.poll() is None, self.said()
        return self.said()

    def stop(self) -> tuple[int, float]:
        """Ctrl-C; returns the exit code and the seconds it took."""
        started_s = time.monotonic()
        return servers.stop(self.process, signal.SIGINT, timeout_s=15), time.monotonic() - started_s


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    with servers.temporary_folder("demo") as folder:
        yield folder / "data"


def test_the_guide_works_line_by_line_and_a_second_start_goes_on(data: Path) -> None:
    """Each curl line is answered as it stands; Ctrl-C ends it in time; the next start finds the same exams."""
    if not shutil.which("curl"):
        pytest.skip("no curl here")
    port = servers.free_port()
    first = Demo(data, port)
    try:
        guide = first.guide()
        for line in re.findall(r"^ +(curl .*)$", guide, re.MULTILINE):
            done = subprocess.run([*shlex.split(line), "--fail"], capture_output=True, timeout=30)
            assert done.returncode == 0, f"{line}\n{done.stdout.decode()}{done.stderr.decode()}"
            if "/metrics" not in line:
                json.loads(done.stdout)
    finally:
        code, took_s = first.stop()

    assert code == 0
    assert took_s < STOP_S

    second = Demo(data, port)
    try:
        again = second.guide()
    finally:
        code, _ = second.stop()

    assert code == 0
    assert _batches(again) == _batches(guide)
    assert again.count("goes on: ") == 2
    assert _keys(again) == _keys(guide)


def _batches(guide: str) -> list[str]:
    return re.findall(r"^  ([A-Z0-9]+-\d{8}-\d{6})  ", guide, re.MULTILINE)


def _keys(guide: str) -> list[str]:
    return re.findall(r"^    (?:schedule|results|proctor|ops) +(\S+)$", guide, re.MULTILINE)
