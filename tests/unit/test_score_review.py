"""Score reviews: their window in working days, and a recheck that notices whatever was tampered with."""

from __future__ import annotations

import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import orjson
import pytest
from msgspec import structs

from engine.rules import exact_json
from engine.rules.calendar import CHINA
from engine.rules.errors import Invalid, Refused
from engine.rules.marking import AnswerKey, json_number, passed
from engine.rules.question_set import read_question_set
from engine.rules.recheck import CHECKS, Evidence, recheck, responses_digest
from engine.rules.score_review import (
    Published,
    Window,
    check_open,
    due_ms,
    published_ms,
    read_answer,
    read_request,
    window,
)
from engine.rules.terms import Rules
from engine.scoring.markbook import MarkBook
from tests.contract import outsider as out

DAY_MS = 24 * 3600 * 1000


def at(day: str, hour: int = 0) -> int:
    """Unix ms of an hour of a day in China."""
    moment = datetime.datetime.combine(datetime.date.fromisoformat(day), datetime.time(hour), CHINA)
    return int(moment.timestamp()) * 1000


# --- the window ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("released", "last_day"),
    [
        ("2025-09-22", "2025-09-28"),  # a Monday; Sunday 28 September is worked
        ("2025-09-29", "2025-10-13"),  # before the National Day holidays; Saturday 11 October is worked
        ("2025-11-15", "2025-11-21"),  # a Saturday
        ("2026-02-13", "2026-02-27"),  # before the Spring Festival; Saturday 14 and 28 February are worked
    ],
)
def test_a_score_is_published_for_five_working_days(released: str, last_day: str) -> None:
    """From the day after its release, by China's calendar with its moved weekends; filed from the release itself."""
    found = window([Published(1, at(released, 17), ("graded", 50, False))], Rules())

    assert found == Window(at(released, 17), at(last_day) + DAY_MS)


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        (at("2025-11-15", 17) - 1, False),
        (at("2025-11-15", 17), True),
        (at("2025-11-22") - 1, True),
        (at("2025-11-22"), False),
    ],
)
def test_the_window_is_half_open_and_named_when_it_is_missed(now: int, is_open: bool) -> None:
    """Probes on both sides of each edge."""
    found = Window(at("2025-11-15", 17), at("2025-11-22"))
    if is_open:
        check_open(found, now)
        return

    with pytest.raises(Refused) as refused:
        check_open(found, now)

    assert refused.value.code == "score_review.closed"
    assert refused.value.members == {"opens_ms": found.opens_ms, "closes_ms": found.closes_ms, "server_ms": now}


def test_days_are_the_batchs_rules() -> None:
    """None: to the end of the release's own day; ten days to answer are ten."""
    revisions = [Published(1, at("2025-11-17", 9), ("graded", 50, False))]

    assert window(revisions, Rules(publication_days=0)).closes_ms == at("2025-11-18")
    assert due_ms(at("2025-11-17", 9), Rules()) == at("2025-11-25")
    assert due_ms(at("2025-11-17", 9), Rules(review_answer_days=10)) == at("2025-12-02")


def test_years_whose_holidays_are_not_known_count_by_weekdays() -> None:
    """The calendar library learns of a year in the November before it; a release does not wait for that."""
    assert due_ms(at("2031-01-06", 9), Rules()) == at("2031-01-14")


def test_only_a_revision_that_says_something_else_publishes_a_score_anew() -> None:
    """A regrade that leaves a candidate's result as it was opens no second window."""
    low, high = ("graded", 50, False), ("graded", 60, True)
    revisions = [Published(1, 10, low), Published(2, 20, low), Published(3, 30, high), Published(4, 40, high)]

    assert [published_ms(revisions[:count]) for count in (1, 2, 3, 4)] == [10, 10, 30, 30]
    assert published_ms([*revisions, Published(5, 50, low)]) == 50


# --- reading ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("document", "at_fault"),
    [
        ({}, ["/grounds"]),
        ({"grounds": []}, ["/grounds"]),
        ({"grounds": ["tally", "luck"]}, ["/grounds/1"]),
        ({"grounds": ["tally", "tally"]}, ["/grounds/1"]),
        ({"grounds": ["tally"], "requested_by": "  ", "x": 1, "receipt": "r"}, ["/receipt", "/requested_by", "/x"]),
        ({"grounds": ["tally"], "text": "a" * 4001}, ["/text"]),
    ],
)
def test_a_request_is_read_strictly(document: Any, at_fault: list[str]) -> None:
    """Every fault at its pointer."""
    with pytest.raises(Invalid) as refused:
        read_request(document)

    assert sorted(fault["pointer"] for fault in refused.value.faults) == at_fault


