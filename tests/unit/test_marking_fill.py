"""Marking of blanks: folding at the edges of the small print's rules, and agreement with a second folding."""

from __future__ import annotations

import sys
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules.marking import FOLDS, AnswerKey, folded, mark_sitting
from tests.unit.papers import earned, fill
from tests.unit.second_marking import second_fold


@pytest.mark.parametrize(
    ("accepted", "value", "points"),
    [
        ("8小时", "８小时", 1),  # full-width digit
        ("8小时", " 8 小\u3000时\n", 1),  # white space anywhere, U+3000 too
        ("８小时", "8小时", 1),  # both sides are folded
        ("8", "八", 0),  # numerals are never converted
        ("8", "⑧", 0),
        ("2", "²", 0),
        ("VIII", "Ⅷ", 0),
        ("IV", "ｉｖ", 1),
        ("straße", "STRASSE", 1),
        ("é", "e\u0301", 1),  # NFC
        ("ガ", "ｶﾞ", 1),  # two half-width characters make one
        ("50％", "50%", 1),
        ("50%", "50", 0),  # punctuation is not folded unless asked for
        ("㎡", "m2", 0),  # width is not compatibility
        ("8小时", "", 0),
        ("8小时", "   ", 0),
    ],
)
def test_fill_folds_width_space_and_case(accepted: str, value: str, points: int) -> None:
    assert earned(fill([accepted]), [value]) == points


@pytest.mark.parametrize(
    ("fold", "value", "points"),
    [
        ([], "Ａb c", 1),
        ([], "Ab c", 0),
        ([], "Ａbc", 0),
        ([], "ａb c", 0),
        (["width"], "Ab c", 1),
        (["width"], "Ab\u3000c", 1),
        (["width"], "Abc", 0),
        (["space"], "Ａ bc", 1),
        (["space"], "Abc", 0),
        (["case"], "ａB C", 1),
        (["case"], "aB C", 0),
        (["punctuation"], "《Ａb》 c。", 1),
        (["punctuation"], "Ａb+c", 0),
        (["punctuation", "case", "space", "width"], "“a·B，C”", 1),
    ],
)
def test_fill_folds_by_what_the_item_lists(fold: list[str], value: str, points: int) -> None:
    assert earned(fill(["Ａb c"], fold=fold), [value]) == points


def test_fill_earns_by_right_blanks_over_blanks() -> None:
    item = fill(["a", "b"], ["c"], ["d"], points=2)

    assert earned(item, ["b", "c", "d"]) == 2
    assert earned(item, ["a", "x", "d"]) == Fraction(4, 3)
    assert earned(item, ["a"]) == Fraction(2, 3)  # missing strings are blank
    assert earned(item, ["", "", "d"]) == Fraction(2, 3)
    assert earned(item, ["c", "a", "x"]) == 0  # each string answers its own blank
    assert earned(item, []) == 0


def test_an_empty_blank_never_earns() -> None:
    """Not even where an accepted string folds to nothing, which the paper reader refuses."""
    item = {"id": "a", "type": "fill", "points": "1", "answer": [["——"]], "fold": ["punctuation"]}
    answer_key = AnswerKey.load({"sections": [{"id": "A", "items": [item]}]})

    assert mark_sitting(answer_key, {"a": [""]}).earned == 0


@pytest.mark.parametrize("value", [["a", "b", ""], ["a", None], ["a", 1], "a", {"0": "a"}, None])
def test_fill_of_a_wrong_kind_earns_nothing(value: Any) -> None:
    """More strings than blanks, or one that is no string, spoils the whole value."""
    assert earned(fill(["a"], ["b"]), value) == 0


# --- two foldings that share nothing agree ---------------------------------------------------------------------
@settings(max_examples=1000, deadline=None)
@given(text=st.text(max_size=8), steps=st.lists(st.sampled_from(FOLDS), unique=True))
def test_two_foldings_agree_on_any_text(text: str, steps: list[str]) -> None:
    assert folded(text, steps) == second_fold(text, steps)


def test_two_foldings_agree_on_every_character() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    widths = [
        character for character in characters if folded(character, ["width"]) != second_fold(character, ["width"])
    ]

    assert widths == []
