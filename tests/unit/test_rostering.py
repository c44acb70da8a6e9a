"""A roster is read whole: folded, checked, every fault listed in row order."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules import roster_json, roster_row
from engine.rules.errors import Invalid, Refused
from engine.rules.rostering import fold_name, fold_place
from engine.rules.terms import Candidate
from engine.scheduling.roster_decoding import read_roster

TODAY = datetime.date(2025, 11, 15)
Entry = dict[str, Any]


def entry(number: int = 0, /, **changes: Any) -> Entry:
    """A valid entry; entries of different numbers share nothing that must be unique."""
    return {
        "candidate_id": f"C{number}",
        "name": "张三",
        "id_number": f"E{number:08}",
        "admission_ticket": f"20250{number:05}",
        "site": "第一考点",
        "room": "301",
        "seat": f"{number + 1:02}",
        **changes,
    }


def without(given: Entry, *fields: str) -> Entry:
    return {field: value for field, value in given.items() if field not in fields}


def as_array(entries: list[Any]) -> bytes:
    return json.dumps(entries).encode()


def as_lines(entries: list[Any]) -> bytes:
    return "\n".join(json.dumps(each, ensure_ascii=False) for each in entries).encode("utf-8", "surrogatepass")


def read(*entries: Any) -> list[Candidate]:
    return read_roster(as_array(list(entries)), "application/json", TODAY)


def faults(*entries: Any, write: Callable[[list[Any]], bytes] = as_array) -> list[dict[str, Any]]:
    with pytest.raises(Invalid) as caught:
        read_roster(write(list(entries)), "application/json", TODAY)
    assert caught.value.code == "roster.invalid"
    assert caught.value.members["errors_total"] >= len(caught.value.faults)
    return caught.value.faults


def named(*entries: Any, write: Callable[[list[Any]], bytes] = as_array) -> list[tuple[str, str]]:
    """Every fault as (pointer, code)."""
    return [(fault["pointer"], fault["code"]) for fault in faults(*entries, write=write)]


# --- formats ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [as_array, as_lines])
@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf", b" \r\n\t", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson", "text/csv", "", "nonsense"])
def test_content_decides_the_format(write: Callable[[list[Any]], bytes], prefix: bytes, content_type: str) -> None:
    """Array and lines are told apart by their first character, whatever the sender calls them."""
    candidates = read_roster(prefix + write([entry(0), entry(1)]), content_type, TODAY)

    assert [candidate.candidate_id for candidate in candidates] == ["C0", "C1"]


@pytest.mark.parametrize("body", [b"[]", b" [ ] \n", b"\xef\xbb\xbf[]"])
def test_an_empty_array_empties_the_roster(body: bytes) -> None:
    """`[]` is the one way to say: nobody."""
    assert read_roster(body, "application/json", TODAY) == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "XLS"),
        ("[]".encode("utf-16"), "text"),
        (b"\x00\x01\x02", "binary"),
        (b"null", "text"),
        (b'"C1"', "text"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<html><table><tr><td>", "HTML"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Workbook>', "XML"),
    ],
)
def test_any_other_format_is_refused_by_what_was_found(body: bytes, found: str) -> None:
    """The refusal names what the body looks like and what is accepted."""
    with pytest.raises(Refused) as caught:
        read_roster(body, "application/pdf", TODAY)

    assert caught.value.code == "roster.file_format"
    assert found in caught.value.detail
    assert caught.value.members["accepted"]


@pytest.mark.parametrize("body", [b"[", b"[{}", b"[{}]]", b"[NaN]", b'["\xff"]', b"[" * 100_000, b'[{"a":1,"a":2}]'])
def test_an_array_that_cannot_be_parsed_is_malformed(body: bytes) -> None:
    """Without JSON there are no rows to find faults in."""
    with pytest.raises(Refused) as caught:
        read_roster(body, "application/json", TODAY)

    assert caught.value.code == "request.malformed"


def test_a_lone_surrogate_makes_an_array_malformed() -> None:
    """Half a character is no text; PostgreSQL could not keep it."""
    with pytest.raises(Refused) as caught:
        read(entry(name="张\ud842三"))

    assert caught.value.code == "request.malformed"


def test_lines_that_cannot_be_parsed_are_faults_beside_the_others() -> None:
    """One broken line hides no other fault; rows are counted as lines of the file, blank ones too."""
    lines = [
        json.dumps(entry(0)),
        "",
        "{broken",
        "[1]",
        json.dumps(entry(2, name="")),
        '{"name": "\\ud800"}',
        "   ",
        "7",
    ]
    found = faults(write=lambda _: "\r\n".join(lines).encode() + b"\r\n")

    assert [(fault["row"], fault["field"], fault["code"]) for fault in found] == [
        (3, None, "malformed"),
        (4, None, "type"),
        (5, "name", "missing"),
        (6, None, "malformed"),
        (8, None, "type"),
    ]
    assert [fault["pointer"] for fault in found] == ["/1", "/2", "/3/name", "/4", "/5"]
    assert found[0]["value"] == "{broken"


def test_a_line_that_is_not_utf8_is_a_fault_of_that_line() -> None:
    """The others are still read."""
    body = as_lines([entry(0)]) + b'\n{"name": "\xc0\xc1"}\n' + as_lines([entry(1, seat="1")])
    found = faults(write=lambda _: body)

    assert [(fault["row"], fault["code"]) for fault in found] == [(2, "malformed"), (3, "seat.shape")]


def test_a_line_separator_inside_a_text_ends_no_line() -> None:
    """Only a line feed ends a line: U+2028 and U+0085 may stand in a JSON text."""
    body = as_lines([entry(0, site="A\u2028B"), entry(1)])

    assert [fault["row"] for fault in faults(write=lambda _: body)] == [1]


@pytest.mark.parametrize("write", [as_array, as_lines])
def test_too_many_rows_are_refused(write: Callable[[list[Any]], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound itself is taken, one more is not."""
    monkeypatch.setattr(roster_json, "ROSTER_ROWS_MAX", 2)
    assert len(read_roster(write([entry(0), entry(1)]), "", TODAY)) == 2

    with pytest.raises(Refused) as caught:
        read_roster(write([entry(0), entry(1), entry(2)]), "", TODAY)
    assert caught.value.code == "request.too_large"


