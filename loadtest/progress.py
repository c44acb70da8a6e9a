"""One line on stderr that tells a person how the rehearsal is going."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadtest.tally import Tally

REFRESH_S = 0.5
PLAIN_REFRESH_S = 10.0  # where lines cannot be overwritten


class StatusLine:
    """The last line of a terminal, written again and again; elsewhere one line after the other. Silent unless
    `wanted`."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted
        self.refreshes = sys.stderr.isatty()
        self.refresh_s = REFRESH_S if self.refreshes else PLAIN_REFRESH_S

    def say(self, text: str) -> None:
        """A line that stays."""
        if self.wanted:
            self.clear()
            print(text, file=sys.stderr, flush=True)

    def show(self, line: str) -> None:
        """In place of what was shown before; no longer than the terminal is wide, or it could not be overwritten."""
        if self.wanted and self.refreshes:
            print(f"\r\x1b[2K{line[: _columns() - 1]}", end="", file=sys.stderr, flush=True)
        elif self.wanted:
            print(line, file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self.wanted and self.refreshes:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)


class Progress:
    """Shows `phase` and the numbers of `tally` while `shown()` is entered; silent when `wanted` is False."""

    def __init__(self, tally: Tally, candidates: int, wanted: bool) -> None:
        self.tally = tally
        self.candidates = candidates
        self.status = StatusLine(wanted)
        self.phase = ""
        self._saves_before = 0
        self._time_before = time.monotonic()

    def say(self, text: str) -> None:
        """A line that stays."""
        self.status.say(text)

    def enter(self, phase: str) -> None:
        self.phase = phase
        if not self.status.refreshes:
            self.status.say(phase)

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Refresh the line in the background."""
        task = asyncio.create_task(self._refresh()) if self.status.wanted else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                self.status.clear()

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(self.status.refresh_s)
            self.status.show(self._line())

    def _line(self) -> str:
        now, tally = time.monotonic(), self.tally
        per_second = (tally.saves - self._saves_before) / max(now - self._time_before, 0.001)
        self._saves_before, self._time_before = tally.saves, now
        errors = tally.unreachable + tally.try_later + tally.server_errors
        return (
            f"{self.phase} · in {tally.logged_in}/{self.candidates} · writing {tally.writing}"
            f" · saves/s {per_second:.0f} · acknowledged {tally.acknowledged}/{tally.saves} · retried errors {errors}"
        )


def _columns() -> int:
    try:
        return max(20, os.get_terminal_size(sys.stderr.fileno()).columns)
    except (OSError, ValueError):  # its stderr is none any more
        return 80
