"""Reading an untrusted object: every fault is listed at its pointer, and every reader gives something to go on with."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
import pytest

from engine.rules.limits import FAULTS_LISTED_MAX
from engine.rules.shape import Faults, Members, pointer_part, shown

Take = Callable[[Members], Any]


def read(document: Any, take: Take, pointer: str = "") -> tuple[Any, list[dict[str, Any]]]:
    """What `take` gives for `document`, and the faults it recorded."""
    faults = Faults()
    value = take(Members(document, pointer, faults))
    return value, faults.listed


def fault_of(value: Any, take: Take) -> str | None:
    """The message for the member `x` = `value`, or None when it is taken as it is."""
    _, faults = read({"x": value}, take)
    assert all(fault["pointer"] == "/x" for fault in faults)
    assert len(faults) < 2
    return faults[0]["message"] if faults else None


# --- faults ----------------------------------------------------------------------------------------------------


def test_faults_keep_pointer_message_value_and_more() -> None:
    """The contract's `errors`, with room for a table's row and column."""
    faults = Faults()
    assert not faults

    faults.add("/a/0", "expected a list", {"b": 1}, row=3)

    assert faults
    assert faults.listed == [{"pointer": "/a/0", "message": "expected a list", "value": "{'b': 1}", "row": 3}]


def test_faults_are_all_counted_but_not_all_kept() -> None:
    """A roster of nonsense must not become a reply of gigabytes."""
    faults = Faults()

    for number in range(FAULTS_LISTED_MAX + 5):
        faults.add(f"/{number}", "is wrong")

    assert (len(faults.listed), faults.total) == (FAULTS_LISTED_MAX, FAULTS_LISTED_MAX + 5)
    assert faults.listed[-1]["pointer"] == f"/{FAULTS_LISTED_MAX - 1}"


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (Decimal("1.50"), 1.5),
        (Decimal("1E+400"), "1E+400"),
        (Decimal("-Infinity"), "-Infinity"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200 + "…"),
        ([1, "a"], "[1, 'a']"),
        ({}, "{}"),
    ],
)
def test_a_shown_value_is_short_and_fit_for_json(value: Any, seen: Any) -> None:
    """It is repeated to help, not to echo a body."""
    assert shown(value) == seen
    assert orjson.loads(orjson.dumps(shown(value))) == seen


@pytest.mark.parametrize(("name", "part"), [("a", "a"), ("a/b", "a~1b"), ("~", "~0"), ("~1", "~01"), ("", "")])
def test_pointers_escape_as_rfc_6901_does(name: str, part: str) -> None:
    """A strange member name must not point somewhere else."""
    assert pointer_part(name) == part


# --- the object ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [None, [], "x", 1, True])
def test_what_is_no_object_is_one_fault_and_not_one_per_member(document: Any) -> None:
    """Every take_* goes on without another complaint."""

    def take(members: Members) -> list[Any]:
        taken = [
            members.take("a"),
            members.take_text("b", 10),
            members.take_integer("c", 1, 5),
            members.take_boolean("d"),
            members.take_choice("e", ("one", "two")),
            members.take_list("f", 1, 2),
            members.take_pattern("g", re.compile("x"), "an x"),
        ]
        members.finish()
        return taken

    taken, faults = read(document, take, "/rules")

    assert taken == [None, "", 0, False, "one", [], ""]
    assert [(fault["pointer"], fault["message"]) for fault in faults] == [("/rules", "expected an object")]


def test_a_missing_member_is_a_fault_unless_it_has_a_default() -> None:
    """Each at its own pointer, below the object's."""

    def take(members: Members) -> list[Any]:
        return [members.take_text("title", 10), members.take_text("site", 10, "here"), members.take_integer("n", 1, 9)]

    taken, faults = read({}, take, "/0")

    assert taken == ["", "here", 0]
    assert [(fault["pointer"], fault["message"]) for fault in faults] == [
        ("/0/title", "is missing"),
        ("/0/n", "is missing"),
    ]


def test_members_nobody_took_are_unknown() -> None:
    """A typing error in an optional rule must not mean its default."""
    faults = Faults()
    members = Members({"a": 1, "grace/s": 2, "b": None}, "/rules", faults)
    members.take("a")

    members.finish()

    listed = [(fault["pointer"], fault["message"], fault["value"]) for fault in faults.listed]
    assert listed == [
        ("/rules/grace~1s", "is not a known member", 2),
        ("/rules/b", "is not a known member", None),
    ]


def test_null_is_not_absence() -> None:
    """A default is for what was not said."""
    _, faults = read({"x": None}, lambda members: members.take_integer("x", 0, 5, 3))

    assert [fault["message"] for fault in faults] == ["expected an integer from 0 to 5"]


