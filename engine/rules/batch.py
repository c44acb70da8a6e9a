"""Reads a batch as the scheduling system pushed it; every fault is listed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from engine.rules.calendar import Warned
from engine.rules.errors import Invalid
from engine.rules.limits import (
    ADMISSION_CODE_PATTERN,
    ASSESSORS_MAX,
    DURATION_S_MAX,
    FORMS_MAX,
    ID_PATTERN,
    INSTANT_MS_MAX,
    RULE_S_MAX,
    RULE_WORKDAYS_MAX,
    TITLE_CHARACTERS_MAX,
)
from engine.rules.marking import json_number
from engine.rules.photo import PHOTOS
from engine.rules.shape import Faults, Members
from engine.rules.terms import Batch, Rules

SUBJECTS = ("theory", "skill", "review")
KINDS = ("formal", "mock", "device_check")
RELEASES = ("graded", "approved")
TAKEOVERS = ("free", "silent", "proctor")
_AN_ID = "1 to 64 characters of A-Z a-z 0-9 . _ -"
_PASS_MARK_DECIMALS_MAX = 2  # it is compared with a score of two decimals
_TOLERANCE_DECIMALS_MAX = 4  # a share of points that have as many
_IN_WORDS = {_PASS_MARK_DECIMALS_MAX: "two", _TOLERANCE_DECIMALS_MAX: "four"}
REVIEW_ASSESSORS = 3  # who score a comprehensive review
MOCK_CHECK_IN_BEFORE_S = 1800  # mock exams open half an hour before
_DEFAULTS = Rules()


def read_batch(batch_id: str, document: Any, now_ms: int, known_papers: Collection[str] | None = None) -> Batch:
    """Takes what `exact_json.decode` gave. Raises Invalid `batch.invalid`, each fault at its pointer.

    With `known_papers` given, the batch's paper must be among them.
    """
    faults = Faults()
    members = Members(document, "", faults)
    kind = members.take_choice("kind", KINDS)
    subject = members.take_choice("subject", SUBJECTS)
    batch = Batch(
        batch_id=batch_id,
        title=members.take_text("title", TITLE_CHARACTERS_MAX),
        occupation=members.take_text("occupation", TITLE_CHARACTERS_MAX),
        level=members.take_integer("level", 1, 5),
        subject=subject,
        kind=kind,
        paper_id=None if members.has("papers") else members.take_pattern("paper_id", ID_PATTERN, _AN_ID),
        papers=_read_papers(members, known_papers) if members.has("papers") else None,
        admission_code=members.take_pattern(
            "admission_code",
            ADMISSION_CODE_PATTERN,
            "1 to 32 characters of A-Z 0-9",
        ),
        starts_ms=members.take_integer("starts_ms", 0, INSTANT_MS_MAX),
        duration_s=members.take_integer("duration_s", 1, DURATION_S_MAX),
        rules=_read_rules(members, kind, subject),
    )
    if known_papers is not None and batch.paper_id and batch.paper_id not in known_papers:
        members.fault("paper_id", "expected a paper that has been pushed")
    members.finish()
    _check_relations(batch, now_ms, faults)
    if faults:
        raise Invalid("batch.invalid", faults.listed, errors_total=faults.total)
    return batch


def show_batch(batch: Batch) -> dict[str, Any]:
    """The batch as JSON, in API.md's names, every rule spelled out, with its paper or papers as they were pushed."""
    shown: dict[str, Any] = msgspec.to_builtins(batch, builtin_types=(Decimal,))
    del shown["papers" if batch.papers is None else "paper_id"]
    for name in ("pass_mark", "second_marking_tolerance"):
        shown["rules"][name] = json_number(shown["rules"][name])
    return shown


