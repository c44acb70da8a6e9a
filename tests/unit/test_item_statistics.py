"""Item statistics: figures worked out by hand, and a second computation in floating point that shares nothing."""

from __future__ import annotations

import json
import random
import statistics
from fractions import Fraction
from typing import Any

import pytest
from msgspec import structs

from engine.rules.item_statistics import (
    BEST,
    MIDDLE,
    UNITS,
    WORST,
    PaperTally,
    Shown,
    median,
    number,
    rounded_root,
    seconds_by_item,
    thirds,
)
from engine.rules.marking import AnswerKey, mark_sitting
from engine.rules.question_set import QuestionSet, read_question_set
from engine.rules.statistics_flags import EXPLAIN, WATCH, flags_of, is_improbable_run
from engine.rules.terms import Rules

FOUR = [{"id": name, "text": name} for name in "abcd"]
SEEN = Rules(shuffle_items=False, shuffle_options=False)


def question_set(*items: dict[str, Any]) -> QuestionSet:
    numbered = [{"id": f"i{at}", "stem": "?", "points": 1, **item} for at, item in enumerate(items)]
    return read_question_set({"title": "t", "sections": [{"id": "A", "title": "A", "items": numbered}]})


def single(answer: str = "a", **more: Any) -> dict[str, Any]:
    return {"type": "single", "options": FOUR, "answer": answer, **more}


def tally_of(paper: QuestionSet, sittings: dict[str, dict[str, Any]]) -> PaperTally:
    """As the grader counts: first every sitting's marks, then, the thirds known, what was answered."""
    answer_key = AnswerKey.load(paper.answer_key)
    found = PaperTally(answer_key, {item: entry.get("options", []) for item, entry in paper.index.items()})
    marks = {
        sitting_id: {item: int(mark.points * UNITS) for item, mark in mark_sitting(answer_key, values).items.items()}
        for sitting_id, values in sittings.items()
    }
    for sitting_id, of_items in marks.items():
        found.add_marks(sitting_id, of_items)
    for sitting_id, values in sittings.items():
        for item, value in values.items():
            found.items[item].add_response(
                value, json.dumps(value), marks[sitting_id][item], found.third_of(sitting_id)
            )
    return found


# --- by hand ---------------------------------------------------------------------------------------------------
# Three items of one point, six candidates. Marks:  i0 i1 i2 | rest of i0
#                                              s1   1  1  1 | 2
#                                              s2   1  1  0 | 1
#                                              s3   1  0  1 | 1
#                                              s4   0  1  0 | 1
#                                              s5   0  0  1 | 1
#                                              s6   0  0  0 | 0
SIX = {
    "s1": {"i0": "a", "i1": "a", "i2": "a"},
    "s2": {"i0": "a", "i1": "a", "i2": "b"},
    "s3": {"i0": "a", "i1": "b", "i2": "a"},
    "s4": {"i0": "b", "i1": "a", "i2": None},
    "s5": {"i0": "b", "i1": "c", "i2": "a"},
    "s6": {"i0": "c", "i1": "d"},
}


@pytest.fixture
def six() -> PaperTally:
    return tally_of(question_set(single(), single(), single()), SIX)


def test_difficulty_is_the_mean_share(six: PaperTally) -> None:
    assert [tally.difficulty for tally in six.items.values()] == [Fraction(1, 2)] * 3


def test_discrimination_is_the_correlation_with_the_rest(six: PaperTally) -> None:
    """i0: n=6, sums 3, 6, of products 4: joint 6*4-3*6 = 6; 6*3-9 = 9; rest 6*8-36 = 12; 6 / sqrt(108) = 0.57735."""
    found = six.items["i0"].discrimination_sign_and_square

    assert found == (1, Fraction(36, 108))
    assert rounded_root(found) == 0.5774


def test_thirds_are_ordered_by_points_and_then_by_id(six: PaperTally) -> None:
    """Totals 3, 2, 2, 1, 1, 0: two best, two worst."""
    assert thirds(six.totals) == {"s1": BEST, "s2": BEST, "s3": MIDDLE, "s4": MIDDLE, "s5": WORST, "s6": WORST}
    assert thirds({"x": 1, "y": 1}) == {"x": MIDDLE, "y": MIDDLE}


