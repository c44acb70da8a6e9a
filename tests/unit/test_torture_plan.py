"""The torture campaign's faults are a function of its seed, and its sabotages still fit the engine."""

from __future__ import annotations

import ast
import random
from collections import Counter
from pathlib import Path

import pytest

from loadtest.torture.checker import KINDS
from loadtest.torture.faults import Kill, plan
from loadtest.torture.field import CLASSES
from loadtest.torture.instruments import NotTogether, instruments
from loadtest.torture.sabotage import SABOTAGES, CannotSabotage, Replaced, Sabotage, broken_tree
from tests.servers import ROOT

# Reads and judges; everything else of the load generator is on the other side of the account.
CHECKERS_OWN = {
    "loadtest.marking",
    "loadtest.receipts",
    "loadtest.torture.account",
    "loadtest.torture.deliveries",
}


def test_the_same_seed_plans_the_same_faults() -> None:
    """And another seed others."""
    one, same, other = (plan(3, 2, random.Random(seed)) for seed in (1, 1, 2))

    assert one == same != other


def test_every_class_of_processes_gets_its_share() -> None:
    """Three kills and two stops each, none left out."""
    planned = Counter(each.fault.name for each in plan(3, 2, random.Random(1)))

    assert planned == {f"kill {kind}": 3 for kind in CLASSES} | {f"stop {kind}": 2 for kind in CLASSES}
    assert Kill("redis").targets == ("redis",)


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_every_sabotage_fits_the_engine_as_it_is(tmp_path: Path, sabotage: Sabotage) -> None:
    """A changed engine must not make a sabotage harmless without anybody noticing."""
    root = broken_tree(sabotage, tmp_path)

    for replaced in sabotage.replaced:
        broken = (root / replaced.path).read_text("utf-8")
        assert broken != (ROOT / replaced.path).read_text("utf-8")
        assert not replaced.path.endswith(".py") or ast.parse(broken)
    assert set(sabotage.caught_as) <= set(KINDS)


def test_a_sabotage_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """With the text that was looked for."""
    gone = Sabotage("gone", (Replaced("engine/__init__.py", "no such text", ""),), ("lost",))

    with pytest.raises(CannotSabotage, match="no such text"):
        broken_tree(gone, tmp_path)


def test_the_checker_shares_no_code_with_who_is_checked() -> None:
    """Neither with the engine nor with the clients that wrote the ledgers."""
    imported = set()
    for name in ("checker", "account", "deliveries"):
        tree = ast.parse((ROOT / "loadtest" / "torture" / f"{name}.py").read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("loadtest", "engine")):
                imported.add(node.module)

    assert imported <= CHECKERS_OWN


def test_two_kinds_of_disks_under_one_folder_are_refused() -> None:
    """Rather than losing power on a disk that keeps everything."""
    with pytest.raises(NotTogether, match="one campaign each"):
        instruments(1, 1, 0, random.Random(1))


def test_instruments_bring_what_their_faults_need() -> None:
    """A wire for its cuts, a disk for each kind of disk fault, and as many faults as were asked for."""
    cuts, losses, volumes = (instruments(*asked, random.Random(1)) for asked in ((0, 0, 3), (2, 0, 0), (0, 2, 0)))

    assert (len(cuts.faults), cuts.wire is not None, cuts.grounds) == (3, True, [])
    assert ([fault.kind for fault in losses.faults], len(losses.grounds)) == (["power_losses"] * 2, 1)
    assert ([fault.kind for fault in volumes.faults], len(volumes.grounds)) == (["full_volumes"] * 4, 1)
