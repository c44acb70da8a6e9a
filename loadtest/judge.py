"""Settles the rehearsal's account: what candidates know for certain against what the engine delivers. Pure.

Promise: any acknowledged answer that is missing, older or altered, any score, mark, state, receipt or signature that
is wrong, and any count that does not add up makes the verdict fail, and is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from loadtest.journal import Change
from loadtest.ledger import Ledger
from loadtest.marking import Marked, exact, mark_paper, round_half_up
from loadtest.receipts import is_signed, responses_digest

COUNTED_STATES = ("expected", "checked_in", "in_progress", "submitted", "collected", "absent", "void")
FAULTS_NAMED_MAX = 50


@dataclass(frozen=True)
class Exam:
    """What was pushed: the paper with its answers, and the digest it must have."""

    batch_id: str
    paper: Mapping[str, Any]
    paper_digest: str
    pass_mark: int


@dataclass(frozen=True)
class Pulled:
    """What the scorers' side delivered: batch status, results twice, `{sitting_id: {item: response}}`, public keys."""

    batch: Mapping[str, Any]
    pages: list[dict[str, Any]]
    ndjson: list[dict[str, Any]]
    responses: Mapping[str, Mapping[str, Any]]
    public_keys: Mapping[str, str]


@dataclass
class Verdict:
    """Every number but the first six must be 0 for the verdict to hold.

    `undelivered`: changes that nobody had acknowledged when their candidate left. The engine may hold them or not; what
    it acknowledged before or after is not among them, and is lost if it is missing.
    """

    candidates: int = 0
    submitted: int = 0
    collected: int = 0
    absent: int = 0
    graded: int = 0
    undelivered: int = 0
    lost: int = 0  # acknowledged answers that are missing, older than acknowledged, or altered
    foreign: int = 0  # stored responses that nobody sent
    wrong_scores: int = 0
    wrong_marks: int = 0
    wrong_states: int = 0
    bad_receipts: int = 0
    bad_signatures: int = 0
    disagreeing_results: int = 0  # pages and NDJSON differ
    failed_candidates: int = 0  # kept out, or stopped by an answer no client can go on from
    faults: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not any(getattr(self, name) for name in FAILURES)

    def fault(self, name: str, text: str, count: int = 1) -> None:
        """Count `count` failures under `name`; the first FAULTS_NAMED_MAX are kept in words."""
        setattr(self, name, getattr(self, name) + count)
        if len(self.faults) < FAULTS_NAMED_MAX:
            self.faults.append(f"{name}: {text}")


FAILURES = (
    "lost",
    "foreign",
    "wrong_scores",
    "wrong_marks",
    "wrong_states",
    "bad_receipts",
    "bad_signatures",
    "disagreeing_results",
    "failed_candidates",
)


def judge(exam: Exam, ledgers: Iterable[Ledger], pulled: Pulled) -> Verdict:
    """Compare everything with everything; never raises on what the engine delivered."""
    verdict = Verdict()
    by_candidate = _results_by_candidate(pulled, verdict)
    for ledger in ledgers:
        verdict.candidates += 1
        for failure in ledger.failures:
            verdict.fault("failed_candidates", f"{ledger.candidate_id}: {failure}")
        verdict.undelivered += ledger.unsent + sum(not change.acknowledged for change in ledger.changes)
        result = by_candidate.pop(ledger.candidate_id, None)
        if ledger.entered:
            _judge_entered(exam, ledger, result, pulled, verdict)
        else:
            _judge_absent(ledger, result, verdict)
    for stranger in by_candidate:
        verdict.fault("wrong_states", f"a result for {stranger!r}, who is not on the roster")
    _judge_counts(pulled.batch, verdict)
    return verdict


