"""Seating plans: nobody is moved, no machine gets two, capacity and spares hold, and the seed decides."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules.room_placing import Kind, place_kinds
from engine.rules.seating import Plan, Seated, Unseated, plan_seats
from engine.rules.sites import Layout, Room, Site, neighbours, numbered_seats, same_machine, spare_seats

SITE = "第一考点"


def room(name: str = "101", machines: int = 30, spares: int = 2, layout: Layout | None = None) -> Room:
    return Room(name=name, machines=machines, spares=spares, layout=layout)


def site(*rooms: Room, name: str = SITE) -> Site:
    return Site(site_id=f"S-{name}", name=name, rooms=rooms)


def people(count: int, organisation: str = "", *, paper: str = "P", prefix: str = "K", **place: str) -> list[Unseated]:
    given_place = {"site": SITE, "room": "", **place}
    kind = Kind(organisation, paper)
    return [Unseated(candidate_id=f"{prefix}{organisation}{at}", kind=kind, **given_place) for at in range(count)]


def sits(seat: str, *, organisation: str = "", paper: str = "P", is_ours: bool = True, room: str = "101") -> Seated:
    return Seated(site=SITE, room=room, seat=seat, kind=Kind(organisation, paper), is_ours=is_ours)


def plan(sites: list[Site], unseated: list[Unseated], seated: list[Seated] | None = None, **options: Any) -> Plan:
    chosen = options.get("chosen")
    return plan_seats(sites, chosen, unseated, seated or [], options.get("seed", "1"), options.get("spares_kept"))


def seats(made: Plan) -> list[tuple[str, str]]:
    return [(each.room, each.seat) for each in made.assigned]


# --- whatever is given -----------------------------------------------------------------------------------------

ROOMS = st.builds(
    lambda name, rows, columns, cut, spares, snake: room(
        name, max(1, rows * columns - cut), spares, Layout(rows, columns, "by_row_snake" if snake else "by_column")
    ),
    st.sampled_from(["101", "102", "103"]),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 5),
    st.integers(0, 3),
    st.booleans(),
)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Sites with rooms, some seats taken, and candidates with and without a room, some at places nobody knows."""
    rooms = draw(st.lists(ROOMS, min_size=1, max_size=3, unique_by=lambda each: each.name))
    places = [(each.name, seat) for each in rooms for seat in (*numbered_seats(each), *spare_seats(each))]
    organisations = st.sampled_from(["", "甲", "乙", "丙"])
    papers = st.sampled_from(["P", "Q", ""])
    taken = draw(st.lists(st.sampled_from(places), max_size=12, unique=True))
    seated = [
        sits(seat, room=name, organisation=draw(organisations), paper=draw(papers), is_ours=draw(st.booleans()))
        for name, seat in taken
    ]
    wishes = st.sampled_from(["", "", "", "101", "102", "nowhere"])
    unseated = [
        Unseated(
            candidate_id=f"K{at}",
            site=draw(st.sampled_from([SITE] * 9 + ["别处"])),
            room=draw(wishes),
            kind=Kind(draw(organisations), draw(papers)),
        )
        for at in range(draw(st.integers(0, 40)))
    ]
    return {
        "sites": [site(*rooms)],
        "unseated": unseated,
        "seated": seated,
        "spares_kept": draw(st.none() | st.integers(0, 4)),
        "seed": draw(st.sampled_from(["1", "2"])),
        "chosen": draw(st.none() | st.just({SITE: frozenset([rooms[0].name])}) | st.just({})),
    }


@settings(max_examples=300, deadline=None)
@given(cases())
def test_whatever_is_given_the_plan_keeps_its_promises(case: dict[str, Any]) -> None:
    """Everybody once; nobody on a taken or unknown machine, nor in a room not named; capacity and spares hold."""
    made = plan(**case)

    told = [each.candidate_id for each in (*made.assigned, *made.unassigned)]
    assert sorted(told) == sorted(each.candidate_id for each in case["unseated"])
    wished = {each.candidate_id: each for each in case["unseated"]}
    used = Counter((each.room, same_machine(each.seat)) for each in made.assigned)
    taken = {(each.room, same_machine(each.seat)) for each in case["seated"]}
    assert all(count == 1 for count in used.values()) and not taken & used.keys()
    rooms = {each.name: each for each in case["sites"][0].rooms}
    may_fill = rooms.keys() if case["chosen"] is None else case["chosen"].get(SITE, frozenset())
    for each in made.assigned:
        assert each.seat in (*numbered_seats(rooms[each.room]), *spare_seats(rooms[each.room]))
        assert each.room in may_fill and wished[each.candidate_id].room in ("", each.room)
        assert wished[each.candidate_id].site == each.site == SITE
    for name, each_room in rooms.items():
        given_seats = sum(at == name for at, _ in used)
        free = each_room.machines + each_room.spares - sum(at == name for at, _ in taken) - given_seats
        spares_free = sum((name, same_machine(seat)) not in taken | used.keys() for seat in spare_seats(each_room))
        if case["spares_kept"] is None:
            assert spares_free == sum((name, same_machine(seat)) not in taken for seat in spare_seats(each_room))
        elif given_seats:
            assert free >= case["spares_kept"]


