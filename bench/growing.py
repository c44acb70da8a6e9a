"""The page's memory over an exam: what its JavaScript holds after two hours' worth of changes, and how it grows.

Four times the changes of a whole exam are made as fast as the page takes them; then it is left on at an exam's pace for
the plan's minutes. The heap is read after a garbage collection each time. What it grew by during those minutes is
carried on to two hours: an exam's clock ticks four times a second whatever the candidate does, and no virtual time
would tick it truthfully against a real engine.
"""

from __future__ import annotations

import random
import time

from msgspec import Struct
from playwright.sync_api import CDPSession

from bench import machine
from bench.carrying import CHANGES, answers
from bench.field import Field, field_behind
from bench.opening import words_only
from bench.rows import Row
from bench.saving import Plan
from tests.browser.hall import Seat

EDITS = 4 * CHANGES
STARTS_IN_S = 25.0
TWO_HOURS_S = 2 * 3600
READ_EVERY_S = 30.0
BYTES_PER_MB = 1_000_000


class Heap(Struct, frozen=True):
    """After a garbage collection."""

    at_s: float
    used_mb: float
    nodes: float
    listeners: float


def measure(plan: Plan) -> list[Row]:
    """In one browser, over the loopback: memory does not mind the line."""
    with field_behind(None) as on:
        on.paper = words_only(on.paper)
        with machine.browser_for(on) as browser, machine.machine_in(browser) as context:
            exam = on.exam("heap", 1, starts_in_s=STARTS_IN_S, enter=False)
            seat = machine.seat_at(context, on, exam, 0).enter()
            inspector = machine.inspector(seat)
            opened = read(inspector)
            acts = answers(seat, on.paper, random.Random(2))
            for _ in range(EDITS):
                next(acts)()
            seat.item_state("recorded", machine.READY_MS / 1000)
            edited = read(inspector)
            rested = _rest(seat, on, inspector, plan.minutes * 60)
            machine.check(seat)
    return rows_of(opened, edited, rested)


def read(inspector: CDPSession) -> Heap:
    """Collects twice: what the first one frees may hold more."""
    inspector.send("Performance.enable")
    for _ in range(2):
        inspector.send("HeapProfiler.collectGarbage")
    found = {metric["name"]: metric["value"] for metric in inspector.send("Performance.getMetrics")["metrics"]}
    used_mb = found["JSHeapUsedSize"] / BYTES_PER_MB
    return Heap(time.monotonic(), used_mb, found["Nodes"], found["JSEventListeners"])


def _rest(seat: Seat, on: Field, inspector: CDPSession, for_s: float) -> list[Heap]:
    acts = answers(seat, on.paper, random.Random(3))
    began_s = time.monotonic()
    found = [read(inspector)]
    while (left_s := for_s - (time.monotonic() - began_s)) > 0:
        time.sleep(min(READ_EVERY_S, left_s))
        next(acts)()
        seat.item_state("recorded", machine.READY_MS / 1000)
        found.append(read(inspector))
    return found


def rows_of(opened: Heap, edited: Heap, rested: list[Heap]) -> list[Row]:
    slope_mb_per_s = slope([heap.at_s for heap in rested], [heap.used_mb for heap in rested])
    span_s = rested[-1].at_s - rested[0].at_s
    ahead_mb = max(0.0, slope_mb_per_s) * max(0.0, TWO_HOURS_S - span_s)
    highest_mb = max(heap.used_mb for heap in (opened, edited, *rested))
    told = f"{EDITS} changes, {span_s / 60:.0f} minutes; {ahead_mb:.1f} MB of it carried on to two hours"
    at_first = f"{opened.nodes:.0f} nodes and {opened.listeners:.0f} listeners when the paper was opened"
    return [
        Row("page_heap_opened_mb", opened.used_mb, "MB"),
        Row("page_heap_edited_mb", edited.used_mb, "MB", f"{EDITS} changes; an exam has {CHANGES}"),
        Row("page_heap_slope_mb_per_h", slope_mb_per_s * 3600, "MB/h"),
        Row("page_heap_nodes", rested[-1].nodes, "nodes", at_first),
        Row("page_heap_listeners", rested[-1].listeners, "listeners"),
        Row("page_heap_mb", highest_mb + ahead_mb, "MB", told),
    ]


def slope(xs: list[float], ys: list[float]) -> float:
    """Of the straight line with the least squares; 0 through fewer than three points."""
    if len(xs) < 3:
        return 0.0
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - x_mean) ** 2 for x in xs)
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0
