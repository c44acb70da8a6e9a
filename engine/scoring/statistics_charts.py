"""The charts of the statistics page, drawn as SVG: plain text out of plain figures, styled by the page's classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 14, 16, 40
_INNER_WIDTH, _INNER_HEIGHT = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
_GOOD_DISCRIMINATION = 0.2  # above it an item tells those who know from those who do not
_LABELLED_MAX = 60  # points with their item's id beside them; more would cover one another


def histogram(bands: Sequence[Mapping[str, int]], pass_mark: float, words: Mapping[str, str]) -> str:
    """How many candidates have a score in each band, and where the pass mark lies."""
    highest = max([band["count"] for band in bands] + [1])
    parts = []
    for band in bands:
        left, right = _x(band["from"] / 100), _x(band["to"] / 100)
        top = _y(band["count"] / highest * 0.86)
        parts.append(
            f'<rect class="bar" x="{left + 2:.1f}" y="{top:.1f}" width="{right - left - 4:.1f}" '
            f'height="{_y(0) - top:.1f}"><title>{band["from"]}–{band["to"]}: {band["count"]}</title></rect>'
        )
        if band["count"]:
            parts.append(_text((left + right) / 2, top - 4, str(band["count"]), "middle"))
    at = _x(pass_mark / 100)
    parts.append(f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_y(0):.1f}"/>')
    parts.append(_text(at + 4, _TOP + 10, f"{words['pass_mark']} {pass_mark:g}", "start"))
    ticks = [(step / 100, str(step)) for step in range(0, 101, 10)]
    return _chart(words["scores"], parts, ticks, [], words["score"], words["candidates"])


def scatter(items: Sequence[Mapping[str, Any]], flagged: Mapping[str, str], words: Mapping[str, str]) -> str:
    """Every item by difficulty and discrimination; `flagged`: item -> severity."""
    known = [item for item in items if item["difficulty"] is not None and item["discrimination"] is not None]
    lowest: float = min([item["discrimination"] - 0.05 for item in known] + [-0.2])
    span = 1 - lowest

    def height(discrimination: float) -> float:
        return (discrimination - lowest) / span

    good = _y(height(_GOOD_DISCRIMINATION))
    parts = [f'<rect class="good" x="{_LEFT}" y="{_TOP}" width="{_INNER_WIDTH}" height="{good - _TOP:.1f}"/>']
    parts.append(_rule(_y(height(0)), "zero"))
    for item in known:
        x, y = _x(item["difficulty"]), _y(height(item["discrimination"]))
        kind = flagged.get(item["item"], "")
        title = f"{item['item']}: {item['difficulty']} / {item['discrimination']}"
        parts.append(
            f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{escape(title)}</title></circle>'
        )
        if kind or len(known) <= _LABELLED_MAX:
            parts.append(_text(x + 6, y + 4, item["item"], "start"))
    ticks = [(step / 10, f"{step / 10:g}") for step in range(0, 11, 2)]
    levels = [(height(step / 10), f"{step / 10:g}") for step in range(-10, 11, 2) if step / 10 >= lowest]
    return _chart(words["map"], parts, ticks, levels, words["difficulty"], words["discrimination"])


def share_bar(share: float) -> str:
    """A small bar of a table's cell, full at 1."""
    return (
        '<svg class="share" viewBox="0 0 100 8" aria-hidden="true"><rect class="track" width="100" height="8"/>'
        f'<rect class="bar" width="{share * 100:.1f}" height="8"/></svg>'
    )


def option_bars(best: float, worst: float) -> str:
    """The shares of the best and of the worst third, one above the other."""
    return (
        '<svg class="thirds" viewBox="0 0 100 12" aria-hidden="true">'
        f'<rect class="best" width="{best * 100:.1f}" height="5"/>'
        f'<rect class="worst" y="7" width="{worst * 100:.1f}" height="5"/></svg>'
    )


def _chart(
    title: str,
    parts: Sequence[str],
    ticks: Sequence[tuple[float, str]],
    levels: Sequence[tuple[float, str]],
    x_name: str,
    y_name: str,
) -> str:
    axes = [_rule(_y(0), "axis"), f'<line class="axis" x1="{_LEFT}" x2="{_LEFT}" y1="{_TOP}" y2="{_y(0):.1f}"/>']
    axes += [_text(_x(at), _y(0) + 16, label, "middle") for at, label in ticks]
    axes += [_text(_LEFT - 6, _y(at) + 4, label, "end") for at, label in levels]
    axes.append(_text(_WIDTH / 2, _HEIGHT - 6, x_name, "middle"))
    axes.append(
        f'<text x="12" y="{_HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 12 {_HEIGHT / 2})">'
        f"{escape(y_name)}</text>"
    )
    drawn = "".join([*parts, *axes])
    return f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">{drawn}</svg>'


def _x(share: float) -> float:
    return _LEFT + share * _INNER_WIDTH


def _y(share: float) -> float:
    return _TOP + (1 - share) * _INNER_HEIGHT


def _rule(y: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
