"""API.md and SMALL_PRINT.md, rosters as JSON and NDJSON: all or nothing, every fault listed, nothing guessed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import NOTHING, Outsider, accepted, now_ms, person, refused

REPLY = {"accepted", "added", "changed", "removed", "unchanged"}


@pytest.fixture(scope="module")
def paper_id(outsider: Outsider) -> str:
    return outsider.paper()


@pytest.fixture
def batch_id(outsider: Outsider, paper_id: str) -> str:
    """A draft."""
    return outsider.batch(outsider.batch_document(paper_id))


def rostered(outsider: Outsider, batch_id: str) -> int:
    return int(outsider.show_batch(batch_id)["counts"]["rostered"])


def broken(outsider: Outsider, batch_id: str, rows: Any) -> list[str]:
    """Where the faults are; the roster that stood must stand."""
    before = rostered(outsider, batch_id)
    problem = refused(outsider.put_roster(batch_id, rows), 422, "roster.invalid")
    assert rostered(outsider, batch_id) == before
    assert problem["errors_total"] == len(problem["errors"])
    for fault in problem["errors"]:
        assert fault["message"], fault
    return [fault["pointer"] for fault in problem["errors"]]


def test_roster_reply_counts_what_happened(outsider: Outsider, batch_id: str) -> None:
    """API.md: reply `{accepted, added, changed, removed, unchanged}`."""
    first, second, third = person(), person(), person()
    reply = accepted(outsider.put_roster(batch_id, [first, second]))
    assert reply == {"accepted": 2, "added": 2, "changed": 0, "removed": 0, "unchanged": 0}
    reply = accepted(outsider.put_roster(batch_id, [first, second]))
    assert reply == {"accepted": 2, "added": 0, "changed": 0, "removed": 0, "unchanged": 2}
    reply = accepted(outsider.put_roster(batch_id, [third, {**second, "seat": "02"}]))
    assert reply == {"accepted": 2, "added": 1, "changed": 1, "removed": 1, "unchanged": 0}
    assert rostered(outsider, batch_id) == 2


def test_roster_comes_as_lines_too(outsider: Outsider, batch_id: str) -> None:
    """API.md: `application/x-ndjson`; blank lines are no candidates."""
    lines = [json.dumps(person(), ensure_ascii=False), "", json.dumps(person()), "  "]
    assert accepted(outsider.put_roster_lines(batch_id, lines))["accepted"] == 2


@pytest.mark.parametrize("content_type", ["text/csv", "application/octet-stream", "application/x-ndjson", ""])
def test_content_decides_the_format(outsider: Outsider, batch_id: str, content_type: str) -> None:
    """SMALL_PRINT: content decides the format, not the name."""
    for body in (json.dumps([person()]), "\ufeff" + json.dumps(person()) + "\r\n" + json.dumps(person())):
        headers = {"content-type": content_type}
        path = f"/v1/batches/{batch_id}/roster"
        accepted(outsider.call("PUT", path, scope="schedule", content=body.encode(), headers=headers))


@pytest.mark.parametrize("body", [b"\x89PNG\r\n\x1a\n1234", b"%PDF-1.7\n1 0 obj", b"\0\1\2\3"])
def test_what_is_no_roster_is_refused_by_its_content(outsider: Outsider, batch_id: str, body: bytes) -> None:
    """SMALL_PRINT: anything else is `roster.file_format` (415)."""
    headers = {"content-type": "application/json"}
    path = f"/v1/batches/{batch_id}/roster"
    answer = outsider.call("PUT", path, scope="schedule", content=body, headers=headers)
    refused(answer, 415, "roster.file_format")


@pytest.mark.parametrize("body", [b"[{]", b"[", b'[{"name": "\\ud800"}]', b"[NaN]"])
def test_broken_json_is_malformed(outsider: Outsider, batch_id: str, body: bytes) -> None:
    """API.md: `request.malformed` 400."""
    answer = outsider.call("PUT", f"/v1/batches/{batch_id}/roster", scope="schedule", content=body)
    refused(answer, 400, "request.malformed")


def test_roster_over_16_mib_is_too_large(outsider: Outsider, batch_id: str) -> None:
    """SMALL_PRINT: at most 16 MiB sent; `request.too_large` 413."""
    body = b"[" + b" " * (16 * 2**20) + b"]"
    answer = outsider.call("PUT", f"/v1/batches/{batch_id}/roster", scope="schedule", content=body)
    refused(answer, 413, "request.too_large")


def test_empty_list_empties_a_draft(outsider: Outsider, batch_id: str) -> None:
    """SMALL_PRINT: only `[]` in JSON empties a roster, and only in a draft."""
    accepted(outsider.put_roster(batch_id, [person(), person()]))
    reply = accepted(outsider.put_roster(batch_id, []))
    assert reply == {"accepted": 0, "added": 0, "changed": 0, "removed": 2, "unchanged": 0}
    assert rostered(outsider, batch_id) == 0


def test_empty_list_does_not_empty_an_armed_batch(outsider: Outsider) -> None:
    """SMALL_PRINT: only in a draft; `batch.armed` 409."""
    exam = outsider.exam(rows=2)
    refused(outsider.put_roster(exam.batch_id, []), 409, "batch.armed")
    assert rostered(outsider, exam.batch_id) == 2


@pytest.mark.parametrize("body", [b"", b"\n\n", b"  "])
def test_roster_without_candidates_is_refused(outsider: Outsider, batch_id: str, body: bytes) -> None:
    """SMALL_PRINT: a table without candidates is refused; only `[]` empties."""
    accepted(outsider.put_roster(batch_id, [person()]))
    headers = {"content-type": "application/x-ndjson"}
    path = f"/v1/batches/{batch_id}/roster"
    answer = outsider.call("PUT", path, scope="schedule", content=body, headers=headers)
    assert answer.status_code in (415, 422)
    refused(answer, answer.status_code)
    assert rostered(outsider, batch_id) == 1


BODY = "11010119900307"  # region and birth date; sequence and check character follow


def with_check(body: str) -> str:
    return body + out.check_character(body)


def wrong_check() -> str:
    number = out.resident()
    return number[:-1] + ("0" if number[-1] != "0" else "1")


@pytest.mark.parametrize(
    "id_number",
    [
        pytest.param(wrong_check(), id="wrong check character"),
        with_check(BODY + "000"),
        with_check("11010119900230123"),
        with_check("11010118991231123"),
        with_check("11010120991231123"),
        with_check("16010119900307123"),
        with_check("00010119900307123"),
        "110101900230123",
        "110101900307000",
        "160101900307123",
        pytest.param(out.resident()[:17] + "Y", id="ends in Y"),
        pytest.param(out.resident()[:17] + "O", id="ends in O"),
        "ABCDE",
        "AB12",
        "A" * 14 + "12345",
        "E1234-5678",
        "E1234.5678",
        "Ｅ１２３４—５６７８",
        "一二三四五六七八",
        "①②③④⑤⑥⑦⑧",
        "",
        "   ",
        11010119900307123,
        None,
        True,
    ],
)
def test_impossible_id_number_is_refused(outsider: Outsider, batch_id: str, id_number: Any) -> None:
    """SMALL_PRINT, documents: check character, province, birth date, sequence 000, shape, punctuation."""
    assert broken(outsider, batch_id, [person(id_number=id_number)]) == ["/0/id_number"]


@pytest.mark.parametrize(
    "id_number",
    [
        "H12345678", "M1234567890", "12345678", "ABC123456789012", "E12345678", "G1234567", "AB12345C", "99999",
        "P1234567X12", "A12345678901234567"[:17],
    ],
)  # fmt: skip
def test_other_documents_are_taken(outsider: Outsider, batch_id: str, id_number: str) -> None:
    """SMALL_PRINT, documents: H/M + 8 or 10 digits; 8 digits; three letters + 12 digits; else 5-18 with five digits."""
    assert accepted(outsider.put_roster(batch_id, [person(id_number=id_number)]))["accepted"] == 1


@pytest.mark.parametrize("region", ["81", "82", "83", "71", "91", "99"])
def test_residence_permits_and_foreigners_cards_are_taken(outsider: Outsider, batch_id: str, region: str) -> None:
    """SMALL_PRINT: first two digits a province, 81-83, or the first a 9; county codes are not checked."""
    number = with_check(region + out.resident()[2:17])
    assert accepted(outsider.put_roster(batch_id, [person(id_number=number)]))["accepted"] == 1


def test_15_digits_equal_18_digits_as_duplicates(outsider: Outsider, batch_id: str) -> None:
    """SMALL_PRINT: a 15-digit number is accepted and equals its 18-digit form, for duplicates."""
    long = out.resident()
    short = long[:6] + long[8:17]
    assert accepted(outsider.put_roster(batch_id, [person(id_number=short)]))["accepted"] == 1
    rows = [person(id_number=long), person(id_number=short)]
    assert broken(outsider, batch_id, rows) == ["/1/id_number"]


def test_id_numbers_are_compared_folded(outsider: Outsider, batch_id: str) -> None:
    """SMALL_PRINT: `x` = `X`; folding of full-width forms, spaces inside and invisible characters."""
    number = out.resident(check="X")
    wide = "".join(chr(ord(character) + 0xFEE0) for character in number.lower())
    rows = [
        person(id_number=number),
        person(id_number=number.lower()),
        person(id_number=wide),
        person(id_number=f"{number[:6]} {number[6:14]}\u3000{number[14:]}"),
        person(id_number="\u200b" + number[:9] + "\ufeff" + number[9:]),
    ]
    assert broken(outsider, batch_id, rows) == [f"/{index}/id_number" for index in range(1, 5)]


@pytest.mark.parametrize("field", ["candidate_id", "admission_ticket", "id_number"])
def test_duplicates_are_named(outsider: Outsider, batch_id: str, field: str) -> None:
    """A roster with duplicate ids, ID numbers or tickets is refused, each later row named."""
    first = person()
    rows = [first, person(**{field: first[field]}), person(), person(**{field: first[field]})]
    assert broken(outsider, batch_id, rows) == [f"/1/{field}", f"/3/{field}"]


def test_duplicate_seats_are_named(outsider: Outsider, batch_id: str) -> None:
    """A roster with duplicate seats is refused; the same seat in another room or site is another seat."""
    place = {"site": "一中", "room": "101"}
    rows = [
        person(**place, seat="07"),
        person(**place, seat="08"),
        person(site="一中", room="102", seat="07"),
        person(site="二中", room="101", seat="07"),
        person(**place, seat="备用1"),
        person(**place, seat="07"),
        person(**place, seat="备用1"),
    ]
    assert broken(outsider, batch_id, rows) == ["/5/seat", "/6/seat"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": NOTHING}, "name"),
        ({"name": ""}, "name"),
        ({"name": " \u3000"}, "name"),
        ({"name": "长" * 101}, "name"),
        ({"name": "=SUM(A1)"}, "name"),
        ({"name": "+张"}, "name"),
        ({"name": "-张"}, "name"),
        ({"name": "@张"}, "name"),
        ({"name": 5}, "name"),
        ({"name": "张\0三"}, "name"),
        ({"site": NOTHING}, "site"),
        ({"site": "=一中"}, "site"),
        ({"room": "-1"}, "room"),
        ({"room": 101}, "room"),
        ({"admission_ticket": NOTHING}, "admission_ticket"),
        ({"admission_ticket": ""}, "admission_ticket"),
        ({"admission_ticket": "=1"}, "admission_ticket"),
        ({"admission_ticket": "@1"}, "admission_ticket"),
        ({"admission_ticket": 202600000001}, "admission_ticket"),
        ({"id_number": NOTHING}, "id_number"),
        ({"candidate_id": "a b"}, "candidate_id"),
        ({"candidate_id": ""}, "candidate_id"),
        ({"candidate_id": "x" * 65}, "candidate_id"),
        ({"candidate_id": 7}, "candidate_id"),
        ({"seat": "1"}, "seat"),
        ({"seat": "A1"}, "seat"),
        ({"seat": "备用"}, "seat"),
        ({"seat": 1}, "seat"),
        ({"extra_time_s": -1}, "extra_time_s"),
        ({"extra_time_s": 14_401}, "extra_time_s"),
        ({"extra_time_s": 1.5}, "extra_time_s"),
        ({"extra_time_s": "600"}, "extra_time_s"),
        ({"extra_time_s": True}, "extra_time_s"),
        ({"phone": "13800000000"}, "phone"),
    ],
)
def test_faulty_field_is_named(outsider: Outsider, batch_id: str, change: dict[str, Any], field: str) -> None:
    """SMALL_PRINT: in JSON `pointer` = `/<index>/<field>`; unknown fields are 422 everywhere."""
    assert broken(outsider, batch_id, [person(), person(**change)]) == [f"/1/{field}"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "长" * 100},
        {"name": "𠮷𠮷𰻝"},
        {"name": "阿里•买买提"},
        {"name": "O'Brien-Smith, J."},
        {"seat": "01"},
        {"seat": "030"},
        {"seat": "备用2"},
        {"extra_time_s": 0},
        {"extra_time_s": 14_400},
        {"room": NOTHING, "seat": NOTHING},
        {"room": "", "seat": ""},
    ],
)
def test_what_the_small_print_allows_is_taken(outsider: Outsider, batch_id: str, change: dict[str, Any]) -> None:
    """SMALL_PRINT: names of at most 100 characters of any plane; seats with zeros; `room` and `seat` may be empty."""
    assert accepted(outsider.put_roster(batch_id, [person(**change)]))["accepted"] == 1


def test_all_faults_of_a_roster_are_listed_in_row_order(outsider: Outsider, batch_id: str) -> None:
    """SMALL_PRINT: faults in row order, with `errors_total`; API.md: every fault, not the first."""
    first = person()
    rows = [
        first,
        person(id_number=wrong_check(), seat="x"),
        "nonsense",
        person(name="", admission_ticket=first["admission_ticket"]),
        person(extra_time_s=-5),
    ]
    found = broken(outsider, batch_id, rows)
    assert set(found) == {
        "/1/id_number", "/1/seat", "/2", "/3/name", "/3/admission_ticket", "/4/extra_time_s",
    }  # fmt: skip
    assert [int(pointer.split("/")[1]) for pointer in found] == sorted(int(pointer.split("/")[1]) for pointer in found)


def test_lines_are_named_by_row(outsider: Outsider, batch_id: str) -> None:
    """SMALL_PRINT: NDJSON `row` = line, from 1."""
    lines = [json.dumps(person()), "", json.dumps(person(seat="x")), "{broken", json.dumps(person(name=""))]
    problem = refused(outsider.put_roster_lines(batch_id, lines), 422, "roster.invalid")
    assert [fault["row"] for fault in problem["errors"]] == [3, 4, 5]
    by_row = {fault["row"]: fault for fault in problem["errors"]}
    assert (by_row[3]["field"], by_row[5]["field"]) == ("seat", "name")
    assert rostered(outsider, batch_id) == 0


def test_at_most_a_thousand_faults_are_listed(outsider: Outsider, batch_id: str) -> None:
    """SMALL_PRINT: at most 1,000 listed, with `errors_total`."""
    problem = refused(outsider.put_roster(batch_id, [person(seat="x") for _ in range(1200)]), 422, "roster.invalid")
    assert (len(problem["errors"]), problem["errors_total"]) == (1000, 1200)
    assert problem["errors"][999]["pointer"] == "/999/seat"


def test_candidate_id_may_be_absent(outsider: Outsider) -> None:
    """SMALL_PRINT: `candidate_id` may be absent: then it is the admission ticket."""
    row = person(candidate_id=NOTHING)
    exam = outsider.exam(rows=[row])
    assert accepted(exam.log_in())["candidate"]["admission_ticket"] == row["admission_ticket"]
    batch_id = outsider.batch(outsider.batch_document(exam.document["paper_id"], starts_ms=now_ms() + 10**8))
    twice = [person(candidate_id=NOTHING, admission_ticket="X1"), person(candidate_id="X1")]
    assert broken(outsider, batch_id, twice) == ["/1/candidate_id"]


def test_ticket_that_lost_its_zero_is_named(outsider: Outsider, batch_id: str) -> None:
    """SMALL_PRINT: a ticket shorter than most of the file's tickets has lost a leading zero."""
    rows = [person(admission_ticket=f"01234{number:05d}") for number in range(4)]
    rows[2]["admission_ticket"] = rows[2]["admission_ticket"].lstrip("0")
    assert broken(outsider, batch_id, rows) == ["/2/admission_ticket"]


