"""The rehearsal's own marking against hand-computed marks from the contract's text."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from loadtest import samples
from loadtest.marking import fold, mark_item, mark_paper, round_half_up

MULTIPLE = {"id": "B", "type": "multiple", "answer": ["a", "c"], "points": 2}
FILL = {"id": "D", "type": "fill", "answer": [["八小时", "8小时", "8"], ["ABC"]], "points": 1}
NUMERIC = {"id": "E", "type": "numeric", "answer": 21.75, "tolerance": 0.01, "points": 2}


@pytest.mark.parametrize(
    ("marking", "value", "mark"),
    [
        ("exact", ["a", "c"], 2),
        ("exact", ["c", "a", "a"], 2),
        ("exact", ["a"], 0),
        ("exact", [], 0),
        ("subset_half", ["c", "a"], 2),
        ("subset_half", ["a"], 1),
        ("subset_half", [], 0),
        ("subset_half", ["a", "b"], 0),
        ("per_option", ["a"], 1),
        ("per_option", ["a", "b"], 0),
        ("per_option", ["a", "c", "b"], 1),
        ("per_option", ["b", "d"], 0),
        ("exact", "a", 0),
        ("exact", None, 0),
    ],
)
def test_multiple_is_marked_as_the_item_says(marking: str, value: Any, mark: int) -> None:
    """Exact, half for a proper non-empty part, or right minus wrong and never below nothing."""
    assert mark_item({**MULTIPLE, "marking": marking}, value) == mark


@pytest.mark.parametrize(
    ("value", "mark"),
    [
        (["8小时", "abc"], 1),
        (["８ 小时", "ａｂｃ"], 1),
        (["8", ""], Fraction(1, 2)),
        (["8"], Fraction(1, 2)),
        (["⑧", "abc"], Fraction(1, 2)),
        (["八", "x"], 0),
        ([], 0),
        ("8", 0),
    ],
)
def test_fill_folds_both_sides_and_counts_blanks(value: Any, mark: Fraction) -> None:
    """Width, space and case do not matter, numerals are never converted, each blank earns its share."""
    assert mark_item(FILL, value) == mark


def test_fill_folds_only_what_its_item_names() -> None:
    """An item's own list replaces the default; punctuation is folded only on demand."""
    assert mark_item({**FILL, "fold": ["width"]}, ["8 小时", "ABC"]) == Fraction(1, 2)
    assert fold("《劳动 法》。", ["punctuation", "space"]) == "劳动法"
    assert fold("ｶﾞ", ["width"]) == "ガ"


@pytest.mark.parametrize(
    ("value", "mark"), [(21.75, 2), (21.76, 2), (21.74, 2), (21.761, 0), (22, 0), (True, 0), ("21.75", 0), (None, 0)]
)
def test_numeric_tolerance_is_inclusive_on_decimals_as_written(value: Any, mark: int) -> None:
    """21.76 is within 0.01 of 21.75, although the doubles are further apart."""
    assert mark_item(NUMERIC, value) == mark


def test_true_is_not_one() -> None:
    """JSON true and the number 1 are different answers, to both kinds of item."""
    item = {"id": "C", "type": "true_false", "answer": True, "points": 0.5}
    assert mark_item(item, True) == Fraction(1, 2)
    assert mark_item(item, 1) == 0
    assert mark_item({**NUMERIC, "answer": 1}, True) == 0


def test_text_waits_for_an_assessor_unless_blank() -> None:
    """A text earns nothing while it waits; null or blank waits for nobody."""
    item = {"id": "F", "type": "text", "points": 10}
    assert mark_item(item, "答") is None
    assert mark_item(item, " \n") == 0
    assert mark_item(item, None) == 0


def test_score_is_rounded_once_half_up() -> None:
    """1/8 of everything is 12.5; 1/3 is 33.33; exactly half a hundredth goes up."""
    assert round_half_up(Fraction(25, 2000) * 100, 2) == Decimal("1.25")
    assert round_half_up(Fraction(5, 1000), 2) == Decimal("0.01")
    assert round_half_up(Fraction(1, 3), 4) == Decimal("0.3333")
    items = [{"id": f"A{n}", "type": "single", "answer": "a", "points": 1} for n in range(3)]
    marked = mark_paper({"sections": [{"id": "A", "items": items}]}, {"A0": "a", "A1": "b"})
    assert marked.score == Decimal("33.33")
    assert marked.sections == {"A": 1}


@pytest.mark.parametrize("name", ["ldgx3", "aixl4"])
def test_the_key_itself_scores_a_hundred(name: str) -> None:
    """Whoever answers a sample paper by its key has all points; whoever answers nothing has none."""
    paper = samples.load(name).paper
    items = [item for section in paper["sections"] for item in section["items"]]
    perfect = {
        item["id"]: [b[0] for b in item["answer"]] if item["type"] == "fill" else item["answer"] for item in items
    }

    assert mark_paper(paper, perfect).score == 100
    assert mark_paper(paper, {}).score == 0