# --- whole rows ------------------------------------------------------------------------------------------------


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


# --- fields ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("good", ["1", "a.b_c-d", "-1", "..", "Z" * 64])
def test_a_candidate_id_is_kept_as_sent(good: str) -> None:
    """It is the pusher's own string and comes back in results exactly so."""
    assert read(entry(candidate_id=good))[0].candidate_id == good


@pytest.mark.parametrize("bad", ["", " ", "a b", " C1", "Ｃ１", "张三", "a/b", "Z" * 65, "C1\n", "C\u200b1", "²", "\0"])
def test_a_candidate_id_outside_its_characters_is_a_fault(bad: str) -> None:
    """Not folded into something the pusher would not find again."""
    assert named(entry(candidate_id=bad)) == [("/0/candidate_id", "candidate_id.characters")]


@pytest.mark.parametrize("text", ["２０２５１２３Ａ", " 2025 123A ", "2025\u200b123A\ufeff", "\u30002025123A"])
def test_a_ticket_is_folded_for_width_and_spaces(text: str) -> None:
    """And so is the candidate's id where the ticket stands in for it."""
    (candidate,) = read(without(entry(admission_ticket=text), "candidate_id"))

    assert candidate.admission_ticket == candidate.candidate_id == "2025123A"


def test_a_ticket_keeps_its_case() -> None:
    """It may serve as the candidate's id, where a and A differ."""
    assert len(read(entry(0, admission_ticket="a1"), entry(1, admission_ticket="A1"))) == 2


@pytest.mark.parametrize("bad", ["准考1", "a/b", "1" * 65, "1,2", "1\n", "1\0"])
def test_a_ticket_has_the_characters_of_an_id(bad: str) -> None:
    """1 to 64 letters, digits, dots, underscores and hyphens."""
    assert named(entry(admission_ticket=bad)) == [("/0/admission_ticket", "admission_ticket.characters")]


@pytest.mark.parametrize("field", ["name", "site", "room", "admission_ticket"])
@pytest.mark.parametrize("prefix", ["=", "+", "-", "@", "＝", "＋", "－", "＠", " =", "\u200b=", "\t="])
def test_a_text_a_spreadsheet_would_run_is_a_fault(field: str, prefix: str) -> None:
    """Also behind what folding removes: rosters and results are opened in spreadsheets."""
    assert named(entry(**{field: prefix + "1"})) == [(f"/0/{field}", f"{field}.formula")]