def test_names_are_shown_folded(outsider: Outsider) -> None:
    """SMALL_PRINT, names: NFC; spaces removed at the ends and between Han characters; dots become `·`."""
    typed = {
        " 张　三 ": "张三",
        "阿里•买买提": "阿里·买买提",
        "阿里・买买提": "阿里·买买提",
        "阿里．买买提": "阿里·买买提",
        "阿里‧买买提": "阿里·买买提",
        "Mary  Ann": "Mary  Ann",
        "王\u200b五\ufeff": "王五",
        "Jose\u0301": "José",
        "𠮷 野": "𠮷野",
    }
    exam = outsider.exam(rows=[person(name=name) for name in typed])
    shown = [accepted(exam.log_in(index))["candidate"]["name"] for index in range(len(typed))]
    assert shown == list(typed.values())


def test_roster_of_an_unknown_batch_is_not_found(outsider: Outsider) -> None:
    """API.md: `not_found` 404."""
    refused(outsider.put_roster("no-such-batch", [person()]), 404, "not_found")


def test_armed_roster_pushed_again_changes_nothing(outsider: Outsider) -> None:
    """API.md: PUT of the same content is 200 and changes nothing."""
    exam = outsider.exam(rows=2)
    sitting = exam.enter()
    reply = accepted(outsider.put_roster(exam.batch_id, exam.roster))
    assert reply == {"accepted": 2, "added": 0, "changed": 0, "removed": 0, "unchanged": 2}
    accepted(sitting.save(("A1", 1, "b")))