def test_options_are_counted_by_third(six: PaperTally) -> None:
    shown = Shown(is_withheld=False).item("i0", six.items["i0"])

    assert [tuple(option.values()) for option in shown["options"]] == [
        ("a", True, 3, 2, 0),
        ("b", False, 2, 0, 1),
        ("c", False, 1, 0, 1),
        ("d", False, 0, 0, 0),
    ]
    assert (shown["sittings"], shown["omitted"], shown["difficulty"], shown["type"]) == (6, 0, 0.5, "single")


def test_what_was_left_out_or_cleared_is_omitted(six: PaperTally) -> None:
    """i2: s4 cleared it, s6 never answered; both earned 0."""
    assert Shown(is_withheld=False).item("i2", six.items["i2"])["omitted"] == 2


def test_reliability_is_cronbachs_alpha(six: PaperTally) -> None:
    """Item variances 1/4 each; total: 19/6 - (9/6)^2 = 11/12; alpha = 3/2 * (1 - (3/4) / (11/12)) = 3/11."""
    assert six.reliability == Fraction(3, 11)
    assert number(six.reliability) == 0.2727


def test_a_paper_still_to_be_sat_shows_nothing_that_tells_its_key(six: PaperTally) -> None:
    shown = Shown(is_withheld=True).item("i0", six.items["i0"])

    assert (shown["options"], shown["frequent_wrong"], shown["difficulty"]) == ([], [], 0.5)


def test_nothing_that_does_not_vary_has_a_discrimination() -> None:
    found = tally_of(question_set(single(), single()), {"s1": {"i0": "a"}, "s2": {"i0": "a", "i1": "a"}})

    assert found.items["i0"].discrimination_sign_and_square is None
    assert Shown(is_withheld=False).item("i0", found.items["i0"])["discrimination"] is None


def test_frequent_wrong_answers_are_shown_where_there_are_no_options() -> None:
    """Perhaps the key lacks a spelling; what one candidate wrote alone is nobody's business."""
    paper = question_set({"type": "fill", "answer": [["8"]]}, {"type": "text"})
    sittings = {
        f"s{at}": {"i0": [text], "i1": None}
        for at, text in enumerate(["八", "八", "9", "8", "8", "", "七", "七", "七"])
    }

    shown = Shown(is_withheld=False).item("i0", tally_of(paper, sittings).items["i0"])

    assert [(json.loads(each["value"]), each["count"]) for each in shown["frequent_wrong"]] == [
        (["七"], 3),
        (["八"], 2),
    ]
    assert shown["omitted"] == 1


def test_multiple_choices_count_each_option() -> None:
    paper = question_set(
        {"type": "multiple", "options": FOUR, "answer": ["a", "c"]}, {"type": "true_false", "answer": True}
    )
    sittings = {
        "s1": {"i0": ["a", "c"], "i1": True},
        "s2": {"i0": ["a", "b"], "i1": False},
        "s3": {"i0": [], "i1": True},
    }

    found = tally_of(paper, sittings)

    assert [found.items["i0"].chosen_in(option) for option in "abcd"] == [2, 1, 1, 0]
    assert [found.items["i1"].chosen_in(option) for option in ("true", "false")] == [2, 1]


# --- time ------------------------------------------------------------------------------------------------------
def test_time_goes_to_the_item_that_is_changed_next() -> None:
    """Pauses above ten minutes and clocks that went back count for nothing; half a second is a second."""
    changes = [("a", 0), ("b", 4_000), ("b", 9_500), ("a", 12_000), ("c", 700_001), ("c", 700_000), ("a", 1_300_000)]

    assert seconds_by_item(changes) == {"b": 10, "a": 603}
    assert seconds_by_item([("a", 0)]) == {} == seconds_by_item([])


def test_the_median_lies_between_an_even_number() -> None:
    assert median({3: 1, 10: 2}) == 10
    assert median({3: 1, 4: 1}) == Fraction(7, 2)
    assert median({}) is None


