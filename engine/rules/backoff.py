"""How long to wait before something that failed is tried again."""

from __future__ import annotations

import datetime
import email.utils
from typing import Final

_RETRY_AFTER_CHARACTERS_MAX: Final = 64  # a date has 29
_RETRY_AFTER_S_MAX: Final = 86_400


def backoff_s(attempts: int, first_s: float, max_s: float, chance: float) -> float:
    """After so many attempts in vain (from 1): doubled each time up to `max_s`, less up to half of it by `chance`
    (0 to 1), so that those who wait for the same thing do not come back in step."""
    most_s = min(max_s, first_s * 2.0 ** min(attempts - 1, 30))
    return most_s * (1 - chance / 2)


def asked_wait_s(retry_after: str, now_ms: int) -> int:
    """How long a `Retry-After` asks to wait (RFC 9110: whole seconds, or a date); 0 where that cannot be read."""
    if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 7:
        return min(int(retry_after), _RETRY_AFTER_S_MAX)
    if len(retry_after) > _RETRY_AFTER_CHARACTERS_MAX:
        return 0
    try:
        moment = email.utils.parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):  # the second: an offset from UTC of years
        return 0
    if moment.tzinfo is None:  # "-0000": of no place, which is UTC
        moment = moment.replace(tzinfo=datetime.UTC)
    left = moment - datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC)
    return max(0, min(-int(-left.total_seconds() // 1), _RETRY_AFTER_S_MAX))
