"""Preflight's judgement of batches, prepared sittings, rosters and nodes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from engine import listening
from engine.preflight.batches import (
    ARMED_BEFORE_MS,
    CALENDAR,
    Coming,
    Laid,
    Paper,
    RosterChange,
    digest_of,
    judge_coming,
    judge_none_coming,
    judge_prepared,
    judge_roster,
    judge_unknown_batch,
)
from engine.preflight.finding import Colour, Finding
from engine.preflight.nodes import (
    COMMON,
    READINESS,
    STEPS,
    Answers,
    judge_canary,
    judge_equal,
    judge_hung,
    judge_mute,
    judge_no_canary,
    judge_port,
    judge_port_in_use,
    judge_readiness,
    judge_sealed,
    judge_silence,
    judge_synchronised,
    judge_unattested,
    judge_workers,
)
from tests.servers import ROOT

GREEN, AMBER, RED = Colour.GREEN, Colour.AMBER, Colour.RED
NOW_MS = 1_800_000_000_000
PAPER = Paper(paper_id="P", is_package=False, has_content=True, is_for_grader=True)


def coming(**changed: Any) -> Coming:
    """A batch of tomorrow to which nothing is wanting."""
    members: dict[str, Any] = {
        "batch_id": "B",
        "title": "联考",
        "starts_ms": NOW_MS + ARMED_BEFORE_MS // 2,
        "starts": "2027-01-16 09:00",
        "armed_ms": NOW_MS - 1,
        "sittings": 30,
        "unseated": 0,
        "papers": [PAPER],
    }
    return Coming(**{**members, **changed})


# --- coming -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "colour", "says"),
    [
        ({}, GREEN, "armed"),
        ({"is_over": True}, AMBER, "it is over"),
        ({"sittings": 0}, RED, "no roster"),
        ({"unseated": 2}, RED, "2 candidates have no room or seat"),
        ({"papers": [], "armed_ms": None}, RED, "no paper"),
        (
            {
                "armed_ms": None,
                "papers": [Paper(paper_id="P", is_package=False, has_content=False, is_for_grader=True)],
            },
            RED,
            "paper P has no content",
        ),
        (
            {"armed_ms": None, "papers": [Paper(paper_id="P", is_package=True, has_content=False, is_for_grader=True)]},
            RED,
            "not armed",
        ),
        (
            {
                "armed_ms": None,
                "papers": [Paper(paper_id="P", is_package=False, has_content=True, is_for_grader=False)],
            },
            RED,
            "another grader",
        ),
        ({"papers": [Paper(paper_id="P", is_package=False, has_content=False, is_for_grader=False)]}, GREEN, "armed"),
        ({"armed_ms": None}, RED, "not armed"),
        ({"armed_ms": None, "starts_ms": NOW_MS + ARMED_BEFORE_MS - 1}, RED, "not armed"),
        ({"armed_ms": None, "starts_ms": NOW_MS + ARMED_BEFORE_MS}, AMBER, "not armed"),
        ({"warnings": [("calendar.start", "theory starts on Saturday 09:00")]}, AMBER, "Saturday 09:00"),
    ],
)
def test_a_coming_batch_is_judged_by_what_it_lacks(changed: dict[str, Any], colour: Colour, says: str) -> None:
    finding = judge_coming(coming(**changed), NOW_MS)

    assert (finding.colour, finding.subject) == (colour, "B")
    assert says in finding.en


def test_every_warning_of_the_calendar_has_words_in_chinese() -> None:
    """A warning that is added there is added here."""
    text = (ROOT / "engine" / "rules" / "calendar.py").read_text("utf-8")

    assert set(re.findall(r'"(calendar\.[a-z_]+)"', text)) == set(CALENDAR)


def test_only_that_a_batch_is_not_armed_may_be_accepted() -> None:
    """Nobody can decide that it needs no roster."""
    assert judge_coming(coming(armed_ms=None), NOW_MS).may_be_accepted
    assert not judge_coming(coming(armed_ms=None, sittings=0), NOW_MS).may_be_accepted
    assert not judge_unknown_batch("B").may_be_accepted


def test_no_batch_at_all_is_amber_and_an_unknown_one_red() -> None:
    """Of none it is not known whether it is pushed to another deployment; who names one wants it looked at."""
    assert judge_none_coming(3).colour is AMBER
    assert judge_unknown_batch("B").colour is RED


# --- prepared ---------------------------------------------------------------------------------------------------

FIELDS = {"s1": {"batch": b"B", "ends_ms": b"10"}, "s2": {"batch": b"B", "ends_ms": b"20"}}


def laid(**changed: Any) -> Laid:
    return Laid(**{"batch_id": "B", "expected": FIELDS, "found": FIELDS, **changed})


@pytest.mark.parametrize(
    ("changed", "colour", "says"),
    [
        ({}, GREEN, digest_of(FIELDS)),
        ({"found": {**FIELDS, "s2": {}}}, RED, "1 not in Redis: s2"),
        (
            {"found": {**FIELDS, "s2": {"batch": b"B", "ends_ms": b"21"}}},
            RED,
            "1 differ from PostgreSQL, as s2 in ends_ms",
        ),
        ({"found": {**FIELDS, "s2": {"batch": b"B"}}}, RED, "as s2 in ends_ms"),
        ({"astray": ["s1"]}, RED, "1 cannot be logged in to: s1"),
        ({"undue": ["s1"]}, RED, "1 would not be collected: s1"),
        ({"paper_faults": ["sealed:0 is not in Redis"]}, RED, "sealed:0 is not in Redis"),
        ({"are_logins_checked": False}, AMBER, "not looked at"),
    ],
)
def test_prepared_sittings_are_judged_by_every_field(changed: dict[str, Any], colour: Colour, says: str) -> None:
    finding = judge_prepared(laid(**changed))

    assert (finding.colour, finding.subject) == (colour, "B")
    assert says in finding.en


def test_a_digest_is_of_the_content_and_not_of_its_order() -> None:
    turned = {sitting: dict(reversed(fields.items())) for sitting, fields in reversed(FIELDS.items())}

    assert digest_of(turned) == digest_of(FIELDS)
    assert digest_of({**FIELDS, "s2": {"batch": b"B", "ends_ms": b"21"}}) != digest_of(FIELDS)


# --- roster -----------------------------------------------------------------------------------------------------


def change(added: int = 0, changed: int = 0) -> RosterChange:
    return RosterChange(at="2027-01-15 18:00", key_id="k1", added=added, changed=changed, removed=0)


@pytest.mark.parametrize(
    ("changes", "at_arming", "sittings", "check", "colour"),
    [
        ([], 30, 30, "roster", GREEN),
        ([], None, 30, "roster", GREEN),  # an older log did not count
        ([change(added=1)], 30, 31, "roster", RED),
        ([change(changed=2)], 30, 30, "roster", RED),
        ([], 30, 31, "roster_log", RED),  # nobody pushed the one there is too much
        ([change(added=1)], 30, 30, "roster_log", RED),
    ],
)
def test_a_roster_that_changed_after_arming_is_red(
    changes: list[RosterChange], at_arming: int | None, sittings: int, check: str, colour: Colour
) -> None:
    finding = judge_roster("B", changes, at_arming, sittings)

    assert (finding.check, finding.colour) == (check, colour)
    assert finding.may_be_accepted is (check == "roster" and colour is RED)


# --- nodes ------------------------------------------------------------------------------------------------------

SAID = {**dict.fromkeys(COMMON, "same"), "keys": {"token.key": "f"}}


def answers(url: str = "http://a", **changed: Any) -> Answers:
    members: dict[str, Any] = {"url": url, "colour": "green", "not_ready": {}, "warnings": {}, "workers": {"w1": SAID}}
    return Answers(**{**members, **changed})


@pytest.mark.parametrize(
    ("changed", "colour"),
    [
        ({}, GREEN),
        ({"warnings": {"backlog": "too low"}}, AMBER),
        ({"colour": "amber", "not_ready": {"postgresql": "away"}}, AMBER),
        ({"colour": "red", "not_ready": {"redis": "away"}}, RED),
    ],
)
def test_a_node_is_as_ready_as_it_says(changed: dict[str, Any], colour: Colour) -> None:
    assert judge_readiness(answers(**changed)).colour is colour


def test_workers_that_were_not_met_are_told() -> None:
    assert judge_workers("http://a", 1, 1).colour is GREEN
    assert judge_workers("http://a", 1, 2).colour is AMBER


def test_a_worker_that_hangs_or_says_nothing_of_itself_is_red() -> None:
    assert judge_hung("http://a", 1).colour is RED
    assert judge_mute("http://a", "404 not_found").colour is RED


def test_everything_that_readiness_names_has_words_in_chinese() -> None:
    """What is added there is added here."""
    names = set(listening.warnings(backlog=2**31, keep_alive_s=0)) | {"worker", "clock", "role", "open_files"}
    text = (ROOT / "engine" / "readiness.py").read_text("utf-8")
    names |= set(re.findall(r'"([a-z]+)": self\._', text)) | set(re.findall(r'self\.warnings\["([a-z]+)"\] =', text))

    assert len(names) > 9
    assert names == set(READINESS)


@pytest.mark.parametrize(("told", "colour"), [(True, GREEN), (False, AMBER), (None, AMBER)])
def test_a_machine_whose_clock_nobody_keeps_right_is_told(told: bool | None, colour: Colour) -> None:
    """All parts may agree, and all start the exam a minute late."""
    kept = {**SAID, "machine": "m1", "clock_synchronised": True}
    free = {**SAID, "machine": "m2", "clock_synchronised": told}
    [finding] = judge_synchronised([answers(workers={"w1": kept}), answers("http://b", workers={"w2": free})])

    assert finding.colour is colour
    assert judge_synchronised([answers()]) == []


def test_an_address_without_an_engine_is_red_unless_the_engine_is_only_not_up() -> None:
    assert judge_silence("http://a", "refused").colour is RED
    assert judge_port("http://a", "").colour is AMBER
    assert judge_port("http://a", "address already in use").colour is RED
    assert judge_port_in_use("http://a").colour is GREEN


@pytest.mark.parametrize("name", [*(name for name in COMMON if name != "keys"), "token.key"])
def test_a_worker_that_differs_in_anything_common_is_red(name: str) -> None:
    """One node that missed an upgrade cost 380,000 people their exam."""
    changed = {"keys": {"token.key": "other"}} if name == "token.key" else {name: "other"}
    other = answers("http://b", workers={"w2": {**SAID, **changed}})
    found = judge_equal([answers(), other], {})

    assert [(finding.colour, finding.subject) for finding in found] == [(RED, name)]
    assert "http://b#w2" in found[0].en


def test_workers_that_are_alike_are_green_unless_this_checkout_is_another() -> None:
    both = [answers(), answers("http://b")]

    assert [finding.colour for finding in judge_equal(both, {"version": "same"})] == [GREEN]
    assert [finding.colour for finding in judge_equal(both, {"version": "newer"})] == [RED]
    assert judge_equal([answers(workers={})], {}) == []
    assert judge_unattested().colour is AMBER


def test_a_node_that_hands_out_another_paper_is_red() -> None:
    assert judge_sealed("http://a", 2, []).colour is GREEN
    assert judge_sealed("http://a", 2, ["0123… other bytes"]).colour is RED


def test_a_canary_is_red_when_it_did_not_come_back_and_amber_when_it_was_not_sent() -> None:
    back = {"batch_id": "C", "step": "result", "fault": "", "score": 70, "seconds": 5.1}

    def lost(step: str) -> Finding:
        return judge_canary("http://a", {**back, "step": step, "fault": "409"})

    assert judge_canary("http://a", back).colour is GREEN
    assert {lost(step).colour for step in STEPS} == {RED}
    assert "启封" in lost("arm").zh
    assert judge_no_canary("没有密钥", "no keys").colour is AMBER
