"""The recheck of one published result: what a score review may look at, computed a second time from what is on record.

Never a judgement: nobody's answer is marked anew by other eyes. Responses are read from their newest values and from
the history of every accepted change, which have to agree; marks are computed item by item by `marking.py`, where
grading used a mark book; sums are added up again from the marks as they stand. A finding that is not `ok` names the
difference and changes nothing: a wrong key is for a regrade, anything else for people.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from msgspec import Struct

from engine.rules import exact_json
from engine.rules.assessing import WHOLE_SITTING_POINTS, assessors_needed, final_mark, verdict
from engine.rules.marking import AnswerKey, SittingMark, mark_sitting, passed
from engine.rules.terms import Rules

CHECKS = ("signature", "registration", "responses", "receipt", "missed_marks", "score", "tally", "events")
_SHOWN_MAX = 5  # offenders named in one finding; all are counted
_ROUNDED = Fraction(1, 20_000)  # how far a mark shown with four decimals may be from the exact one


class Finding(Struct, frozen=True):
    """What one check found, in English and in Chinese."""

    check: str
    ok: bool
    detail: str
    detail_zh: str


class Evidence(Struct, frozen=True, kw_only=True):
    """All that is on record of one result; instants in Unix ms, values as JSON text."""

    document: dict[str, Any]  # the result as published, numbers exact
    is_signed: bool
    state: str  # of the sitting
    closed_ms: int | None
    extra_time_s: int
    registered: dict[str, str]  # what the document has to say: sitting_id, candidate_id, admission_ticket, paper_digest
    answer_keys: dict[str, str]  # digest -> since when it holds: "arming", or a regrade's id
    answer_key: AnswerKey | None  # the one that the document names
    marks: dict[str, Any]  # item -> {mark, points}
    responses: dict[str, tuple[int, str]]  # item -> (seq, value)
    history: list[tuple[str, int, str, int]]  # (item, seq, value, saved_ms)
    events: list[tuple[str, int]]  # (kind, at_ms)
    room_events: list[tuple[str, int | None]]  # (kind, away_ms)
    assessed: dict[str, Fraction] | None  # item -> points that assessors gave; None while a mark is missing
    panel: tuple[Decimal, ...]  # marks of those who score the whole sitting
    rules: Rules
    receipt: dict[str, Any] | None
    is_receipt_signed: bool

    @property
    def has_sat(self) -> bool:
        return self.document["state"] not in ("absent", "void")


def recheck(evidence: Evidence) -> list[Finding]:
    """Every check, in the order of CHECKS."""
    return [
        _signature(evidence),
        _registration(evidence),
        _responses(evidence),
        _receipt(evidence),
        _missed_marks(evidence),
        _score(evidence),
        _tally(evidence),
        _events(evidence),
    ]


def unreadable(fault: str) -> list[Finding]:
    """What is said where something on record cannot even be read: no check passes, and engineers have to look."""
    detail = f"something on record cannot be read ({fault}): call the engineers, keep everything as it is"
    return [Finding(check, False, detail, f"有记录无法读取({fault}),请联系技术人员并保留现场") for check in CHECKS]


def erased() -> list[Finding]:
    """What is said where the answers were erased before the recheck: nothing can be compared with what is gone."""
    detail = "the answers of this batch were erased when their years were over: nothing was compared"
    return [Finding(check, False, detail, "本批次作答已在保存期满后删除,无法核对") for check in CHECKS]


def responses_digest(responses: Mapping[str, tuple[int, str]]) -> str:
    """A receipt's digest: hex SHA-256 of the RFC 8785 form of [[item, seq, value], …], sorted by item."""
    rows = (f'["{item}",{seq},{value}]' for item, (seq, value) in sorted(responses.items()))
    return hashlib.sha256(f"[{','.join(rows)}]".encode()).hexdigest()


# --- the document itself ---------------------------------------------------------------------------------------
def _signature(evidence: Evidence) -> Finding:
    if evidence.is_signed:
        return Finding("signature", True, "the result is signed as published", "成绩记录的数字签名有效,与发布时一致")
    return Finding("signature", False, "no published key signed this result as it stands", "成绩记录的数字签名无效")