def _read_rules(batch: Members, kind: str, subject: str) -> Rules:
    members = Members(batch.take("rules", {}), batch.at("rules"), batch.faults)
    check_in_before_s = MOCK_CHECK_IN_BEFORE_S if kind == "mock" else _DEFAULTS.check_in_before_s
    assessors = REVIEW_ASSESSORS if subject == "review" else _DEFAULTS.assessors
    rules = Rules(
        latest_entry_s=members.take_integer("latest_entry_s", 0, RULE_S_MAX, _DEFAULTS.latest_entry_s),
        earliest_submit_s=members.take_integer("earliest_submit_s", 0, RULE_S_MAX, _DEFAULTS.earliest_submit_s),
        warn_before_end_s=members.take_integer("warn_before_end_s", 0, RULE_S_MAX, _DEFAULTS.warn_before_end_s),
        check_in_before_s=members.take_integer("check_in_before_s", 0, RULE_S_MAX, check_in_before_s),
        grace_s=members.take_integer("grace_s", 0, RULE_S_MAX, _DEFAULTS.grace_s),
        pass_mark=_read_number(members, "pass_mark", 100, _PASS_MARK_DECIMALS_MAX, _DEFAULTS.pass_mark),
        shuffle_items=members.take_boolean("shuffle_items", _DEFAULTS.shuffle_items),
        shuffle_options=members.take_boolean("shuffle_options", _DEFAULTS.shuffle_options),
        release=members.take_choice("release", RELEASES, _DEFAULTS.release),
        takeover=members.take_choice("takeover", TAKEOVERS, _DEFAULTS.takeover),
        allow_copy=members.take_boolean("allow_copy", _DEFAULTS.allow_copy),
        photo=members.take_choice("photo", PHOTOS, _DEFAULTS.photo),
        assessors=members.take_integer("assessors", 0, ASSESSORS_MAX, assessors),
        second_marking=members.take_boolean("second_marking", _DEFAULTS.second_marking),
        second_marking_tolerance=_read_number(
            members, "second_marking_tolerance", 1, _TOLERANCE_DECIMALS_MAX, _DEFAULTS.second_marking_tolerance
        ),
        publication_days=members.take_integer("publication_days", 0, RULE_WORKDAYS_MAX, _DEFAULTS.publication_days),
        review_answer_days=members.take_integer(
            "review_answer_days", 0, RULE_WORKDAYS_MAX, _DEFAULTS.review_answer_days
        ),
    )
    members.finish()
    return rules


def papers_warnings(batch: Batch, papers: Mapping[str, tuple[int, Decimal]]) -> list[Warned]:
    """Where the forms of a batch are not alike; `papers`: id -> (items, points). Scores scale to 100 all the same."""
    sizes = [papers[paper_id] for paper_id in batch.papers or ()]
    if len(set(sizes)) < 2:
        return []
    told = ", ".join(f"{paper_id} {items} items, {points:f} points" for paper_id, (items, points) in papers.items())
    return [Warned("papers.differ", f"the batch's papers differ in size: {told}")]


def _read_papers(batch: Members, known_papers: Collection[str] | None) -> tuple[str, ...]:
    """Several papers instead of one, in the order of their forms."""
    papers: list[str] = []
    for at, paper_id in enumerate(batch.take_list("papers", 1, FORMS_MAX)):
        pointer = f"{batch.at('papers')}/{at}"
        if not isinstance(paper_id, str) or not ID_PATTERN.fullmatch(paper_id):
            batch.faults.add(pointer, f"expected {_AN_ID}", paper_id)
        elif paper_id in papers:
            batch.faults.add(pointer, "expected each paper once", paper_id)
        elif known_papers is not None and paper_id not in known_papers:
            batch.faults.add(pointer, "expected a paper that has been pushed", paper_id)
        else:
            papers.append(paper_id)
    if batch.has("paper_id"):
        batch.take("paper_id")
        batch.fault("paper_id", "expected either `paper_id` or `papers`")
    return tuple(papers)


def _read_number(rules: Members, name: str, largest: int, decimals_max: int, default: Decimal) -> Decimal:
    value = rules.take(name, default)
    number = Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else Decimal(-1)
    if not 0 <= number <= largest or number != round(number, decimals_max):
        rules.fault(name, f"expected a number from 0 to {largest} with at most {_IN_WORDS[decimals_max]} decimals")
        return default
    return number


def _check_relations(batch: Batch, now_ms: int, faults: Faults) -> None:
    """Between members that are sound by themselves: a batch with other faults still hears of these."""
    at_fault = {fault["pointer"] for fault in faults.listed}
    _check_assessors(batch, at_fault, faults)
    if at_fault & {"", "/rules", "/duration_s"}:
        return
    if "/rules/earliest_submit_s" not in at_fault and batch.rules.earliest_submit_s >= batch.duration_s:
        message = f"expected less than duration_s ({batch.duration_s}): nobody could hand in"
        faults.add("/rules/earliest_submit_s", message, batch.rules.earliest_submit_s)
    closes_ms = batch.ends_ms + batch.rules.grace_s * 1000
    if not at_fault & {"/starts_ms", "/rules/grace_s"} and closes_ms <= now_ms:
        message = f"the window is in the past: it closes at {closes_ms} ms, it is {now_ms} ms"
        faults.add("/starts_ms", message, batch.starts_ms)


def _check_assessors(batch: Batch, at_fault: set[str], faults: Faults) -> None:
    if at_fault & {"", "/rules", "/subject", "/rules/assessors", "/rules/second_marking"}:
        return
    assessors = batch.rules.assessors
    if batch.subject == "theory" and assessors:
        faults.add("/rules/assessors", "expected 0: theory is scored by its paper, item by item", assessors)
    if assessors > 1 and batch.rules.second_marking:
        message = f"expected false: {assessors} assessors score every sitting already"
        faults.add("/rules/second_marking", message, batch.rules.second_marking)
