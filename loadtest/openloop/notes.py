"""What a generator of a load test notes: latencies and errors of its candidates, for the conductor's judge.

The engine's clock is kept here as well; instants are its milliseconds.
"""

from __future__ import annotations

import time

from loadtest.openloop.figures import Figures
from loadtest.openloop.schedule import Phase
from loadtest.sizing.measure import EARLY_MS, Recorder
from loadtest.sizing.plan import Plan
from loadtest.swarm.clock import EngineClock

# What the driver calls an error -> of which operation it is one.
_OPERATIONS = {"lost": "channel", "not_opened": "channel"}


class Notes:
    """Of one process."""

    def __init__(self, process: str, plan: Plan) -> None:
        self.clock = EngineClock()
        self.recorder = Recorder(process, plan.phase_at)
        self.saves = self.acknowledged = self.errors = self.entered = self.writing = 0

    def now_ms(self) -> float:
        return self.clock.now_ms()

    def monotonic_ns_of(self, instant_ms: float) -> int:
        """Of this machine's clock, as far as the engine's is known now."""
        return time.monotonic_ns() + int((instant_ms - self.now_ms()) * 1e6)

    def note(self, operation: str, took_s: float) -> None:
        """A success that ended now."""
        self.recorder.note(operation, max(0.0, took_s) * 1e6, self.now_ms())

    def note_from(self, operation: str, after_ms: float) -> None:
        """A success so long after the instant before which it must not be; an error where it came before."""
        if after_ms < -EARLY_MS:
            self.fail(operation, "early")
        else:
            self.note(operation, after_ms / 1000)

    def fail(self, operation: str, what: str) -> None:
        self.errors += 1
        self.recorder.fail(operation, what, self.now_ms())

    def meet(self, kind: str) -> None:
        """What the driver calls an error, whatever phase it is."""
        self.fail(_OPERATIONS.get(kind, "save"), kind)


class PlanFigures(Figures):
    """Of one phase of a plan, noted where all of the process's are."""

    def __init__(self, phase: Phase, notes: Notes) -> None:
        super().__init__(phase)
        self._notes = notes

    def taken_up(self, late_us: int) -> None:
        self._notes.saves += 1
        self._notes.note("lateness", late_us / 1e6)

    def acknowledged(self, from_due_us: int, from_sent_us: int) -> None:
        self._notes.acknowledged += 1
        self._notes.note("save", from_sent_us / 1e6)
        self._notes.note("save_intended", from_due_us / 1e6)

    def unanswered(self, so_far_us: int) -> None:
        self._notes.note("save_intended", so_far_us / 1e6)
        self._notes.fail("save", "unanswered")

    def fail(self, kind: str, what: str) -> None:
        self._notes.meet(kind)
