"""Reads a paper as the scheduling system pushed it and parts it by audience: candidates, the grader, the save path.

`read_question_set` lists every fault of the document. What it returns can be sealed, marked and checked against
without looking at the document again: every answer names an option that exists, every number is exact as a double,
every image has its medium.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from decimal import Context, Decimal
from typing import Any

from msgspec import Struct

from engine.rules import exact_json
from engine.rules.errors import Invalid
from engine.rules.limits import (
    ACCEPTED_MAX,
    BLANKS_MAX,
    FILL_CHARACTERS_MAX,
    ID_PATTERN,
    ITEMS_MAX,
    NUMERIC_DIGITS_MAX,
    OPTIONS_MAX,
    PLAIN_TEXT_CHARACTERS_MAX,
    POINTS_DECIMALS_MAX,
    POINTS_MAX,
    SECTIONS_MAX,
    TITLE_CHARACTERS_MAX,
)
from engine.rules.marking import FOLD_DEFAULT, FOLDS, MARKINGS, exact_number, folded, is_blank, json_number
from engine.rules.media import read_media, unknown_images
from engine.rules.shape import Faults, Members

_ID_EXPECTED = "1 to 64 of A-Za-z0-9._-"


class QuestionSet(Struct, frozen=True, kw_only=True):
    """One valid paper."""

    digest: str  # hex SHA-256 of the RFC 8785 form of the whole document as sent
    items: int
    points: Decimal  # exact total, above 0
    public: dict[str, Any]  # what candidates may see; JSON-ready
    answer_key: dict[str, Any]  # what `marking.AnswerKey.load` takes; JSON-ready, numbers as decimal strings
    answer_key_digest: str  # hex SHA-256 of its RFC 8785 form
    index: dict[str, dict[str, Any]]  # item -> {type, options?, blanks?}: checks a value at save, holds no answer


class _Parts(Struct, frozen=True):
    """What one type of item adds for each audience."""

    public: dict[str, Any]
    answer_key: dict[str, Any]
    index: dict[str, Any]


class _Item(Struct, frozen=True):
    id: str
    points: Decimal | None  # None: faulty
    is_fixed: bool
    parts: _Parts


class _Section(Struct, frozen=True):
    id: str
    title: str
    items: list[_Item]
    groups: list[dict[str, Any]]  # public: shared stems are no answers

    def public(self) -> dict[str, Any]:
        groups = {"groups": self.groups} if self.groups else {}
        return {"id": self.id, "title": self.title, "items": [item.parts.public for item in self.items], **groups}


class _Paper:
    """What the checks of one paper share: its faults, its media, and the ids seen so far."""

    def __init__(self, faults: Faults, media: Collection[str]) -> None:
        self.faults = faults
        self.media = media
        self.section_ids: set[str] = set()
        self.item_ids: set[str] = set()  # and groups': both are ranked by their ids in one list


def read_question_set(document: Any) -> QuestionSet:
    """Takes what `exact_json.decode` gave; raises Invalid `paper.invalid` with every fault, each at its pointer."""
    faults = Faults()
    members = Members(document, "", faults)
    title = _plain_text(members, "title", TITLE_CHARACTERS_MAX)
    media = members.take("media", {})
    media_types = read_media(media, members.at("media"), faults)
    paper = _Paper(faults, media if isinstance(media, dict) else {})
    sections = [
        _read_section(Members(section, f"/sections/{position}", faults), paper)
        for position, section in enumerate(members.take_list("sections", 1, SECTIONS_MAX))
    ]
    members.finish()
    items = [item for section in sections for item in section.items]
    points = _check_totals(items, faults)
    if faults:
        raise Invalid("paper.invalid", faults.listed, errors_total=faults.total)

    public = {
        "title": title,
        "sections": [section.public() for section in sections],
        "media": media,
        "media_types": media_types,
    }
    answer_key = {
        "sections": [
            {"id": section.id, "items": [item.parts.answer_key for item in section.items]} for section in sections
        ]
    }
    return QuestionSet(
        digest=exact_json.digest(document),
        items=len(items),
        points=points,
        public=public,
        answer_key=answer_key,
        answer_key_digest=exact_json.digest(answer_key),
        index={item.id: item.parts.index for item in items},
    )


def check_loose(items: Sequence[Any], groups: Sequence[Any], media: Any, faults: Faults) -> None:
    """Items and shared stems that stand in no paper yet, each by itself: faults at `/items/<n>` and `/groups/<n>`."""
    read_media(media, "/media", faults)
    paper = _Paper(faults, media if isinstance(media, dict) else {})
    for position, item in enumerate(items):
        _read_item(Members(item, f"/items/{position}", faults), paper)
    for position, value in enumerate(groups):
        group = Members(value, f"/groups/{position}", faults)
        _unique_id(group, paper.item_ids)
        _plain_text(group, "stem", PLAIN_TEXT_CHARACTERS_MAX, paper.media)
        group.take_boolean("shuffle", False)
        group.take_list("items", 1, ITEMS_MAX)
        group.finish()


def _check_totals(items: list[_Item], faults: Faults) -> Decimal:
    if len(items) > ITEMS_MAX:
        faults.add("/sections", f"expected at most {ITEMS_MAX} items in the paper, got {len(items)}")
    known = [item.points for item in items if item.points is not None]
    total = sum(known, Decimal(0))
    # Only where every item has its points is a total of zero a fault of its own.
    if items and len(known) == len(items) and total == 0:
        faults.add("/sections", "points that sum to zero: nothing to scale to 100")
    return Decimal(decimal_text(total))


# --- sections and items ----------------------------------------------------------------------------------------
def _read_section(section: Members, paper: _Paper) -> _Section:
    section_id = _unique_id(section, paper.section_ids)
    title = _plain_text(section, "title", TITLE_CHARACTERS_MAX)
    items = [
        _read_item(Members(item, f"{section.at('items')}/{position}", paper.faults), paper)
        for position, item in enumerate(section.take_list("items", 1, ITEMS_MAX))
    ]
    groups = _read_groups(section, items, paper)
    section.finish()
    return _Section(section_id, title, items, groups)


def _read_item(item: Members, paper: _Paper) -> _Item:
    item_id = _unique_id(item, paper.item_ids)
    kind = item.take_choice("type", tuple(_READERS))
    stem = _plain_text(item, "stem", PLAIN_TEXT_CHARACTERS_MAX, paper.media)
    points = read_points(item)
    is_fixed = item.take_boolean("fixed", False)
    if item.members.get("type") == kind:
        parts = _READERS[kind](item, paper.media)
    else:
        parts = _Parts({}, {}, {})  # without a type nothing can be said about the members that depend on it
        item.taken |= _HOLDERS.keys()
    _check_misplaced(item, kind)
    item.finish()
    points_public = None if points is None else json_number(points)
    return _Item(
        item_id,
        points,
        is_fixed,
        _Parts(
            public={
                "id": item_id,
                "type": kind,
                "stem": stem,
                "points": points_public,
                **parts.public,
                **_where_true(fixed=is_fixed),
            },
            answer_key={"id": item_id, "type": kind, "points": decimal_text(points), **parts.answer_key},
            index={"type": kind, **parts.index},
        ),
    )


def _check_misplaced(item: Members, kind: str) -> None:
    for name, holders in _HOLDERS.items():
        if item.has(name) and name not in item.taken:
            item.taken.add(name)
            item.fault(name, f"only items of type {', '.join(holders)} have this, not {kind}")


def read_points(item: Members) -> Decimal | None:
    points = read_number(item, "points")
    if points is None:
        return None
    exponent = points.normalize(_EXACT).as_tuple().exponent
    if not 0 <= points <= POINTS_MAX or int(exponent) < -POINTS_DECIMALS_MAX:
        item.fault("points", f"expected 0 to {POINTS_MAX} with at most {POINTS_DECIMALS_MAX} decimals")
        return None
    return points


# --- groups with a shared stem ----------------------------------------------------------------------------------
def _read_groups(section: Members, items: list[_Item], paper: _Paper) -> list[dict[str, Any]]:
    """Each group is a run of the section's items: in whatever order they are shown, they can be shown together."""
    if not section.has("groups"):
        return []
    places = {item.id: place for place, item in enumerate(items)}
    grouped: set[str] = set()
    groups = []
    for position, value in enumerate(section.take_list("groups", 0, ITEMS_MAX)):
        group = Members(value, f"{section.at('groups')}/{position}", paper.faults)
        group_id = _unique_id(group, paper.item_ids)
        stem = _plain_text(group, "stem", PLAIN_TEXT_CHARACTERS_MAX, paper.media)
        marks = {name: group.take_boolean(name, False) for name in ("shuffle", "fixed")}
        members = _read_group_items(group, places, grouped)
        group.finish()
        if not marks["shuffle"]:
            _check_fixed_in_group(section, [(places[item_id], items[places[item_id]]) for item_id in members])
        groups.append({"id": group_id, "stem": stem, "items": members, **_where_true(**marks)})
    return groups


