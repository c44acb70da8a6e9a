"""A regrade: what may change in an answer key after its exam, the key that results, and what that does to results.

A change names an item and what becomes of it:

* `answer` (with `marking`, `fold`, `tolerance` where its type has them) and `points` replace what the key says; for a
  `single` item `answer` may list several options, each of which is then right;
* `voided`: the item counts for nobody, and its points leave the total;
* `accept_all`: everyone who sat earns its full points, whatever was answered;
* both as `false`, or a new `answer`: the item is marked again.

Where several papers of a batch have the item, `form` or `paper_id` says which is meant, or `all_forms` that it is one
and the same item, as in papers drawn from a bank.

An assessor's judgement is given out of the points on the paper: what a `text` item is worth does not change, but it
may be voided or accepted. The outcome is a whole answer key with a digest of its own, from which anyone can recompute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from engine.rules.errors import Invalid
from engine.rules.limits import (
    ACCEPTED_MAX,
    BLANKS_MAX,
    ID_PATTERN,
    NAME_CHARACTERS_MAX,
    OPTIONS_MAX,
    REASON_CHARACTERS_MAX,
    REGRADE_CHANGES_MAX,
)
from engine.rules.marking import FOLD_DEFAULT, MARKINGS
from engine.rules.question_set import accepted_fault, decimal_text, read_fold, read_number, read_points
from engine.rules.shape import Faults, Members

_RULINGS = ("voided", "accept_all")
_MARKED_BY = {
    "single": ("answer",),
    "multiple": ("answer", "marking"),
    "true_false": ("answer",),
    "fill": ("answer", "fold"),
    "numeric": ("answer", "tolerance"),
    "text": (),
}
ONLY = ("changed", "up", "down", "gained", "lost", "all")  # which sittings of a dry run are asked for
CHANGED = ("answer", "marking", "fold", "tolerance", "points", *_RULINGS)


class Form(Struct, frozen=True):
    """One paper of a batch; `items`: item -> {type, options?, blanks?}, as arming pinned them."""

    form: int
    paper_id: str
    items: dict[str, dict[str, Any]]


class Change(Struct, frozen=True):
    """One item of one form: `members` take the place of the answer key's, None takes one away; `told` names them."""

    form: int
    item: str
    members: dict[str, Any]
    told: list[str]


class Proposal(Struct, frozen=True):
    reason: str
    proposed_by: str
    changes: list[Change]


class Outcome(Struct, frozen=True):
    """What a regrade makes of one result; `score` and `passed` are None while an assessor is awaited."""

    state: str
    score: Decimal | None
    passed: bool | None
    sections: list[dict[str, Any]]


# --- reading ---------------------------------------------------------------------------------------------------
def read_proposal(document: Any, forms: Sequence[Form]) -> Proposal:
    """Takes what `exact_json.decode` gave and the batch's forms. Raises Invalid `regrade.invalid`, all faults."""
    faults = Faults()
    members = Members(document, "", faults)
    reason = " ".join(members.take_text("reason", REASON_CHARACTERS_MAX).split())
    proposed_by = " ".join(members.take_text("proposed_by", NAME_CHARACTERS_MAX).split())
    for name, text in (("reason", reason), ("proposed_by", proposed_by)):
        if not text and isinstance(members.members.get(name), str) and members.members[name]:
            members.fault(name, "is blank")
    changes: list[Change] = []
    seen: set[tuple[int, str]] = set()
    for position, value in enumerate(members.take_list("changes", 1, REGRADE_CHANGES_MAX)):
        change = Members(value, f"/changes/{position}", faults)
        found = _read_change(change, forms)
        if any((each.form, each.item) in seen for each in found):
            change.fault("item", "is changed twice")
        seen.update((each.form, each.item) for each in found)
        changes += found
    members.finish()
    if faults:
        raise Invalid("regrade.invalid", faults.listed, errors_total=faults.total)
    return Proposal(reason, proposed_by, changes)


def _read_change(change: Members, forms: Sequence[Form]) -> list[Change]:
    """The same change of each form that is meant; none after a fault in which."""
    item = change.take_pattern("item", ID_PATTERN, "the id of an item")
    meant = _forms_of(change, item, forms)
    if not meant:
        change.taken.update(CHANGED)  # of what item they speak is not known
        change.finish()
        return []
    entry = meant[0].items[item]
    rulings = {name: change.take_boolean(name) for name in _RULINGS if change.has(name)}
    members: dict[str, Any] = {}
    for name in ("points", *_MARKED_BY[entry["type"]]):
        if change.has(name):
            members[name] = _READERS[name](change, entry)
    _check_sense(change, entry["type"], rulings)
    change.finish()
    told = [name for name in CHANGED if change.has(name)]
    ruling = next((name for name, holds in rulings.items() if holds), None)
    if ruling or rulings or members.keys() - {"points"}:
        members["ruling"] = ruling
    return [Change(form.form, item, members, told) for form in meant]


def _forms_of(change: Members, item: str, forms: Sequence[Form]) -> list[Form]:
    """Whose item is meant: of the form named by `form` or `paper_id`, of the only one that has it, or of all."""
    named = list(forms)
    is_all = change.take_boolean("all_forms", False)
    if is_all and (change.has("form") or change.has("paper_id")):
        change.fault("all_forms", "expected either all forms or one")
    if change.has("form"):
        number = change.take_integer("form", 0, len(forms) - 1)
        named = [form for form in named if form.form == number]
    if change.has("paper_id"):
        paper_id = change.take("paper_id")
        if paper_id not in [form.paper_id for form in forms]:
            change.fault("paper_id", "expected " + " or ".join(dict.fromkeys(form.paper_id for form in forms)))
            return []
        named = [form for form in named if form.paper_id == paper_id]
    holders = [form for form in named if item in form.items]
    if item and not holders:
        change.fault("item", "is not an item of the paper")
    in_forms = ", ".join(f"{form.form} ({form.paper_id})" for form in holders)
    if len(holders) > 1 and not is_all:
        change.fault(
            "item", f"is in the forms {in_forms}: name its `form`, or say `all_forms` where it is the same item"
        )
        return []
    if any(form.items[item] != holders[0].items[item] for form in holders):
        change.fault("all_forms", f"the forms {in_forms} have different items of this id: one change for each")
        return []
    return holders


