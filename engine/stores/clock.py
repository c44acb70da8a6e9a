"""The one place that reads the time."""

from __future__ import annotations

import ctypes
import datetime
import struct
import time

CHINA = datetime.timezone(datetime.timedelta(hours=8))


def now_ms() -> int:
    """The server's time in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def today() -> datetime.date:
    """The calendar day in China, by which a birth date lies in the future or not."""
    return datetime.datetime.now(CHINA).date()


def monotonic_s() -> float:
    """For measuring spans; it decides nothing about a candidate but through SteadyClock."""
    return time.monotonic()


# struct timex of Linux as far as `status`, and some room behind it: glibc's is 208 bytes.
_TIMEX = struct.Struct("@illlli")
_TIMEX_BYTES = 256
_NOT_SYNCHRONISED = 0x40  # STA_UNSYNC


def is_synchronised() -> bool | None:
    """Whether NTP or PTP keeps the machine's clock right, as the kernel knows it; None where it does not tell."""
    told = ctypes.create_string_buffer(_TIMEX_BYTES)  # all zero: only asks
    try:
        if ctypes.CDLL(None).adjtimex(told) < 0:
            return None
    except (AttributeError, OSError):
        return None
    status = _TIMEX.unpack_from(told.raw)[-1]
    return not status & _NOT_SYNCHRONISED


# Counts on while the machine sleeps, where the system has such a clock (Linux): a suspend holds no key back.
_CARRYING_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SteadyClock:
    """The time of day when this began, carried on by a clock that nobody sets: whoever sets the machine's clock later
    does not move it. A pause of a whole virtual machine may stop it, so it may fall behind, and never run ahead."""

    def __init__(self, wall_ns: int | None = None) -> None:
        self._offset_ns = (time.time_ns() if wall_ns is None else wall_ns) - time.clock_gettime_ns(_CARRYING_CLOCK)

    def now_ms(self) -> int:
        return (time.clock_gettime_ns(_CARRYING_CLOCK) + self._offset_ns) // 1_000_000
