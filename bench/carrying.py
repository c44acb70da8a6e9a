"""What one candidate costs a site's line: bytes on the wire, both ways, for a whole text exam in a real browser.

The photo that a batch may ask for is part of it.

Alone at the far end of a line, so that every byte counted is this candidate's: Ethernet, IP and TCP headers and bare
acknowledgements included. Every item is answered and some again, each change waits until it is recorded: as many
frames as in a real exam. Most of them follow one another quickly; the last ones come at an exam's pace, for the plan's
minutes. What such minutes cost beyond their changes (asking whether a quiet line lives) is carried on to the whole
exam, and a while of waiting before the start to all of it: the rows say how much that is. A plan of 90 minutes carries
on nothing but the waiting.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bench import machine
from bench.field import Exam, Field, field_behind
from bench.opening import words_only
from bench.rows import BenchFault, Row
from bench.saving import Plan
from engine.settings import Settings
from loadtest.answers import guess
from loadtest.network import HALL_KBIT_PER_S, Line, Traffic, line
from tests.browser.hall import Seat

EXAM_S = 90 * 60
WAIT_S = 15 * 60  # from check-in to the start
CHANGES = 135  # of one candidate
ENTERED_WITHIN_S = 40.0
# By then connections that nothing needs any more are gone: the engine closes its half, the kernel forgets it after a
# minute, and the browser asks after at most 45 s.
CLOSED_AFTER_S = Settings().keep_alive_s + 60 + 45 + 10.0
WAITED_S = 120.0  # measured, of the waiting
HEADERS_BYTES = 54  # Ethernet, IP and TCP: what a packet is without anything in it
SETTLED_S = 1.5
ONCE = (
    "cached_load",
    "entering",
    "photo_and_paper",
    "start",
    "handing_in",
)  # of an exam on a machine that knows the page
RECORDED_WITHIN_S = 30


class Stages:
    """Traffic by stage, each until the line is quiet."""

    def __init__(self, wire: Line) -> None:
        self._wire = wire
        self._mark = wire.traffic()
        self.traffic: dict[str, Traffic] = {}

    def end(self, name: str) -> None:
        now = settled(self._wire)
        self.traffic[name] = now.since(self._mark)
        self._mark = now


def settled(wire: Line) -> Traffic:
    """The counters once nothing has moved for a while."""
    before, since_s = wire.traffic(), time.monotonic()
    while time.monotonic() - since_s < SETTLED_S:
        time.sleep(0.1)
        if (now := wire.traffic()) != before:
            before, since_s = now, time.monotonic()
    return before


def measure(plan: Plan) -> list[Row]:
    """One candidate, one exam; of the plan only its minutes count."""
    starts_in_s = ENTERED_WITHIN_S + 2 * CLOSED_AFTER_S + WAITED_S
    with line(HALL_KBIT_PER_S) as wire, field_behind(wire) as on:
        on.paper = words_only(on.paper)
        with machine.browser_for(on) as browser, machine.machine_in(browser) as context:
            exam = on.exam("bytes", 2, starts_in_s=starts_in_s, enter=False, photo="required")
            seat = machine.seat_at(context, on, exam, 0)
            stages = Stages(wire)
            _enter(seat, exam, stages)
            paced = _answer(on, seat, stages, min(plan.minutes * 60, EXAM_S))
            _hand_in(seat, stages)
            machine.check(seat)
            return rows_of(stages.traffic, paced, min(plan.minutes * 60, EXAM_S))


def _enter(seat: Seat, exam: Exam, stages: Stages) -> None:
    """From the first load of the page to the start."""
    seat.arrive()
    seat.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    stages.end("first_load")
    # Somebody else was here before, up to the photo: the machine knows the whole page.
    seat.candidate, own = seat.exam.candidates[1], seat.candidate
    pose(seat)
    seat.candidate = own
    seat.page.evaluate("sessionStorage.clear()")
    seat.page.goto("about:blank")
    time.sleep(CLOSED_AFTER_S)
    stages.end("before")
    seat.arrive()
    seat.page.get_by_role("button", name="登录", exact=True).wait_for(timeout=machine.READY_MS)
    stages.end("cached_load")
    pose(seat)
    stages.end("entering")
    seat.page.locator("#take").click()
    seat.page.locator("#use").click()
    # The page spreads its fetching over a quarter of the time left, 15 s at the most.
    seat.page.locator('[data-seal="intact"]').wait_for(timeout=machine.READY_MS)
    time.sleep(CLOSED_AFTER_S)
    stages.end("photo_and_paper")
    left_s = exam.starts_ms / 1000 - time.time()
    if left_s < WAITED_S:
        raise BenchFault(
            f"{left_s:.0f} s before the start are left of {WAITED_S:.0f}: the machine is too slow or too busy"
        )
    time.sleep(WAITED_S)
    stages.end("waiting")
    seat.see_paper(max(0.0, exam.starts_ms / 1000 - time.time()) + machine.READY_MS / 1000)
    stages.end("start")


def pose(seat: Seat) -> None:
    """From the login to the camera's picture."""
    seat.log_in().confirm().pledge()
    seat.page.locator("#take").wait_for(timeout=machine.READY_MS)


