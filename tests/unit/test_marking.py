"""Marking: what a choice, a text and a whole sitting earn, at the edges of the small print's rules.

Blanks, numbers, and a second marking that shares no code have files of their own beside this one.
"""

from __future__ import annotations

import json
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest

from engine.rules import exact_json
from engine.rules.errors import Corrupt
from engine.rules.marking import AnswerKey, Mark, four_decimals, json_number, mark_item, mark_sitting, passed
from engine.rules.question_set import read_question_set
from tests.unit.papers import ABCD, ONE_OF_EACH, earned, key_of, multiple

WRONG_KINDS: list[Any] = [
    0, 2, -1, Decimal("1.5"), Decimal("NaN"), Decimal("Infinity"), float("nan"), 10**5000, Decimal("1e999999999"),
    "", "zzz", "True", False, [], [[]], [None], ["zzz"], [1], [True], [{}], {}, {"a": 1}, object(), b"b", ("b",),
]  # fmt: skip


# --- choice ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("value", "points"), [("b", 1), ("a", 0), ("B", 0), ("b ", 0), (["b"], 0), (None, 0)])
def test_single_earns_for_its_option_only(value: Any, points: int) -> None:
    assert earned({"type": "single", "options": ABCD, "answer": "b"}, value) == points


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("value", [1, 0, "true", "false", None, Decimal(1), Decimal(0), [], [True]])
def test_true_false_takes_booleans_only(answer: bool, value: Any) -> None:
    """In Python `1 == True` and `0 == False`; neither is a response."""
    item = {"type": "true_false", "answer": answer}

    assert earned(item, value) == 0
    assert earned(item, answer) == 1
    assert earned(item, not answer) == 0


@pytest.mark.parametrize(
    ("value", "exact", "subset_half", "per_option"),
    [
        ("ac", 1, 1, 1),
        ("ca", 1, 1, 1),
        ("acac", 1, 1, 1),  # an option twice counts once
        ("a", 0, Fraction(1, 2), Fraction(1, 2)),
        ("aaa", 0, Fraction(1, 2), Fraction(1, 2)),
        ("ab", 0, 0, 0),
        ("abb", 0, 0, 0),
        ("abc", 0, 0, Fraction(1, 2)),
        ("abcd", 0, 0, 0),
        ("bd", 0, 0, 0),  # never below 0
        ("", 0, 0, 0),
        ("acz", 0, 0, 0),  # an unknown option spoils the value
    ],
)
def test_multiple_follows_its_marking(value: str, exact: Any, subset_half: Any, per_option: Any) -> None:
    assert earned(multiple("exact"), list(value)) == exact
    assert earned(multiple("subset_half"), list(value)) == subset_half
    assert earned(multiple("per_option"), list(value)) == per_option


def test_multiple_is_exact_unless_the_paper_says_otherwise() -> None:
    item = {"type": "multiple", "options": ABCD, "answer": ["a", "c"]}

    assert earned(item, ["a"]) == 0
    assert earned(item, ["c", "a"]) == 1


def test_subset_half_of_a_single_answer_has_no_half() -> None:
    assert earned(multiple("subset_half", "a"), ["a"]) == 1
    assert earned(multiple("subset_half", "a"), []) == 0


def test_per_option_thirds_stay_exact() -> None:
    assert earned(multiple("per_option", "abc"), ["a", "b"]) == Fraction(2, 3)
    assert earned(multiple("per_option", "abc"), ["a", "b", "d"]) == Fraction(1, 3)


# --- text ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [None, "", " \n\t\u3000\u00a0", 5, True, [], ["essay"], {}])
def test_text_without_content_waits_for_nobody(value: Any) -> None:
    assert mark_item(key_of({"type": "text", "points": 10}).sections[0].items[0], value) == Mark(
        Fraction(0), Fraction(10), waits=False
    )


def test_text_with_content_waits() -> None:
    assert mark_item(key_of({"type": "text", "points": 10}).sections[0].items[0], " 答 ").waits


# --- wrong kinds ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("item", ONE_OF_EACH, ids=lambda item: f"{item['type']}-{item.get('marking', '')}")
@pytest.mark.parametrize("value", WRONG_KINDS, ids=lambda value: type(value).__name__)
def test_wrong_kinds_earn_nothing_and_never_raise(item: dict[str, Any], value: Any) -> None:
    if item["type"] == "true_false" and value is False:
        value = None
    mark = mark_item(key_of({**item, "points": 1}).sections[0].items[0], value)

    assert mark.points == 0
    assert mark.waits == (item["type"] == "text" and value in ("zzz", "True"))


# --- a sitting -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("right", "wrong", "score"),
    [
        ("119.99", "80.01", "60.00"),  # 59.995
        ("119.9899", "80.0101", "59.99"),  # 59.99495
        ("119.97", "80.03", "59.99"),  # 59.985: half up, not half to even
        ("2.01", "197.99", "1.01"),  # 1.005, which as a double lies below
        ("1", "2", "33.33"),
        ("2", "1", "66.67"),
        ("1", "0", "100.00"),
        ("0", "1", "0.00"),
        ("0.01", "199.99", "0.01"),  # 0.005
        ("0.0099", "199.9901", "0.00"),
    ],
)
def test_the_score_is_rounded_half_up_to_two_decimals(right: str, wrong: str, score: str) -> None:
    answers = {"type": "true_false", "answer": True}
    answer_key = key_of({**answers, "points": Decimal(right)}, {**answers, "points": Decimal(wrong)})
    sitting = mark_sitting(answer_key, {"i0": True, "i1": False})

    assert str(sitting.score) == score


