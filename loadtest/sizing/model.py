"""How many people sit when, and how often they save: the model that every load test here is made from. Pure.

The exam: 100 items in 90 minutes, about 135 saves a candidate, since a quarter of the answers are changed once more. On
average that is one save in 40 s. Halls are not average: after the start everybody answers the easy ones, before the end
everybody goes over them again. Capacity is therefore stated at the **design peak** of 0.1 save/s per candidate, four
times the average, and shown to hold at the **stress** of 0.2, for which nobody has a measured hall.

A `Timetable` says which phase lasts how long. `NINETY_MINUTES` is the whole exam with the peaks in it, and as many
saves as the model says; `TEN_MINUTES` leaves out the quiet hours and keeps every peak at its true rate, which is what
matters to a machine: compressing answers instead would ask for nine times the load that Saturday brings.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.sizing.plan import Person, Phase, PhaseName

ITEMS = 100
MINUTES = 90
SAVES_EACH = 135
DESIGN_SAVES_PER_S = 0.1
STRESS_SAVES_PER_S = 0.2
READING_SAVES_PER_S = 0.02  # the first minute: items are read

ABSENT_SHARE = 0.02
EARLY_SHARE = 0.3  # hand in before the end
DROPPING_SHARE = 0.05  # lose their own line once
DROP_S = (5.0, 30.0)
LATE_SHARE = 0.02  # come after the start, in its first phase
ARRIVES = (0.05, 0.9)  # of the check-in's span: few at once, nobody in the last seconds


@dataclass(frozen=True)
class Timetable:
    """Spans in seconds and saves per second of one candidate; START begins with the exam, DEADLINE ends with it.

    `cut_after_s`: how long after the begin of RECONNECT all channels are cut.
    """

    name: str
    check_in_s: float
    writing: Sequence[tuple[PhaseName, float, float]]
    grading_s: float
    pull_s: float
    cut_after_s: float = 1.0

    @property
    def duration_s(self) -> float:
        return sum(span_s for _, span_s, _ in self.writing)

    @property
    def saves_each(self) -> float:
        """Expected of a candidate who stays to the end."""
        return sum(span_s * saves_per_s for _, span_s, saves_per_s in self.writing)


def _ninety_minutes() -> Timetable:
    """The peaks as they are; what is left of the saves spreads over the long rest."""
    peaks = (
        (PhaseName.START, 60.0, READING_SAVES_PER_S),
        (PhaseName.STEADY, 600.0, DESIGN_SAVES_PER_S),
        (PhaseName.STRESS, 60.0, STRESS_SAVES_PER_S),
        (PhaseName.RECONNECT, 120.0, DESIGN_SAVES_PER_S),
    )
    last = (PhaseName.DEADLINE, 60.0, DESIGN_SAVES_PER_S)
    rest_s = MINUTES * 60 - sum(span_s for _, span_s, _ in (*peaks, last))
    saved = sum(span_s * saves_per_s for _, span_s, saves_per_s in (*peaks, last))
    rest = (PhaseName.LATE, rest_s, (SAVES_EACH - saved) / rest_s)
    return Timetable("ninety_minutes", 900.0, (*peaks, rest, last), grading_s=120.0, pull_s=60.0)


NINETY_MINUTES = _ninety_minutes()
TEN_MINUTES = Timetable(
    "ten_minutes",
    120.0,
    (
        (PhaseName.START, 30.0, READING_SAVES_PER_S),
        (PhaseName.STEADY, 150.0, DESIGN_SAVES_PER_S),
        (PhaseName.STRESS, 60.0, STRESS_SAVES_PER_S),
        (PhaseName.RECONNECT, 60.0, DESIGN_SAVES_PER_S),
        (PhaseName.LATE, 60.0, DESIGN_SAVES_PER_S),
        (PhaseName.DEADLINE, 60.0, DESIGN_SAVES_PER_S),
    ),
    grading_s=40.0,
    pull_s=20.0,
)


def phases(timetable: Timetable, starts_ms: int, grace_s: float) -> list[Phase]:
    """All phases of an exam that starts at `starts_ms`; closing and collecting belong to DEADLINE."""
    found = [Phase(PhaseName.CHECK_IN, starts_ms - int(timetable.check_in_s * 1000), starts_ms)]
    spans = [*timetable.writing, (PhaseName.GRADING, timetable.grading_s, 0.0), (PhaseName.PULL, timetable.pull_s, 0.0)]
    from_ms = starts_ms
    for name, span_s, saves_per_s in spans:
        until_ms = from_ms + int((span_s + (grace_s + 3 if name is PhaseName.DEADLINE else 0)) * 1000)
        found.append(Phase(name, from_ms, until_ms, saves_per_s))
        from_ms = until_ms
    return found


def begins_ms(found: Sequence[Phase], name: PhaseName) -> int:
    """When a phase begins. Raises StopIteration where there is none of that name."""
    return next(phase.from_ms for phase in found if phase.name is name)


def people(
    rows: Sequence[Mapping[str, Any]], timetable: Timetable, starts_ms: int, dice: random.Random
) -> list[Person]:
    """What every row of a roster is going to do, all for Locust to play; at least one of each kind from 20 rows on."""
    absent, late, early, dropping = (
        _some(len(rows), share, dice) for share in (ABSENT_SHARE, LATE_SHARE, EARLY_SHARE, DROPPING_SHARE)
    )
    found = phases(timetable, starts_ms, 0)
    late_from_ms, early_from_ms = begins_ms(found, PhaseName.STEADY), begins_ms(found, PhaseName.LATE)
    early_until_ms = begins_ms(found, PhaseName.DEADLINE)
    planned = []
    for number, row in enumerate(rows):
        arrives_ms = starts_ms - int((1 - dice.uniform(*ARRIVES)) * timetable.check_in_s * 1000)
        if number in late:
            arrives_ms = dice.randint(starts_ms, late_from_ms)
        drops = number in dropping and number not in late
        planned.append(
            Person(
                number=number,
                candidate_id=row["candidate_id"],
                id_number=row["id_number"],
                arrives_ms=0 if number in absent else arrives_ms,
                submits_ms=dice.randint(early_from_ms, early_until_ms) if number in early else 0,
                drops_ms=dice.randint(late_from_ms, early_from_ms) if drops else 0,
                drops_s=round(dice.uniform(*DROP_S), 1) if drops else 0.0,
            )
        )
    return planned


def _some(count: int, share: float, dice: random.Random) -> set[int]:
    return set(dice.sample(range(count), round(count * share) or int(count >= 20)))