def _results_by_candidate(pulled: Pulled, verdict: Verdict) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for result in pulled.pages:
        candidate_id = result.get("candidate_id", "")
        if candidate_id in found:
            verdict.fault("wrong_states", f"{candidate_id} has two results")
        found[candidate_id] = result
        verdict.graded += result.get("state") == "graded"
        if not is_signed(result, pulled.public_keys):
            verdict.fault("bad_signatures", f"{candidate_id}: the result's signature does not hold")
    lines = {result.get("sitting_id"): result for result in pulled.ndjson}
    pages = {result.get("sitting_id"): result for result in pulled.pages}
    differing = sum(lines.get(sitting_id) != pages.get(sitting_id) for sitting_id in lines.keys() | pages.keys())
    if differing or len(pulled.ndjson) != len(pulled.pages):
        count = max(differing, abs(len(pulled.ndjson) - len(pulled.pages)))
        verdict.fault("disagreeing_results", f"{count} results differ between pages and NDJSON", count)
    return found


def _judge_absent(ledger: Ledger, result: dict[str, Any] | None, verdict: Verdict) -> None:
    verdict.absent += 1
    if result is None or result.get("state") != "absent":
        found = "no result" if result is None else f"a result {result.get('state')!r}"
        verdict.fault("wrong_states", f"{ledger.candidate_id} never came and has {found}")
    elif result.get("score") or result.get("passed"):
        verdict.fault("wrong_scores", f"{ledger.candidate_id} never came and scored {result.get('score')}")


def _judge_entered(exam: Exam, ledger: Ledger, result: dict[str, Any] | None, pulled: Pulled, verdict: Verdict) -> None:
    stored = pulled.responses.get(ledger.sitting_id, {})
    values = judge_responses(ledger, stored, verdict)
    marked = mark_paper(exam.paper, values)
    _judge_marks(exam, ledger.candidate_id, stored, marked, verdict)
    _judge_receipts(exam, ledger, stored, pulled.public_keys, verdict)
    if result is None:
        verdict.fault("wrong_states", f"{ledger.candidate_id} has no result")
        return
    expected_state = "pending_assessor" if marked.pending else "graded"
    if result.get("state") != expected_state or result.get("sitting_id") != ledger.sitting_id:
        found = f"{result.get('state')} for sitting {result.get('sitting_id')}"
        verdict.fault("wrong_states", f"{ledger.candidate_id}: {found}, not {expected_state} for {ledger.sitting_id}")
    _judge_score(exam, result, marked, verdict)


