"""Calendar rules are warnings beside the answer: nothing is refused, and nothing is there when nothing is amiss."""

from __future__ import annotations

import datetime
from typing import Any

from tests.contract import outsider as out
from tests.contract.outsider import Outsider, accepted, now_ms, person

CHINA = datetime.timezone(datetime.timedelta(hours=8))


def warned(answer: Any) -> list[str]:
    assert all(each["message"] for each in answer.get("warnings", []))
    return [each["code"] for each in answer.get("warnings", [])]


def joint_day(years: int = 3, hour: int = 9) -> int:
    """A theory's start: Saturday 09:00 of the third week of a January that many years ahead, in China."""
    year = datetime.datetime.now(CHINA).year + years
    saturday = next(day for day in range(15, 22) if datetime.date(year, 1, day).weekday() == 5)
    return int(datetime.datetime(year, 1, saturday, hour, tzinfo=CHINA).timestamp()) * 1000


def test_batch_at_any_other_time_is_stored_and_warned_of(outsider: Outsider) -> None:
    """The same when it is pushed again; showing it says nothing of it."""
    document = outsider.batch_document(outsider.paper(), starts_ms=now_ms() + 3600_000, occupation=out.unique("职业"))
    batch_id = out.unique("B")
    first = accepted(outsider.put_batch(document, batch_id), 201)
    again = accepted(outsider.put_batch(document, batch_id))

    assert {"calendar.plan_late", "calendar.staff_late"} <= set(warned(first))
    assert first == again
    assert "warnings" not in outsider.show_batch(batch_id)


def test_mock_exam_is_not_warned_of(outsider: Outsider) -> None:
    """`warnings` is there only when there are some."""
    document = outsider.batch_document(outsider.paper(), kind="mock")

    assert "warnings" not in accepted(outsider.put_batch(document), 201)


def test_roster_of_a_batch_of_another_day_is_answered_as_ever(outsider: Outsider) -> None:
    """API.md: `{accepted, added, changed, removed, unchanged}`."""
    starts_ms = joint_day() + 3 * 86_400_000
    batch_id = outsider.batch(outsider.batch_document(outsider.paper(), starts_ms=starts_ms))
    reply = accepted(outsider.put_roster(batch_id, [person()]))

    assert reply == {"accepted": 1, "added": 1, "changed": 0, "removed": 0, "unchanged": 0}


def test_second_resit_within_a_year_is_warned_of_at_push_and_at_arming(outsider: Outsider) -> None:
    """Same person, same occupation, level and subject; by whatever candidate id. One resit is nothing to tell."""
    occupation = out.unique("职业")
    paper_id = outsider.paper()
    number = out.resident()
    replies = []
    for days in (0, 60, 120):
        starts_ms = now_ms() + (days + 1) * 86_400_000
        document = outsider.batch_document(paper_id, starts_ms=starts_ms, occupation=occupation, kind="formal")
        batch_id = outsider.batch(document)
        row = person(id_number=number)
        replies.append(accepted(outsider.put_roster(batch_id, [row, person()])))
    armed = accepted(outsider.arm(batch_id))

    assert ["calendar.resit_again" in warned(reply) for reply in replies] == [False, False, True]
    assert "calendar.resit_again" in warned(armed)
    [told] = [each for each in armed["warnings"] if each["code"] == "calendar.resit_again"]
    assert row["candidate_id"] in told["message"] and number not in told["message"]
