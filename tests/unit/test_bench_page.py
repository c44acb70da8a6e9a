"""What the page's measures make of what they have counted: pure parts, and the line itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench import carrying, growing, opening, reacting
from bench.rows import BenchFault, Row
from bench.saving import Plan
from loadtest.network import Traffic
from tests import servers

STAGES = {
    "cached_load": 0,
    "entering": 2_000,
    "photo_and_paper": 8_000,
    "waiting": 600,
    "start": 400,
    "handing_in": 3_000,
}
WAITING = (carrying.WAIT_S - carrying.CLOSED_AFTER_S) / carrying.WAITED_S
# Runs in a process of its own: a thread that has changed its namespace is nobody's to come back to.
_OVER_A_LINE = """
import http.server, json, subprocess, sys, threading
from loadtest.network import NEAR, NoNetwork, line
try:
    with line(50_000) as wire:
        server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), http.server.SimpleHTTPRequestHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ask = f"import urllib.request as u; print(len(u.urlopen('http://{NEAR.address}:{server.server_port}/run').read()))"
        before = wire.traffic()
        fetch = [*wire.at_far_end, sys.executable, "-c", ask]
        fetched = subprocess.run(fetch, capture_output=True, text=True, check=True)
        moved = wire.traffic().since(before)
        here = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True).stdout
    after = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True).stdout
    print(json.dumps({"fetched": int(fetched.stdout), "down": moved.down_bytes, "packets": moved.down_packets,
                      "near_inside": "near" in here, "near_after": "near" in after}))
except NoNetwork as refused:
    print(json.dumps({"refused": str(refused)}))
"""


def test_a_line_carries_and_counts_and_leaves_nothing_behind() -> None:
    """Each packet at most as large as a wire takes, headers counted, both namespaces gone afterwards."""
    done = subprocess.run(
        [sys.executable, "-c", _OVER_A_LINE], cwd=servers.ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    if "refused" in told:
        pytest.skip(told["refused"])

    assert told["fetched"] == (servers.ROOT / "run").stat().st_size
    assert told["fetched"] + told["packets"] * 40 < told["down"] <= told["packets"] * 1514
    assert told["near_inside"]
    assert not told["near_after"]


def test_quiet_minutes_are_carried_on_and_changes_are_not() -> None:
    """15 of 135 changes in ten minutes: 300 bytes each, the other 500 bytes were asking whether the line lives."""
    stages = {**STAGES, "answering": 120 * 300.0, "paced": 15 * 300.0 + 500}

    whole, per_change, quiet = carrying.carried_on(stages, 15, 600)

    assert per_change == 300
    assert quiet == 500 * 9 + 600 * WAITING
    assert whole == 13_400 + 135 * 300 + quiet


def test_an_exam_in_full_length_carries_on_only_the_waiting() -> None:
    """Then what was measured is the exam."""
    stages = {**STAGES, "answering": 0.0, "paced": 60_000.0}

    whole, _, quiet = carrying.carried_on(stages, carrying.CHANGES, carrying.EXAM_S)

    assert quiet == 600 * WAITING
    assert whole == 13_400 + 60_000 + quiet


def test_the_first_load_of_the_page_is_told_and_not_counted() -> None:
    """The goal is for a cached page."""
    traffic = {stage: Traffic(int(down), 0, 0, 0) for stage, down in STAGES.items()}
    traffic |= {"answering": Traffic(0, 0, 0, 0), "paced": Traffic(0, 0, 0, 0)}
    whole = _values(carrying.rows_of(traffic, 15, 600))["page_exam_down_kb"]

    loaded = _values(carrying.rows_of({**traffic, "first_load": Traffic(70_000, 0, 0, 0)}, 15, 600))

    assert loaded["page_first_load_down_kb"] == 70
    assert loaded["page_exam_down_kb"] == whole


def test_every_simulated_candidate_opens_as_slowly_as_the_browser_did() -> None:
    """And the browser's own start counts when it was later than all of them."""
    start = opening.Start([0.1] * 98 + [0.4, 0.5], 0.35, 0.2, 15.0, 10.0)
    late = opening.Start([0.1], 0.9, 0.2, 15.0, 10.0)

    alone = _values(opening._rows([start], Plan(), ""))
    both = _values(opening._rows([start, late], Plan(), ""))

    assert alone["page_start_question_p99_s"] == pytest.approx(0.6)
    assert alone["page_start_skew_s"] == pytest.approx(0.6)
    assert both["page_start_question_p99_s"] == pytest.approx(0.9)
    assert both["page_start_skew_s"] == pytest.approx(0.8)


def test_a_text_exam_has_its_words_and_no_figures() -> None:
    """Only the figures go."""
    item = {"id": "A1", "stem": "看图回答。\n![图](fig.png)\n应为多少？"}
    paper = {"title": "t", "sections": [{"id": "A", "items": [item]}], "media": {"fig.png": "AA=="}}

    words = opening.words_only(paper)

    assert words["media"] == {}
    assert words["sections"][0]["items"] == [{"id": "A1", "stem": "看图回答。\n应为多少？"}]


def test_growth_is_carried_on_to_two_hours_and_shrinking_is_not() -> None:
    """Six megabytes an hour from ten minutes on."""
    rising = [growing.Heap(600.0 * step, 10.0 + step, 1, 1) for step in range(4)]
    falling = [growing.Heap(600.0 * step, 10.0 - step, 1, 1) for step in range(4)]

    grown = _values(growing.rows_of(rising[0], rising[0], rising))
    shrunk = _values(growing.rows_of(falling[0], falling[0], falling))

    assert grown["page_heap_slope_mb_per_h"] == pytest.approx(6)
    assert grown["page_heap_mb"] == pytest.approx(13 + 9)
    assert shrunk["page_heap_mb"] == 10


def test_reactions_are_told_by_kind_and_none_may_be_missing() -> None:
    """Events that nobody saw are no quick ones."""
    own = [(kind, float(took)) for kind in ("pick", "turn", "click", "type") for took in range(1, 101)]

    told = _values(reacting.rows_of(own, [24.0], 0.3))

    assert told["page_input_pick_p99_ms"] == 99
    assert told["page_input_p50_ms"] == 50
    assert told["page_input_event_timing_p99_ms"] == reacting.TIMING_STEP_MS
    with pytest.raises(BenchFault, match="no events of the kind type"):
        reacting.rows_of(own[:300], [], 0.3)


def _values(rows: list[Row]) -> dict[str, float]:
    return {row.name: row.value for row in rows if row.value is not None}
