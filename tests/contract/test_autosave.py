"""API.md, `POST /v1/sitting/responses`: what is a change, what is refused whole, what is acknowledged."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import Outsider, accepted, pointers, refused

ITEMS = [out.single("A1"), out.multiple("B1"), out.true_false("C1"), out.fill("D1", answer=[["8"], ["九"]]),
         out.numeric("E1"), out.text("F1")]  # fmt: skip
_PEOPLE = 90
_next = count()


@pytest.fixture(scope="module")
def exam(outsider: Outsider) -> out.Exam:
    return outsider.exam(*ITEMS, rows=_PEOPLE)


@pytest.fixture
def sitting(exam: out.Exam) -> out.Sitting:
    """A candidate in progress, of this test alone."""
    return exam.enter(next(_next))


@pytest.fixture(scope="module")
def steady(exam: out.Exam) -> out.Sitting:
    """One candidate for calls that must be refused: nothing of them may ever be stored."""
    sitting = exam.enter(next(_next))
    accepted(sitting.save(("A1", 5, "c")))
    return sitting


def test_acknowledgement_has_four_numbers(sitting: out.Sitting) -> None:
    """API.md: `{saved, generation, position, committed}`; `saved` = the highest `seq` now on disk from this call."""
    first = accepted(sitting.save(("A1", 1, "a"), ("B1", 7, ["a"]), ("C1", 3, True)))
    assert first.keys() == {"saved", "generation", "position", "committed"}
    assert first["saved"] == 7
    second = accepted(sitting.save(("A1", 8, "b")))
    assert second["saved"] == 8
    assert second["generation"] >= first["generation"]
    if second["generation"] == first["generation"]:
        assert second["position"] > first["position"]
    assert second["committed"] <= second["position"]


def test_every_one_of_many_saves_in_flight_at_once_is_recorded(outsider: Outsider, sitting: out.Sitting) -> None:
    """Acknowledged is acknowledged: forty calls of one candidate sent together all reach the history."""
    seqs = range(1, 41)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda seq: accepted(sitting.save(("E1", seq, seq))), seqs))
    reached = max(answer["position"] for answer in answers)
    out.poll(lambda: accepted(sitting.show())["committed"] >= reached, 30, "everything committed")

    history = outsider.history(sitting.sitting_id)
    stored = outsider.responses(sitting.sitting_id)["E1"]

    assert sorted(answer["saved"] for answer in answers) == list(seqs)
    assert (stored["seq"], stored["value"]) == (40, 40)
    # An older change may have arrived after a newer one: then it was stale, and is not part of the history.
    assert {change["seq"] for change in history} <= set(seqs)
    assert history[-1]["seq"] == 40


def test_many_items_saved_at_once_are_all_recorded(outsider: Outsider, sitting: out.Sitting) -> None:
    """Different items cannot make each other stale: each of them is stored."""
    values = {"A1": "a", "B1": ["a"], "C1": True, "D1": ["8"], "E1": 5, "F1": "text"}
    calls = [(item, seq, value) for seq, (item, value) in enumerate(values.items(), start=1)]
    with ThreadPoolExecutor(len(calls)) as pool:
        answers = list(pool.map(lambda change: accepted(sitting.save(change)), calls))
    reached = max(answer["position"] for answer in answers)
    out.poll(lambda: accepted(sitting.show())["committed"] >= reached, 30, "everything committed")

    stored = outsider.responses(sitting.sitting_id)

    assert {item: response["value"] for item, response in stored.items()} == values


def test_committed_reaches_what_was_saved(sitting: out.Sitting) -> None:
    """API.md: `committed` = the log position up to which PostgreSQL holds everything in this `generation`."""
    saved = accepted(sitting.save(("A1", 1, "a")))

    def reached() -> bool:
        shown = accepted(sitting.show())
        return bool(shown["generation"] == saved["generation"] and shown["committed"] >= saved["position"])

    out.poll(reached, 30, "committed reaches the position of the save")


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("A1", "a"), ("A1", None),
        ("B1", ["a"]), ("B1", ["d", "a"]), ("B1", []), ("B1", None),
        ("C1", True), ("C1", False), ("C1", None),
        ("D1", ["八", "９"]), ("D1", ["八"]), ("D1", [""]), ("D1", []), ("D1", ["", " x "]), ("D1", None),
        ("E1", 0), ("E1", 21.75), ("E1", -3), ("E1", 1e300), ("E1", 123456789012345), ("E1", 1e-12), ("E1", None),
        ("E1", 0.1), ("E1", 99999999999999.9),
        ("F1", ""), ("F1", "多行\n回答\t🙂𠮷 \"'\\ \u2028"), ("F1", None),
    ],
)  # fmt: skip
def test_value_of_its_kind_is_stored_as_sent(exam: out.Exam, many: dict[str, Any], item: str, value: Any) -> None:
    """API.md: `value`: option id, list of option ids, boolean, list of strings, number, string, or `null` (cleared)."""
    many["seq"] += 1
    accepted(many["sitting"].save((item, many["seq"], value)))
    assert many["sitting"].stored()[item] == (many["seq"], value)


@pytest.fixture(scope="module")
def many(exam: out.Exam) -> dict[str, Any]:
    return {"sitting": exam.enter(next(_next)), "seq": 0}


@pytest.mark.parametrize(
    ("item", "raw"),
    [
        ("A1", '"z"'), ("A1", '"A"'), ("A1", '["a"]'), ("A1", "1"), ("A1", "true"), ("A1", '""'), ("A1", "{}"),
        ("B1", '"a"'), ("B1", '["a","z"]'), ("B1", '["a","a"]'), ("B1", "[1]"), ("B1", "[null]"), ("B1", '[["a"]]'),
        ("C1", '"true"'), ("C1", "1"), ("C1", "0"), ("C1", "[]"),
        ("D1", '"8"'), ("D1", '["a","b","c"]'), ("D1", "[8]"), ("D1", "[null]"), ("D1", '{"0":"8"}'),
        ("E1", '"21.75"'), ("E1", "true"), ("E1", "[1]"), ("E1", "1234567890123456"), ("E1", "0.1234567890123456"),
        ("E1", "1234567890.123456"), ("E1", "1e400"), ("E1", "-1e999"),
        ("F1", "5"), ("F1", '["x"]'), ("F1", "false"), ("F1", '"a\\u0000b"'), ("D1", '["a\\u0000"]'),
        ("Z9", '"a"'), ("a1", '"a"'), ("", '"a"'),
    ],
)  # fmt: skip
def test_value_of_the_wrong_kind_is_refused(steady: out.Sitting, item: str, raw: str) -> None:
    """SMALL_PRINT, at save: wrong kind, unknown option, one twice, too many strings, not finite: refused."""
    problem = refused(steady.save_value(item, 50, raw), 422, "autosave.invalid")
    assert problem["errors"][0]["pointer"].startswith("/changes/0/")
    assert steady.stored() == {"A1": (5, "c")}


@pytest.mark.parametrize("raw", ["NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "0x10", "'a'", '"\\ud800"'])
def test_value_that_is_no_json_is_refused(steady: out.Sitting, raw: str) -> None:
    """API.md: JSON in UTF-8; lone surrogates are refused; SMALL_PRINT: a number that is not finite: refused."""
    for item in ("E1", "F1"):
        answer = steady.save_value(item, 50, raw)
        assert answer.status_code in (400, 422)
        refused(answer, answer.status_code, {400: "request.malformed", 422: "autosave.invalid"}[answer.status_code])
    assert steady.stored() == {"A1": (5, "c")}


@pytest.mark.parametrize("seq", [0, -1, 2**53, 2**63, 10**30, 1.5, "6", True, None])
def test_seq_out_of_its_range_is_refused(steady: out.Sitting, seq: Any) -> None:
    """API.md: `seq` is the client's own counter from 1 to 2^53-1."""
    problem = refused(steady.save(("A1", seq, "a")), 422, "autosave.invalid")
    assert pointers(problem) == ["/changes/0/seq"]
    assert steady.stored() == {"A1": (5, "c")}