# --- the second computation ------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(5))
def test_a_second_computation_agrees(seed: int) -> None:
    """`statistics.correlation` in doubles, from the list of marks; to the fourth decimal."""
    dice = random.Random(seed)
    paper = question_set(*(single("abcd"[at % 4], points=dice.choice([1, 2, 0.5, 3.25])) for at in range(12)))
    ability = {f"s{at:03d}": dice.random() for at in range(150)}
    sittings = {
        sitting_id: {
            item: entry["answer"] if dice.random() < strength else dice.choice("abcd")
            for item, entry in ((each["id"], each) for each in paper.answer_key["sections"][0]["items"])
            if dice.random() < 0.95
        }
        for sitting_id, strength in ability.items()
    }
    found = tally_of(paper, sittings)
    key = AnswerKey.load(paper.answer_key)
    marks = {
        sitting_id: {item: float(mark.points) for item, mark in mark_sitting(key, values).items.items()}
        for sitting_id, values in sittings.items()
    }

    for item, tally in found.items.items():
        mine = [of_items[item] for of_items in marks.values()]
        rest = [sum(of_items.values()) - of_items[item] for of_items in marks.values()]
        shown = Shown(is_withheld=False).item(item, tally)
        assert shown["discrimination"] == pytest.approx(statistics.correlation(mine, rest), abs=6e-5)
        assert shown["difficulty"] == pytest.approx(statistics.fmean(mine) / float(tally.key.points), abs=6e-5)
    totals = [sum(of_items.values()) for of_items in marks.values()]
    variances = sum(statistics.pvariance([of_items[item] for of_items in marks.values()]) for item in found.items)
    alpha = 12 / 11 * (1 - variances / statistics.pvariance(totals))
    assert float(found.reliability or 0) == pytest.approx(alpha, abs=1e-9)


def test_the_order_of_the_sittings_changes_nothing() -> None:
    paper = question_set(single(), single(), single())
    forwards, backwards = tally_of(paper, SIX), tally_of(paper, dict(reversed(SIX.items())))
    shown = Shown(is_withheld=False)

    assert [shown.item(item, tally) for item, tally in forwards.items.items()] == [
        shown.item(item, tally) for item, tally in backwards.items.items()
    ]


# --- flags -----------------------------------------------------------------------------------------------------
def crowd(good: dict[str, Any], bad: dict[str, Any], count: int = 30) -> dict[str, dict[str, Any]]:
    """As many who know as who do not: the two other items tell them apart."""
    return {
        **{f"g{at:03d}": {**good, "i1": "a", "i2": "a"} for at in range(count)},
        **{f"w{at:03d}": {**bad, "i1": "b", "i2": "b"} for at in range(count)},
    }


def flagged(sittings: dict[str, dict[str, Any]], rules: Rules = SEEN, **more: Any) -> dict[tuple[str, str], str]:
    paper = question_set(single(**more), single("a"), single("a"))
    return {(flag.item, flag.flag): flag.severity for flag in flags_of(tally_of(paper, sittings), rules)}


def test_a_wrong_key_is_flagged_twice_and_holds_the_release_back() -> None:
    """Those who know choose b, those who do not choose the key."""
    assert flagged(crowd({"i0": "b"}, {"i0": "a"})) == {
        ("i0", "negative_discrimination"): EXPLAIN,
        ("i0", "distractor_over_key"): EXPLAIN,
    }


def test_a_key_that_nobody_chose_is_flagged() -> None:
    found = flagged(crowd({"i0": "b"}, {"i0": "b"}))

    assert found == {("i0", "distractor_over_key"): EXPLAIN, ("i0", "nobody_right"): EXPLAIN}


def test_an_item_that_everybody_gets_right_is_only_watched() -> None:
    assert flagged(crowd({"i0": "a"}, {"i0": "a"})) == {("i0", "everybody_right"): WATCH}


def test_what_may_be_chance_is_only_watched() -> None:
    """The best third splits eleven to nine, against the key: as often as a coin does."""
    sittings = crowd({"i0": "b"}, {"i0": "b"})
    for at in range(30):
        sittings[f"g{at:03d}"]["i0"] = "a" if at < 9 else "b"
        sittings[f"w{at:03d}"]["i0"] = "a" if at % 2 else "b"
    found = flagged(sittings)

    assert found[("i0", "distractor_over_key")] == WATCH