def _registration(evidence: Evidence) -> Finding:
    document = evidence.document
    wrong = [name for name, value in evidence.registered.items() if document.get(name) != value]
    since = evidence.answer_keys.get(document["answer_key_digest"])
    if since is None:
        wrong.append("answer_key_digest")
    if wrong:
        names = ", ".join(wrong)
        return Finding(
            "registration", False, f"the result differs from what is registered in {names}", f"与登记信息不一致:{names}"
        )
    at = ("pinned at arming", "开考前封存") if since == "arming" else (f"of regrade {since}", f"重评 {since} 启用")
    return Finding(
        "registration",
        True,
        f"candidate, ticket and paper are the sitting's; answer key {document['answer_key_digest'][:12]}… {at[0]}",
        f"考生编号、准考证号、试卷与登记一致;答案 {document['answer_key_digest'][:12]}… 为{at[1]}的答案",
    )


# --- responses -------------------------------------------------------------------------------------------------
def newest_of(history: Sequence[tuple[str, int, str, int]]) -> dict[str, tuple[int, str]]:
    """item -> (seq, value) of the accepted change with the highest seq."""
    newest: dict[str, tuple[int, str]] = {}
    for item, seq, value, _ in history:
        if item not in newest or newest[item][0] < seq:
            newest[item] = (seq, value)
    return newest


def _responses(evidence: Evidence) -> Finding:
    newest = newest_of(evidence.history)
    # A PostgreSQL put back to an older state has its newest values again, and lacks steps between (`restored`).
    is_restored = any(kind == "restored" for kind, _ in evidence.events)
    differing: list[str] = []
    lacking: list[str] = []
    for item in sorted(evidence.responses.keys() | newest.keys()):
        stored, change = evidence.responses.get(item), newest.get(item)
        if stored == change:
            continue
        is_gap = is_restored and stored is not None and (change is None or change[0] < stored[0])
        (lacking if is_gap else differing).append(item)
    late = [item for item, _, _, saved_ms in evidence.history if evidence.closed_ms and saved_ms > evidence.closed_ms]
    count, changes = len(evidence.responses), len(evidence.history)
    if differing or (late and evidence.state == "submitted"):
        named = _named(differing or late)
        return Finding(
            "responses",
            False,
            f"responses and the history of changes differ in {named}"
            if differing
            else f"changed after the end: {named}",
            f"作答记录与保存历史不一致:{named}" if differing else f"交卷后仍有变更:{named}",
        )
    gap = f"; steps before a restored backup are missing for {_named(lacking)}" if lacking else ""
    gap_zh = f";数据恢复前的部分过程记录缺失:{_named(lacking)}" if lacking else ""
    return Finding(
        "responses",
        True,
        f"{count} responses, each the newest of {changes} accepted changes{gap}",
        f"共 {count} 题有作答记录,均为 {changes} 次保存中的最新值{gap_zh}",
    )


def _receipt(evidence: Evidence) -> Finding:
    digest = responses_digest(evidence.responses)
    from_history = responses_digest(newest_of(evidence.history))
    receipt = evidence.receipt
    if receipt is None:
        is_same = digest == from_history or any(kind == "restored" for kind, _ in evidence.events)
        return Finding(
            "receipt",
            is_same,
            f"none was shown; the digest of the responses is {digest}"
            + ("" if is_same else f", of the history {from_history}"),
            f"考生未出示交卷回执;作答摘要为 {digest}" + ("" if is_same else f",按保存历史计算为 {from_history}"),
        )
    if not evidence.is_receipt_signed or receipt.get("sitting_id") != evidence.registered["sitting_id"]:
        return Finding(
            "receipt", False, "the receipt shown is not one of this sitting", "所出示的回执不是本次考试签发的回执"
        )
    is_same = receipt.get("digest") == digest
    return Finding(
        "receipt",
        is_same,
        f"the receipt shown has digest {receipt.get('digest')}, the responses on record {digest}",
        f"考生出示的回执摘要为 {receipt.get('digest')},记录中的作答摘要为 {digest}",
    )


