"""How a load test is going: one line that a person believes, on a terminal and in a log."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import termios
import threading
from collections.abc import Iterator
from io import TextIOWrapper

import pytest

from loadtest.progress import StatusLine
from loadtest.sizing.plan import Phase, PhaseName
from loadtest.sizing.progress import SILENT_MS, WINDOW_MS, Progress, Rate, Status

PHASES = [
    Phase(PhaseName.CHECK_IN, 10_000, 20_000),
    Phase(PhaseName.STEADY, 20_000, 80_000, 0.2),
    Phase(PhaseName.DEADLINE, 80_000, 90_000, 0.2),
]


def status() -> Status:
    return Status(candidates=1000, up_kbit_per_s=28_000, down_kbit_per_s=20_000)


def said(now_ms: int, **members: float) -> dict[str, float]:
    counts = {"entered": 300, "writing": 280, "saves": 0, "acknowledged": 0, "errors": 0, "cpu": 0.5}
    return {"now_ms": now_ms, **counts, **members}


@pytest.mark.parametrize(
    ("now_ms", "shown"),
    [
        (0, "waiting, check_in in 0:10"),
        (10_000, "check_in, steady in 0:10"),
        (19_999, "check_in, steady in 0:00"),
        (20_000, "steady, deadline in 1:00"),
        (80_000, "deadline, over in 0:10"),
        (90_000, "deadline over"),
    ],
)
def test_the_phase_and_the_time_to_the_next_one_are_told(now_ms: int, shown: str) -> None:
    told = status()
    told.enter("pushing")

    assert told.line(now_ms) == "pushing"
    told.enter("")
    told.follow(PHASES)
    assert told.line(now_ms) == shown
    told.enter("settling the account")
    assert told.line(now_ms) == "settling the account"


def test_what_all_generators_say_is_added_up() -> None:
    """Rates are of the last seconds, the CPU is that of the busiest, the p99 that of the slowest."""
    told = status()
    for second in range(12):
        told.told("swarm-0", said(second * 1000, saves=100 * second, acknowledged=100 * second, p99_ms=8.0))
        told.told("openloop-0", said(second * 1000, saves=50 * second, acknowledged=49 * second, cpu=0.62, p99_ms=12.5))
    told.told("swarm-0", said(11_000, saves=1100, acknowledged=1100, errors=3, p99_ms=8.0))

    line = told.line(11_500)

    assert "in 600/1000, writing 560" in line
    assert " 150 saves/s" in line
    assert "acknowledged 1,639/1,650" in line and "errors 3" in line
    assert "p99 12.5 ms" in line and "busiest generator 62%" in line
    assert "silent" not in line and "up" not in line


def test_bandwidth_is_told_against_the_tier() -> None:
    told = status()
    for second in range(8):
        told.moved(second * 1000, 70_000 + 125_000 * second, 250_000 * second)
    told.moved(8_000, None, None)

    assert told.line(8_000).endswith("up 1/28 Mbit/s · down 2/20 Mbit/s")


def test_a_generator_that_fell_silent_is_named() -> None:
    """And one that says what nobody expected harms nothing."""
    told = status()
    told.told("swarm-0", {"now_ms": 1_000, "saves": "many", "cpu": None})
    told.told("swarm-1", said(5_000))

    assert "silent: swarm-0" in told.line(1_001 + SILENT_MS)
    assert "silent" not in told.line(5_000)


def test_a_rate_forgets_what_is_older_than_its_window() -> None:
    """A burst is not averaged into minutes of quiet, nor the other way round."""
    rate = Rate()
    assert rate.per_s() is None
    for second in range(60):
        rate.note(second * 1000, 0)
    for second in range(60, 60 + WINDOW_MS // 1000):
        rate.note(second * 1000, (second - 59) * 10)

    assert rate.per_s() == 10
    rate.note(0, 5)
    assert rate.per_s() is not None and rate.per_s() != 10  # the newest count at the newest instant


@contextlib.contextmanager
def terminal() -> Iterator[int]:
    """A terminal of 40 columns as stderr; what it gets is read from the descriptor. Not a fixture: pytest puts its own
    stderr back when a test begins."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    with TextIOWrapper(os.fdopen(theirs, "wb", buffering=0), write_through=True) as stream:
        with contextlib.redirect_stderr(stream):
            yield ours
        os.close(ours)


def received(terminal: int) -> str:
    found = b""
    while select.select([terminal], [], [], 0.05)[0]:
        found += os.read(terminal, 4096)
    return found.decode()


def test_a_terminal_has_one_line_that_never_wraps() -> None:
    """One that wraps could not be overwritten."""
    with terminal() as screen:
        line = StatusLine(wanted=True)
        line.show("x" * 100)
        line.show("y")
        line.say("stays")
        shown = received(screen)

    assert "x" * 39 in shown and "x" * 40 not in shown
    assert shown.endswith("\r\x1b[2Ky\r\x1b[2Kstays\r\n")


def test_elsewhere_lines_follow_one_another(capsys: pytest.CaptureFixture[str]) -> None:
    line = StatusLine(wanted=True)
    line.show("x" * 100)
    line.say("stays")
    StatusLine(wanted=False).show("never")
    StatusLine(wanted=False).say("never")

    assert capsys.readouterr().err == "x" * 100 + "\nstays\n"


def test_progress_is_shown_while_it_is_fed_from_another_thread() -> None:
    def feed() -> None:
        progress.follow(PHASES)
        progress.told("swarm-0", said(25_000))

    with terminal() as screen:
        progress = Progress(status(), lambda: 25_000.0, wanted=True)
        feeder = threading.Thread(target=feed)
        with progress.shown():
            feeder.start()
            feeder.join()
            assert select.select([screen], [], [], 30)[0]
            shown = received(screen)
            progress.say("settled")
        last = received(screen)

    assert "steady, deadline in 0:55 · in 300/1000" in shown
    assert "settled\r\n" in last