def _read_group_items(group: Members, places: dict[str, int], grouped: set[str]) -> list[str]:
    """Ids of items that are in this group alone; `grouped` grows by them."""
    found: list[str] = []
    for position, item_id in enumerate(group.take_list("items", 1, ITEMS_MAX)):
        message = None
        if not isinstance(item_id, str) or item_id not in places:
            message = "expected the id of an item of this section"
        elif item_id in grouped:
            message = "is in a group already"
        elif found and places[item_id] != places[found[-1]] + 1:
            message = f"expected the item that follows {found[-1]} in the section: a group is a run of its items"
        if message:
            group.faults.add(f"{group.at('items')}/{position}", message, item_id)
            continue
        grouped.add(item_id)
        found.append(item_id)
    return found


def _check_fixed_in_group(section: Members, members: list[tuple[int, _Item]]) -> None:
    for place, item in members:
        if item.is_fixed:
            at = f"{section.at('items')}/{place}/fixed"
            section.faults.add(at, "an item moves with its group; fix the group, or let it shuffle its items", True)


# --- what depends on the type ----------------------------------------------------------------------------------
def _read_single(item: Members, media: Collection[str]) -> _Parts:
    options, option_ids = _read_options(item, media)
    answer = item.take("answer")
    if item.has("answer") and (not isinstance(answer, str) or answer not in option_ids):
        item.fault("answer", "expected the id of one of the options")
    return _Parts({"options": options}, {"answer": answer}, {"options": option_ids})


