"""Tiers are data, and read strictly: what is misspelt is refused by name (loadtest/sizing/tiers.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadtest.sizing import tiers
from loadtest.sizing.criteria import CRITERIA

TIER = {"candidates": 50, "up_mbit_per_s": 10, "down_mbit_per_s": 5, "minutes": 1}


def content(of_all: dict[str, Any] | None = None, **tier: Any) -> dict[str, Any]:
    return {"tiers": {"x": {**TIER, **tier}}, "criteria": of_all or {}}


@pytest.mark.parametrize(
    ("name", "candidates", "up", "down"), [("200", 200, 10, 5), ("2000", 2000, 28, 20), ("5000", 5000, 50, 50)]
)
def test_the_authorities_table_is_what_the_tiers_say(name: str, candidates: int, up: float, down: float) -> None:
    """EXAM_RULES, bandwidth per site, in the strict reading."""
    tier = tiers.read(tiers.FILE, name)

    assert (tier.candidates, tier.up_mbit_per_s, tier.down_mbit_per_s) == (candidates, up, down)
    assert (tier.up_kbit_per_s, tier.down_kbit_per_s) == (up * 1000, down * 1000)


@pytest.mark.parametrize("name", ["50", "200", "2000", "5000"])
def test_every_phase_of_a_tier_has_criteria(name: str) -> None:
    """One without would always hold."""
    assert set(tiers.read(tiers.FILE, name).criteria) == set(CRITERIA)


def test_a_tiers_own_limit_goes_over_that_of_all() -> None:
    own = {"steady": {"save_p99_ms": 7}}

    tier = tiers.tier_in(content({"steady": {"save_p99_ms": 500, "errors": 0}}, criteria=own), "x")

    assert tier.criteria["steady"] == {"save_p99_ms": 7, "errors": 0}


@pytest.mark.parametrize(
    ("held", "named"),
    [
        (content(candidates=0), "candidates"),
        (content(candidates="many"), "candidates"),
        (content(up_mbit_per_s=0), "up_mbit_per_s"),
        (content(down_mbit_per_s=0.0004), "down_mbit_per_s"),
        (content(minutes=0.1), "minutes"),
        (content(bandwidth=5), "bandwidth"),
        ({"tier": {}, "tiers": {"x": TIER}}, "tier"),
        ({"tiers": {"x": {"candidates": 50}}}, "up_mbit_per_s"),
        (content({"warm_up": {"errors": 0}}), "no phase 'warm_up'"),
        (content({"steady": {"save_p98_ms": 1}}), "no criterion 'save_p98_ms'"),
        (content({"grading": {"save_p99_ms": 1}}), "no criterion 'save_p99_ms'"),
        (content({"steady": {"errors": -1}}), "steady.errors = -1"),
        (content({"steady": {"errors": "none"}}), "steady.errors = 'none'"),
        (content({"steady": 3}), "steady = 3"),
        (content(criteria=[]), "tiers.x.criteria: expected tables"),
        (content(criteria={"steady": {"errros": 0}}), "tiers.x.criteria.steady: no criterion 'errros'"),
    ],
)
def test_what_cannot_be_is_refused_by_name(held: dict[str, Any], named: str) -> None:
    with pytest.raises(tiers.TierFault, match=named.replace(".", r"\.")):
        tiers.tier_in(held, "x")


def test_an_unknown_tier_is_answered_with_those_there_are() -> None:
    with pytest.raises(tiers.TierFault, match="no tier '300'; there are: 50, 200, 2000, 5000"):
        tiers.read(tiers.FILE, "300")


@pytest.mark.parametrize("text", [None, "tiers = [", "\xff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "tiers.toml"
    if text is not None:
        file.write_bytes(text.encode("latin-1"))

    with pytest.raises(tiers.TierFault, match=r"tiers\.toml: "):
        tiers.read(file, "50")
