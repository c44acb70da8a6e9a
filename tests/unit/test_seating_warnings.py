"""What is odd about where a batch sits is told, room by room, and refuses nothing."""

from __future__ import annotations

from engine.rules.seating_warnings import Sitter, warnings_of
from engine.rules.sites import Room, Site

SITE = Site(site_id="S1", name="S", tier=200, rooms=(Room(name="101", machines=3, spares=1),))


def sitters(*seats: str, room: str = "101", batch_id: str = "") -> list[Sitter]:
    return [Sitter(site="S", room=room, seat=seat, batch_id=batch_id) for seat in seats]


def codes(ours: list[Sitter], others: list[Sitter] | None = None) -> list[str]:
    found = warnings_of([SITE], ours, others or [])
    assert all(each["message"] and each["site"] == "S" for each in found)
    return [each["code"] for each in found]


def test_a_room_that_holds_everybody_is_no_news() -> None:
    assert codes(sitters("01", "002", "备用1")) == []


def test_more_candidates_than_machines_are_told() -> None:
    """Others at the same time count, and so does who has a room but no seat yet."""
    assert codes(sitters("01", "02", "", "")) == ["room.over_capacity"]
    assert codes(sitters("01", "02"), sitters("03", "备用1", batch_id="B2")) == ["room.over_capacity"]


def test_a_seat_that_is_no_machine_is_told() -> None:
    assert codes(sitters("04", "备用2")) == ["seat.unknown"]


def test_a_seat_of_another_batch_at_the_same_time_is_told() -> None:
    """Naming the other batch, however either spells the seat."""
    found = warnings_of([SITE], sitters("01"), sitters("001", batch_id="B2"))

    assert [each["code"] for each in found] == ["seat.shared"] and "B2" in found[0]["message"]


def test_a_room_that_the_site_lacks_is_told() -> None:
    assert codes(sitters("01", room="999")) == ["room.unknown"]


def test_more_candidates_than_the_line_is_built_for_are_told() -> None:
    """At the site as a whole: no room is named."""
    found = warnings_of([SITE], sitters(*[""] * 201, room=""), [])

    assert [(each["code"], "room" in each) for each in found] == [("site.over_tier", False)]


def test_places_of_no_known_site_are_nobodys_business() -> None:
    """Only who pushes sites is warned."""
    assert warnings_of([], sitters("99"), []) == []
