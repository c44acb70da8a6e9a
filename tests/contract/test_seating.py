"""Seating over the API: open seats are assigned, previewed, logged, and outlive the same roster pushed again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.outsider import NOTHING, Exam, Outsider, accepted, now_ms, person, pointers, refused, unique


@pytest.fixture(scope="module")
def paper_id(outsider: Outsider) -> str:
    return outsider.paper()


class Drafted:
    """A draft whose candidates have a site, and no more unless told; the site has `rooms`."""

    def __init__(self, outsider: Outsider, paper_id: str, count: int, rooms: dict[str, Any], **members: Any) -> None:
        self.outsider = outsider
        self.name = unique("考点")
        self.site_id = outsider.site(self.name, **rooms)
        self.document = outsider.batch_document(paper_id, **members)
        self.batch_id = outsider.batch(self.document)
        self.roster = [person(site=self.name, room=NOTHING, seat=NOTHING) for _ in range(count)]
        accepted(outsider.put_roster(self.batch_id, self.roster))

    def seat(self, **members: Any) -> Any:
        return accepted(self.outsider.seat(self.batch_id, **members))

    def log(self) -> list[dict[str, Any]]:
        path = f"/v1/batches/{self.batch_id}/log"
        events = accepted(self.outsider.call("GET", path, scope="schedule"))["events"]
        return [event for event in events if event["kind"] == "seated"]

    def arm(self) -> Exam:
        accepted(self.outsider.arm(self.batch_id))
        return Exam(self.outsider, self.batch_id, self.document, self.roster)


def places(answer: Any) -> list[tuple[str, str]]:
    return [(each["room"], each["seat"]) for each in answer["assigned"]]


def test_open_seats_are_assigned_and_candidates_are_told_them(outsider: Outsider, paper_id: str) -> None:
    """From the push without seats, over the seating, to the login."""
    draft = Drafted(outsider, paper_id, 5, {"101": 3, "102": 3})
    refused(outsider.arm(draft.batch_id), 409, "batch.not_ready")

    answer = draft.seat(seed="周六")

    assert (answer["batch_id"], answer["seed"], answer["dry_run"]) == (draft.batch_id, "周六", False)
    assert (answer["open"], answer["unassigned"], answer["warnings"]) == (5, [], [])
    assert {each["candidate_id"] for each in answer["assigned"]} == {row["candidate_id"] for row in draft.roster}
    assert [place for place in sorted(places(answer)) if place[0] == "101"] == [("101", f"0{at}") for at in (1, 2, 3)]
    exam = draft.arm()
    place_of = {each["candidate_id"]: (each["room"], each["seat"]) for each in answer["assigned"]}
    for index, row in enumerate(draft.roster):
        shown = exam.arrive(index).login["candidate"]
        assert (shown["room"], shown["seat"]) == place_of[row["candidate_id"]]


def test_a_preview_is_the_plan_and_stores_nothing(outsider: Outsider, paper_id: str) -> None:
    """`?dry_run=1`: the same content and seed give the same seats."""
    draft = Drafted(outsider, paper_id, 6, {"101": 30})

    first = draft.seat(dry_run=True)
    again, other = draft.seat(dry_run=True), draft.seat(dry_run=True, seed=2)
    assert first == again and first["dry_run"] and first["seed"] == draft.batch_id
    assert other["seed"] == 2 and other["assigned"] != first["assigned"]
    assert draft.log() == []
    refused(outsider.arm(draft.batch_id), 409, "batch.not_ready")
    assert draft.seat() == {**first, "dry_run": False}


def test_a_second_call_has_nothing_to_do(outsider: Outsider, paper_id: str) -> None:
    """Safe to repeat; a call without a body is a call with an empty one."""
    draft = Drafted(outsider, paper_id, 4, {"101": 30})
    first = draft.seat()

    answer = accepted(outsider.call("POST", f"/v1/batches/{draft.batch_id}/seating", scope="schedule"))

    assert (answer["open"], answer["assigned"]) == (0, [])
    assert answer["rooms"][0]["taken"] == 4 and answer["neighbours"] == first["neighbours"]
    assert len(draft.log()) == 1


def test_the_same_roster_again_takes_no_seat_away(outsider: Outsider, paper_id: str) -> None:
    """API.md: PUT of the same content is 200 and changes nothing, although its seats are open."""
    draft = Drafted(outsider, paper_id, 4, {"101": 30})
    draft.seat()

    reply = accepted(outsider.put_roster(draft.batch_id, draft.roster))

    assert reply == {"accepted": 4, "added": 0, "changed": 0, "removed": 0, "unchanged": 4}
    assert draft.seat()["open"] == 0
    draft.arm()
    assert accepted(outsider.put_roster(draft.batch_id, draft.roster))["unchanged"] == 4


def test_a_given_seat_stays_and_pushes_an_assigned_one_aside(outsider: Outsider, paper_id: str) -> None:
    """Seats given by the push are never moved; whom one displaces gets another."""
    draft = Drafted(outsider, paper_id, 2, {"101": 2})
    first = draft.seat()["assigned"]
    taken = first[0]
    row = next(row for row in draft.roster if row["candidate_id"] != taken["candidate_id"])
    pushed = {**row, "room": taken["room"], "seat": taken["seat"]}
    others = [each for each in draft.roster if each is not row]

    reply = accepted(outsider.put_roster(draft.batch_id, [pushed, *others]))

    assert reply["changed"] == 2
    answer = draft.seat()
    assert [each["candidate_id"] for each in answer["assigned"]] == [taken["candidate_id"]]
    again = draft.seat(reseat=True, seed="anew")
    assert [each["candidate_id"] for each in again["assigned"]] == [taken["candidate_id"]]


def test_a_draft_can_be_seated_anew(outsider: Outsider, paper_id: str) -> None:
    """`reseat` opens what earlier calls assigned, and a room that the roster gave stays."""
    draft = Drafted(outsider, paper_id, 12, {"101": 30, "102": 30})
    draft.roster[0]["room"] = "102"
    accepted(outsider.put_roster(draft.batch_id, draft.roster))
    first = draft.seat(seed=1)

    again = draft.seat(seed=2, reseat=True)

    assert again["open"] == 12 and again["assigned"] != first["assigned"]
    room_of = {each["candidate_id"]: each["room"] for each in again["assigned"]}
    assert room_of[draft.roster[0]["candidate_id"]] == "102"
    assert draft.seat(seed=1, reseat=True)["assigned"] == first["assigned"]


def test_who_gets_no_seat_is_named_with_the_reason(outsider: Outsider, paper_id: str) -> None:
    """And whoever can be seated is."""
    draft = Drafted(outsider, paper_id, 3, {"101": 2})
    elsewhere = person(site=unique("无名考点"), room=NOTHING, seat=NOTHING)
    lost = person(site=draft.name, room="999", seat=NOTHING)
    halfway = person(site=draft.name, room=NOTHING, seat="07")
    accepted(outsider.put_roster(draft.batch_id, [*draft.roster, elsewhere, lost, halfway]))

    answer = draft.seat()

    code_of = {each["candidate_id"]: each["code"] for each in answer["unassigned"]}
    assert len(answer["assigned"]) == 2 and len(code_of) == 4
    assert code_of[elsewhere["candidate_id"]] == "site.unknown"
    assert code_of[lost["candidate_id"]] == "room.unknown"
    assert code_of[halfway["candidate_id"]] == "room.missing"
    assert sorted(code_of.values())[-1] == "site.unknown" and "site.full" in code_of.values()
    assert [warning["code"] for warning in answer["warnings"]] == ["room.unknown"]


def test_organisations_come_with_the_call(outsider: Outsider, paper_id: str) -> None:
    """By candidate, or by the beginning of the ticket; what could not be kept apart is counted."""
    room = {"machines": 4, "spares": 0, "layout": {"rows": 2, "columns": 2}}
    draft = Drafted(outsider, paper_id, 4, {"101": room})
    names = {row["candidate_id"]: "甲公司" if at < 2 else "乙公司" for at, row in enumerate(draft.roster)}

    apart = draft.seat(dry_run=True, organisations=names)
    together = draft.seat(dry_run=True, organisations=dict.fromkeys(names, "甲公司"))
    by_ticket = draft.seat(dry_run=True, ticket_prefix=4)

    assert apart["neighbours"] == {"pairs": 4, "same_organisation": 0, "same_paper": 4}
    assert together["neighbours"]["same_organisation"] == by_ticket["neighbours"]["same_organisation"] == 4


def test_two_batches_at_one_time_share_a_room_but_no_machine(outsider: Outsider, paper_id: str) -> None:
    """On a joint-exam day a room holds several; a batch at another time has all of it."""
    first = Drafted(outsider, paper_id, 2, {"101": 3})
    taken = set(places(first.seat()))

    def beside(starts_ms: int) -> Any:
        batch_id = outsider.batch(outsider.batch_document(paper_id, starts_ms=starts_ms))
        rows = [person(site=first.name, room=NOTHING, seat=NOTHING) for _ in range(2)]
        accepted(outsider.put_roster(batch_id, rows))
        return accepted(outsider.seat(batch_id))

    at_the_time = beside(first.document["starts_ms"] + 600_000)
    assert len(at_the_time["assigned"]) == 1 and not taken & set(places(at_the_time))
    assert [each["code"] for each in at_the_time["unassigned"]] == ["site.full"]
    assert [warning["code"] for warning in at_the_time["warnings"]] == []
    assert len(beside(first.document["starts_ms"] + 700_000)["assigned"]) == 2


def test_a_seat_pushed_twice_is_warned_of_and_refuses_nothing(outsider: Outsider, paper_id: str) -> None:
    """Over capacity, no machine, used by another batch: warnings, and arming takes it as it always did."""
    name = unique("考点")
    outsider.site(name, **{"101": 1})
    batches = [outsider.batch(outsider.batch_document(paper_id)) for _ in range(2)]
    for batch_id in batches:
        rows = [person(site=name, room="101", seat=seat) for seat in ("01", "31")]
        accepted(outsider.put_roster(batch_id, rows))

    warnings = accepted(outsider.seat(batches[1]))["warnings"]

    assert [warning["code"] for warning in warnings] == ["room.over_capacity", "seat.unknown", "seat.shared"]
    assert batches[0] in warnings[2]["message"]
    accepted(outsider.arm(batches[1]))


def test_all_faults_of_a_call_are_listed(outsider: Outsider, paper_id: str) -> None:
    """Shape, unknown members, and sites, rooms and candidates that there are not."""
    draft = Drafted(outsider, paper_id, 1, {"101": 30})
    sites = [{"site_id": draft.site_id, "rooms": ["999"]}, {"site_id": "nowhere"}]

    problem = refused(
        outsider.seat(draft.batch_id, seed=-1, sites=sites, organisations={"X": "甲"}, colour=1), 422, "request.invalid"
    )

    assert pointers(problem) == ["/colour", "/organisations/X", "/seed", "/sites/0/rooms/0", "/sites/1/site_id"]
    path = f"/v1/batches/{draft.batch_id}/seating"
    problem = refused(outsider.call("POST", path, scope="schedule", params={"dry_run": "yes"}, json={"reseat": 1}), 422)
    assert pointers(problem) == ["/dry_run", "/reseat"]
    refused(outsider.call("POST", path, scope="schedule", content=b"{"), 400, "request.malformed")
    refused(outsider.seat("no-such-batch"), 404, "not_found")
    assert draft.seat()["open"] == 1


def test_only_the_rooms_named_are_filled(outsider: Outsider, paper_id: str) -> None:
    draft = Drafted(outsider, paper_id, 3, {"101": 30, "102": 2})

    answer = draft.seat(sites=[{"site_id": draft.site_id, "rooms": ["102"]}], spares_kept=1)

    assert sorted(places(answer)) == [("102", "01"), ("102", "02"), ("102", "备用1")]


def test_an_armed_batch_keeps_its_seats(outsider: Outsider, paper_id: str) -> None:
    """Its candidates know them; asking again changes nothing, seating anew is refused."""
    draft = Drafted(outsider, paper_id, 2, {"101": 30})
    draft.seat()
    draft.arm()

    assert draft.seat()["open"] == 0
    refused(outsider.seat(draft.batch_id, reseat=True), 409, "batch.armed")


def test_what_was_assigned_stands_in_the_batchs_log(outsider: Outsider, paper_id: str) -> None:
    """Who sat where by which seed, and whose key it was."""
    draft = Drafted(outsider, paper_id, 2, {"101": 30})
    answer = draft.seat(seed=5)

    (event,) = draft.log()

    assert event["key_id"] and event["at_ms"] <= now_ms()
    assert event["after"]["seed"] == 5 and event["after"]["assigned"] == 2
    expected = {each["candidate_id"]: [each["site"], each["room"], each["seat"]] for each in answer["assigned"]}
    assert event["after"]["seats"] == expected


def test_a_push_can_assign_what_it_leaves_open(outsider: Outsider, paper_id: str) -> None:
    """`?seating=1`: roster and seats in one act, previewed like everything else."""
    draft = Drafted(outsider, paper_id, 3, {"101": 2})
    path = f"/v1/batches/{draft.batch_id}/roster"

    def push(**query: Any) -> Any:
        query = {"seating": 1, **query}
        return accepted(outsider.call("PUT", path, scope="schedule", params=query, json=draft.roster))

    tried, taken = push(dry_run=1), push()

    assert tried == taken and (taken["accepted"], taken["unchanged"]) == (3, 3)
    assert len(taken["seating"]["assigned"]) == 2
    assert [each["code"] for each in taken["seating"]["unassigned"]] == ["site.full"]
    assert push()["seating"]["assigned"] == []
    problem = refused(outsider.call("PUT", path, scope="schedule", params={"seating": "on"}, json=[]), 422)
    assert pointers(problem) == ["/seating"]


def test_a_late_addition_gets_a_seat_on_an_armed_batch(outsider: Outsider, paper_id: str) -> None:
    """Until the latest entry: nobody else moves, and the addition logs in to its seat."""
    draft = Drafted(outsider, paper_id, 2, {"101": 3})
    before = draft.seat()["assigned"]
    exam = draft.arm()
    late = person(site=draft.name, room=NOTHING, seat=NOTHING)
    path = f"/v1/batches/{draft.batch_id}/roster"

    def push(*rows: dict[str, Any], seating: int = 1) -> Any:
        return outsider.call("PUT", path, scope="schedule", params={"seating": seating}, json=[*draft.roster, *rows])

    refused(push(late, seating=0), 409, "batch.armed")
    taken = accepted(push(late))
    one_too_many = refused(push(late, person(site=draft.name, room=NOTHING, seat=NOTHING)), 409, "batch.armed")

    (given,) = taken["seating"]["assigned"]
    assert (taken["added"], taken["changed"], given["candidate_id"]) == (1, 0, late["candidate_id"])
    assert (given["room"], given["seat"]) not in [(each["room"], each["seat"]) for each in before]
    assert "no seat" in one_too_many["detail"]
    assert outsider.show_batch(draft.batch_id)["counts"]["rostered"] == 3
    shown = accepted(outsider.log_in(exam.code, late["id_number"]))["candidate"]
    assert (shown["room"], shown["seat"]) == (given["room"], given["seat"])


def test_nobody_is_moved_by_taking_a_seat_away_after_arming(outsider: Outsider, paper_id: str) -> None:
    """A seat that the push gave and now leaves open is not given anew: its candidate may be sitting there."""
    name = unique("考点")
    outsider.site(name, **{"101": 30})
    exam = outsider.exam(paper_id=paper_id, rows=[person(site=name, room="101", seat="05")])
    row = {key: value for key, value in exam.roster[0].items() if key not in ("room", "seat")}
    path = f"/v1/batches/{exam.batch_id}/roster"

    problem = refused(
        outsider.call("PUT", path, scope="schedule", params={"seating": 1}, json=[row]), 409, "batch.armed"
    )

    assert row["candidate_id"] in problem["detail"]
    assert exam.arrive().login["candidate"]["seat"] == "05"
