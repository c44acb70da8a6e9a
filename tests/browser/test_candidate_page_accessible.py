"""WCAG 2.2 AA on every screen of the candidate's page: in both contrasts, with large type, in English."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, expect

from tests import servers
from tests.browser.axe import faults_of
from tests.browser.hall import ESSAY, Exam, Seat, push_exam


class Walk:
    """Looks at one screen after the other; all faults are told together, by screen."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def see(self, seat: Seat, screen: str) -> None:
        """In the contrast it has, and its colours in the other one."""
        page = seat.page
        self.faults += [f"{screen}: {fault}" for fault in faults_of(page)]
        for contrast in ("high", "normal"):
            page.evaluate("(contrast) => { document.documentElement.dataset.contrast = contrast; }", contrast)
            if contrast == "high":
                self.faults += [f"{screen}, high contrast: {fault}" for fault in faults_of(page, "color-contrast")]


@pytest.fixture
def walk() -> Walk:
    return Walk()


def test_the_way_to_the_paper_is_for_everyone(engine_up: servers.Engine, machine: BrowserContext, walk: Walk) -> None:
    early = push_exam(engine_up.url, engine_up.keys, starts_in_s=7_200)
    exam = push_exam(engine_up.url, engine_up.keys, starts_in_s=300)
    seat = Seat(machine, early).arrive()
    page = seat.page
    walk.see(seat, "login")
    seat.log_in()
    expect(page.get_by_role("alert")).to_contain_text("起可以登录")
    walk.see(seat, "too early")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    walk.see(seat, "English")
    page.get_by_role("button", name="中文").click()

    seat.exam, seat.candidate = exam, exam.candidates[0]
    seat.log_in()
    expect(page.get_by_role("button", name="信息无误")).to_be_visible()
    walk.see(seat, "confirm")
    page.get_by_role("button", name="信息有误").click()
    walk.see(seat, "data wrong")
    seat.answer("知道了")
    seat.confirm()
    page.get_by_role("button", name="承诺并继续").click()
    walk.see(seat, "pledge not ticked")
    page.get_by_role("button", name="不接受").click()
    walk.see(seat, "pledge refused")
    seat.answer("返回")
    seat.pledge()
    expect(page.get_by_text("封条完好")).to_be_visible(timeout=60_000)
    walk.see(seat, "waiting")

    assert walk.faults == []


def test_the_paper_is_for_everyone(engine_up: servers.Engine, machine: BrowserContext, walk: Walk) -> None:
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=600)
    seat = Seat(machine, exam).enter()
    page = seat.page
    seat.choose("A1", "b").choose("B1", "a", "c").choose("C1", "true").type("D1", "八").type("F1", ESSAY)
    for item in ("A1", "B4", "C1", "D1", "F1"):
        walk.see(seat.go(item), item)
    seat.type("E2", "240元").overall("trouble")
    walk.see(seat, "not a number")
    seat.type("E2", "240").go("E1")
    page.get_by_role("button", name="标记本题").click()
    walk.see(seat.item_state("none"), "figure, flagged")
    page.locator(".figure").click()
    walk.see(seat, "figure enlarged")
    seat.answer("关闭")
    page.get_by_role("button", name="按键说明").click()
    walk.see(seat, "keys")
    seat.answer("关闭")
    for size in ("大", "特大"):
        page.locator("#size").click()
        expect(page.locator(".size-now")).to_have_text(size)
        walk.see(seat, f"type {size}")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("button", name="Hand in")).to_be_visible()
    walk.see(seat, "English")
    machine.set_offline(True)
    seat.choose("A2", "a").overall("offline")
    walk.see(seat, "offline")
    machine.set_offline(False)
    seat.overall("recorded")
    page.get_by_role("button", name="Hand in").click()
    walk.see(seat, "review")
    seat.answer("Hand in")
    expect(page.locator("dialog[open]")).to_be_visible()
    walk.see(seat, "asked twice")
    page.locator("dialog[open] button.grave").click()
    seat.receipt()
    walk.see(seat, "receipt")

    assert walk.faults == []