# --- kinds of members ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", None),
        ("中" * 10, None),
        ("𠮷" * 10, None),
        ("x" * 11, "expected 1 to 10 characters, got 11"),
        ("", "expected 1 to 10 characters, got 0"),
        ("a\0b", "holds a NUL character"),
        (7, "expected a string"),
        (None, "expected a string"),
        (["x"], "expected a string"),
    ],
)
def test_text_has_a_length_in_characters(value: Any, message: str | None) -> None:
    """Characters, not bytes; never NUL, which PostgreSQL cannot hold."""
    assert fault_of(value, lambda members: members.take_text("x", 10)) == message


def test_text_may_be_empty_where_that_is_said() -> None:
    """Rooms and seats come later."""
    assert read({"x": ""}, lambda members: members.take_text("x", 10, characters_min=0)) == ("", [])


@pytest.mark.parametrize(
    ("value", "is_taken"),
    [("a", True), ("ab", True), ("abc", False), ("xab", False), ("ab\n", False), ("", False), (1, False)],
)
def test_a_pattern_covers_the_whole_text(value: Any, is_taken: bool) -> None:
    """`$` would let a line break through."""
    message = fault_of(value, lambda members: members.take_pattern("x", re.compile("ab?"), "an a"))

    assert message == (None if is_taken else "expected an a")


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (0, 0),
        (10, 10),
        (Decimal("7.0"), 7),
        (Decimal("1E+1"), 10),
        (-1, None),
        (11, None),
        (True, None),
        (Decimal("7.5"), None),
        (Decimal("1E+400"), None),
        (Decimal("Infinity"), None),
        ("7", None),
        (None, None),
        ([7], None),
    ],
)
def test_an_integer_is_within_its_bounds(value: Any, taken: int | None) -> None:
    """5400.0 is an integer in JSON; true is none, and neither is text."""
    found, faults = read({"x": value}, lambda members: members.take_integer("x", 0, 10))

    assert (found, bool(faults)) == ((0, True) if taken is None else (taken, False))
    assert type(found) is int
    assert all(fault["message"] == "expected an integer from 0 to 10" for fault in faults)


@pytest.mark.parametrize(("value", "is_taken"), [(True, True), (False, True), (0, False), (1, False), ("true", False)])
def test_a_boolean_is_true_or_false(value: Any, is_taken: bool) -> None:
    """Not a number and not a word."""
    message = fault_of(value, lambda members: members.take_boolean("x"))

    assert message == (None if is_taken else "expected true or false")


def test_an_integer_is_one_that_json_counts_exactly() -> None:
    """Whatever the bounds are: past 2^53 two integers may look alike."""
    exact, beyond = Decimal(2**53 - 1), Decimal(2**53)

    assert fault_of(exact, lambda members: members.take_integer("x", 0, 2**60)) is None
    assert fault_of(beyond, lambda members: members.take_integer("x", 0, 2**60)) is not None


def test_a_faulty_boolean_reads_as_false_even_where_the_default_is_true() -> None:
    """Whoever goes on with it goes on with the careful value; the fault is listed all the same."""
    assert read({"x": "yes"}, lambda members: members.take_boolean("x", True))[0] is False
    assert read({}, lambda members: members.take_boolean("x", True)) == (True, [])


@pytest.mark.parametrize(
    ("value", "is_taken"), [("a", True), ("b", True), ("A", False), ("", False), (1, False), ([], False)]
)
def test_a_choice_is_one_of_the_named(value: Any, is_taken: bool) -> None:
    """The message names them all."""
    message = fault_of(value, lambda members: members.take_choice("x", ("a", "b")))

    assert message == (None if is_taken else "expected one of a, b")


def test_a_missing_or_faulty_choice_reads_as_the_first_or_its_default() -> None:
    """What goes on with it meets a value it knows."""
    found = [
        read({}, lambda members: members.take_choice("x", ("a", "b")))[0],
        read({}, lambda members: members.take_choice("x", ("a", "b"), "b"))[0],
        read({"x": "c"}, lambda members: members.take_choice("x", ("a", "b"), "b"))[0],
    ]

    assert found == ["a", "b", "a"]


def test_a_member_is_there_whatever_its_value() -> None:
    """Null included; taking it does not take it away."""
    members = Members({"a": None}, "", Faults())
    members.take("a")

    assert (members.has("a"), members.has("b")) == (True, False)


@pytest.mark.parametrize(
    ("value", "taken", "message"),
    [
        ([1], [1], None),
        ([1, 2, 3], [1, 2, 3], None),
        ([], [], "expected 1 to 3 entries, got 0"),
        ([1, 2, 3, 4], [1, 2, 3], "expected 1 to 3 entries, got 4"),
        ({}, [], "expected a list"),
        ("abc", [], "expected a list"),
        (None, [], "expected a list"),
    ],
)
def test_a_list_has_a_length(value: Any, taken: list[int], message: str | None) -> None:
    """What is too long is cut, so that its first entries are still looked at."""
    found, faults = read({"x": value}, lambda members: members.take_list("x", 1, 3))

    assert found == taken
    assert [fault["message"] for fault in faults] == ([message] if message else [])
