"""Acts of two: at least two different named people, or nothing happens."""

from __future__ import annotations

from typing import Any

import pytest

from engine.rules.errors import Invalid
from engine.rules.people import read_people


def faults_of(document: Any) -> dict[str, str]:
    """Pointer -> message; fails when the people are accepted."""
    with pytest.raises(Invalid) as invalid:
        read_people(document, "witnesses")
    assert (invalid.value.code, invalid.value.status) == ("request.invalid", 422)
    return {fault["pointer"]: fault["message"] for fault in invalid.value.faults}


def test_two_different_people_are_read_in_order() -> None:
    """As they were named."""
    assert read_people({"witnesses": ["张三", "李四"]}, "witnesses") == ["张三", "李四"]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ([" 张三 ", "李四"], ["张三", "李四"]),
        (["Mary  Ann\tSmith", "李四"], ["Mary Ann Smith", "李四"]),
        (["𠮷" * 100, "·"], ["𠮷" * 100, "·"]),
    ],
)
def test_names_are_kept_but_for_white_space(typed: list[str], read: list[str]) -> None:
    """It is a record of who was there, in any script."""
    assert read_people({"witnesses": typed}, "witnesses") == read


@pytest.mark.parametrize("number", [2, 20])
def test_up_to_twenty_people_may_be_named(number: int) -> None:
    """Both ends are inside."""
    people = [f"见证人{position}" for position in range(number)]

    assert read_people({"witnesses": people}, "witnesses") == people


@pytest.mark.parametrize(
    "people",
    [
        ["张三", "张三"],
        ["张三", " 张三"],
        ["张 三", "张  三"],
        ["张三", "李四", "张三"],
        ["张三", "张 三"],
        ["张三", "张\u200b三"],
        ["José", "Jose\u0301"],
        ["买买提·艾力", "买买提•艾力"],
        ["Wang Wu", "ＷＡＮＧ　ＷＵ"],
        ["Mary Ann Smith", "MARY ANN SMITH"],
    ],
)
def test_the_same_person_twice_is_one_person(people: list[str]) -> None:
    """The second mention is the fault, however it is typed: names are compared as rosters compare them."""
    assert faults_of({"witnesses": people}) == {f"/witnesses/{len(people) - 1}": "expected different people"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "is missing"),
        ({"witnesses": []}, "expected 2 to 20 entries, got 0"),
        ({"witnesses": ["张三"]}, "expected 2 to 20 entries, got 1"),
        ({"witnesses": [str(number) for number in range(21)]}, "expected 2 to 20 entries, got 21"),
        ({"witnesses": "张三,李四"}, "expected a list"),
        ({"witnesses": None}, "expected a list"),
        ({"witnesses": {"a": "张三", "b": "李四"}}, "expected a list"),
    ],
)
def test_too_few_too_many_or_no_list_is_refused(document: Any, message: str) -> None:
    """One signature is not enough, and a sentence is no list."""
    assert faults_of(document) == {"/witnesses": message}


@pytest.mark.parametrize("name", ["", " ", "\t\n", "a\0b", "x" * 101, None, 7, ["张三"], {}])
def test_what_is_no_name_is_refused_at_its_place(name: Any) -> None:
    """Blank, too long, or not text."""
    assert faults_of({"witnesses": ["张三", name]}) == {"/witnesses/1": "expected a name of 1 to 100 characters"}


def test_a_name_that_nobody_sees_is_none() -> None:
    """An invisible character signs nothing."""
    assert list(faults_of({"witnesses": ["张三", "\u200b"]})) == ["/witnesses/1"]


@pytest.mark.parametrize("document", [None, [], "x", ["张三", "李四"]])
def test_what_is_no_object_is_one_fault(document: Any) -> None:
    """The list alone is not the body."""
    assert faults_of(document) == {"": "expected an object"}


def test_all_faults_are_listed_at_once() -> None:
    """Unknown members included."""
    faults = faults_of({"witnesses": ["", "张三", "张三"], "witness": "李四"})

    assert list(faults) == ["/witnesses/0", "/witnesses/2", "/witness"]


def test_the_list_may_have_another_name() -> None:
    """A release says `approved_by`."""
    assert read_people({"approved_by": ["甲", "乙"]}, "approved_by") == ["甲", "乙"]
