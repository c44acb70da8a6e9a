"""Draws papers from an item bank by a blueprint: reproducible by a seed, with as little in common as can be.

Promise: the same bank, blueprint, seed, number of forms and history give the same papers, in any language that follows
`ops/forms.md`. If the blueprint can be met at all, it is; the forms then share as few items as any choice of items
could share (every pair of forms counted), and each row's items are drawn by lot among those that allow it.
How: first, how often each unit is used for which row, over all forms: units are taken in the order of a lottery, first
each at most once, then twice, and so on, each time moving others to other rows where that makes room (augmenting
paths). Each use beyond the first makes pairs of forms share it, and that never happens where an unused unit could have
been taken instead. Then the uses are dealt out: in each form a unit at most once and every row exactly what it asks.
That this second step never fails is Koenig's theorem on edge colouring, in de Werra's balanced form.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from engine.rules import exact_json
from engine.rules.bank import Bank, Blueprint, Row, Unit
from engine.rules.media import IMAGE_PATTERN

_DOMAIN = "liankao/draw-1"


class TooFew(Exception):
    """The bank cannot give what the blueprint asks; one line per set of rows that cannot be filled together."""


class Drawn(Struct, frozen=True):
    """The papers of one draw, ready to be pushed, and what is known of it."""

    papers: list[dict[str, Any]]
    items: list[str]  # ids of all that were drawn, sorted
    shared: int  # pairs of forms that have an item in common, counted item by item


def draw_id(bank: Bank, blueprint: Blueprint, seed: str, forms: int) -> str:
    """What makes two draws the same draw."""
    return exact_json.digest([_DOMAIN, bank.digest, blueprint.digest, seed, forms])


def draw(bank: Bank, blueprint: Blueprint, seed: str, forms: int, uses: Mapping[str, int]) -> Drawn:
    """`uses`: in how many earlier draws an item was. Raises TooFew."""
    rows = blueprint.rows
    allowed = [unit for unit in bank.units if blueprint.max_uses is None or _uses(unit, uses) < blueprint.max_uses]
    fitting = {unit.id: [at for at, row in enumerate(rows) if row.takes(unit)] for unit in allowed}
    most = min(forms, blueprint.max_forms or forms)
    picked = _Filling({unit_id: at for unit_id, at in fitting.items() if at}, [forms * row.count for row in rows])
    for level in range(1, most + 1):
        if picked.take(_by_lot(seed, f"pick|{level}", picked.fitting)):
            break
    else:
        raise TooFew("\n".join(_lacking(bank, rows, picked, most, forms)))
    dealt = _deal(picked, [row.count for row in rows], seed, forms)
    units = {unit.id: unit for unit in allowed}
    papers = [_paper(bank, blueprint, [[units[unit_id] for unit_id in row] for row in form]) for form in dealt]
    used = Counter(item["id"] for form in dealt for row in form for unit_id in row for item in units[unit_id].items)
    return Drawn(papers, sorted(used), sum(times * (times - 1) // 2 for times in used.values()))


# --- which unit for which row ----------------------------------------------------------------------------------
class _Filling:
    """Units in rows: `held[row]` says how often each unit is used for it; no row holds more than `wanted` of it."""

    def __init__(self, fitting: Mapping[str, Sequence[int]], wanted: Sequence[int]) -> None:
        self.fitting = fitting
        self.wanted = wanted
        self.held: list[Counter[str]] = [Counter() for _ in wanted]
        self._shut: set[int] = set()  # full rows that nothing can be moved out of any more

    @property
    def lacking(self) -> list[int]:
        return [row for row, wanted in enumerate(self.wanted) if self.held[row].total() < wanted]

    def take(self, order: Sequence[str]) -> bool:
        """Use each unit once more where that can be; True when every row has what it wants."""
        left = sum(self.wanted) - sum(held.total() for held in self.held)
        rank = {unit: place for place, unit in enumerate(order)}
        for unit in order:
            if left == 0:
                break
            left -= self._add(unit, rank)
        return left == 0

    def _add(self, unit: str, rank: Mapping[str, int]) -> bool:
        """Breadth first: into a row with room, or into a full one out of which another moves, and so on."""
        reached: dict[int, tuple[int, str]] = {}  # row -> (row before it on the way, who moves from there)
        queue = [row for row in self.fitting[unit] if row not in self._shut]
        seen = set(queue)
        for row in queue:
            if self.held[row].total() < self.wanted[row]:
                self._move(unit, row, reached)
                return True
            for other in sorted(self.held[row], key=rank.__getitem__):
                for further in self.fitting[other]:
                    if further not in seen and further not in self._shut:
                        seen.add(further)
                        reached[further] = (row, other)
                        queue.append(further)
        self._shut |= seen
        return False

    def _move(self, unit: str, row: int, reached: Mapping[int, tuple[int, str]]) -> None:
        while row in reached:
            before, mover = reached[row]
            self.held[row][mover] += 1
            self.held[before] -= Counter([mover])
            row = before
        self.held[row][unit] += 1

    def rivals(self, row: int) -> set[int]:
        """The rows that, with this one, use up every unit that fits any of them."""
        queue = [row]
        for each in queue:
            for unit, fitting in self.fitting.items():
                if each in fitting:
                    queue += [other for other in range(len(self.held)) if self.held[other][unit] and other not in queue]
        return set(queue)


def _deal(picked: _Filling, counts: Sequence[int], seed: str, forms: int) -> list[list[list[str]]]:
    """Form -> row -> its units, in the order of the form's own lottery."""
    left = [Counter(held) for held in picked.held]
    dealt = []
    for form in range(forms):
        fitting: dict[str, list[int]] = {}
        for row, held in enumerate(left):
            for unit in held:
                fitting.setdefault(unit, []).append(row)
        order = _by_lot(seed, f"form|{form + 1}", fitting)
        # Who is still to be used in every form that is left comes first: it must be in this one.
        due = [unit for unit in order if sum(held[unit] for held in left) == forms - form]
        filling = _Filling(fitting, counts)
        is_whole = filling.take([*due, *(unit for unit in order if unit not in set(due))])
        assert is_whole, "every form gets its share of every row"
        rank = {unit: place for place, unit in enumerate(order)}
        dealt.append([sorted(held, key=rank.__getitem__) for held in filling.held])
        for row, held in enumerate(filling.held):
            left[row] -= held
    return dealt


