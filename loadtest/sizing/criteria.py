"""What may be asked of a phase, and how it is found in what was measured. Pure.

A criterion has a name, a label, a unit, and a function from the facts of a phase to the figure, or to a sentence that
says why there is none: then it is not judged, which is told, and never taken for held.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from loadtest.sizing import words
from loadtest.sizing.outcome import Criterion, Latency, Text, Traffic

Found = float | Text
NOTHING = Text("", "")
NOT_HERE = Text("引擎的进程不在本机", "the engine's processes are not on this machine")
BOTH_WAYS = Text(
    "此处上下行合并计数:这是一个上限,超过限值时说明不了什么",
    "both directions are counted as one here: an upper bound, which says nothing once it is over the limit",
)


class Facts(Struct, kw_only=True):
    """Of one phase. `numbers`: what was counted or timed once, by the criterion that asks for it."""

    name: str
    from_ms: int
    until_ms: int
    operations: Mapping[str, Latency] = {}
    errors: Mapping[str, int] = {}  # by operation/what
    traffic: Traffic | None = None
    why_no_traffic: Text = NOTHING
    is_both_ways: bool = False  # `traffic` tells both directions as one: an upper bound of each
    cpu: Mapping[str, float] = {}
    memory_mib: Mapping[str, float] = {}
    recorder_lag_s: float | None = None
    numbers: Mapping[str, float] = {}


class Rule(Struct, frozen=True):
    """`found` of what; at most the limit, or at least."""

    label: Text
    unit: str
    found: Callable[[Facts], Found]
    is_at_most: bool = True


def judged(facts: Facts, limits: Mapping[str, float]) -> list[Criterion]:
    """Every criterion that has a limit, in the order of the limits."""
    return [held_against(limit, CRITERIA[facts.name][name].found(facts), name, facts) for name, limit in limits.items()]


def held_against(limit: float, found: Found, name: str, facts: Facts) -> Criterion:
    """`found` of the criterion `name`, or why there is none, against its limit."""
    rule = CRITERIA[facts.name][name]
    told: dict[str, Any] = {"name": name, "label": rule.label, "limit": limit, "unit": rule.unit}
    told["is_at_most"] = rule.is_at_most
    if isinstance(found, Text):
        return Criterion(found=None, holds=None, why=found.en, why_zh=found.zh, **told)
    holds = found <= limit if rule.is_at_most else found >= limit
    if name == "line_share" and facts.is_both_ways and not holds:
        return Criterion(found=found, holds=None, why=BOTH_WAYS.en, why_zh=BOTH_WAYS.zh, **told)
    return Criterion(found=found, holds=holds, **told)


# --- how figures are found ---------------------------------------------------------------------------------------


def _time(operation: str, member: str, unit_ms: float = 1) -> Callable[[Facts], Found]:
    """`member` of its Latency: p50_ms, p99_ms, p99_9_ms, max_ms."""

    def find(facts: Facts) -> Found:
        one = facts.operations.get(operation)
        if one is None or not one.count:
            return _none(operation)
        return float(getattr(one, member)) / unit_ms

    return find


def _none(operation: str) -> Text:
    return Text(f"本阶段没有“{words.operation(operation).zh}”", f"no {operation} in this phase")


def _errors(facts: Facts) -> Found:
    return float(sum(facts.errors.values()))


def _refused(facts: Facts) -> Found:
    return float(sum(count for key, count in facts.errors.items() if "refused" in key.lower()))


def _skew_ms(facts: Facts) -> Found:
    one = facts.operations.get("key")
    if one is None or not one.count:
        return _none("key")
    return one.max_ms - one.points[0][1]


def _number(name: str) -> Callable[[Facts], Found]:
    def find(facts: Facts) -> Found:
        return facts.numbers.get(name, Text("未观测到", "it was not seen"))

    return find


def _line_share(facts: Facts) -> Found:
    if "line_share" in facts.numbers:
        return facts.numbers["line_share"]
    if facts.traffic is None:
        return facts.why_no_traffic if facts.why_no_traffic.en else Text("没有统计任何网卡", "no interface was counted")
    return max(facts.traffic.up_share, facts.traffic.down_share)


def _of_role(kind: str, role: str) -> Callable[[Facts], Found]:
    def find(facts: Facts) -> Found:
        return getattr(facts, kind).get(role, NOT_HERE)  # type: ignore[no-any-return]

    return find


def _recorder_lag_s(facts: Facts) -> Found:
    if facts.recorder_lag_s is None:
        return Text("引擎未提供 recorder_lag_seconds", "the engine shows no recorder_lag_seconds")
    return facts.recorder_lag_s


# --- what may be asked -------------------------------------------------------------------------------------------

ERRORS = Rule(Text("错误数", "errors"), "", _errors)
LINE = Rule(Text("占用带宽份额", "share of the line"), "of 1", _line_share)
LAG = Rule(Text("落库滞后", "recorder's lag"), "s", _recorder_lag_s)
CPU = Rule(Text("引擎CPU", "engine's CPU"), "cores", _of_role("cpu", "engine"))
MEMORY = Rule(Text("引擎内存", "engine's memory"), "MiB", _of_role("memory_mib", "engine"))
LATENCIES = {
    "save_p50_ms": Rule(Text("保存确认p50", "save acknowledged, p50"), "ms", _time("save", "p50_ms")),
    "save_p99_ms": Rule(Text("保存确认p99", "save acknowledged, p99"), "ms", _time("save", "p99_ms")),
    "save_p99_9_ms": Rule(Text("保存确认p99.9", "save acknowledged, p99.9"), "ms", _time("save", "p99_9_ms")),
    "intended_p50_ms": Rule(Text("自应发时刻p50", "since it was due, p50"), "ms", _time("save_intended", "p50_ms")),
    "intended_p99_ms": Rule(Text("自应发时刻p99", "since it was due, p99"), "ms", _time("save_intended", "p99_ms")),
    "intended_p99_9_ms": Rule(
        Text("自应发时刻p99.9", "since it was due, p99.9"), "ms", _time("save_intended", "p99_9_ms")
    ),
}
SAVING = {
    "saves_missing": Rule(
        Text("计划内未确认的保存份额", "saves planned and not acknowledged"), "of 1", _number("saves_missing")
    ),
    **LATENCIES,
}
WRITING = {"errors": ERRORS, **SAVING, "line_share": LINE, "recorder_lag_s": LAG, "cpu_engine": CPU}
CRITERIA: dict[str, dict[str, Rule]] = {
    "check_in": {
        "errors": ERRORS,
        "entered_missing": Rule(
            Text("开考时仍未完成签到", "not checked in at the start"), "", _number("entered_missing")
        ),
        "login_p99_ms": Rule(Text("登录p99", "login, p99"), "ms", _time("login", "p99_ms")),
        "line_share": LINE,
        "cpu_engine": CPU,
    },
    "paper": {
        "errors": ERRORS,
        "papers_missing": Rule(
            Text("开考时仍无密封试卷", "sealed papers not there at the start"), "", _number("papers_missing")
        ),
    },
    "start": {
        "errors": ERRORS,
        "keys_missing": Rule(Text("未收到密钥", "keys that did not come"), "", _number("keys_missing")),
        "key_last_ms": Rule(Text("最后一份密钥", "the last key"), "ms", _time("key", "max_ms")),
        "key_skew_ms": Rule(Text("开考时差", "between the first key and the last"), "ms", _skew_ms),
        **LATENCIES,
    },
    "steady": WRITING,
    "stress": WRITING,
    "reconnect": {
        **WRITING,
        "refused": Rule(Text("被拒连接", "connections refused"), "", _refused),
        "back_missing": Rule(Text("未恢复通道", "channels that did not come back"), "", _number("back_missing")),
        "reconnect_last_s": Rule(
            Text("最后恢复", "the last one back"), "s", _time("reconnect", "max_ms", unit_ms=1000)
        ),
    },
    "late": WRITING,
    "deadline": {
        "errors": ERRORS,
        **LATENCIES,
        "collected_s": Rule(
            Text("最后一份收卷回执(截止加宽限后)", "the last collected receipt, after end and grace"),
            "s",
            _time("closing", "max_ms", unit_ms=1000),
        ),
        "line_share": LINE,
        "recorder_lag_s": LAG,
    },
    "grading": {
        "errors": ERRORS,
        "grading_s": Rule(Text("评分用时", "all graded, after end and grace"), "s", _number("grading_s")),
    },
    "pull": {
        "errors": ERRORS,
        "pull_s": Rule(Text("取成绩用时", "all results pulled"), "s", _number("pull_s")),
    },
    "outside": {"errors": ERRORS},
    "exam": {
        "lost": Rule(Text("丢失答案", "answers lost"), "", _number("lost")),
        "wrong": Rule(Text("其他不符", "anything else that is wrong"), "", _number("wrong")),
        "line_share": LINE,
        "recorder_lag_s": LAG,
        "memory_engine_mib": MEMORY,
    },
}
