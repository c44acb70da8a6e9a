"""One phase on the report's page: what was judged, how long calls took, which errors there were."""

from __future__ import annotations

from loadtest.sizing import charts, figures, words
from loadtest.sizing.markup import Child, Markup, row, table, tag
from loadtest.sizing.outcome import Criterion, Latency, Outcome, PhaseOutcome, Text
from loadtest.sizing.standing import void_because, why

_LOOPS = ("save", "save_intended")
_LOOP_NAMES = (
    Text(zh="闭环：自发出起", en="closed loop: from sending"),
    Text(zh="开环：自应发时刻起", en="open loop: from when it was due"),
)
_CURVE_MIN = 20  # calls; fewer make no curve
_QUANTILES = ("p50", "p99", "p99.9")


def from_to(begins_s: float, ends_s: float) -> Text:
    begins, ends = figures.span(begins_s), figures.span(ends_s)
    return Text(zh=f"{begins} 至 {ends}", en=f"{begins} to {ends}")


def phase_section(number: int, phase: PhaseOutcome, outcome: Outcome) -> Markup:
    begins, ends = ((at - outcome.starts_ms) / 1000 for at in (phase.from_ms, phase.until_ms))
    void = Text(zh="本阶段无效：", en="Void, nothing counts here: ")
    return tag(
        "section",
        tag(
            "h2",
            f"{number} ",
            words.phase(phase.name),
            tag("small", f" {phase.name} · ", from_to(begins, ends)),
            id=f"phase-{number}",
        ),
        tag("p", tag("strong", void), void_because(phase), class_="warned") if phase.void else None,
        _criteria(phase),
        tag("div", _loops(phase), _curve(phase), class_="columns"),
        _operations(phase),
        class_="phase",
    )


def _criteria(phase: PhaseOutcome) -> Markup:
    if not phase.criteria:
        return tag("p", Text(zh="本阶段没有判定指标。", en="Nothing is judged in this phase."))
    heads: list[Child] = [
        Text(zh="指标", en="Criterion"),
        Text(zh="测得", en="Found"),
        Text(zh="限值", en="Limit"),
        Text(zh="用去", en="Used"),
        Text(zh="结论", en="Verdict"),
    ]
    rows = [_criterion(each, bool(phase.void)) for each in phase.criteria]
    return table(Text(zh="判定指标", en="Criteria"), heads, rows, numbers=(1, 2, 3))


def _criterion(each: Criterion, is_void: bool) -> Markup:
    if each.holds is None:
        told, kind = Text(zh="– 未判定", en="– not judged"), "unjudged"
    elif not each.holds:
        told, kind = Text(zh="✗ 未达标", en="✗ fails"), "fails"
    elif figures.is_near(each):
        told, kind = Text(zh="✓ 达标，接近限值", en="✓ holds, near its limit"), "near"
    else:
        told, kind = Text(zh="✓ 达标", en="✓ holds"), "holds"
    because = Text(zh=f"（{why(each).zh}）", en=f" ({each.why})") if each.why else None
    if is_void:
        told, kind = Text(zh=f"{told.zh}，不计入", en=f"{told.en}, does not count"), "soft"
    used = figures.used(each) if each.is_at_most else None
    limit = f"{'≤' if each.is_at_most else '≥'} {figures.in_unit(each.limit, each.unit)}"
    found = figures.in_unit(each.found, each.unit)
    return row(each.label, found, limit, figures.share(used), [told, because], numbers=(1, 2, 3), kind=kind)


def _loops(phase: PhaseOutcome) -> Markup:
    """What a closed loop sees beside what an open one does: where they part, candidates waited before they could
    send."""
    known = [phase.operations.get(name) for name in _LOOPS]
    if not any(known):
        return Markup()
    heads: list[Child] = [Text(zh="分位", en="Share"), *_LOOP_NAMES]
    names: list[Child] = [*_QUANTILES, Text(zh="最慢", en="slowest")]
    times = zip(*map(_times, known), strict=True)
    rows = [
        row(name, *map(figures.milliseconds, both), numbers=(1, 2)) for name, both in zip(names, times, strict=True)
    ]
    counts = [figures.number(one.count if one else None) for one in known]
    errors = [figures.number(one.errors if one else None) for one in known]
    rows.append(row(Text(zh="次数", en="how many"), *counts, numbers=(1, 2)))
    rows.append(row(Text(zh="错误", en="errors"), *errors, numbers=(1, 2)))
    title = Text(zh="保存至确认：闭环与开环", en="Save to acknowledged: closed and open loop")
    return table(title, heads, rows, numbers=(1, 2))


def _times(one: Latency | None) -> tuple[float | None, float | None, float | None, float | None]:
    return (one.p50_ms, one.p99_ms, one.p99_9_ms, one.max_ms) if one else (None, None, None, None)


def _curve(phase: PhaseOutcome) -> Markup:
    title = Text(
        zh="保存至确认：多少比例的调用在多长时间内（两轴均为对数）",
        en="Save to acknowledged: which share of calls took no longer than this (both axes logarithmic)",
    )
    lines = [
        charts.Drawn(label, _resolved(phase.operations[name]))
        for name, label in zip(_LOOPS, _LOOP_NAMES, strict=True)
        if name in phase.operations and phase.operations[name].count >= _CURVE_MIN
    ]
    return charts.percentiles(title, lines)


def _resolved(one: Latency) -> list[tuple[float, float]]:
    """Only as far as there are calls: of 80, no share beyond 79 of them tells more than the slowest does."""
    inner = [(share, value_ms) for share, value_ms in one.points if (1 - share) * one.count >= 1]
    return [*inner, (1 - 1 / one.count, one.max_ms)]


def _operations(phase: PhaseOutcome) -> Markup:
    others = {name: one for name, one in phase.operations.items() if name not in _LOOPS}
    if not others and not phase.error_kinds:
        return Markup()
    heads: list[Child] = [
        Text(zh="操作", en="Operation"),
        Text(zh="次数", en="How many"),
        Text(zh="错误", en="Errors"),
        *_QUANTILES,
        Text(zh="最慢", en="Slowest"),
    ]
    numbers = range(1, 7)
    rows = [
        row(
            words.operation(name),
            figures.number(one.count),
            figures.number(one.errors),
            *(figures.milliseconds(value) for value in _times(one)),
            numbers=numbers,
        )
        for name, one in sorted(others.items(), key=lambda other: words.place(other[0], words.OPERATIONS))
    ]
    shown = table(Text(zh="其他操作", en="Other operations"), heads, rows, numbers=numbers) if rows else None
    return tag("div", shown, _errors(phase))


def _errors(phase: PhaseOutcome) -> Markup:
    if not phase.error_kinds:
        return Markup()
    heads: list[Child] = [Text(zh="错误种类", en="Kind of error"), Text(zh="次数", en="How many")]
    found = sorted(phase.error_kinds.items(), key=lambda kind: -kind[1])
    rows = [row(kind, figures.number(count), numbers=(1,)) for kind, count in found]
    return table(Text(zh="错误", en="Errors"), heads, rows, numbers=(1,))