def _by_lot(seed: str, stage: str, units: Mapping[str, Any]) -> list[str]:
    """Ascending by SHA-256 of domain, seed, stage and id, joined by `|`, in UTF-8."""
    return sorted(units, key=lambda unit: hashlib.sha256(f"{_DOMAIN}|{seed}|{stage}|{unit}".encode()).digest())


def _uses(unit: Unit, uses: Mapping[str, int]) -> int:
    return max(uses.get(item["id"], 0) for item in unit.items)


def _lacking(bank: Bank, rows: Sequence[Row], picked: _Filling, most: int, forms: int) -> list[str]:
    told: list[str] = []
    known: set[int] = set()
    for row in picked.lacking:
        if row in known:
            continue
        together = sorted(picked.rivals(row))
        known |= set(together)
        fit = {unit.id for unit in bank.units if any(rows[at].takes(unit) for at in together)}
        available = len(fit & picked.fitting.keys())
        wanted = sum(rows[at].count for at in together)
        named = " and ".join(str(rows[at]) for at in together)
        worn = f" ({len(fit) - available} more were drawn too often)" if available < len(fit) else ""
        verb = "wants" if len(together) == 1 else "together want"
        each, often = "", ""
        if forms > 1:
            each, often = f" in each of {forms} forms", f", each for at most {most} of them"
        told.append(f"{named} {verb} {wanted}{each}; available are {available}{worn}{often}")
    return told


# --- the papers ------------------------------------------------------------------------------------------------
def _paper(bank: Bank, blueprint: Blueprint, form: Sequence[Sequence[Unit]]) -> dict[str, Any]:
    """A question set as `PUT /v1/papers` takes it, with the media that its texts show."""
    sections = []
    for section in blueprint.sections:
        here = [(row, units) for row, units in zip(blueprint.rows, form, strict=True) if row.section == section["id"]]
        items = [_worth(item, row.points) for row, units in here for unit in units for item in unit.items]
        groups = [unit.group for _, units in here for unit in units if unit.group is not None]
        sections.append({**section, "items": items, **({"groups": groups} if groups else {})})
    shown = {name for section in sections for name in _images(section)}
    media = {name: content for name, content in bank.media.items() if name in shown}
    return {"title": blueprint.title, "sections": sections, **({"media": media} if media else {})}


def _worth(item: dict[str, Any], points: Decimal | None) -> dict[str, Any]:
    return item if points is None else {**item, "points": points}


def _images(section: Mapping[str, Any]) -> list[str]:
    texts = [group["stem"] for group in section.get("groups", ())]
    for item in section["items"]:
        texts += [item["stem"], *(option["text"] for option in item.get("options", ()))]
    return [name for text in texts for name in IMAGE_PATTERN.findall(text)]
