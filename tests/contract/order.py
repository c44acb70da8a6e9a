"""The order in which a candidate sees a paper, computed from what `schema/sealed-paper.md` says of it alone.

A second time, so that neither the page nor the published vectors are asked whether they are right themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any


def arranged(seed: bytes, list_id: str, things: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """`things`, of which the fixed ones stay where they are, in the order of the list named `list_id`."""
    head = seed + b"\0" + list_id.encode() + b"\0"
    free = [place for place, thing in enumerate(things) if not thing.get("fixed", False)]
    by_rank = sorted(free, key=lambda place: hashlib.sha256(head + things[place]["id"].encode()).digest())
    found = list(things)
    for place, origin in zip(free, by_rank, strict=True):
        found[place] = things[origin]
    return found


def shown_items(seed: bytes, section: dict[str, Any]) -> list[str]:
    """Ids of a section's items as shown where items are shuffled."""
    items = {item["id"]: item for item in section["items"]}
    groups = section.get("groups", [])
    followers = {item_id for group in groups for item_id in group["items"][1:]}
    group_by_first = {group["items"][0]: group for group in groups}
    units = [group_by_first.get(item_id, item) for item_id, item in items.items() if item_id not in followers]
    shown: list[str] = []
    for unit in arranged(seed, section["id"], units):
        members = [items[item_id] for item_id in unit["items"]] if "items" in unit else [unit]
        if unit.get("shuffle", False):
            members = arranged(seed, unit["id"], members)
        shown += [member["id"] for member in members]
    return shown


def shown_options(seed: bytes, item: dict[str, Any]) -> list[str]:
    """Ids of an item's options as shown where options are shuffled."""
    return [option["id"] for option in arranged(seed, item["id"], item.get("options", []))]


def shown_paper(seed: bytes, paper: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Every item with its options, where both are shuffled."""
    items = {item["id"]: item for section in paper["sections"] for item in section["items"]}
    ids = [item_id for section in paper["sections"] for item_id in shown_items(seed, section)]
    return [(item_id, shown_options(seed, items[item_id])) for item_id in ids]
