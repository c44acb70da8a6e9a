"""The calendar of the joint exams: on which days they are held, and what must be done how many working days before.

Nothing here refuses anything: authorities move exams, and what they allow is theirs to know. Each rule that a formal
batch or its roster does not meet is a warning. Days are China's. Working days are those of the State Council's yearly
notice, with its moved weekends; a year that the calendar does not know yet is counted by weekdays, and that is said.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator, Mapping, Sequence

import chinese_calendar
from msgspec import Struct

from engine.rules.limits import INSTANT_MS_MAX
from engine.rules.terms import Batch

CHINA = datetime.timezone(datetime.timedelta(hours=8))
JOINT_MONTHS = (1, 3, 5, 7, 9, 11)
PLAN_WORKDAYS = 10  # before the exam the plan is made and candidates are uploaded
STAFF_WORKDAYS = 7  # before it staff are assigned
RESITS_MAX = 1  # within a year of the first attempt
_SATURDAY, _SUNDAY = 5, 6
_STARTS = datetime.time(9)
_START_WEEKDAYS = {"theory": _SATURDAY, "review": _SUNDAY}
_LAST_MS = INSTANT_MS_MAX - 24 * 3600 * 1000  # in China the last of all instants lies in a year that has no name
_NAMED_MAX = 3  # candidates in one message; it counts all
_DAYS_KEPT = 2048


class Warned(Struct, frozen=True):
    """One rule that is not met."""

    code: str
    message: str


class Attempt(Struct, frozen=True):
    """An earlier sitting of the same person in the same occupation, level and subject."""

    batch_id: str
    starts_ms: int


def day_of(instant_ms: int) -> datetime.date:
    return _moment(instant_ms).date()


def joint_saturdays(year: int, month: int) -> set[datetime.date]:
    """The Saturday of the third week; two where the month begins on a Sunday, whose week may count as the first."""
    if month not in JOINT_MONTHS:
        return set()
    first = datetime.date(year, month, 1)
    third_saturday = first + datetime.timedelta(days=(_SATURDAY - first.weekday()) % 7 + 14)
    begins_on_sunday = first.weekday() == _SUNDAY
    return {third_saturday, third_saturday - datetime.timedelta(days=7)} if begins_on_sunday else {third_saturday}


def is_joint_day(day: datetime.date) -> bool:
    """Whether it lies on a weekend of joint exams."""
    return _joint_weekend(day) is not None


def workday_before(day: datetime.date, count: int) -> tuple[datetime.date, set[int]]:
    """The `count`-th working day before `day`, and the years on the way whose holidays are not known."""
    return _workday(day, count, datetime.timedelta(days=-1))


def workday_after_instant(instant_ms: int, count: int) -> datetime.date:
    """The `count`-th working day after the day of an instant; 0 is that day itself. A day not known is by weekday."""
    return _workday(day_of(instant_ms), count, datetime.timedelta(days=1))[0]


def ends_ms_of(day: datetime.date) -> int:
    """The first instant in China that is no longer of `day`."""
    midnight = datetime.datetime.combine(day + datetime.timedelta(days=1), datetime.time(), CHINA)
    return int(midnight.timestamp()) * 1000


def _workday(day: datetime.date, count: int, step: datetime.timedelta) -> tuple[datetime.date, set[int]]:
    unknown: set[int] = set()
    while count:
        day += step
        is_workday = _is_workday(day)
        if is_workday is None:
            unknown.add(day.year)
            is_workday = day.weekday() < _SATURDAY
        count -= is_workday
    return day, unknown


@functools.lru_cache(_DAYS_KEPT)
def _is_workday(day: datetime.date) -> bool | None:
    """None: of a year whose holidays are not known. Kept, for finding out takes longer than all else that is asked."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return None


def year_before_ms(instant_ms: int) -> int:
    """The same moment a year earlier; of 29 February the 28th."""
    moment = _moment(instant_ms)
    day = min(moment.day, 28) if moment.month == 2 else moment.day
    return int(moment.replace(year=max(moment.year - 1, 1), day=day).timestamp()) * 1000


def batch_warnings(batch: Batch, planned_ms: int) -> list[Warned]:
    """What the calendar says of a batch whose plan came at `planned_ms`; nothing of mock exams and device checks."""
    return [] if batch.kind != "formal" else list(_batch_warnings(batch, planned_ms))


