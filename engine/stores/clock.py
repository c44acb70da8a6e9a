"""The one place that reads the time."""

from __future__ import annotations

import datetime
import time

CHINA = datetime.timezone(datetime.timedelta(hours=8))


def now_ms() -> int:
    """The server's time in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def today() -> datetime.date:
    """The calendar day in China, by which a birth date lies in the future or not."""
    return datetime.datetime.now(CHINA).date()


def monotonic_s() -> float:
    """For measuring spans, never for deciding what a candidate may do."""
    return time.monotonic()
