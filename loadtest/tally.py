"""Counts and latencies of one run, filled by the clients and read by displays and verdicts."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field


def _milliseconds() -> array[float]:
    return array("d")


@dataclass
class Tally:
    """Latencies run from the first sending of a call to its acknowledgement, retries included."""

    logged_in: int = 0
    writing: int = 0  # now
    calls: int = 0
    saves: int = 0
    acknowledged: int = 0
    retries: int = 0
    reconnects: int = 0
    try_later: int = 0  # the engine asked to come again
    server_errors: int = 0  # other 5xx answers: retried too, but never expected
    unreachable: int = 0  # connections refused or lost, timeouts
    channels: int = 0  # opened
    over_http: int = 0  # save calls that went over HTTP because the channel was not there
    ack_ms: array[float] = field(default_factory=_milliseconds)
    login_ms: array[float] = field(default_factory=_milliseconds)
    key_ms: array[float] = field(default_factory=_milliseconds)  # from the start to the key that came by itself


def percentile(latencies_ms: array[float], share: float) -> float | None:
    """The nearest-rank percentile in milliseconds to one decimal; None without any."""
    if not latencies_ms:
        return None
    rank = max(1, math.ceil(len(latencies_ms) * share))
    return round(sorted(latencies_ms)[rank - 1], 1)
