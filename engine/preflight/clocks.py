"""The clocks of all parts, compared through the time that asking took. Pure.

Of a clock that was asked only an interval is known: it was read at some moment between the question and the answer. So
two clocks are *surely* apart by the distance of their intervals, and *possibly* by as much as these reach.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from engine.preflight.finding import Finding, amber, green, red

CHECK = "clocks"
APART_MS_MAX = 50
_RESOLUTION_MS = 1  # of both clocks whole milliseconds are told: either may be so much further
_DO_ZH = "在偏差的机器上校时（chronyc tracking；timedatectl），再检查一次"
_DO_EN = "set that machine's clock by NTP (chronyc tracking; timedatectl), then look again"


class Reading(Struct, frozen=True, kw_only=True):
    """What a part said its clock was, and this machine's clock before and after asking it, all in ms."""

    part: str
    before_ms: int
    told_ms: int
    after_ms: int

    @property
    def took_ms(self) -> int:
        return self.after_ms - self.before_ms

    @property
    def ahead_ms(self) -> tuple[int, int]:
        """By how much it is ahead of this machine at least and at most; negative: behind."""
        return (
            self.told_ms - self.after_ms - _RESOLUTION_MS,
            self.told_ms - self.before_ms + _RESOLUTION_MS,
        )


def narrowest(readings: Sequence[Reading]) -> Reading:
    """Of several readings of one part the one whose asking took the shortest."""
    return min(readings, key=lambda reading: reading.took_ms)


def judge_clocks(readings: Sequence[Reading]) -> list[Finding]:
    """One finding over this machine and every part that was asked."""
    spans = {"this machine": (0, 0)} | {reading.part: reading.ahead_ms for reading in readings}
    pairs = [(first, second) for first in spans for second in spans if first != second]
    if not pairs:
        return []
    surely_ms, fast, slow = max((spans[first][0] - spans[second][1], first, second) for first, second in pairs)
    possibly_ms, ahead, behind = max((spans[first][1] - spans[second][0], first, second) for first, second in pairs)
    told = ", ".join(
        f"{part} {least:+d}…{most:+d} ms" for part, (least, most) in spans.items() if part in _of(readings)
    )
    if surely_ms > APART_MS_MAX:
        zh = f"{fast} 的时钟比 {slow} 快至少 {surely_ms} 毫秒，上限 {APART_MS_MAX} 毫秒（以本机为准：{told}）"
        en = f"{fast} is at least {surely_ms} ms ahead of {slow}, allowed are {APART_MS_MAX} ms (to here: {told})"
        return [red(CHECK, zh, en, _DO_ZH, _DO_EN)]
    if possibly_ms > APART_MS_MAX:
        zh = f"{ahead} 与 {behind} 的时钟可能相差 {possibly_ms} 毫秒：询问所花时间太长，不能断定（{told}）"
        en = f"{ahead} and {behind} may be {possibly_ms} ms apart: asking took too long to tell ({told})"
        return [amber(CHECK, zh, en, "在离引擎更近的机器上再检查一次", "look again from a machine that is nearer")]
    return [green(CHECK, f"各部分时钟相差不超过 {possibly_ms} 毫秒（{told}）", f"all within {possibly_ms} ms ({told})")]


def _of(readings: Sequence[Reading]) -> set[str]:
    return {reading.part for reading in readings}
