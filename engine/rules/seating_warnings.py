"""What is odd about where a batch sits, as warnings: too many for a room, seats that are no machines, seats used twice.

None of it refuses anything: a roster is the pusher's word, and a site may have grown since it was pushed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from engine.rules.sites import Room, Site, numbered_seats, same_machine, spare_seats


class Sitter(Struct, frozen=True, kw_only=True):
    """One candidate as they sit, or will; `batch_id` empty for one of the batch looked at."""

    site: str
    room: str
    seat: str
    batch_id: str = ""


def warnings_of(sites: Sequence[Site], ours: Sequence[Sitter], others: Sequence[Sitter]) -> list[dict[str, Any]]:
    """Each {code, message, site, room?}, in the order of sites and rooms; `others` sit there at the same time."""
    by_room: dict[tuple[str, str], list[Sitter]] = defaultdict(list)
    theirs: dict[tuple[str, str], list[Sitter]] = defaultdict(list)
    for sitter in ours:
        by_room[sitter.site, sitter.room].append(sitter)
    for sitter in others:
        theirs[sitter.site, sitter.room].append(sitter)
    at_site = Counter(sitter.site for sitter in (*ours, *others))
    found: list[dict[str, Any]] = []
    for site in sorted(sites, key=lambda site: site.name):
        if site.tier is not None and at_site[site.name] > site.tier:
            told = f"{at_site[site.name]} candidates at once, the site's line is built for {site.tier}"
            found.append({"code": "site.over_tier", "message": told, "site": site.name})
        rooms = {room.name: room for room in site.rooms}
        for name in sorted({room for at, room in by_room if at == site.name and room}):
            some = by_room[site.name, name]
            told_of = _room_warnings(rooms.get(name), some, theirs[site.name, name])
            found += [{"code": code, "message": message, "site": site.name, "room": name} for code, message in told_of]
    return found


def _room_warnings(room: Room | None, ours: Sequence[Sitter], others: Sequence[Sitter]) -> list[tuple[str, str]]:
    if room is None:
        return [("room.unknown", f"the site has no room of this name; {len(ours)} candidates are to sit there")]
    found: list[tuple[str, str]] = []
    total = len(ours) + len(others)
    if total > room.machines:
        told = f"{total} candidates at once, the room has {room.machines} machines and {room.spares} spares"
        found.append(("room.over_capacity", told))
    machines = {same_machine(seat) for seat in (*numbered_seats(room), *spare_seats(room))}
    strange = sorted({sitter.seat for sitter in ours if sitter.seat and same_machine(sitter.seat) not in machines})
    if strange:
        told = f"{len(strange)} seats are no machines of the room, the first is {strange[0]!r}"
        found.append(("seat.unknown", told))
    batch_at = {same_machine(sitter.seat): sitter.batch_id for sitter in others if sitter.seat}
    shared = sorted({sitter.seat for sitter in ours if sitter.seat and same_machine(sitter.seat) in batch_at})
    if shared:
        told = (
            f"{len(shared)} seats are also those of candidates of other batches at the same time, the first is "
            f"{shared[0]!r} of batch {batch_at[same_machine(shared[0])]!r}"
        )
        found.append(("seat.shared", told))
    return found