def test_the_score_is_rounded_once() -> None:
    """Three thirds are a whole, though a section shows each as 0.3333."""
    thirds = [
        {"id": f"i{n}", "type": "fill", "stem": "?", "answer": [["a"], ["b"], ["c"]], "points": 1} for n in range(3)
    ]
    sections = [{"id": item["id"], "title": "s", "items": [item]} for item in thirds]
    answer_key = AnswerKey.load(read_question_set({"title": "t", "sections": sections}).answer_key)
    sitting = mark_sitting(answer_key, {"i0": ["a"], "i1": ["x", "b"], "i2": ["", "", "c"]})

    assert sitting.earned == 1
    assert str(sitting.score) == "33.33"
    assert [str(section.score) for section in sitting.sections] == ["0.3333"] * 3


def test_pass_compares_the_published_score() -> None:
    answers = {"type": "true_false", "answer": True}
    sitting = mark_sitting(
        key_of({**answers, "points": Decimal("119.99")}, {**answers, "points": Decimal("80.01")}), {"i0": True}
    )

    assert sitting.score is not None
    assert sitting.earned / sitting.full * 100 < 60
    assert passed(sitting.score, 60)
    assert not passed(Decimal("59.99"), Decimal(60))
    assert passed(Decimal("0.00"), 0)


def test_a_sitting_has_no_score_while_something_waits() -> None:
    answer_key = key_of({"type": "text", "points": 10}, {"type": "true_false", "answer": True, "points": 10})

    waiting = mark_sitting(answer_key, {"i0": "an essay", "i1": True})
    nothing_to_assess = mark_sitting(answer_key, {"i0": " ", "i1": True})

    assert (waiting.score, waiting.waits, waiting.earned, waiting.sections[0].waits) == (None, True, 10, True)
    assert (str(nothing_to_assess.score), nothing_to_assess.waits) == ("50.00", False)


def test_a_sitting_marks_unanswered_items_and_ignores_unknown_ones() -> None:
    sitting = mark_sitting(key_of(*({**item, "points": 2} for item in ONE_OF_EACH)), {"i0": "b", "zzz": True})

    assert list(sitting.items) == [f"i{n}" for n in range(len(ONE_OF_EACH))]
    assert sitting.items["i0"] == Mark(Fraction(2), Fraction(2))
    assert all(mark.points == 0 for item, mark in sitting.items.items() if item != "i0")
    assert (sitting.full, str(sitting.sections[0].points)) == (16, "16.0000")


def test_marking_does_not_depend_on_the_decimal_context() -> None:
    answers = {"type": "true_false", "answer": True}
    answer_key = key_of({**answers, "points": Decimal("9999.9999")}, {**answers, "points": Decimal("0.0001")})
    with localcontext() as context:
        context.prec = 2
        sitting = mark_sitting(answer_key, {"i0": True})
        sums = sitting.sections[0].score, sitting.sections[0].points, sitting.score

    assert [str(amount) for amount in sums] == ["9999.9999", "10000.0000", "100.00"]


def test_four_decimals_round_half_up() -> None:
    amounts = [Fraction(1, 3), Fraction(2, 3), Fraction(1, 20_000), Fraction(3, 20_000), Fraction(1, 2)]

    assert [str(four_decimals(amount)) for amount in amounts] == ["0.3333", "0.6667", "0.0001", "0.0002", "0.5000"]


@pytest.mark.parametrize(
    ("number", "written"),
    [("66.67", "66.67"), ("100.00", "100"), ("0.00", "0"), ("0e99999999", "0"), ("0.3333", "0.3333"), ("-1.5", "-1.5")],
)
def test_decimals_are_sent_as_numbers_with_the_same_digits(number: str, written: str) -> None:
    sent = json_number(Decimal(number))

    assert json.dumps(sent) == written
    assert exact_json.canonical(sent).decode() == written


def test_a_decimal_that_is_no_double_is_not_sent() -> None:
    with pytest.raises(ValueError, match="not exact"):
        json_number(Decimal("0.12345678901234567890"))


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"sections": []},
        {"sections": [{"id": "A", "items": [{"id": "a", "type": "text", "points": "0"}]}]},
        {"sections": [{"id": "A", "items": [{"id": "a", "type": "text", "points": "one"}]}]},
        {"sections": [{"id": "A", "items": [{"id": "a", "type": "text", "points": "1", "answer": "x"}]}]},
        {"sections": [{"id": "A", "items": [{"id": "a", "type": "essay", "points": "1"}]}]},
    ],
)
def test_a_stored_answer_key_that_cannot_be_read_is_corrupt(stored: dict[str, Any]) -> None:
    with pytest.raises(Corrupt):
        AnswerKey.load(stored)
