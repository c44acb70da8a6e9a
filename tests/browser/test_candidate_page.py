"""The candidate's page in a real browser against a real engine: what was typed arrives, what the page says is true."""

from __future__ import annotations

import json

from playwright.sync_api import BrowserContext, Locator, expect

from tests import servers
from tests.browser.hall import ESSAY, Exam, Seat, push_exam, until


def test_whole_path_from_login_to_receipt_records_exactly_what_was_typed(
    engine_up: servers.Engine, machine: BrowserContext
) -> None:
    exam = push_exam(engine_up.url, engine_up.keys, starts_in_s=9)
    seat = Seat(machine, exam).arrive()
    page = seat.page
    seat.shot("01-login")
    page.get_by_label("考试口令").fill("WRONG")
    page.get_by_label("证件号码").fill(seat.candidate["id_number"])
    page.get_by_role("button", name="登录", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("不匹配")
    seat.shot("02-login-refused")
    seat.log_in()
    expect(page.get_by_text(seat.candidate["admission_ticket"])).to_be_visible()
    seat.shot("03-confirm")
    seat.confirm()
    seat.shot("04-pledge")
    seat.pledge()
    expect(page.get_by_text("封条完好")).to_be_visible(timeout=10_000)
    assert page.locator(".question").count() == 0
    seat.shot("05-wait")
    seat.see_paper()
    seat.shot("06-paper-open")
    navigations: list[str] = []
    page.on("framenavigated", lambda frame: navigations.append(frame.url))

    seat.choose("A1", "b").choose("B1", "a", "c").choose("C2", "true").choose("C3", "false")
    seat.type("D1", "８", " 一 ").type("D2", "21.75").type("E1", "８．６６０").type("F1", ESSAY)
    seat.shot("07-essay")
    seat.choose("A2", "a").choose("A2", "d").choose("A3", "c")
    page.get_by_role("button", name="清除本题作答").click()
    seat.type("E2", "240元")
    expect(page.locator("#trouble")).to_contain_text("这不是一个数")
    seat.overall("trouble").shot("08-number-not-valid")
    seat.type("E2", "-0240.").overall("recorded")
    seat.go("E1")
    page.get_by_role("button", name="标记本题").click()
    seat.item_state("recorded").shot("09-figure-recorded")
    seat.go("C1")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_text("True", exact=True)).to_be_visible()
    seat.shot("10-english")
    page.get_by_role("button", name="中文").click()
    page.get_by_role("button", name="交卷").click()
    seat.shot("11-hand-in")
    seat.answer("交卷")
    expect(page.get_by_text("确定交卷吗")).to_be_visible()
    seat.shot("12-hand-in-asked-again")
    seat.answer("仍然交卷")
    seat.receipt()
    expect(page.locator("#agrees")).to_have_class("agrees")
    seat.shot("13-receipt")
    with page.expect_download() as saved:
        page.get_by_role("button", name="保存回执").click()

    sent = "".join(seat.saves())
    receipt = json.loads(saved.value.path().read_text("utf-8"))
    sitting_id = seat.sitting_id
    assert exam.responses(sitting_id) == {
        "A1": "b", "A2": "d", "A3": None, "B1": ["a", "c"], "C2": True, "C3": False, "D1": ["８", " 一 "],
        "D2": ["21.75"], "E1": 8.66, "E2": -240, "F1": ESSAY,
    }  # fmt: skip
    assert '"value":8.660}' in sent, "a number goes out digit for digit as typed"
    assert receipt["state"] == "submitted" and receipt["answered"] == 10
    assert exam.result(sitting_id)["state"] == "pending_assessor"
    assert navigations == [] and seat.faults == []


def test_reload_in_the_middle_keeps_answers_order_flags_and_goes_on(exam: Exam, machine: BrowserContext) -> None:
    seat = Seat(machine, exam).enter()
    seat.choose("A1", "b").type("D1", "八", "一").type("E2", "240.50").type("F1", ESSAY)
    seat.page.get_by_role("button", name="标记本题").click()
    seat.type("E1", "约 9")
    before = seat.order()

    seat.page.reload()
    seat.see_paper()

    expect(seat.page.locator('.question[data-item="E1"]')).to_be_visible()
    expect(seat.page.get_by_label("答案（数字）")).to_have_value("约 9")
    expect(seat.page.locator("#trouble")).to_contain_text("这不是一个数")
    assert seat.order() == before
    assert before != sorted(before), "the items are shuffled within their sections"
    assert [item[0] for item in before] == sorted(item[0] for item in before)
    expect(seat.page.locator('.cell[data-item="F1"].flagged.answered')).to_be_visible()
    seat.go("E2")
    expect(seat.page.get_by_label("答案（数字）")).to_have_value("240.50")
    seat.go("F1")
    expect(seat.page.get_by_label("作答内容")).to_have_value(ESSAY)
    seat.type("E1", "8.667").choose("A4", "c").overall("recorded")
    assert exam.responses(seat.sitting_id) == {
        "A1": "b", "A4": "c", "D1": ["八", "一"], "E1": 8.667, "E2": 240.5, "F1": ESSAY,
    }  # fmt: skip
    assert seat.faults == []


