"""Which paper goes to which seat: neighbours differ, what is kept stays, and the seats alone decide."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.forms import Seated, armed_id, batch_id_of, give_forms
from engine.rules.sites import Layout
from engine.sealing import token


def seated(seat: str, room: str = "r", kept: int | None = None) -> Seated:
    return Seated(sitting_id=f"{room}-{seat}", site="s", room=room, seat=seat, kept=kept)


def layout(columns: int, numbering: str = "by_row") -> dict[tuple[str, str], Layout]:
    return {("s", "r"): Layout(40 // columns, columns, numbering)}


def room_of(seats: int, columns: int, forms: int) -> dict[tuple[int, int], int]:
    """(row, column) -> form of a full room."""
    given_forms = give_forms([seated(f"{at + 1:02d}") for at in range(seats)], forms, layout(columns))
    return {divmod(at, columns): given_forms[f"r-{at + 1:02d}"] for at in range(seats)}


@given(st.sets(st.integers(1, 120), min_size=1, max_size=60), st.integers(2, 8), st.randoms(use_true_random=False))
def test_neighbours_in_the_order_of_the_seats_differ(numbers: set[int], forms: int, dice: random.Random) -> None:
    """Empty seats left out, and in whatever order the roster names them; each form as often as every other."""
    sittings = [seated(f"{number:02d}") for number in numbers]
    dice.shuffle(sittings)

    found = give_forms(sittings, forms)

    in_order = [found[f"r-{number:02d}"] for number in sorted(numbers)]
    assert all(one != other for one, other in pairwise(in_order))
    counts = [in_order.count(form) for form in range(forms)]
    assert max(counts) - min(counts) <= 1


@given(st.lists(st.none() | st.integers(0, 2), min_size=1, max_size=40))
def test_what_is_kept_stays_and_others_differ_from_it(kept: list[int | None]) -> None:
    """With three papers there is always one that neither neighbour has."""
    found = give_forms([seated(f"{at:02d}", kept=form) for at, form in enumerate(kept)], 3)

    in_order = [found[f"r-{at:02d}"] for at in range(len(kept))]
    assert all(form is None or form == had for form, had in zip(kept, in_order, strict=True))
    for (left, left_kept), (right, right_kept) in pairwise(zip(in_order, kept, strict=True)):
        assert left != right or (left_kept is not None and right_kept is not None)


def test_with_two_papers_the_fewest_neighbours_share_one() -> None:
    """Between an entered 0 and an entered 1 two seats further on, one pair must be alike, and only one is."""
    found = give_forms(
        [seated("01", kept=0), seated("02"), seated("03", kept=1), seated("04"), seated("05", kept=1)], 2
    )

    in_order = [found[f"r-{seat}"] for seat in ("01", "02", "03", "04", "05")]
    assert sum(one == other for one, other in pairwise(in_order)) == 1


@pytest.mark.parametrize("forms", [2, 3, 4, 8])
@pytest.mark.parametrize("columns", [1, 5, 6, 7])
def test_where_the_columns_are_known_the_rows_differ_too(forms: int, columns: int) -> None:
    """Beside and before and behind; with four papers or more at the corners as well."""
    found = room_of(32, columns, forms)

    around = [(0, 1), (1, 0), *([(1, 1), (1, -1)] if forms > 3 else [])]
    for (row, column), form in found.items():
        for down, right in around:
            assert found.get((row + down, column + right)) != form


def test_a_snake_is_followed_to_who_sits_beside() -> None:
    """Seats 06 and 07 stand behind one another, 01 and 12 too."""
    sittings = [seated(f"{at:02d}") for at in range(1, 13)]
    found = give_forms(sittings, 4, layout(6, "by_row_snake"))

    assert found["r-06"] != found["r-07"] and found["r-01"] != found["r-12"] and found["r-01"] != found["r-11"]


def test_every_other_seat_of_a_row_left_empty_is_no_gap_to_look_over() -> None:
    """With two papers a pattern over the numbers alone would give all of them the same."""
    for columns in (0, 6):
        sittings = [seated(f"{number:02d}") for number in (1, 3, 5)]
        found = give_forms(sittings, 2, layout(columns) if columns else None)

        assert found["r-01"] != found["r-03"] != found["r-05"]


def test_a_room_depends_on_nothing_outside_it() -> None:
    """So that a late addition elsewhere moves nobody; and small rooms do not all begin with the same paper."""
    rooms = [[seated(seat, room) for seat in ("01", "02", "备用1")] for room in "abcdefgh"]

    together = give_forms([sitting for room in rooms for sitting in room], 3)

    apart = {name: form for room in rooms for name, form in give_forms(room, 3).items()}
    assert together == apart
    assert {together[f"{room}-01"] for room in "abcdefgh"} == {0, 1, 2}


def test_a_spare_in_a_room_with_columns_is_nobodys_neighbour_but_another_spares() -> None:
    """Where it stands is not known."""
    sittings = [seated(seat) for seat in ("01", "02", "备用1", "备用2")]

    found = give_forms(sittings, 2, layout(2))

    assert found["r-01"] != found["r-02"] and found["r-备用1"] != found["r-备用2"]


def test_a_batch_with_one_paper_gives_everybody_that() -> None:
    """Form 0."""
    assert set(give_forms([seated(f"{at:02d}") for at in range(30)], 1).values()) == {0}


def test_a_token_names_batch_and_paper() -> None:
    """The first paper goes by the batch's own id, so tokens of batches with one are what they always were."""
    assert [armed_id("B.1", form) for form in (0, 1, 7)] == ["B.1", "B.1/1", "B.1/7"]
    assert [batch_id_of(name) for name in ("B.1", "B.1/7")] == ["B.1", "B.1"]
    text = token.issue(token.Token("S", armed_id("B", 2), "5"), b"k" * 32)

    read = token.read(text, b"k" * 32)

    assert read is not None and (read.armed_id, read.batch_id) == ("B/2", "B")
