"""Score reviews (成绩复核): when one may be asked for, for what, and until when it is to be answered.

A score is published for `publication_days` working days from the day after it became public; a review may be filed from
that moment to the end of the last of them, and is to be answered within `review_answer_days` working days. A regrade
that changes a candidate's result publishes it anew. Days are China's (`calendar.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from engine.rules import exact_json
from engine.rules.calendar import ends_ms_of, workday_after_instant
from engine.rules.errors import Invalid, Refused
from engine.rules.limits import NAME_CHARACTERS_MAX, REVIEW_CHARACTERS_MAX
from engine.rules.shape import Faults, Members
from engine.rules.terms import Rules

GROUNDS = ("missed_marks", "tally", "registration", "violations")
_CANDIDATE = "candidate"


class ReviewRequest(Struct, frozen=True):
    """`receipt` is the canonical JSON of the receipt the candidate shows, empty without one."""

    requested_by: str
    grounds: tuple[str, ...]
    text: str
    receipt: str


class Published(Struct, frozen=True):
    """One published revision of a result; `said` is what it says of the candidate: state, score, pass."""

    revision: int
    published_ms: int
    said: tuple[Any, ...]


class Window(Struct, frozen=True):
    """When a review may be filed: `[opens_ms, closes_ms)`."""

    opens_ms: int
    closes_ms: int


def read_request(document: Any) -> ReviewRequest:
    """Raises Invalid `request.invalid` with every fault."""
    faults = Faults()
    members = Members(document, "", faults)
    requested_by = _CANDIDATE
    if members.has("requested_by"):
        requested_by = _words(members, "requested_by", NAME_CHARACTERS_MAX)
    grounds = members.take_list("grounds", 1, len(GROUNDS))
    for position, ground in enumerate(grounds):
        at = f"{members.at('grounds')}/{position}"
        if not isinstance(ground, str) or ground not in GROUNDS:
            faults.add(at, "expected one of " + ", ".join(GROUNDS), ground)
        elif ground in grounds[:position]:
            faults.add(at, "is named twice", ground)
    text = members.take_text("text", REVIEW_CHARACTERS_MAX, "", characters_min=0)
    receipt = members.take("receipt", None)
    if receipt is not None and not isinstance(receipt, dict):
        members.fault("receipt", "expected the receipt as it was given, an object")
    shown = _canonical(members, receipt) if isinstance(receipt, dict) else ""
    members.finish()
    if faults:
        raise Invalid("request.invalid", faults.listed, errors_total=faults.total)
    return ReviewRequest(requested_by, tuple(sorted(grounds)), text, shown)


def _canonical(members: Members, receipt: dict[str, Any]) -> str:
    try:
        return exact_json.canonical(receipt).decode()
    except ValueError:  # 1e400 is JSON, and no receipt ever holds it
        members.fault("receipt", "holds a number that no receipt can hold")
        return ""


def read_answer(document: Any) -> tuple[str, str]:
    """(who answers, what). Raises Invalid `request.invalid`."""
    faults = Faults()
    members = Members(document, "", faults)
    answered_by = _words(members, "answered_by", NAME_CHARACTERS_MAX)
    text = members.take_text("text", REVIEW_CHARACTERS_MAX)
    if text and not text.strip():
        members.fault("text", "is blank")
    members.finish()
    if faults:
        raise Invalid("request.invalid", faults.listed, errors_total=faults.total)
    return answered_by, text


def published_ms(revisions: Sequence[Published]) -> int:
    """When what the newest of `revisions`, in their order, says of the candidate became public."""
    first = revisions[-1]
    for earlier in reversed(revisions):
        if earlier.said != first.said:
            break
        first = earlier
    return first.published_ms


def window(revisions: Sequence[Published], rules: Rules) -> Window:
    opens_ms = published_ms(revisions)
    return Window(opens_ms, ends_ms_of(workday_after_instant(opens_ms, rules.publication_days)))


def due_ms(requested_ms: int, rules: Rules) -> int:
    """Until when a review filed at `requested_ms` is to be answered: the end of the last working day."""
    return ends_ms_of(workday_after_instant(requested_ms, rules.review_answer_days))


def check_open(found: Window, now_ms: int) -> None:
    """Raises Refused `score_review.closed` outside the window, naming it."""
    if found.opens_ms <= now_ms < found.closes_ms:
        return
    raise Refused(
        "score_review.closed",
        f"a review of this score may be filed from {found.opens_ms} ms until {found.closes_ms} ms, it is {now_ms} ms",
        opens_ms=found.opens_ms,
        closes_ms=found.closes_ms,
        server_ms=now_ms,
    )


def _words(members: Members, name: str, characters_max: int) -> str:
    text = " ".join(members.take_text(name, characters_max).split())
    if not text and members.members.get(name) and isinstance(members.members[name], str):
        members.fault(name, "is blank")
    return text
