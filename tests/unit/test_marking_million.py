"""Two markings that share nothing agree on a million random responses."""

from __future__ import annotations

from fractions import Fraction

import pytest

from engine.rules import exact_json
from engine.rules.marking import AnswerKey, mark_item
from engine.rules.question_set import read_question_set
from tests.unit.papers import Dice, random_paper
from tests.unit.second_marking import second_mark

RESPONSES = 1_000_000
PARTS = 8  # shared by the processes that run the tests
RESPONSES_PER_ITEM = 40


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_two_markings_agree_on_a_million_responses(part: int) -> None:
    """Item by item, with values near the answer as often as not; every part draws its own."""
    dice = Dice(20260121 + part)
    compared = rewarded = 0
    while compared < RESPONSES // PARTS:
        paper = random_paper(dice)
        keys = {
            item.id: item
            for section in AnswerKey.load(read_question_set(paper).answer_key).sections
            for item in section.items
        }
        for item in (item for section in paper["sections"] for item in section["items"]):
            for _ in range(RESPONSES_PER_ITEM):
                value = exact_json.decode(dice.value_text(item).encode())
                mark = mark_item(keys[item["id"]], value)
                numerator, denominator, waits = second_mark(item, value)
                assert (mark.points, mark.waits) == (Fraction(numerator, denominator), waits), (item, value)
                compared += 1
                rewarded += mark.points > 0

    assert rewarded > compared / 5, "values that never hit would prove little"
