"""Two markings that share no code agree: on random papers, and on any value for an item of each type."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules import exact_json
from engine.rules.marking import AnswerKey, mark_item, mark_sitting
from engine.rules.question_set import read_question_set
from tests.unit.papers import ONE_OF_EACH, Dice, key_of, random_paper
from tests.unit.second_marking import second_mark, second_score

AGREEMENT_PAIRS_MIN = 20_000


@pytest.mark.parametrize("seed", range(4))
def test_two_markings_agree_on_random_papers(seed: int) -> None:
    """Marks of single items and whole scores, over more than AGREEMENT_PAIRS_MIN pairs in all seeds together."""
    dice = Dice(20251115 + seed)
    pairs = rewarded = partial = scores = 0
    for _ in range(30):
        paper = random_paper(dice)
        answer_key = AnswerKey.load(read_question_set(paper).answer_key)
        pushed = {item["id"]: item for section in paper["sections"] for item in section["items"]}
        for _ in range(6):
            values = {item_id: exact_json.decode(dice.value_text(item).encode()) for item_id, item in pushed.items()}
            sitting = mark_sitting(answer_key, values)
            for item_id, item in pushed.items():
                mark = sitting.items[item_id]
                numerator, denominator, waits = second_mark(item, values[item_id])
                assert (mark.points, mark.waits) == (Fraction(numerator, denominator), waits), (item, values[item_id])
                pairs += 1
                rewarded += mark.points > 0
                partial += 0 < mark.points < mark.full
            without_text = {item_id: value for item_id, value in values.items() if pushed[item_id]["type"] != "text"}
            for responses in (values, without_text):
                score = mark_sitting(answer_key, responses).score
                assert (None if score is None else str(score)) == second_score(paper, responses)
                scores += score is not None

    assert pairs * 4 >= AGREEMENT_PAIRS_MIN
    assert rewarded > pairs / 5, "values that never hit would prove little"
    assert partial > pairs / 20
    assert scores >= 180


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=True, allow_infinity=True)
    | st.text(alphabet="abcdz 8８\u3000é", max_size=4)
    | st.sampled_from(["a", "b", "c", "x", "八小时"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)
EACH_KEY = key_of(*({**item, "points": 3} for item in ONE_OF_EACH))


@settings(max_examples=1500, deadline=None)
@given(value=JSON_VALUES)
def test_two_markings_agree_on_any_value(value: Any) -> None:
    finite = not isinstance(value, Decimal) or value.is_finite()
    for item, item_key in zip(ONE_OF_EACH, EACH_KEY.sections[0].items, strict=True):
        mark = mark_item(item_key, value)
        expected = second_mark({**item, "points": 3}, value if finite else None)

        assert (mark.points, mark.waits) == (Fraction(*expected[:2]), expected[2])
        assert 0 <= mark.points <= mark.full
        assert mark == mark_item(item_key, value)
