"""How a load test is going, on one line while it runs: `Status` makes the line and is pure, `Progress` shows it.

It is fed with what generators say once a second (`loadtest.sizing`) and with the bytes that were counted on the line.
A generator that fell silent keeps what it said last, and is named.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from loadtest.progress import StatusLine
from loadtest.sizing import figures
from loadtest.sizing.plan import Phase

WINDOW_MS = 5_000  # rates are of so long
SILENT_MS = 5_000
_COUNTS = ("entered", "writing", "saves", "acknowledged", "errors")


class Rate:
    """Per second, of a count that only grows, over the last WINDOW_MS."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()

    def note(self, at_ms: float, total: float) -> None:
        """An instant that is not later than the one before tells nothing new."""
        if self._seen and at_ms <= self._seen[-1][0]:
            self._seen[-1] = (self._seen[-1][0], total)
            return
        self._seen.append((at_ms, total))
        while len(self._seen) > 2 and self._seen[1][0] <= at_ms - WINDOW_MS:
            self._seen.popleft()

    def per_s(self) -> float | None:
        """None until there are two instants."""
        if len(self._seen) < 2:
            return None
        (from_ms, before), (until_ms, after) = self._seen[0], self._seen[-1]
        return max(0.0, (after - before) * 1000 / (until_ms - from_ms))


class Status:
    """Everything that the line tells. Instants are the engine's clock in milliseconds."""

    def __init__(self, candidates: int, up_kbit_per_s: float, down_kbit_per_s: float) -> None:
        self.candidates = candidates
        self._line_kbit_per_s = (up_kbit_per_s, down_kbit_per_s)
        self._stage = ""
        self._phases: Sequence[Phase] = ()
        self._said: dict[str, Mapping[str, Any]] = {}
        self._saves = Rate()
        self._moved = (Rate(), Rate())

    def enter(self, stage: str) -> None:
        """What is done outside of a plan's phases, as pushing the exam."""
        self._stage, self._phases = stage, ()

    def follow(self, phases: Sequence[Phase]) -> None:
        """From now on the clock tells the phase."""
        self._phases = phases

    def told(self, process: str, said: Mapping[str, Any]) -> None:
        """What a generator says of itself; its counts grow from its beginning. A `p99_ms` is of its last seconds."""
        self._said[process] = said
        self._saves.note(_number(said, "now_ms"), self._sum("saves"))

    def moved(self, at_ms: float, up_bytes: int | None, down_bytes: int | None) -> None:
        """What an interface has counted since whenever."""
        for rate, total in zip(self._moved, (up_bytes, down_bytes), strict=True):
            if total is not None:
                rate.note(at_ms, total)

    def line(self, now_ms: float) -> str:
        """Only of what there is anything to tell."""
        parts = [self._phase(now_ms)]
        if self._said:
            entered, writing, saves, acknowledged, errors = map(self._sum, _COUNTS)
            parts.append(f"in {entered:.0f}/{self.candidates}, writing {writing:.0f}")
            per_s = self._saves.per_s()
            parts.append(f"{figures.number(round(per_s, 1)) if per_s is not None else figures.NONE} saves/s")
            parts.append(f"acknowledged {acknowledged:,.0f}/{saves:,.0f}")
            parts.append(f"errors {errors:.0f}")
            p99_ms = max((_number(said, "p99_ms") for said in self._said.values() if "p99_ms" in said), default=None)
            if p99_ms is not None:
                parts.append(f"p99 {figures.milliseconds(p99_ms)}")
        parts += self._bandwidth()
        if self._said:
            busiest = max(_number(said, "cpu") for said in self._said.values())
            parts.append(f"busiest generator {busiest:.0%}")
        silent = [name for name, said in self._said.items() if now_ms - _number(said, "now_ms") > SILENT_MS]
        if silent:
            parts.append(f"silent: {', '.join(sorted(silent))}")
        return " · ".join(part for part in parts if part)

    def _phase(self, now_ms: float) -> str:
        later = [phase for phase in self._phases if phase.from_ms > now_ms]
        current = next((phase for phase in self._phases if phase.from_ms <= now_ms < phase.until_ms), None)
        if current is None and not later:
            return self._phases[-1].name + " over" if self._phases else self._stage
        name = current.name if current else (self._stage or "waiting")
        if later:
            return f"{name}, {later[0].name} in {figures.span((later[0].from_ms - now_ms) / 1000)}"
        assert current is not None
        return f"{name}, over in {figures.span((current.until_ms - now_ms) / 1000)}"

    def _bandwidth(self) -> list[str]:
        shown = []
        for name, rate, kbit_per_s in zip(("up", "down"), self._moved, self._line_kbit_per_s, strict=True):
            per_s = rate.per_s()
            if per_s is not None:
                used, carried = figures.number(round(per_s * 8 / 1e6, 2)), figures.number(kbit_per_s / 1000)
                shown.append(f"{name} {used}/{carried} Mbit/s")
        return shown

    def _sum(self, name: str) -> float:
        return sum(_number(said, name) for said in self._said.values())


class Progress:
    """Shows a Status on stderr while `shown()` is entered. May be fed from any thread."""

    def __init__(self, status: Status, now_ms: Callable[[], float], wanted: bool) -> None:
        self._status = status
        self._now_ms = now_ms
        self._line = StatusLine(wanted)
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def say(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            self._line.say(text)

    def enter(self, stage: str) -> None:
        with self._lock:
            self._status.enter(stage)
            if not self._line.refreshes:
                self._line.say(stage)

    def follow(self, phases: Sequence[Phase]) -> None:
        with self._lock:
            self._status.follow(phases)

    def told(self, process: str, said: Mapping[str, Any]) -> None:
        with self._lock:
            self._status.told(process, said)

    def moved(self, at_ms: float, up_bytes: int | None, down_bytes: int | None) -> None:
        with self._lock:
            self._status.moved(at_ms, up_bytes, down_bytes)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Refresh the line in the background."""
        self._ended.clear()
        thread = threading.Thread(target=self._refresh, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
            self._line.clear()

    def _refresh(self) -> None:
        while not self._ended.wait(self._line.refresh_s):
            with self._lock:
                self._line.show(self._status.line(self._now_ms()))


def _number(said: Mapping[str, Any], name: str) -> float:
    value = said.get(name, 0)
    return float(value) if isinstance(value, int | float) else 0.0