def _answer(on: Field, seat: Seat, stages: Stages, paced_s: float) -> int:
    """Returns how many of the changes came at an exam's pace."""
    dice = random.Random(1)
    paced = round(CHANGES * paced_s / EXAM_S)
    acts = answers(seat, on.paper, dice)
    for _ in range(CHANGES - paced):
        _change(seat, acts)
    stages.end("answering")
    pauses = [dice.expovariate(1) for _ in range(paced + 1)]
    due_s = time.monotonic()
    for number, pause in enumerate(pauses):
        due_s += pause * paced_s / sum(pauses)
        time.sleep(max(0.0, due_s - time.monotonic()))
        if number < paced:
            _change(seat, acts)
    stages.end("paced")
    return paced


def _change(seat: Seat, acts: Iterator[Callable[[], None]]) -> None:
    next(acts)()
    seat.item_state("recorded", RECORDED_WITHIN_S)


def _hand_in(seat: Seat, stages: Stages) -> None:
    hand_in(seat)
    stages.end("handing_in")


def hand_in(seat: Seat) -> None:
    """Asked once more where something is open."""
    seat.page.get_by_role("button", name="交卷").click()
    seat.answer("交卷")
    asked_again = seat.page.locator("dialog[open]").get_by_role("button", name="仍然交卷", exact=True)
    asked_again.or_(seat.page.locator("#agrees")).first.wait_for(timeout=machine.READY_MS)
    if asked_again.is_visible():
        asked_again.click()
    seat.receipt()


def answers(seat: Seat, paper: dict[str, Any], dice: random.Random) -> Iterator[Callable[[], None]]:
    """Endless: each act is one change. Every item in the order shown, and then all again with something else."""
    items = {item["id"]: item for section in paper["sections"] for item in section["items"]}
    while True:
        for item_id in seat.order():
            seat.go(item_id)
            yield from _acts(seat, items[item_id], dice)


def _acts(seat: Seat, item: dict[str, Any], dice: random.Random) -> Iterator[Callable[[], None]]:
    """What a candidate does about the item shown; none sets what stands there already."""
    if item["type"] in ("fill", "numeric", "text"):
        value = guess(item, dice)
        fields = seat.page.locator(".question").get_by_role("textbox")
        texts = value if isinstance(value, list) else ["" if value is None else str(value)]
        for index, text in enumerate(texts):
            typed = f"{text}{dice.randrange(1000)}"
            yield partial(fields.nth(index).fill, typed)
        return
    if item["type"] == "multiple":
        options = dice.sample([option["id"] for option in item["options"]], 2)
    else:
        ids = ["true", "false"] if item["type"] == "true_false" else [option["id"] for option in item["options"]]
        chosen = seat.page.locator("input[data-option]:checked")
        taken = chosen.get_attribute("data-option") if chosen.count() else None
        options = [dice.choice([option for option in ids if option != taken])]
    for option in options:
        yield partial(seat.page.locator(f'input[data-option="{option}"]').click)


def rows_of(traffic: dict[str, Traffic], paced: int, paced_s: float) -> list[Row]:
    """By stage, then the whole exam with the page cached: without its first load, and with all the quiet minutes."""
    rows = [
        Row("page_exam_changes", float(CHANGES), "changes"),
        Row("page_exam_paced_changes", float(paced), "changes"),
    ]
    for stage, moved in traffic.items():
        rows.append(Row(f"page_{stage}_down_kb", moved.down_bytes / 1000, "kB"))
        rows.append(Row(f"page_{stage}_up_kb", moved.up_bytes / 1000, "kB"))
    for way in ("down", "up"):
        wire = {stage: float(getattr(moved, f"{way}_bytes")) for stage, moved in traffic.items()}
        packets = {stage: float(getattr(moved, f"{way}_packets")) for stage, moved in traffic.items()}
        whole_bytes, per_change, quiet = carried_on(wire, paced, paced_s)
        whole_packets, _, _ = carried_on(packets, paced, paced_s)
        told = f"{quiet / 1000:.1f} kB of it are quiet minutes, most of them carried on"
        rows += [
            Row(f"page_change_{way}_bytes", per_change, "bytes", "one change, until it is recorded"),
            Row(f"page_exam_{way}_packets", whole_packets, "packets"),
            Row(f"page_exam_{way}_inside_kb", (whole_bytes - whole_packets * HEADERS_BYTES) / 1000, "kB", "in packets"),
            Row(f"page_exam_{way}_kb", whole_bytes / 1000, "kB", told),
        ]
    return rows


def carried_on(stages: dict[str, float], paced: int, paced_s: float) -> tuple[float, float, float]:
    """The whole exam, one change, and all quiet minutes, of what was counted by stage."""
    per_change = stages["answering"] / max(1, CHANGES - paced) if paced < CHANGES else stages["paced"] / CHANGES
    quiet_while_answering = max(0.0, stages["paced"] - paced * per_change) * EXAM_S / paced_s
    quiet = quiet_while_answering + stages["waiting"] * (WAIT_S - CLOSED_AFTER_S) / WAITED_S
    once = sum(stages[stage] for stage in ONCE)
    return once + per_change * CHANGES + quiet, per_change, quiet