@pytest.mark.parametrize("field", ["name", "site", "room"])
@pytest.mark.parametrize("mark", ["\0", "\x07", "\n", "\r", "\x7f", "\x85", "\ufffd"])
def test_control_characters_and_lost_characters_are_faults(field: str, mark: str) -> None:
    """A NUL cannot be stored, a line break cannot be printed on a ticket, U+FFFD is a letter somebody lost."""
    assert named(entry(**{field: f"a{mark}b"})) == [(f"/0/{field}", f"{field}.characters")]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (" 张 三 ", "张三"),
        ("张\u3000三", "张三"),
        ("张 \u200b 三", "张三"),
        ("欧 阳 建 国", "欧阳建国"),
        ("\ufeff张三\u00ad", "张三"),
        ("张\u200d三\ufe00", "张三"),
        ("阿卜杜拉•买买提", "阿卜杜拉·买买提"),
        ("阿卜杜拉・买买提", "阿卜杜拉·买买提"),
        ("阿卜杜拉．买买提", "阿卜杜拉·买买提"),
        ("阿卜杜拉‧买买提", "阿卜杜拉·买买提"),
        ("阿卜杜拉 · 买买提", "阿卜杜拉·买买提"),
        ("Anna Maria", "Anna Maria"),
        ("Anna 张", "Anna 张"),
        ("Jose\u0301", "Jos\u00e9"),
        ("\u212bngstro\u0308m", "\u00c5ngstr\u00f6m"),
        ("〇 一", "〇一"),
        ("𠮷 野", "𠮷野"),
        ("\U000323af \U0003134f", "\U000323af\U0003134f"),  # newer than Python's own tables
        ("\ue863 三", "\ue863三"),
        ("\uf900", "\u8c48"),
    ],
)
def test_names_are_folded(sent: str, kept: str) -> None:
    """NFC, one dot, nothing invisible, no spaces at the ends or between Han characters; spaces elsewhere stay."""
    assert read(entry(name=sent))[0].name == kept


@given(st.text())
def test_folding_a_name_or_place_twice_is_folding_it_once(text: str) -> None:
    """A roster read back and sent again changes nothing."""
    assert fold_name(fold_name(text)) == fold_name(text)
    assert fold_place(fold_place(text)) == fold_place(text)


@pytest.mark.parametrize("character", ["张", "𠮷", "a"])
def test_a_name_has_at_most_100_characters_of_any_plane(character: str) -> None:
    """Characters are counted, not bytes or UTF-16 units, and after folding."""
    assert read(entry(name=" " + character * 100 + "\u200b"))[0].name == character * 100
    assert named(entry(name=character * 101)) == [("/0/name", "name.length")]


def test_places_have_at_most_100_characters() -> None:
    """Site and room alike."""
    assert read(entry(site="甲" * 100, room="乙" * 100))
    assert named(entry(site="甲" * 101, room="乙" * 101)) == [("/0/site", "site.length"), ("/0/room", "room.length")]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("01", "01"),
        ("30", "30"),
        ("007", "007"),
        ("12345", "12345"),
        ("０１", "01"),
        (" 0 1 ", "01"),
        ("备用1", "备用1"),
        ("备用 １２", "备用12"),
    ],
)
def test_a_seat_keeps_its_zeros(sent: str, kept: str) -> None:
    """Two or more digits, or a spare by its number."""
    assert read(entry(seat=sent))[0].seat == kept


@pytest.mark.parametrize(
    "bad", ["1", "备用", "备用A", "A1", "01A", "-01", "01-02", "机位01", "①②", "١٢", "0" * 101, "01\n"]
)
def test_any_other_seat_is_a_fault(bad: str) -> None:
    """A single digit has lost its zero."""
    assert named(entry(seat=bad)) == [("/0/seat", "seat.shape")]


@pytest.mark.parametrize(("sent", "kept"), [("0", 0), ("600", 600), ("14400", 14400), ("600.0", 600), ("6e2", 600)])
def test_extra_time_is_whole_seconds(sent: str, kept: int) -> None:
    """600.0 and 6e2 are the integer 600 in JSON's data model."""
    body = as_array([entry(extra_time_s=-7)]).replace(b"-7", sent.encode())

    assert read_roster(body, "", TODAY)[0].extra_time_s == kept


@pytest.mark.parametrize("bad", [-1, 14401, 0.5, 1e300, 10**40, True, False, None, "600", "", [600]])
def test_any_other_extra_time_is_a_fault(bad: Any) -> None:
    """Four hours at most, and never text."""
    assert named(entry(extra_time_s=bad)) == [("/0/extra_time_s", "extra_time_s.range")]


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        ("110105194912310021", "check_digit"),
        ("110105190002290026", "birth_date"),
        ("11010520991231002X", "birth_date"),
        ("110105000229002", "birth_date"),
        ("010105194912310020", "region"),
        ("110105491231000", "sequence"),
        ("1234", "shape"),
        ("E1234-5678", "characters"),
        ("E1234\0" + "5678", "characters"),
    ],
)
def test_faults_of_id_numbers_are_named(number: str, fault: str) -> None:
    """The code says which rule, the message says it in words, the value is as sent."""
    (found,) = faults(entry(id_number=number))

    assert (found["pointer"], found["code"], found["value"]) == ("/0/id_number", f"id_number.{fault}", number)


