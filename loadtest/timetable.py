"""Fits a whole exam into a few minutes: the rules scaled down, and what each candidate will do. Pure."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadtest.answers import keyed
from loadtest.behaviour import Away, Script

LOGINS_PER_S = 60  # planned arrivals: a laptop that is engine, servers and candidates at once keeps up
CHANGES_PER_S_MAX = 250  # over all candidates, for the same reason
DURATION_S_MIN = 5
ABSENT_SHARE = 0.02
EXTRA_TIME_SHARE = 0.05
SUBMITTING_SHARE = 0.6
DROPPING_SHARE = 0.15
OTHER_MACHINE_SHARE = 0.3  # of those who lose their connection
LATE_SHARE = 0.05
CHANGES_PER_ITEM = 1.25  # a quarter of all changes revise an earlier answer


class TooShort(ValueError):
    """So many candidates do not fit into so few minutes; the message says what would."""


@dataclass(frozen=True)
class Timetable:
    """Seconds of one rehearsal: `lead_s` to log in, `duration_s` to write, `extra_time_s` for a few, then the end."""

    lead_s: int
    duration_s: int
    extra_time_s: int
    grace_s: int

    def rules(self) -> dict[str, Any]:
        """The batch's rules in the proportions of a full exam, with a later last entry for slow machines."""
        return {
            "latest_entry_s": max(1, self.duration_s // 2),
            "earliest_submit_s": max(1, self.duration_s // 3),
            "warn_before_end_s": max(1, self.duration_s // 6),
            "grace_s": self.grace_s,
        }


def timetable(candidates: int, minutes: float) -> Timetable:
    """The times that make everything fit into `minutes`, grading included. Raises TooShort."""
    total_s = minutes * 60
    lead_s = 4 + math.ceil(candidates / LOGINS_PER_S)
    grace_s = 5 if total_s >= 60 else 2
    tail_s = 2 + candidates / 200
    writing_s = total_s - lead_s - grace_s - tail_s
    duration_s = math.floor(writing_s / 1.1)
    if duration_s < DURATION_S_MIN:
        least = (lead_s + grace_s + tail_s + DURATION_S_MIN * 1.1 + 1) / 60
        raise TooShort(f"{candidates} candidates need at least {least:.1f} minutes, got {minutes}")
    return Timetable(lead_s, duration_s, max(1, int(writing_s) - duration_s), grace_s)


def extra_times(candidates: int, times: Timetable, dice: random.Random) -> list[int]:
    """Extra time in seconds for each candidate; most have none."""
    chosen = _some(candidates, EXTRA_TIME_SHARE, dice)
    return [times.extra_time_s if index in chosen else 0 for index in range(candidates)]


def scripts(
    candidates: int, items: int, times: Timetable, paper: Mapping[str, Any], dice: random.Random
) -> list[Script | None]:
    """What each candidate will do, None for those who never come. At least one of each kind from ten candidates on."""
    absent = _some(candidates, ABSENT_SHARE, dice)
    dropping = _some(candidates, DROPPING_SHARE, dice)
    submitting = _some(candidates, SUBMITTING_SHARE, dice)
    pace_s = max(0.85 * times.duration_s / (items * CHANGES_PER_ITEM), candidates / CHANGES_PER_S_MAX)
    return [
        None
        if index in absent
        else Script(
            arrives_s=_arrival(times, dice),
            submits_s=_hand_in(times, dice) if index in submitting else None,
            away=_away(times, dice) if index in dropping else None,
            pace_s=pace_s * dice.uniform(0.7, 1.3),
            spread_s=min(1.0, candidates / 400),
            answer=keyed(paper, dice.uniform(0.35, 0.95)),
        )
        for index in range(candidates)
    ]


def _some(candidates: int, share: float, dice: random.Random) -> set[int]:
    count = round(candidates * share) or int(candidates >= 10)
    return set(dice.sample(range(candidates), count))


def _arrival(times: Timetable, dice: random.Random) -> float:
    """Seconds from the start, mostly before it."""
    if dice.random() < LATE_SHARE:
        return dice.uniform(0, 0.1 * times.duration_s)
    return dice.uniform(-0.9, -0.15) * times.lead_s


def _hand_in(times: Timetable, dice: random.Random) -> float:
    return dice.uniform(max(0.6 * times.duration_s, times.rules()["earliest_submit_s"] + 1), 0.95 * times.duration_s)


def _away(times: Timetable, dice: random.Random) -> Away:
    from_s = dice.uniform(0.15, 0.45) * times.duration_s
    for_s = min(dice.uniform(0.05, 0.15) * times.duration_s, 30)
    return Away(from_s, for_s, other_machine=dice.random() < OTHER_MACHINE_SHARE)
