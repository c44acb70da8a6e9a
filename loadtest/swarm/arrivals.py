"""How many users Locust has to have at an instant, so that everybody is there before they arrive. Pure.

Locust deals users out evenly to its workers, a plan deals people out by number: of both the larger counts, and a user
without a person left waits idly for the end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from loadtest.sizing.model import NINETY_MINUTES, TEN_MINUTES, Timetable
from loadtest.sizing.plan import Person, Plan

AHEAD_MS = 3_000  # a user is there so long before its person arrives


class Arrivals:
    """For the `shares` of as many processes as play together; `beside` users are no candidates."""

    def __init__(self, shares: Sequence[Sequence[Person]], beside: int) -> None:
        self._of, self._beside = len(shares), beside
        self._shares = [sorted(person.arrives_ms for person in share if person.arrives_ms) for share in shares]

    def users_at(self, instant_ms: float) -> int:
        """At least one candidate, so that there is a test to run."""
        most = max(bisect_right(share, instant_ms + AHEAD_MS) for share in self._shares)
        spare = 1 if self._of > 1 and self._beside else 0  # whoever is beside takes a candidate's place at one worker
        return self._of * (max(1, most) + spare) + self._beside


def timetable_of(plan: Plan) -> Timetable | None:
    """Which of the model's timetables a plan was made from, by how long it is; None for another one."""
    known: Sequence[Timetable] = (NINETY_MINUTES, TEN_MINUTES)
    return next((each for each in known if each.duration_s * 1000 == plan.ends_ms - plan.starts_ms), None)
