"""The candidate's page while the line or the server is away: nothing is lost and nothing is claimed that is not true."""

from __future__ import annotations

import os
import signal
import time

import pytest
from playwright.sync_api import BrowserContext, Route, expect

from tests import servers
from tests.browser.hall import ESSAY, Exam, Seat, push_exam, until


def test_closing_the_tab_while_offline_and_logging_in_again_replays_the_journal(
    exam: Exam, machine: BrowserContext
) -> None:
    seat = Seat(machine, exam).enter()
    seat.choose("A1", "b").overall("recorded")
    machine.set_offline(True)
    seat.choose("A1", "c").type("F1", ESSAY).choose("B2", "a", "d").overall("offline").item_state("local")
    seat.page.wait_for_timeout(600)
    seat.page.close()
    machine.set_offline(False)

    again = Seat(machine, exam).arrive().log_in().see_paper()

    again.overall("recorded")
    assert exam.responses(again.sitting_id) == {"A1": "c", "B2": ["a", "d"], "F1": ESSAY}
    assert again.faults == []


@pytest.mark.slow
def test_server_silent_for_20_s_loses_nothing_and_the_page_says_so(
    frail_engine: servers.Engine, machine: BrowserContext
) -> None:
    exam = push_exam(frail_engine.url, frail_engine.keys, duration_s=180)
    seat = Seat(machine, exam).enter()
    seat.choose("A1", "b").overall("recorded")
    worker = frail_engine.processes["worker-0"]

    os.kill(worker, signal.SIGSTOP)
    try:
        stopped_s = time.monotonic()
        seat.choose("A2", "a").choose("A1", "d").type("D1", "八", "一").type("F1", ESSAY)
        seat.overall("offline").item_state("local")
        expect(seat.page.locator(".pill")).to_contain_text("4 题保存在本机")
        seat.shot("14-server-away")
        seat.choose("C1", "true")
        expect(seat.page.locator(".pill")).to_contain_text("5 题保存在本机")
        seat.page.wait_for_timeout(max(0, 20 - (time.monotonic() - stopped_s)) * 1000)
        assert seat.page.locator('.pill[data-state="offline"]').is_visible()
    finally:
        os.kill(worker, signal.SIGCONT)

    seat.overall("recorded", within_s=30)
    assert exam.responses(seat.sitting_id) == {"A1": "d", "A2": "a", "C1": True, "D1": ["八", "一"], "F1": ESSAY}
    assert seat.faults == []


@pytest.mark.slow
def test_worker_killed_while_answers_are_given_loses_nothing(
    frail_engine: servers.Engine, machine: BrowserContext
) -> None:
    exam = push_exam(frail_engine.url, frail_engine.keys, duration_s=180)
    seat = Seat(machine, exam).enter()
    seat.choose("A1", "b")

    os.kill(frail_engine.processes["worker-0"], signal.SIGKILL)
    machine.set_offline(True)
    seat.choose("A2", "a").choose("A3", "c").overall("offline")
    seat.page.wait_for_timeout(3_000)
    machine.set_offline(False)
    seat.choose("A4", "d").overall("recorded", within_s=30)
    seat.page.get_by_role("button", name="交卷").click()
    seat.answer("交卷")
    seat.answer("仍然交卷")

    seat.receipt()
    expect(seat.page.locator("#agrees")).to_have_class("agrees")
    assert exam.responses(seat.sitting_id) == {"A1": "b", "A2": "a", "A3": "c", "A4": "d"}


def test_one_refused_change_does_not_hold_up_the_others(exam: Exam, machine: BrowserContext) -> None:
    seat = Seat(machine, exam).enter()

    def spoil(route: Route) -> None:
        route.continue_(
            post_data=(route.request.post_data or "").replace(
                '"item":"A1","seq":1,"value":"b"', '"item":"A1","seq":1,"value":"zz"'
            )
        )

    machine.set_offline(True)
    seat.choose("A1", "b").choose("A2", "a").choose("A3", "c")
    machine.route("**/v1/sitting/responses", spoil)
    machine.set_offline(False)

    seat.overall("trouble")
    until(lambda: exam.responses(seat.sitting_id) == {"A2": "a", "A3": "c"}, 10, "recording of the others")
    seat.go("A1").item_state("refused").shot("21-refused")
    machine.unroute("**/v1/sitting/responses")
    seat.choose("A1", "d").overall("recorded")
    assert exam.responses(seat.sitting_id) == {"A1": "d", "A2": "a", "A3": "c"}
