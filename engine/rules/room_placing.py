"""Places candidates on the free machines of one room so that those who should not sit side by side do not.

Who may sit beside whom depends only on a candidate's kind: organisation and paper. First the seats are filled in their
order, each by the most frequent kind that disturbs least; then exchanges of two seats are tried, a bounded number.
Where that leaves somebody disturbed, two more beginnings are tried, like a chessboard: one organisation after the
other, or one paper after the other, first on all white places, then on the black ones. The best of the three is taken.
Chance has no part in it: the same kinds and seats give the same placing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from engine.rules.limits import EXCHANGES_PER_MACHINE

EMPTY = -1


class Kind(Struct, frozen=True, order=True):
    """What matters of a candidate to a neighbour; an empty organisation, or a paper not known yet, is like no other."""

    organisation: str
    paper: str


def is_same_organisation(one: Kind, other: Kind) -> bool:
    return one.organisation != "" and one.organisation == other.organisation


def is_same_paper(one: Kind, other: Kind) -> bool:
    return one.paper != "" and one.paper == other.paper


def place_kinds(
    around: Sequence[Sequence[int]], taken: Mapping[int, Kind], free: Sequence[int], wanted: Mapping[Kind, int]
) -> dict[int, Kind]:
    """Which kind sits on which machine of `free`; machines are left empty where there are more than candidates.

    `around` gives each machine's neighbours, `taken` who sits already. `wanted` says how many of each kind there are,
    in the order that breaks ties; all of them find a place as long as `free` has one.
    """
    kinds = list(dict.fromkeys([*wanted, *taken.values()]))
    number_of = {kind: number for number, kind in enumerate(kinds)}
    before = [EMPTY] * len(around)
    for index, kind in taken.items():
        before[index] = number_of[kind]
    left = [wanted.get(kind, 0) for kind in kinds]
    costs = _costs(kinds, is_full=sum(left) >= len(free))
    best = _filled(before, around, free, left, costs)
    best_cost = _improved(best, around, free, costs)
    if best_cost and (len(wanted) > 1 or sum(left) < len(free)):
        white_first = _chessboard(around, free)
        by_organisation = sorted(
            range(len(kinds)), key=lambda kind: (kinds[kind].organisation == "", -left[kind], kind)
        )
        by_paper = sorted(range(len(kinds)), key=lambda kind: (kinds[kind].paper, -left[kind], kind))
        for order in (by_organisation, by_paper):
            seats = _dealt(before, white_first, [kind for kind in order for _ in range(left[kind])])
            cost = _improved(seats, around, free, costs)
            if cost < best_cost:
                best, best_cost = seats, cost
    return {index: kinds[best[index]] for index in free if best[index] != EMPTY}


def _costs(kinds: Sequence[Kind], *, is_full: bool) -> list[list[int]]:
    """What it costs that two kinds are neighbours: an organisation weighs more than a paper, both together most.

    In a full room where all write one paper that part is the same wherever they sit, and is left out.
    """
    weight = 0 if is_full and len({kind.paper for kind in kinds}) == 1 else 1
    return [
        [2 * is_same_organisation(one, other) + weight * is_same_paper(one, other) for other in kinds] for one in kinds
    ]


def _filled(
    before: Sequence[int],
    around: Sequence[Sequence[int]],
    free: Sequence[int],
    wanted: Sequence[int],
    costs: Sequence[Sequence[int]],
) -> list[int]:
    """One seat after the other; a seat stays empty when everybody would disturb there and there are seats enough."""
    seats, left = list(before), list(wanted)
    to_spare = max(0, len(free) - sum(left))
    for index in free:
        beside = [seats[other] for other in around[index] if seats[other] != EMPTY]
        best, best_rank = EMPTY, (0, 0)
        for kind, count in enumerate(left):
            if count:
                rank = (sum(costs[kind][other] for other in beside), -count)
                if best == EMPTY or rank < best_rank:
                    best, best_rank = kind, rank
        if best == EMPTY:
            break
        if best_rank[0] and to_spare:
            to_spare -= 1
            continue
        seats[index] = best
        left[best] -= 1
    return seats


def _chessboard(around: Sequence[Sequence[int]], free: Sequence[int]) -> list[int]:
    """`free` with all places of the colour that has more of them first; neighbours are of different colours."""
    colour: dict[int, int] = {}
    for start in range(len(around)):
        waiting = [] if start in colour else [(start, 0)]
        while waiting:
            index, own = waiting.pop()
            if index not in colour:
                colour[index] = own
                waiting.extend((other, 1 - own) for other in around[index])
    white = [index for index in free if not colour[index]]
    black = [index for index in free if colour[index]]
    return black + white if len(black) > len(white) else white + black


def _dealt(before: Sequence[int], order: Sequence[int], kinds: Sequence[int]) -> list[int]:
    """One kind after the other on the places of `order`."""
    seats = list(before)
    for index, kind in zip(order, kinds, strict=False):
        seats[index] = kind
    return seats


def _improved(
    seats: list[int], around: Sequence[Sequence[int]], free: Sequence[int], costs: Sequence[Sequence[int]]
) -> int:
    """Exchange two seats, or move to an empty one, where that helps, until nothing does or enough was tried.

    Changes `seats`; what is left is its cost.
    """
    tries_left = 1 + int(len(free) * EXCHANGES_PER_MACHINE)
    is_better = True
    while is_better and tries_left:
        is_better = False
        for one in free:
            if seats[one] == EMPTY or not _cost(seats, around, costs, one, seats[one]):
                continue
            gains = [
                (gain, other)
                for other in free
                if seats[one] != seats[other] and (gain := _gain(seats, around, costs, one, other)) < 0
            ]
            tries_left -= 1
            if gains:
                _, other = min(gains)
                seats[one], seats[other] = seats[other], seats[one]
                is_better = True
            if not tries_left:
                break
    return sum(_cost(seats, around, costs, index, seats[index]) for index in free)


def _gain(
    seats: Sequence[int], around: Sequence[Sequence[int]], costs: Sequence[Sequence[int]], one: int, other: int
) -> int:
    """What exchanging the two would change; below 0 it helps. Their own pair stays, so it is left out."""
    mine, yours = seats[one], seats[other]
    before = _cost(seats, around, costs, one, mine, other) + _cost(seats, around, costs, other, yours, one)
    after = _cost(seats, around, costs, one, yours, other) + _cost(seats, around, costs, other, mine, one)
    return after - before


def _cost(
    seats: Sequence[int],
    around: Sequence[Sequence[int]],
    costs: Sequence[Sequence[int]],
    index: int,
    kind: int,
    but: int = EMPTY,
) -> int:
    """What `kind` would disturb on this place, the neighbour `but` not counted."""
    if kind == EMPTY:
        return 0
    row = costs[kind]
    return sum(row[seats[other]] for other in around[index] if other != but and seats[other] != EMPTY)
