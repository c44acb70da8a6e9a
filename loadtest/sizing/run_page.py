"""The run as a whole on the report's page: its charts over time, and the account at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from loadtest.sizing import charts, figures, words
from loadtest.sizing.markup import Child, Markup, row, table, tag
from loadtest.sizing.outcome import Outcome, Text
from loadtest.sizing.plan import PhaseName

_BITS_PER_BYTE = 8
_IN_TURN = frozenset(PhaseName)  # one after the other; what else is judged spans some of them
_LOOPS = Text(
    zh="闭环从真正发出时起计时：引擎慢下来，考生也就发得少，等待不算在内。开环从按计划应发出的时刻起计时，等待也算在内；"
    "两者差得多，说明有人在排队。",
    en="A closed loop times from the sending: where the engine slows down, candidates send less, and their waiting is "
    "not in it. An open loop times from the instant at which a save was due, waiting included; where the two part, "
    "there was a queue.",
)


class _Clock:
    """Which seconds are drawn: all that any phase or series has."""

    def __init__(self, outcome: Outcome) -> None:
        seconds = [second for values in outcome.series.values() for second in values]
        edges = [edge // 1000 for phase in outcome.phases for edge in (phase.from_ms, phase.until_ms)]
        self.from_s = min([*seconds, *edges], default=0)
        self.until_s = max([*(second + 1 for second in seconds), *edges, self.from_s + 1])
        self.starts_s = outcome.starts_ms / 1000 - self.from_s
        self.lasts_s = self.until_s - self.from_s
        self.stretches = [
            charts.Stretch(str(number), phase.from_ms / 1000 - self.from_s, phase.until_ms / 1000 - self.from_s)
            for number, phase in enumerate(outcome.phases, 1)
            if phase.name in _IN_TURN
        ]


def run_charts(outcome: Outcome) -> Markup:
    """Those for which there is anything to draw."""
    clock = _Clock(outcome)
    saves, slowest, *others = (_chart(outcome, clock, *told) for told in _CHARTS)
    drawn = [saves, slowest, *_bandwidth(outcome, clock), *others]
    drawn += [_family(outcome, clock, *told) for told in _FAMILIES]
    shown = [chart for chart in drawn if chart]
    if not shown:
        return Markup()
    length = -(-clock.lasts_s // charts.STRETCHES)
    thinned = Text(
        zh=f"每 {length} 秒画其最低值与最高值。" if length > 1 else "每秒一个值。",
        en=f"Of every {length} s the lowest and the highest value are drawn. "
        if length > 1
        else "One value a second. ",
    )
    told = Text(
        zh="时间自开考算起；上方数字是阶段编号（见一览表）。",
        en="Time counts from the start of the exam; the numbers above are those of the phases.",
    )
    return tag(
        "section",
        tag("h2", Text(zh="全程", en="Over the whole run")),
        tag("p", thinned, told),
        tag("p", _LOOPS),
        charts.backdrop(clock.stretches, clock.lasts_s, clock.starts_s),
        tag("div", shown, class_="charts"),
    )


def account_section(outcome: Outcome) -> Markup:
    """Every answer and every score, settled after the exam."""
    heads: list[Child] = [Text(zh="项目", en="What"), Text(zh="数量", en="How many"), Text(zh="结论", en="Verdict")]
    rows = []
    for name, count in outcome.account.items():
        must_be_none = name in words.MUST_BE_NONE
        told, kind = Text(zh="", en=""), ""
        if must_be_none:
            told = Text(zh="✗ 必须为 0", en="✗ must be 0") if count else Text(zh="✓", en="✓")
            kind = "fails" if count else "holds"
        rows.append(row(words.account(name), figures.number(count), told, numbers=(1,), kind=kind))
    faults = tag("ul", [tag("li", fault) for fault in outcome.faults], class_="faults") if outcome.faults else None
    notes = tag("ul", [tag("li", note) for note in outcome.notes]) if outcome.notes else None
    title = Text(zh="逐个答案、逐个成绩核对", en="Every answer and every score")
    return tag(
        "section",
        tag("h2", Text(zh="结账", en="The account")),
        table(title, heads, rows, numbers=(1,)) if rows else None,
        tag("h3", Text(zh="发现的错误", en="What was wrong")) if faults else None,
        faults,
        tag("h3", Text(zh="说明", en="Notes")) if notes else None,
        notes,
    )


def _chart(
    outcome: Outcome, clock: _Clock, title: Text, shown: Callable[[float], str], lines: Iterable[tuple[str, Text]],
    is_log: bool = False, *, mark: charts.Mark | None = None, factor: float = 1.0,
) -> Markup:  # fmt: skip
    drawn = []
    for name, label in lines:
        values = {second: value * factor for second, value in outcome.series.get(name, {}).items()}
        drawn.append(charts.Drawn(label, charts.thinned(values, clock.from_s, clock.until_s)))
    return charts.over_time(title, drawn, clock.lasts_s, shown, mark=mark, is_log=is_log)


def _family(
    outcome: Outcome, clock: _Clock, title: Text, shown: Callable[[float], str], prefix: str,
    named: Callable[[str], Text],
) -> Markup:  # fmt: skip
    """All series of one prefix, in the same order in every chart; where they are too many, the lowest are left out."""
    found = [name for name, values in outcome.series.items() if name.startswith(prefix) and values]
    found.sort(key=lambda name: -max(outcome.series[name].values()))
    highest, rest = found[: charts.LINES_MAX], found[charts.LINES_MAX :]
    found = sorted(highest, key=lambda name: words.place(name.removeprefix(prefix), words.ROLES)) + rest
    return _chart(outcome, clock, title, shown, [(name, named(name.removeprefix(prefix))) for name in found])


def _bandwidth(outcome: Outcome, clock: _Clock) -> list[Markup]:
    """A chart for each direction, against what the tier's line carries."""
    ways = (
        ("up_bytes", Text(zh="上行带宽", en="Bandwidth up"), outcome.line.up_kbit_per_s),
        ("down_bytes", Text(zh="下行带宽", en="Bandwidth down"), outcome.line.down_kbit_per_s),
    )
    return [
        _chart(
            outcome,
            clock,
            title,
            lambda value: figures.amount(value, "bit/s"),
            [(name, Text(zh="用量", en="used"))],
            mark=charts.Mark(Text(zh="档位", en="the tier's line"), kbit_per_s * 1000),
            factor=_BITS_PER_BYTE,
        )
        for name, title, kbit_per_s in ways
    ]


