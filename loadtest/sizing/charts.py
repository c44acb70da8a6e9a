"""The report's charts as SVG: plain lines out of plain figures, styled by the page's classes. Pure.

By hand, and not with a charting library, because they must be there without scripts, on paper and at any size: SVG is
all three, and thinned lines are smaller than a library.

Promise: what stands out is drawn. Where a run has more seconds than a chart has room, each stretch keeps its lowest
and its highest value in their order, and nothing is averaged; where values are missing is a gap.
How: coordinates are whole numbers of about a pixel, written as steps from point to point; what all charts of a run have
behind them is drawn once.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from msgspec import Struct

from loadtest.sizing import figures
from loadtest.sizing.markup import Child, Markup, joined, tag
from loadtest.sizing.outcome import Text

STRETCHES = 160  # on a chart at most; a run of ten minutes has four to five seconds in each
LINES_MAX = 8  # so many can be told apart
_WIDTH, _HEIGHT = 680, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 8, 26, 26
_INNER_WIDTH, _INNER_HEIGHT = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
_LABEL_WIDTH = 12  # of a phase's number, on this canvas
_BACKDROP = "backdrop"
_LOWEST_LOG_MS = 0.1
_GAP = 3  # times the usual distance of two values

Point = tuple[float, float]


class Drawn(Struct, frozen=True):
    """One line: its name and its points, x in seconds; None is a gap."""

    name: Child
    points: Sequence[Point | None]


class Mark(Struct, frozen=True):
    """A level to compare with, as a line's capacity."""

    name: Text
    value: float


class Stretch(Struct, frozen=True):
    """A phase behind the lines, by its number in the report."""

    label: str
    from_s: float
    until_s: float


