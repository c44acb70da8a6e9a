"""When saves are due: phases with rates of their own, evenly spaced or by chance. Pure.

Promise: how many saves are due by an instant depends on rates, spacing and seed alone, never on an answer.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence

from msgspec import Struct

POISSON, EVEN = "poisson", "even"
SPACINGS = (POISSON, EVEN)
NS_PER_S = 1_000_000_000


class Phase(Struct, frozen=True):
    """`saves_per_s` for `seconds`. What is not judged warms up, or lets things settle."""

    name: str
    seconds: float
    saves_per_s: float
    is_judged: bool = True


def dues(
    phases: Sequence[Phase], spacing: str, dice: random.Random, *, part: int = 0, parts: int = 1
) -> Iterator[tuple[int, int]]:
    """(index of the phase, nanoseconds from the beginning) of every save that part `part` of `parts` has to send.

    Parts of an even schedule interleave; those of a Poisson schedule are such schedules with their share of the rate.
    """
    begins_ns = 0
    for index, phase in enumerate(phases):
        ends_ns = begins_ns + int(phase.seconds * NS_PER_S)
        if phase.saves_per_s > 0:
            gap_ns = NS_PER_S * parts / phase.saves_per_s
            offsets = _by_chance(gap_ns, dice) if spacing == POISSON else _evenly(gap_ns, part / parts)
            for offset_ns in offsets:
                due_ns = begins_ns + int(offset_ns)
                if due_ns >= ends_ns:
                    break
                yield index, due_ns
        begins_ns = ends_ns


def length_ns(phases: Sequence[Phase]) -> int:
    """Of all phases together, each cut to whole nanoseconds as `dues` does."""
    return sum(int(phase.seconds * NS_PER_S) for phase in phases)


def _evenly(gap_ns: float, first: float) -> Iterator[float]:
    return ((number + first) * gap_ns for number in itertools.count())


def _by_chance(gap_ns: float, dice: random.Random) -> Iterator[float]:
    chance, log = dice.random, math.log
    at_ns = 0.0
    while True:
        at_ns -= log(1.0 - chance()) * gap_ns
        yield at_ns
