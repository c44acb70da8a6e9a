"""The shapes of a load test, as Locust knows them: users come as people arrive, the test ends with the last of them.

How often a candidate saves follows the plan's phases (schedule.py), not the number of users: a hall does not get more
people in the stress, the same people write more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from locust import LoadTestShape

from loadtest.sizing.model import NINETY_MINUTES, TEN_MINUTES, Timetable
from loadtest.sizing.plan import Person
from loadtest.swarm.arrivals import Arrivals, timetable_of
from loadtest.swarm.stage import Stage


class AsPlanned(LoadTestShape):
    """Any plan's."""

    timetable: ClassVar[Timetable | None] = None

    def __init__(self, stage: Stage, arrivals: Arrivals) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._stage = stage
        self._arrivals = arrivals
        self._asked: tuple[int, float] = (0, 1.0)

    def tick(self) -> tuple[int, float] | None:
        if self._stage.is_over():
            return None
        wanted = self._arrivals.users_at(self._stage.now_ms())
        if wanted > self._asked[0]:
            self._asked = (wanted, float(wanted - self._asked[0]))
        return self._asked


class NinetyMinutes(AsPlanned):
    """A whole exam: fifteen minutes to check in, ninety to write, 135 saves each, with the peaks of the model in it."""

    timetable = NINETY_MINUTES


class TenMinutes(AsPlanned):
    """The same peaks at their true rates without the quiet hours between."""

    timetable = TEN_MINUTES


def shape_of(stage: Stage, shares: Sequence[Sequence[Person]]) -> AsPlanned:
    """The shape of the stage's plan, whose `shares` are played together."""
    timetable = timetable_of(stage.plan)
    kind = next((each for each in (NinetyMinutes, TenMinutes) if each.timetable is timetable), AsPlanned)
    return kind(stage, Arrivals(shares, stage.beside))
