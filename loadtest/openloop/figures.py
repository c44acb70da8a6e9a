"""What one process noted of one phase, and when that is worth nothing.

Promise: a phase in which the generator itself was short of time is void and says so; its latencies are the generator's
as much as the engine's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hdrh.histogram import HdrHistogram
from msgspec import Struct

from loadtest.openloop.schedule import Phase
from loadtest.openloop.times import DIGITS, HIGHEST_US, LOWEST_US, Times

# Of one core. Python's loop shares its time among all sittings: beyond this, bursts of answers make each other late.
BUSY_SHARE_MAX = 0.7
# A tick is 1 ms. What is 20 ms late in one of a hundred cases is no tick any more, and a fifth of what a step may show.
LATE_P99_MS_MAX = 20.0
FAULT_CHARACTERS = 300


class Figures:
    """Of one phase, filled while it runs. `late`: from due to taken up, whether its sitting was free or not."""

    def __init__(self, phase: Phase) -> None:
        self.phase = phase
        self.offered = self.calls = self.resent = 0
        self.from_due, self.from_sent, self.late = Times(), Times(), Times()
        self.errors: dict[str, int] = {}
        self.fault = ""
        self.busy_shares: list[float] = []  # of one core, second by second
        self._busy_s = self._lived_s = 0.0
        self.seconds: list[list[int]] = []  # acknowledged and slowest in us, second by second
        self.second = [0, 0]

    def taken_up(self, late_us: int) -> None:
        """A save that was due is sent now, or waits for its sitting."""
        self.offered += 1
        self.late.note(late_us)

    def acknowledged(self, from_due_us: int, from_sent_us: int) -> None:
        self.from_due.note(from_due_us)
        self.from_sent.note(from_sent_us)
        second = self.second
        second[0] += 1
        if from_due_us > second[1]:
            second[1] = from_due_us

    def unanswered(self, so_far_us: int) -> None:
        """It took at least that long: left out, the slowest would make the rest look fast."""
        self.from_due.note(so_far_us)
        self.fail("unanswered", f"no answer within {so_far_us / 1e6:.1f} s")

    def fail(self, kind: str, what: str) -> None:
        self.errors[kind] = self.errors.get(kind, 0) + 1
        self.fault = self.fault or f"{kind}: {what}"[:FAULT_CHARACTERS]

    def end_second(self, busy_share: float, lasted_s: float) -> None:
        """The last second of a phase may be shorter."""
        self._busy_s += busy_share * lasted_s
        self._lived_s += lasted_s
        self.busy_shares.append(round(busy_share, 3))
        self.seconds.append(self.second)
        self.second = [0, 0]

    @property
    def busy_share(self) -> float:
        return self._busy_s / self._lived_s if self._lived_s else 0.0

    def report(self) -> Measured:
        late_p99_ms = self.late.percentile_us(0.99) / 1000
        return Measured(
            name=self.phase.name,
            is_judged=self.phase.is_judged,
            seconds=self.phase.seconds,
            saves_per_s=self.phase.saves_per_s,
            offered=self.offered,
            acknowledged=self.from_due.count - self.errors.get("unanswered", 0),
            calls=self.calls,
            resent=self.resent,
            errors=self.errors,
            fault=self.fault,
            from_due=self.from_due.histogram().encode().decode(),
            from_sent=self.from_sent.histogram().encode().decode(),
            late=self.late.histogram().encode().decode(),
            cpu_s=self._busy_s,
            busy_share=self.busy_share,
            busy_shares=self.busy_shares,
            per_second=self.seconds,
            why_void=why_void(self.busy_share, late_p99_ms) if self.phase.is_judged else "",
        )


class Measured(Struct, kw_only=True):
    """One phase as one process, or several together, saw it. Histograms in HdrHistogram's base64, microseconds.

    `cpu_s` of all processes, `busy_share` of one core, of the busiest; `from_due` counts from the instant at which a
    save was due, `from_sent` from its sending; `per_second` holds (acknowledged, slowest in us). `why_void` is empty
    for what can be judged.
    """

    name: str
    is_judged: bool
    seconds: float
    saves_per_s: float
    offered: int
    acknowledged: int
    calls: int
    resent: int
    errors: dict[str, int]
    fault: str
    from_due: str
    from_sent: str
    late: str
    cpu_s: float
    busy_share: float
    busy_shares: list[float]
    per_second: list[list[int]]
    why_void: str

    @property
    def failed(self) -> int:
        return sum(self.errors.values())

    def percentiles_ms(self) -> dict[str, float]:
        """`p50`, `p99`, `p99_9` and `max` from due, `sent_p99` from sending, `late_p99` of the generator itself."""
        due, sent, late = (histogram_of(text) for text in (self.from_due, self.from_sent, self.late))
        return {
            "p50": due.get_value_at_percentile(50) / 1000,
            "p99": due.get_value_at_percentile(99) / 1000,
            "p99_9": due.get_value_at_percentile(99.9) / 1000,
            "max": due.get_value_at_percentile(100) / 1000,
            "sent_p99": sent.get_value_at_percentile(99) / 1000,
            "late_p99": late.get_value_at_percentile(99) / 1000,
        }

    def as_json(self) -> dict[str, Any]:
        """For a person's eyes: no histograms."""
        return {
            "name": self.name,
            "saves_per_s": self.saves_per_s,
            "acknowledged_per_s": round(self.acknowledged / self.seconds, 1),
            "offered": self.offered,
            "acknowledged": self.acknowledged,
            "calls": self.calls,
            "errors": self.errors,
            "fault": self.fault,
            **{f"{name}_ms": value for name, value in self.percentiles_ms().items()},
            "generator_share": round(self.busy_share, 3),
            "why_void": self.why_void,
        }


