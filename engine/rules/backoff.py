"""How long to wait before something that failed is tried again."""

from __future__ import annotations


def backoff_s(attempts: int, first_s: float, max_s: float, chance: float) -> float:
    """After so many attempts in vain (from 1): doubled each time up to `max_s`, less up to half of it by `chance`
    (0 to 1), so that those who wait for the same thing do not come back in step."""
    most_s = min(max_s, first_s * 2.0 ** min(attempts - 1, 30))
    return most_s * (1 - chance / 2)
