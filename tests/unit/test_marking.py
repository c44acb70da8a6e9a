"""Marking: every rule of the small print at its edges, and agreement with a second marking that shares no code."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules import exact_json
from engine.rules.errors import Corrupt
from engine.rules.marking import (
    FOLDS,
    AnswerKey,
    Mark,
    exact_number,
    folded,
    four_decimals,
    json_number,
    mark_item,
    mark_sitting,
    passed,
)
from engine.rules.question_set import read_question_set
from tests.unit.second_marking import second_fold, second_mark, second_score

ABCD = [{"id": letter, "text": letter.upper()} for letter in "abcd"]
AGREEMENT_PAIRS_MIN = 20_000


def paper_of(*items: dict[str, Any]) -> dict[str, Any]:
    """A paper with one section; items get ids i0, i1 ... and a stem."""
    numbered = [{"id": f"i{position}", "stem": "?", **item} for position, item in enumerate(items)]
    return {"title": "t", "sections": [{"id": "A", "title": "A", "items": numbered}]}


def key_of(*items: dict[str, Any]) -> AnswerKey:
    return AnswerKey.load(read_question_set(paper_of(*items)).answer_key)


def earned(item: dict[str, Any], value: Any) -> Fraction:
    return mark_item(key_of({"points": 1, **item}).sections[0].items[0], value).points


def multiple(marking: str, answer: str = "ac") -> dict[str, Any]:
    return {"type": "multiple", "options": ABCD, "answer": list(answer), "marking": marking}


def fill(*blanks: list[str], **more: Any) -> dict[str, Any]:
    return {"type": "fill", "answer": list(blanks), **more}


def numeric(answer: Any, tolerance: Any = 0) -> dict[str, Any]:
    return exact_json.decode(f'{{"type": "numeric", "answer": {answer}, "tolerance": {tolerance}}}'.encode())


ONE_OF_EACH: list[dict[str, Any]] = [
    {"type": "single", "options": ABCD, "answer": "b"},
    multiple("exact"),
    multiple("subset_half"),
    multiple("per_option"),
    {"type": "true_false", "answer": True},
    fill(["八小时", "8"], ["x"]),
    {"type": "numeric", "answer": 1},
    {"type": "text"},
]
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


# --- fill ------------------------------------------------------------------------------------------------------
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


# --- numeric ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("answer", "tolerance", "value", "points"),
    [
        ("21.75", "0.01", "21.76", 1),  # inclusive at both edges: as doubles 21.76 - 21.75 > 0.01
        ("21.75", "0.01", "21.74", 1),
        ("21.75", "0.01", "21.7600000000001", 0),
        ("21.75", "0.01", "21.7399999999999", 0),
        ("0.3", "0", "0.3", 1),
        ("0.3", "0.2", "0.1", 1),
        ("0.3", "0", "0.30000000000000004", 0),  # what 0.1 + 0.2 prints: 17 digits
        ("0.3", "1", "0.30000000000000004", 0),  # 17 digits earn nothing, however near
        ("0.3", "0.1", "0.300000000000001", 1),  # 15 do
        ("0.3", "0.1", "0.3000000000000001", 0),  # 16 do not
        ("100", "0", "1e2", 1),
        ("100", "0", "100.00", 1),
        ("100", "0", "1.00000000000000000000e2", 1),  # zeros at the end are not significant
        ("1e20", "0", "100000000000000000000", 1),
        ("0.000001", "0", "1e-6", 1),
        ("0", "0", "-0", 1),
        ("0", "0", "-0.0", 1),
        ("0", "0", "0e999999999", 1),
        ("-5", "0.5", "-5.5", 1),
        ("-5", "0.5", "5", 0),
        ("123456789012345", "0", "123456789012345", 1),
        ("123456789012345", "10", "123456789012346", 1),
        ("123456789012345", "9999999", "1234567890123456", 0),
        ("1e308", "0", "1e308", 1),
        ("1e-300", "0", "0", 0),
    ],
)
def test_numeric_compares_decimals_as_written(answer: str, tolerance: str, value: str, points: int) -> None:
    assert earned(numeric(answer, tolerance), exact_json.decode(value.encode())) == points


@pytest.mark.parametrize("value", ["1", True, [1], None, Decimal("NaN"), Decimal("-Infinity"), float("inf"), {}])
def test_numeric_takes_finite_numbers_only(value: Any) -> None:
    assert earned(numeric("1", "1000"), value) == 0


def test_a_double_stands_for_its_shortest_decimal() -> None:
    """A reader that made doubles of the numbers changes no mark."""
    assert exact_number(21.76) == Fraction(2176, 100)
    assert exact_number(0.1 + 0.2) is None


# --- text ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [None, "", " \n\t\u3000\u00a0", 5, True, [], ["essay"], {}])
def test_text_without_content_waits_for_nobody(value: Any) -> None:
    assert mark_item(key_of({"type": "text", "points": 10}).sections[0].items[0], value) == Mark(
        Fraction(0), Fraction(10), waits=False
    )


def test_text_with_content_waits() -> None:
    assert mark_item(key_of({"type": "text", "points": 10}).sections[0].items[0], " 答 ").waits


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


# --- two markings that share nothing agree ---------------------------------------------------------------------
@pytest.mark.parametrize("item", ONE_OF_EACH, ids=lambda item: f"{item['type']}-{item.get('marking', '')}")
@pytest.mark.parametrize("value", WRONG_KINDS, ids=lambda value: type(value).__name__)
def test_wrong_kinds_earn_nothing_and_never_raise(item: dict[str, Any], value: Any) -> None:
    if item["type"] == "true_false" and value is False:
        value = None
    mark = mark_item(key_of({**item, "points": 1}).sections[0].items[0], value)

    assert mark.points == 0
    assert mark.waits == (item["type"] == "text" and value in ("zzz", "True"))


class Dice:
    """Random papers and values, as nasty as the paper reader and the JSON reader let through."""

    SCRAPS = (
        *("八小时", "8小时", "ＡＢ", "m2", "fi", "SS", "e\u0301", "Ⅷ", "㎡", "\U0001d7d6", "𠮷"),
        *"８8aAａé²⑧ßIİıﬁᾳΣς￥¥￣ｶガﾞﾡㄱ，,。.《》-—+＋",
        *"\u00a0\u3000\u200b\u0345\u0307\t\n ",
    )

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self, longest: int = 4) -> str:
        return "".join(self.random.choices(self.SCRAPS, k=self.random.randint(0, longest)))

    def decimal_text(self) -> str:
        digits = self.random.randint(1, 15)
        number = Decimal(self.random.randrange(10**digits)).scaleb(self.random.choice([0, 0, -1, -2, -4, -9, 3, 40]))
        return self.spelled(number * self.random.choice([1, 1, -1]))

    def spelled(self, number: Decimal) -> str:
        """One of the ways JSON has to write a number."""
        spellings = [f"{number:f}", f"{number:e}".replace("e+", "E"), f"{number:.20e}" if number else "0e5"]
        spelling = self.random.choice(spellings)
        return spelling + ("0" * self.random.randint(0, 20) if "." in spelling and "e" not in spelling.lower() else "")

    def options(self) -> list[dict[str, str]]:
        return [{"id": letter, "text": letter} for letter in "abcdef"[: self.random.randint(2, 6)]]

    def single(self) -> dict[str, Any]:
        options = self.options()
        return {"type": "single", "options": options, "answer": self.random.choice(options)["id"]}

    def multiple(self) -> dict[str, Any]:
        options = self.options()
        answer = self.random.sample([option["id"] for option in options], self.random.randint(1, len(options)))
        marking = self.random.choice([{}, *({"marking": name} for name in ("exact", "subset_half", "per_option"))])
        return {"type": "multiple", "options": options, "answer": answer, **marking}

    def true_false(self) -> dict[str, Any]:
        return {"type": "true_false", "answer": self.random.random() < 0.5}

    def fill(self) -> dict[str, Any]:
        blanks = [["x" + self.text(), *("8" + self.text() for _ in range(self.random.randint(0, 3)))]]
        blanks += [[self.text() + "y"] for _ in range(self.random.randint(0, 3))]
        fold = {"fold": self.random.sample(FOLDS, self.random.randint(0, 4))} if self.random.random() < 0.7 else {}
        return {"type": "fill", "answer": blanks, **fold}

    def numeric(self) -> dict[str, Any]:
        tolerance = exact_json.decode(self.decimal_text().lstrip("-").encode())
        more = self.random.choice([{}, {"tolerance": Decimal("0.01")}, {"tolerance": tolerance}])
        return {"type": "numeric", "answer": exact_json.decode(self.decimal_text().encode()), **more}

    def value_text(self, item: dict[str, Any]) -> str:
        """JSON text: mostly of the item's kind, often near its answer, sometimes of any kind."""
        if self.random.random() < 0.1:
            stray = ["null", "true", "false", "0", "1", '"a"', '["a"]', "[]", "{}", '[["a"]]', '["a",null]', '[1,"b"]']
            return self.random.choice([*stray, self.decimal_text(), json.dumps(self.text())])
        return getattr(self, f"{item['type']}_value")(item)

    def single_value(self, item: dict[str, Any]) -> str:
        return json.dumps(self.random.choice([*"abcdefgA", "", item["answer"]]))

    def multiple_value(self, item: dict[str, Any]) -> str:
        pool = self.random.choice([item["answer"], [option["id"] for option in item["options"]], [*"abcdefgh"]])
        return json.dumps(self.random.choices(pool, k=self.random.randint(0, 7)))

    def true_false_value(self, item: dict[str, Any]) -> str:
        return self.random.choice(["true", "false", "null", "1", "0"])

    def fill_value(self, item: dict[str, Any]) -> str:
        texts = [self.disguised(self.random.choice(accepted)) for accepted in item["answer"]]
        return json.dumps([*texts, self.text()][: self.random.randint(0, len(texts) + (self.random.random() < 0.1))])

    def disguised(self, text: str) -> str:
        """`text` as a candidate might type it: another width, case or spacing, sometimes another word."""
        changes: list[Callable[[str], str]] = [
            str,
            str.upper,
            lambda text: f" {text}\u3000",
            lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
            lambda text: f"《{text}》",
            lambda text: text.replace("é", "e\u0301"),
            lambda text: text + self.text(1),
            lambda text: self.text(),
        ]
        return self.random.choice(changes)(text)

    def numeric_value(self, item: dict[str, Any]) -> str:
        answer, tolerance = Decimal(item["answer"]), Decimal(item.get("tolerance", 0))
        with localcontext() as context:
            context.prec = 100
            edge = answer + self.random.choice([-1, 0, 1, 2]) * tolerance
            hair = Decimal(1).scaleb(self.random.choice([-1, -3, -9, -13, -14, -15, -16]) + max(edge.adjusted(), -20))
            return self.spelled(edge + self.random.choice([0, 0, 1, -1]) * hair)

    def text_value(self, item: dict[str, Any]) -> str:
        return json.dumps(self.text())