def _read_multiple(item: Members, media: Collection[str]) -> _Parts:
    options, option_ids = _read_options(item, media)
    answer = item.take_list("answer", 1, OPTIONS_MAX)
    for position, option in enumerate(answer):
        if not isinstance(option, str) or option not in option_ids:
            item.faults.add(f"{item.at('answer')}/{position}", "expected the id of one of the options", option)
        elif option in answer[:position]:
            item.faults.add(f"{item.at('answer')}/{position}", "names an option twice", option)
    marking = item.take_choice("marking", MARKINGS, "exact")
    return _Parts(
        {"options": options, "marking": marking},
        {"answer": answer, "options": option_ids, "marking": marking},
        {"options": option_ids},
    )


def _read_true_false(item: Members, _media: Collection[str]) -> _Parts:
    return _Parts({}, {"answer": item.take_boolean("answer")}, {})


def _read_fill(item: Members, _media: Collection[str]) -> _Parts:
    fold = read_fold(item)
    answer = item.take_list("answer", 1, BLANKS_MAX)
    for blank, strings in enumerate(answer):
        at = f"{item.at('answer')}/{blank}"
        if not isinstance(strings, list) or not 1 <= len(strings) <= ACCEPTED_MAX:
            item.faults.add(at, f"expected a list of 1 to {ACCEPTED_MAX} accepted strings", strings)
            continue
        for position, text in enumerate(strings):
            if message := accepted_fault(text, fold):
                item.faults.add(f"{at}/{position}", message, text)
    blanks = {"blanks": len(answer)}
    return _Parts(blanks, {"answer": answer, "fold": fold}, blanks)


def _read_numeric(item: Members, _media: Collection[str]) -> _Parts:
    answer = read_number(item, "answer")
    tolerance = read_number(item, "tolerance", default=Decimal(0))
    if tolerance is not None and tolerance < 0:
        item.fault("tolerance", "expected 0 or more")
    return _Parts({}, {"answer": decimal_text(answer), "tolerance": decimal_text(tolerance)}, {})


