"""Reads what papers are drawn from and by: an item bank, a blueprint, and which items earlier draws have used.

A bank is items as in a question set, each with a topic and a difficulty; items with a shared stem make a group, which
is drawn whole. Every fault of a document is listed, each at its pointer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from msgspec import Struct

from engine.rules import exact_json
from engine.rules.limits import (
    BANK_ITEMS_MAX,
    BLUEPRINT_ROWS_MAX,
    DRAWN_FORMS_MAX,
    DRAWS_KEPT_MAX,
    ID_PATTERN,
    ITEMS_MAX,
    POINTS_DECIMALS_MAX,
    POINTS_MAX,
    SECTIONS_MAX,
    TITLE_CHARACTERS_MAX,
)
from engine.rules.question_set import ITEM_TYPES, check_loose
from engine.rules.shape import Faults, Members

EXPOSURE_FORMAT = "liankao-exposure-1"
_DRAW = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BANK_ONLY = ("topic", "difficulty")


class Unit(Struct, frozen=True, kw_only=True):
    """What is drawn as one: an item, or a group with all its items."""

    id: str
    topic: str
    difficulty: Fraction  # of a group the mean of its items'
    items: list[dict[str, Any]]  # as a question set has them
    group: dict[str, Any] | None = None  # its id, stem and items, as a question set has them

    @property
    def types(self) -> set[str]:
        return {item["type"] for item in self.items}


class Bank(Struct, frozen=True):
    digest: str  # hex SHA-256 of the RFC 8785 form
    units: list[Unit]
    media: dict[str, str]


class Row(Struct, frozen=True, kw_only=True):
    """What one row of a blueprint asks of each form; members that are None do not narrow the choice."""

    number: int  # from 1
    section: str
    count: int  # items; groups where it asks for groups
    points: Decimal | None  # of each item; None: the item's own
    type: str | None
    topic: str | None
    lowest: Fraction
    highest: Fraction
    group_of: int | None  # groups with so many items; None: items that are in no group

    def takes(self, unit: Unit) -> bool:
        """Whether a unit may be drawn for this row."""
        size = None if unit.group is None else len(unit.items)
        return (
            size == self.group_of
            and self.lowest <= unit.difficulty <= self.highest
            and (self.topic is None or unit.topic == self.topic)
            and (self.type is None or unit.types == {self.type})
            and (self.points is not None or all("points" in item for item in unit.items))
        )

    def __str__(self) -> str:
        asked = [f"section {self.section}"]
        asked += [] if self.type is None else [f"type {self.type}"]
        asked += [] if self.topic is None else [f"topic {self.topic!r}"]
        asked += [f"difficulty {float(self.lowest):g} to {float(self.highest):g}"]
        asked += [] if self.group_of is None else [f"groups of {self.group_of}"]
        asked += [] if self.points is not None else ["points of their own"]
        return f"row {self.number} ({', '.join(asked)})"


class Blueprint(Struct, frozen=True, kw_only=True):
    digest: str
    title: str
    sections: list[dict[str, str]]
    rows: list[Row]
    max_uses: int | None  # in how many draws an item may be, earlier ones counted; None: in any number
    max_forms: int | None  # in how many forms of one draw


# --- the bank --------------------------------------------------------------------------------------------------
def read_bank(document: Any, faults: Faults) -> Bank:
    """Takes what `exact_json.decode` gave; what it returns is of use only without faults."""
    members = Members(document, "", faults)
    items = members.take_list("items", 1, BANK_ITEMS_MAX)
    groups = members.take_list("groups", 0, BANK_ITEMS_MAX) if members.has("groups") else []
    media = members.take("media", {})
    members.finish()
    before = faults.total
    found = {}
    for position, item in enumerate(items):
        unit = _read_item(Members(item, f"/items/{position}", faults))
        found[unit.id] = unit
    loose = [{"points": 1, **unit} if isinstance(unit, dict) else unit for unit in map(_as_in_a_paper, items)]
    check_loose(loose, groups, media, faults)
    if faults.total > before:
        return Bank("", [], {})
    units = [_group_unit(position, group, found, faults) for position, group in enumerate(groups)]
    return Bank(exact_json.digest(document), [*found.values(), *units], media)


def _read_item(item: Members) -> Unit:
    """What only a bank says of an item; the rest is checked as in a paper."""
    topic = item.take_text("topic", TITLE_CHARACTERS_MAX)
    difficulty = _difficulty(item.take("difficulty"))
    if difficulty is None and item.has("difficulty"):
        item.fault("difficulty", "expected a number from 0 to 1")
    as_in_a_paper = _as_in_a_paper(item.members)
    return Unit(id=str(item.members.get("id")), topic=topic, difficulty=difficulty or Fraction(), items=[as_in_a_paper])


def _as_in_a_paper(item: Any) -> Any:
    return {name: value for name, value in item.items() if name not in _BANK_ONLY} if isinstance(item, dict) else item


def _group_unit(position: int, group: Mapping[str, Any], loose: dict[str, Unit], faults: Faults) -> Unit:
    """Its items are taken out of `loose`: they are drawn with it alone."""
    units: list[Unit] = []
    for at, item_id in enumerate(group["items"]):
        unit = loose.pop(item_id, None) if isinstance(item_id, str) else None
        if unit is None:
            pointer = f"/groups/{position}/items/{at}"
            faults.add(pointer, "expected the id of an item of the bank that is in no other group", item_id)
        elif units and unit.topic != units[0].topic:
            faults.add(f"/groups/{position}/items/{at}", f"expected an item of topic {units[0].topic!r}", unit.topic)
        else:
            units.append(unit)
    return Unit(
        id=group["id"],
        topic=units[0].topic if units else "",
        difficulty=sum((unit.difficulty for unit in units), Fraction()) / max(1, len(units)),
        items=[item for unit in units for item in unit.items],
        group=dict(group),
    )


# --- the blueprint ---------------------------------------------------------------------------------------------
def read_blueprint(document: Any, faults: Faults) -> Blueprint:
    """Takes what `exact_json.decode` gave; what it returns is of use only without faults."""
    members = Members(document, "", faults)
    title = members.take_text("title", TITLE_CHARACTERS_MAX)
    sections: list[dict[str, str]] = []
    for position, value in enumerate(members.take_list("sections", 1, SECTIONS_MAX)):
        section = Members(value, f"/sections/{position}", faults)
        section_id = section.take_pattern("id", ID_PATTERN, "1 to 64 characters of A-Z a-z 0-9 . _ -")
        if any(section_id == other["id"] for other in sections):
            section.fault("id", "is used twice")
        sections.append({"id": section_id, "title": section.take_text("title", TITLE_CHARACTERS_MAX)})
        section.finish()
    rows = [
        _read_row(position + 1, Members(row, f"/rows/{position}", faults), sections)
        for position, row in enumerate(members.take_list("rows", 1, BLUEPRINT_ROWS_MAX))
    ]
    for position, known in enumerate(sections):
        if rows and all(row.section != known["id"] for row in rows):
            faults.add(f"/sections/{position}", "no row asks for items of this section", known["id"])
    most = _optional_whole(members, "max_uses", DRAWS_KEPT_MAX), _optional_whole(members, "max_forms", DRAWN_FORMS_MAX)
    members.finish()
    return Blueprint(
        digest="" if faults else exact_json.digest(document),
        title=title,
        sections=sections,
        rows=rows,
        max_uses=most[0],
        max_forms=most[1],
    )


def _read_row(number: int, row: Members, sections: list[dict[str, str]]) -> Row:
    section = row.take_choice("section", tuple(known["id"] for known in sections) or ("",))
    lowest, highest = _read_range(row)
    points = row.take("points", None)
    if row.has("points") and not _are_points(points):
        row.fault(
            "points", f"expected a number above 0, at most {POINTS_MAX}, of at most {POINTS_DECIMALS_MAX} decimals"
        )
    found = Row(
        number=number,
        section=section,
        count=row.take_integer("count", 1, ITEMS_MAX),
        points=Decimal(points) if _are_points(points) else None,
        type=row.take_choice("type", ITEM_TYPES) if row.has("type") else None,
        topic=row.take_text("topic", TITLE_CHARACTERS_MAX) if row.has("topic") else None,
        lowest=lowest,
        highest=highest,
        group_of=_optional_whole(row, "group_of", ITEMS_MAX),
    )
    row.finish()
    return found


def _read_range(row: Members) -> tuple[Fraction, Fraction]:
    """Both ends belong to it."""
    value = row.take("difficulty", [0, 1])
    ends = [_difficulty(end) for end in value] if isinstance(value, list) else []
    if len(ends) == 2 and ends[0] is not None and ends[1] is not None and ends[0] <= ends[1]:
        return ends[0], ends[1]
    row.fault("difficulty", "expected [lowest, highest], two numbers from 0 to 1")
    return Fraction(0), Fraction(1)


def _difficulty(value: Any) -> Fraction | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value <= 1:
        return None
    return Fraction(value)


def _are_points(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 < value <= POINTS_MAX:
        return False
    return bool(round(Decimal(value), POINTS_DECIMALS_MAX) == value)


def _optional_whole(members: Members, name: str, largest: int) -> int | None:
    return members.take_integer(name, 1, largest) if members.has(name) else None


# --- what has been drawn before --------------------------------------------------------------------------------
def read_exposure(document: Any, faults: Faults) -> list[tuple[str, list[str]]]:
    """(draw, ids of its items) in the order in which they were drawn."""
    members = Members(document, "", faults)
    members.take_choice("format", (EXPOSURE_FORMAT,))
    draws = []
    for position, value in enumerate(members.take_list("draws", 0, DRAWS_KEPT_MAX)):
        draw = Members(value, f"/draws/{position}", faults)
        items = draw.take_list("items", 0, BANK_ITEMS_MAX)
        if not all(isinstance(item, str) for item in items):
            draw.fault("items", "expected ids of items")
        draws.append((draw.take_pattern("draw", _DRAW, "64 hexadecimal digits"), items))
        draw.finish()
    members.finish()
    return draws


def show_exposure(draws: list[tuple[str, list[str]]]) -> dict[str, Any]:
    return {"format": EXPOSURE_FORMAT, "draws": [{"draw": draw, "items": items} for draw, items in draws]}
