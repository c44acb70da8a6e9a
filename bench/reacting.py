"""How long the page takes to show what a candidate does, on a machine four times slower than this one.

Options are chosen by number keys and by the mouse, items are turned, a text is typed; of each event the time is
measured from the browser's own time stamp until the frame that shows its effect has been handed over: every event, not
only slow ones. Beside it stands what Chromium's Event Timing says, which counts in steps of 8 ms and knows nothing
below 16.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Page

from bench import machine
from bench.field import field_behind
from bench.opening import quantile, words_only
from bench.rows import BenchFault, Row
from bench.saving import Plan
from tests.browser.hall import Seat

SLOWER = 4
STARTS_IN_S = 30.0
PICKS = 200  # by number keys, each in an item of its own turn
CLICKS = 100
TYPED = "用人单位以末位淘汰为由解除劳动合同是否合法请说明理由" * 6
PAUSE_S = 0.12  # nobody is quicker, and each event has a frame of its own
TEXT_ITEM = "F1"
TIMING_STEP_MS = 16  # what Event Timing does not tell took less
_LISTEN = """() => {
  const found = (globalThis.reacted = { own: [], timing: [] });
  const note = (event) => {
    const { type, key } = event;
    const kind = type === 'click' ? 'click' : key.startsWith('Arrow') ? 'turn' : /^[1-9]$/.test(key) ? 'pick' : 'type';
    requestAnimationFrame(() => {
      const painted = new MessageChannel();
      painted.port1.onmessage = () => found.own.push([kind, performance.now() - event.timeStamp]);
      painted.port2.postMessage(null);
    });
  };
  addEventListener('keydown', note, { capture: true });
  addEventListener('click', (event) => event.isTrusted && event.detail && note(event), { capture: true });
  const told = (list) => {
    for (const { interactionId, duration } of list.getEntries()) if (interactionId) found.timing.push(duration);
  };
  new PerformanceObserver(told).observe({ type: 'event', durationThreshold: 16 });
}"""


def measure(plan: Plan) -> list[Row]:
    """In one browser, over the loopback; the plan has no say."""
    with field_behind(None) as on:
        words = words_only(on.paper)
        item = {"id": TEXT_ITEM, "type": "text", "stem": "末位淘汰是否合法？请说明理由。", "points": 10}
        essay = {"id": "F", "title": "论述题", "items": [item]}
        on.paper = {**words, "sections": [*words["sections"], essay]}
        with machine.browser_for(on) as browser, machine.machine_in(browser) as context:
            exam = on.exam("input", 1, starts_in_s=STARTS_IN_S, enter=False)
            seat = machine.seat_at(context, on, exam, 0).arrive().log_in().confirm().pledge()
            seat.page.locator('[data-seal="intact"]').wait_for(timeout=machine.READY_MS)
            machine.inspector(seat).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
            seat.see_paper(STARTS_IN_S)
            opened = machine.seen(seat)
            seat.page.evaluate(_LISTEN)
            kinds = {item["id"]: item["type"] for section in on.paper["sections"] for item in section["items"]}
            _pick(seat, kinds)
            _type(seat)
            machine.check(seat)
            reacted: dict[str, Any] = seat.page.evaluate("globalThis.reacted")
    opening_s = (opened["shown_ms"] - opened["key_ms"]) / 1000
    return rows_of(reacted["own"], reacted["timing"], opening_s)


def _pick(seat: Seat, kinds: dict[str, str]) -> None:
    """From item to item: number keys where there is something to choose, then again with the mouse."""
    order = [item for item in seat.order() if kinds[item] in ("single", "multiple", "true_false")]
    page = seat.page
    seat.go(order[0])
    for number in range(PICKS):
        if number % len(order) == 0:
            seat.go(order[0])
        _press(page, str(1 + number % 2))
        _press(page, "ArrowRight" if number % len(order) < len(order) - 1 else "ArrowLeft")
    for number in range(CLICKS):
        seat.go(order[number % len(order)])
        time.sleep(PAUSE_S)
        page.locator(".question .option").nth(number % 2).click()
        time.sleep(PAUSE_S)


def _type(seat: Seat) -> None:
    seat.go(TEXT_ITEM)
    seat.page.locator("#essay").focus()
    for character in TYPED:
        # A key that types, as a physical keyboard has it; an input method's own window is not the page's.
        _press(seat.page, chr(ord("a") + ord(character) % 26))


def _press(page: Page, key: str) -> None:
    page.keyboard.press(key)
    time.sleep(PAUSE_S)


def rows_of(own: Sequence[tuple[str, float]], timing_ms: Sequence[float], opening_s: float) -> list[Row]:
    by_kind: dict[str, list[float]] = {}
    for kind, took_ms in own:
        by_kind.setdefault(kind, []).append(took_ms)
    missing = {"pick", "turn", "click", "type"} - by_kind.keys()
    if missing:
        raise BenchFault(f"no events of the kind {', '.join(sorted(missing))} were seen")
    every_ms = sorted(took_ms for _, took_ms in own)
    told_ms = sorted([*timing_ms, *[TIMING_STEP_MS] * max(0, len(own) - len(timing_ms))])
    rows = [Row("page_input_events", float(len(own)), "events", f"{SLOWER} times slower than this machine")]
    for kind, took in sorted(by_kind.items()):
        rows.append(Row(f"page_input_{kind}_p99_ms", quantile(sorted(took), 0.99), "ms", f"{len(took)} events"))
    return [
        *rows,
        Row("page_input_p50_ms", quantile(every_ms, 0.5), "ms"),
        Row("page_input_p99_ms", quantile(every_ms, 0.99), "ms"),
        Row("page_input_max_ms", every_ms[-1], "ms"),
        Row("page_input_event_timing_p99_ms", quantile(told_ms, 0.99), "ms", "in steps of 8 ms"),
        Row("page_input_opening_s", opening_s, "s", "from the key to the question, as slow"),
    ]
