"""Looks for the knee: rates up until one does not hold, then between the last that held and that one. Pure.

Promise: `held` is the highest rate that held with everything below it, `failed` the lowest that did not; their ratio
ends within the precision, if the steps suffice. A rate counts as not held only when it did not hold twice in a row:
a neighbour on a shared machine spoils single steps.
"""

from __future__ import annotations

import math

from msgspec import Struct

GROWTH = 1.6
TRIES = 2


class Search(Struct, kw_only=True):
    """Ask `next_rate`, try it, tell with `note`; until it is None."""

    first: float
    highest: float
    precision: float = 1.05
    steps_max: int = 24
    held: float = 0.0
    failed: float = 0.0
    steps: int = 0
    _tries: int = 0
    _now: float = 0.0

    def next_rate(self) -> float | None:
        """Saves per second, or None at the end."""
        if self.steps >= self.steps_max or (self.held >= self.highest and not self.failed):
            return None
        if self._tries:
            return self._now
        if not self.failed:
            return min(self.highest, self.held * GROWTH) if self.held else min(self.first, self.highest)
        if not self.held:
            return None if self.failed < self.first / 8 else round(self.failed / 2, 1)
        if self.failed / self.held <= self.precision:
            return None
        return round(math.sqrt(self.failed * self.held), 1)

    def note(self, rate: float, *, held: bool) -> None:
        self.steps += 1
        self._now = rate
        if held:
            self._tries = 0
            self.held = max(self.held, rate)
            return
        self._tries += 1
        if self._tries >= TRIES:
            self._tries = 0
            self.failed = min(self.failed, rate) if self.failed else rate
