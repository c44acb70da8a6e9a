"""How many people sit when, and how often they save: the model that every load test here is made from. Pure.

The exam: 100 items in 90 minutes, about 135 saves a candidate, since a quarter of the answers are changed once more. On
average that is one save in 40 s. Halls are not average: after the start everybody answers the easy ones, before the end
everybody goes over them again. Capacity is therefore stated at the **design peak** of 0.1 save/s per candidate, four
times the average, and shown to hold at the **stress** of 0.2, for which nobody has a measured hall.

A `Timetable` says which phase lasts how long. `NINETY_MINUTES` is the whole exam with the peaks in it, and as many
saves as the model says; `TEN_MINUTES` leaves out the quiet hours and keeps every peak at its true rate, which is what
matters to a machine: compressing answers instead would ask for nine times the load that Saturday brings. `fitted` makes
others in between, coming in and grading included in the minutes.

A tenth of the candidates are played on a schedule of intended instants (`openloop`), the rest by Locust, which waits
for an answer before it goes on; both are looked at, since a closed loop asks less of an engine that slows down.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from loadtest import samples
from loadtest.sizing.plan import Background, Person, Phase, PhaseName

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
EXTRA_TIME_SHARE = 0.02
OPENLOOP_SHARE = 0.1  # played on a schedule of intended instants
ARRIVES = (0.05, 0.9)  # of the check-in's span: few at once, nobody in the last seconds

GRACE_S = 5
GRACE_SHORT_S = 2  # of an exam that takes less than a minute or two
CLOSING_S = 3.0  # until all are collected, at the end of DEADLINE
PASS_MARK = 60
BACKGROUND = Background(pushes_per_min=2.0, pushed_candidates=30, pulls_per_min=6.0)
CHECK_IN_MIN_S = 5.0
SPAN_MIN_S = 2.0  # of a phase, however short the exam
MINUTES_MIN = 0.4
_FIGURE = re.compile(r"!\[[^\]]*\]\([^)]*\)")


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
    def extra_time_s(self) -> int:
        """What those have who have extra time."""
        return max(2, round(self.duration_s * 0.05))

    @property
    def grace_s(self) -> int:
        return GRACE_S if self.duration_s >= 60 else GRACE_SHORT_S

    def rules(self) -> dict[str, Any]:
        """The batch's, in the proportions of a whole exam; who comes late or hands in early is let."""
        return {
            "check_in_before_s": max(900, round(self.check_in_s)),
            "latest_entry_s": max(1, round(self.duration_s / 3)),
            "earliest_submit_s": max(1, round(self.duration_s / 3)),
            "warn_before_end_s": max(1, round(self.duration_s / 6)),
            "grace_s": self.grace_s,
            "pass_mark": PASS_MARK,
        }

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


def fitted(minutes: float) -> Timetable:
    """The whole exam for ninety minutes, for fewer one in which everything takes `minutes`, grading included.

    Raises ValueError where that is too short for the phases, or longer than the exam that there is a model of.
    """
    if not MINUTES_MIN <= minutes <= MINUTES:
        raise ValueError(f"{minutes:g}: expected {MINUTES_MIN} to {MINUTES}, which is a whole exam")
    if minutes == MINUTES:
        return NINETY_MINUTES
    part = minutes / 10
    writing = [
        (name, float(max(SPAN_MIN_S, round(span_s * part))), saves) for name, span_s, saves in TEN_MINUTES.writing
    ]
    return Timetable(
        f"{minutes:g}_minutes",
        float(max(CHECK_IN_MIN_S, round(TEN_MINUTES.check_in_s * part))),
        writing,
        grading_s=TEN_MINUTES.grading_s * part,
        pull_s=TEN_MINUTES.pull_s * part,
        cut_after_s=min(1.0, part * 10),
    )


