"""A regrade's changes: read strictly, made into a whole answer key, and taken back without a trace."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules import exact_json
from engine.rules.errors import Corrupt, Invalid
from engine.rules.marking import AnswerKey, mark_sitting
from engine.rules.question_set import QuestionSet, read_question_set
from engine.rules.regrading import Form, Outcome, Proposal, changed_key, direction, pass_change, read_proposal
from tests.contract import outsider as out

DOCUMENT = out.paper()
RESPONSES: dict[str, Any] = {"A1": "c", "B1": ["a"], "C1": False, "D1": ["八 小时"], "E1": 22, "F1": "一篇"}


def paper() -> QuestionSet:
    return read_question_set(exact_json.decode(exact_json.canonical(DOCUMENT)))


FORMS = [Form(0, "P", paper().index)]


def proposal(*changes: dict[str, Any], **members: Any) -> Proposal:
    document = {"reason": "答案有误", "proposed_by": "王五", "changes": list(changes), **members}
    return read_proposal(exact_json.decode(exact_json.canonical(document)), FORMS)


def regraded(key: dict[str, Any], *changes: dict[str, Any]) -> dict[str, Any]:
    return changed_key(key, [(each.item, each.members) for each in proposal(*changes).changes])


def earned(key: dict[str, Any], responses: dict[str, Any] = RESPONSES) -> dict[str, tuple[Fraction, Fraction, bool]]:
    marks = mark_sitting(AnswerKey.load(key), responses).items
    return {item: (mark.points, mark.full, mark.waits) for item, mark in marks.items()}


def pointers(*changes: dict[str, Any], **members: Any) -> list[str]:
    with pytest.raises(Invalid) as refused:
        proposal(*changes, **members)
    assert refused.value.code == "regrade.invalid"
    return sorted(fault["pointer"] for fault in refused.value.faults)


# --- reading ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"item": "X9", "voided": True}, "/item"),
        ({"item": "A1"}, ""),
        ({"item": "A1", "answer": "z"}, "/answer"),
        ({"item": "A1", "answer": ["a"]}, "/answer"),
        ({"item": "A1", "answer": ["a", "z"]}, "/answer/1"),
        ({"item": "A1", "answer": "a", "tolerance": 1}, "/tolerance"),
        ({"item": "B1", "answer": []}, "/answer"),
        ({"item": "B1", "answer": ["a", "a"]}, "/answer/1"),
        ({"item": "B1", "marking": "kind"}, "/marking"),
        ({"item": "C1", "answer": "true"}, "/answer"),
        ({"item": "D1", "answer": [["8"], ["9"]]}, "/answer"),
        ({"item": "D1", "answer": [["  "]]}, "/answer/0/0"),
        ({"item": "D1", "answer": ["8"]}, "/answer/0"),
        ({"item": "D1", "fold": ["colour"]}, "/fold"),
        ({"item": "E1", "answer": 1e400}, "/answer"),
        ({"item": "E1", "tolerance": -1}, "/tolerance"),
        ({"item": "F1", "answer": "x"}, "/answer"),
        ({"item": "F1", "points": 5}, "/points"),
        ({"item": "A1", "points": -1}, "/points"),
        ({"item": "A1", "voided": True, "accept_all": True}, "/accept_all"),
        ({"item": "A1", "voided": True, "points": 2}, "/points"),
        ({"item": "A1", "accept_all": True, "answer": "a"}, "/answer"),
        ({"item": "A1", "voided": "yes"}, "/voided"),
        ({"item": "A1", "answer": "a", "colour": 1}, "/colour"),
        ({"item": "A1", "answer": "a", "form": 1}, "/form"),
        ({"item": "A1", "answer": "a", "paper_id": "Q"}, "/paper_id"),
    ],
)
def test_a_change_that_means_nothing_is_named(change: dict[str, Any], at: str) -> None:
    """At its pointer, before anything is sealed."""
    if change.get("answer") == 1e400:
        with pytest.raises(Invalid) as refused:
            document = b'{"reason":"r","proposed_by":"p","changes":[{"item":"E1","answer":1e400}]}'
            read_proposal(exact_json.decode(document), FORMS)
        assert [fault["pointer"] for fault in refused.value.faults] == ["/changes/0/answer"]
    else:
        assert pointers(change) == [f"/changes/0{at}"]


def test_all_faults_are_listed_at_once() -> None:
    """Of every change, and of the call."""
    found = pointers(
        {"item": "A1", "answer": "z"}, {"item": "A1", "voided": True}, {"item": "E1", "points": "two"}, reason="  ", x=1
    )

    assert found == ["/changes/0/answer", "/changes/1/item", "/changes/2/points", "/reason", "/x"]


def test_an_item_of_several_forms_needs_its_form() -> None:
    """Two papers may call different questions by one id."""
    index = paper().index
    forms = [Form(0, "PA", index), Form(1, "PB", index), Form(2, "PC", {"Z1": {"type": "text"}})]
    changes = [
        {"item": "A1", "voided": True},
        {"item": "Z1", "voided": True},
        {"item": "A1", "form": 1, "answer": "a"},
        {"item": "A1", "paper_id": "PA", "answer": "a"},
    ]

    with pytest.raises(Invalid) as refused:
        read_proposal({"reason": "r", "proposed_by": "p", "changes": changes}, forms)
    found = read_proposal({"reason": "r", "proposed_by": "p", "changes": changes[1:]}, forms)

    assert [fault["pointer"] for fault in refused.value.faults] == ["/changes/0/item"]
    assert [(change.form, change.item, change.told) for change in found.changes] == [
        (2, "Z1", ["voided"]),
        (1, "A1", ["answer"]),
        (0, "A1", ["answer"]),
    ]


def test_an_item_that_all_forms_share_is_changed_in_all_of_them() -> None:
    """Where it looks the same; two questions of one id are not one item."""
    index = paper().index
    forms = [Form(0, "PA", index), Form(1, "PB", {"Z1": {"type": "text"}}), Form(2, "PC", index)]
    other = [*forms, Form(3, "PD", {"A1": {"type": "true_false"}})]
    change = {"item": "A1", "answer": "a", "all_forms": True}

    found = read_proposal({"reason": "r", "proposed_by": "p", "changes": [change]}, forms)
    faults = []
    for each, held in ((change, other), ({**change, "form": 0}, forms)):
        with pytest.raises(Invalid) as refused:
            read_proposal({"reason": "r", "proposed_by": "p", "changes": [each]}, held)
        faults += [fault["pointer"] for fault in refused.value.faults]

    assert [(each.form, each.members) for each in found.changes] == [
        (form, {"answer": "a", "ruling": None}) for form in (0, 2)
    ]
    assert faults == ["/changes/0/all_forms"] * 2


# --- what a change does ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "mark"),
    [
        ({"item": "A1", "answer": "c"}, (1, 1)),
        ({"item": "A1", "answer": ["a", "c"]}, (1, 1)),
        ({"item": "A1", "answer": ["a", "b"]}, (0, 1)),
        ({"item": "A1", "answer": "c", "points": 2.5}, (Fraction(5, 2), Fraction(5, 2))),
        ({"item": "B1", "marking": "subset_half"}, (1, 2)),
        ({"item": "B1", "answer": ["a"]}, (2, 2)),
        ({"item": "C1", "answer": False}, (Fraction(1, 2), Fraction(1, 2))),
        ({"item": "D1", "fold": []}, (0, 1)),
        ({"item": "D1", "answer": [["九小时"]]}, (0, 1)),
        ({"item": "E1", "tolerance": 0.25}, (2, 2)),
        ({"item": "E1", "answer": 22.005}, (2, 2)),
        ({"item": "A1", "accept_all": True}, (1, 1)),
        ({"item": "A1", "accept_all": True, "points": 3}, (3, 3)),
        ({"item": "F1", "accept_all": True}, (10, 10)),
        ({"item": "E1", "voided": True}, (0, 0)),
        ({"item": "F1", "voided": True}, (0, 0)),
    ],
)
def test_a_change_moves_its_item_and_no_other(change: dict[str, Any], mark: tuple[Any, Any]) -> None:
    """What the item then earns, of what; every other mark is what it was."""
    before, after = earned(paper().answer_key), earned(regraded(paper().answer_key, change))

    item = change["item"]
    assert after.pop(item) == (*mark, False)
    before.pop(item)
    assert after == before


def test_everyone_who_sat_earns_what_is_accepted_for_all() -> None:
    """Also who left it blank, or wrote what no item takes."""
    key = regraded(paper().answer_key, {"item": "A1", "accept_all": True}, {"item": "F1", "accept_all": True})

    for responses in ({}, {"A1": 7, "F1": None}, {"A1": "b", "F1": "文"}):
        marks = earned(key, responses)
        assert (marks["A1"], marks["F1"]) == ((1, 1, False), (10, 10, False))


def test_voiding_shrinks_the_total_by_the_items_points() -> None:
    """A score is out of what is left; with nothing left there is none."""
    key = paper().answer_key
    items = [item["id"] for section in key["sections"] for item in section["items"]]

    voided = regraded(key, {"item": "F1", "voided": True})
    nothing = regraded(key, *({"item": item, "voided": True} for item in items))

    assert AnswerKey.load(voided).full == AnswerKey.load(key).full - 10
    with pytest.raises(Corrupt, match="no points"):
        AnswerKey.load(nothing)


def test_a_new_answer_has_a_voided_item_marked_again() -> None:
    """A ruling holds until somebody says otherwise; new points alone say nothing of it."""
    accepted = regraded(paper().answer_key, {"item": "A1", "accept_all": True})

    worth_more = regraded(accepted, {"item": "A1", "points": 2})
    marked = regraded(accepted, {"item": "A1", "answer": "a"})

    assert earned(worth_more)["A1"] == (2, 2, False)
    assert earned(marked)["A1"] == (0, 1, False)


RULING = st.sampled_from(["voided", "accept_all"])
ITEMS = st.sampled_from(["A1", "B1", "C1", "D1", "E1", "F1"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ITEMS, RULING), min_size=1, max_size=4, unique_by=lambda ruling: ruling[0]))
def test_what_is_taken_back_leaves_no_trace(rulings: list[tuple[str, str]]) -> None:
    """The key is the old one, to its digest, and so is every score."""
    key = paper().answer_key

    ruled = regraded(key, *({"item": item, ruling: True} for item, ruling in rulings))
    restored = regraded(ruled, *({"item": item, ruling: False} for item, ruling in rulings))

    assert exact_json.digest(ruled) != exact_json.digest(key)
    assert exact_json.digest(restored) == exact_json.digest(key)


def test_the_difference_says_who_gains_and_who_loses() -> None:
    """A pass is gained or lost by the pass mark, whatever the direction; without a score there is neither."""
    low, high = Outcome("graded", Decimal(50), False, []), Outcome("graded", Decimal(60), True, [])
    waits = Outcome("pending_assessor", None, None, [])

    assert [direction(low, high), direction(high, low), direction(low, low), direction(waits, high)] == [
        "up",
        "down",
        "same",
        "unscored",
    ]
    assert [pass_change(low, high), pass_change(high, low), pass_change(high, high), pass_change(waits, low)] == [
        "gained",
        "lost",
        "",
        "",
    ]
