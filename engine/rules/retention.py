"""How long an exam's records have to be kept, and from when on they may be erased.

Source: rules for running an exam (考试考务工作规程), art. 23: scored papers and answer sheets three years, video and
electronic records of the exam five. Years are counted from the day, by China's calendar, on which the batch closed.

A machine exam's answer sheet are the responses with every change of them, and its scoring the marks that assessors
gave. Everything else that is known of the exam is a record of it: logins, photos, acts, the roster, results with
their reviews and regrades. Sealed papers and answer keys stay with the records, for results name them.
"""

from __future__ import annotations

import datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

ANSWERS_YEARS: Final = 3
RECORDS_YEARS: Final = 5
_CHINA = ZoneInfo("Asia/Shanghai")


class Kind(StrEnum):
    """What may be erased at one time."""

    ANSWERS = "answers"
    RECORDS = "records"  # with the answers, where they are still there


def kind_due(closed_ms: int, at_ms: int) -> Kind | None:
    """What of a batch that closed at `closed_ms` need not be kept any more."""
    if at_ms >= kept_until_ms(closed_ms, RECORDS_YEARS):
        return Kind.RECORDS
    return Kind.ANSWERS if at_ms >= kept_until_ms(closed_ms, ANSWERS_YEARS) else None


def kept_until_ms(closed_ms: int, years: int) -> int:
    """The first instant at which what was closed at `closed_ms` need not be kept any more.

    That is the beginning of the day after the same day `years` later; of a 29 February that year does not have, after
    the 1 March.
    """
    day = datetime.datetime.fromtimestamp(closed_ms / 1000, _CHINA).date()
    try:
        last = day.replace(year=day.year + years)
    except ValueError:
        last = datetime.date(day.year + years, 3, 1)
    begins = datetime.datetime.combine(last + datetime.timedelta(days=1), datetime.time(), _CHINA)
    return round(begins.timestamp() * 1000)


def day_of(instant_ms: int) -> str:
    """`2031-11-29`, in China."""
    return datetime.datetime.fromtimestamp(instant_ms / 1000, _CHINA).date().isoformat()