@settings(max_examples=100, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_in_which_things_are_given_changes_nothing(case: dict[str, Any], chance: random.Random) -> None:
    """A roster comes back from the database in any order; the seats must be the same."""
    shuffled = {**case, "unseated": list(case["unseated"]), "seated": list(case["seated"])}
    chance.shuffle(shuffled["unseated"])
    chance.shuffle(shuffled["seated"])

    one, other = plan(**case), plan(**shuffled)

    assert one.assigned == other.assigned
    assert sorted(one.unassigned, key=repr) == sorted(other.unassigned, key=repr)
    assert one.rooms == other.rooms


@settings(max_examples=100, deadline=None)
@given(cases())
def test_nobody_is_left_out_while_a_machine_may_be_used(case: dict[str, Any]) -> None:
    """Who has no seat at a known site that may be filled has none because the rooms are full."""
    made = plan(**case)

    rooms = {each.name: each for each in case["sites"][0].rooms}
    for each in made.unassigned:
        if each.code in ("site.full", "room.full"):
            for name in [each.room] if each.room else rooms:
                if case["chosen"] is not None and name not in case["chosen"].get(SITE, ()):
                    continue
                use = next((use for use in made.rooms if use.room == name), None)
                free = use.free if use else rooms[name].machines + rooms[name].spares
                kept = rooms[name].spares if case["spares_kept"] is None else case["spares_kept"]
                assert free <= kept


# --- rooms -----------------------------------------------------------------------------------------------------


def test_rooms_are_filled_in_the_order_of_their_site() -> None:
    """So that few rooms are opened and few proctors are needed."""
    made = plan([site(room("B", 10), room("A", 10))], people(13))

    assert Counter(each.room for each in made.assigned) == {"B": 10, "A": 3}


def test_numbered_machines_come_before_spares_and_spares_stay_free() -> None:
    """Unless the call gives some of them away."""
    candidates = people(5)

    kept = plan([site(room(machines=3))], candidates)
    given_away = plan([site(room(machines=3))], candidates, spares_kept=1)
    all_given = plan([site(room(machines=3))], candidates, spares_kept=0)

    assert sorted(seats(kept)) == [("101", "01"), ("101", "02"), ("101", "03")]
    assert [each.code for each in kept.unassigned] == ["site.full"] * 2
    assert all("are kept free" in each.message for each in kept.unassigned)
    assert ("101", "备用1") in seats(given_away) and ("101", "备用2") not in seats(given_away)
    assert len(all_given.assigned) == 5 and all_given.unassigned == []


def test_no_spare_is_given_while_another_room_of_the_site_has_a_numbered_machine() -> None:
    """Spares that may be used come last in the whole site, and then in the rooms' order."""
    rooms = (room("101", machines=3, spares=2), room("102", machines=2, spares=1))

    enough = plan([site(*rooms)], people(5), spares_kept=0)
    more = plan([site(*rooms)], people(7), spares_kept=0)

    assert sorted(seats(enough)) == [("101", "01"), ("101", "02"), ("101", "03"), ("102", "01"), ("102", "02")]
    assert sorted({*seats(more)} - {*seats(enough)}) == [("101", "备用1"), ("101", "备用2")]


def test_more_kept_than_there_are_spares_leaves_numbered_machines_free() -> None:
    made = plan([site(room(machines=5, spares=1))], people(5), spares_kept=3)

    assert len(made.assigned) == 3 and made.rooms[0].free == 3


def test_machines_of_other_batches_at_that_time_are_taken() -> None:
    """On a joint-exam day one room holds several small batches."""
    made = plan([site(room(machines=4))], people(3), [sits("02", is_ours=False, paper="Q"), sits("0004")])

    assert sorted(seats(made)) == [("101", "01"), ("101", "03")]
    assert made.rooms[0].taken == 2


@pytest.mark.parametrize(
    ("candidate", "chosen", "code"),
    [
        ({"site": "别处"}, None, "site.unknown"),
        ({"room": "999"}, None, "room.unknown"),
        ({}, {}, "site.left_out"),
        ({"room": "102"}, {SITE: frozenset(["101"])}, "room.left_out"),
        ({"room": "102"}, None, "room.full"),
    ],
)
def test_who_gets_no_seat_is_told_why(candidate: dict[str, str], chosen: Any, code: str) -> None:
    """By a stable code and in words."""
    made = plan([site(room(), room("102", 1))], people(1, **candidate), [sits("01", room="102")], chosen=chosen)

    assert [(each.code, bool(each.message)) for each in made.unassigned] == [(code, True)]


def test_a_given_room_goes_before_open_ones() -> None:
    """Else somebody with a choice would take the only place of somebody without."""
    made = plan([site(room(machines=2))], people(5) + people(2, "远", room="101"))

    assert {each.candidate_id for each in made.assigned} == {"K远0", "K远1"}


# --- neighbours ------------------------------------------------------------------------------------------------


def test_two_organisations_of_equal_size_sit_like_a_chessboard() -> None:
    """Nobody beside, before or behind a colleague."""
    made = plan([site(room(layout=Layout(5, 6)))], people(15, "甲") + people(15, "乙"))

    assert len(made.assigned) == 30
    assert made.rooms[0].same_organisation == 0 and made.rooms[0].neighbours == 49


@pytest.mark.parametrize("numbering", ["by_row", "by_row_snake", "by_column", "by_column_snake"])
def test_many_organisations_are_kept_apart_in_every_numbering(numbering: str) -> None:
    made = plan(
        [site(room(layout=Layout(5, 6, numbering)))],
        people(12, "甲") + people(10, "乙") + people(5, "丙") + people(3),
    )

    assert made.rooms[0].same_organisation == 0


def test_organisations_are_spread_over_the_rooms_they_fill() -> None:
    """Forty of ninety would not fit apart into one room of thirty, but into three they do."""
    layout = Layout(5, 6)
    rooms = [room(name, layout=layout) for name in ("101", "102", "103")]

    made = plan([site(*rooms)], people(40, "甲") + people(50))

    assert [use.same_organisation for use in made.rooms] == [0, 0, 0]


def test_colleagues_who_sit_already_count_as_neighbours() -> None:
    """Seats given by the push are looked at, and never moved."""
    made = plan([site(room(machines=5))], people(1, "甲") + people(2, "乙"), [sits("01", organisation="甲")])

    assert made.rooms[0].same_organisation == 0
    assert ("101", "02") not in [(each.room, each.seat) for each in made.assigned if each.candidate_id == "K甲0"]


def test_an_empty_machine_parts_those_who_cannot_be_parted_otherwise() -> None:
    """A half-empty room of one paper leaves every second machine free."""
    made = plan([site(room(machines=9, layout=Layout(3, 3)))], people(5))

    assert made.rooms[0].same_paper == 0 and made.rooms[0].neighbours == 0


def test_what_cannot_be_kept_apart_is_counted() -> None:
    """A room of one organisation is what it is."""
    made = plan([site(room(machines=4))], people(4, "甲"))

    assert (made.rooms[0].neighbours, made.rooms[0].same_organisation, made.rooms[0].same_paper) == (3, 3, 3)


def test_a_paper_that_is_not_known_yet_is_like_no_other() -> None:
    """Of a batch with several papers it is given with the seats, after them."""
    made = plan([site(room(machines=4))], people(4, paper=""))

    assert made.rooms[0].same_paper == 0


def test_papers_and_organisations_are_parted_together() -> None:
    """Colleagues weigh more: four by four machines, of each kind four, have no arrangement without any pair."""
    everybody = [
        each for paper in ("P", "Q") for name in ("甲", "乙") for each in people(4, name, paper=paper, prefix=paper)
    ]

    made = plan([site(room(machines=16, layout=Layout(4, 4)))], everybody)

    assert made.rooms[0].same_organisation == 0 and made.rooms[0].same_paper <= 4


def test_another_seed_gives_other_seats() -> None:
    """Chance decides who sits where, and the seed is that chance."""
    one, other = (plan([site(room())], people(30), seed=seed) for seed in ("1", "2"))

    assert one.assigned != other.assigned
    assert sorted(seats(one)) == sorted(seats(other))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("甲乙丙丁"), min_size=6, max_size=6), st.integers(0, 10**6))
def test_a_small_room_is_placed_as_well_as_can_be(names: list[str], seed: int) -> None:
    """Against every arrangement there is: within one pair of the best."""
    around = neighbours(room(machines=6, layout=Layout(2, 3)))
    wanted = Counter(Kind(name, "") for name in names)

    placed = place_kinds(around, {}, list(range(6)), dict(sorted(wanted.items())))

    best = min(_pairs(around, arrangement) for arrangement in _arrangements(dict(wanted), 6))
    assert Counter(placed.values()) == wanted
    assert _pairs(around, [placed[index] for index in range(6)]) <= best + 1


def _pairs(around: list[list[int]], kinds: list[Kind]) -> int:
    return sum(kinds[one] == kinds[other] for one, beside in enumerate(around) for other in beside if one < other)


def _arrangements(left: dict[Kind, int], seats_left: int) -> list[list[Kind]]:
    if not seats_left:
        return [[]]
    found = []
    for kind, count in left.items():
        if count:
            rest = _arrangements({**left, kind: count - 1}, seats_left - 1)
            found += [[kind, *following] for following in rest]
    return found
