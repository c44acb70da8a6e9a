"""A site is read whole, every fault at its pointer; its rooms know their seats and who sits beside whom."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.errors import Invalid
from engine.rules.sites import (
    NUMBERINGS,
    Layout,
    Room,
    neighbours,
    numbered_seats,
    place_of,
    read_site,
    same_machine,
    seat_order,
    show_site,
    spare_seats,
)


def site(**members: Any) -> dict[str, Any]:
    return {"name": "第一考点", "rooms": [room()], **members}


def room(**members: Any) -> dict[str, Any]:
    return {"name": "101", "machines": 30, "spares": 2, **members}


def faults(document: Any) -> list[str]:
    with pytest.raises(Invalid) as caught:
        read_site("S", document)
    assert caught.value.code == "site.invalid"
    return [fault["pointer"] for fault in caught.value.faults]


def test_a_site_is_shown_as_it_was_pushed() -> None:
    """With its capacity, and with the defaults spelled out."""
    layout = {"rows": 5, "columns": 6, "numbering": "by_row_snake"}
    document = site(address="渝中区中山四路1号", tier=200, rooms=[room(layout=layout), room(name="102", machines=40)])

    shown = show_site(read_site("S", document))

    assert shown == {
        "site_id": "S",
        **document,
        "rooms": [room(layout=layout), room(name="102", machines=40, layout=None)],
        "capacity": 70,
    }


def test_names_are_folded_as_rosters_fold_them() -> None:
    """Else a roster would name another place than the site."""
    read = read_site("S", site(name="\u3000第一\u200b考点 ", rooms=[room(name=" 101\ufeff")]))

    assert (read.name, read.rooms[0].name) == ("第一考点", "101")


@pytest.mark.parametrize(
    ("document", "at"),
    [
        ([], [""]),
        ({}, ["/name", "/rooms"]),
        (site(name=""), ["/name"]),
        (site(name=" \u3000"), ["/name"]),
        (site(name="=1+1"), ["/name"]),
        (site(name="一\n二"), ["/name"]),
        (site(name="点" * 101), ["/name"]),
        (site(name=5), ["/name"]),
        (site(colour="red"), ["/colour"]),
        (site(tier=300), ["/tier"]),
        (site(tier=True), ["/tier"]),
        (site(address=5), ["/address"]),
        (site(rooms=[]), ["/rooms"]),
        (site(rooms=[room(), room(name="102"), room(name=" 101 ")]), ["/rooms/2/name"]),
        (site(rooms=[room(machines=0, spares=-1), 5]), ["/rooms/0/machines", "/rooms/0/spares", "/rooms/1"]),
        (site(rooms=[room(machines=True)]), ["/rooms/0/machines"]),
        (site(rooms=[room(chairs=30)]), ["/rooms/0/chairs"]),
        (site(rooms=[{"name": "101"}]), ["/rooms/0/machines", "/rooms/0/spares"]),
        (site(rooms=[room(layout={"rows": 5, "columns": 5})]), ["/rooms/0/layout"]),
        (site(rooms=[room(layout={"rows": Decimal("5.0"), "columns": Decimal("5.0")})]), ["/rooms/0/layout"]),
        (site(rooms=[room(layout={"rows": 5})]), ["/rooms/0/layout/columns"]),
        (site(rooms=[room(layout={"rows": 5, "columns": 6, "numbering": "circle"})]), ["/rooms/0/layout/numbering"]),
        (site(rooms=[room(layout=[5, 6])]), ["/rooms/0/layout"]),
    ],
)
def test_every_fault_is_named_by_its_pointer(document: Any, at: list[str]) -> None:
    """All of them, also of several rooms at once."""
    found = faults(document)

    assert [pointer for pointer in found if not pointer.startswith("/rooms/1/")] == at


def test_whole_numbers_may_be_written_with_a_point() -> None:
    """5.0 is 5 in JSON's data model."""
    read = read_site("S", site(tier=Decimal("200.0"), rooms=[room(machines=Decimal("30.0"))]))

    assert (read.tier, read.rooms[0].machines) == (200, 30)


@pytest.mark.parametrize(("machines", "last"), [(1, "01"), (30, "30"), (99, "99"), (100, "100"), (1000, "1000")])
def test_seats_have_as_many_digits_as_the_last_one_needs(machines: int, last: str) -> None:
    """01 to 30; in a hall 001 to 120, so that they sort."""
    seats = numbered_seats(Room(name="101", machines=machines, spares=0))

    assert (len(seats), seats[-1]) == (machines, last)
    assert seats == sorted(seats) and seats[0] == "1".zfill(max(2, len(last)))


def test_spares_are_called_as_rosters_call_them() -> None:
    assert spare_seats(Room(name="101", machines=30, spares=2)) == ["备用1", "备用2"]


@pytest.mark.parametrize(("one", "other"), [("07", "007"), ("备用1", "备用01"), ("10", "0010")])
def test_two_spellings_name_one_machine(one: str, other: str) -> None:
    """A roster may write more zeros than a room needs."""
    assert same_machine(one) == same_machine(other)


def test_a_spare_is_not_the_machine_of_its_number() -> None:
    assert same_machine("备用1") != same_machine("01")


@pytest.mark.parametrize(
    ("numbering", "second", "seventh", "beside_first"),
    [
        ("by_row", (0, 1), (1, 0), [1, 6]),
        ("by_row_snake", (0, 1), (1, 5), [1, 11]),
        ("by_column", (1, 0), (1, 1), [1, 5]),
        ("by_column_snake", (1, 0), (3, 1), [1, 9]),
    ],
)
def test_a_layout_says_where_machines_stand(
    numbering: str, second: tuple[int, int], seventh: tuple[int, int], beside_first: list[int]
) -> None:
    """5 rows of 6: 02 is beside or behind 01, and the line after it runs on or back."""
    layout = Layout(5, 6, numbering)

    assert (place_of(layout, 0), place_of(layout, 1), place_of(layout, 6)) == ((0, 0), second, seventh)
    assert neighbours(Room(name="101", machines=30, spares=2, layout=layout))[0] == beside_first


def test_without_a_layout_neighbours_follow_from_the_numbering() -> None:
    """07 sits between 06 and 08: nothing else is known."""
    assert neighbours(Room(name="101", machines=3, spares=2)) == [[1], [0, 2], [1]]


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from(NUMBERINGS), st.data())
def test_every_machine_has_its_own_place_and_neighbours_are_mutual(
    rows: int, columns: int, numbering: str, data: st.DataObject
) -> None:
    """Whatever the numbering: one machine per place, within the room, and nobody beside somebody who is not."""
    machines = data.draw(st.integers(1, rows * columns))
    layout = Layout(rows, columns, numbering)

    places = [place_of(layout, index) for index in range(machines)]
    around = neighbours(Room(name="101", machines=machines, spares=0, layout=layout))

    assert len(set(places)) == machines
    assert all(0 <= row < rows and 0 <= column < columns for row, column in places)
    for index, beside in enumerate(around):
        assert all(index in around[other] for other in beside)
        distances = [abs(places[index][0] - places[o][0]) + abs(places[index][1] - places[o][1]) for o in beside]
        assert distances == [1] * len(beside)


def test_spares_come_behind_the_seats() -> None:
    """By number, not by letters."""
    seats = ["备用10", "100", "09", "备用2", "门口", "10"]

    assert sorted(seats, key=seat_order) == ["09", "10", "100", "备用2", "备用10", "门口"]
