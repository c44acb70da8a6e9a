"""Latencies and counts of one generator process, by operation and phase, and second by second.

Promise: nothing is averaged away: every latency is in an HDR histogram (1 us to 2 min, three significant digits), and
reports of several processes add up to what one would have noted.
How: `Recorder` belongs to one process and is not shared between threads; `report()` is plain JSON, `merged` adds
reports. Times are microseconds, instants milliseconds of the engine's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from hdrh.histogram import HdrHistogram
from msgspec import Struct

LOWEST_US, HIGHEST_US, DIGITS = 1, 120_000_000, 3
OUTSIDE = "outside"  # in the place of a phase: before the first of a plan, or after the last
EARLY_MS = 200.0  # what is known of the engine's clock is this good, or better
# What is measured. `save` runs from the first sending to the acknowledgement; `save_intended` from the instant at
# which the change was due. `key` from the start to the paper key; `closing` from end and grace on, until the receipt
# of who was collected is there.
OPERATIONS = (
    "page", "login", "confirm", "pledge", "sealed", "channel", "key", "save", "save_intended", "lateness", "reconnect",
    "submit", "receipt", "closing", "push", "pull", "look", "key_asked",
)  # fmt: skip


class Second(Struct):
    """One second of one operation: how many ended, how many of them in errors, and the slowest."""

    count: int = 0
    errors: int = 0
    max_us: int = 0


class Report(Struct, kw_only=True):
    """`histograms` by `operation/phase`, in HdrHistogram's own base64; `errors` by `operation/phase/what`;
    `seconds` by operation and second since 1970; `cpu` is the share of one core by second; `counters` what else was
    counted."""

    process: str
    histograms: dict[str, str] = {}
    errors: dict[str, int] = {}
    seconds: dict[str, dict[int, Second]] = {}
    cpu: dict[int, float] = {}
    counters: dict[str, int] = {}


class Recorder:
    """`phase_at` tells the phase of an instant (Plan.phase_at)."""

    def __init__(self, process: str, phase_at: Callable[[float], str | None]) -> None:
        self.process = process
        self._phase_at = phase_at
        self._histograms: dict[str, HdrHistogram] = {}
        self._errors: dict[str, int] = {}
        self._seconds: dict[str, dict[int, Second]] = {}
        self._cpu: dict[int, float] = {}
        self._counters: dict[str, int] = {}

    def note(self, operation: str, latency_us: float, at_ms: float) -> None:
        """One success that ended at `at_ms`; it counts in the phase in which it began."""
        key = f"{operation}/{self._phase_at(at_ms - max(0.0, latency_us) / 1000) or OUTSIDE}"
        latency_us = max(LOWEST_US, min(HIGHEST_US, int(latency_us)))
        histogram = self._histograms.get(key)
        if histogram is None:
            histogram = self._histograms[key] = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
        histogram.record_value(latency_us)
        second = self._second(operation, at_ms)
        second.count += 1
        second.max_us = max(second.max_us, latency_us)

    def fail(self, operation: str, what: str, at_ms: float) -> None:
        """One error: an answer that should not be, or none. `what` is short and has few values (a code, a kind)."""
        key = f"{operation}/{self._phase_at(at_ms) or OUTSIDE}/{what}"
        self._errors[key] = self._errors.get(key, 0) + 1
        self._second(operation, at_ms).errors += 1

    def count(self, name: str, by: int = 1) -> None:
        self._counters[name] = self._counters.get(name, 0) + by

    def cpu(self, share: float, at_ms: float) -> None:
        """The share of one core that this process used in the second that ends now."""
        self._cpu[int(at_ms // 1000)] = round(share, 3)

    def report(self) -> Report:
        return Report(
            process=self.process,
            histograms={key: histogram.encode().decode() for key, histogram in self._histograms.items()},
            errors=dict(self._errors),
            seconds=self._seconds,
            cpu=dict(self._cpu),
            counters=dict(self._counters),
        )

    def _second(self, operation: str, at_ms: float) -> Second:
        return self._seconds.setdefault(operation, {}).setdefault(int(at_ms // 1000), Second())


def merged(reports: Iterable[Report]) -> tuple[dict[str, HdrHistogram], dict[str, int], dict[str, dict[int, Second]]]:
    """Histograms by `operation/phase`, errors, and seconds of all of them."""
    histograms: dict[str, HdrHistogram] = {}
    errors: dict[str, int] = {}
    seconds: dict[str, dict[int, Second]] = {}
    for report in reports:
        for key, encoded in report.histograms.items():
            histogram = histograms.setdefault(key, HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS))
            histogram.decode_and_add(encoded)
        for key, count in report.errors.items():
            errors[key] = errors.get(key, 0) + count
        for operation, found in report.seconds.items():
            own = seconds.setdefault(operation, {})
            for second, one in found.items():
                sum_ = own.setdefault(second, Second())
                sum_.count += one.count
                sum_.errors += one.errors
                sum_.max_us = max(sum_.max_us, one.max_us)
    return histograms, errors, seconds


def percentiles_ms(histogram: HdrHistogram) -> dict[str, Any]:
    """count, p50, p99, p99_9 and max in milliseconds."""
    at = histogram.get_value_at_percentile
    return {
        "count": histogram.total_count,
        "p50_ms": at(50) / 1000,
        "p99_ms": at(99) / 1000,
        "p99_9_ms": at(99.9) / 1000,
        "max_ms": histogram.get_max_value() / 1000,
    }


def encode(report: Report) -> bytes:
    return msgspec.json.encode(report)


def decode(text: bytes) -> Report:
    """Raises msgspec.ValidationError."""
    return msgspec.json.decode(text, type=Report)
