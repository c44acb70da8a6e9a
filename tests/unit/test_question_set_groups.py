"""Reading what of a paper keeps its place or stays together: pinned items and options, groups with a shared stem."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from engine.rules import exact_json
from engine.rules.errors import Invalid
from engine.rules.question_set import QuestionSet, read_question_set

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 8).decode()
GROUPS = "/sections/0/groups"


def item(item_id: str, **members: Any) -> dict[str, Any]:
    options = [{"id": letter, "text": letter} for letter in "abc"]
    return {"id": item_id, "type": "single", "stem": "选一", "options": options, "answer": "b", "points": 1, **members}


def paper(*groups: Any, **members: Any) -> dict[str, Any]:
    """A1 to A6 with `groups`, and B1 in a section of its own."""
    first = {"id": "A", "title": "单选", "items": [item(f"A{n}") for n in range(1, 7)], "groups": list(groups)}
    second = {"id": "B", "title": "多选", "items": [item("B1", type="multiple", answer=["a"])]}
    return {"title": "试卷", "sections": [first, second], "media": {"fig.png": PNG}, **members}


def group(group_id: str = "G1", *items: Any, **members: Any) -> dict[str, Any]:
    return {"id": group_id, "stem": "阅读材料", "items": list(items) or ["A2", "A3"], **members}


def read(document: Any) -> QuestionSet:
    return read_question_set(exact_json.decode(json.dumps(document).encode()))


def faults_of(document: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        read(document)
    return [(fault["pointer"], fault["message"]) for fault in caught.value.faults]


def with_item(place: int, **members: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document["sections"][0]["items"][place].update(members)


def test_candidates_get_groups_and_pins_and_the_others_nothing_new() -> None:
    """Neither the answers nor what a worker knows of an item say anything of its place or of a shared stem."""
    grouped = paper(group("G1", "A2", "A3", stem="看图\n![图](fig.png)"), group("G2", "A5", shuffle=True, fixed=True))
    with_item(0, fixed=True)(grouped)
    grouped["sections"][0]["items"][1]["options"][2]["fixed"] = True
    plain = paper()

    found, without = read(grouped), read(plain)

    section = found.public["sections"][0]
    assert section["groups"] == [
        {"id": "G1", "stem": "看图\n![图](fig.png)", "items": ["A2", "A3"]},
        {"id": "G2", "stem": "阅读材料", "items": ["A5"], "shuffle": True, "fixed": True},
    ]
    assert [one.get("fixed") for one in section["items"]] == [True, None, None, None, None, None]
    assert section["items"][1]["options"][1:] == [{"id": "b", "text": "b"}, {"id": "c", "text": "c", "fixed": True}]
    assert (found.items, found.points) == (without.items, without.points) == (7, 7)
    assert (found.index, found.answer_key) == (without.index, without.answer_key)
    assert found.answer_key_digest == without.answer_key_digest
    assert found.digest != without.digest


def test_what_holds_nowhere_is_sealed_as_if_it_were_not_said() -> None:
    """A pusher who always writes all members gets the same sealed paper as one who writes none."""
    said = paper()
    said["sections"][1]["groups"] = []
    for section in said["sections"]:
        for one in section["items"]:
            one["fixed"] = False
            for option in one["options"]:
                option["fixed"] = False
    silent = paper()
    del silent["sections"][0]["groups"]

    assert read(said).public == read(silent).public
    assert "groups" not in read(silent).public["sections"][0]


@pytest.mark.parametrize(
    ("groups", "change"),
    [
        ([group("G1", "A1", "A2", "A3", "A4", "A5", "A6")], None),
        ([group("G1", "A1"), group("G2", "A2")], None),
        ([group("G2", "A5", "A6"), group("G1", "A1", "A2")], None),
        ([group("A", shuffle=True)], with_item(1, fixed=True)),
        ([group("G1", shuffle=False, fixed=True)], with_item(3, fixed=True)),
        ([group(stem="字" * 20_000)], None),
    ],
    ids=["all", "single ones", "any order", "pinned inside", "pinned beside", "long"],
)
def test_groups_that_make_sense_are_read(groups: list[Any], change: Callable[[dict[str, Any]], Any] | None) -> None:
    document = paper(*groups)
    if change:
        change(document)

    assert len(read(document).public["sections"][0]["groups"]) == len(groups)


@pytest.mark.parametrize(
    ("groups", "pointer", "message"),
    [
        ([group("G1", "A2", "A9")], f"{GROUPS}/0/items/1", "an item of this section"),
        ([group("G1", "B1")], f"{GROUPS}/0/items/0", "an item of this section"),
        ([group("G1", "A1", 5)], f"{GROUPS}/0/items/1", "an item of this section"),
        ([group("G1", "A1", ["A2"])], f"{GROUPS}/0/items/1", "an item of this section"),
        ([group("G1", "A2", "A2")], f"{GROUPS}/0/items/1", "in a group already"),
        ([group("G1", "A1", "A2"), group("G2", "A2", "A3")], f"{GROUPS}/1/items/0", "in a group already"),
        ([group("G1", "A2", "A4")], f"{GROUPS}/0/items/1", "follows A2"),
        ([group("G1", "A3", "A2")], f"{GROUPS}/0/items/1", "follows A3"),
        ([group("A4")], f"{GROUPS}/0/id", "used twice"),
        ([group("G1", "A1"), group("G1", "A2")], f"{GROUPS}/1/id", "used twice"),
        ([group("B1")], "/sections/1/items/0/id", "used twice"),
        ([group("甲")], f"{GROUPS}/0/id", "expected 1 to 64"),
        ([group(stem="")], f"{GROUPS}/0/stem", "expected 1 to"),
        ([group(stem=" \u3000\n")], f"{GROUPS}/0/stem", "blank"),
        ([group(stem=None)], f"{GROUPS}/0/stem", "expected a string"),
        ([group(stem="字" * 20_001)], f"{GROUPS}/0/stem", "expected 1 to 20000"),
        ([group(stem="![图](none.png)")], f"{GROUPS}/0/stem", "not in media"),
        ([group(shuffle="yes")], f"{GROUPS}/0/shuffle", "expected true or false"),
        ([group(fixed=1)], f"{GROUPS}/0/fixed", "expected true or false"),
        ([group(answer="a")], f"{GROUPS}/0/answer", "not a known member"),
        ([{**group(), "items": []}], f"{GROUPS}/0/items", "expected 1 to"),
        ([{**group(), "items": "A1"}], f"{GROUPS}/0/items", "expected a list"),
        ([{"id": "G1", "items": ["A1"]}], f"{GROUPS}/0/stem", "is missing"),
        ([{"id": "G1", "stem": "材料"}], f"{GROUPS}/0/items", "is missing"),
        (["G1"], f"{GROUPS}/0", "expected an object"),
    ],
)
def test_fault_of_a_group_is_named_at_its_pointer(groups: list[Any], pointer: str, message: str) -> None:
    found = faults_of(paper(*groups))

    assert [at for at, _ in found] == [pointer]
    assert message in found[0][1]


@pytest.mark.parametrize("groups", [{}, "G1", None, 5])
def test_groups_that_are_no_list_are_named(groups: Any) -> None:
    document = paper()
    document["sections"][0]["groups"] = groups

    assert faults_of(document) == [(GROUPS, "expected a list")]


def test_item_pinned_in_a_group_that_keeps_its_order_is_refused() -> None:
    """It would say nothing, or something that cannot be: that the item stays while its group moves."""
    document = paper(group())
    with_item(2, fixed=True)(document)

    found = faults_of(document)

    assert [at for at, _ in found] == ["/sections/0/items/2/fixed"]
    assert "fix the group" in found[0][1]


@pytest.mark.parametrize("value", ["true", 1, 0, None, []])
@pytest.mark.parametrize("place", ["item", "option"])
def test_pin_that_is_neither_true_nor_false_is_named(place: str, value: Any) -> None:
    document = paper()
    pinned = document["sections"][0]["items"][0]
    (pinned if place == "item" else pinned["options"][1])["fixed"] = value

    at = "/sections/0/items/0/fixed" if place == "item" else "/sections/0/items/0/options/1/fixed"
    assert faults_of(document) == [(at, "expected true or false")]


def test_all_faults_of_groups_are_listed_beside_those_of_items() -> None:
    document = paper(group("G1", "A1", "A9", more=1), group("G1", "A1", stem=""))
    with_item(0, fixed="x", answer="z")(document)
    before = copy.deepcopy(document)

    found = sorted(at for at, _ in faults_of(document))

    assert found == [
        f"{GROUPS}/0/items/1",
        f"{GROUPS}/0/more",
        f"{GROUPS}/1/id",
        f"{GROUPS}/1/items/0",
        f"{GROUPS}/1/stem",
        "/sections/0/items/0/answer",
        "/sections/0/items/0/fixed",
    ]
    assert document == before
