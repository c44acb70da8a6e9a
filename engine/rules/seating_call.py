"""Reads what a seating call asks for; every fault is listed, names that do not exist included.

Rosters have no field for an organisation, so the call brings it: each candidate's own (`organisations`), or the first
characters of the admission ticket (`ticket_prefix`), in which many authorities write the unit that registered people.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct

from engine.rules.limits import (
    ID_PATTERN,
    PLACE_CHARACTERS_MAX,
    ROOM_MACHINES_MAX,
    ROSTER_ROWS_MAX,
    SEED_CHARACTERS_MAX,
    SEQ_MAX,
    SITE_ROOMS_MAX,
    SITES_PAGE_MAX,
    TICKET_PREFIX_MAX,
)
from engine.rules.rostering import fold_place
from engine.rules.shape import Faults, Members, pointer_part, shown
from engine.rules.sites import Site

_ID_EXPECTED = "1 to 64 characters of A-Z a-z 0-9 . _ -"


class ChosenSite(Struct, frozen=True):
    site_id: str
    rooms: tuple[str, ...] | None  # None: all of them


class SeatingCall(Struct, frozen=True, kw_only=True):
    """`sites` None: every site that the roster names. `reseat`: seats that an earlier call gave are opened first."""

    seed: str | int
    sites: tuple[ChosenSite, ...] | None = None
    spares_kept: int | None = None
    organisations: Mapping[str, str] = {}
    ticket_prefix: int = 0
    reseat: bool = False

    def organisation_of(self, candidate_id: str, admission_ticket: str) -> str:
        """Empty when nothing is known; a candidate's own goes before the ticket's."""
        return self.organisations.get(candidate_id) or admission_ticket[: self.ticket_prefix]


def read_seating(document: Any, seed: str, faults: Faults) -> SeatingCall:
    """Takes what `exact_json.decode` gave; without a seed in it, it is `seed`."""
    members = Members(document, "", faults)
    call = SeatingCall(
        seed=_read_seed(members, seed),
        sites=_read_sites(members) if members.has("sites") else None,
        spares_kept=members.take_integer("spares_kept", 0, ROOM_MACHINES_MAX) if members.has("spares_kept") else None,
        organisations=_read_organisations(members),
        ticket_prefix=members.take_integer("ticket_prefix", 1, TICKET_PREFIX_MAX, 0),
        reseat=members.take_boolean("reseat", False),
    )
    members.finish()
    return call


def check_names(call: SeatingCall, sites: Sequence[Site], candidate_ids: Collection[str], faults: Faults) -> None:
    """Adds a fault for each site, room and candidate that the call names and that there is not."""
    known = {site.site_id: site for site in sites}
    for index, chosen in enumerate(call.sites or ()):
        site = known.get(chosen.site_id)
        if site is None:
            faults.add(f"/sites/{index}/site_id", "there is no such site", chosen.site_id)
            continue
        names = {room.name for room in site.rooms}
        for at, room in enumerate(chosen.rooms or ()):
            if room not in names:
                faults.add(f"/sites/{index}/rooms/{at}", f"site {chosen.site_id!r} has no such room", room)
    for candidate_id in call.organisations:
        if candidate_id not in candidate_ids:
            faults.add(
                f"/organisations/{pointer_part(shown(candidate_id))}", "the roster has no such candidate", candidate_id
            )


def rooms_chosen(call: SeatingCall, sites: Sequence[Site]) -> dict[str, frozenset[str]] | None:
    """Site name -> rooms that may be filled; None for all."""
    if call.sites is None:
        return None
    known = {site.site_id: site for site in sites}
    return {
        known[chosen.site_id].name: frozenset(
            [room.name for room in known[chosen.site_id].rooms] if chosen.rooms is None else chosen.rooms
        )
        for chosen in call.sites
    }


def _read_seed(members: Members, default: str) -> str | int:
    seed = members.take("seed", default)
    is_number = isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed <= SEQ_MAX
    is_text = isinstance(seed, str) and 1 <= len(seed) <= SEED_CHARACTERS_MAX and seed.isprintable()
    if is_number or is_text:
        return seed  # type: ignore[no-any-return]
    members.fault("seed", f"expected 1 to {SEED_CHARACTERS_MAX} printable characters, or an integer up to 2^53-1")
    return default


def _read_sites(members: Members) -> tuple[ChosenSite, ...]:
    chosen: list[ChosenSite] = []
    for index, entry in enumerate(members.take_list("sites", 1, SITES_PAGE_MAX)):
        site = Members(entry, f"{members.at('sites')}/{index}", members.faults)
        site_id = site.take_pattern("site_id", ID_PATTERN, _ID_EXPECTED)
        rooms = _read_rooms(site) if site.has("rooms") else None
        site.finish()
        if site_id and any(site_id == other.site_id for other in chosen):
            site.fault("site_id", "the same site stands already in this list")
        elif site_id:
            chosen.append(ChosenSite(site_id, rooms))
    return tuple(chosen)


def _read_rooms(site: Members) -> tuple[str, ...]:
    rooms: list[str] = []
    for index, entry in enumerate(site.take_list("rooms", 1, SITE_ROOMS_MAX)):
        if not isinstance(entry, str) or not 1 <= len(entry) <= PLACE_CHARACTERS_MAX or "\0" in entry:
            site.faults.add(f"{site.at('rooms')}/{index}", "expected a room's name", entry)
            continue
        rooms.append(fold_place(entry))
    return tuple(rooms)


def _read_organisations(members: Members) -> dict[str, str]:
    given = members.take("organisations", {})
    if not isinstance(given, dict) or len(given) > ROSTER_ROWS_MAX:
        members.fault("organisations", f"expected an object of at most {ROSTER_ROWS_MAX} candidates")
        return {}
    found: dict[str, str] = {}
    organisations = Members(given, members.at("organisations"), members.faults)
    for candidate_id in given:
        found[candidate_id] = fold_place(organisations.take_text(candidate_id, PLACE_CHARACTERS_MAX))
    return found
