"""The real reports that the manual shows: outcomes that can still be read, and the pages that they make."""

from __future__ import annotations

import re

import pytest

from loadtest.sizing import report, tiers
from loadtest.sizing.outcome import Criterion, Latency, Line, Outcome, PhaseOutcome, Traffic, Word, decode
from loadtest.sizing.rejudge import judged_anew
from tests.servers import ROOT

REPORTS = ROOT / "loadtest" / "reports"
TIERS = ("200", "2000", "5000")


def kept(tier: str) -> Outcome:
    return decode((REPORTS / f"{tier}.json").read_bytes())


@pytest.mark.parametrize("tier", TIERS)
def test_a_kept_report_is_the_page_of_its_outcome(tier: str) -> None:
    """A page of a former release would show readers what they do not get."""
    assert (REPORTS / f"{tier}.html").read_text("utf-8") == report.page(kept(tier))


@pytest.mark.parametrize("tier", TIERS)
def test_a_kept_report_is_of_its_tier_on_an_enforced_line(tier: str) -> None:
    """With a command that repeats it, and an account that was settled."""
    outcome = kept(tier)

    assert outcome.tier == tier and outcome.candidates == int(tier)
    assert outcome.line.enforced
    assert f"--tier {tier} " in outcome.command and "--shaped" in outcome.command
    assert outcome.account["candidates"] == int(tier)
    assert outcome.account["lost"] == 0


@pytest.mark.parametrize("tier", TIERS)
def test_a_kept_report_is_judged_by_the_limits_of_today(tier: str) -> None:
    """Its verdict and its reasons are what its own figures say by them: nothing is shown that is not asked any more."""
    outcome = kept(tier)

    assert judged_anew(outcome, tiers.read(tiers.FILE, tier)) == outcome


def test_the_manual_names_every_member_of_an_outcome() -> None:
    """Programs read the JSON by it."""
    manual = (ROOT / "loadtest" / "README.md").read_text("utf-8").partition("## The JSON")[2].partition("\n## ")[0]
    structs = (Outcome, PhaseOutcome, Latency, Criterion, Traffic, Line)

    assert [name for each in structs for name in each.__struct_fields__ if f"`{name}`" not in manual] == []


def test_the_manual_says_what_the_kept_reports_say() -> None:
    """Its row of verdicts is theirs."""
    manual = (ROOT / "loadtest" / "README.md").read_text("utf-8")
    row = re.search(r"^\| verdict \|(.+)\|$", manual, re.MULTILINE)

    assert row is not None
    assert [cell.strip() for cell in row.group(1).split("|")] == [str(Word(kept(tier).verdict)) for tier in TIERS]