def test_seq_reaches_to_the_largest_exact_integer(sitting: out.Sitting) -> None:
    """API.md: from 1 to 2^53-1."""
    assert accepted(sitting.save(("A1", 2**53 - 2, "a")))["saved"] == 2**53 - 2
    assert accepted(sitting.save(("A1", 2**53 - 1, "b")))["saved"] == 2**53 - 1
    accepted(sitting.save(("A1", 2**53 - 2, "c")))
    assert sitting.stored() == {"A1": (2**53 - 1, "b")}
    assert accepted(sitting.submit(2**53 - 1))["answered"] == 1


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({}, "/changes"),
        ({"changes": []}, "/changes"),
        ({"changes": {}}, "/changes"),
        ({"changes": None}, "/changes"),
        ({"changes": [5]}, "/changes/0"),
        ({"changes": [{"seq": 9, "value": "a"}]}, "/changes/0/item"),
        ({"changes": [{"item": "A1", "value": "a"}]}, "/changes/0/seq"),
        ({"changes": [{"item": "A1", "seq": 9}]}, "/changes/0/value"),
        ({"changes": [{"item": "A1", "seq": 9, "value": "a", "at": 1}]}, "/changes/0/at"),
        ({"changes": [{"item": "A1", "seq": 9, "value": "a"}], "epoch": 1}, "/epoch"),
        ({"changes": [{"item": 5, "seq": 9, "value": "a"}]}, "/changes/0/item"),
        ([{"item": "A1", "seq": 9, "value": "a"}], ""),
    ],
)
def test_shape_of_a_call_is_checked(steady: out.Sitting, body: Any, at: str) -> None:
    """API.md: unknown JSON fields are 422 everywhere; a call carries 1-200 changes."""
    problem = refused(steady.save_raw(json.dumps(body).encode()), 422, "autosave.invalid")
    assert at in pointers(problem)
    assert steady.stored() == {"A1": (5, "c")}