def random_paper(dice: Dice) -> dict[str, Any]:
    """A valid paper of 30 items in three sections, worth something."""
    items = [random_item(dice, f"i{position}") for position in range(30)]
    items[0]["points"] = 1
    return {
        "title": "t",
        "sections": [{"id": f"s{n}", "title": "s", "items": items[n * 10 : n * 10 + 10]} for n in range(3)],
    }


def random_item(dice: Dice, item_id: str) -> dict[str, Any]:
    kind = dice.random.choice(
        ["single", "multiple", "multiple", "true_false", "fill", "fill", "numeric", "numeric", "text"]
    )
    points = Decimal(dice.random.choice([0, 1, 5000, 10_000, 20_000, dice.random.randrange(10**6)])).scaleb(-4)
    content = {"type": "text"} if kind == "text" else getattr(dice, kind)()
    return {"id": item_id, "stem": "?", "points": points, **content}


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


@settings(max_examples=500, deadline=None)
@given(
    answer=st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-1000, max_value=1000),
    tolerance=st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=0, max_value=10),
)
def test_numeric_tolerance_is_inclusive_everywhere(answer: Decimal, tolerance: Decimal) -> None:
    """On the edge it earns, one unit of the ninth decimal further out it does not."""
    item = numeric(answer, tolerance)
    hair = Decimal("1e-9")

    assert earned(item, answer + tolerance) == earned(item, answer - tolerance) == 1
    assert earned(item, answer + tolerance + hair) == earned(item, answer - tolerance - hair) == 0