def _check_sense(change: Members, kind: str, rulings: Mapping[str, bool]) -> None:
    sensible = _MARKED_BY[kind]
    for name in CHANGED:
        if name not in change.taken and change.has(name):
            change.taken.add(name)
            change.fault(name, f"items of type {kind} have none")
    if kind == "text" and change.has("points"):
        change.fault("points", "an assessor's mark is out of the points on the paper: void the item, or accept all")
    if not any(change.has(name) for name in CHANGED):
        change.faults.add(change.pointer, "changes nothing: expected one of " + ", ".join(CHANGED))
    if sum(rulings.values()) > 1:
        change.fault("accept_all", "an item cannot be voided and accepted as well")
    if any(rulings.values()) and any(change.has(name) for name in sensible):
        change.fault("answer", "what is voided or accepted for all is not marked: leave out " + ", ".join(sensible))
    if rulings.get("voided") and change.has("points"):
        change.fault("points", "a voided item has none")


def _read_answer(change: Members, entry: Mapping[str, Any]) -> Any:
    return _ANSWERS[entry["type"]](change, entry)


def _read_option(change: Members, entry: Mapping[str, Any]) -> Any:
    if isinstance(change.members["answer"], list):
        return _read_options(change, entry, smallest=2)
    answer = change.take("answer")
    if not isinstance(answer, str) or answer not in entry["options"]:
        change.fault("answer", "expected the id of one of the options, or a list of those that are right")
    return answer


def _read_options(change: Members, entry: Mapping[str, Any], smallest: int = 1) -> Any:
    answer = change.take_list("answer", smallest, OPTIONS_MAX)
    for position, option in enumerate(answer):
        at = f"{change.at('answer')}/{position}"
        if not isinstance(option, str) or option not in entry["options"]:
            change.faults.add(at, "expected the id of one of the options", option)
        elif option in answer[:position]:
            change.faults.add(at, "names an option twice", option)
    return answer


def _read_blanks(change: Members, entry: Mapping[str, Any]) -> Any:
    answer = change.take_list("answer", 1, BLANKS_MAX)
    if answer and len(answer) != entry["blanks"]:
        change.fault("answer", f"expected {entry['blanks']} blanks, as the paper has")
    # How the item folds now is in the answer key only: what is blank by that simply never counts as right.
    fold = change.members["fold"] if isinstance(change.members.get("fold"), list) else list(FOLD_DEFAULT)
    for blank, strings in enumerate(answer):
        at = f"{change.at('answer')}/{blank}"
        if not isinstance(strings, list) or not 1 <= len(strings) <= ACCEPTED_MAX:
            change.faults.add(at, f"expected a list of 1 to {ACCEPTED_MAX} accepted strings", strings)
            continue
        for position, text in enumerate(strings):
            if message := accepted_fault(text, fold):
                change.faults.add(f"{at}/{position}", message, text)
    return answer


def _read_tolerance(change: Members, _entry: Mapping[str, Any]) -> str:
    tolerance = read_number(change, "tolerance")
    if tolerance is not None and tolerance < 0:
        change.fault("tolerance", "expected 0 or more")
    return decimal_text(tolerance)


_ANSWERS: dict[str, Callable[[Members, Mapping[str, Any]], Any]] = {
    "single": _read_option,
    "multiple": _read_options,
    "true_false": lambda change, _entry: change.take_boolean("answer"),
    "fill": _read_blanks,
    "numeric": lambda change, _entry: decimal_text(read_number(change, "answer")),
}
_READERS: dict[str, Callable[[Members, Mapping[str, Any]], Any]] = {
    "answer": _read_answer,
    "points": lambda change, _entry: decimal_text(read_points(change)),
    "marking": lambda change, _entry: change.take_choice("marking", MARKINGS),
    "fold": lambda change, _entry: read_fold(change),
    "tolerance": _read_tolerance,
}


# --- the new key -----------------------------------------------------------------------------------------------
def changed_key(answer_key: Mapping[str, Any], changes: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """The whole answer key, as JSON, after `changes` (item, members) of its form; what is not named stays as it is."""
    by_item = dict(changes)
    return {
        **answer_key,
        "sections": [
            {**section, "items": [_changed_item(item, by_item.get(item["id"])) for item in section["items"]]}
            for section in answer_key["sections"]
        ],
    }


def _changed_item(item: dict[str, Any], members: Mapping[str, Any] | None) -> dict[str, Any]:
    if members is None:
        return item
    return {name: value for name, value in {**item, **members}.items() if value is not None}


# --- the difference --------------------------------------------------------------------------------------------
def direction(before: Outcome, after: Outcome) -> str:
    """`up`, `down` or `same`; `unscored` where either has no score: nobody sat, or an assessor is awaited."""
    if before.score is None or after.score is None:
        return "unscored"
    return "same" if before.score == after.score else "up" if after.score > before.score else "down"


def pass_change(before: Outcome, after: Outcome) -> str:
    """`gained`, `lost` or nothing."""
    if bool(before.passed) == bool(after.passed):
        return ""
    return "gained" if after.passed else "lost"
