"""A mark book says what `mark_sitting` says, to the last digit, however often a response is looked up."""

from __future__ import annotations

import random
import tracemalloc
from decimal import Decimal
from fractions import Fraction
from typing import Any

import orjson
import pytest

from engine.rules import exact_json
from engine.rules.limits import MARKS_KEPT_CHARACTERS_MAX
from engine.rules.marking import AnswerKey, four_decimals, json_number, mark_sitting
from engine.scoring import markbook
from engine.scoring.markbook import MarkBook, MarkBooks

# Shares that no decimal holds, in every kind of item.
ITEMS: list[dict[str, Any]] = [
    {"type": "single", "id": "S1", "points": "0.1", "answer": "b"},
    {"type": "single", "id": "S2", "points": "1", "answer": "a"},
    {"type": "multiple", "id": "M1", "points": "2", "answer": ["a", "c", "d"], "options": list("abcde"),
     "marking": "per_option"},
    {"type": "multiple", "id": "M2", "points": "0.3333", "answer": ["a", "c"], "options": list("abcd"),
     "marking": "subset_half"},
    {"type": "multiple", "id": "M3", "points": "7", "answer": ["a"], "options": list("ab"), "marking": "exact"},
    {"type": "true_false", "id": "T1", "points": "0.5", "answer": True},
    {"type": "fill", "id": "F1", "points": "1", "answer": [["8"], ["八小时", "8小时"], ["x"]],
     "fold": ["width", "space"]},
    {"type": "numeric", "id": "N1", "points": "2.5", "answer": "21.75", "tolerance": "0.01"},
    {"type": "text", "id": "E1", "points": "10"},
]  # fmt: skip
VALUES: dict[str, list[Any]] = {
    "S1": [None, "a", "b", 7, ["b"]],
    "S2": [None, "a", "z"],
    "M1": [None, ["a"], ["a", "c"], ["a", "b"], ["d", "c", "a"], ["a", "a"], "a", []],
    "M2": [None, ["a"], ["c", "a"], ["b"]],
    "M3": [["a"], ["b"], None],
    "T1": [None, True, False, 1],
    "F1": [None, ["8"], ["８", "八 小时"], ["8", "8小时", "x"], ["8", "8", "8", "8"], [""]],
    "N1": [None, 21.75, 21.76, 21.77, 22, "21.75", 1e300],
    "E1": [None, "", "  ", "论述", 5],
}


def key(*ids: str) -> AnswerKey:
    """Two sections, of all items or of those named."""
    items = [item for item in ITEMS if not ids or item["id"] in ids]
    half = len(items) // 2
    sections = [{"id": "A", "items": items[:half]}, {"id": "B", "items": items[half:]}]
    return AnswerKey.load({"sections": [section for section in sections if section["items"]]})


def text(value: Any) -> str:
    return exact_json.canonical(value).decode()


def compare(answer_key: AnswerKey, book: MarkBook, responses: dict[str, str]) -> None:
    """The book against the rules."""
    expected = mark_sitting(answer_key, {item: exact_json.decode(each.encode()) for item, each in responses.items()})
    found = book.mark(responses)

    assert found.score == expected.score
    assert found.sections == [
        {
            "id": section.id,
            "score": None if section.waits else json_number(section.score),
            "points": json_number(section.points),
        }
        for section in expected.sections
    ]
    assert list(orjson.loads(found.marks).items()) == [
        (
            item,
            {
                "mark": None if mark.waits else json_number(four_decimals(mark.points)),
                "points": json_number(four_decimals(mark.full)),
            },
        )
        for item, mark in expected.items.items()
    ]


@pytest.mark.parametrize("ids", [(), tuple(VALUES)[:-1], ("M1", "F1"), ("M2",)], ids=str)
def test_a_mark_book_agrees_with_the_rules(ids: tuple[str, ...]) -> None:
    """Random sittings, responses left out, responses to items that do not exist; many of them met before."""
    dice = random.Random(20)
    answer_key = key(*ids)
    book = MarkBook(answer_key)

    for _ in range(400):
        answered = [item for item in VALUES if dice.random() < 0.8]
        compare(answer_key, book, {**{item: text(dice.choice(VALUES[item])) for item in answered}, "gone": '"a"'})


def test_one_value_given_to_two_items_earns_what_each_says() -> None:
    """What is remembered belongs to its item."""
    book = MarkBook(key("S1", "S2"))

    first = book.mark({"S1": '"a"', "S2": '"a"'})
    again = book.mark({"S1": '"b"', "S2": '"b"'})

    assert orjson.loads(first.marks) == {"S1": {"mark": 0, "points": 0.1}, "S2": {"mark": 1, "points": 1}}
    assert orjson.loads(again.marks) == {"S1": {"mark": 0.1, "points": 0.1}, "S2": {"mark": 0, "points": 1}}


def test_thirds_add_up_to_a_whole() -> None:
    """No rounding before the score: three thirds of a point are one point."""
    answer_key = AnswerKey.load(
        {
            "sections": [
                {
                    "id": "A",
                    "items": [
                        {"type": "fill", "id": f"F{n}", "points": "1", "answer": [["1"], ["2"], ["3"]], "fold": []}
                        for n in range(3)
                    ],
                }
            ]
        }
    )

    found = MarkBook(answer_key).mark({"F0": '["1"]', "F1": '["","2"]', "F2": '["","","3"]'})

    assert (found.score, found.sections[0]["score"]) == (Decimal("33.33"), 1)
    assert Fraction(orjson.loads(found.marks)["F0"]["mark"]) == Fraction(0.3333)


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates may write what they like: a grader's memory does not grow with it."""
    monkeypatch.setattr(markbook, "MARK_BOOK_BYTES_MAX", 5_000)
    answer_key = key("N1", "E1")
    book = MarkBook(answer_key)

    for number in range(100):
        long = "字" * (MARKS_KEPT_CHARACTERS_MAX + number)
        compare(answer_key, book, {"N1": str(number), "E1": text(long)})

        assert 0 < len(book._known) <= 12
        assert 0 < book.held_bytes <= 5_000


def test_what_is_remembered_of_an_answer_key_is_counted_as_it_is() -> None:
    """The bound is one of memory: what is counted is what Python takes, within a third."""
    answer_key = key("E1")
    book = MarkBook(answer_key)
    tracemalloc.start()
    for number in range(2_000):
        book.mark({"E1": text(f"{number:09} " + "字" * (number % 180))})
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 0.67 < book.held_bytes / taken < 1.5


def test_answer_keys_used_longest_ago_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty-four batches of different papers may close at once: together they hold no more than one bound says."""
    monkeypatch.setattr(markbook, "MARK_BOOKS_BYTES_MAX", 64 * 1_000)
    books = MarkBooks()
    for number in range(64):
        book = books.keep(f"k{number}", MarkBook(key("N1"), json_bytes=100))
        books.find("k0")
        for value in range(20):
            book.mark({"N1": str(value)})

    held = [number for number in range(64) if books.find(f"k{number}")]

    assert sum(book.held_bytes for book in books._books.values()) <= 64 * 1_000
    assert held[0] == 0 and held[-1] == 63
    assert 3 < len(held) < 20
    assert held[1:] == list(range(held[1], 64))
