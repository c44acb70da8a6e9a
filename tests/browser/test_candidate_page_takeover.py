"""One writer at a time: a second tab, a second machine, and answers that two machines gave."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, expect

from tests.browser.hall import Exam, Seat


def test_second_tab_only_reads_until_it_takes_over(exam: Exam, machine: BrowserContext) -> None:
    first = Seat(machine, exam).enter()
    first.choose("A1", "b").overall("recorded")
    second = Seat(machine, exam).arrive()
    second.page.get_by_role("button", name="在这里查看").click()
    second.see_paper().readonly("tab").go("A1")
    second.shot("15-second-tab")

    expect(second.page.locator('input[data-option="b"]')).to_be_checked()
    expect(second.page.locator('input[data-option="b"]')).to_be_disabled()
    first.choose("A1", "c").choose("A2", "a").overall("recorded")
    expect(second.page.locator('input[data-option="c"]')).to_be_checked(timeout=12_000)
    first.type("F1", "最后一句")
    second.page.get_by_role("button", name="改在这里作答").click()
    first.readonly("tab")
    second.see_paper().choose("A3", "d").overall("recorded")
    second.go("F1")
    expect(second.page.get_by_label("作答内容")).to_have_value("最后一句")
    assert exam.responses(second.sitting_id) == {"A1": "c", "A2": "a", "A3": "d", "F1": "最后一句"}
    assert first.faults == [] and second.faults == []


def test_login_elsewhere_stops_the_first_machine_and_its_late_answer_is_the_candidates_to_decide(
    exam: Exam, machine: BrowserContext, other_machine: BrowserContext
) -> None:
    first = Seat(machine, exam).enter()
    first.choose("A1", "b").choose("A2", "b").overall("recorded")
    order = first.order()
    machine.set_offline(True)
    first.choose("A1", "a").choose("A3", "a").overall("offline")
    second = Seat(other_machine, exam).arrive().log_in().see_paper()
    assert second.order() == order
    second.choose("A1", "d").choose("A2", "d").overall("recorded")
    machine.set_offline(False)
    first.readonly("superseded")
    first.shot("16-superseded")
    assert exam.responses(second.sitting_id) == {"A1": "d", "A2": "d"}

    first.page.get_by_role("button", name="重新登录，在这里继续").click()
    first.log_in().see_paper()
    second.readonly("superseded")
    first.go("A1")
    expect(first.page.locator(".aside")).to_be_visible()
    expect(first.page.locator('input[data-option="d"]')).to_be_checked()
    first.shot("17-two-answers")
    first.overall("recorded")
    assert exam.responses(first.sitting_id) == {"A1": "d", "A2": "d", "A3": "a"}
    first.page.get_by_role("button", name="改用本机的").click()
    expect(first.page.locator('input[data-option="a"]')).to_be_checked()
    first.item_state("recorded")
    assert exam.responses(first.sitting_id) == {"A1": "a", "A2": "d", "A3": "a"}


def test_login_typed_in_a_second_tab_takes_over_with_everything_typed_so_far(
    exam: Exam, machine: BrowserContext
) -> None:
    first = Seat(machine, exam).enter()
    first.choose("A1", "b").type("F1", "第一句")

    second = Seat(machine, exam).arrive().log_in().see_paper()

    first.readonly("superseded")
    second.type("F1", "第一句，第二句").overall("recorded")
    assert exam.responses(second.sitting_id) == {"A1": "b", "F1": "第一句，第二句"}
    assert first.faults == [] and second.faults == []


def test_old_machine_hears_of_the_takeover_without_asking(
    exam: Exam, machine: BrowserContext, other_machine: BrowserContext
) -> None:
    """The channel tells it, within a second on a healthy line; the new one has the same order and time left."""

    def left_s(seat: Seat) -> int:
        minutes, seconds = map(int, seat.page.locator(".left").inner_text().split(":"))
        return minutes * 60 + seconds

    first = Seat(machine, exam).enter()
    first.choose("A1", "b").overall("recorded")
    machine.route("**/v1/sitting**", lambda route: route.abort())

    second = Seat(other_machine, exam).arrive().log_in().see_paper()

    first.readonly("superseded", within_s=60)
    second.go("A1")
    expect(second.page.locator('input[data-option="b"]')).to_be_checked()
    assert second.order() == first.order()
    assert abs(left_s(first) - left_s(second)) <= 3
    assert exam.responses(second.sitting_id) == {"A1": "b"}
