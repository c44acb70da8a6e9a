"""The start behind a site's line: how long after T a candidate sees the first question, and how far apart they are.

5,000 simulated candidates and one real browser share a line of 50 Mbit/s. All have logged in, pledged, fetched the
sealed paper over that line and wait with an open channel. Of a simulated candidate the moment is measured at which its
paper key has come; what a machine does then, until the question is painted, is measured in the browser and added.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from bench import machine
from bench.field import Exam, Field, field_behind
from bench.rows import BenchFault, Row, median
from bench.saving import CHANNEL_PATH, Plan, sound
from bench.starting import KEYS_WITHIN_S
from loadtest.network import HALL_KBIT_PER_S, Line, NoNetwork, line
from tests.browser.hall import Seat

# To arm, let everybody in over the line, open their channels and hand out the paper, with a browser on the same cores.
READY_WITHIN_S_EACH = 0.02
READY_WITHIN_S_LEAST = 25.0
FETCH_SPREAD_S_LEAST = 15.0  # as the page spreads it
FETCH_LINE_SHARE = 0.6  # of the line, while papers are handed out
FETCH_CONNECTIONS = 64
LOG_IN_LEFT_S = 8.0  # what a browser needs before the start
SHOWN_WITHIN_S = 30.0
STILL_S = 0.1  # before the start: from then on the line's bytes are the start's
_FIGURE = re.compile(r"\s*!\[[^\]]*\]\([^)]*\)")


class Start(Struct, frozen=True):
    """One start; seconds after T. `opening_s`: in the browser, from the key to the first question painted."""

    keys_s: Sequence[float]
    shown_s: float
    opening_s: float
    papers_s: float
    down_bytes_each: float


def measure(plan: Plan) -> list[Row]:
    """As many starts as the plan has rounds; every simulated candidate of every one of them counts."""
    try:
        with line(HALL_KBIT_PER_S) as hall_line:
            return _rows(_starts(hall_line, plan), plan, "")
    except NoNetwork as refused:
        return _rows(_starts(None, plan), plan, f"the bandwidth was measured, not enforced: {refused}")


def _starts(hall_line: Line | None, plan: Plan) -> list[Start]:
    with field_behind(hall_line) as on:
        on.paper = words_only(on.paper)
        with machine.browser_for(on) as browser:
            starts = []
            for number in range(plan.rounds):
                with machine.machine_in(browser) as context:
                    starts.append(_start(on, context, f"page_{number}", plan.sittings))
            return starts


def _start(on: Field, context: Any, name: str, sittings: int) -> Start:
    within_s = READY_WITHIN_S_LEAST + sittings * READY_WITHIN_S_EACH
    exam = on.exam(name, sittings + 1, starts_in_s=within_s, enter=False)
    on.enter(exam, candidates=sittings)
    keys_file = on.folder / f"keys-{name}"
    options = {"connections": sittings, "channel": 1, "path": CHANNEL_PATH, "wait_key": 1, "warm": 0}
    seconds = max(0, exam.starts_ms / 1000 - time.time()) + KEYS_WITHIN_S
    with on.saving(exam, seconds=seconds, keep=keys_file, **options) as driver:
        if driver.wait_ready() != sittings:
            raise BenchFault(f"{driver.wait_ready()} of {sittings} channels could be opened")
        papers_s = _fetch_papers(on, exam)
        seat = machine.seat_at(context, on, exam, sittings)
        seat.arrive().log_in().confirm().pledge()
        seat.page.locator('[data-seal="intact"]').wait_for(timeout=machine.READY_MS)
        if time.time() * 1000 >= exam.starts_ms:
            raise BenchFault(f"not everybody was in within {within_s:.0f} s: the machine is too slow or too busy")
        driver.go()
        time.sleep(max(0.0, exam.starts_ms / 1000 - time.time() - STILL_S))
        before = on.line.traffic() if on.line else None
        seen = _await_question(seat, exam)
        load = sound(driver.finish())
        moved = on.line.traffic().since(before).down_bytes if on.line and before else 0
    if load.keys_seen != sittings:
        raise BenchFault(f"{load.keys_seen} of {sittings} got a key within {KEYS_WITHIN_S:.0f} s of the start")
    keys_s = [float(moment) / 1000 - exam.starts_ms / 1000 for moment in keys_file.read_text().split()]
    if min(keys_s) < 0:
        raise BenchFault(f"a key came {-min(keys_s):.3f} s before the start")
    shown_s = (seen["shown_ms"] - exam.starts_ms) / 1000
    return Start(keys_s, shown_s, (seen["shown_ms"] - seen["key_ms"]) / 1000, papers_s, moved / (sittings + 1))


def _fetch_papers(on: Field, exam: Exam) -> float:
    """Every simulated candidate fetches the sealed paper, evenly spread; seconds until the last has it."""
    everybody = len(exam.tokens)
    line_s = everybody * exam.sealed["bytes"] * 8 / (HALL_KBIT_PER_S * 1000 * FETCH_LINE_SHARE)
    spread_s = max(FETCH_SPREAD_S_LEAST, line_s)
    left_s = exam.starts_ms / 1000 - time.time() - LOG_IN_LEFT_S
    if spread_s > left_s:
        raise BenchFault(f"{everybody} papers need {spread_s:.0f} s, and {left_s:.0f} s are left before the start")
    path = f"/v1/sealed/{exam.sealed['digest']}"
    began_s = time.monotonic()
    load, _ = on.send(
        [(path, "", "")] * everybody, rate=everybody / spread_s, connections=FETCH_CONNECTIONS, keep=False
    )
    if sound(load).counted != everybody:
        raise BenchFault(f"{load.counted} of {everybody} could fetch the paper: {load.fault}")
    return time.monotonic() - began_s


def _await_question(seat: Seat, exam: Exam) -> dict[str, float]:
    """What the browser has noted once the question is there."""
    until_s = exam.starts_ms / 1000 + SHOWN_WITHIN_S
    while time.time() < until_s:
        # Not asked before the start has passed: the browser is to be left alone then.
        time.sleep(max(0.05, min(1.0, exam.starts_ms / 1000 + 2 - time.time())))
        if time.time() * 1000 > exam.starts_ms and (seen := machine.seen(seat))["shown_ms"]:
            machine.check(seat)
            if not 0 < seen["key_ms"] <= seen["shown_ms"]:
                raise BenchFault("the browser asked for its key over HTTP: the candidates here wait for theirs")
            if seen["calls"]:
                raise BenchFault(
                    f"the page makes {seen['calls']} calls before the first question; candidates here none"
                )
            return seen
    raise BenchFault(f"no question within {SHOWN_WITHIN_S:.0f} s of the start")


def _rows(starts: Sequence[Start], plan: Plan, why: str) -> list[Row]:
    """What a slow machine takes to open is added to every simulated candidate's key."""
    opening_s = max(start.opening_s for start in starts)
    keys_s = sorted(key_s for start in starts for key_s in start.keys_s)
    shown_s = [start.shown_s for start in starts]
    # From the first to the last of one start: the earliest candidate may open at once, the last is as slow as was seen.
    skews_s = [max(*start.keys_s, start.shown_s - opening_s) + opening_s - min(start.keys_s) for start in starts]
    return [
        Row("page_start_candidates", float(plan.sittings), "candidates", why),
        Row("page_start_starts", float(len(starts)), "starts"),
        Row("page_start_key_p50_s", quantile(keys_s, 0.5), "s"),
        Row("page_start_key_p99_s", quantile(keys_s, 0.99), "s"),
        Row("page_start_key_last_s", keys_s[-1], "s"),
        Row("page_start_opening_s", opening_s, "s", "in the browser, from the key to the question; the slowest start"),
        Row("page_start_browser_s", median(shown_s), "s", "real browser, median of the starts"),
        Row("page_start_browser_max_s", max(shown_s), "s"),
        Row("page_start_question_p99_s", max(quantile(keys_s, 0.99) + opening_s, *shown_s), "s", why),
        Row("page_start_skew_s", max(skews_s), "s", why),
        Row("page_start_papers_s", max(start.papers_s for start in starts), "s"),
        Row("page_start_down_bytes_each", median([start.down_bytes_each for start in starts]), "bytes"),
    ]


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def words_only(paper: dict[str, Any]) -> dict[str, Any]:
    """The same paper without figures: a text exam."""
    sections = [
        {**section, "items": [{**item, "stem": _FIGURE.sub("", item["stem"])} for item in section["items"]]}
        for section in paper["sections"]
    ]
    return {**paper, "sections": sections, "media": {}}