def test_fewer_than_thirty_answers_flag_nothing() -> None:
    """A batch of a few candidates is released as it is: of fewer every oddity is chance."""
    assert flagged(crowd({"i0": "b"}, {"i0": "a"}, count=14)) == {}
    assert flagged(crowd({}, {})) == {}


def test_flags_carry_the_figures_that_made_them() -> None:
    paper = question_set(single(), single("a"), single("a"))
    flags = {flag.flag: flag for flag in flags_of(tally_of(paper, crowd({"i0": "b"}, {"i0": "a"})), SEEN)}

    assert flags["negative_discrimination"].evidence == {"discrimination": -1, "sittings": 60}
    assert flags["distractor_over_key"].evidence == {
        "distractor": "b",
        "chosen_by_best_third": 20,
        "key": "a",
        "key_chosen_by_best_third": 0,
    }


def test_a_run_of_keys_at_one_place_is_flagged_at_its_first_item() -> None:
    """Twelve times the first of four options in a row: explained where candidates saw that order, else watched."""
    paper = question_set(single("b"), *(single("a") for _ in range(12)), single("c"))
    sittings = {f"s{at}": {f"i{item}": "abcd"[(at + item) % 4] for item in range(14)} for at in range(40)}
    tally = tally_of(paper, sittings)

    def runs(rules: Rules) -> list[tuple[str, str, int]]:
        return [
            (flag.item, flag.severity, len(flag.evidence["items"]))
            for flag in flags_of(tally, rules)
            if flag.flag == "key_position_run"
        ]

    assert runs(SEEN) == [("i1", EXPLAIN, 12)]
    assert runs(Rules()) == [("i1", WATCH, 12)]
    assert tally.key_positions() == [12, 1, 1]


@pytest.mark.parametrize(
    ("length", "options", "items", "is_improbable"),
    [
        (5, 4, 100, False),
        (6, 4, 100, False),
        (7, 4, 100, True),
        (5, 4, 10, True),
        (10, 2, 100, False),
        (11, 2, 100, True),
    ],
)
def test_a_run_is_improbable_below_one_paper_in_twenty(
    length: int, options: int, items: int, is_improbable: bool
) -> None:
    """100 items of four: 75 / 4^(L-1) is 0.0732 for 6 and 0.0183 for 7; of two: 50 / 2^(L-1), 0.0977 and 0.0488."""
    assert is_improbable_run(length, options, items) == is_improbable


def test_what_a_regrade_ruled_on_is_not_flagged_again() -> None:
    """Voided: it counts for nobody; several options taken for right: each is a key."""
    paper = question_set(single(), single("a"), single("a"))
    answer_key = AnswerKey.load(paper.answer_key)
    first, *others = answer_key.sections[0].items
    tallies = []
    for changes in ({"ruling": "voided"}, {"answer": frozenset({"a", "b"})}):
        section = structs.replace(answer_key.sections[0], items=(structs.replace(first, **changes), *others))
        regraded = structs.replace(answer_key, sections=(section,))
        tally = PaperTally(regraded, {item: entry.get("options", []) for item, entry in paper.index.items()})
        for sitting_id, values in crowd({"i0": "b"}, {"i0": "b"}).items():
            marked = mark_sitting(regraded, values).items
            tally.add_marks(sitting_id, {item: int(mark.points * UNITS) for item, mark in marked.items()})
        for sitting_id, values in crowd({"i0": "b"}, {"i0": "b"}).items():
            tally.items["i0"].add_response(values["i0"], '"b"', 0, tally.third_of(sitting_id))
        tallies.append(tally)

    assert [[(flag.item, flag.flag) for flag in flags_of(tally, SEEN)] for tally in tallies] == [
        [],
        [("i0", "everybody_right")],
    ]
    assert tallies[0].items["i0"].difficulty is None
    assert tallies[1].items["i0"].right_options == {"a", "b"}