def test_the_end_comes_by_itself_and_the_last_words_count(engine_up: servers.Engine, machine: BrowserContext) -> None:
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=14, warn_before_end_s=9, earliest_submit_s=10)
    seat = Seat(machine, exam).enter()
    seat.choose("A1", "b")
    seat.page.get_by_role("button", name="交卷").click()
    expect(seat.page.locator("dialog[open]")).to_contain_text("还没到可以交卷的时间")
    seat.answer("继续作答")
    seat.go("F1")
    expect(seat.page.locator(".banner")).to_contain_text("距考试结束还有", timeout=15_000)
    seat.shot("18-warning")
    area = seat.page.get_by_label("作答内容")
    area.focus()
    typed = ""
    while area.is_editable():  # to the last moment
        seat.page.keyboard.insert_text("字")
        typed += "字"
        seat.page.wait_for_timeout(100)
    typed = area.input_value()
    expect(seat.page.locator("#ended")).to_be_visible()
    seat.shot("19-ended")

    seat.receipt()
    expect(seat.page.get_by_role("heading", name="考试结束，已收卷")).to_be_visible()
    expect(seat.page.locator("#agrees")).to_have_class("agrees")
    seat.shot("20-receipt-collected")
    found = until(lambda: exam.responses(seat.sitting_id), 10, "responses")
    assert found == {"A1": "b", "F1": typed} and typed
    seat.page.reload()
    expect(seat.page.get_by_role("heading", name="考试结束，已收卷")).to_be_visible()
    assert seat.faults == []


def test_the_system_clock_means_nothing(exam: Exam, machine: BrowserContext) -> None:
    machine.add_init_script("const real = Date.now; Date.now = () => real() + 3600_000")
    seat = Seat(machine, exam).enter()

    minutes, seconds = map(int, seat.page.locator(".left").inner_text().split(":"))

    assert 60 <= minutes * 60 + seconds <= 90


def test_everything_can_be_done_from_the_keyboard(exam: Exam, machine: BrowserContext) -> None:
    seat = Seat(machine, exam).arrive()
    page = seat.page
    press = page.keyboard.press
    expect(page.get_by_label("考试口令")).to_be_focused()
    page.keyboard.type(exam.code)
    press("Tab")
    page.keyboard.type(seat.candidate["id_number"])
    press("Enter")
    expect(page.get_by_role("heading", name="请核对个人信息")).to_be_focused()
    press("Tab")
    press("Enter")
    expect(page.get_by_role("heading", name="考生承诺书")).to_be_focused()
    press("Tab")
    press("Space")
    press("Tab")
    press("Enter")
    seat.see_paper()
    first, second = seat.order()[:2]
    expect(page.locator(".question-number")).to_be_focused()

    press("Tab")
    press("Space")
    press("ArrowDown")
    expect(page.locator(f'.cell[data-item="{first}"].answered')).to_be_visible()
    page.get_by_role("button", name="下一题").focus()
    press("Enter")
    expect(page.locator(f'.question[data-item="{second}"]')).to_be_visible()
    expect(page.locator(".question-number")).to_be_focused()
    page.locator(f'.cell[data-item="{second}"]').focus()
    press("ArrowLeft")
    press("Enter")
    expect(page.locator(f'.question[data-item="{first}"] input').nth(1)).to_be_checked()
    seat.overall("recorded")


def test_figures_are_enlarged_without_choosing_anything_and_the_focus_comes_back(
    exam: Exam, machine: BrowserContext
) -> None:
    seat = Seat(machine, exam).enter().go("E1")
    page, dialog = seat.page, seat.page.locator("dialog[open]")
    small = page.locator(".figure")
    small.press("Enter")
    assert dialog.locator("img").evaluate("(image) => image.clientWidth") > 640, "larger than it stands in the paper"
    seat.answer("放大一倍")
    expect(dialog).to_have_class("zoom twice")
    page.keyboard.press("Escape")
    expect(small).to_be_focused()

    drawn = seat.go("B4").page.get_by_role("button", name="的图")
    drawn.click()
    expect(dialog.get_by_alt_text("三个月的加班时数")).to_be_visible()
    seat.answer("关闭")
    expect(drawn).to_be_focused()
    assert page.locator(".option input:checked").count() == 0
    page.locator(".option-figure").click()
    expect(page.locator('input[data-option="d"]')).to_be_checked()
    seat.overall("recorded")
    assert exam.responses(seat.sitting_id) == {"B4": ["d"]}


def test_arrows_move_over_the_list_as_it_is_laid_out(exam: Exam, machine: BrowserContext) -> None:
    seat = Seat(machine, exam).enter()
    page, order = seat.page, seat.order()

    def cell(number: int) -> Locator:
        return page.locator(f'.cell[data-item="{order[number - 1]}"]')

    for width, columns in ((1366, 10), (1024, 7)):
        page.set_viewport_size({"width": width, "height": 768})
        cell(1).focus()
        page.keyboard.press("ArrowDown")
        expect(cell(1 + columns)).to_be_focused()
        page.keyboard.press("ArrowDown")  # over into the next section
        expect(cell(13)).to_be_focused()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowUp")
        expect(cell(1)).to_be_focused()
        page.keyboard.press("End")
        expect(cell(25)).to_be_focused()