def test_what_stops_a_candidate_is_for_everyone(
    engine_up: servers.Engine, machine: BrowserContext, other_machine: BrowserContext, walk: Walk
) -> None:
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=600, warn_before_end_s=599, earliest_submit_s=599)
    seat = Seat(machine, exam).enter().choose("A1", "b")
    expect(seat.page.locator(".banner")).to_contain_text("距考试结束还有", timeout=60_000)
    walk.see(seat, "time warned")
    seat.page.get_by_role("button", name="交卷").click()
    walk.see(seat, "hand-in too early")
    seat.answer("继续作答")
    second = Seat(machine, exam).arrive()
    second.page.get_by_role("button", name="在这里查看").click()
    walk.see(second.see_paper().readonly("tab"), "second tab")
    second.page.close()
    Seat(other_machine, exam).arrive().log_in().see_paper()
    walk.see(seat.readonly("superseded"), "superseded")

    assert walk.faults == []


def test_the_end_is_for_everyone(engine_up: servers.Engine, machine: BrowserContext, walk: Walk) -> None:
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=12, grace_s=1)
    seat = Seat(machine, exam).enter()
    machine.set_offline(True)
    seat.choose("A1", "b")
    expect(seat.page.locator("#ended")).to_contain_text("暂时连不上服务器", timeout=60_000)
    walk.see(seat, "ended, offline")
    seat.page.wait_for_timeout(1_500)
    machine.set_offline(False)
    expect(seat.page.get_by_role("alert")).to_contain_text("没有计入", timeout=60_000)
    walk.see(seat, "collected, one answer missed")

    assert walk.faults == []


def test_telephone_is_refused_for_everyone(exam: Exam, machine: BrowserContext, walk: Walk) -> None:
    machine.add_init_script("Object.defineProperty(navigator, 'userAgent', { value: 'Android Mobile' })")
    seat = Seat(machine, exam).arrive()
    expect(seat.page.get_by_text("手机和平板电脑不能参加")).to_be_visible()

    walk.see(seat, "telephone")

    assert walk.faults == []


@pytest.mark.parametrize("language", ["中文", "English"])
def test_largest_type_fits_the_screens_it_is_needed_on(
    engine_up: servers.Engine, machine: BrowserContext, language: str
) -> None:
    """1366 x 768 as it is, zoomed to 125 %, an old screen of 1024; at 400 % everything is in one column."""
    seat = Seat(machine, push_exam(engine_up.url, engine_up.keys, duration_s=600)).enter()
    page = seat.choose("A1", "b").overall("recorded").page
    if language == "English":
        page.get_by_role("button", name="English").click()
        expect(page.get_by_role("button", name="Hand in")).to_be_visible()
    for size in range(3):
        for width, height in ((1366, 768), (1093, 614), (1024, 768), (342, 192)):
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate(_MISPLACED) == [], f"{width} x {height}, size {size}"
        page.locator("#size").click()


# What is wider than the screen, cut off, or broken over lines where it must not be.
_MISPLACED = """() => {
  const told = [];
  if (document.documentElement.scrollWidth > innerWidth) told.push('the page scrolls sideways');
  for (const node of document.querySelectorAll('.bar > *, .walk > *, .walk button, .tools button')) {
    const { left, right } = node.getBoundingClientRect();
    if (left < 0 || right > innerWidth + 1) told.push(`${node.className || node.id} leaves the screen`);
    if (node.scrollWidth > node.clientWidth + 1 && node.matches('button, .pill')) told.push(`${node.id} is cut`);
  }
  for (const node of document.querySelectorAll('.stages li, .hand-in, .walk button')) {
    const lines = node.getClientRects().length && node.offsetHeight / parseFloat(getComputedStyle(node).fontSize);
    if (lines > 4.2) told.push(`${node.textContent} stands on its head`);
  }
  return told;
}"""
