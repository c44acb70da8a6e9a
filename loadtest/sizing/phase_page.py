"""One phase on the report's page: what was judged, how long calls took, what went over the line and what it cost."""

from __future__ import annotations

from loadtest.sizing import charts, figures, words
from loadtest.sizing.markup import Child, Markup, row, table, tag
from loadtest.sizing.outcome import Criterion, Latency, Outcome, PhaseOutcome, Text, Traffic

MBYTE_READING = 8  # a tier written as `28 MB` and read as MByte/s is so many times as wide
_LOOPS = ("save", "save_intended")
_LOOP_NAMES = (
    Text(zh="闭环：自发出起", en="closed loop: from sending"),
    Text(zh="开环：自应发时刻起", en="open loop: from when it was due"),
)
_QUANTILES = ("p50", "p99", "p99.9")


def bandwidth_used(phase: PhaseOutcome) -> tuple[float | None, float | None]:
    return (phase.traffic.up_share, phase.traffic.down_share) if phase.traffic else (None, None)


def from_to(begins_s: float, ends_s: float) -> Text:
    begins, ends = figures.span(begins_s), figures.span(ends_s)
    return Text(zh=f"{begins} 至 {ends}", en=f"{begins} to {ends}")


def phase_section(number: int, phase: PhaseOutcome, outcome: Outcome) -> Markup:
    begins, ends = ((at - outcome.starts_ms) / 1000 for at in (phase.from_ms, phase.until_ms))
    void = Text(zh="本阶段无效：", en="Void, nothing counts here: ")
    return tag(
        "section",
        tag(
            "h2", f"{number} ", words.phase(phase.name), tag("small", " ", from_to(begins, ends)), id=f"phase-{number}"
        ),
        tag("p", tag("strong", void), phase.void, class_="warned") if phase.void else None,
        _criteria(phase),
        tag("div", _loops(phase), _curve(phase), class_="columns"),
        _operations(phase),
        tag("div", _traffic(phase.traffic), _cost(phase), class_="columns"),
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
    rows = [_criterion(each) for each in phase.criteria]
    return table(Text(zh="判定指标", en="Criteria"), heads, rows, numbers=(1, 2, 3))


def _criterion(each: Criterion) -> Markup:
    if each.holds is None:
        told, kind = Text(zh="– 未判定", en="– not judged"), "unjudged"
    elif not each.holds:
        told, kind = Text(zh="✗ 未达标", en="✗ fails"), "fails"
    elif figures.is_near(each):
        told, kind = Text(zh="✓ 达标，接近限值", en="✓ holds, near its limit"), "near"
    else:
        told, kind = Text(zh="✓ 达标", en="✓ holds"), "holds"
    why = f" ({each.why})" if each.why else None
    used = figures.used(each) if each.is_at_most else None
    limit = f"{'≤' if each.is_at_most else '≥'} {figures.in_unit(each.limit, each.unit)}"
    found = figures.in_unit(each.found, each.unit)
    return row(each.label, found, limit, figures.share(used), [told, why], numbers=(1, 2, 3), kind=kind)


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
        charts.Drawn(label, phase.operations[name].points)
        for name, label in zip(_LOOPS, _LOOP_NAMES, strict=True)
        if name in phase.operations
    ]
    return charts.percentiles(title, lines)


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
        for name, one in others.items()
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


def _traffic(traffic: Traffic | None) -> Markup:
    if traffic is None:
        return Markup()
    heads: list[Child] = [Text(zh="流量", en="Traffic"), Text(zh="上行", en="Up"), Text(zh="下行", en="Down")]
    ways = [
        (traffic.up_bytes, traffic.up_bytes_each, traffic.up_share),
        (traffic.down_bytes, traffic.down_bytes_each, traffic.down_share),
    ]
    rows = [
        row(Text(zh="总量", en="in all"), *(figures.amount(total) for total, _, _ in ways), numbers=(1, 2)),
        row(Text(zh="每位考生", en="per candidate"), *(figures.amount(each) for _, each, _ in ways), numbers=(1, 2)),
        row(
            Text(zh="占档位（按 Mbit/s）", en="of the tier, read as Mbit/s"),
            *(figures.share(part) for _, _, part in ways),
            numbers=(1, 2),
        ),
        row(
            Text(zh="占档位（按 MByte/s）", en="of the tier, read as MByte/s"),
            *(figures.share(part / MBYTE_READING) for _, _, part in ways),
            numbers=(1, 2),
        ),
    ]
    return table(Text(zh="线路流量（含各层包头）", en="Over the line, headers included"), heads, rows, numbers=(1, 2))


def _cost(phase: PhaseOutcome) -> Markup:
    """CPU and memory by role, the generators' own CPU, and how far the recorder was behind."""
    roles = sorted({*phase.cpu, *phase.memory_mib}, key=lambda name: -phase.cpu.get(name, 0.0))
    rows = [
        row(
            words.role(name),
            figures.share(phase.cpu.get(name)),
            f"{figures.number(phase.memory_mib[name])} MiB" if name in phase.memory_mib else figures.NONE,
            numbers=(1, 2),
        )
        for name in roles
    ]
    rows += [
        row(words.generator(name), figures.share(part), figures.NONE, numbers=(1, 2), kind="soft")
        for name, part in phase.generators.items()
    ]
    heads: list[Child] = [
        Text(zh="进程", en="Processes"),
        Text(zh="CPU（100 % 为一个核）", en="CPU (100 % is one core)"),
        Text(zh="内存", en="Memory"),
    ]
    lag = figures.milliseconds(phase.recorder_lag_max_s * 1000)
    behind = Text(zh=f"记录进程最多落后 {lag}。", en=f"The recorder was behind by {lag} at most.")
    shown = table(Text(zh="CPU 与内存", en="CPU and memory"), heads, rows, numbers=(1, 2)) if rows else None
    return tag("div", shown, tag("p", behind))
