"""What no candidate sees, second by second: bytes on the wire, CPU and memory by role, the recorder's lag, channels.

How: one thread beside the conductor. Counters are cumulative and kept as read, so that any phase is a difference. A
reading that fails leaves a gap; watching must not end an exam.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping

from msgspec import Struct

from loadtest import usage

PERIOD_S = 1.0
MEMORY_EVERY = 5  # seconds; it is dear to ask
METRICS_TIMEOUT_S = 0.8  # an engine that is busy must not make the counters wait
_GAUGE = re.compile(r"^(recorder_lag_seconds|channel_open)(?:\{[^}]*\})? ([0-9.eE+-]+)$", re.MULTILINE)

Counters = Callable[[], tuple[int, int]]  # bytes from candidates, bytes to them, since whenever
Processes = Callable[[], Mapping[str, int]]


class Clock:
    """The engine's clock in milliseconds, as far as its Date tells: this machine's until `offset_ms` is known."""

    offset_ms = 0.0

    def __call__(self) -> float:
        return time.time() * 1000 + self.offset_ms


class Sample(Struct, frozen=True, kw_only=True):
    """At one instant of the engine's clock; what could not be read is None or empty."""

    at_ms: int
    up_bytes: int | None = None
    down_bytes: int | None = None
    busy_s: float | None = None  # of all this machine's processors
    cpu_s: dict[str, float] = {}
    memory_mib: dict[str, float] = {}
    recorder_lag_s: float | None = None
    channels: int | None = None


class Watcher:
    """Collects `samples` between entering and leaving its context."""

    def __init__(
        self,
        now_ms: Callable[[], float],
        *,
        metrics_url: str,
        counters: Counters | None,
        processes: Processes | None,
        looked: Callable[[Sample], None],
        ca_file: str = "",
        metrics_every: int = 1,
    ) -> None:
        self.samples: list[Sample] = []
        self._now_ms = now_ms
        self._metrics_url = metrics_url
        self._counters = counters
        self._processes = processes
        self._looked = looked
        # No proxy of the environment's.
        tls = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca_file or None))
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), tls)
        self._metrics_every = metrics_every  # periods; where asking goes over what is counted, seldom
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(PERIOD_S + METRICS_TIMEOUT_S + 1)

    def _watch(self) -> None:
        turn = 0
        due_s = time.monotonic()
        while not self._ended.is_set():
            self.samples.append(self._look(turn))
            self._looked(self.samples[-1])
            turn += 1
            due_s = max(due_s + PERIOD_S, time.monotonic())
            self._ended.wait(max(0.0, due_s - time.monotonic()))

    def _look(self, turn: int) -> Sample:
        up_bytes = down_bytes = busy_s = lag_s = channels = None
        cpu_s: dict[str, float] = {}
        memory_mib: dict[str, float] = {}
        at_ms = int(self._now_ms())
        if self._counters is not None:
            with contextlib.suppress(OSError, KeyError):
                up_bytes, down_bytes = self._counters()
        with contextlib.suppress(OSError, ValueError):
            busy_s = usage.machine_busy_s()
        if self._processes is not None:
            with contextlib.suppress(OSError, ValueError, KeyError):  # the ready file is just being written
                running = self._processes()
                cpu_s = usage.by_role(running)
                if turn % MEMORY_EVERY == 0:
                    memory_mib = usage.memory_by_role(running)
        if turn % self._metrics_every == 0:
            lag_s, channels = gauges(self._metrics())
        return Sample(
            at_ms=at_ms,
            up_bytes=up_bytes,
            down_bytes=down_bytes,
            busy_s=busy_s,
            cpu_s=cpu_s,
            memory_mib=memory_mib,
            recorder_lag_s=lag_s,
            channels=channels,
        )

    def _metrics(self) -> str:
        try:
            with self._opener.open(self._metrics_url, timeout=METRICS_TIMEOUT_S) as answer:
                return str(answer.read().decode("utf-8", "replace"))
        except (OSError, ValueError, http.client.HTTPException):  # it ended while it answered
            return ""


def gauges(exposition: str) -> tuple[float | None, int | None]:
    """The recorder's lag in seconds (the worst of all processes) and the open channels, of a `/metrics`."""
    found: dict[str, list[float]] = {}
    for name, value in _GAUGE.findall(exposition):
        found.setdefault(name, []).append(float(value))
    lag, channels = found.get("recorder_lag_seconds"), found.get("channel_open")
    return max(lag) if lag else None, int(sum(channels)) if channels else None


# --- differences ---------------------------------------------------------------------------------------------------


def between(samples: list[Sample], from_ms: float, until_ms: float) -> list[Sample]:
    """Those of a span, with the last one before it, so that differences cover all of it."""
    inside = [sample for sample in samples if from_ms <= sample.at_ms < until_ms]
    before = [sample for sample in samples if sample.at_ms < from_ms]
    return before[-1:] + inside


def moved(samples: list[Sample]) -> tuple[int, int, float] | None:
    """Bytes up and down, and the seconds between the first and the last reading."""
    counted = [
        (sample.at_ms, sample.up_bytes, sample.down_bytes)
        for sample in samples
        if sample.up_bytes is not None and sample.down_bytes is not None
    ]
    if len(counted) < 2:
        return None
    (from_ms, up_before, down_before), (until_ms, up_after, down_after) = counted[0], counted[-1]
    return up_after - up_before, down_after - down_before, (until_ms - from_ms) / 1000


def cpu_shares(samples: list[Sample]) -> dict[str, float]:
    """Cores used by role, on average."""
    known = [sample for sample in samples if sample.cpu_s]
    if len(known) < 2 or known[-1].at_ms <= known[0].at_ms:
        return {}
    took_s = (known[-1].at_ms - known[0].at_ms) / 1000
    return {role: round(spent_s / took_s, 4) for role, spent_s in usage.spent(known[0].cpu_s, known[-1].cpu_s).items()}


def machine_share(samples: list[Sample], cores: int) -> float | None:
    """Of all this machine's processors, how much was at work."""
    known = [(sample.at_ms, sample.busy_s) for sample in samples if sample.busy_s is not None]
    if len(known) < 2 or known[-1][0] <= known[0][0]:
        return None
    return round((known[-1][1] - known[0][1]) / ((known[-1][0] - known[0][0]) / 1000) / cores, 3)


def memory_peaks(samples: list[Sample]) -> dict[str, float]:
    """MiB by role at its highest."""
    found: dict[str, float] = {}
    for sample in samples:
        for role, mib in sample.memory_mib.items():
            found[role] = max(found.get(role, 0.0), round(mib, 1))
    return found
