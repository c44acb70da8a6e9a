"""API.md, `POST /v1/login`: who gets in, with which spelling, and how often one may try."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import Outsider, accepted, now_ms, person, refused, unique_code


def wide(text: str) -> str:
    """Full-width forms, as an input method writes them."""
    return "".join(chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character for character in text)


@pytest.fixture(scope="module")
def exam(outsider: Outsider) -> out.Exam:
    return outsider.exam(
        rows=[person(id_number=out.resident(check="X"), site="一中", room="201", seat="备用1"), person()]
    )


def test_login_reply_has_what_the_contract_names(outsider: Outsider, exam: out.Exam) -> None:
    """API.md: `{token, sitting_id, state, server_ms, starts_ms, ends_ms, paper: {digest, bytes}, candidate: {…}}`."""
    before_ms = now_ms()
    reply = accepted(exam.log_in(1))
    row = exam.roster[1]
    assert isinstance(reply["token"], str) and reply["token"]
    assert isinstance(reply["sitting_id"], str) and reply["sitting_id"]
    assert reply["state"] == "checked_in"
    assert before_ms - 5 <= reply["server_ms"] <= now_ms() + 5
    assert (reply["starts_ms"], reply["ends_ms"]) == (exam.starts_ms, exam.ends_ms)
    assert reply["paper"].keys() == {"digest", "bytes"}
    assert reply["candidate"] == {name: row[name] for name in ("name", "admission_ticket", "site", "room", "seat")}
    assert row["id_number"] not in str(reply)


def test_extra_time_moves_the_end_told_at_login(outsider: Outsider) -> None:
    """SMALL_PRINT: extra time moves the end; never check-in, latest entry or earliest hand-in."""
    exam = outsider.exam(rows=[person(extra_time_s=90)])
    reply = accepted(exam.log_in())
    assert (reply["starts_ms"], reply["ends_ms"]) == (exam.starts_ms, exam.ends_ms + 90_000)


@pytest.mark.parametrize(
    "typed",
    [
        lambda code, number: (code, number),
        lambda code, number: (code.lower(), number.lower()),
        lambda code, number: (wide(code), wide(number)),
        lambda code, number: (wide(code.lower()), wide(number.lower())),
        lambda code, number: (f" {code} ", f"{number[:6]} {number[6:14]} {number[14:]}"),
        lambda code, number: (code[:3] + "\u3000" + code[3:], "\u200b" + number[:5] + "\ufeff" + number[5:] + "\u2060"),
    ],
)
def test_login_folds_what_is_typed(outsider: Outsider, exam: out.Exam, typed: Any) -> None:
    """SMALL_PRINT: folding (roster and login alike): full-width forms, spaces inside, invisible; `x` = `X`."""
    code, number = typed(exam.code, exam.roster[0]["id_number"])
    assert accepted(outsider.log_in(code, number))["candidate"]["seat"] == "备用1"


def test_15_digits_equal_18_digits_at_login(outsider: Outsider) -> None:
    """SMALL_PRINT: a 15-digit number equals its 18-digit form at login, whichever the roster had."""
    first, second = out.resident(), out.resident()
    short = [number[:6] + number[8:17] for number in (first, second)]
    exam = outsider.exam(rows=[person(id_number=first), person(id_number=short[1])])
    sitting_ids = [accepted(outsider.log_in(exam.code, number))["sitting_id"] for number in (first, short[0])]
    assert sitting_ids[0] == sitting_ids[1]
    sitting_ids = [accepted(outsider.log_in(exam.code, wide(number)))["sitting_id"] for number in (second, short[1])]
    assert sitting_ids[0] == sitting_ids[1]


def test_wrong_code_and_unknown_person_get_the_same_answer(outsider: Outsider, exam: out.Exam) -> None:
    """API.md: wrong code and unknown ID give the same 401 `login.refused`."""
    number = exam.roster[1]["id_number"]
    answers = [
        outsider.log_in("NOSUCHCODE", number),
        outsider.log_in(exam.code, out.resident()),
        outsider.log_in("NOSUCHCODE", out.resident()),
        outsider.log_in(exam.code + "-", number),
        outsider.log_in(exam.code, "not a number at all"),
        outsider.log_in(exam.code, number[:-1]),
    ]
    for answer in answers:
        refused(answer, 401, "login.refused")
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(sorted(name for name in answer.headers)) for answer in answers}) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"admission_code": "A"},
        {"id_number": "B"},
        {"admission_code": 5, "id_number": "B"},
        {"admission_code": "A", "id_number": 110101199003070000},
        {"admission_code": None, "id_number": None},
        {"admission_code": "A", "id_number": "B", "remember": True},
        [],
        "login",
    ],
)
def test_login_body_is_checked(outsider: Outsider, body: Any) -> None:
    """API.md: unknown JSON fields are 422 everywhere; wrong types are faults with pointers."""
    assert refused(outsider.call("POST", "/v1/login", json=body), 422)["errors"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"admission_code": "\\udc00", "id_number": "1"}', b"\xff"])
def test_unreadable_login_is_malformed(outsider: Outsider, body: bytes) -> None:
    """API.md: `request.malformed` 400; lone surrogates are refused."""
    refused(outsider.call("POST", "/v1/login", content=body), 400, "request.malformed")


def test_login_with_a_nul_is_refused(outsider: Outsider, exam: out.Exam) -> None:
    """API.md: NUL is refused."""
    answer = outsider.log_in(exam.code + "\0", exam.roster[1]["id_number"])
    assert answer.status_code in (400, 422)
    refused(answer, answer.status_code)


def test_login_before_check_in_is_too_early(outsider: Outsider) -> None:
    """API.md: `login.too_early` 403."""
    exam = outsider.exam(starts_ms=now_ms() + 60_000, rules={"check_in_before_s": 10})
    refused(exam.log_in(), 403, "login.too_early")
    assert outsider.show_batch(exam.batch_id)["counts"]["expected"] == 1


def test_many_wrong_logins_are_limited_for_that_code_and_id_only(outsider: Outsider) -> None:
    """API.md: `rate.limited` 429 with Retry-After; limits count per code and ID, never per address."""
    exam = outsider.exam(rows=3)
    number = out.resident()
    answers = []
    for _ in range(200):
        answers.append(outsider.log_in(exam.code, number))
        if answers[-1].status_code == 429:
            break
    problem = refused(answers[-1], 429, "rate.limited")
    assert problem["status"] == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    for answer in answers[:-1]:
        refused(answer, 401, "login.refused")
    assert len(answers) > 5, "a person with trembling hands is no attack"
    for index in range(3):  # the whole room shares the address and the code
        accepted(exam.log_in(index))
    refused(outsider.log_in(exam.code, out.resident()), 401, "login.refused")


def test_wrong_logins_never_add_up_over_different_ids(outsider: Outsider) -> None:
    """API.md: limits count per code and ID, never per address (a room shares one)."""
    exam = outsider.exam()
    for _ in range(150):
        refused(outsider.log_in(exam.code, out.resident()), 401, "login.refused")
    accepted(exam.log_in())


def test_wrong_codes_for_one_id_do_not_shut_that_person_out(outsider: Outsider) -> None:
    """API.md: limits count per code and ID: someone else's guesses do not keep a candidate from the exam."""
    exam = outsider.exam()
    number = exam.roster[0]["id_number"]
    for _ in range(100):
        answer = outsider.log_in(unique_code(), number)
        assert answer.status_code in (401, 429)
    accepted(exam.log_in())


