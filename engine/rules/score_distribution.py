"""How published scores are distributed: exact sums, each figure rounded once, to two decimals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engine.rules.item_statistics import median
from engine.rules.marking import half_up, json_number

BANDS = tuple(range(0, 100, 10))  # each up to the next, the last up to 100 and with it
_DECIMALS = 2


def distribution(counts: Mapping[Decimal, int], passed: int) -> dict[str, Any]:
    """`counts`: how many have each score, 0 to 100; `passed`: how many of all pass."""
    total = sum(counts.values())
    bands = [0] * len(BANDS)
    for score, count in counts.items():
        bands[min(int(score) // 10, len(BANDS) - 1)] += count
    shown = {
        "graded": total,
        "passed": passed,
        "bands": [{"from": start, "to": start + 10, "count": count} for start, count in zip(BANDS, bands, strict=True)],
    }
    if not total:
        return {**shown, **dict.fromkeys(("mean", "median", "deviation", "lowest", "highest"))}
    exact = {Fraction(score): count for score, count in counts.items()}
    middle = median(exact) or Fraction()
    mean = sum(score * count for score, count in exact.items()) / Fraction(total)
    variance = sum((score - mean) ** 2 * count for score, count in exact.items()) / Fraction(total)
    return {
        **shown,
        "mean": _number(mean),
        "median": _number(middle),
        "deviation": _number(_root(variance)),
        "lowest": _number(min(exact)),
        "highest": _number(max(exact)),
    }


def _root(square: Fraction) -> Fraction:
    """Cut off one digit behind those that are shown."""
    scale = 10 ** (_DECIMALS + 1)
    return Fraction(math.isqrt(int(square * scale * scale)), scale)


def _number(exact: Fraction) -> int | float:
    return json_number(half_up(exact, decimals=_DECIMALS))
