"""Rows: one measured value each, beside its goal where it has one; how they are shown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from msgspec import Struct

from bench.goals import GOALS


class BenchFault(Exception):
    """Something could not be measured; the message says what and why."""


class Row(Struct, frozen=True):
    """`value` is None when it could not be measured; then `why` says why."""

    name: str
    value: float | None
    unit: str
    why: str = ""

    @property
    def goal(self) -> float | None:
        goal = GOALS.get(self.name)
        return goal.bound if goal else None

    @property
    def holds(self) -> bool | None:
        """None without a goal."""
        goal = GOALS.get(self.name)
        return goal.holds(self.value) if goal else None


def void(name: str, why: str) -> Row:
    """A value that could not be measured."""
    goal = GOALS.get(name)
    return Row(name, None, goal.unit if goal else "", why)


def as_json(rows: Iterable[Row]) -> str:
    """The contract: name, value, unit, goal, holds."""
    shown = [
        {"name": row.name, "value": _rounded(row.value), "unit": row.unit, "goal": row.goal, "holds": row.holds}
        for row in rows
    ]
    return orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode()


def as_line(row: Row) -> str:
    """One line for a person."""
    value = "-" if row.value is None else f"{row.value:,.0f}" if abs(row.value) >= 1000 else f"{row.value:.4g}"
    text = f"  {row.name:<34} {value:>12} {row.unit:<10}"
    goal = GOALS.get(row.name)
    if goal is not None:
        text += f" goal {'>=' if goal.at_least else '<='} {goal.bound:g}: {'holds' if row.holds else 'MISSED'}"
    return (text + (f"  ({row.why})" if row.why else "")).rstrip()


def verdict(rows: Sequence[Row]) -> str:
    """The last line: how many goals hold, and which do not."""
    judged = [row for row in rows if row.holds is not None]
    missed = [row.name for row in judged if not row.holds]
    voided = [row.name for row in rows if row.value is None]
    text = f"{len(judged) - len(missed)} of {len(judged)} goals hold"
    text += f"; missed: {', '.join(missed)}" if missed else ""
    return text + (f"; not measured: {', '.join(voided)}" if voided else "")


def exit_code(rows: Sequence[Row]) -> int:
    """0 when everything was measured, also where a goal is missed; 1 when something could not be."""
    return 1 if any(row.value is None for row in rows) else 0


def median(values: Sequence[float]) -> float:
    return float(statistics.median(values))


def _rounded(value: float | None) -> Any:
    return None if value is None else float(f"{value:.6g}")
