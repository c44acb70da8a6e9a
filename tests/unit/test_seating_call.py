"""A seating call is read whole, names that do not exist included."""

from __future__ import annotations

from typing import Any

import pytest

from engine.rules.seating_call import check_names, read_seating, rooms_chosen
from engine.rules.shape import Faults
from engine.rules.sites import Room, Site

ROOMS = (Room(name="101", machines=30, spares=2), Room(name="102", machines=30, spares=2))
SITES = [Site(site_id="S1", name="第一考点", rooms=ROOMS), Site(site_id="S2", name="第二考点", rooms=ROOMS)]


def pointers(document: Any) -> list[str]:
    faults = Faults()
    check_names(read_seating(document, "B1", faults), SITES, {"K1", "K2"}, faults)
    assert all(fault["message"] for fault in faults.listed)
    return [fault["pointer"] for fault in faults.listed]


def test_an_empty_call_has_its_defaults() -> None:
    """The batch's id is the seed, so that a preview and the call after it agree."""
    call = read_seating({}, "B1", Faults())

    assert (call.seed, call.sites, call.spares_kept, call.ticket_prefix, call.reseat) == ("B1", None, None, 0, False)
    assert rooms_chosen(call, SITES) is None


def test_a_full_call_is_read() -> None:
    faults = Faults()
    call = read_seating(
        {
            "seed": 7,
            "sites": [{"site_id": "S1", "rooms": [" 101 "]}, {"site_id": "S2"}],
            "spares_kept": 0,
            "organisations": {"K1": "某公司"},
            "ticket_prefix": 4,
            "reseat": True,
        },
        "B1",
        faults,
    )
    check_names(call, SITES, {"K1", "K2"}, faults)

    assert faults.listed == []
    assert (call.seed, call.spares_kept, call.reseat) == (7, 0, True)
    assert rooms_chosen(call, SITES) == {"第一考点": {"101"}, "第二考点": {"101", "102"}}
    assert call.organisation_of("K1", "20260001") == "某公司"
    assert call.organisation_of("K2", "20260001") == "2026"


@pytest.mark.parametrize(
    ("document", "at"),
    [
        ([], [""]),
        ({"seeds": 1}, ["/seeds"]),
        ({"seed": ""}, ["/seed"]),
        ({"seed": True}, ["/seed"]),
        ({"seed": -1}, ["/seed"]),
        ({"seed": "x" * 65}, ["/seed"]),
        ({"seed": "a\nb"}, ["/seed"]),
        ({"spares_kept": -1}, ["/spares_kept"]),
        ({"spares_kept": None}, ["/spares_kept"]),
        ({"ticket_prefix": 0}, ["/ticket_prefix"]),
        ({"reseat": 1}, ["/reseat"]),
        ({"sites": []}, ["/sites"]),
        ({"sites": {}}, ["/sites"]),
        ({"sites": ["S1"]}, ["/sites/0"]),
        ({"sites": [{"site_id": "S1", "seats": 3}]}, ["/sites/0/seats"]),
        ({"sites": [{"site_id": "nowhere"}]}, ["/sites/0/site_id"]),
        ({"sites": [{"site_id": "S1"}, {"site_id": "S1"}]}, ["/sites/1/site_id"]),
        ({"sites": [{"site_id": "S1", "rooms": []}]}, ["/sites/0/rooms"]),
        ({"sites": [{"site_id": "S1", "rooms": ["101", "999", 5]}]}, ["/sites/0/rooms/2", "/sites/0/rooms/1"]),
        ({"organisations": []}, ["/organisations"]),
        ({"organisations": {"K1": ""}}, ["/organisations/K1"]),
        ({"organisations": {"K1": 5, "a/b": "某公司"}}, ["/organisations/K1", "/organisations/a~1b"]),
        ({"seed": None, "sites": [{"site_id": "X"}], "more": 1}, ["/seed", "/more", "/sites/0/site_id"]),
    ],
)
def test_every_fault_is_named_by_its_pointer(document: Any, at: list[str]) -> None:
    """Shape and names together, so that one answer tells all."""
    assert pointers(document) == at
