"""Pauses: seldom for garbage, which is still found, and short. In a process of its own: what is frozen stays so."""

from __future__ import annotations

import subprocess
import sys

from engine.rules.limits import GARBAGE_OBJECTS_MAX
from tests.servers import ROOT

_SETTLED = """
import gc, weakref
from engine import pauses
from engine.rules.limits import GARBAGE_OBJECTS_MAX

class Held:
    pass

def circle():
    one, other = Held(), Held()
    one.other, other.other = other, one
    return weakref.ref(one)

pauses.settle()
"""


def told(statements: str) -> str:
    """What a process prints that has settled and then does this."""
    program = [sys.executable, "-c", _SETTLED + statements]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()


def test_calls_that_come_and_go_are_not_looked_through() -> None:
    """However many there are: only what stays is counted."""
    counted = "looked = []; gc.callbacks.append(lambda phase, _: looked.append(phase))\n"
    calls = f"for _ in range(50):\n    under_way = [[] for _ in range({GARBAGE_OBJECTS_MAX // 2})]\n    del under_way\n"

    assert told(counted + calls + "print(len(looked))") == "0"


def test_what_only_cycles_hold_is_freed() -> None:
    circles = "refs = [circle() for _ in range(2 * GARBAGE_OBJECTS_MAX)]\n"

    assert told(circles + "print(sum(ref() is not None for ref in refs) <= GARBAGE_OBJECTS_MAX)") == "True"


def test_a_thread_that_computes_gives_the_loop_its_turn_soon() -> None:
    """Not after Python's own five milliseconds."""
    assert float(told("import sys; print(sys.getswitchinterval())")) <= 0.001


def test_what_was_there_at_the_start_is_left_alone() -> None:
    assert int(told("print(gc.get_freeze_count())")) > 1_000