def thinned(values: Mapping[int, float], from_s: int, until_s: int) -> list[Point | None]:
    """The values of seconds from `from_s` to before `until_s` with x counted from `from_s`."""
    length = max(1, -(-(until_s - from_s) // STRETCHES))
    usual_s = statistics.median(b - a for a, b in pairwise(sorted(values))) if len(values) > 1 else 1
    points: list[Point | None] = []
    for begins in range(from_s, until_s, length):
        known = [
            (float(second - from_s), values[second])
            for second in range(begins, min(begins + length, until_s))
            if second in values and math.isfinite(values[second])
        ]
        if not known:
            continue
        if points and points[-1] is not None and known[0][0] - points[-1][0] > max(_GAP * usual_s, length):
            points.append(None)
        lowest, highest = min(known, key=_value), max(known, key=_value)
        points += sorted({lowest, highest})
    return points


def over_time(
    title: Text, lines: Sequence[Drawn], lasts_s: float, shown: Callable[[float], str], *,
    mark: Mark | None = None, is_log: bool = False,
) -> Markup:  # fmt: skip
    """In front of the `backdrop`; `shown` writes a value with its unit."""
    drawn = [line for line in lines if any(line.points)][:LINES_MAX]
    if not drawn:
        return Markup()
    highest = max(_highest(line) for line in drawn)
    levels, place = _log_levels(highest, _lowest(drawn)) if is_log else _levels(highest, mark)
    parts = [tag("use", href=f"#{_BACKDROP}"), *(_level(place(level), shown(level)) for level in levels)]
    beyond = mark is not None and place(mark.value) < _TOP
    if mark is not None and not beyond:
        y = place(mark.value)
        parts.append(tag("path", class_="mark", d=f"M{_LEFT} {y}H{_WIDTH - _RIGHT}"))
    for at, line in enumerate(drawn):
        parts.append(_line(at, line.points, lambda x: _x(x / lasts_s), place))
    notes: list[Child] = [_key(at, [line.name, " ", _range(line, shown)]) for at, line in enumerate(drawn)]
    if mark is not None:
        above = Text(zh="（高于本图范围）", en=" (above this chart)") if beyond else None
        notes.append(_key("mark", [mark.name, f" {shown(mark.value)}", above]))
    left_out = len([line for line in lines if any(line.points)]) - len(drawn)
    if left_out:
        notes.append(Text(zh=f"另有 {left_out} 条较低的线未画出", en=f"{left_out} lower lines are not drawn"))
    return _figure(title, parts, notes)


def backdrop(stretches: Sequence[Stretch], lasts_s: float, starts_s: float) -> Markup:
    """Phases and the axis of time, once on a page, for all its charts. The axis counts from `starts_s`, where the exam
    begins."""
    parts = [_band(stretch, at, lasts_s) for at, stretch in enumerate(stretches)]
    parts += [_tick(_x((at + starts_s) / lasts_s), figures.span(at)) for at in _times(-starts_s, lasts_s - starts_s)]
    return tag("svg", tag("defs", tag("g", parts, id=_BACKDROP)), class_="unseen", aria_hidden="true")


def percentiles(title: Text, lines: Sequence[Drawn]) -> Markup:
    """Latency by share of calls, both logarithmic: one step to the right is a tenth of the calls. Points are (share,
    milliseconds), all shares below 1."""
    lines = [line for line in lines if line.points]
    if not lines:
        return Markup()
    width = max(1.0, *(-math.log10(1 - point[0]) for line in lines for point in line.points if point))
    levels, place = _log_levels(max(_highest(line) for line in lines), _lowest(lines))

    def across(share: float) -> int:
        return _x(-math.log10(1 - share) / width)

    parts = [_level(place(level), figures.milliseconds(level)) for level in levels]
    for share in (0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999):
        if -math.log10(1 - share) <= width:
            parts.append(_tick(across(share), f"{share * 100:.6g} %"))
    parts += [_line(at, line.points, across, place) for at, line in enumerate(lines)]
    return _figure(title, parts, [_key(at, line.name) for at, line in enumerate(lines)])


# --- canvas ----------------------------------------------------------------------------------------------------


def _figure(title: Text, parts: Sequence[Markup], notes: Sequence[Child]) -> Markup:
    drawing = tag("svg", list(parts), viewBox=f"0 0 {_WIDTH} {_HEIGHT}", aria_hidden="true", focusable="false")
    told = tag("ul", [tag("li", note) for note in notes], class_="keys")
    return tag("figure", tag("figcaption", title), drawing, told)


def _line(
    at: int, points: Sequence[Point | None], across: Callable[[float], int], up: Callable[[float], int]
) -> Markup:
    """Steps from point to point; a point with no neighbour is a dot."""
    steps, x, y = [], 0, 0
    begins = True
    for index, point in enumerate(points):
        if point is None:
            begins = True
            continue
        to_x, to_y = across(point[0]), up(point[1])
        if begins:
            alone = index + 1 == len(points) or points[index + 1] is None
            steps.append(f"M{to_x} {to_y}" + ("h1" if alone else ""))
            begins = False
        elif (to_x, to_y) != (x, y):
            steps.append(f"l{to_x - x} {to_y - y}")
        x, y = to_x, to_y
    return tag("path", class_=f"line l{at}", d="".join(steps))


def _key(at: int | str, name: Child) -> Markup:
    sample = tag("path", class_="mark" if at == "mark" else f"line l{at}", d="M1 6H43")
    return joined([tag("svg", sample, viewBox="0 0 44 12", class_="key", aria_hidden="true"), name])


def _range(line: Drawn, shown: Callable[[float], str]) -> Text:
    known = [point[1] for point in line.points if point]
    low, high = shown(min(known)), shown(max(known))
    return Text(zh=f"（{low} 至 {high}）", en=f"({low} to {high})")


def _band(stretch: Stretch, at: int, lasts_s: float) -> Markup:
    left, right = _x(max(0.0, stretch.from_s) / lasts_s), _x(min(lasts_s, stretch.until_s) / lasts_s)
    label = tag("text", stretch.label, x=(left + right) // 2, y=_TOP - 7, class_="middle")
    shade = tag("rect", class_=f"band{at % 2}", x=left, y=_TOP, width=max(0, right - left), height=_INNER_HEIGHT)
    return joined([shade, label if right - left >= _LABEL_WIDTH else None])


def _level(y: int, label: str) -> Markup:
    rule = tag("path", class_="rule", d=f"M{_LEFT} {y}H{_WIDTH - _RIGHT}")
    return joined([rule, tag("text", label, x=_LEFT - 5, y=y + 4, class_="end")])


def _tick(x: int, label: str) -> Markup:
    bottom = _TOP + _INNER_HEIGHT
    side = "end" if x > _WIDTH - 45 else "middle"
    return joined(
        [tag("path", class_="tick", d=f"M{x} {bottom}v4"), tag("text", label, x=x, y=bottom + 17, class_=side)]
    )


def _x(fraction: float) -> int:
    return round(_LEFT + _INNER_WIDTH * fraction)


def _y(fraction: float) -> int:
    return round(_TOP + _INNER_HEIGHT * (1 - fraction))


# --- scales ----------------------------------------------------------------------------------------------------


def _levels(highest: float, mark: Mark | None) -> tuple[list[float], Callable[[float], int]]:
    """From 0 to a round number. A mark far above the lines would press them flat: then it stays outside."""
    if mark is not None and highest < mark.value <= 4 * highest:
        highest = mark.value
    step = _round_step(highest / 4)
    top = step * max(1, math.ceil(highest / step - 1e-9))
    return [step * number for number in range(round(top / step) + 1)], lambda value: _y(value / top)


def _log_levels(highest: float, lowest: float) -> tuple[list[float], Callable[[float], int]]:
    bottom = math.floor(math.log10(max(_LOWEST_LOG_MS, lowest)))
    top = max(bottom + 1, math.ceil(math.log10(max(_LOWEST_LOG_MS, highest)) - 1e-9))

    def place(value: float) -> int:
        return _y(max(0.0, math.log10(max(value, _LOWEST_LOG_MS / 10)) - bottom) / (top - bottom))

    return [10.0**exponent for exponent in range(bottom, top + 1)], place


def _round_step(about: float) -> float:
    if about <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(about))
    return next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= about * (1 - 1e-9))


def _times(from_s: float, until_s: float) -> list[int]:
    """Round instants around the start, five to nine of them."""
    length = max(1.0, until_s - from_s)
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
    step = next((step for step in steps if length / step <= 9), 14_400)
    return list(range(math.ceil(from_s / step) * step, math.floor(until_s) + 1, step))


def _value(point: Point) -> float:
    return point[1]


def _highest(line: Drawn) -> float:
    return max(point[1] for point in line.points if point)


def _lowest(lines: Sequence[Drawn]) -> float:
    above = [point[1] for line in lines for point in line.points if point and point[1] > 0]
    return min(above, default=1.0)
