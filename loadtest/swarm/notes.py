"""What one process notes of what it saw: in its Recorder for the verdict, in Locust's own tables for who watches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loadtest.sizing.measure import EARLY_MS, Recorder
from loadtest.swarm.clock import EngineClock

Fire = Callable[..., Any]  # Locust's events.request.fire
# Over the channel; everything else is HTTP.
_CHANNEL = frozenset({"channel", "reconnect", "key", "save", "save_intended"})
_SILENT = frozenset({"lateness"})  # of this process, not of the engine


class Failed(Exception):
    """An operation that did not succeed, in one word, as Locust's table of errors shows it."""


class Notes:
    """Counts of the whole process are kept beside: `saves`, `acknowledged`, `errors`."""

    def __init__(self, recorder: Recorder, clock: EngineClock, fire: Fire) -> None:
        self.recorder = recorder
        self.clock = clock
        self.saves = self.acknowledged = self.errors = 0
        self._fire = fire

    def note(self, operation: str, took_s: float, answer_bytes: int = 0) -> None:
        """One success that ended now."""
        took_s = max(0.0, took_s)
        self.recorder.note(operation, took_s * 1e6, self.clock.now_ms())
        if operation not in _SILENT:
            self._tell(operation, took_s, answer_bytes, None)

    def note_from(self, operation: str, after_ms: float) -> None:
        """A success so long after the instant before which it must not be; an error where it came before."""
        if after_ms < -EARLY_MS:
            self.fail(operation, "early")
        else:
            self.note(operation, after_ms / 1000)

    def fail(self, operation: str, what: str) -> None:
        """One error that was met now."""
        self.errors += 1
        self.recorder.fail(operation, what, self.clock.now_ms())
        self._tell(operation, 0.0, 0, Failed(what))

    def count(self, name: str, by: int = 1) -> None:
        self.recorder.count(name, by)

    def _tell(self, operation: str, took_s: float, answer_bytes: int, fault: Exception | None) -> None:
        self._fire(
            request_type="WS" if operation in _CHANNEL else "HTTP",
            name=operation,
            response_time=took_s * 1000,
            response_length=answer_bytes,
            exception=fault,
            context={},
        )
