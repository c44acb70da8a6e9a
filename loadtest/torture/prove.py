"""`./run torture --prove`: the checker sees what it should. Each sabotage has a short campaign that must not hold."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.torture.campaign import Options, run
from loadtest.torture.instruments import CANNOT
from loadtest.torture.sabotage import CannotSabotage, Sabotage, broken_tree


@dataclass(frozen=True)
class Shown:
    """How one sabotage came out; `found` are all violations by kind, `fault` what kept it from being tried."""

    sabotage: Sabotage
    found: dict[str, int]
    fault: str = ""

    @property
    def is_caught(self) -> bool:
        return any(self.found.get(kind) for kind in self.sabotage.caught_as)


def prove(
    sabotages: Iterable[Sabotage], candidates: int, seed: int, says: Callable[[str], None], keep: Path | None
) -> list[Shown]:
    """Run them one after another; what cannot be tried counts as not caught."""
    shown = []
    for number, sabotage in enumerate(sabotages):
        says(f"now broken: {sabotage.name}")
        one = _try(sabotage, candidates, seed + number, says, keep and keep / f"sabotage-{number}")
        says(f"{'caught' if one.is_caught else 'NOT CAUGHT'}: {_told(one)}")
        shown.append(one)
    return shown


def _try(sabotage: Sabotage, candidates: int, seed: int, says: Callable[[str], None], keep: Path | None) -> Shown:
    with tempfile.TemporaryDirectory(prefix="lk-sabotage-", ignore_cleanup_errors=True) as folder:
        try:
            root = broken_tree(sabotage, Path(folder))
            planned, grounds = sabotage.ground()
            options = Options(candidates, seed, planned, root=root, grounds=grounds, keep=keep, says=says)
            outcome = run(options)
        except (CannotSabotage, *CANNOT) as fault:
            return Shown(sabotage, {}, str(fault))
    found = {kind: count for kind, count in outcome.violations.items() if count}
    return Shown(sabotage, found, "; ".join(outcome.ended_early))


def as_table(shown: list[Shown]) -> str:
    """For a person: one line each."""
    lines = [f"{'caught' if one.is_caught else 'NOT CAUGHT':<11} {one.sabotage.name}: {_told(one)}" for one in shown]
    caught = sum(one.is_caught for one in shown)
    return "\n".join([*lines, f"{caught} of {len(shown)} caught"])


def as_json(shown: list[Shown]) -> dict[str, Any]:
    sabotages = [
        {
            "name": one.sabotage.name,
            "caught": one.is_caught,
            "expected": list(one.sabotage.caught_as),
            "found": one.found,
            "fault": one.fault,
        }
        for one in shown
    ]
    return {"sabotages": sabotages, "holds": all(one.is_caught for one in shown)}


def _told(one: Shown) -> str:
    found = ", ".join(f"{kind} {count}" for kind, count in one.found.items()) or "nothing found"
    return f"{found}{'; ' + one.fault if one.fault else ''}"
