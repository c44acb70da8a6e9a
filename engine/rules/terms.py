"""The nouns of the exam as frozen structs and enums: one word per thing, as EXAM_RULES has them."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

REPORTED_EVENTS = ("window_left", "window_returned")  # what a candidate's page may report of itself


class Phase(StrEnum):
    """Where a moment lies on a sitting's time line; intervals are half-open, at an edge the later holds."""

    EARLY = "early"  # before check-in opens
    CHECK_IN = "check_in"  # check-in is open, the paper is sealed
    WRITING = "writing"  # from the start
    ENDING = "ending"  # from the warning before the end
    GRACE = "grace"  # after the end: what was under way still counts
    CLOSED = "closed"  # nothing changes any more


class SittingState(StrEnum):
    EXPECTED = "expected"
    CHECKED_IN = "checked_in"
    CONFIRMED = "confirmed"
    PLEDGED = "pledged"
    IN_PROGRESS = "in_progress"
    SUBMITTED = "submitted"
    COLLECTED = "collected"
    ABSENT = "absent"
    VOID = "void"


class BatchState(StrEnum):
    DRAFT = "draft"
    ARMED = "armed"
    OPEN = "open"
    CLOSED = "closed"
    GRADED = "graded"


class Rules(Struct, frozen=True, kw_only=True):
    """A batch's rules; every default is EXAM_RULES'. Durations in seconds from T (or back from the end)."""

    latest_entry_s: int = 1800
    earliest_submit_s: int = 1800
    warn_before_end_s: int = 900
    check_in_before_s: int = 900
    grace_s: int = 5
    pass_mark: Decimal = Decimal(60)
    shuffle_items: bool = True
    shuffle_options: bool = True
    release: str = "graded"  # graded, approved
    takeover: str = "free"  # free, silent, proctor
    allow_copy: bool = False  # out of the paper; a candidate's own text always
    photo: str = "none"  # none, required
    assessors: int = 0  # who score whole sittings, three of a `review`; 0: the paper makes the score
    second_marking: bool = False  # what one assessor marks, a second marks as well, and a third where they disagree
    second_marking_tolerance: Decimal = Decimal("0.2")  # of the points: two marks further apart disagree
    publication_days: int = 5  # working days from the day after the release, in which a score review may be asked for
    review_answer_days: int = 5  # working days until it is to be answered


class Batch(Struct, frozen=True, kw_only=True):
    """One occupation x level x subject in one time window, as the scheduling system pushed it."""

    batch_id: str
    title: str
    occupation: str
    level: int
    subject: str
    kind: str  # formal, mock, device_check
    paper_id: str | None = None
    papers: tuple[str, ...] | None = None  # instead of one: its forms, numbered from 0
    admission_code: str
    starts_ms: int
    duration_s: int
    rules: Rules

    @property
    def paper_ids(self) -> tuple[str, ...]:
        """By form; a single one is form 0."""
        return self.papers or (self.paper_id or "",)

    @property
    def ends_ms(self) -> int:
        """The end for a candidate without extra time."""
        return self.starts_ms + self.duration_s * 1000


class Grant(Struct, frozen=True):
    """Lost time given back to one sitting: counts from `recorded_ms` on."""

    recorded_ms: int
    seconds: int


class Candidate(Struct, frozen=True, kw_only=True):
    """One valid row of a roster, folded: `id_number` in its 18-character form where it is a resident's."""

    candidate_id: str
    name: str
    id_number: str
    admission_ticket: str
    site: str
    room: str = ""
    seat: str = ""
    extra_time_s: int = 0