def roster_warnings(batch: Batch, uploaded_ms: int | None, attempts: Mapping[str, Sequence[Attempt]]) -> list[Warned]:
    """The same of its roster: candidate id -> earlier attempts within a year; None: nothing was uploaded.

    The working days count for joint exams; that a batch is none is said of the batch, and not again with every roster.
    """
    if batch.kind != "formal":
        return []
    day = day_of(batch.starts_ms)
    found: list[Warned] = []
    if uploaded_ms is not None and is_joint_day(day):
        found += _late("calendar.roster_late", "candidates are uploaded", PLAN_WORKDAYS, day, uploaded_ms)
    return [*found, *_resit_warnings(day, attempts)]


def _batch_warnings(batch: Batch, planned_ms: int) -> Iterator[Warned]:
    start = _moment(batch.starts_ms)
    day = start.date()
    if not is_joint_day(day):
        nearest = ", ".join(str(saturday) for saturday in sorted(_nearest_saturdays(day)))
        yield Warned(
            "calendar.not_joint_day",
            f"the batch starts on {day}, which is no joint-exam weekend; the nearest begin on {nearest}",
        )
    elif batch.subject in _START_WEEKDAYS:
        weekday = _START_WEEKDAYS[batch.subject]
        if (day.weekday(), start.time()) != (weekday, _STARTS):
            expected = f"{'Saturday' if weekday == _SATURDAY else 'Sunday'} {_STARTS:%H:%M}"
            yield Warned(
                "calendar.start", f"{batch.subject} starts on {expected} of a joint exam, not on {start:%A %H:%M}"
            )
    yield from _late("calendar.plan_late", "the plan is made", PLAN_WORKDAYS, day, planned_ms)
    yield from _late("calendar.staff_late", "staff are assigned", STAFF_WORKDAYS, day, planned_ms)
    unknown = workday_before(day, PLAN_WORKDAYS)[1]
    if unknown:
        years = ", ".join(map(str, sorted(unknown)))
        yield Warned("calendar.unknown_year", f"the holidays of {years} are not known here: counted by weekdays")


def _late(code: str, what: str, workdays: int, day: datetime.date, done_ms: int) -> Iterator[Warned]:
    until, _ = workday_before(day, workdays)
    done = day_of(done_ms)
    if done > until:
        yield Warned(code, f"{what} {workdays} working days before, by {until}; this came on {done}")


def _resit_warnings(day: datetime.date, attempts: Mapping[str, Sequence[Attempt]]) -> Iterator[Warned]:
    weekend = _joint_weekend(day)
    again = [candidate for candidate, found in attempts.items() if len(found) > RESITS_MAX]
    same = [
        candidate
        for candidate, found in attempts.items()
        if weekend is not None and any(_joint_weekend(day_of(attempt.starts_ms)) == weekend for attempt in found)
    ]
    if again:
        yield Warned("calendar.resit_again", f"{_named(again, attempts)}: one resit within a year is allowed")
    if same:
        message = f"{_named(same, attempts)}: a resit is on a later joint-exam weekend"
        yield Warned("calendar.resit_same_weekend", message)


def _named(candidates: Sequence[str], attempts: Mapping[str, Sequence[Attempt]]) -> str:
    named = [
        f"{candidate!r} (also in {', '.join(repr(attempt.batch_id) for attempt in attempts[candidate])})"
        for candidate in candidates[:_NAMED_MAX]
    ]
    more = f" and {len(candidates) - _NAMED_MAX} more" if len(candidates) > _NAMED_MAX else ""
    return ", ".join(named) + more


def _joint_weekend(day: datetime.date) -> datetime.date | None:
    """The Saturday of the joint-exam weekend on which `day` lies."""
    if day.weekday() < _SATURDAY:
        return None
    saturday = day - datetime.timedelta(days=day.weekday() - _SATURDAY)
    return saturday if saturday in joint_saturdays(saturday.year, saturday.month) else None


def _nearest_saturdays(day: datetime.date) -> Iterator[datetime.date]:
    """The last joint-exam Saturday before `day` and the first after it."""
    years = range(max(day.year - 1, 1), min(day.year + 1, datetime.MAXYEAR) + 1)
    every = [saturday for year in years for month in JOINT_MONTHS for saturday in joint_saturdays(year, month)]
    yield max((saturday for saturday in every if saturday < day), default=min(every))
    yield min((saturday for saturday in every if saturday > day), default=max(every))


def _moment(instant_ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(min(instant_ms, _LAST_MS) / 1000, CHINA)
