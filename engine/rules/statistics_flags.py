"""What item statistics flag: things that should not be, or should be looked at, before results are released.

A flag has a severity. `watch` is only shown. `explain` is so unlikely to be chance that somebody has to say, before the
results of an `approved` batch are released, why it is so: a wrong key, a distractor that is right as well, a leak.
Nothing is flagged that fewer than FLAG_SITTINGS_MIN sittings answered, nor what a regrade has ruled on already.

| flag | when | `explain` when |
|---|---|---|
| `negative_discrimination` | who did well on the rest did worse on the item | beyond chance, one-sided 5 % |
| `distractor_over_key` | more of the best third chose a wrong option than a right one | beyond chance, one-sided 5 % |
| `nobody_right` | nobody earned anything | always |
| `everybody_right` | everybody earned all points | never |
| `key_position_run` | the keys of so many single choices in a row stand at one place that chance makes such a run in \
fewer than one of twenty papers | the candidates saw that order: neither items nor options were shuffled |
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from msgspec import Struct

from engine.rules.item_statistics import BEST, ItemTally, PaperTally, rounded_root
from engine.rules.limits import FLAG_SITTINGS_MIN
from engine.rules.marking import SingleKey
from engine.rules.terms import Rules

NEGATIVE, DISTRACTOR, NOBODY, EVERYBODY, KEY_RUN = FLAGS = (
    "negative_discrimination",
    "distractor_over_key",
    "nobody_right",
    "everybody_right",
    "key_position_run",
)
EXPLAIN, WATCH = SEVERITIES = ("explain", "watch")
_CHANCE_SQUARED = Fraction("2.7055")  # 1.6449 standard errors: one-sided 5 %
_RUN_CHANCE = Fraction(1, 20)


class Flag(Struct, frozen=True):
    """`evidence`: the figures that make it one, JSON-ready; they may tell the answer key."""

    item: str
    flag: str
    severity: str
    evidence: dict[str, Any]


def flags_of(paper: PaperTally, rules: Rules) -> list[Flag]:
    """All flags of one paper, in the order of its items."""
    found: list[Flag] = []
    runs = {flag.item: flag for flag in _key_runs(list(paper.items.items()), rules)}
    for item_id, tally in paper.items.items():
        if tally.answered >= FLAG_SITTINGS_MIN and tally.key.ruling == "marked":
            checks = (_negative(item_id, tally), _distractor(item_id, tally), _extreme(item_id, tally))
            found += [flag for flag in (*checks, runs.get(item_id)) if flag is not None]
    return found


def _negative(item_id: str, tally: ItemTally) -> Flag | None:
    found = tally.discrimination_sign_and_square
    if found is None or found[0] >= 0:
        return None
    severity = EXPLAIN if found[1] * tally.sittings > _CHANCE_SQUARED else WATCH
    evidence = {"discrimination": rounded_root(found), "sittings": tally.sittings}
    return Flag(item_id, NEGATIVE, severity, evidence)


def _distractor(item_id: str, tally: ItemTally) -> Flag | None:
    """The wrong option that most of the best third chose, against the right one that fewest of them did."""
    right = tally.right_options
    wrong = [option for option in tally.options if option not in right]
    if not right or not wrong:
        return None
    in_best = {option: tally.chosen_in(option, BEST) for option in tally.options}
    worst_key = min(sorted(right), key=lambda option: in_best[option])
    distractor = max(wrong, key=lambda option: in_best[option])
    ahead = in_best[distractor] - in_best[worst_key]
    if ahead <= 0:
        return None
    # Of those who chose one of the two, as many would choose either by chance.
    is_certain = ahead * ahead > _CHANCE_SQUARED * (in_best[distractor] + in_best[worst_key])
    evidence = {
        "distractor": distractor,
        "chosen_by_best_third": in_best[distractor],
        "key": worst_key,
        "key_chosen_by_best_third": in_best[worst_key],
    }
    return Flag(item_id, DISTRACTOR, EXPLAIN if is_certain else WATCH, evidence)


def _extreme(item_id: str, tally: ItemTally) -> Flag | None:
    if not tally.full:
        return None
    if tally.sum_mark == 0:
        return Flag(item_id, NOBODY, EXPLAIN, {"answered": tally.answered})
    if tally.sum_mark == tally.full * tally.sittings:
        return Flag(item_id, EVERYBODY, WATCH, {"sittings": tally.sittings})
    return None


# --- runs of keys at one place ---------------------------------------------------------------------------------
def _key_runs(items: Sequence[tuple[str, ItemTally]], rules: Rules) -> list[Flag]:
    """Each run is flagged at its first item; what is no single choice ends it."""
    singles = [(item_id, tally) for item_id, tally in items if isinstance(tally.key, SingleKey)]
    is_seen = not rules.shuffle_items and not rules.shuffle_options
    found = []
    run: list[str] = []
    before: tuple[int, int] | None = None  # (place of the key, number of options)
    for item_id, tally in [*items, ("", None)]:
        here = _place(tally)
        if run and here != before:
            if before is not None and is_improbable_run(len(run), before[1], len(singles)):
                evidence = {"items": run, "place": before[0] + 1, "options": before[1]}
                found.append(Flag(run[0], KEY_RUN, EXPLAIN if is_seen else WATCH, evidence))
            run = []
        if here is not None:
            run = [*run, item_id]
        before = here
    return found


def _place(tally: ItemTally | None) -> tuple[int, int] | None:
    place = None if tally is None else tally.key_place
    return None if tally is None or place is None else (place, len(tally.options))


def is_improbable_run(length: int, options: int, items: int) -> bool:
    """Whether keys placed by lot make a run of `length` among `items` less often than in one of twenty papers.

    By the expected number of such runs: each of the items begins one with the chance that its key does not stand where
    the one before stood, and that the next ones do.
    """
    if length < 2:
        return False
    expected = items * (1 - Fraction(1, options)) * Fraction(1, options) ** (length - 1)
    return expected < _RUN_CHANCE
