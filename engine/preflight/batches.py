"""The batches of the coming days: armed, held by Redis as PostgreSQL has them, the roster unchanged? Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from engine.preflight.finding import Finding, amber, counted, green, named, red

BATCHES, PREPARED, ROSTER, ROSTER_LOG = "batches", "prepared", "roster", "roster_log"
ARMED_BEFORE_MS = 86_400_000  # a batch that starts sooner and is not armed is red
_DIGEST_CHARACTERS = 12
# What the calendar's warnings (rules/calendar.py) are in Chinese.
CALENDAR = {
    "calendar.not_joint_day": "不在联考周末",
    "calendar.start": "不是联考规定的开考时刻",
    "calendar.plan_late": "计划不足 10 个工作日",
    "calendar.staff_late": "派员不足 7 个工作日",
    "calendar.roster_late": "名单上传不足 10 个工作日",
    "calendar.resit_again": "一年内补考超过一次",
    "calendar.resit_same_weekend": "同一联考周末补考",
    "calendar.unknown_year": "不知道该年的节假日",
}

Fields = Mapping[str, bytes]


class Paper(Struct, frozen=True, kw_only=True):
    """One paper of a batch as arming would find it."""

    paper_id: str
    is_package: bool
    has_content: bool
    is_for_grader: bool  # its answers are sealed to the grader in use


class Coming(Struct, frozen=True, kw_only=True):
    """A batch that has not closed; `starts` is its start as people read it."""

    batch_id: str
    title: str
    starts_ms: int
    starts: str
    armed_ms: int | None
    sittings: int
    unseated: int
    papers: Sequence[Paper]
    warnings: Sequence[tuple[str, str]] = ()  # code and message
    is_over: bool = False


def judge_coming(batch: Coming, now_ms: int) -> Finding:
    """Red for what keeps it from being held, or from being checked tonight; amber for a draft later on."""
    zh = f"{batch.title}：{batch.starts}（北京时间）开考，{batch.sittings} 人"
    en = f"starts {batch.starts} (Beijing), {counted(batch.sittings, 'sitting')}"
    if batch.is_over:
        zh, en = f"{zh}；已经结束", f"{en}; it is over"
        return amber(BATCHES, zh, en, "检查批次号", "look at its id", subject=batch.batch_id)
    faults = _faults(batch)
    if faults:
        told_zh, told_en = "；".join(zh for zh, _ in faults), "; ".join(en for _, en in faults)
        do_zh, do_en = "由排考系统补推，再检查一次", "have the scheduling system push what is missing, look again"
        return red(BATCHES, f"{zh}；{told_zh}", f"{en}; {told_en}", do_zh, do_en, subject=batch.batch_id)
    if batch.armed_ms is None:
        zh, en = f"{zh}；未启封", f"{en}; not armed"
        do_zh, do_en = "两人见证启封，再检查一次", "arm it before two witnesses, look again"
        if batch.starts_ms - now_ms < ARMED_BEFORE_MS:
            return red(BATCHES, zh, en, do_zh, do_en, subject=batch.batch_id, may_be_accepted=True)
        return amber(BATCHES, zh, en, do_zh, do_en, subject=batch.batch_id)
    if batch.warnings:
        told_zh = "、".join(CALENDAR.get(code, code) for code, _ in batch.warnings)
        told_en = "; ".join(message for _, message in batch.warnings)
        zh, en = f"{zh}；已启封；日历提示：{told_zh}", f"{en}; armed; the calendar says: {told_en}"
        return amber(BATCHES, zh, en, "确认这是有意的", "make sure that this is meant", subject=batch.batch_id)
    return green(BATCHES, f"{zh}；已启封", f"{en}; armed", subject=batch.batch_id)


def judge_none_coming(days: int) -> Finding:
    zh, en = f"今后 {days} 天没有批次", f"no batch within {days} days"
    do_zh, do_en = "确认推送到的是这套系统", "make sure that batches are pushed to this deployment"
    return amber(BATCHES, zh, en, do_zh, do_en)


def judge_unknown_batch(batch_id: str) -> Finding:
    zh, en = "没有这个批次", "there is no such batch"
    return red(BATCHES, zh, en, "检查批次号", "look at its id", subject=batch_id)


def _faults(batch: Coming) -> list[tuple[str, str]]:
    found = []
    if not batch.sittings:
        found.append(("没有考生名单", "it has no roster"))
    if batch.unseated:
        found.append((f"{batch.unseated} 人没有考场或机位", f"{batch.unseated} candidates have no room or seat"))
    if batch.armed_ms is not None:
        return found  # what is sealed is sealed, whatever has become of the papers since
    if not batch.papers:
        found.append(("没有试卷", "it has no paper"))
    for paper in batch.papers:
        if not paper.has_content and not paper.is_package:
            found.append((f"试卷 {paper.paper_id} 没有内容", f"paper {paper.paper_id} has no content"))
        if not paper.is_for_grader:
            found.append(
                (f"试卷 {paper.paper_id} 的答案封给了别的 grader", f"paper {paper.paper_id} is for another grader")
            )
    return found


# --- prepared sittings ------------------------------------------------------------------------------------------


class Laid(Struct, frozen=True, kw_only=True):
    """An armed batch as both stores have it: by sitting the fields that arming lays, and faults of its papers."""

    batch_id: str
    expected: Mapping[str, Fields]  # from PostgreSQL
    found: Mapping[str, Fields]  # from Redis, the same names; empty where there is no hash
    astray: Sequence[str] = ()  # sittings that their login does not lead to
    undue: Sequence[str] = ()  # sittings that the closer would not look at
    paper_faults: Sequence[str] = ()
    papers: int = 1
    are_logins_checked: bool = True


def judge_prepared(laid: Laid) -> Finding:
    """Red unless each sitting lies in Redis as PostgreSQL has it and can be logged in to, and so do the papers."""
    missing = [sitting for sitting in laid.expected if not laid.found.get(sitting)]
    differing = {
        sitting: [name for name, value in wanted.items() if laid.found[sitting].get(name) != value]
        for sitting, wanted in laid.expected.items()
        if laid.found.get(sitting) and laid.found[sitting] != wanted
    }
    said = []
    if missing:
        said.append(
            (f"{len(missing)} 份应试不在 Redis：{named(missing)}", f"{len(missing)} not in Redis: {named(missing)}")
        )
    if differing:
        first, names = next(iter(differing.items()))
        said.append(
            (
                f"{len(differing)} 份与 PostgreSQL 不同，例如 {first} 的 {named(names)}",
                f"{len(differing)} differ from PostgreSQL, as {first} in {named(names)}",
            )
        )
    if laid.astray:
        told = named(laid.astray)
        said.append((f"{len(laid.astray)} 份无法登录：{told}", f"{len(laid.astray)} cannot be logged in to: {told}"))
    if laid.undue:
        told = named(laid.undue)
        said.append((f"{len(laid.undue)} 份到时不会收卷：{told}", f"{len(laid.undue)} would not be collected: {told}"))
    said += [(fault, fault) for fault in laid.paper_faults]
    if said:
        zh, en = "；".join(zh for zh, _ in said), "; ".join(en for _, en in said)
        do_zh, do_en = (
            "对该批次再次调用启封（重复调用是安全的），再检查一次",
            "repeat its arming call (that is safe), look again",
        )
        return red(PREPARED, zh, en, do_zh, do_en, subject=laid.batch_id)
    digest = digest_of(laid.expected)
    count = len(laid.expected)
    zh = f"{count} 份应试、{laid.papers} 份试卷在 Redis 中与 PostgreSQL 一致，摘要 {digest}"
    what = f"{counted(count, 'sitting')} and {counted(laid.papers, 'paper')}"
    en = f"{what} lie in Redis as in PostgreSQL, digest {digest}"
    if not laid.are_logins_checked:
        do_zh, do_en = "在有 login.key 的机器上检查", "look from a machine that has login.key"
        zh, en = f"{zh}；登录入口未检查", f"{en}; the ways in were not looked at"
        return amber(PREPARED, zh, en, do_zh, do_en, subject=laid.batch_id)
    return green(PREPARED, zh, en, subject=laid.batch_id)


def digest_of(sittings: Mapping[str, Fields]) -> str:
    """The beginning of the SHA-256 over all sittings in one order: short enough to be read out over a telephone."""
    ordered = [[sitting, sorted(fields.items())] for sitting, fields in sorted(sittings.items())]
    return hashlib.sha256(msgspec.msgpack.encode(ordered)).hexdigest()[:_DIGEST_CHARACTERS]


# --- the roster since arming ------------------------------------------------------------------------------------


class RosterChange(Struct, frozen=True, kw_only=True):
    """A push that changed the roster of an armed batch."""

    at: str
    key_id: str
    added: int
    changed: int
    removed: int


def judge_roster(batch_id: str, changes: Sequence[RosterChange], at_arming: int | None, sittings: int) -> Finding:
    """`at_arming`: the sittings that the batch's log says were armed; None where it says nothing.

    A change is red until somebody takes it on (`--accept roster:BATCH`): lists on doors were printed before it. One
    that no push explains is a check of its own, which nobody can accept.
    """
    added = sum(change.added - change.removed for change in changes)
    if at_arming is not None and at_arming + added != sittings:
        zh = f"启封时 {at_arming} 人，之后名单推送净增 {added} 人，现在却有 {sittings} 人：有绕过接口的改动"
        en = f"{at_arming} were armed and pushes added {added}, yet there are {sittings}: changed behind the API"
        do_zh, do_en = (
            "查明是谁改了数据库，再次推送完整名单",
            "find who changed the database, push the whole roster again",
        )
        return red(ROSTER_LOG, zh, en, do_zh, do_en, subject=batch_id)
    if changes:
        last = changes[-1]
        total = sum(change.changed for change in changes)
        zh = f"启封后名单改过 {len(changes)} 次（净增 {added}，更改 {total}），最近一次 {last.at}，密钥 {last.key_id}"
        times = counted(len(changes), "time")
        en = f"changed {times} since arming (net {added:+d}, {total} altered), last at {last.at} by key {last.key_id}"
        do_zh = f"看批次日志，重印考场名单，然后 --accept roster:{batch_id}"
        do_en = f"read the batch's log, print its rooms' lists again, then --accept roster:{batch_id}"
        return red(ROSTER, zh, en, do_zh, do_en, subject=batch_id, may_be_accepted=True)
    return green(
        ROSTER, f"启封后名单没有变过（{sittings} 人）", f"unchanged since arming ({sittings})", subject=batch_id
    )
