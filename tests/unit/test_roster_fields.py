"""The fields of a roster: each folded, each fault named, no digit guessed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.rostering import fold_name, fold_place
from tests.unit.roster_entries import TODAY, as_array, entry, faults, named, read, read_roster, without


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
@pytest.mark.parametrize("mark", ["\0", "\x07", "\n", "\r", "\x7f", "\x85", "\ufffd", "\ufffe", "\uffff", "\ufdd0"])
def test_control_characters_and_lost_characters_are_faults(field: str, mark: str) -> None:
    """A NUL cannot be stored, a line break cannot be printed on a ticket, U+FFFD is a letter somebody lost,
    and no workbook can hold U+FFFE."""
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