def phases(timetable: Timetable, starts_ms: int, grace_s: float) -> list[Phase]:
    """All phases of an exam that starts at `starts_ms`; closing and collecting belong to DEADLINE."""
    found = [Phase(PhaseName.CHECK_IN, starts_ms - int(timetable.check_in_s * 1000), starts_ms)]
    spans = [*timetable.writing, (PhaseName.GRADING, timetable.grading_s, 0.0), (PhaseName.PULL, timetable.pull_s, 0.0)]
    from_ms = starts_ms
    for name, span_s, saves_per_s in spans:
        until_ms = from_ms + int((span_s + (grace_s + CLOSING_S if name is PhaseName.DEADLINE else 0)) * 1000)
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
    late_from_ms, earliest_s = begins_ms(found, PhaseName.STEADY), timetable.rules()["earliest_submit_s"]
    # A whole second behind the earliest: the browser's button waits for the engine's clock.
    early_from_ms = max(begins_ms(found, PhaseName.LATE), starts_ms + (earliest_s + 1) * 1000)
    early_until_ms = begins_ms(found, PhaseName.DEADLINE)
    planned = []
    for number, row in enumerate(rows):
        arrives_ms = starts_ms - int((1 - dice.uniform(*ARRIVES)) * timetable.check_in_s * 1000)
        if number in late:
            arrives_ms = dice.randint(starts_ms, late_from_ms)
        drops_ms, drops_s = _drop(found, dice) if number in dropping and number not in late else (0, 0.0)
        planned.append(
            Person(
                number=number,
                candidate_id=row["candidate_id"],
                id_number=row["id_number"],
                arrives_ms=0 if number in absent else arrives_ms,
                submits_ms=dice.randint(early_from_ms, early_until_ms) if number in early else 0,
                drops_ms=drops_ms,
                drops_s=drops_s,
            )
        )
    return planned


def _drop(found: Sequence[Phase], dice: random.Random) -> tuple[int, float]:
    """When a line is lost and for how long: it is back before the phase ends, so that the storm is one of all."""
    phase = next(phase for phase in found if phase.name is PhaseName.STEADY)
    phase_s = (phase.until_ms - phase.from_ms) / 1000
    drops_s = round(min(dice.uniform(*DROP_S), phase_s / 2), 1)
    return phase.from_ms + int(dice.uniform(0, phase_s - drops_s) * 1000), drops_s


def dealt(planned: Sequence[Person], starts_ms: int, openloop_share: float = OPENLOOP_SHARE) -> list[Person]:
    """The same people, a share of them given to the open loop: of those who come in time, stay, and keep their line."""
    plain = [
        person.number
        for person in planned
        if 0 < person.arrives_ms < starts_ms and not person.submits_ms and not person.drops_ms
    ]
    wanted = round(len(planned) * openloop_share)
    if not wanted:
        return list(planned)
    chosen = set(plain[:: max(1, len(plain) // wanted)][:wanted])
    return [
        msgspec.structs.replace(person, plays="openloop") if person.number in chosen else person for person in planned
    ]


def extra_times(count: int, timetable: Timetable, dice: random.Random) -> list[int]:
    """Seconds more, by row of the roster; most have none."""
    chosen = _some(count, EXTRA_TIME_SHARE, dice)
    return [timetable.extra_time_s if number in chosen else 0 for number in range(count)]


def saves_planned(person: Person, found: Sequence[Phase], name: PhaseName, ends_ms: int) -> float:
    """How many saves a person makes in the phases of that name, on average."""
    if not person.arrives_ms:
        return 0.0
    stops_ms = min(person.submits_ms or ends_ms, ends_ms)
    spans = (
        (max(0, min(stops_ms, phase.until_ms) - max(person.arrives_ms, phase.from_ms)), phase.saves_per_s)
        for phase in found
        if phase.name is name
    )
    return sum(span_ms / 1000 * saves_per_s for span_ms, saves_per_s in spans)


def paper() -> dict[str, Any]:
    """The sample paper of a hundred items as a text exam: no figures."""
    whole = samples.load("ldgx3").paper
    sections = [
        {**section, "items": [{**item, "stem": _FIGURE.sub("", item["stem"])} for item in section["items"]]}
        for section in whole["sections"]
    ]
    return {**whole, "sections": sections, "media": {}}


def as_numbers() -> dict[str, float]:
    """The model for a report."""
    return {
        "items": ITEMS,
        "saves_each": SAVES_EACH,
        "design_saves_per_s": DESIGN_SAVES_PER_S,
        "stress_saves_per_s": STRESS_SAVES_PER_S,
        "absent_share": ABSENT_SHARE,
        "late_share": LATE_SHARE,
        "extra_time_share": EXTRA_TIME_SHARE,
        "early_share": EARLY_SHARE,
        "dropping_share": DROPPING_SHARE,
        "background_pushes_per_min": BACKGROUND.pushes_per_min,
        "background_pulls_per_min": BACKGROUND.pulls_per_min,
    }


def _some(count: int, share: float, dice: random.Random) -> set[int]:
    return set(dice.sample(range(count), round(count * share) or int(count >= 20)))
