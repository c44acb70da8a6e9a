"""Reading a paper: every fault is listed at its pointer, and each audience gets its part and no more."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from decimal import Decimal
from typing import Any

import pytest

from engine.rules import exact_json
from engine.rules.errors import Invalid
from engine.rules.marking import AnswerKey
from engine.rules.question_set import QuestionSet, read_question_set

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><text>one = 1</text></svg>'
PAPER: dict[str, Any] = {
    "title": "劳动关系协调师 三级 理论知识",
    "sections": [
        {
            "id": "A",
            "title": "单项选择题",
            "items": [
                {
                    "id": "A1",
                    "type": "single",
                    "stem": "看图\n![图](fig1.png)",
                    "options": [{"id": "a", "text": "甲"}, {"id": "b", "text": "![乙](fig2.svg)"}],
                    "answer": "b",
                    "points": 1,
                },
                {
                    "id": "B1",
                    "type": "multiple",
                    "stem": "多选",
                    "options": [{"id": letter, "text": letter} for letter in "abc"],
                    "answer": ["a", "c"],
                    "points": 2,
                    "marking": "subset_half",
                },
            ],
        },
        {
            "id": "C",
            "title": "其他",
            "items": [
                {"id": "C1", "type": "true_false", "stem": "判断", "answer": True, "points": 0.5},
                {"id": "D1", "type": "fill", "stem": "填空", "answer": [["秘密甲", "8"], ["秘密乙"]], "points": 1},
                {"id": "E1", "type": "numeric", "stem": "计算", "answer": 21.75, "tolerance": 0.01, "points": 2},
                {"id": "F1", "type": "text", "stem": "论述", "points": 10},
            ],
        },
    ],
    "media": {"fig1.png": base64.b64encode(PNG).decode(), "fig2.svg": base64.b64encode(SVG).decode()},
}
A1, B1 = ("sections", 0, "items", 0), ("sections", 0, "items", 1)
C1, D1, E1, F1 = (("sections", 1, "items", position) for position in range(4))
GONE = object()
Path = tuple[str | int, ...]


def read(document: Any) -> QuestionSet:
    """Reads a document as the route does: from JSON text."""
    return read_question_set(exact_json.decode(json.dumps(document).encode()))


def changed(path: Path, value: Any, paper: Any = PAPER) -> Any:
    """A copy of `paper` with the member at `path` set, or taken away when `value` is GONE."""
    document = copy.deepcopy(paper)
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    if value is GONE:
        del parent[path[-1]]
    elif isinstance(value, Raw):
        return read_raw(document, parent, path[-1], value)
    else:
        parent[path[-1]] = value
    return document


class Raw(str):
    """A JSON number spelled in a way Python would not spell it."""


def read_raw(document: Any, parent: Any, last: Any, spelling: Raw) -> Any:
    parent[last] = "@number@"
    return exact_json.decode(json.dumps(document).replace('"@number@"', spelling).encode())


def faults_of(document: Any) -> list[tuple[str, str]]:
    """(pointer, message) of every fault."""
    if not any(isinstance(part, Decimal) for part in leaves(document)):
        document = exact_json.decode(json.dumps(document).encode())
    with pytest.raises(Invalid) as caught:
        read_question_set(document)
    assert caught.value.code == "paper.invalid"
    assert caught.value.members["errors_total"] == len(caught.value.faults)
    json.dumps(caught.value.problem())
    return [(fault["pointer"], fault["message"]) for fault in caught.value.faults]


def leaves(value: Any) -> list[Any]:
    """Every leaf of a document, member names included."""
    if isinstance(value, dict):
        return [*value, *(leaf for part in value.values() for leaf in leaves(part))]
    return [leaf for part in value for leaf in leaves(part)] if isinstance(value, list) else [value]


# --- what is read ----------------------------------------------------------------------------------------------
def test_a_paper_is_counted_and_digested() -> None:
    """The digest is of the RFC 8785 form: names sorted, no spaces, shortest numbers."""
    question_set = read(PAPER)
    canonical = json.dumps(PAPER, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    assert question_set.digest == hashlib.sha256(canonical).hexdigest()
    assert (question_set.items, question_set.points) == (6, Decimal("16.5"))


def test_the_spelling_of_numbers_and_the_order_of_members_change_no_digest() -> None:
    respelled = exact_json.decode(
        json.dumps(PAPER, sort_keys=True).replace("21.75", "2175e-2").replace("0.5", "0.50").encode()
    )
    original, other = read(PAPER), read_question_set(respelled)

    assert other.digest == original.digest
    assert other.answer_key_digest == original.answer_key_digest
    assert other.answer_key == original.answer_key


def test_points_are_summed_exactly() -> None:
    """Ten tenths are one."""
    items = [{"id": f"i{n}", "type": "true_false", "stem": "?", "answer": True, "points": 0.1} for n in range(10)]

    assert str(read({"title": "t", "sections": [{"id": "A", "title": "A", "items": items}]}).points) == "1"


def test_candidates_see_no_answers() -> None:
    public = read(PAPER).public
    single, multiple = public["sections"][0]["items"]
    true_false, fill, numeric, text = public["sections"][1]["items"]

    assert {"answer", "tolerance", "fold", "秘密甲", "秘密乙", 21.75}.isdisjoint(leaves(public))
    assert set(public) == {"title", "sections", "media", "media_types"}
    assert single == {key: part for key, part in PAPER["sections"][0]["items"][0].items() if key != "answer"}
    assert multiple["marking"] == "subset_half"
    assert true_false == {"id": "C1", "type": "true_false", "stem": "判断", "points": 0.5}
    assert fill == {"id": "D1", "type": "fill", "stem": "填空", "points": 1, "blanks": 2}
    assert set(numeric) == set(text) == {"id", "type", "stem", "points"}
    assert json.loads(json.dumps(public)) == public
    assert public["media"] == PAPER["media"]
    assert public["media_types"] == {"fig1.png": "image/png", "fig2.svg": "image/svg+xml"}


def test_the_answer_key_holds_what_marking_needs_and_nothing_else() -> None:
    question_set = read(PAPER)

    assert question_set.answer_key == {
        "sections": [
            {
                "id": "A",
                "items": [
                    {"id": "A1", "type": "single", "points": "1", "answer": "b"},
                    {
                        "id": "B1",
                        "type": "multiple",
                        "points": "2",
                        "answer": ["a", "c"],
                        "options": ["a", "b", "c"],
                        "marking": "subset_half",
                    },
                ],
            },
            {
                "id": "C",
                "items": [
                    {"id": "C1", "type": "true_false", "points": "0.5", "answer": True},
                    {
                        "id": "D1",
                        "type": "fill",
                        "points": "1",
                        "answer": [["秘密甲", "8"], ["秘密乙"]],
                        "fold": ["width", "space", "case"],
                    },
                    {"id": "E1", "type": "numeric", "points": "2", "answer": "21.75", "tolerance": "0.01"},
                    {"id": "F1", "type": "text", "points": "10"},
                ],
            },
        ]
    }
    canonical = json.dumps(question_set.answer_key, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert question_set.answer_key_digest == hashlib.sha256(canonical.encode()).hexdigest()
    assert AnswerKey.load(json.loads(canonical)).full == Decimal("16.5")


def test_the_index_holds_what_a_save_is_checked_against_and_no_answer() -> None:
    assert read(PAPER).index == {
        "A1": {"type": "single", "options": ["a", "b"]},
        "B1": {"type": "multiple", "options": ["a", "b", "c"]},
        "C1": {"type": "true_false"},
        "D1": {"type": "fill", "blanks": 2},
        "E1": {"type": "numeric"},
        "F1": {"type": "text"},
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (
            ("media",),
            {"fig1.png": PAPER["media"]["fig1.png"], "fig2.svg": PAPER["media"]["fig1.png"], "spare": "R0lGODlh"},
        ),
        ((*A1, "points"), 0),
        ((*A1, "points"), 10_000),
        ((*A1, "points"), 0.0001),
        ((*A1, "points"), Raw("1.50000000")),
        ((*A1, "stem"), "[链接](x) ![未完 ](fig1.png 没有图"),
        ((*B1, "marking"), GONE),
        ((*B1, "answer"), ["c", "b", "a"]),
        ((*D1, "fold"), []),
        ((*D1, "fold"), ["punctuation", "width"]),
        ((*E1, "tolerance"), GONE),
        ((*E1, "tolerance"), 0),
        ((*E1, "answer"), Raw("-1.23456789012345e-30")),
        ((*E1, "answer"), Raw("0e999999999")),
        ((*E1, "answer"), 5),
    ],
)
def test_what_the_contract_allows_is_read(path: Path, value: Any) -> None:
    document = changed(path, value)

    assert read_question_set(document if isinstance(value, Raw) else exact_json.decode(json.dumps(document).encode()))


def test_multiple_is_exact_and_tolerance_zero_by_default() -> None:
    question_set = read(changed((*B1, "marking"), GONE, changed((*E1, "tolerance"), GONE)))

    assert question_set.public["sections"][0]["items"][1]["marking"] == "exact"
    assert question_set.answer_key["sections"][0]["items"][1]["marking"] == "exact"
    assert question_set.answer_key["sections"][1]["items"][2]["tolerance"] == "0"


# --- what is refused -------------------------------------------------------------------------------------------
ONE_FAULT: list[tuple[Path, Any, str, str]] = [
    # path, its new value, pointer of the fault, part of its message
    (("title",), GONE, "/title", "is missing"),
    (("title",), " \u3000", "/title", "blank"),
    (("title",), 5, "/title", "expected a string"),
    (("title",), "a\0", "/title", "NUL"),
    (("instructions",), "x", "/instructions", "not a known member"),
    (("sections", 0, "instructions"), "x", "/sections/0/instructions", "not a known member"),
    (("sections", 1, "id"), "A", "/sections/1/id", "used twice"),
    (("sections", 1, "id"), "甲", "/sections/1/id", "expected 1 to 64"),
    (("sections", 1, "title"), GONE, "/sections/1/title", "is missing"),
    (("sections", 1, "items"), [], "/sections/1/items", "expected 1 to"),
    (("sections", 1, "items"), {}, "/sections/1/items", "expected a list"),
    (("sections", 1), [], "/sections/1", "expected an object"),
    (A1, None, "/sections/0/items/0", "expected an object"),
    ((*C1, "id"), "A1", "/sections/1/items/0/id", "used twice"),
    ((*C1, "id"), "x" * 65, "/sections/1/items/0/id", "expected 1 to 64"),
    ((*C1, "id"), 5, "/sections/1/items/0/id", "expected 1 to 64"),
    ((*C1, "type"), "essay", "/sections/1/items/0/type", "expected one of"),
    ((*C1, "type"), GONE, "/sections/1/items/0/type", "is missing"),
    ((*C1, "hidden"), True, "/sections/1/items/0/hidden", "not a known member"),
    ((*C1, "stem"), "", "/sections/1/items/0/stem", "expected 1 to"),
    ((*C1, "stem"), "\n", "/sections/1/items/0/stem", "blank"),
    ((*C1, "stem"), "a\0b", "/sections/1/items/0/stem", "NUL"),
    ((*C1, "stem"), "![x](fig3.png)", "/sections/1/items/0/stem", "not in media"),
    ((*C1, "stem"), "![](fig1.png) ![ ]( fig1.png)", "/sections/1/items/0/stem", "not in media"),
    ((*C1, "points"), GONE, "/sections/1/items/0/points", "is missing"),
    ((*C1, "points"), -1, "/sections/1/items/0/points", "expected 0 to 10000"),
    ((*C1, "points"), 10_000.0001, "/sections/1/items/0/points", "expected 0 to 10000"),
    ((*C1, "points"), 0.00001, "/sections/1/items/0/points", "at most 4 decimals"),
    ((*C1, "points"), "1", "/sections/1/items/0/points", "expected a number"),
    ((*C1, "points"), True, "/sections/1/items/0/points", "expected a number"),
    ((*C1, "points"), None, "/sections/1/items/0/points", "expected a number"),
    ((*C1, "options"), [], "/sections/1/items/0/options", "only items of type single, multiple"),
    ((*C1, "marking"), "exact", "/sections/1/items/0/marking", "only items of type multiple"),
    ((*C1, "fold"), [], "/sections/1/items/0/fold", "only items of type fill"),
    ((*C1, "tolerance"), 0, "/sections/1/items/0/tolerance", "only items of type numeric"),
    ((*F1, "answer"), "x", "/sections/1/items/3/answer", "only items of type"),
    ((*C1, "answer"), GONE, "/sections/1/items/0/answer", "is missing"),
    ((*C1, "answer"), 1, "/sections/1/items/0/answer", "expected true or false"),
    ((*C1, "answer"), "true", "/sections/1/items/0/answer", "expected true or false"),
    ((*A1, "answer"), GONE, "/sections/0/items/0/answer", "is missing"),
    ((*A1, "answer"), "c", "/sections/0/items/0/answer", "one of the options"),
    ((*A1, "answer"), ["b"], "/sections/0/items/0/answer", "one of the options"),
    ((*A1, "answer"), None, "/sections/0/items/0/answer", "one of the options"),
    ((*A1, "options", 0), "a", "/sections/0/items/0/options/0", "expected an object"),
    ((*A1, "options", 0, "id"), "b", "/sections/0/items/0/options/1/id", "used twice"),
    ((*A1, "options", 0, "text"), "", "/sections/0/items/0/options/0/text", "expected 1 to"),
    ((*A1, "options", 0, "text"), "![x](nix)", "/sections/0/items/0/options/0/text", "not in media"),
    ((*A1, "options", 0, "right"), True, "/sections/0/items/0/options/0/right", "not a known member"),
    (
        (*A1, "options"),
        PAPER["sections"][0]["items"][0]["options"][1:],
        "/sections/0/items/0/options",
        "expected 2 to 26",
    ),
    ((*B1, "answer"), [], "/sections/0/items/1/answer", "expected 1 to"),
    ((*B1, "answer"), "a", "/sections/0/items/1/answer", "expected a list"),
    ((*B1, "answer"), ["a", "z"], "/sections/0/items/1/answer/1", "one of the options"),
    ((*B1, "answer"), ["a", ["a"]], "/sections/0/items/1/answer/1", "one of the options"),
    ((*B1, "answer"), ["a", "c", "a"], "/sections/0/items/1/answer/2", "twice"),
    ((*B1, "marking"), "half", "/sections/0/items/1/marking", "expected one of"),
    ((*B1, "marking"), None, "/sections/0/items/1/marking", "expected one of"),
    ((*D1, "answer"), [], "/sections/1/items/1/answer", "expected 1 to"),
    ((*D1, "answer"), ["a"], "/sections/1/items/1/answer/0", "expected a list"),
    ((*D1, "answer"), [["a"], []], "/sections/1/items/1/answer/1", "expected a list of 1 to"),
    ((*D1, "answer"), [["a", 8]], "/sections/1/items/1/answer/0/1", "expected a string"),
    ((*D1, "answer"), [["a", ""]], "/sections/1/items/1/answer/0/1", "blank"),
    ((*D1, "answer"), [["\u3000 "]], "/sections/1/items/1/answer/0/0", "blank"),
    ((*D1, "answer"), [["a\0"]], "/sections/1/items/1/answer/0/0", "NUL"),
    ((*D1, "answer"), [["a" * 1001]], "/sections/1/items/1/answer/0/0", "at most 1000"),
    ((*D1, "fold"), "case", "/sections/1/items/1/fold", "expected a list"),
    ((*D1, "fold"), ["kana"], "/sections/1/items/1/fold", "expected some of"),
    ((*D1, "fold"), ["case", "case"], "/sections/1/items/1/fold", "twice"),
    ((*E1, "answer"), "21.75", "/sections/1/items/2/answer", "expected a number"),
    ((*E1, "answer"), True, "/sections/1/items/2/answer", "expected a number"),
    ((*E1, "answer"), 0.1 + 0.2, "/sections/1/items/2/answer", "at most 15 significant digits"),
    ((*E1, "answer"), Raw("1234567890123456"), "/sections/1/items/2/answer", "at most 15 significant digits"),
    ((*E1, "tolerance"), -0.01, "/sections/1/items/2/tolerance", "expected 0 or more"),
    ((*E1, "tolerance"), None, "/sections/1/items/2/tolerance", "expected a number"),
    (("media", "a b"), "R0lGODlh", "/media/a b", "name of a medium"),
    (("media", "a/~"), "R0lGODlh", "/media/a~1~0", "name of a medium"),
    (("media", "x" * 65), "R0lGODlh", "/media/" + "x" * 65, "name of a medium"),
]


@pytest.mark.parametrize(("path", "value", "pointer", "message"), ONE_FAULT)
def test_one_fault_is_named_at_its_pointer(path: Path, value: Any, pointer: str, message: str) -> None:
    """Exactly one: a fault does not drag others along."""
    ((found_pointer, found_message),) = faults_of(changed(path, value))

    assert found_pointer == pointer
    assert message in found_message


@pytest.mark.parametrize("document", [None, [], "x", 5, True])
def test_a_paper_is_an_object(document: Any) -> None:
    assert faults_of(document)[0] == ("", "expected an object")


@pytest.mark.parametrize("sections", [[], {}, None, "x"])
def test_a_paper_has_sections(sections: Any) -> None:
    assert [pointer for pointer, _ in faults_of({"title": "t", "sections": sections})] == ["/sections"]


def test_every_fault_of_a_paper_is_listed() -> None:
    """All single faults that can stand side by side, in one paper: each is found."""
    document = copy.deepcopy(PAPER)
    expected = set()
    for path, value, pointer, _ in [ONE_FAULT[0], ONE_FAULT[4], ONE_FAULT[5], ONE_FAULT[8], *ONE_FAULT[-3:]]:
        document = changed(path, value, document)
        expected.add(pointer)
    for item, name, value in [
        (A1, "answer", "z"),
        (B1, "answer", ["z"]),
        (B1, "stem", ""),
        (C1, "answer", 0),
        (D1, "answer", [[""], [1]]),
        (E1, "tolerance", -1),
        (F1, "points", -1),
        (F1, "marking", "exact"),
    ]:
        document = changed((*item, name), value, document)
        expected.add("/" + "/".join(map(str, (*item, name))))
    expected = (expected - {"/sections/0/items/1/answer", "/sections/1/items/1/answer"}) | {
        "/sections/0/items/1/answer/0",
        "/sections/1/items/1/answer/0/0",
        "/sections/1/items/1/answer/1/0",
    }
    found = [pointer for pointer, _ in faults_of(document)]

    assert sorted(found) == sorted(expected)


def test_points_that_sum_to_zero_are_a_fault_of_the_sections() -> None:
    items = [{"id": f"i{n}", "type": "text", "stem": "?", "points": 0} for n in range(2)]
    document = {"title": "t", "sections": [{"id": "A", "title": "A", "items": items}]}

    assert faults_of(document) == [("/sections", "points that sum to zero: nothing to scale to 100")]


def test_faulty_points_are_not_also_a_sum_of_zero() -> None:
    item = {"id": "i", "type": "text", "stem": "?", "points": -1}
    document = {"title": "t", "sections": [{"id": "A", "title": "A", "items": [item]}]}

    assert [pointer for pointer, _ in faults_of(document)] == ["/sections/0/items/0/points"]


def test_accepted_strings_of_nothing_but_folded_punctuation_are_blank() -> None:
    """Otherwise an empty blank would earn the points."""
    document = changed((*D1, "answer"), [["——"]])

    assert read(document)
    assert faults_of(changed((*D1, "fold"), ["punctuation"], document)) == [
        ("/sections/1/items/1/answer/0/0", "is blank once folded")
    ]


@pytest.mark.parametrize(("items", "fits"), [(1000, True), (1001, False)])
def test_the_bound_on_items_is_over_the_whole_paper(items: int, fits: bool) -> None:
    all_items = [{"id": f"i{n}", "type": "text", "stem": "?", "points": 1} for n in range(items)]
    halves = [{"id": f"s{n}", "title": "s", "items": all_items[n::2]} for n in range(2)]
    document = {"title": "t", "sections": halves}

    if fits:
        assert read(document).items == items
    else:
        assert faults_of(document) == [("/sections", f"expected at most 1000 items in the paper, got {items}")]


@pytest.mark.parametrize(("options", "fits"), [(2, True), (26, True), (27, False)])
def test_an_item_has_2_to_26_options(options: int, fits: bool) -> None:
    document = changed((*A1, "options"), [{"id": f"{n}", "text": "x"} for n in range(options)])
    document = changed((*A1, "answer"), "1", document)

    assert fits == (not _has_faults(document))


def _has_faults(document: Any) -> bool:
    try:
        read(document)
    except Invalid:
        return True
    return False