# --- marks -----------------------------------------------------------------------------------------------------
def _missed_marks(evidence: Evidence) -> Finding:
    check = "missed_marks"
    if not evidence.has_sat:
        return _nobody_sat(check)
    if evidence.rules.assessors:
        given = len(evidence.panel)
        needed = assessors_needed(evidence.panel, Decimal(WHOLE_SITTING_POINTS), evidence.rules)
        return Finding(
            check,
            given >= needed,
            f"{given} of {needed} assessors have marked",
            f"{needed} 名考评员中 {given} 名已评分",
        )
    if evidence.answer_key is None:
        return _no_key(check)
    items = {item.id for section in evidence.answer_key.sections for item in section.items}
    missing = sorted(items ^ evidence.marks.keys())
    without = sorted(item for item in items & evidence.marks.keys() if evidence.marks[item]["mark"] is None)
    if missing:
        return Finding(
            check, False, f"marks and items differ: {_named(missing)}", f"得分与试题不一一对应:{_named(missing)}"
        )
    if without:
        return Finding(check, False, f"not marked yet: {_named(without)}", f"尚未评分:{_named(without)}")
    return Finding(check, True, f"all {len(items)} items are marked", f"全部 {len(items)} 题均已评分,无漏评")


def _score(evidence: Evidence) -> Finding:
    check, document = "score", evidence.document
    if not evidence.has_sat:
        return _nobody_sat(check)
    if evidence.rules.assessors:
        found = verdict(evidence.panel, evidence.rules)
        score, is_pass = (None, None) if found is None else found
        return _same_score(document, score, is_pass, "the assessors' marks", "考评员评分")
    if evidence.answer_key is None:
        return _no_key(check)
    differing = []
    for source in (evidence.responses, newest_of(evidence.history)):
        marked = _marked(evidence, evidence.answer_key, source)
        differing += [
            item
            for item, mark in marked.items.items()
            if _shown(evidence.marks, item) != _exact(mark.points, mark.waits)
        ]
        if any(kind == "restored" for kind, _ in evidence.events):
            break  # the history alone does not have every value
    if differing:
        named = _named(sorted(set(differing)))
        return Finding(check, False, f"recomputed marks differ in {named}", f"重新计算的得分与记录不一致:{named}")
    marked = _marked(evidence, evidence.answer_key, evidence.responses)
    is_pass = None if marked.score is None else passed(marked.score, evidence.rules.pass_mark)
    return _same_score(document, marked.score, is_pass, "responses and answer key", "作答与答案")


def _marked(evidence: Evidence, key: AnswerKey, responses: Mapping[str, tuple[int, str]]) -> SittingMark:
    values = {item: exact_json.decode(value.encode()) for item, (_, value) in responses.items()}
    return mark_sitting(key, values, evidence.assessed or {})


def _same_score(
    document: Mapping[str, Any], score: Decimal | None, is_pass: bool | None, source: str, source_zh: str
) -> Finding:
    published = None if document["score"] is None else Decimal(document["score"])
    is_same = (published, document["passed"]) == (score, is_pass)
    return Finding(
        "score",
        is_same,
        f"published {published}, recomputed from {source} {score}",
        f"发布成绩 {_zh(published)},按{source_zh}重新计算为 {_zh(score)}",
    )


def _tally(evidence: Evidence) -> Finding:
    check, document = "tally", evidence.document
    if not evidence.has_sat:
        return _nobody_sat(check)
    if document["score"] is None:
        return Finding(check, True, "there is no score yet: an assessor is awaited", "尚无成绩:等待考评员评分")
    if evidence.rules.assessors:
        mean = final_mark(evidence.panel, Decimal(WHOLE_SITTING_POINTS), evidence.rules)
        is_same = mean is not None and abs(Fraction(Decimal(document["score"])) - mean) <= Fraction(1, 200)
        shown = "none" if mean is None else f"{float(mean):.4f}"
        return Finding(
            check,
            is_same,
            f"the assessors' marks come to {shown}",
            f"考评员评分合计为 {shown}",
        )
    if evidence.answer_key is None:
        return _no_key(check)
    wrong = list(_wrong_sums(evidence, evidence.answer_key))
    if wrong:
        return Finding(check, False, f"sums differ: {_named(wrong)}", f"合分不一致:{_named(wrong)}")
    sections = ", ".join(f"{each['id']} {each['score']}/{each['points']}" for each in document["sections"])
    return Finding(
        check,
        True,
        f"sections add up ({sections}), and to {document['score']}",
        f"各部分得分({sections})与总分 {document['score']} 合计无误",
    )