def test_shared_code_leads_each_person_to_the_own_batch(outsider: Outsider) -> None:
    """API.md: batches may share one code."""
    code = unique_code()
    exams = [outsider.exam(admission_code=code) for _ in range(2)]
    for exam in exams:
        sitting = exam.arrive()
        assert sitting.sitting_id == accepted(exam.log_in())["sitting_id"]
        batch_id = exam.batch_id
        out.poll(lambda batch_id=batch_id: outsider.show_batch(batch_id)["counts"]["checked_in"] == 1, 30, "counted")


def test_one_person_with_two_codes_reaches_the_batch_of_the_code(outsider: Outsider) -> None:
    """API.md: the code is different for each subject: it chooses the batch."""
    same = person()
    now = outsider.exam(rows=[same], duration_s=60)
    later_row = {**person(), "id_number": same["id_number"]}
    later = outsider.exam(rows=[later_row], starts_ms=now_ms() + 120_000, rules={"check_in_before_s": 600})
    assert accepted(now.log_in())["starts_ms"] == now.starts_ms
    assert accepted(later.log_in())["starts_ms"] == later.starts_ms


def test_candidate_added_to_an_armed_batch_can_log_in(outsider: Outsider) -> None:
    """API.md: a roster is pushed whole; what it adds in time counts."""
    exam = outsider.exam()
    late = person()
    answer = outsider.put_roster(exam.batch_id, [*exam.roster, late])
    if answer.status_code == 409:
        refused(answer, 409, "batch.armed")
        return
    assert accepted(answer)["added"] == 1
    accepted(outsider.log_in(exam.code, late["id_number"]))
