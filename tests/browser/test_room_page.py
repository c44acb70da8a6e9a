"""The room's page in front of a proctor: who sits where, another machine allowed, a window left seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests import servers
from tests.browser.axe import faults_of
from tests.browser.hall import VIEWPORT, Exam, Seat, call, push_exam, until

LOOK_MS = 60_000  # the page asks every few seconds
ELSEWHERE = "Object.defineProperty(document, 'hasFocus', { configurable: true, value: () => false })"
BACK = "delete document.hasFocus"


class Desk:
    """A proctor in front of one tab."""

    def __init__(self, context: BrowserContext, exam: Exam) -> None:
        self.exam = exam
        self.page: Page = context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: self.faults.append(said.text) if "Content Security" in said.text else None)

    def arrive(self) -> Desk:
        self.page.goto(self.exam.url + "/room")
        return self

    def unlock(self, key: str = "") -> Desk:
        self.page.get_by_label("监考密钥").fill(key or self.exam.keys["proctor"])
        self.page.get_by_role("button", name="进入", exact=True).click()
        return self

    def open_room(self) -> Desk:
        self.page.locator(f'[data-batch="{self.exam.batch_id}"]').click()
        self.page.locator("[data-room]").first.click()
        expect(self.seat(0)).to_be_visible(timeout=LOOK_MS)
        return self

    def seat(self, candidate: int) -> Any:
        return self.page.locator(f'.seat[data-seat="{self.exam.candidates[candidate]["seat"]}"]')

    def count(self, name: str, number: int) -> None:
        expect(self.page.locator(f'[data-count="{name}"] dd')).to_have_text(str(number), timeout=LOOK_MS)


@pytest.fixture
def proctors_machine(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport=VIEWPORT) as context:
        yield context


def events_of(exam: Exam) -> list[dict[str, Any]]:
    return list(call(exam.url, "GET", f"/v1/batches/{exam.batch_id}/events", exam.keys["proctor"])["events"])


def test_a_proctor_lets_a_candidate_go_on_at_another_machine(
    engine_up: servers.Engine,
    machine: BrowserContext,
    other_machine: BrowserContext,
    proctors_machine: BrowserContext,
) -> None:
    """Refused before, let in after, with the same answers; the old machine stops."""
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=600, takeover="proctor")
    first = Seat(machine, exam).enter()
    first.choose("A1", "b").choose("A2", "c").overall("recorded")
    second = Seat(other_machine, exam).arrive().log_in()
    expect(second.page.get_by_role("alert")).to_contain_text("另一台机器")

    desk = Desk(proctors_machine, exam).arrive().unlock().open_room()
    expect(desk.seat(0)).to_have_attribute("data-state", "in_progress")
    expect(desk.seat(0)).to_contain_text("2 / 25", timeout=LOOK_MS)
    expect(desk.seat(1)).to_have_attribute("data-state", "expected")
    desk.count("in", 1)
    desk.count("asks", 1)
    desk.seat(0).click()
    expect(desk.page.locator(".asks")).to_contain_text("在另一台机器登录")
    desk.page.get_by_role("button", name="允许换机…").click()
    desk.page.get_by_role("button", name="允许换机", exact=True).click()
    expect(desk.page.get_by_role("alert")).to_contain_text("请填写姓名和原因")
    desk.page.get_by_label("监考人员姓名").fill("周监考")
    desk.page.get_by_label("原因").fill("机器死机")
    desk.page.get_by_role("button", name="允许换机", exact=True).click()
    expect(desk.page.locator(".allowed")).to_contain_text("另一台机器登录一次")
    expect(desk.page.get_by_text("周监考：机器死机")).to_be_visible(timeout=LOOK_MS)

    second.log_in().see_paper()
    first.readonly("superseded", within_s=60)
    second.go("A1")
    expect(second.page.locator('input[data-option="b"]')).to_be_checked()
    second.choose("A3", "d").overall("recorded")
    assert exam.responses(second.sitting_id) == {"A1": "b", "A2": "c", "A3": "d"}
    [act] = events_of(exam)
    assert (act["kind"], act["proctor"], act["reason"]) == ("takeover_allowed", "周监考", "机器死机")
    expect(desk.seat(0)).not_to_contain_text("可换机", timeout=LOOK_MS)
    desk.count("asks", 0)
    assert desk.faults == []


def test_a_window_that_was_left_is_on_record_and_nothing_else_happens(
    engine_up: servers.Engine, machine: BrowserContext, proctors_machine: BrowserContext
) -> None:
    """The candidate goes on as before; the proctor sees it. What takes the focus for a moment is no leaving."""
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=600)
    seat = Seat(machine, exam).enter()
    leave = f"{ELSEWHERE}; dispatchEvent(new Event('blur'))"
    back = f"{BACK}; dispatchEvent(new Event('focus'))"
    seat.page.evaluate(f"{leave}; {back}")
    seat.page.evaluate(leave)
    desk = Desk(proctors_machine, exam).arrive().unlock().open_room()
    desk.count("away", 1)
    expect(desk.seat(0)).to_contain_text("正离开窗口")
    machine.route("**/v1/sitting/events", lambda route: route.abort())
    seat.page.evaluate(back)
    seat.choose("A1", "b").overall("recorded")
    seat.page.reload()
    machine.unroute("**/v1/sitting/events")
    seat.see_paper().overall("recorded")

    desk.count("away", 0)
    expect(desk.seat(0)).to_contain_text("离开 1 次", timeout=LOOK_MS)
    told = until(lambda: events_of(exam) if len(events_of(exam)) > 1 else None, 60, "a return on record")
    assert [event["kind"] for event in told] == ["window_left", "window_returned"]
    assert told[0]["at_ms"] < told[1]["at_ms"] and told[1]["away_ms"] >= told[1]["at_ms"] - told[0]["at_ms"] - 2
    assert seat.page.locator("dialog, [role=alert]:not(:empty)").count() == 0
    assert seat.faults == [] and desk.faults == []


def test_the_rooms_page_is_for_everyone_and_keeps_nothing(
    engine_up: servers.Engine, proctors_machine: BrowserContext
) -> None:
    """WCAG 2.2 AA on every screen; a wrong key is said, and leaving forgets the right one."""
    exam = push_exam(engine_up.url, engine_up.keys, starts_in_s=600, takeover="proctor")
    desk = Desk(proctors_machine, exam).arrive()
    page, faults = desk.page, []
    faults += faults_of(page)
    desk.unlock("lk_proctor_000000000000_" + "A" * 32)
    expect(page.get_by_role("alert")).to_contain_text("无效")
    faults += faults_of(page)
    desk.unlock(exam.keys["schedule"])
    expect(page.get_by_role("alert")).to_contain_text("不是监考密钥")
    desk.unlock()
    expect(page.locator(f'[data-batch="{exam.batch_id}"]')).to_be_visible()
    desk.page.locator(f'[data-batch="{exam.batch_id}"]').click()
    expect(page.locator("[data-room]").first).to_be_visible()
    faults += faults_of(page)
    desk.open_room()
    faults += faults_of(page)
    desk.seat(0).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="邹欣平")).to_be_focused()
    faults += faults_of(page)
    page.get_by_role("button", name="English").click()
    expect(page.get_by_text("Not here").first).to_be_visible()
    faults += faults_of(page)
    page.reload()
    expect(page.locator(f'[data-batch="{exam.batch_id}"]')).to_be_visible()
    page.get_by_role("button", name="Leave", exact=True).click()
    expect(page.get_by_label("Proctor key")).to_be_focused()

    assert faults == []
    assert page.evaluate("Object.keys(sessionStorage)") == []
    assert [name for name in page.evaluate("Object.values(localStorage)") if "lk_" in name] == []
    assert desk.faults == []


def test_a_key_that_could_not_be_tried_need_not_be_typed_again(
    engine_up: servers.Engine, proctors_machine: BrowserContext
) -> None:
    """The line fails once: what stands in the field is what the next press sends."""
    exam = push_exam(engine_up.url, engine_up.keys)
    desk = Desk(proctors_machine, exam).arrive()
    desk.page.route("**/v1/invigilation", lambda asked: asked.abort(), times=1)
    desk.unlock()
    expect(desk.page.get_by_role("alert")).to_be_visible(timeout=LOOK_MS)
    desk.page.get_by_role("button", name="进入", exact=True).click()

    expect(desk.page.locator(f'[data-batch="{exam.batch_id}"]')).to_be_visible(timeout=LOOK_MS)
