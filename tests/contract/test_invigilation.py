"""The calls of proctors, and what candidates' pages report: takeover, events, rooms and seats."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.contract.outsider import Exam, Outsider, accepted, now_ms, person, pointers, poll, refused, unique

ACT = {"proctor": "周监考", "reason": "机器死机"}


def allow(outsider: Outsider, sitting_id: str, body: Any = ACT) -> Any:
    return outsider.call("POST", f"/v1/sittings/{sitting_id}/takeover", scope="proctor", json=body)


def feed(outsider: Outsider, exam: Exam, **query: Any) -> Any:
    path = f"/v1/batches/{exam.batch_id}/events"
    return accepted(outsider.call("GET", path, scope="proctor", params=query))


def seats(outsider: Outsider, exam: Exam, index: int = 0) -> list[dict[str, Any]]:
    place = {name: exam.roster[index][name] for name in ("site", "room")}
    path = f"/v1/batches/{exam.batch_id}/seats"
    return list(accepted(outsider.call("GET", path, scope="proctor", params=place))["seats"])


def left(at_ms: int, event_id: str = "", **members: Any) -> dict[str, Any]:
    return {"id": event_id or unique("e"), "kind": "window_left", "at_ms": at_ms, **members}


# --- takeover --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("takeover", ["proctor", "silent"])
def test_a_proctor_lets_exactly_one_login_take_over(outsider: Outsider, takeover: str) -> None:
    exam = outsider.exam(rules={"takeover": takeover})
    first = exam.enter()
    accepted(first.save(("A1", 1, "a")))
    [seat] = seats(outsider, exam)
    assert (seat["asked_ms"], seat["takeover_until_ms"]) == (None, None)
    refused(exam.log_in(), 409, "login.elsewhere")
    assert abs(seats(outsider, exam)[0]["asked_ms"] - now_ms()) < 60_000
    allowed = accepted(allow(outsider, first.sitting_id))
    assert allowed["sitting_id"] == first.sitting_id and allowed["takeover"] == takeover
    assert now_ms() < allowed["until_ms"] <= now_ms() + 600_000
    assert seats(outsider, exam)[0]["takeover_until_ms"] == allowed["until_ms"]
    accepted(first.save(("A1", 2, "b")))  # allowed is not taken: the old machine goes on until then
    second = exam.arrive()
    assert second.login["state"] == "in_progress" and second.stored() == {"A1": (2, "b")}
    refused(first.save(("A1", 3, "c")), 409, "sitting.superseded")
    refused(exam.log_in(), 409, "login.elsewhere")
    accepted(second.save(("A1", 3, "c")))


def test_allowing_again_is_the_same_once_more(outsider: Outsider) -> None:
    """Two permissions are still for one login; after it a new one may be given."""
    exam = outsider.exam(rules={"takeover": "proctor"})
    first = exam.arrive()
    one = accepted(allow(outsider, first.sitting_id))
    two = accepted(allow(outsider, first.sitting_id, {}))
    assert two["until_ms"] >= one["until_ms"]
    exam.arrive()
    refused(exam.log_in(), 409, "login.elsewhere")
    accepted(allow(outsider, first.sitting_id))
    exam.arrive()
    acts = feed(outsider, exam)["events"]
    assert [(act["kind"], act["proctor"], act["reason"]) for act in acts] == [
        ("takeover_allowed", "周监考", "机器死机"),
        ("takeover_allowed", None, None),
        ("takeover_allowed", "周监考", "机器死机"),
    ]
    assert {act["key_id"] for act in acts} == {outsider.keys["proctor"].split("_")[2]}


def test_what_needs_no_permission_gets_none(outsider: Outsider) -> None:
    """Under `free` any login takes over; before the first login nobody has anything to take over from."""
    free = outsider.exam().arrive()
    assert accepted(allow(outsider, free.sitting_id)) == {
        "sitting_id": free.sitting_id,
        "takeover": "free",
        "until_ms": None,
    }
    exam = outsider.exam(rules={"takeover": "proctor"})
    [seat] = seats(outsider, exam)
    assert accepted(allow(outsider, seat["sitting_id"]))["until_ms"] is None
    exam.arrive()
    refused(exam.log_in(), 409, "login.elsewhere")


def test_a_permission_without_a_body_is_taken_and_another_body_is_not(outsider: Outsider) -> None:
    exam = outsider.exam(rules={"takeover": "proctor"})
    sitting = exam.arrive()
    path = f"/v1/sittings/{sitting.sitting_id}/takeover"
    accepted(outsider.call("POST", path, scope="proctor"))
    wrong = {"proctor": 5, "reason": "x" * 501, "epoch": 1}
    assert pointers(refused(allow(outsider, sitting.sitting_id, wrong), 422, "request.invalid")) == [
        "/epoch",
        "/proctor",
        "/reason",
    ]
    refused(outsider.call("POST", path, scope="proctor", content=b"{"), 400, "request.malformed")
    refused(outsider.call("POST", path, scope="schedule", json=ACT), 403, "auth.scope")
    refused(outsider.call("POST", path, bearer=sitting.token, json=ACT), 401, "auth.missing")


def test_only_an_open_sitting_of_an_armed_batch_is_handed_over(outsider: Outsider) -> None:
    refused(allow(outsider, "nobody"), 404, "not_found")
    refused(allow(outsider, "~"), 404, "not_found")
    exam = outsider.exam(rules={"takeover": "proctor"})
    sitting = exam.enter()
    accepted(sitting.submit(0))
    refused(allow(outsider, sitting.sitting_id), 409, "takeover.closed")
    draft = outsider.batch()
    row = person()
    accepted(outsider.put_roster(draft, [row]))
    place = {"site": row["site"], "room": row["room"]}
    shown = accepted(outsider.call("GET", f"/v1/batches/{draft}/seats", scope="proctor", params=place))
    refused(allow(outsider, shown["seats"][0]["sitting_id"]), 409, "batch.not_ready")


# --- events ----------------------------------------------------------------------------------------------------


def test_events_are_recorded_once_and_told_in_order(outsider: Outsider) -> None:
    """Sending again is safe; the feed has a durable cursor, for the batch or for one room of it."""
    place = {"site": "某市第一考点", "room": "甲 101"}
    exam = outsider.exam(rows=[person(**place), person()])
    sitting, other = exam.enter(0), exam.enter(1)
    at_ms = now_ms()
    events = [
        left(at_ms - 50, "e1"),
        {"id": "e2", "kind": "window_returned", "at_ms": at_ms, "away_ms": 4_000},
    ]
    for _ in range(2):
        assert accepted(sitting.call("POST", "/v1/sitting/events", json={"events": events})) == {"recorded": 2}
    accepted(other.call("POST", "/v1/sitting/events", json={"events": [left(at_ms, "e1")]}))

    first = feed(outsider, exam, limit=1)
    rest = feed(outsider, exam, after=first["next"])
    told = [(event["sitting_id"], event["kind"], event["away_ms"]) for event in [*first["events"], *rest["events"]]]
    assert told == [
        (sitting.sitting_id, "window_left", None),
        (sitting.sitting_id, "window_returned", 4_000),
        (other.sitting_id, "window_left", None),
    ]
    assert feed(outsider, exam, after=rest["next"]) == {"events": [], "next": rest["next"]}
    assert [event["sitting_id"] for event in feed(outsider, exam, **place)["events"]] == [sitting.sitting_id] * 2
    assert feed(outsider, exam, site="nowhere", room="")["events"] == []
    [seat] = seats(outsider, exam)
    assert (seat["left"], seat["away_ms"], seat["is_away"]) == (1, 4_000, False)


def test_only_what_lies_in_the_exam_is_recorded(outsider: Outsider) -> None:
    """Not before the start, nor after the hand-in; a page whose clock runs ahead is taken to speak of now."""
    waiting = outsider.exam(starts_ms=now_ms() + 60_000).enter()
    refused(waiting.call("POST", "/v1/sitting/events", json={"events": [left(now_ms())]}), 409, "events.not_open")
    exam = outsider.exam()
    unready = exam.arrive()
    refused(unready.call("POST", "/v1/sitting/events", json={"events": [left(now_ms())]}), 409, "sitting.order")
    accepted(unready.confirm())
    accepted(unready.pledge())
    events = [left(exam.starts_ms - 1), left(exam.starts_ms), left(now_ms() + 3_600_000)]
    assert accepted(unready.call("POST", "/v1/sitting/events", json={"events": events})) == {"recorded": 2}
    assert max(event["at_ms"] for event in feed(outsider, exam)["events"]) <= now_ms()
    accepted(unready.submit(0))
    time.sleep(0.01)
    late = [left(now_ms()), left(exam.starts_ms + 1)]
    assert accepted(unready.call("POST", "/v1/sitting/events", json={"events": late})) == {"recorded": 1}


def test_a_call_of_events_is_bounded_and_closed(outsider: Outsider) -> None:
    exam = outsider.exam()
    sitting = exam.enter()
    wrong = {"events": [{"id": "a b", "kind": "window_seen", "at_ms": -1, "away_ms": "long", "more": 1}]}
    problem = refused(sitting.call("POST", "/v1/sitting/events", json=wrong), 422, "request.invalid")
    assert pointers(problem) == [f"/events/0/{name}" for name in ("at_ms", "away_ms", "id", "kind", "more")]
    for count in (0, 101):
        body = {"events": [left(now_ms()) for _ in range(count)]}
        refused(sitting.call("POST", "/v1/sitting/events", json=body), 422, "request.invalid")
    long = [left(exam.starts_ms, f"{n:064d}", away_ms=999_999) for n in range(100)]
    assert accepted(sitting.call("POST", "/v1/sitting/events", json={"events": long})) == {"recorded": 100}
    refused(sitting.call("POST", "/v1/sitting/events", content=b" " * (32 * 1024 + 1)), 413, "request.too_large")
    newer = exam.arrive()
    refused(sitting.call("POST", "/v1/sitting/events", json={"events": [left(now_ms())]}), 409, "sitting.superseded")
    answers = [newer.call("POST", "/v1/sitting/events", json={"events": [left(now_ms(), "e")]}) for _ in range(40)]
    refused(answers[-1], 429, "rate.limited")
    assert int(answers[-1].headers["retry-after"]) > 0
    assert accepted(answers[0]) == {"recorded": 1}


# --- rooms -----------------------------------------------------------------------------------------------------


def test_a_room_shows_every_seat_with_its_candidates_progress(outsider: Outsider) -> None:
    rows = [person(name=f"考生{n}", site="某市第一考点", room="1号楼 甲", seat=f"{n:02d}") for n in range(1, 5)]
    rows[2]["extra_time_s"] = 600
    exam = outsider.exam(rows=[*rows, person(site="某市第一考点", room="乙")])
    writing, done = exam.enter(0), exam.enter(1)
    exam.arrive(2)
    accepted(writing.save(("A1", 1, "a"), ("C1", 2, True), ("F1", 3, "null")))
    accepted(writing.save(("A1", 4, None), ("B1", 5, ["a"])))
    accepted(done.submit(0))

    def shown() -> Any:
        found = seats(outsider, exam)
        return found if [seat["state"] for seat in found][1] == "submitted" else None

    found = poll(shown, 20, "the hand-in")
    assert [(seat["seat"], seat["name"], seat["state"], seat["answered"]) for seat in found] == [
        ("01", rows[0]["name"], "in_progress", 3),
        ("02", rows[1]["name"], "submitted", 0),
        ("03", rows[2]["name"], "checked_in", 0),
        ("04", rows[3]["name"], "expected", 0),
    ]
    assert [seat["extra_time_s"] for seat in found] == [0, 0, 600, 0]
    assert found[2]["ends_ms"] == exam.ends_ms + 600_000
    assert all(seat["is_live"] for seat in found)
    assert found[3]["seen_ms"] is None and abs(found[0]["seen_ms"] - now_ms()) < 60_000

    listed = accepted(outsider.call("GET", f"/v1/batches/{exam.batch_id}/rooms", scope="proctor"))
    assert [(room["room"], room["sittings"]) for room in listed["rooms"]] == [("1号楼 甲", 4), ("乙", 1)]
    assert sum(listed["rooms"][0]["counts"].values()) == 4
    batches = accepted(outsider.call("GET", "/v1/invigilation", scope="proctor"))["batches"]
    [batch] = [batch for batch in batches if batch["batch_id"] == exam.batch_id]
    assert (batch["sittings"], batch["rooms"], batch["ends_ms"]) == (5, 2, exam.ends_ms)
    assert "admission_code" not in batch


def test_a_room_beyond_any_size_says_that_it_is_cut(outsider: Outsider) -> None:
    place = {"site": "某市第一考点", "room": "礼堂"}
    exam = outsider.exam(rows=[person(**place, seat=f"{n:03d}") for n in range(201)])
    answer = outsider.call("GET", f"/v1/batches/{exam.batch_id}/seats", scope="proctor", params=place)
    shown = accepted(answer)
    assert (len(shown["seats"]), shown["is_complete"]) == (200, False)
    assert [seat["seat"] for seat in shown["seats"]] == [f"{n:03d}" for n in range(200)]


def test_an_unknown_room_is_empty_and_an_unknown_batch_is_not_found(outsider: Outsider) -> None:
    exam = outsider.exam()
    path = f"/v1/batches/{exam.batch_id}/seats"
    answer = outsider.call("GET", path, scope="proctor", params={"site": "", "room": "nowhere"})
    assert accepted(answer)["seats"] == []
    problem = refused(outsider.call("GET", path, scope="proctor"), 422, "request.invalid")
    assert pointers(problem) == ["/room", "/site"]
    for wanted in ("rooms", "events", "seats?site=&room="):
        refused(outsider.call("GET", f"/v1/batches/none/{wanted}", scope="proctor"), 404, "not_found")
        refused(outsider.call("GET", f"/v1/batches/{exam.batch_id}/{wanted}", scope="results"), 403, "auth.scope")
    refused(outsider.call("GET", f"/v1/batches/{exam.batch_id}/events?site=a", scope="proctor"), 422, "request.invalid")
    refused(outsider.call("GET", "/v1/invigilation?from_ms=x", scope="proctor"), 422, "request.invalid")