def test_a_change_that_is_sent_again_stands_in_the_history_once(outsider: Outsider, sitting: out.Sitting) -> None:
    """API.md: every accepted change; a page sends again whatever it does not know to be recorded."""
    for change in (("A1", 1, "a"), ("A1", 1, "a"), ("A1", 2, "b"), ("A1", 2, "b")):
        saved = accepted(sitting.save(change))
    out.poll(lambda: accepted(sitting.show())["committed"] >= saved["position"], 30, "recorded")
    assert [(row["seq"], row["value"]) for row in outsider.history(sitting.sitting_id)] == [(1, "a"), (2, "b")]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b'{"changes":[{"item":"A1","seq":9,"value":"a"}]}x', b"[" * 9999]
)
def test_unreadable_call_is_malformed(steady: out.Sitting, body: bytes) -> None:
    """API.md: `request.malformed` 400."""
    refused(steady.save_raw(body), 400, "request.malformed")
    assert steady.stored() == {"A1": (5, "c")}


def test_one_bad_change_refuses_its_whole_call(outsider: Outsider, sitting: out.Sitting) -> None:
    """API.md: one bad change refuses its whole call (422 naming it, nothing written)."""
    accepted(sitting.save(("A1", 1, "a")))
    answer = sitting.save(("A1", 2, "b"), ("C1", 3, True), ("B1", 4, ["q"]), ("E1", 5, 1), ("Z1", 6, 1))
    assert pointers(refused(answer, 422, "autosave.invalid")) == ["/changes/2/value", "/changes/4/item"]
    assert sitting.stored() == {"A1": (1, "a")}
    refused(sitting.submit(2), 409, "submit.behind")
    saved = accepted(sitting.save(("C1", 7, False)))
    out.poll(lambda: accepted(sitting.show())["committed"] >= saved["position"], 30, "recorded")
    history = outsider.history(sitting.sitting_id)
    assert [(row["item"], row["seq"], row["value"]) for row in history] == [("A1", 1, "a"), ("C1", 7, False)]


