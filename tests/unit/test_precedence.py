"""Short turns: for who asks, and for nobody that it starts. In a process of its own: what is asked for stays so."""

from __future__ import annotations

import platform
import re
import subprocess
import sys

from engine.rules.limits import SHORT_TURN_S
from tests.servers import ROOT

SHORT_NS = round(SHORT_TURN_S * 1e9)
# From this version on the kernel takes the wish; before, everything stays as it was.
KNOWN_SINCE = (6, 12)
_TOLD = """
import multiprocessing, os, threading
from engine.precedence import take_short_turns, turn_ns

def told_by_child():
    queue = multiprocessing.get_context("fork").Queue()
    child = multiprocessing.get_context("fork").Process(target=lambda: queue.put(turn_ns()))
    child.start()
    return queue.get()

def told_by_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(turn_ns(threading.get_native_id())))
    thread.start()
    thread.join()
    return found[0]

before = turn_ns()
"""


def told(statements: str) -> list[str]:
    """What a process prints that does this."""
    done = subprocess.run(
        [sys.executable, "-c", _TOLD + statements], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.split()


def is_known() -> bool:
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    return found is not None and tuple(map(int, found.groups())) >= KNOWN_SINCE


def test_who_asks_has_short_turns() -> None:
    """On an older kernel the answer is no, and nothing has changed."""
    expected = ["True", str(SHORT_NS)] if is_known() else ["False", "0"]

    assert told("print(take_short_turns(), turn_ns())") == expected


def test_another_process_may_be_given_them() -> None:
    """Redis cannot ask by itself."""
    asked = "child = multiprocessing.get_context('fork').Process(target=lambda: threading.Event().wait(60))\n"
    asked += "child.start(); print(take_short_turns(child.pid), turn_ns(child.pid), turn_ns() == before); child.kill()"
    expected = ["True", str(SHORT_NS), "True"] if is_known() else ["False", "0", "True"]

    assert told(asked) == expected


def test_what_it_starts_waits_as_everybody_does() -> None:
    """A worker's readers of rosters and its threads do not go before Redis."""
    assert told("take_short_turns(); print(told_by_child() == before, told_by_thread() == before)") == ["True", "True"]


def test_what_an_operator_chose_stays() -> None:
    """Niceness is kept, and so is another policy, which has no short turns."""
    nice = "os.nice(7); take_short_turns(); print(os.nice(0))"
    idle = "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)); print(take_short_turns())\n"
    idle += "print(os.sched_getscheduler(0) == os.SCHED_IDLE)"

    assert told(nice) == ["7"]
    assert told(idle) == ["False", "True"]


def test_a_process_that_is_gone_has_none() -> None:
    """It may have ended before its supervisor could ask."""
    gone = "child = os.fork() or os._exit(0)\nos.waitpid(child, 0)\nprint(take_short_turns(child), turn_ns(child))"

    assert told(gone) == ["False", "0"]
