"""A roster is read whole: every fault listed in row order, nobody and no seat twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.rules import roster_row
from engine.rules.errors import Invalid
from engine.rules.terms import Candidate
from tests.unit.roster_entries import as_lines, entry, faults, named, read, without


def test_a_full_entry_becomes_a_candidate() -> None:
    """Every field arrives folded, in the order sent."""
    full = entry(0, id_number="110105491231002", seat="备用1", extra_time_s=600)

    assert read(full, entry(1)) == [
        Candidate(
            candidate_id="C0",
            name="张三",
            id_number="11010519491231002X",
            admission_ticket="2025000000",
            site="第一考点",
            room="301",
            seat="备用1",
            extra_time_s=600,
        ),
        Candidate(
            candidate_id="C1",
            name="张三",
            id_number="E00000001",
            admission_ticket="2025000001",
            site="第一考点",
            room="301",
            seat="02",
        ),
    ]


def test_optional_fields_may_be_absent() -> None:
    """The admission ticket stands in for the candidate's id; room and seat are empty, extra time is none."""
    (candidate,) = read(without(entry(), "candidate_id", "room", "seat"))

    assert candidate.candidate_id == candidate.admission_ticket == "2025000000"
    assert (candidate.room, candidate.seat, candidate.extra_time_s) == ("", "", 0)


def test_room_and_seat_may_be_empty_for_everyone() -> None:
    """Seats are given out later; empty ones are not the same seat."""
    assert [each.seat for each in read(*(entry(number, room="", seat=" ") for number in range(3)))] == ["", "", ""]


@pytest.mark.parametrize(
    "typed",
    [{"room": "１０１"}, {"room": "1 01"}, {"site": "第一 考点"}, {"site": "第一考点", "room": "101\u200b"}],
)
def test_a_room_typed_in_two_ways_is_one_room(typed: dict[str, str]) -> None:
    """Two people would be sent to one machine; each place stays as it was typed."""
    place = {"site": "第一考点", "room": "101"}

    assert named(entry(**place, seat="05"), entry(1, **{**place, **typed}, seat="05")) == [
        ("/1/seat", "seat.duplicate")
    ]
    assert read(entry(**{**place, "room": "１０１"}, seat="05"))[0].room == "１０１"


@pytest.mark.parametrize("field", ["name", "id_number", "admission_ticket", "site"])
@pytest.mark.parametrize("blank", [None, "", " ", "\u3000", "\u200b", "\ufeff \t"])
def test_required_fields_are_neither_absent_nor_blank(field: str, blank: str | None) -> None:
    """A space or an invisible character is no name."""
    changed = without(entry(), field) if blank is None else entry(**{field: blank})

    assert named(changed) == [(f"/0/{field}", "missing")]


@pytest.mark.parametrize("field", [field for field in roster_row.FIELDS if field != "extra_time_s"])
@pytest.mark.parametrize("value", [None, True, 12, 1.5, 10**30, [], {}, ["01"]])
def test_text_fields_take_strings_only(field: str, value: Any) -> None:
    """Also null: absent is absent. A number has already lost its zeros."""
    assert named(entry(**{field: value})) == [(f"/0/{field}", "type")]


def test_an_id_number_sent_as_a_number_is_refused_even_where_its_check_digit_fits() -> None:
    """Lost digits are named, never guessed."""
    (fault,) = faults(entry(id_number=110101199003070134))

    assert (fault["pointer"], fault["code"]) == ("/0/id_number", "type")
    assert "does not keep every digit" in fault["message"]


@pytest.mark.parametrize("thing", [None, 1, "C1", [], True])
def test_an_entry_that_is_no_object_is_a_fault(thing: Any) -> None:
    """One fault for the row, none for each field it lacks."""
    assert named(entry(0), thing) == [("/1", "type")]


def test_unknown_members_are_faults() -> None:
    """A misspelt optional field must not vanish silently; its pointer is escaped as RFC 6901 has it."""
    found = named(entry(0, extra_times=600, **{"a/b~c": 1, "": 2}))

    assert found == [("/0/extra_times", "unknown"), ("/0/a~1b~0c", "unknown"), ("/0/", "unknown")]


def test_an_empty_object_lacks_every_required_field() -> None:
    """All of them are named at once."""
    assert named({}) == [(f"/0/{field}", "missing") for field in ("name", "id_number", "admission_ticket", "site")]


def test_a_roster_with_faults_everywhere_lists_all_of_them_in_row_order() -> None:
    """The scheduling clerk mends a file once, not once per fault."""
    assert named(
        entry(0, name="=1+1", seat="1", extra_time_s=-1),
        entry(1),
        entry(2, id_number="110105194912310021", nickname="x"),
        entry(1, candidate_id="C 3", seat="09"),
        without(entry(4), "site"),
    ) == [
        ("/0/name", "name.formula"),
        ("/0/seat", "seat.shape"),
        ("/0/extra_time_s", "extra_time_s.range"),
        ("/2/nickname", "unknown"),
        ("/2/id_number", "id_number.check_digit"),
        ("/3/candidate_id", "candidate_id.characters"),
        ("/3/id_number", "id_number.duplicate"),
        ("/3/admission_ticket", "admission_ticket.duplicate"),
        ("/4/site", "missing"),
    ]