def test_an_answer_has_a_name_and_words() -> None:
    """A person answers, not a system."""
    assert read_answer({"answered_by": " 王 五 ", "text": "维持原成绩"}) == ("王 五", "维持原成绩")
    with pytest.raises(Invalid) as refused:
        read_answer({"answered_by": "", "text": " \n"})
    assert sorted(fault["pointer"] for fault in refused.value.faults) == ["/answered_by", "/text"]


# --- the recheck -----------------------------------------------------------------------------------------------
VALUES: dict[str, Any] = {"A1": "b", "B1": ["a"], "C1": False, "D1": ["八 小时"], "E1": 21.75, "F1": "一篇"}
ITEMS = [out.single(), out.multiple(marking="per_option"), out.true_false(), out.fill(), out.numeric(), out.text()]


def evidence(**changed: Any) -> Evidence:
    """A sound sitting that was handed in and assessed."""
    key_json = read_question_set(exact_json.decode(exact_json.canonical(out.paper(*ITEMS)))).answer_key
    key = AnswerKey.load(key_json)
    responses = {item: (seq, orjson.dumps(value).decode()) for seq, (item, value) in enumerate(VALUES.items(), 2)}
    assessed = {"F1": Fraction(7)}
    marked = MarkBook(key).mark({item: value for item, (_, value) in responses.items()}, assessed)
    assert marked.score is not None
    registered = {"sitting_id": "S", "candidate_id": "K", "admission_ticket": "T", "paper_digest": "p"}
    document = {
        **registered,
        "state": "graded",
        "score": json_number(marked.score),
        "passed": passed(marked.score, 60),
        "sections": marked.sections,
        "answer_key_digest": "k",
    }
    history = [("A1", 1, '"a"', 90), *((item, seq, value, 100) for item, (seq, value) in responses.items())]
    found = Evidence(
        document=exact_json.decode(orjson.dumps(document)),
        is_signed=True,
        state="submitted",
        closed_ms=200,
        extra_time_s=0,
        registered=registered,
        answer_keys={"k": "arming"},
        answer_key=key,
        marks=exact_json.decode(marked.marks.encode()),
        responses=responses,
        history=history,
        events=[("login", 10), ("submitted", 200)],
        room_events=[("window_left", None), ("window_returned", 3500)],
        assessed=assessed,
        panel=(),
        rules=Rules(),
        receipt={"sitting_id": "S", "digest": responses_digest(responses)},
        is_receipt_signed=True,
    )
    return structs.replace(found, **changed)


def differing(found: Evidence) -> list[str]:
    return [finding.check for finding in recheck(found) if not finding.ok]


def test_a_sound_result_passes_every_check() -> None:
    """Each says what it looked at, in both languages."""
    findings = recheck(evidence())

    assert [finding.check for finding in findings] == list(CHECKS)
    assert [finding for finding in findings if not finding.ok] == []
    assert all(finding.detail and finding.detail_zh for finding in findings)


def changed_document(**members: Any) -> dict[str, Any]:
    return {"document": {**evidence().document, **members}}


def changed_mark(item: str, mark: Any) -> dict[str, Any]:
    marks = evidence().marks
    return {"marks": {**marks, item: {**marks[item], "mark": mark}}}


