"""A room's acceptance form (考场验收单): how many machines of each role it has, and how they stand against each demand.

A machine counts when it was checked and nothing on it failed. Worst and median are values of machines that stand there,
never averages that nobody measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from msgspec import Struct

from engine.rules.device import (
    CHECKS,
    MACHINES_MIN,
    MANAGEMENT_MIN,
    SMALL_IS_GOOD,
    SPARES_MIN,
    Finding,
    Verdict,
    failing,
    worst,
)
from engine.rules.sites import SPARE

MANAGEMENT_SEAT = "管理机"  # the proctor's own machine: no seat of a roster is called so


class Role(StrEnum):
    """What a machine is in its room for."""

    MACHINE = "machine"
    SPARE = "spare"
    MANAGEMENT = "management"


_REQUIRED = {Role.MACHINE: MACHINES_MIN, Role.SPARE: SPARES_MIN, Role.MANAGEMENT: MANAGEMENT_MIN}


class Machine(Struct, frozen=True, kw_only=True):
    """One machine of a room; without `checked_ms` nobody has checked it yet."""

    seat: str
    checked_ms: int | None = None
    checks: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def role(self) -> Role:
        return role_of(self.seat)

    @property
    def verdict(self) -> Verdict:
        if self.checked_ms is None:
            return Verdict.UNKNOWN
        return worst(finding.verdict for finding in self.findings)


def role_of(seat: str) -> Role:
    """A seat is called by digits, or 备用 and a number."""
    if seat == MANAGEMENT_SEAT:
        return Role.MANAGEMENT
    return Role.SPARE if seat.startswith(SPARE) else Role.MACHINE


def in_order(machines: Sequence[Machine]) -> list[Machine]:
    """Exam machines, spares, the management machine; each by its number."""
    return sorted(machines, key=lambda machine: (list(Role).index(machine.role), len(machine.seat), machine.seat))


def show_machine(machine: Machine) -> dict[str, Any]:
    """One machine as JSON; its verdict is null while nobody has checked it."""
    return {
        "seat": machine.seat,
        "role": machine.role,
        "verdict": machine.verdict if machine.checked_ms is not None else None,
        "checked_ms": machine.checked_ms,
        "checks": machine.checks,
        "failing": failing(machine.findings),
        "findings": [show_finding(finding) for finding in machine.findings],
    }


def show_finding(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "verdict": finding.verdict,
        "reason": finding.reason,
        "required": finding.required,
        "measured": finding.measured,
    }


def accept(machines: Sequence[Machine]) -> dict[str, Any]:
    """The form's figures, JSON-ready."""
    counts = [_count(role, [each for each in machines if each.role == role]) for role in Role]
    checked = [each for each in machines if each.checked_ms is not None]
    items = [item for name in CHECKS if (item := _item(name, checked)) is not None]
    if any(count["verdict"] == Verdict.FAIL for count in counts):
        verdict = Verdict.FAIL
    else:
        verdict = Verdict.WEAK if any(each.verdict != Verdict.OK for each in machines) else Verdict.OK
    return {"verdict": verdict, "counts": counts, "items": items}


def _count(role: Role, machines: Sequence[Machine]) -> dict[str, Any]:
    passed = sum(each.checked_ms is not None and each.verdict != Verdict.FAIL for each in machines)
    return {
        "role": role,
        "required": _REQUIRED[role],
        "found": len(machines),
        "checked": sum(each.checked_ms is not None for each in machines),
        "passed": passed,
        "verdict": Verdict.OK if passed >= _REQUIRED[role] else Verdict.FAIL,
    }


def _item(name: str, checked: Sequence[Machine]) -> dict[str, Any] | None:
    """One demand over all machines that were checked; None when none was."""
    found = [(finding, each.seat) for each in checked for finding in each.findings if finding.name == name]
    if not found:
        return None
    from_bad_to_good = sorted(found, key=lambda pair: _goodness(pair[0]))
    worst_one, worst_seat = from_bad_to_good[0]
    told = [finding for finding, _ in from_bad_to_good if finding.value is not None]
    verdicts = Counter(finding.verdict for finding, _ in found)
    is_told = set(verdicts) != {Verdict.UNKNOWN}
    return {
        "name": name,
        "verdict": worst(verdicts) if is_told else Verdict.UNKNOWN,
        # What the worst was held to: with the roster a share may have changed between two checks.
        "required": worst_one.required,
        "worst": {"seat": worst_seat, "verdict": worst_one.verdict, "measured": worst_one.measured},
        "median": told[(len(told) - 1) // 2].measured if told else "",
        "counts": {verdict.value: verdicts[verdict] for verdict in Verdict},
    }


def _goodness(finding: Finding) -> tuple[int, float]:
    """Sorts the worst first: by verdict, then by value; what nobody could measure comes last."""
    order = (Verdict.FAIL, Verdict.WEAK, Verdict.OK, Verdict.UNKNOWN)
    value = finding.value if finding.value is not None else float("-inf")
    return order.index(finding.verdict), -value if finding.name in SMALL_IS_GOOD else value
