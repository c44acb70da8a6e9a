"""Pauses of a long-lived process: for garbage that counting references leaves, and for work of its other threads.

Promise: no candidate waits while a worker walks over everything it has. What only cycles hold is still freed.
How: what is there when a process has made itself ready stays to its end and is never looked at again. Calls under way
make and drop some thousand objects all the time; looking begins only when more have come to stay than they ever hold.
Python's own thresholds made a worker with 5,000 channels stand still for 30 ms every 20,000 saves.
And whoever computes in a thread beside the event loop (checking a package, giving papers to seats) hands it back after
half a millisecond; with Python's own five the loop waits as long at every step of every save.
"""

from __future__ import annotations

import gc
import sys

from engine.rules.limits import GARBAGE_OBJECTS_MAX, GARBAGE_ROUNDS, THREAD_TURN_S


def settle() -> None:
    """To be called once, when what the process keeps for its whole life has been made."""
    sys.setswitchinterval(THREAD_TURN_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS_MAX, GARBAGE_ROUNDS, GARBAGE_ROUNDS)
