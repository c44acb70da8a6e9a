"""What a load test took, phase by phase: bytes on the line, CPU and memory by role, the generators' own CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from loadtest.sizing import figures, words
from loadtest.sizing.markup import Child, Markup, row, table, tag
from loadtest.sizing.outcome import Outcome, PhaseOutcome, Text

MBYTE_READING = 8  # a tier written as `28 MB` and read as MByte/s is so many times as wide
_PHASE = Text(zh="阶段", en="Phase")


def cost_section(outcome: Outcome) -> Markup:
    numbered = list(enumerate(outcome.phases, 1))
    tables = [
        _traffic(numbered),
        _by_name(
            Text(zh="引擎的 CPU（100 % 为一个核）", en="CPU of the engine (100 % is one core)"),
            numbered, lambda phase: phase.cpu, words.role, figures.share, words.ROLES, is_with_lag=True,
        ),
        _by_name(
            Text(zh="引擎的内存，最高值", en="Memory of the engine, at its highest"),
            numbered, lambda phase: phase.memory_mib, words.role, _mebibytes, words.ROLES,
        ),
        _by_name(
            Text(zh="压力机的 CPU（不属于引擎）", en="CPU of the generators (no part of the engine)"),
            numbered, lambda phase: phase.generators, words.generator, figures.share, (),
        ),
    ]  # fmt: skip
    shown = [each for each in tables if each]
    return tag("section", tag("h2", Text(zh="用量", en="What it took")), shown) if shown else Markup()


def _traffic(numbered: Iterable[tuple[int, PhaseOutcome]]) -> Markup:
    ways = (Text(zh="上行", en="up"), Text(zh="下行", en="down"))
    kinds = (
        Text(zh="总量", en="in all"),
        Text(zh="每位考生", en="per candidate"),
        Text(zh="占档位（按 Mbit/s）", en="of the tier (as Mbit/s)"),
        Text(zh="占档位（按 MByte/s）", en="of the tier (as MByte/s)"),
    )
    heads: list[Child] = [_PHASE]
    heads += [Text(zh=f"{kind.zh} {way.zh}", en=f"{kind.en}, {way.en}") for kind in kinds for way in ways]
    rows = [
        row(
            _name(number, phase),
            figures.amount(phase.traffic.up_bytes),
            figures.amount(phase.traffic.down_bytes),
            figures.amount(phase.traffic.up_bytes_each),
            figures.amount(phase.traffic.down_bytes_each),
            figures.share(phase.traffic.up_share),
            figures.share(phase.traffic.down_share),
            figures.share(phase.traffic.up_share / MBYTE_READING),
            figures.share(phase.traffic.down_share / MBYTE_READING),
            numbers=range(1, 9),
        )
        for number, phase in numbered
        if phase.traffic is not None
    ]
    title = Text(zh="线路流量（含各层包头）", en="Over the line, headers of all layers included")
    return table(title, heads, rows, numbers=range(1, 9)) if rows else Markup()


def _by_name(
    title: Text, numbered: Sequence[tuple[int, PhaseOutcome]], of: Callable[[PhaseOutcome], Mapping[str, float]],
    named: Callable[[str], Text], shown: Callable[[float | None], str], order: Iterable[str],
    is_with_lag: bool = False,
) -> Markup:  # fmt: skip
    """A column for each name that any phase has."""
    names = sorted({name for _, phase in numbered for name in of(phase)}, key=lambda name: words.place(name, order))
    if not names:
        return Markup()
    heads: list[Child] = [_PHASE, *map(named, names)]
    if is_with_lag:
        heads.append(Text(zh="记录最多落后", en="recorder behind by, at most"))
    rows = []
    for number, phase in numbered:
        cells = [shown(of(phase).get(name)) for name in names]
        if is_with_lag:
            cells.append(figures.seconds(phase.recorder_lag_max_s))
        rows.append(row(_name(number, phase), *cells, numbers=range(1, len(heads))))
    return table(title, heads, rows, numbers=range(1, len(heads)))


def _name(number: int, phase: PhaseOutcome) -> Child:
    return [f"{number} ", words.phase(phase.name)]


def _mebibytes(value: float | None) -> str:
    return figures.NONE if value is None else f"{figures.number(value)} MiB"
