"""Seats that were assigned outlive a push that leaves them open; what a push names is the pusher's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.rules.assigned_seats import AssignedSeats


def candidate(name: str = "K1", **place: str) -> dict[str, str]:
    return {"candidate_id": name, "site": "S", "room": "", "seat": "", **place}


def pushed_as(*candidates: dict[str, str]) -> Any:
    return SimpleNamespace(**{name: [each[name] for each in candidates] for name in candidate()})


def stands(**members: str) -> dict[str, Any]:
    return {"sitting_id": "one", "site": "S", "room": "101", "seat": "07", "assigned": "room_and_seat", **members}


def kept(pushed: dict[str, str], standing: dict[str, Any], *others: dict[str, str]) -> tuple[str, str]:
    assigned, roster = AssignedSeats({"K1": standing}), pushed_as(pushed, *others)
    assigned.see(roster)
    rooms, seats = assigned.keep(roster)
    assert list(zip(rooms, seats, strict=True))[1:] == [(each["room"], each["seat"]) for each in others]
    return rooms[0], seats[0]


@pytest.mark.parametrize(
    ("pushed", "standing"),
    [
        (candidate(), stands()),
        (candidate(room="101"), stands()),
        (candidate(room="101"), stands(assigned="seat")),
    ],
)
def test_an_assigned_seat_stays_while_the_push_leaves_it_open(pushed: dict[str, str], standing: dict[str, Any]) -> None:
    """The same push again changes nothing."""
    assert kept(pushed, standing) == ("101", "07")


@pytest.mark.parametrize(
    ("pushed", "standing", "now"),
    [
        (candidate(site="T"), stands(), ("", "")),
        (candidate(room="102"), stands(), ("102", "")),
        (candidate(room="102"), stands(assigned="seat"), ("102", "")),
        (candidate(), stands(assigned="seat"), ("", "")),
        (candidate(), stands(assigned=""), ("", "")),
        (candidate(room="101", seat="08"), stands(), ("101", "08")),
        (candidate(seat="08"), stands(), ("", "08")),
    ],
)
def test_a_push_that_says_otherwise_is_taken_at_its_word(
    pushed: dict[str, str], standing: dict[str, Any], now: tuple[str, str]
) -> None:
    """Another site or room, a room taken back, a seat of its own; and a seat that the pusher gave and takes away."""
    assert kept(pushed, standing) == now


def test_a_seat_that_the_push_gives_to_somebody_else_is_open_again() -> None:
    """However the push spells it; the new candidate sits there, the other waits for a seat."""
    assert kept(candidate(), stands(), candidate("K2", room="101", seat="007")) == ("", "")


def test_a_seat_that_the_push_names_itself_is_the_pushers_from_then_on() -> None:
    """Even when it is the very seat that was assigned: it is not moved again."""
    standing = {"K1": stands(), "K2": stands(sitting_id="two", seat="08"), "K3": stands(assigned="", seat="09")}
    assigned = AssignedSeats(standing)
    assigned.see(pushed_as(candidate(room="101", seat="07"), candidate("K2"), candidate("K3", room="101", seat="09")))

    assert assigned.confirmed == ["one"]


def test_a_roster_without_assigned_seats_is_left_alone() -> None:
    """Then there is nothing to look through a push for."""
    assert not AssignedSeats({"K1": stands(assigned="")})
