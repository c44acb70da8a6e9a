"""The page while the line or the server is away: nothing is lost and nothing is claimed that is not true."""

from __future__ import annotations

import os
import signal
import time

import pytest
from playwright.sync_api import BrowserContext, Route, WebSocketRoute, expect

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
def test_server_silent_for_12_s_loses_nothing_and_the_page_says_so(
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
        seat.page.wait_for_timeout(max(0, 12 - (time.monotonic() - stopped_s)) * 1000)
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
    right, wrong = '"item":"A1","seq":1,"value":"b"', '"item":"A1","seq":1,"value":"zz"'

    def spoil(route: Route) -> None:
        route.continue_(post_data=(route.request.post_data or "").replace(right, wrong))

    def spoil_frames(channel: WebSocketRoute) -> None:
        server = channel.connect_to_server()
        channel.on_message(lambda frame: server.send(str(frame).replace(right, wrong)))

    machine.route_web_socket("**/v1/channel", spoil_frames)
    machine.route("**/v1/sitting/responses", spoil)
    seat = Seat(machine, exam).enter()
    machine.set_offline(True)
    seat.choose("A1", "b").choose("A2", "a").choose("A3", "c")
    machine.set_offline(False)

    seat.overall("trouble")
    until(lambda: exam.responses(seat.sitting_id) == {"A2": "a", "A3": "c"}, 10, "recording of the others")
    seat.go("A1").item_state("refused").shot("21-refused")
    seat.choose("A1", "d").overall("recorded")
    assert exam.responses(seat.sitting_id) == {"A1": "d", "A2": "a", "A3": "c"}


def test_end_reached_while_offline_still_counts_what_arrives_in_grace(
    engine_up: servers.Engine, machine: BrowserContext
) -> None:
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=12, grace_s=10)
    seat = Seat(machine, exam).enter()
    seat.choose("A1", "b").overall("recorded")
    machine.set_offline(True)
    seat.choose("A1", "d").type("F1", ESSAY)
    expect(seat.page.locator("#ended")).to_contain_text("暂时连不上服务器", timeout=20_000)
    seat.shot("22-ended-offline")
    machine.set_offline(False)

    expect(seat.page.locator("#ended")).to_contain_text("已全部送到服务器", timeout=8_000)
    seat.receipt()
    expect(seat.page.locator("#agrees")).to_have_class("agrees")
    until(lambda: exam.responses(seat.sitting_id) == {"A1": "d", "F1": ESSAY}, 10, "recording")


def test_answer_that_missed_the_end_is_named_and_kept(engine_up: servers.Engine, machine: BrowserContext) -> None:
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=10, grace_s=1)
    seat = Seat(machine, exam).enter()
    seat.choose("A1", "b").overall("recorded")
    machine.set_offline(True)
    seat.choose("A2", "d")
    number = seat.order().index("A2") + 1
    expect(seat.page.locator("#ended")).to_be_visible(timeout=20_000)
    seat.page.wait_for_timeout(2_000)
    machine.set_offline(False)

    told = seat.page.get_by_role("alert")
    expect(told).to_contain_text("有 1 题最后填写的内容没有计入", timeout=15_000)
    expect(told).to_contain_text(f"涉及题号：{number}")
    seat.shot("23-missed-the-end")
    until(lambda: exam.responses(seat.sitting_id) == {"A1": "b"}, 10, "recording")
