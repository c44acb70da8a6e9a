"""Tiers: how many candidates, what line, and what has to hold in each phase, as a file says it. Pure but for one read.

A name that nobody knows or a value that cannot be is refused by name: a criterion that was misspelt would never fail.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from loadtest.sizing.criteria import CRITERIA
from loadtest.sizing.model import OPENLOOP_SHARE

FILE = Path(__file__).resolve().parent.parent / "tiers.toml"
MEGABYTE_READING = 8  # the same figure read as MByte/s is a line of so many times as many bits

Limits = dict[str, dict[str, float]]  # phase -> criterion -> limit


class TierFault(ValueError):
    """A file of tiers that cannot be used; the message names file, place, value and what was expected."""


class Tier(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One tier; `criteria` holds what applies to every tier as well.

    `openloop_share` of its candidates are played on a schedule of intended instants, the rest by Locust.
    """

    candidates: Annotated[int, Meta(ge=10, le=100_000)]
    up_mbit_per_s: Annotated[float, Meta(ge=0.001, le=100_000)]  # less is 0 kbit/s, which would be no limit at all
    down_mbit_per_s: Annotated[float, Meta(ge=0.001, le=100_000)]
    minutes: Annotated[float, Meta(ge=0.4, le=90)]
    openloop_share: Annotated[float, Meta(ge=0, le=0.5)] = OPENLOOP_SHARE
    criteria: Limits = {}

    @property
    def up_kbit_per_s(self) -> int:
        return round(self.up_mbit_per_s * 1000)

    @property
    def down_kbit_per_s(self) -> int:
        return round(self.down_mbit_per_s * 1000)


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    tiers: dict[str, dict[str, Any]]
    criteria: dict[str, Any] = {}


def read(file: Path, name: str) -> Tier:
    """The tier `name` of `file`. Raises TierFault."""
    try:
        found = tomllib.loads(file.read_text("utf-8"))
    except OSError as fault:
        raise TierFault(f"{file}: {fault.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise TierFault(f"{file}: {fault}") from None
    try:
        return tier_in(found, name)
    except TierFault as fault:
        raise TierFault(f"{file}: {fault}") from None


def tier_in(content: Mapping[str, Any], name: str) -> Tier:
    """The tier `name` of what a file holds, its criteria over those of every tier. Raises TierFault."""
    try:
        whole = msgspec.convert(content, _File)
    except msgspec.ValidationError as fault:
        raise TierFault(str(fault)) from None
    _check("criteria", whole.criteria)
    found = {known: _tier(known, told) for known, told in whole.tiers.items()}
    if name not in found:
        raise TierFault(f"no tier {name!r}; there are: {', '.join(found)}")
    own = found[name]
    phases = [phase for phase in CRITERIA if phase in whole.criteria or phase in own.criteria]
    merged = {phase: {**whole.criteria.get(phase, {}), **own.criteria.get(phase, {})} for phase in phases}
    return msgspec.structs.replace(own, criteria=merged)


def named_limits(tier: Tier) -> dict[str, str]:
    """Every limit as a run's configuration names it."""
    return {
        f"criteria.{phase}.{name}": f"{limit:g}"
        for phase, limits in tier.criteria.items()
        for name, limit in limits.items()
    }


def _tier(name: str, told: Mapping[str, Any]) -> Tier:
    _check(f"tiers.{name}.criteria", told.get("criteria", {}))
    try:
        return msgspec.convert(told, Tier)
    except msgspec.ValidationError as fault:
        raise TierFault(f"tiers.{name}: {fault}") from None


def _check(where: str, limits: Any) -> None:
    """Every phase and criterion is known, every limit a number."""
    if not isinstance(limits, dict):
        raise TierFault(f"{where}: expected tables by phase")
    for phase, criteria in limits.items():
        if phase not in CRITERIA:
            raise TierFault(f"{where}: no phase {phase!r}; there are: {', '.join(CRITERIA)}")
        if not isinstance(criteria, dict):
            raise TierFault(f"{where}.{phase} = {criteria!r}: expected a table of limits")
        for criterion, limit in criteria.items():
            if criterion not in CRITERIA[phase]:
                known = ", ".join(CRITERIA[phase])
                raise TierFault(f"{where}.{phase}: no criterion {criterion!r}; there are: {known}")
            if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 <= limit < 1e9:
                raise TierFault(f"{where}.{phase}.{criterion} = {limit!r}: expected a number from 0")