def test_stale_change_counts_as_saved_and_changes_nothing(sitting: out.Sitting) -> None:
    """API.md: a stale one counts as saved; per item the highest `seq` wins."""
    accepted(sitting.save(("A1", 10, "b")))
    assert accepted(sitting.save(("A1", 4, "a")))["saved"] == 4
    assert accepted(sitting.save(("A1", 10, "c")))["saved"] == 10
    assert accepted(sitting.save(("A1", 9, "a"), ("C1", 3, True)))["saved"] == 9
    assert sitting.stored() == {"A1": (10, "b"), "C1": (3, True)}


def test_resending_in_any_order_is_safe(outsider: Outsider, sitting: out.Sitting) -> None:
    """API.md: per item the highest `seq` wins, so resending anything in any order is safe."""
    changes = [("A1", 1, "a"), ("A1", 2, "b"), ("B1", 3, ["a"]), ("A1", 4, "c"), ("B1", 5, None), ("E1", 6, 2.5)]
    for change in changes:
        accepted(sitting.save(change))
    for change in reversed(changes):
        accepted(sitting.save(change))
    saved = accepted(sitting.save(*changes))
    assert saved["saved"] == 6
    assert sitting.stored() == {"A1": (4, "c"), "B1": (5, None), "E1": (6, 2.5)}
    out.poll(lambda: accepted(sitting.show())["committed"] >= saved["position"], 30, "recorded")
    history = outsider.history(sitting.sitting_id)
    assert [(row["item"], row["seq"], row["value"]) for row in history] == changes


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_same_item_twice_in_a_call_keeps_the_highest_seq(sitting: out.Sitting, order: tuple[int, int]) -> None:
    """API.md: per item the highest `seq` wins, within one call too."""
    value = {1: "a", 2: "c"}
    assert accepted(sitting.save(*(("A1", seq, value[seq]) for seq in order)))["saved"] == 2
    assert sitting.stored() == {"A1": (2, "c")}


def test_call_carries_up_to_200_changes(sitting: out.Sitting) -> None:
    """API.md: a call carries 1-200 changes."""
    assert accepted(sitting.save(*(("A1", seq, "abc"[seq % 3]) for seq in range(1, 201))))["saved"] == 200
    answer = sitting.save(*(("A1", seq, "a") for seq in range(201, 402)))
    assert "/changes" in pointers(refused(answer, 422, "autosave.invalid"))
    assert sitting.stored() == {"A1": (200, "abc"[200 % 3])}


def test_ten_thousand_changes_are_refused(steady: out.Sitting) -> None:
    """Bad input and what it gets: a problem with its own code, nothing half-written."""
    answer = steady.save(*(("A1", seq, "a") for seq in range(100, 10_100)))
    assert answer.status_code in (413, 422)
    refused(answer, answer.status_code, {413: "request.too_large", 422: "autosave.invalid"}[answer.status_code])
    assert steady.stored() == {"A1": (5, "c")}


def test_call_carries_at_most_256_kib(sitting: out.Sitting) -> None:
    """API.md: at most 256 KiB; `request.too_large` 413."""
    body = json.dumps({"changes": [{"item": "A1", "seq": 1, "value": "b"}]}).encode()
    refused(sitting.save_raw(body + b" " * (256 * 1024 + 1 - len(body))), 413, "request.too_large")
    assert sitting.stored() == {}
    accepted(sitting.save_raw(body + b" " * (256 * 1024 - len(body))))
    assert sitting.stored() == {"A1": (1, "b")}


def test_ten_megabytes_are_too_large(steady: out.Sitting) -> None:
    """API.md: `request.too_large` 413, also far beyond the limit."""
    refused(steady.save_raw(b" " * 10_000_000), 413, "request.too_large")