def judge_responses(ledger: Ledger, stored: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
    """Check every item; returns the values that count: what is stored, or what was promised where it is wrong."""
    by_item: dict[str, list[Change]] = {}
    for change in ledger.changes:
        by_item.setdefault(change.item, []).append(change)
    values = {}
    for item in by_item.keys() | stored.keys():
        changes, response = by_item.get(item, []), stored.get(item)
        acknowledged = [change for change in changes if change.acknowledged]
        newest = max(acknowledged, key=lambda change: change.seq, default=None)
        if _is_kept(changes, newest, response):
            values[item] = response["value"] if response else None
            continue
        where = f"{ledger.candidate_id} item {item}: stored {_shown(response)}"
        if newest is None:
            verdict.fault("foreign", f"{where}, nothing of it was acknowledged")
        else:
            verdict.fault("lost", f"{where}, acknowledged was seq {newest.seq} {newest.value!r}")
            values[item] = newest.value
    return values


def _is_kept(changes: list[Change], newest: Change | None, response: Mapping[str, Any] | None) -> bool:
    """Whether the stored response is the newest acknowledged change, or one sent later without acknowledgement."""
    if response is None:
        return newest is None
    seq = response.get("seq")
    if not isinstance(seq, int):
        return False
    if newest is not None and seq <= newest.seq:
        return seq == newest.seq and same_value(response.get("value"), newest.value)
    sent = (change for change in changes if change.seq == seq)
    return any(same_value(response.get("value"), change.value) for change in sent)


def same_value(one: Any, other: Any) -> bool:
    """Equality of JSON values: 1 and 1.0 are the same number, true is not 1."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_value, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _judge_marks(exam: Exam, candidate_id: str, stored: Mapping[str, Any], marked: Marked, verdict: Verdict) -> None:
    points = {item["id"]: item["points"] for section in exam.paper["sections"] for item in section["items"]}
    for item, response in stored.items():
        own = marked.marks.get(item)
        if own is None:
            continue
        if _number(response.get("mark")) != round_half_up(own, 4) or not _same(response.get("points"), points[item]):
            found = f"{response.get('mark')} of {response.get('points')}"
            verdict.fault("wrong_marks", f"{candidate_id} item {item}: {found}, not {own} of {points[item]}")


def _judge_score(exam: Exam, result: dict[str, Any], marked: Marked, verdict: Verdict) -> None:
    wrong = []
    if _number(result.get("score")) != marked.score:
        wrong.append(f"score {result.get('score')}, not {marked.score}")
    passed = None if marked.score is None else marked.score >= exam.pass_mark
    if result.get("passed") is not passed:
        wrong.append(f"passed {result.get('passed')}, not {passed}")
    sections = {section.get("id"): _number(section.get("score")) for section in result.get("sections") or []}
    if not marked.pending and sections != marked.sections:
        wrong.append(f"sections {sections}, not {marked.sections}")
    if not _section_points_hold(exam.paper, result.get("sections") or []):
        wrong.append("points of the sections differ from the paper's")
    if result.get("paper_digest") != exam.paper_digest:
        wrong.append(f"paper_digest {result.get('paper_digest')}, not {exam.paper_digest}")
    if wrong:
        verdict.fault("wrong_scores", f"{result.get('candidate_id')}: " + "; ".join(wrong))


def _section_points_hold(paper: Mapping[str, Any], sections: list[dict[str, Any]]) -> bool:
    own = {s["id"]: sum((exact(item["points"]) for item in s["items"]), Fraction(0)) for s in paper["sections"]}
    found = {section.get("id"): _number(section.get("points")) for section in sections}
    return own == found


def _judge_receipts(
    exam: Exam, ledger: Ledger, stored: Mapping[str, Any], public_keys: Mapping[str, str], verdict: Verdict
) -> None:
    if not ledger.receipts:
        verdict.fault("bad_receipts", f"{ledger.candidate_id} entered and has no receipt")
        return
    last = ledger.receipts[-1]
    if last.get("state") == "submitted":
        verdict.submitted += 1
    elif last.get("state") == "collected":
        verdict.collected += 1
    else:
        verdict.fault("wrong_states", f"{ledger.candidate_id}: a receipt of state {last.get('state')!r}")
    wrong = _receipt_faults(exam, ledger, last, stored)
    if not is_signed(last, public_keys):
        wrong.append("the signature does not hold")
    if any(receipt != last for receipt in ledger.receipts):
        wrong.append("a later receipt differs from the first")
    if wrong:
        verdict.fault("bad_receipts", f"{ledger.candidate_id}: " + "; ".join(wrong))


def _receipt_faults(exam: Exam, ledger: Ledger, receipt: dict[str, Any], stored: Mapping[str, Any]) -> list[str]:
    expected = {
        "sitting_id": ledger.sitting_id,
        "batch_id": exam.batch_id,
        "answered": sum(response.get("value") is not None for response in stored.values()),
        "items": sum(len(section["items"]) for section in exam.paper["sections"]),
        "digest": responses_digest(stored),
    }
    return [f"{name} {receipt.get(name)}, not {own}" for name, own in expected.items() if receipt.get(name) != own]


def _judge_counts(batch: Mapping[str, Any], verdict: Verdict) -> None:
    if batch.get("state") != "graded":
        verdict.fault("wrong_states", f"the batch is {batch.get('state')!r}, not graded")
    counts = batch.get("counts") or {}
    total = sum(counts.get(state, 0) for state in COUNTED_STATES)
    if counts.get("rostered") != verdict.candidates or total != verdict.candidates:
        verdict.fault("wrong_states", f"{verdict.candidates} candidates, but the counts are {dict(counts)}")
    own = Counter(submitted=verdict.submitted, collected=verdict.collected, absent=verdict.absent)
    for state, count in own.items():
        if counts.get(state) != count:
            text = f"the batch counts {counts.get(state)} {state}, the candidates {count}"
            verdict.fault("wrong_states", text, abs((counts.get(state) or 0) - count) or 1)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _same(found: Any, own: Any) -> bool:
    number = _number(found)
    return number is not None and exact(number) == exact(own)


def _shown(response: Mapping[str, Any] | None) -> str:
    return "nothing" if response is None else f"seq {response.get('seq')} {response.get('value')!r}"