# --- lost digits -----------------------------------------------------------------------------------------------


def test_a_ticket_shorter_than_most_has_lost_a_leading_zero() -> None:
    """Named, never padded."""
    tickets = ["0123456789", "1234567890", "0000000001", "123456789"]
    (fault,) = faults(*(entry(number, admission_ticket=ticket) for number, ticket in enumerate(tickets)))

    assert (fault["pointer"], fault["code"]) == ("/3/admission_ticket", "admission_ticket.lost_digits")


@pytest.mark.parametrize(
    "tickets",
    [
        ["123456789", "1234567890"],  # half is not most
        ["1234567890", "123456789"],
        ["1234567890", "1234567891", "12345678901"],  # longer lost nothing
        ["1234567890", "1234567891", "A12345678"],  # a letter shows it was text
        ["1"],
    ],
)
def test_tickets_not_shorter_than_most_are_left_alone(tickets: list[str]) -> None:
    """The rule needs more than half of the tickets to be longer, and digits only."""
    assert len(read(*(entry(number, admission_ticket=ticket) for number, ticket in enumerate(tickets)))) == len(tickets)


def test_ticket_shorter_than_most_is_named_though_no_length_is_usual() -> None:
    """Three of four are longer, each in its own way."""
    tickets = ["1234567", "12345678", "123456789", "1234567890"]

    (fault,) = faults(*(entry(number, admission_ticket=ticket) for number, ticket in enumerate(tickets)))

    assert (fault["pointer"], fault["code"]) == ("/0/admission_ticket", "admission_ticket.lost_digits")


def test_the_usual_length_is_that_of_folded_tickets() -> None:
    """Spaces and invisible characters make no ticket longer."""
    tickets = ["12 345", "1234\u200b6", "１２３４７", "1234"]
    found = named(*(entry(number, admission_ticket=ticket) for number, ticket in enumerate(tickets)))

    assert found == [("/3/admission_ticket", "admission_ticket.lost_digits")]


def test_blank_tickets_have_no_say_in_the_usual_length() -> None:
    """Most of the tickets there are, not most of the rows."""
    tickets = ["1234567890", "1234567891", "123456789", "", " "]
    found = named(*(entry(number, admission_ticket=ticket) for number, ticket in enumerate(tickets)))

    assert ("/2/admission_ticket", "admission_ticket.lost_digits") in found


# --- duplicates ------------------------------------------------------------------------------------------------


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


# --- as a whole ------------------------------------------------------------------------------------------------

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ANY_ENTRY = st.dictionaries(st.sampled_from(roster_row.FIELDS), ANY_JSON | st.text()) | ANY_JSON


@given(st.lists(ANY_ENTRY, min_size=1, max_size=4), st.sampled_from([as_array, as_lines]))
def test_no_json_makes_reading_fail_other_than_by_refusal(
    entries: list[Any], write: Callable[[list[Any]], bytes]
) -> None:
    """Whatever is sent, the answer is candidates or a refusal that can be written as JSON."""
    try:
        read_roster(write(entries), "application/json", TODAY)
    except Refused as refused:
        json.dumps(refused.problem(), allow_nan=False)


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"{" + tail))
def test_no_bytes_make_reading_fail_other_than_by_refusal(body: bytes) -> None:
    """Anything at all may arrive as a body."""
    try:
        read_roster(body, "application/json", TODAY)
    except Refused as refused:
        json.dumps(refused.problem(), allow_nan=False)


def test_array_and_lines_give_the_same_candidates() -> None:
    """The format carries rows, it does not change them."""
    entries = [entry(number, name="𠮷 野", id_number=f"ｅ{number:08}") for number in range(50)]

    assert read_roster(as_array(entries), "", TODAY) == read_roster(as_lines(entries), "", TODAY)


@pytest.mark.parametrize("write", [as_array, as_lines])
def test_fifty_thousand_rows_are_read_within_seconds(write: Callable[[list[Any]], bytes]) -> None:
    """Linear in the rows: measured 2 s; anything quadratic would take minutes."""
    body = write([entry(number, room=f"{number // 30}", seat=f"{number % 30:02}") for number in range(50_000)])
    started_s = time.process_time()

    assert len(read_roster(body, "", TODAY)) == 50_000
    assert time.process_time() - started_s < 60, "the processor's time, which a busy machine hardly lengthens"