@pytest.mark.parametrize("character", ["a", "汉", "𠮷"])
def test_text_answer_has_at_most_20000_characters(sitting: out.Sitting, character: str) -> None:
    """API.md: a text answer at most 20,000 characters."""
    accepted(sitting.save(("F1", 1, character * 20_000)))
    assert sitting.stored()["F1"] == (1, character * 20_000)
    answer = sitting.save(("F1", 2, character * 20_001))
    assert pointers(refused(answer, 422, "autosave.invalid")) == ["/changes/0/value"]
    assert sitting.stored()["F1"][0] == 1


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("123456789012345", 123456789012345),
        ("1234567890123450", 1234567890123450),
        ("0.123456789012345", 0.123456789012345),
        ("21.750000000000000000000", 21.75),
        ("1E2", 100),
        ("-0.0", 0),
        ("0.00000000000000000001", 1e-20),
        ("1e-305", 1e-305),
    ],
)
def test_numbers_of_15_significant_digits_are_taken(many: dict[str, Any], raw: str, value: float) -> None:
    """SMALL_PRINT: on decimals as written, at most 15 significant digits."""
    many["seq"] += 1
    accepted(many["sitting"].save_value("E1", many["seq"], raw))
    assert many["sitting"].stored()["E1"] == (many["seq"], value)


def test_name_given_twice_is_refused(steady: out.Sitting) -> None:
    """API.md: a call is refused whole when it is not clear: of two values for one name nobody knows which was meant."""
    for body in (
        b'{"changes":[{"item":"A1","item":"C1","seq":60,"value":true}]}',
        b'{"changes":[{"item":"A1","seq":60,"value":"a","value":"b"}]}',
        b'{"changes":[{"item":"A1","seq":60,"value":"a"}],"changes":[{"item":"A1","seq":61,"value":"b"}]}',
    ):
        answer = steady.save_raw(body)
        assert answer.status_code in (400, 422), answer.text
        refused(answer, answer.status_code)
    assert steady.stored() == {"A1": (5, "c")}


def test_history_holds_every_accepted_change_once(outsider: Outsider, sitting: out.Sitting) -> None:
    """API.md: `/history`: `{history: [{item, seq, value, saved_ms}]}`, every accepted change."""
    before_ms = out.now_ms()
    accepted(sitting.save(("A1", 1, "a"), ("A1", 2, "b"), ("D1", 3, ["八", ""])))
    accepted(sitting.save(("A1", 1, "a"), ("A1", 2, "b"), ("D1", 3, ["八", ""])))
    saved = accepted(sitting.save(("D1", 4, None), ("F1", 5, "x\n🙂")))
    out.poll(lambda: accepted(sitting.show())["committed"] >= saved["position"], 30, "recorded")
    history = outsider.history(sitting.sitting_id)
    assert all(row.keys() == {"item", "seq", "value", "saved_ms"} for row in history)
    assert [(row["item"], row["seq"], row["value"]) for row in history] == [
        ("A1", 1, "a"), ("A1", 2, "b"), ("D1", 3, ["八", ""]), ("D1", 4, None), ("F1", 5, "x\n🙂"),
    ]  # fmt: skip
    assert all(before_ms - 5 <= row["saved_ms"] <= out.now_ms() + 5 for row in history)
    responses = outsider.responses(sitting.sitting_id)
    assert {item: (entry["seq"], entry["value"]) for item, entry in responses.items()} == sitting.stored()
    assert all({"seq", "value", "mark", "points"} <= entry.keys() for entry in responses.values())


def test_save_after_the_hand_in_is_closed(sitting: out.Sitting) -> None:
    """API.md: `autosave.closed` 409."""
    accepted(sitting.save(("A1", 1, "a")))
    accepted(sitting.submit(1))
    refused(sitting.save(("A1", 2, "b")), 409, "autosave.closed")
    refused(sitting.save(("A1", 1, "a")), 409, "autosave.closed")
    assert sitting.stored() == {"A1": (1, "a")}