def test_each_fault_says_what_where_and_which_value() -> None:
    """JSON faults have a pointer; lines have row and field as well."""
    bad = entry(0, seat="1")

    (fault,) = faults(bad)
    assert fault.keys() == {"pointer", "code", "message", "value"}
    assert fault["value"] == "1"

    (fault,) = faults(bad, write=as_lines)
    assert fault.keys() == {"pointer", "row", "field", "code", "message", "value"}
    assert (fault["row"], fault["field"]) == (1, "seat")


def test_at_most_a_thousand_faults_are_listed_and_all_are_counted() -> None:
    """The first thousand in row order."""
    with pytest.raises(Invalid) as caught:
        read(*({} for _ in range(700)))

    assert caught.value.members["errors_total"] == 2_800
    assert [fault["pointer"] for fault in caught.value.faults][-1] == "/249/site"
    assert len(caught.value.faults) == 1_000


def test_a_huge_value_is_cut_short_in_its_fault() -> None:
    """The reply stays small and JSON-ready whatever was sent."""
    found = faults(entry(0, name="张" * 10_000, seat=["x" * 10_000], **{"m" * 10_000: 1}), write=as_lines)

    assert len(json.dumps(found, ensure_ascii=False)) < 3_000


@pytest.mark.parametrize("field", ["candidate_id", "id_number", "admission_ticket", "seat"])
def test_every_row_after_the_first_is_a_duplicate_naming_the_first(field: str) -> None:
    """Of three equal rows the last two are named, each with the first."""
    first = entry(0)
    rows = [first, entry(1), entry(2, **{field: first[field]}), entry(3, **{field: first[field]})]

    found = faults(*rows)
    assert [(fault["pointer"], fault["code"]) for fault in found] == [
        (f"/2/{field}", f"{field}.duplicate"),
        (f"/3/{field}", f"{field}.duplicate"),
    ]
    assert {fault["first_pointer"] for fault in found} == {f"/0/{field}"}
    assert all(f"/0/{field}" in fault["message"] for fault in found)

    found = faults(*rows, write=as_lines)
    assert [(fault["row"], fault["field"], fault["first_row"]) for fault in found] == [(3, field, 1), (4, field, 1)]
    assert all("row 1" in fault["message"] for fault in found)


@pytest.mark.parametrize("again", ["110105491231002", "11010519491231002x", "１１０１０５ 491231002"])
def test_the_same_person_is_found_under_any_spelling(again: str) -> None:
    """Fifteen digits equal their eighteen; the fault shows the value as sent."""
    (fault,) = faults(entry(0, id_number="11010519491231002X"), entry(1, id_number=again))

    assert (fault["pointer"], fault["code"], fault["value"]) == ("/1/id_number", "id_number.duplicate", again)


def test_two_wrong_tickets_alike_are_not_also_duplicates() -> None:
    """One mistake is named once: only values good by themselves are compared."""
    assert named(entry(0, seat="1"), entry(1, seat="1")) == [("/0/seat", "seat.shape"), ("/1/seat", "seat.shape")]


def test_a_duplicate_of_a_row_with_other_faults_is_still_named() -> None:
    """Mending the first row's name would not mend the second row."""
    assert named(entry(0, name=""), entry(0, candidate_id="C1", admission_ticket="2025000001", seat="02")) == [
        ("/0/name", "missing"),
        ("/1/id_number", "id_number.duplicate"),
    ]


def test_the_same_seat_elsewhere_is_another_seat() -> None:
    """A seat is a machine of one room of one site."""
    assert len(read(entry(0), entry(1, seat="01", room="302"), entry(2, seat="01", site="第二考点"))) == 3


def test_seats_01_and_001_are_different() -> None:
    """Zeros are kept, so they count."""
    assert len(read(entry(0, seat="01"), entry(1, seat="001"))) == 2


def test_a_ticket_standing_in_for_an_id_is_compared_with_ids() -> None:
    """Somebody else may carry that string as a candidate's id."""
    found = named(
        entry(0, candidate_id="2025000001"),
        without(entry(1), "candidate_id"),
    )

    assert found == [("/1/candidate_id", "candidate_id.duplicate")]


def test_two_equal_tickets_without_ids_are_one_fault() -> None:
    """The ticket is the mistake; the id that follows from it is not named again."""
    first = without(entry(0), "candidate_id")
    again = without(entry(1, admission_ticket=first["admission_ticket"]), "candidate_id")

    assert named(first, again) == [("/1/admission_ticket", "admission_ticket.duplicate")]
