"""Copying out of the paper: off unless the batch allows it; a candidate's own text is always the candidate's."""

from __future__ import annotations

from typing import cast

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests import servers
from tests.browser.hall import ESSAY, Exam, Seat, push_exam

BEFORE = "前一位考生留下的"


@pytest.fixture
def clipboard(machine: BrowserContext) -> BrowserContext:
    machine.grant_permissions(["clipboard-read", "clipboard-write"])
    return machine


def held(page: Page) -> str:
    return cast(str, page.evaluate("navigator.clipboard.readText()"))


def hold(page: Page, text: str) -> None:
    page.evaluate("(text) => navigator.clipboard.writeText(text)", text)


def stopped(page: Page, selector: str, event: str) -> bool:
    """Whether the page keeps the browser from doing what `event` would do there."""
    script = "(node, event) => !node.dispatchEvent(new MouseEvent(event, { bubbles: true, cancelable: true }))"
    return cast(bool, page.locator(selector).first.evaluate(script, event))


def test_nothing_is_copied_or_printed_out_of_the_paper(exam: Exam, clipboard: BrowserContext) -> None:
    page = Seat(clipboard, exam).enter().go("A1").page
    hold(page, BEFORE)
    told = page.locator(".passing")
    expect(told).to_be_empty()

    page.keyboard.press("Control+a")
    page.keyboard.press("Control+c")

    expect(told).to_contain_text("不能复制")
    assert held(page) == BEFORE
    assert stopped(page, "#stem", "contextmenu") and stopped(page, ".option", "dragstart")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    expect(page.locator(".room")).to_be_hidden()
    expect(told).to_be_visible()


def test_own_text_is_copied_and_pasted_but_not_what_comes_from_elsewhere(exam: Exam, clipboard: BrowserContext) -> None:
    seat = Seat(clipboard, exam).enter().type("F1", ESSAY)
    page, area = seat.page, seat.page.get_by_label("作答内容")
    assert not stopped(page, "textarea", "contextmenu")

    area.press("Control+a")
    area.press("Control+x")
    expect(area).to_have_value("")
    area.press("Control+v")
    area.press("Control+v")
    expect(area).to_have_value(ESSAY * 2)
    hold(page, "网上找来的答案")
    area.press("Control+v")

    expect(page.locator(".passing")).to_contain_text("只能粘贴")
    expect(area).to_have_value(ESSAY * 2)
    seat.overall("recorded")
    assert exam.responses(seat.sitting_id) == {"F1": ESSAY * 2}
    assert seat.faults == []


def test_batch_may_allow_copying_and_printing(engine_up: servers.Engine, clipboard: BrowserContext) -> None:
    open_book = push_exam(engine_up.url, engine_up.keys, allow_copy=True)
    seat = Seat(clipboard, open_book).enter().go("A1")
    hold(seat.page, BEFORE)
    assert not stopped(seat.page, "#stem", "contextmenu")

    seat.page.locator("#stem").click(click_count=3)
    seat.page.keyboard.press("Control+c")

    assert "情形发生之日起" in held(seat.page)
    seat.page.emulate_media(media="print")
    expect(seat.page.locator(".room")).to_be_visible()


def test_receipt_can_be_copied_and_is_printed_black_on_white(exam: Exam, clipboard: BrowserContext) -> None:
    seat = Seat(clipboard, exam).enter().choose("A1", "b")
    seat.page.get_by_role("button", name="交卷").click()
    seat.answer("交卷")
    seat.answer("仍然交卷")
    seat.receipt()

    assert not stopped(seat.page, ".receipt", "contextmenu")
    seat.page.get_by_role("button", name="高对比").click()
    seat.page.emulate_media(media="print")
    expect(seat.page.locator(".receipt")).to_be_visible()
    for selector in (".sheet", ".agrees"):
        colours = seat.page.locator(selector).evaluate(
            "(node) => [getComputedStyle(node).color, matchMedia('print').matches]"
        )
        assert colours == ["rgb(0, 0, 0)", True], "white on black must not become white on white"