def _read_text(_item: Members, _media: Collection[str]) -> _Parts:
    return _Parts({}, {}, {})


_READERS: dict[str, Callable[[Members, Collection[str]], _Parts]] = {
    "single": _read_single,
    "multiple": _read_multiple,
    "true_false": _read_true_false,
    "fill": _read_fill,
    "numeric": _read_numeric,
    "text": _read_text,
}
ITEM_TYPES = tuple(_READERS)
_HOLDERS = {
    "options": ("single", "multiple"),
    "answer": ("single", "multiple", "true_false", "fill", "numeric"),
    "marking": ("multiple",),
    "fold": ("fill",),
    "tolerance": ("numeric",),
}


def _read_options(item: Members, media: Collection[str]) -> tuple[list[dict[str, Any]], list[str]]:
    options: list[dict[str, Any]] = []
    seen: set[str] = set()
    for position, value in enumerate(item.take_list("options", 2, OPTIONS_MAX)):
        option = Members(value, f"{item.at('options')}/{position}", item.faults)
        option_id = _unique_id(option, seen)
        text = _plain_text(option, "text", PLAIN_TEXT_CHARACTERS_MAX, media)
        options.append({"id": option_id, "text": text, **_where_true(fixed=option.take_boolean("fixed", False))})
        option.finish()
    return options, [option["id"] for option in options]


def read_fold(item: Members) -> list[str]:
    if not item.has("fold"):
        return list(FOLD_DEFAULT)
    fold = item.take_list("fold", 0, len(FOLDS))
    sound = [step for step in fold if isinstance(step, str) and step in FOLDS]
    if len(sound) < len(fold):
        item.fault("fold", "expected some of " + ", ".join(FOLDS))
    if len(set(sound)) < len(sound):
        item.fault("fold", "names a step twice")
    return sound


def accepted_fault(text: Any, fold: list[str]) -> str | None:
    if not isinstance(text, str):
        return "expected a string"
    if len(text) > FILL_CHARACTERS_MAX:
        return f"expected at most {FILL_CHARACTERS_MAX} characters, got {len(text)}"
    if "\0" in text:
        return "holds a NUL character"
    # What folds to nothing could never be told from an empty blank.
    return "is blank once folded" if is_blank(folded(text, fold)) else None


# --- members of more than one kind of object -------------------------------------------------------------------
def _unique_id(members: Members, seen: set[str]) -> str:
    found = members.take_pattern("id", ID_PATTERN, _ID_EXPECTED)
    if found and found in seen:
        members.fault("id", "is used twice")
    seen.add(found)
    return found


def _plain_text(members: Members, name: str, characters_max: int, media: Collection[str] = ()) -> str:
    """Text that is not blank; its images must be among `media` (titles show none, so nothing is checked there)."""
    text = members.take_text(name, characters_max)
    if text and is_blank(text):
        members.fault(name, "is blank")
    if name != "title":
        for image in unknown_images(text, media):
            members.faults.add(members.at(name), "shows an image that is not in media", image)
    return text


def _where_true(**marks: bool) -> dict[str, bool]:
    """A mark that does not hold is left out: a paper without any is sealed as it always was."""
    return {name: True for name, holds in marks.items() if holds}


_EXACT = Context(prec=NUMERIC_DIGITS_MAX)  # loses nothing of a number `exact_number` let through


def read_number(members: Members, name: str, default: Decimal | None = None) -> Decimal | None:
    """An exact number; None after a fault."""
    value = members.take(name) if default is None else members.take(name, default)
    if not members.has(name):
        return default
    exact = exact_number(value)
    number = Decimal(0) if exact is None else Decimal(str(value))
    # Beyond a double's range the digest, which is RFC 8785's, would take it for infinite or for 0.
    if exact is None or Decimal(repr(float(number))) != number:
        members.fault(name, f"expected a number with at most {NUMERIC_DIGITS_MAX} significant digits a double can hold")
        return None
    return number


def decimal_text(number: Decimal | None) -> str:
    """The one spelling of a number: 0.50 and 5e-1 are both `0.5`."""
    return format(number.normalize(_EXACT), "f") if number else "0"
