"""Items that share a stem, on the page: together, in the same order for ever, with their material beside them."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from tests import servers
from tests.browser import hall
from tests.browser.axe import faults_of
from tests.browser.hall import Exam, Seat, push_exam, until

MATERIAL = "某车间三个月的加班时数如下图。\n![三个月的加班时数](fig-hours.svg)\n" + "职工与车间主任就此多次商谈。" * 60

SCROLLED = "document.querySelector('.material').scrollTop"


def grouped_paper() -> dict[str, Any]:
    """The hall's paper; A3 to A5 share a stem, A1 comes first and A12 last, the last option of A2 stays last."""
    document = hall.paper()
    section = document["sections"][0]
    section["groups"] = [{"id": "G1", "stem": MATERIAL, "items": ["A3", "A4", "A5"]}]
    items = section["items"]
    items[0]["fixed"] = items[11]["fixed"] = True
    last = {"id": "d", "text": "以上都不对", "fixed": True}
    items[1]["options"] = [*items[1]["options"][:3], last]
    return document


@pytest.fixture
def grouped_exam(engine_up: servers.Engine) -> Exam:
    return push_exam(engine_up.url, engine_up.keys, document=grouped_paper(), duration_s=300)


def test_group_stays_together_in_one_order_after_a_reload_and_on_another_machine(
    grouped_exam: Exam, machine: BrowserContext, other_machine: BrowserContext
) -> None:
    seat = Seat(machine, grouped_exam).enter()
    before = seat.order()
    section = before[:12]
    begins = section.index("A3")
    assert section[begins : begins + 3] == ["A3", "A4", "A5"]
    assert (section[0], section[-1]) == ("A1", "A12")
    assert section != sorted(section, key=lambda item: int(item[1:])), "the others are shuffled"
    name = f"第 {begins + 1}–{begins + 3} 题 共用材料"
    assert seat.page.get_by_role("group", name=name).locator(".cell").count() == 3

    seat.choose("A2", "b")
    letters = seat.page.locator(".question .option-text")
    options = letters.all_inner_texts()
    assert options[-1] == "以上都不对"
    expect(seat.page.locator(".material")).to_have_count(0)
    seat.go("A4").choose("A4", "c")
    material = seat.page.locator(".material")
    expect(material).to_contain_text("加班时数如下图")
    expect(seat.page.get_by_role("heading", name="第", level=1)).to_have_accessible_description(name)
    seat.page.reload()
    seat.see_paper()

    expect(seat.page.locator('.question[data-item="A4"]')).to_be_visible()
    expect(material.locator("strong")).to_have_text(name)
    assert seat.order() == before
    seat.go("A2")
    assert letters.all_inner_texts() == options
    elsewhere = Seat(other_machine, grouped_exam).arrive().log_in().see_paper()
    assert elsewhere.order() == before
    seat.readonly("superseded").go("A5")
    assert faults_of(seat.page) == [], "to be read by keyboard where nothing can be answered"
    assert seat.faults == elsewhere.faults == []


def test_material_is_read_beside_its_items_and_stays_as_it_was_left(
    grouped_exam: Exam, machine: BrowserContext
) -> None:
    seat = Seat(machine, grouped_exam).enter().go("A3")
    page = seat.page
    material, question = page.locator(".material"), page.locator(".question")
    seat.shot("20-material")
    assert faults_of(page) == []

    beside, asked = material.bounding_box(), question.bounding_box()
    assert beside and asked and beside["x"] + beside["width"] <= asked["x"]
    assert all(box["y"] + box["height"] <= hall.VIEWPORT["height"] for box in (beside, asked))
    assert page.evaluate("(at => at.scrollHeight > at.clientHeight)(document.querySelector('.material'))")
    page.get_by_role("button", name="三个月的加班时数").click()
    expect(page.locator("dialog.zoom")).to_be_visible()
    page.keyboard.press("Escape")

    material.locator("p, .stem").last.click(position={"x": 5, "y": 5})
    page.keyboard.press("End")
    until(lambda: page.evaluate(SCROLLED) > 0, 60, "scrolling of the material")
    page.keyboard.press("ArrowDown")
    expect(question.locator("input:focus")).to_have_count(0)
    scrolled = page.evaluate(SCROLLED)
    page.locator("#next").click()
    expect(page.locator('.question[data-item="A4"]')).to_be_visible()
    assert page.evaluate(SCROLLED) >= scrolled

    summary = material.locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".material:not([open])")).to_be_visible()
    page.keyboard.press("2")
    expect(question.locator("input").nth(1)).to_be_checked()
    page.keyboard.press("ArrowRight")
    expect(page.locator('.question[data-item="A5"]')).to_be_visible()
    expect(page.locator(".material:not([open])")).to_be_visible()

    page.get_by_role("button", name="交卷").click()
    sheet = page.locator("dialog[open]")
    expect(sheet.get_by_role("group", name="共用材料").locator(".cell")).to_have_count(2)
    seat.answer("继续作答")
    page.get_by_role("button", name="English").click()
    expect(material).to_contain_text("Material for questions")
    expect(material).to_contain_text("Unfold")
    assert seat.faults == []