def _a_second(value: float) -> str:
    return f"{figures.number(value)}/s"


def _mebibytes(value: float) -> str:
    return f"{figures.number(value)} MiB"


# (title, how a value is written, [(series, its name)], whether the axis is logarithmic)
_CHARTS: tuple[tuple[Text, Callable[[float], str], list[tuple[str, Text]], bool], ...] = (
    (
        Text(zh="每秒保存与确认", en="Saves and acknowledgements a second"),
        _a_second,
        [
            ("saves", Text(zh="发出", en="sent")),
            ("acknowledged", Text(zh="已确认", en="acknowledged")),
            ("errors", Text(zh="错误", en="errors")),
        ],
        False,
    ),
    (
        Text(zh="每秒最慢的保存（对数）", en="The slowest save of each second (logarithmic)"),
        figures.milliseconds,
        [
            ("save_max_ms", Text(zh="闭环", en="closed loop")),
            ("save_intended_max_ms", Text(zh="开环", en="open loop")),
        ],
        True,
    ),
    (
        Text(zh="考生", en="Candidates"),
        figures.number,
        [
            ("entered", Text(zh="已登录", en="logged in")),
            ("writing", Text(zh="作答中", en="writing")),
            ("channels", Text(zh="打开的通道", en="open channels")),
        ],
        False,
    ),
    (
        Text(zh="记录落后", en="Recorder behind by"),
        figures.seconds,
        [("recorder_lag_s", Text(zh="最早未入库的更改", en="age of the oldest change not in PostgreSQL"))],
        False,
    ),
)
# (title, how a value is written, what its series begin with, the name of what follows)
_FAMILIES: tuple[tuple[Text, Callable[[float], str], str, Callable[[str], Text]], ...] = (
    (Text(zh="引擎各进程的 CPU", en="CPU of the engine's processes"), figures.share, "cpu/", words.role),
    (Text(zh="压力机的 CPU", en="CPU of the generators"), figures.share, "generators/", words.generator),
    (Text(zh="内存", en="Memory"), _mebibytes, "memory_mib/", words.role),
)
