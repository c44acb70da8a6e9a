"""The page on a line that fails in every way: what it showed as recorded is recorded, what was typed arrives."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, WebSocketRoute, expect

from tests import servers
from tests.browser.hall import ESSAY, Exam, Seat, call, push_exam, until
from tests.browser.line import Line, Upgrade, line_to

# A thirtieth of the five minutes that must not matter; LIANKAO_OUTAGE_S=300 waits for all of them.
OUTAGE_S = float(os.environ.get("LIANKAO_OUTAGE_S", "10"))


@pytest.fixture
def line(engine_up: servers.Engine) -> Iterator[Line]:
    with line_to(engine_up.port) as line:
        yield line


def behind(line: Line, exam: Exam) -> Exam:
    """The same exam as a machine behind `line` reaches it."""
    return replace(exam, url=line.url)


def answer_thirty(seat: Seat, seconds_each: float = 0) -> dict[str, Any]:
    """Thirty answers, five of them changed once more; what must be recorded of them."""
    for n in range(1, 13):
        seat.choose(f"A{n}", "ad"[n % 2])
    for n in range(1, 5):
        seat.choose(f"B{n}", "a", "c").choose(f"C{n}", "true")
        seat.page.wait_for_timeout(seconds_each * 1000)
    seat.type("D1", "八", "一").type("D2", "21.75").type("E1", "8.667").type("E2", "240").type("F1", ESSAY)
    for n in range(1, 6):
        seat.choose(f"A{n}", "b")
    letters = {f"A{n}": "b" if n < 6 else "ad"[n % 2] for n in range(1, 13)}
    several = {f"B{n}": ["a", "c"] for n in range(1, 5)}
    truths: dict[str, Any] = {f"C{n}": True for n in range(1, 5)}
    return {**letters, **several, **truths, "D1": ["八", "一"], "D2": ["21.75"], "E1": 8.667, "E2": 240, "F1": ESSAY}


def test_thirty_answers_given_while_the_server_was_gone_are_all_recorded(
    engine_up: servers.Engine, line: Line, machine: BrowserContext
) -> None:
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=int(240 + OUTAGE_S))
    seat = Seat(machine, behind(line, exam)).enter()
    seat.choose("A12", "c").overall("recorded")

    line.away()
    gone_ms = seat.page.evaluate("performance.now()")
    expected = answer_thirty(seat, seconds_each=OUTAGE_S / 10)
    seat.overall("offline").item_state("local")
    expect(seat.page.locator(".pill")).to_contain_text("25 题保存在本机")
    seat.page.wait_for_timeout(max(0, OUTAGE_S * 1000 - (seat.page.evaluate("performance.now()") - gone_ms)))
    assert exam.responses(seat_id(exam, seat)) == {"A12": "c"}
    line.back()

    seat.overall("recorded")
    assert exam.responses(seat.sitting_id) == expected
    assert seat.faults == []


def seat_id(exam: Exam, seat: Seat) -> str:
    """The sitting of a seat whose own line is down."""
    token = seat.page.evaluate("sessionStorage.getItem('liankao.token')")
    return Seat.sitting_of(exam, token)


def test_dead_line_is_noticed_and_what_was_on_it_is_sent_again(exam: Exam, line: Line, machine: BrowserContext) -> None:
    seat = Seat(machine, behind(line, exam)).enter()
    seat.choose("A1", "b").overall("recorded")

    line.dead()
    seat.choose("A1", "c").choose("A2", "a").overall("offline")
    line.healed()

    seat.choose("A3", "d").overall("recorded")
    assert exam.responses(seat.sitting_id) == {"A1": "c", "A2": "a", "A3": "d"}


def test_slow_line_that_breaks_again_and_again_delivers_everything(
    engine_up: servers.Engine, line: Line, machine: BrowserContext
) -> None:
    """As a telephone's line at a cell's edge: a quarter of a second away, some kilobytes a second, lost at times."""
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=240)
    seat = Seat(machine, behind(line, exam)).enter()
    line.wire.delay_s, line.wire.jitter_s, line.wire.bytes_per_s = 0.2, 0.2, 20_000

    for n in range(1, 5):
        seat.choose(f"A{n}", "b").choose(f"B{n}", "a", "d")
        line.cut()
        seat.choose(f"A{n}", "c")
    seat.type("F1", ESSAY)

    seat.overall("recorded")
    answers = {f"A{n}": "c" for n in range(1, 5)} | {f"B{n}": ["a", "d"] for n in range(1, 5)}
    assert exam.responses(seat_id(exam, seat)) == {**answers, "F1": ESSAY}
    assert seat.faults == []


@pytest.mark.parametrize("upgrade", [Upgrade.REFUSED, Upgrade.SILENT])
def test_proxy_that_lets_no_websocket_through_costs_no_answer(
    upgrade: Upgrade, exam: Exam, engine_up: servers.Engine, machine: BrowserContext
) -> None:
    with line_to(engine_up.port, upgrade) as line:
        seat = Seat(machine, behind(line, exam)).enter()

        seat.choose("A1", "b").choose("B1", "a", "c").type("F1", ESSAY).overall("recorded")

        assert exam.responses(seat.sitting_id) == {"A1": "b", "B1": ["a", "c"], "F1": ESSAY}
        assert seat.saves("/v1/channel") == [] and seat.saves("/v1/sitting/responses") != []
        assert {item for item, _ in seat.witness.acknowledged} == {"A1", "B1", "F1"}


def test_paper_opens_although_the_key_is_not_pushed(exam: Exam, machine: BrowserContext) -> None:
    def without_key(channel: WebSocketRoute) -> None:
        server = channel.connect_to_server()
        server.on_message(lambda frame: None if '"paper_key"' in str(frame) else channel.send(frame))

    machine.route_web_socket("**/v1/channel", without_key)

    seat = Seat(machine, exam).enter()

    seat.choose("A1", "b").overall("recorded")
    assert exam.responses(seat.sitting_id) == {"A1": "b"}


def test_key_that_takes_seconds_opens_the_paper_and_costs_no_time_that_is_not_told(
    engine_up: servers.Engine, line: Line, machine: BrowserContext
) -> None:
    """Pushed or asked for, it is late; what is left is the engine's reckoning, not the moment the paper opened."""
    exam = push_exam(engine_up.url, engine_up.keys, starts_in_s=10, duration_s=300)
    seat = Seat(machine, behind(line, exam)).arrive().log_in().confirm().pledge()
    expect(seat.page.get_by_text("封条完好")).to_be_visible(timeout=60_000)
    line.wire.delay_s = 1.5
    seat.see_paper(within_s=60)

    minutes, seconds = map(int, seat.page.locator(".left").inner_text().split(":"))
    token = seat.page.evaluate("sessionStorage.getItem('liankao.token')")
    really_left_s = call(exam.url, "GET", "/v1/sitting", token)["remaining_ms"] / 1000

    assert minutes * 60 + seconds <= really_left_s + 3
    line.wire.delay_s = 0
    seat.choose("A1", "b").overall("recorded")
    assert exam.responses(seat.sitting_id) == {"A1": "b"}
    assert seat.faults == []


