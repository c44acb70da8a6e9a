"""Plans seats: who of a batch's candidates without a seat gets which machine of their site.

Promise: nobody is moved who has a seat, no machine gets two, no more machines are used than a room has, and as many
stay free as were asked for. Neighbours of one organisation or with the same paper are kept apart where a room allows
it. The plan depends on the seed and on what is given, never on its order.
How: rooms are filled in the order of their site; into which room somebody comes, and beside whom, follows from SHA-256
of seed and candidate, mixed so that each room gets its share of every organisation (`room_placing.py` does the rest).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from engine.rules.room_placing import Kind, is_same_organisation, is_same_paper, place_kinds
from engine.rules.sites import Room, Site, neighbours, numbered_seats, same_machine, spare_seats

REASONS = (
    "site.unknown",
    "site.left_out",
    "site.full",
    "room.missing",
    "room.unknown",
    "room.left_out",
    "room.full",
)


class Unseated(Struct, frozen=True, kw_only=True):
    """A candidate of the batch whose seat is open; `room` may be given already."""

    candidate_id: str
    site: str
    room: str
    kind: Kind


class Seated(Struct, frozen=True, kw_only=True):
    """Somebody who sits there at that time already; `is_ours`: in the batch that is being seated."""

    site: str
    room: str
    seat: str
    kind: Kind
    is_ours: bool


class Assigned(Struct, frozen=True, kw_only=True):
    candidate_id: str
    site: str
    room: str
    seat: str


class Unassigned(Struct, frozen=True, kw_only=True):
    """Who got no seat, and why (`code`, one of REASONS)."""

    candidate_id: str
    site: str
    room: str
    code: str
    message: str


class RoomUse(Struct, frozen=True, kw_only=True):
    """A room as it will be: `taken` by those who had a seat, and pairs of neighbours of which at least one is ours."""

    site: str
    room: str
    machines: int
    spares: int
    taken: int
    assigned: int
    free: int
    neighbours: int
    same_organisation: int
    same_paper: int


class Plan(Struct, frozen=True):
    assigned: list[Assigned]
    unassigned: list[Unassigned]
    rooms: list[RoomUse]


class _Hall:
    """One room while it is being planned."""

    def __init__(self, site: str, room: Room, seated: Sequence[Seated], spares_kept: int | None, is_used: bool) -> None:
        self.site = site
        self.room = room
        self.names = numbered_seats(room)
        index_of = {same_machine(name): index for index, name in enumerate(self.names)}
        in_order = sorted(seated, key=lambda each: (each.is_ours, each.kind))  # of two on one seat ours is looked at
        taken = {same_machine(each.seat): each for each in in_order}
        self.taken = {index_of[seat]: each for seat, each in taken.items() if seat in index_of}
        self.seated = len(seated)
        self.free = [index for index in range(room.machines) if index not in self.taken]
        self.free_spares = [seat for seat in spare_seats(room) if same_machine(seat) not in taken]
        kept = len(self.free_spares) if spares_kept is None else spares_kept
        self.is_used = is_used
        self.usable = max(0, len(self.free) + len(self.free_spares) - kept) if is_used else 0
        self.guests: list[Unseated] = []

    @property
    def places_left(self) -> int:
        return self.usable - len(self.guests)

    @property
    def numbered_left(self) -> int:
        """Of these the numbered machines."""
        return max(0, min(self.usable, len(self.free)) - len(self.guests))

    @property
    def kept_free(self) -> int:
        """Machines of a room that is used which stay free because that was asked for."""
        return len(self.free) + len(self.free_spares) - self.usable if self.is_used else 0


def plan_seats(
    sites: Sequence[Site],
    chosen: Mapping[str, frozenset[str]] | None,
    unseated: Iterable[Unseated],
    seated: Iterable[Seated],
    seed: str,
    spares_kept: int | None,
) -> Plan:
    """The plan for one batch.

    `chosen`: site name -> rooms that may be filled; None for all. `spares_kept`: machines that stay free in each room;
    None for all its spares. Numbered machines of a site are used before its spares.
    """
    by_site: dict[str, list[Unseated]] = defaultdict(list)
    for each in unseated:
        by_site[each.site].append(each)
    sitting: dict[tuple[str, str], list[Seated]] = defaultdict(list)
    for one in seated:
        sitting[one.site, one.room].append(one)
    plan = Plan([], [], [])
    known = {site.name: site for site in sites}
    for name in sorted({*by_site, *known}):
        if name not in known:
            told = "there is no site of this name among the sites pushed"
            plan.unassigned.extend(_refused(each, "site.unknown", told) for each in by_site[name])
            continue
        rooms = known[name].rooms
        used = {room.name for room in rooms} if chosen is None else chosen.get(name, frozenset())
        halls = [_Hall(name, room, sitting[name, room.name], spares_kept, room.name in used) for room in rooms]
        guests = sorted(by_site[name], key=lambda each: _lot(seed, each.candidate_id))
        plan.unassigned.extend(_allot(halls, guests, seed, is_chosen=chosen is None or name in chosen, used=used))
        for hall in halls:
            _seat(hall, seed, plan)
    return plan


def _lot(seed: str, text: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{text}".encode()).digest()


def _refused(each: Unseated, code: str, message: str) -> Unassigned:
    return Unassigned(candidate_id=each.candidate_id, site=each.site, room=each.room, code=code, message=message)


def _allot(
    halls: Sequence[_Hall], guests: Sequence[Unseated], seed: str, *, is_chosen: bool, used: Iterable[str]
) -> list[Unassigned]:
    """Rooms for `guests`, who come in the order of their lots; those whose room is given already come first."""
    if not is_chosen:
        return [_refused(each, "site.left_out", "the call does not name this site") for each in guests]
    refused: list[Unassigned] = []
    hall_of = {hall.room.name: hall for hall in halls}
    for each in guests:
        if not each.room:
            continue
        hall = hall_of.get(each.room)
        if hall is None:
            refused.append(_refused(each, "room.unknown", "the site has no room of this name"))
        elif hall.room.name not in used:
            refused.append(_refused(each, "room.left_out", "the call does not name this room"))
        elif not hall.places_left:
            told = f"all {hall.usable} machines that may be used are taken" if hall.usable else _why_full(hall)
            refused.append(_refused(each, "room.full", told))
        else:
            hall.guests.append(each)
    waiting = _mixed([each for each in guests if not each.room], seed)
    for with_spares in (False, True):  # nobody gets a spare while a numbered machine of the site is free
        for hall in halls:
            count = hall.places_left if with_spares else hall.numbered_left
            hall.guests.extend(waiting[:count])
            waiting = waiting[count:]
    told = "no room of the site that may be used has a machine left"
    if kept := sum(hall.kept_free for hall in halls):
        told += f": {kept} are kept free, and whoever needs one is given it by the roster or by `spares_kept`"
    return refused + [_refused(each, "site.full", told) for each in waiting]


def _why_full(hall: _Hall) -> str:
    return f"{hall.seated} of {hall.room.machines} machines are taken, the rest is kept free"


def _mixed(guests: Sequence[Unseated], seed: str) -> list[Unseated]:
    """The same people, so that every run of them holds about its share of each paper, and of each organisation."""
    by_paper: dict[str, list[Unseated]] = defaultdict(list)
    for each in _spread(guests, lambda each: each.kind.organisation, seed):
        by_paper[each.kind.paper].append(each)
    return _spread([each for some in by_paper.values() for each in some], lambda each: each.kind.paper, seed)


def _spread(people: Sequence[Unseated], group_of: Callable[[Unseated], str], seed: str) -> list[Unseated]:
    """Each group in the order in which it comes, spread evenly over the whole."""
    groups: dict[str, list[Unseated]] = defaultdict(list)
    for each in people:
        groups[group_of(each)].append(each)
    ordered: list[tuple[float, bytes, Unseated]] = []
    for name, some in groups.items():
        lot = _lot(seed, name)
        shift = int.from_bytes(lot[:4], "big") / 2**32
        ordered.extend(((at + shift) / len(some), lot, each) for at, each in enumerate(some))
    return [each for *_, each in sorted(ordered, key=lambda entry: entry[:2])]


def _seat(hall: _Hall, seed: str, plan: Plan) -> None:
    """Seats for the hall's guests, and what becomes of the room."""
    around = neighbours(hall.room)
    by_kind: dict[Kind, list[Unseated]] = defaultdict(list)
    for each in hall.guests:
        by_kind[each.kind].append(each)
    wanted = {
        kind: len(by_kind[kind])
        for kind in sorted(by_kind, key=lambda kind: _lot(seed, kind.organisation + kind.paper))
    }
    taken = {index: each.kind for index, each in hall.taken.items()}
    placed = place_kinds(around, taken, hall.free, wanted) if hall.guests else {}
    for some in by_kind.values():
        some.sort(key=lambda each: _lot(seed, f"{each.candidate_id}\0{hall.room.name}"))
    for index, kind in placed.items():
        plan.assigned.append(_assigned(hall, by_kind[kind].pop(), hall.names[index]))
    left = [each for kind in wanted for each in by_kind[kind]]
    plan.assigned.extend(_assigned(hall, each, seat) for each, seat in zip(left, hall.free_spares, strict=False))
    ours = {*placed, *(index for index, each in hall.taken.items() if each.is_ours)}
    if ours or left or hall.seated:
        plan.rooms.append(_use(hall, around, {**taken, **placed}, ours))


def _assigned(hall: _Hall, each: Unseated, seat: str) -> Assigned:
    return Assigned(candidate_id=each.candidate_id, site=hall.site, room=hall.room.name, seat=seat)


def _use(hall: _Hall, around: Sequence[Sequence[int]], kinds: Mapping[int, Kind], ours: Iterable[int]) -> RoomUse:
    pairs = {tuple(sorted((one, other))) for one in ours for other in around[one] if other in kinds}
    counted = Counter[str]()
    for one, other in pairs:
        counted["organisation"] += is_same_organisation(kinds[one], kinds[other])
        counted["paper"] += is_same_paper(kinds[one], kinds[other])
    room = hall.room
    return RoomUse(
        site=hall.site,
        room=room.name,
        machines=room.machines,
        spares=room.spares,
        taken=hall.seated,
        assigned=len(hall.guests),
        free=len(hall.free) + len(hall.free_spares) - len(hall.guests),
        neighbours=len(pairs),
        same_organisation=counted["organisation"],
        same_paper=counted["paper"],
    )