def _wrong_sums(evidence: Evidence, key: AnswerKey) -> Iterator[str]:
    """Sections, and the score, that do not follow from the marks as they are shown."""
    shown = {section["id"]: section for section in evidence.document["sections"]}
    earned = full = allowed = Fraction()
    if [section.id for section in key.sections] != list(shown):
        yield "sections"
        return
    for section in key.sections:
        marks = [evidence.marks.get(item.id, {"mark": None, "points": 0}) for item in section.items]
        points = [Fraction(mark["mark"] or 0) for mark in marks]
        rounded = sum(each.denominator > 1000 for each in points) * _ROUNDED
        if abs(sum(points, Fraction()) - Fraction(shown[section.id]["score"])) > rounded + _ROUNDED * bool(rounded):
            yield section.id
        if sum((Fraction(mark["points"]) for mark in marks), Fraction()) != Fraction(shown[section.id]["points"]):
            yield f"{section.id} (points)"
        earned, full, allowed = earned + sum(points), full + Fraction(shown[section.id]["points"]), allowed + rounded
    score = Fraction(Decimal(evidence.document["score"]))
    if not full or abs(earned / full * 100 - score) > Fraction(1, 200) + allowed / full * 100:
        yield "score"


def _shown(marks: Mapping[str, Any], item: str) -> Fraction | None:
    mark = marks.get(item, {"mark": None})["mark"]
    return None if mark is None else Fraction(mark)


def _exact(points: Fraction, waits: bool) -> Fraction | None:
    """As a mark is shown: to four decimals, half up; null while an assessor is awaited."""
    return None if waits else Fraction((points * 10_000 + Fraction(1, 2)).__floor__(), 10_000)


# --- what happened ---------------------------------------------------------------------------------------------
def _events(evidence: Evidence) -> Finding:
    counts = Counter(kind for kind, _ in evidence.events)
    room = Counter(kind for kind, _ in evidence.room_events)
    away_s = sum(away_ms or 0 for _, away_ms in evidence.room_events) // 1000
    ends = {"submitted": "submitted", "collected": "collected", "absent": "absent"}
    lacks = []
    if evidence.history and not counts["login"] and not counts["restored"]:
        lacks.append("login")
    if evidence.state in ends and not counts[ends[evidence.state]] and not counts["restored"]:
        lacks.append(ends[evidence.state])
    told = f"logins {counts['login']}, takeovers allowed {room['takeover_allowed']}, windows left {room['window_left']}"
    told += f" ({away_s} s away), extra time {evidence.extra_time_s} s"
    told_zh = (
        f"登录 {counts['login']} 次,监考允许换机 {room['takeover_allowed']} 次,离开考试窗口 {room['window_left']} 次"
    )
    told_zh += f"(累计 {away_s} 秒),补时 {evidence.extra_time_s} 秒"
    others = sorted((counts + room).keys() - {"login", "takeover_allowed", "window_left", "window_returned"})
    told += "; " + ", ".join(others) if others else ""
    told_zh += ";其他记录:" + "、".join(others) if others else ""
    if lacks:
        return Finding(
            "events", False, f"not on record: {_named(lacks)}; {told}", f"缺少记录:{_named(lacks)};{told_zh}"
        )
    return Finding("events", True, told, told_zh)


def _nobody_sat(check: str) -> Finding:
    return Finding(check, True, "nobody sat: nothing was marked", "缺考或作废,无需评分")


def _no_key(check: str) -> Finding:
    return Finding(check, False, "the answer key that the result names cannot be opened", "无法打开成绩所用的答案")


def _named(names: Sequence[str]) -> str:
    more = f" (+{len(names) - _SHOWN_MAX})" if len(names) > _SHOWN_MAX else ""
    return ", ".join(names[:_SHOWN_MAX]) + more


def _zh(score: Decimal | None) -> str:
    return "无" if score is None else str(score)
