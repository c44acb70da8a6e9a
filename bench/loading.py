"""The page's first load on one machine's share of a line: how long until a candidate can type, and how many bytes.

10 kbit/s in each direction and nobody else on it: what 5,000 machines have of 50 Mbit/s when all of them load at once.
Measured cold, then again with the browser's cache, then with the service worker.
"""

from __future__ import annotations

import time

from playwright.sync_api import BrowserContext

from bench import machine
from bench.carrying import settled
from bench.field import Field, field_behind
from bench.rows import Row
from bench.saving import Plan
from loadtest.network import HALL_KBIT_PER_S, SHARE_KBIT_PER_S, Line, line

LOADED_WITHIN_MS = 300_000


def measure(plan: Plan) -> list[Row]:
    """Of one browser; the plan has no say."""
    with line(HALL_KBIT_PER_S) as wire, field_behind(wire) as on, machine.browser_for(on) as browser:
        wire.shape(SHARE_KBIT_PER_S)
        with machine.machine_in(browser) as context:
            rows = _load(on, wire, context, "cold")
            context.pages[0].evaluate("navigator.serviceWorker.ready.then(() => true)")
            settled(wire)
            rows += _load(on, wire, context, "worker")
        with machine.machine_in(browser, service_workers="block") as context:
            # Without a service worker: what the browser alone remembers.
            _load(on, wire, context, "cold")
            rows += _load(on, wire, context, "warm")
    return rows


def _load(on: Field, wire: Line, context: BrowserContext, name: str) -> list[Row]:
    """Into the context's one tab. Usable: a candidate may type into the first field."""
    page = context.pages[0] if context.pages else context.new_page()
    before, began_s = settled(wire), time.monotonic()
    page.goto(on.url, timeout=LOADED_WITHIN_MS, wait_until="commit")
    page.get_by_label("考试口令").wait_for(timeout=LOADED_WITHIN_MS)
    usable_s = time.monotonic() - began_s
    moved = settled(wire).since(before)
    return [
        Row(f"page_load_{name}_s", usable_s, "s"),
        Row(f"page_load_{name}_down_kb", moved.down_bytes / 1000, "kB"),
        Row(f"page_load_{name}_up_kb", moved.up_bytes / 1000, "kB"),
    ]