@pytest.mark.parametrize(
    ("changed", "checks"),
    [
        ({"is_signed": False}, ["signature"]),
        (changed_document(admission_ticket="X"), ["registration"]),
        (changed_document(paper_digest="q"), ["registration"]),
        (changed_document(answer_key_digest="z"), ["registration"]),
        (changed_document(score=Decimal("99.5")), ["score", "tally"]),
        (changed_document(passed=False), ["score"]),
        (changed_mark("A1", 0), ["score", "tally"]),
        (changed_mark("F1", None), ["missed_marks", "score", "tally"]),
        ({"responses": {**evidence().responses, "A1": (9, '"c"')}}, ["responses", "receipt", "score"]),
        ({"history": evidence().history[:-1]}, ["responses", "score"]),
        ({"history": [*evidence().history, ("A1", 9, '"c"', 150)]}, ["responses", "score"]),
        ({"history": [*evidence().history, ("A1", 1, '"a"', 250)]}, ["responses"]),
        ({"receipt": {"sitting_id": "S", "digest": "0" * 64}}, ["receipt"]),
        ({"is_receipt_signed": False}, ["receipt"]),
        ({"answer_key": None}, ["missed_marks", "score", "tally"]),
        ({"events": [("submitted", 200)]}, ["events"]),
        ({"events": [("login", 10)]}, ["events"]),
    ],
)
def test_a_recheck_names_what_differs(changed: dict[str, Any], checks: list[str]) -> None:
    """The check concerned, and those that cannot but follow."""
    assert differing(evidence(**changed)) == checks


def test_a_missing_item_among_the_marks_is_a_missed_mark() -> None:
    """Every item of the key has its mark, an unanswered one too."""
    marks = evidence().marks
    del marks["C1"]

    assert "missed_marks" in differing(evidence(marks=marks))


def test_steps_before_a_restored_backup_are_no_difference() -> None:
    """PostgreSQL got its newest values back, not every step: the finding says so."""
    restored = evidence(history=evidence().history[:3], events=[("restored", 150)])

    assert differing(restored) == []
    found = {finding.check: finding.detail for finding in recheck(restored)}
    assert "missing" in found["responses"]


def test_who_never_sat_has_nothing_to_be_marked() -> None:
    """An absence can be reviewed as well: is the candidate who it says, and was there no login?"""
    absent = {"state": "absent", "score": None, "passed": False, "sections": []}
    nothing: dict[str, Any] = {"marks": {}, "responses": {}, "history": [], "receipt": None, "state": "absent"}

    assert differing(evidence(**changed_document(**absent), **nothing, events=[("absent", 100)])) == []
    assert differing(evidence(**changed_document(**absent), **nothing, events=[])) == ["events"]


@pytest.mark.parametrize(
    ("panel", "checks"), [(("70", "70", "40"), []), (("70", "70"), ["missed_marks", "score", "tally"])]
)
def test_a_panels_score_is_added_up_again(panel: tuple[str, ...], checks: list[str]) -> None:
    """Three assessors, their mean, and two thirds of them in favour."""
    document = {"score": Decimal("60"), "passed": True, "sections": []}
    marks = tuple(Decimal(mark) for mark in panel)

    found = evidence(**changed_document(**document), marks={}, panel=marks, rules=Rules(assessors=3))

    assert differing(found) == checks


@pytest.mark.parametrize("number", ["1e400", "-1e99999999999999999999"])
def test_a_receipt_that_cannot_be_one_is_refused(number: str) -> None:
    """It is JSON, and has no canonical form; that is the sender's fault, not the engine's."""
    document = exact_json.decode(f'{{"grounds": ["tally"], "receipt": {{"answered": {number}}}}}'.encode())

    with pytest.raises(Invalid) as invalid:
        read_request(document)

    assert [fault["pointer"] for fault in invalid.value.faults] == ["/receipt"]


@pytest.mark.parametrize(("marks", "score"), [((50, 100, 60), 55), ((40, 80, 60), 60), ((70, 80), 75)])
def test_a_third_mark_makes_no_difference_where_it_settled_one(marks: tuple[int, ...], score: int) -> None:
    """One assessor and a second marking: what counts is not the mean of all that were given."""
    document = {"score": Decimal(score), "passed": score >= 60, "sections": []}
    panel = tuple(Decimal(mark) for mark in marks)
    rules = Rules(assessors=1, second_marking=True)

    assert differing(evidence(**changed_document(**document), marks={}, panel=panel, rules=rules)) == []


def test_a_second_marking_that_is_missing_is_a_missed_mark() -> None:
    """Two disagree, and nobody was the third."""
    document = {"score": Decimal(75), "passed": True, "sections": []}
    rules = Rules(assessors=1, second_marking=True)
    found = evidence(**changed_document(**document), marks={}, panel=(Decimal(50), Decimal(100)), rules=rules)

    assert differing(found) == ["missed_marks", "score", "tally"]
