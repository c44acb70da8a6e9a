"""Latencies at 0.2 us each: HdrHistogram's own buckets as one list, made into a histogram when all is over.

Promise: the histogram is what one gets by recording every latency. Why: its `record_value` costs five times as much,
and three are noted per save by a process that must not be late itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from hdrh.histogram import HdrHistogram

LOWEST_US, HIGHEST_US, DIGITS = 1, 120_000_000, 3  # as loadtest/sizing/measure.py has them
_HALF_BITS = 10  # 2,048 buckets of 1 us, then 1,024 of twice the width before
_WHOLE = 1 << (_HALF_BITS + 1)
_BUCKETS = ((HIGHEST_US.bit_length() - _HALF_BITS) << _HALF_BITS) + _WHOLE


class Times:
    """Counts of latencies in microseconds."""

    __slots__ = ("_counts", "count", "max_us")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.count = 0
        self.max_us = 0

    def note(self, us: int) -> None:
        """One latency; below the lowest and above the highest they count as these."""
        if us >= _WHOLE:
            if us > HIGHEST_US:
                us = HIGHEST_US
            shift = us.bit_length() - _HALF_BITS - 1
            self._counts[(shift << _HALF_BITS) + (us >> shift)] += 1
        else:
            self._counts[us if us >= LOWEST_US else LOWEST_US] += 1
        self.count += 1
        if us > self.max_us:
            self.max_us = us

    def histogram(self) -> HdrHistogram:
        made = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
        for us, count in self._noted():
            made.record_value(us, count)
        if self.count:
            made.record_value(max(LOWEST_US, self.max_us), 0)  # the library keeps the greatest as it was
        return made

    def percentile_us(self, share: float) -> int:
        """The lowest latency of the bucket that holds this share (0 to 1) of all; 0 without any."""
        wanted, seen = share * self.count, 0
        for us, count in self._noted():
            seen += count
            if seen >= wanted:
                return us
        return 0

    def _noted(self) -> Iterator[tuple[int, int]]:
        for index, count in enumerate(self._counts):
            if count:
                shift = max(0, (index >> _HALF_BITS) - 1)
                yield (index - (shift << _HALF_BITS)) << shift, count
