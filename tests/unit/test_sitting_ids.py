"""Ids of sittings are a function of batch, candidate and last disarming, for ever: what was stored is found again."""

from __future__ import annotations

from engine.scheduling.roster import sitting_ids_of

CANDIDATES = ["C1", "C2", "考生-3"]


def test_ids_are_those_that_earlier_versions_gave() -> None:
    """Otherwise pushing the same roster again would make everybody somebody else."""
    known = ["npohv5sakpai6tdxoejddpjo", "lyk3xgd2525yzefqca355ehm", "rjbvbvvi5cz4wmmynyyytw5e"]

    assert sitting_ids_of("B-1", CANDIDATES, None) == known


def test_ids_do_not_depend_on_who_is_pushed_together() -> None:
    together = sitting_ids_of("B-1", CANDIDATES, 5)

    assert [sitting_ids_of("B-1", [candidate], 5)[0] for candidate in CANDIDATES] == together
    assert sitting_ids_of("B-1", [], 5) == []


def test_after_a_disarming_nobody_keeps_the_old_id() -> None:
    disarmed = ["pj5jftql2rlp2qqctdcaddvi", "djll45sahvbbbj36m3koogzh", "4ssne7rrt4rg6qvxmlfztwlr"]

    assert sitting_ids_of("B-1", CANDIDATES, 1_700_000_000_000) == disarmed
