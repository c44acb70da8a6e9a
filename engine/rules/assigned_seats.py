"""Seats that the engine assigned outlive a push of the same roster, in which they are still open.

Else the pusher's repeating itself, which must change nothing, would take every seat away again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from engine.rules.sites import same_machine


class Places(Protocol):
    """A piece of a pushed roster, by columns."""

    @property
    def candidate_id(self) -> Sequence[str]: ...
    @property
    def site(self) -> Sequence[str]: ...
    @property
    def room(self) -> Sequence[str]: ...
    @property
    def seat(self) -> Sequence[str]: ...


class AssignedSeats:
    """The assigned seats of a standing roster, while another push of it is taken: `see` all of it, then `keep`.

    `standing`: candidate_id -> {sitting_id, site, room, seat, assigned, …}. False when nothing was assigned.
    """

    def __init__(self, standing: Mapping[str, Mapping[str, Any]]) -> None:
        self._assigned = {candidate_id: row for candidate_id, row in standing.items() if row["assigned"]}
        self._given: set[tuple[str, str, str]] = set()
        self.confirmed: list[str] = []  # sittings whose assigned seat the push names itself: it is the pusher's now

    def __bool__(self) -> bool:
        return bool(self._assigned)

    def see(self, pushed: Places) -> None:
        """Note which seats the push gives itself."""
        rows = zip(pushed.candidate_id, pushed.site, pushed.room, pushed.seat, strict=True)
        for candidate_id, site, room, seat in rows:
            if seat:
                self._given.add((site, room, same_machine(seat)))
                if candidate_id in self._assigned:
                    self.confirmed.append(self._assigned[candidate_id]["sitting_id"])

    def keep(self, pushed: Places) -> tuple[list[str], list[str]]:
        """Its rooms and seats, with those that were assigned where it leaves them open.

        Another site or room in the push, or somebody whom it puts on that very machine, opens the seat again.
        """
        rooms, seats = list(pushed.room), list(pushed.seat)
        for place, candidate_id in enumerate(pushed.candidate_id):
            stands = self._assigned.get(candidate_id)
            if stands and not seats[place] and self._is_kept(pushed.site[place], rooms[place], stands):
                rooms[place], seats[place] = stands["room"], stands["seat"]
        return rooms, seats

    def _is_kept(self, site: str, room: str, stands: Mapping[str, Any]) -> bool:
        if site != stands["site"] or (site, stands["room"], same_machine(stands["seat"])) in self._given:
            return False
        return room == stands["room"] or (not room and stands["assigned"] == "room_and_seat")