def test_open_channel_brings_the_key_and_carries_every_change(exam: Exam, machine: BrowserContext) -> None:
    """Nothing that HTTP could do as well is needed: neither the key, nor saving, nor asking what was recorded."""
    for path in ("paper-key", "responses"):
        machine.route(f"**/v1/sitting/{path}", lambda route: route.abort())
    seat = Seat(machine, exam).enter()
    machine.route("**/v1/sitting", lambda route: route.abort())

    seat.choose("A1", "b").choose("A2", "b").choose("A3", "c").type("F1", ESSAY).overall("recorded")

    assert all(frame.startswith('{"type":"save","changes":[{"item":') for frame in seat.saves("/v1/channel"))
    assert {item for item, _ in seat.witness.acknowledged} == {"A1", "A2", "A3", "F1"} and seat.witness.seen
    machine.unroute("**/v1/sitting")
    assert exam.responses(seat.sitting_id) == {"A1": "b", "A2": "b", "A3": "c", "F1": ESSAY}


def test_clock_set_in_the_middle_of_the_exam_changes_nothing(
    engine_up: servers.Engine, machine: BrowserContext
) -> None:
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=600)
    seat = Seat(machine, exam).enter()
    page = seat.page

    def left_s() -> int:
        minutes, seconds = map(int, page.locator(".left").inner_text().split(":"))
        return minutes * 60 + seconds

    for hours in (1, -2):
        before_s, at_ms = left_s(), page.evaluate("performance.now()")
        page.evaluate(
            """(ms) => {
              const RealDate = globalThis.RealDate ??= Date;
              globalThis.Date = class extends RealDate {
                constructor(...given) { given.length ? super(...given) : super(RealDate.now() + ms); }
                static now() { return RealDate.now() + ms; }
              };
            }""",
            hours * 3_600_000,
        )
        page.wait_for_timeout(1_000)
        passed_s = (page.evaluate("performance.now()") - at_ms) / 1000
        assert abs(before_s - left_s() - passed_s) < 5
        seat.choose("A1", "b" if hours > 0 else "c").overall("recorded")

    until(lambda: exam.responses(seat.sitting_id) == {"A1": "c"}, 20, "recording")
    assert seat.faults == []
