"""Forms: the papers of a batch, numbered from 0, and which of them a sitting has.

Every sitting has one; of a batch with a single paper it is 0. Forms are given by seats, so that neighbours differ.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from engine.rules.sites import Layout, place_of, seat_order

_MARK, _AGAIN = "/", "@"  # stand in no id
# What it costs when two sittings have the same form. Whatever cannot be avoided is put where it harms least; the last
# only decides between ways that are as good.
_SIDE_BY_SIDE, _ACROSS_A_GAP, _DIAGONAL, _OFF_PATTERN = 1000, 500, 100, 1


class Seated(Struct, frozen=True, kw_only=True):
    """One sitting on its seat; `kept` is the form that it has for good, once its candidate has entered."""

    sitting_id: str
    site: str
    room: str
    seat: str
    kept: int | None = None


def armed_id(batch_id: str, form: int, disarmed_ms: int | None = None) -> str:
    """What names one sealed paper of an armed batch; the batch's own id for its first.

    `disarmed_ms`: when the batch's last arming was undone; what is armed after that is never taken for what was before.
    """
    again = f"{_AGAIN}{disarmed_ms}" if disarmed_ms else ""
    return f"{batch_id}{again}{_MARK}{form}" if form else f"{batch_id}{again}"


def batch_id_of(armed: str) -> str:
    """The batch of an armed id."""
    return armed.partition(_MARK)[0].partition(_AGAIN)[0]


def give_forms(
    sittings: Sequence[Seated], forms: int, layouts: Mapping[tuple[str, str], Layout] | None = None
) -> dict[str, int]:
    """Sitting id -> form, below `forms`: neighbours differ wherever what is kept allows it.

    Neighbours are those next to one another in the order of the seats, empty seats left out. Where the layout of a
    (site, room) is known it says who sits beside, before and behind. What a room gets depends on nothing outside it.
    """
    rooms: dict[tuple[str, str], list[Seated]] = defaultdict(list)
    for sitting in sittings:
        rooms[sitting.site, sitting.room].append(sitting)
    given: dict[str, int] = {}
    step = 2 if forms > 3 else 1  # with four, those at the corners differ as well
    for place, seated in rooms.items():
        begins = zlib.crc32("|".join(place).encode())  # not every room with the first: small ones would use it most
        last_row, above = -1, dict[int, int]()
        for row, cells in _rows(seated, (layouts or {}).get(place)):
            found = _give_row(cells, above if row == last_row + 1 else {}, forms, begins + row * step)
            given |= {sitting.sitting_id: form for (_, sitting), form in zip(cells, found, strict=True)}
            last_row, above = row, {column: form for (column, _), form in zip(cells, found, strict=True)}
    return given


def _rows(seated: Sequence[Seated], layout: Layout | None) -> Iterator[tuple[int, list[tuple[int, Seated]]]]:
    """(row, its sittings with their columns); one row, counted without gaps, where the room's layout is not known."""
    ordered = sorted(seated, key=lambda sitting: (seat_order(sitting.seat), sitting.sitting_id))
    if layout is None:
        yield 0, list(enumerate(ordered))
        return
    rows: dict[int, list[tuple[int, Seated]]] = defaultdict(list)
    elsewhere = []  # spares: they stand where there is room
    for sitting in ordered:
        is_odd, is_spare, number, _ = seat_order(sitting.seat)
        if is_odd or is_spare or not 1 <= number <= layout.rows * layout.columns:
            elsewhere.append(sitting)
        else:
            row, column = place_of(layout, number - 1)
            rows[row].append((column, sitting))
    for row, cells in sorted(rows.items()):
        yield row, sorted(cells, key=lambda cell: cell[0])
    if elsewhere:
        yield max(rows, default=0) + 2, list(enumerate(elsewhere))


def _give_row(cells: Sequence[tuple[int, Seated]], above: Mapping[int, int], forms: int, begins: int) -> list[int]:
    """The cheapest forms for one row, given those of the row before it."""
    cheapest: dict[int, int] = {}  # form of the last cell -> cost of the row so far
    came_from: list[dict[int, int]] = []  # per cell: its form -> the form before it on the cheapest way
    for at, (column, sitting) in enumerate(cells):
        pattern = (begins + column) % forms
        possible = range(forms) if sitting.kept is None else (sitting.kept,)
        is_beside = at > 0 and column == cells[at - 1][0] + 1
        same = _SIDE_BY_SIDE if is_beside else _ACROSS_A_GAP
        costs, origins = {}, {}
        for form in possible:
            cost = _OFF_PATTERN * (form != pattern) + _SIDE_BY_SIDE * (above.get(column) == form)
            cost += _DIAGONAL * ((above.get(column - 1) == form) + (above.get(column + 1) == form))
            if cheapest:
                before = min(cheapest, key=lambda one: (cheapest[one] + same * (one == form), one))
                cost += cheapest[before] + same * (before == form)
                origins[form] = before
            costs[form] = cost
        cheapest = costs
        came_from.append(origins)
    form = min(cheapest, key=lambda one: (cheapest[one], one))
    found = [form]
    for origins in reversed(came_from[1:]):
        found.append(form := origins[form])
    return found[::-1]
