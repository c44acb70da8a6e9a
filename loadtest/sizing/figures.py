"""Figures as people read them: three digits that count, a unit, both readings of a bandwidth. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from loadtest.sizing.outcome import Criterion, PhaseOutcome

NONE = "–"
SHARES = ("share", "of 1")  # units whose figures are read as percentages
NEAR = 0.8  # of a limit: worth a look though it holds
_BEIJING = timedelta(hours=8)
_PREFIXES = ("", "k", "M", "G", "T")
_LATENCY_IN_S_FROM_MS = 10_000


def number(value: float | None) -> str:
    """Whole where it is whole or large, else with three digits that count."""
    if value is None:
        return NONE
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 3 - len(str(int(abs(value)))) if abs(value) >= 1 else 3
    shown = f"{value:,.{digits}f}" if round(value, digits) else f"{value:.2g}"
    return shown.rstrip("0").rstrip(".") if "." in shown and "e" not in shown else shown


def milliseconds(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{number(value / 1000)} s" if value >= _LATENCY_IN_S_FROM_MS else f"{number(value)} ms"


def seconds(value: float) -> str:
    """In milliseconds below one."""
    return f"{number(value)} s" if value >= 1 else milliseconds(value * 1000)


def share(value: float | None) -> str:
    return NONE if value is None else f"{number(value * 100)} %"


def amount(value: float | None, unit: str = "B") -> str:
    """With a decimal prefix: 1 kB is 1,000 B, as lines are sold."""
    if value is None:
        return NONE
    at = 0
    while abs(value) >= 1000 and at < len(_PREFIXES) - 1:
        value, at = value / 1000, at + 1
    return f"{number(value)} {_PREFIXES[at]}{unit}"


def in_unit(value: float | None, unit: str) -> str:
    """A criterion's figure, in the words of its unit."""
    if value is None:
        return NONE
    if unit == "ms":
        return milliseconds(value)
    if unit in SHARES:
        return share(value)
    if unit in ("bytes", "B"):
        return amount(value)
    return f"{number(value)} {unit}".strip()


def bandwidth(kbit_per_s: float) -> str:
    """In megabits, and what that is in megabytes."""
    return f"{number(kbit_per_s / 1000)} Mbit/s = {number(kbit_per_s / 8000)} MByte/s"


def moment(at_ms: float) -> str:
    """As clocks in China show it, to the second."""
    return (datetime.fromtimestamp(at_ms / 1000, UTC) + _BEIJING).strftime("%Y-%m-%d %H:%M:%S UTC+8")


def span(seconds: float) -> str:
    """Minutes and seconds; below zero with a minus, as before the start."""
    whole = round(abs(seconds))
    hours, rest = divmod(whole, 3600)
    sign = "-" if seconds < 0 and whole else ""
    shown = f"{rest // 60}:{rest % 60:02}"
    return f"{sign}{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{sign}{shown}"


def lasted_s(phase: PhaseOutcome) -> float:
    return max(0.0, (phase.until_ms - phase.from_ms) / 1000)


def used(criterion: Criterion) -> float | None:
    """How much of its limit is used up: above 1 it fails. None where that means nothing."""
    if criterion.found is None:
        return None
    part, whole = criterion.found, criterion.limit
    if not criterion.is_at_most:
        part, whole = whole, part
    return part / whole if whole > 0 and part >= 0 else None


def is_near(criterion: Criterion) -> bool:
    """It holds, and not by much. A share that must be reached (all acknowledged) is always near, and says nothing."""
    fraction = used(criterion)
    tells = criterion.is_at_most or criterion.unit not in SHARES
    return bool(criterion.holds) and tells and fraction is not None and NEAR <= fraction < 1


def printable(line: str) -> str:
    """For a terminal: what others wrote moves no cursor and colours nothing."""
    return "".join(letter if letter.isprintable() else "?" for letter in line)
