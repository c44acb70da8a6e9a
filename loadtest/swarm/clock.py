"""The engine's time, as the page keeps it (engine/web/clock.js): one clock for all candidates of a process.

A sample taken over a slow round trip is uncertain by half of it; the best recent one is believed. Until the first one,
the system's clock stands in, which is what people arrive by.
"""

from __future__ import annotations

import time

SAMPLE_AGE_MAX_MS = 60_000.0


class EngineClock:
    """Instants are milliseconds since 1970 on the engine's clock; `sent` and `received` are time.monotonic()."""

    def __init__(self) -> None:
        self.offset_ms = time.time() * 1000 - time.monotonic() * 1000
        self._uncertainty_ms = float("inf")
        self._sampled_ms = float("-inf")

    def now_ms(self) -> float:
        return time.monotonic() * 1000 + self.offset_ms

    def sync(self, server_ms: float, sent: float, received: float) -> None:
        """Take one reading of the engine's clock."""
        sample_ms = server_ms - (sent + received) * 500
        uncertainty_ms = (received - sent) * 500
        received_ms = received * 1000
        agrees = abs(sample_ms - self.offset_ms) <= uncertainty_ms + self._uncertainty_ms
        fresh = received_ms - self._sampled_ms < SAMPLE_AGE_MAX_MS
        if agrees and fresh and uncertainty_ms > self._uncertainty_ms:
            return
        self.offset_ms, self._uncertainty_ms, self._sampled_ms = sample_ms, uncertainty_ms, received_ms


class Wake:
    """An instant of the engine's clock that somebody is about to sleep until, and how late he wakes.

    A sample that corrects the clock meanwhile moves the instant under whoever sleeps, and everybody does: over a line
    that is full or loses packets by 150 ms and more. That is no lateness of this process, so the clock counts that
    says less, the engine's as it is then or the machine's own from now on.
    """

    def __init__(self, clock: EngineClock, due_ms: float) -> None:
        self._clock, self._due_ms = clock, due_ms
        self._due_s = time.monotonic() + (due_ms - clock.now_ms()) / 1000

    def late_s(self) -> float:
        by_engine_s = (self._clock.now_ms() - self._due_ms) / 1000
        return max(0.0, min(by_engine_s, time.monotonic() - self._due_s))
