"""Sites as resources: their rooms, how many machines stand in each, and which of them stand side by side.

Rosters name a site and a room in words; a site has an id of the pusher's and the `name` that rosters write.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from msgspec import Struct

from engine.rules.device import TIERS
from engine.rules.errors import Invalid
from engine.rules.limits import (
    ADDRESS_CHARACTERS_MAX,
    PLACE_CHARACTERS_MAX,
    ROOM_MACHINES_MAX,
    ROOM_SPARES_MAX,
    SITE_ROOMS_MAX,
)
from engine.rules.rostering import fold_place, text_fault
from engine.rules.shape import Faults, Members

NUMBERINGS: Final = ("by_row", "by_row_snake", "by_column", "by_column_snake")
SPARE: Final = "备用"
_TIER_SIZES: Final = tuple(tier.candidates_max for tier in TIERS)
_SEAT_DIGITS_MIN: Final = 2  # rosters write 01
_SEAT: Final = re.compile(r"(备用)?([0-9]+)", re.ASCII)


class Layout(Struct, frozen=True):
    """How a room's machines stand: `rows` from front to back, `columns` from left to right, 01 at the front left."""

    rows: int
    columns: int
    numbering: str = NUMBERINGS[0]


class Room(Struct, frozen=True, kw_only=True):
    """One machine room: `machines` are the numbered seats 01 to NN, `spares` come on top of them as 备用1, 备用2 …"""

    name: str
    machines: int
    spares: int
    layout: Layout | None = None


class Site(Struct, frozen=True, kw_only=True):
    """`tier`: how many candidates at once its line is built for, as a row of the documents' table; None: not known."""

    site_id: str
    name: str
    address: str = ""
    tier: int | None = None
    rooms: tuple[Room, ...]


def read_site(site_id: str, document: Any) -> Site:
    """Takes what `exact_json.decode` gave. Raises Invalid `site.invalid`, each fault at its pointer."""
    faults = Faults()
    members = Members(document, "", faults)
    name = _read_place(members, "name")
    address = members.take_text("address", ADDRESS_CHARACTERS_MAX, "", characters_min=0)
    tier = _read_tier(members)
    rooms: list[Room] = []
    first_at: dict[str, str] = {}
    for index, entry in enumerate(members.take_list("rooms", 1, SITE_ROOMS_MAX)):
        room = _read_room(Members(entry, f"/rooms/{index}", faults))
        first = first_at.setdefault(room.name, f"/rooms/{index}/name")
        if room.name and first != f"/rooms/{index}/name":
            faults.add(f"/rooms/{index}/name", f"the same room stands already at {first}", room.name)
        rooms.append(room)
    members.finish()
    if faults:
        raise Invalid("site.invalid", faults.listed, errors_total=faults.total)
    return Site(site_id=site_id, name=name, address=fold_place(address), tier=tier, rooms=tuple(rooms))


def show_site(site: Site) -> dict[str, Any]:
    """The site as JSON; `capacity` is what its rooms' numbered machines come to."""
    shown: dict[str, Any] = msgspec.to_builtins(site)
    return {**shown, "rooms": list(shown["rooms"]), "capacity": sum(room.machines for room in site.rooms)}


def numbered_seats(room: Room) -> list[str]:
    """01 to NN, in that order; with a hundred machines or more 001 to NNN."""
    digits = max(_SEAT_DIGITS_MIN, len(str(room.machines)))
    return [f"{number:0{digits}}" for number in range(1, room.machines + 1)]


def spare_seats(room: Room) -> list[str]:
    return [f"{SPARE}{number}" for number in range(1, room.spares + 1)]


def same_machine(seat: str) -> str:
    """`seat` in the spelling in which two names of one machine are equal: 7, 07 and 007; 备用1 and 备用01."""
    digits = seat.removeprefix(SPARE).lstrip("0")
    return f"{SPARE}{digits}" if seat.startswith(SPARE) else digits


def seat_order(seat: str) -> tuple[bool, bool, int, str]:
    """Seats by number, spares behind them, whatever else there is last."""
    matched = _SEAT.fullmatch(seat)
    return (matched is None, bool(matched and matched[1]), int(matched[2]) if matched else 0, seat)


def neighbours(room: Room) -> list[list[int]]:
    """For each numbered machine, from 0, those right beside, before and behind it.

    Without a layout all that is known is the numbering: 07 sits between 06 and 08. Where spares stand is not known.
    """
    places = [place_of(room.layout, index) for index in range(room.machines)]
    index_at = {place: index for index, place in enumerate(places)}
    around = ((0, -1), (0, 1), (-1, 0), (1, 0))
    found = (((row + down, column + right) for down, right in around) for row, column in places)
    return [sorted(index_at[place] for place in some if place in index_at) for some in found]


def place_of(layout: Layout | None, index: int) -> tuple[int, int]:
    """Row and column, from 0, of the numbered machine with this index; without a layout all stand in one row."""
    if layout is None:
        return 0, index
    is_by_row = layout.numbering.startswith("by_row")
    length = layout.columns if is_by_row else layout.rows
    line, along = divmod(index, length)
    if layout.numbering.endswith("snake") and line % 2:
        along = length - 1 - along
    return (line, along) if is_by_row else (along, line)


def _read_room(members: Members) -> Room:
    name = _read_place(members, "name")
    machines = members.take_integer("machines", 1, ROOM_MACHINES_MAX)
    spares = members.take_integer("spares", 0, ROOM_SPARES_MAX)
    layout = None
    if members.take("layout", None) is not None:
        layout = _read_layout(Members(members.members["layout"], members.at("layout"), members.faults), machines)
    members.finish()
    return Room(name=name, machines=machines, spares=spares, layout=layout)


def _read_layout(members: Members, machines: int) -> Layout:
    faults_before = members.faults.total
    rows = members.take_integer("rows", 1, ROOM_MACHINES_MAX)
    columns = members.take_integer("columns", 1, ROOM_MACHINES_MAX)
    if members.is_object and members.faults.total == faults_before and rows * columns < machines:
        message = f"expected at least {machines} places for as many machines, got {rows} x {columns}"
        members.faults.add(members.pointer, message)
    numbering = members.take_choice("numbering", NUMBERINGS, NUMBERINGS[0])
    members.finish()
    return Layout(rows, columns, numbering)


def _read_tier(members: Members) -> int | None:
    tier = members.take("tier", None)
    if tier is None or (tier in _TIER_SIZES and not isinstance(tier, bool)):
        return None if tier is None else int(tier)
    members.fault("tier", "expected one of " + ", ".join(map(str, _TIER_SIZES)) + " candidates at once")
    return None


def _read_place(members: Members, name: str) -> str:
    """A site's or room's name as a roster could write it."""
    text = members.take_text(name, PLACE_CHARACTERS_MAX)
    place = fold_place(text)
    if text and not place:
        members.fault(name, "is blank")
    elif fault := text_fault(place):
        members.fault(name, fault[1])
    return place