def why_void(busy_share: float, late_p99_ms: float) -> str:
    """Why nothing can be read off a phase of one process; empty when something can."""
    if busy_share > BUSY_SHARE_MAX:
        return f"a generator used {busy_share:.0%} of a core, expected at most {BUSY_SHARE_MAX:.0%}"
    if late_p99_ms > LATE_P99_MS_MAX:
        return f"a generator was {late_p99_ms:.0f} ms late (p99), expected at most {LATE_P99_MS_MAX:.0f}"
    return ""


def together(parts: Sequence[Measured]) -> Measured:
    """The same phase of several processes: counts and histograms added, the busiest one's share, any one's void."""
    first = parts[0]
    if len(parts) == 1:
        return first
    busiest = max(parts, key=lambda part: part.busy_share)
    seconds = max(len(part.per_second) for part in parts)
    errors: dict[str, int] = {}
    for part in parts:
        for kind, count in part.errors.items():
            errors[kind] = errors.get(kind, 0) + count
    return Measured(
        name=first.name,
        is_judged=first.is_judged,
        seconds=first.seconds,
        saves_per_s=first.saves_per_s,
        offered=sum(part.offered for part in parts),
        acknowledged=sum(part.acknowledged for part in parts),
        calls=sum(part.calls for part in parts),
        resent=sum(part.resent for part in parts),
        errors=errors,
        fault=next((part.fault for part in parts if part.fault), ""),
        from_due=_added(part.from_due for part in parts),
        from_sent=_added(part.from_sent for part in parts),
        late=_added(part.late for part in parts),
        cpu_s=sum(part.cpu_s for part in parts),
        busy_share=busiest.busy_share,
        busy_shares=busiest.busy_shares,
        per_second=[_second(parts, number) for number in range(seconds)],
        why_void=next((part.why_void for part in parts if part.why_void), ""),
    )


def histogram_of(encoded: str) -> HdrHistogram:
    histogram = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
    histogram.decode_and_add(encoded)
    return histogram


def _added(encoded: Iterable[str]) -> str:
    histogram = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
    for each in encoded:
        histogram.decode_and_add(each)
    text: str = histogram.encode().decode()
    return text


def _second(parts: Sequence[Measured], number: int) -> list[int]:
    found = [part.per_second[number] for part in parts if number < len(part.per_second)]
    return [sum(count for count, _ in found), max((slowest for _, slowest in found), default=0)]
