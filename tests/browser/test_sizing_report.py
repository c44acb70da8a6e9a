"""A load test's report as its readers open it: from disk, in their language, printed, and with scripts off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from loadtest.sizing import report
from loadtest.sizing.compare import compare
from tests import outcomes
from tests.browser.axe import faults_of

VIEWPORT = {"width": 1366, "height": 768}  # of the exam machines


class Reader:
    """A tab that opens a file; what it asked for and complained of."""

    def __init__(self, browser: Browser, file: Path, locale: str, scripts: bool = True) -> None:
        self.context = browser.new_context(viewport=VIEWPORT, locale=locale, java_script_enabled=scripts)
        self.page: Page = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.url = file.as_uri()
        self.page.goto(self.url)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report that passed, one that failed on texts that mean harm, and a comparison of both."""
    folder = tmp_path_factory.mktemp("reports")
    passed, failed = outcomes.outcome(), outcomes.failed()
    failed.phases = [phase for phase in failed.phases if phase.name in ("check_in", "stress", "grading")]
    (folder / "passed.html").write_text(report.page(passed), "utf-8")
    (folder / "failed.html").write_text(report.page(failed), "utf-8")
    passed.phases = [phase for phase in passed.phases if phase.name in ("check_in", "stress")]
    (folder / "compared.html").write_text(compare(passed, failed)[1], "utf-8")
    return folder


Open = Callable[..., Reader]


@pytest.fixture
def opened(browser: Browser, folder: Path) -> Iterator[Open]:
    """Opens one of them; closed after the test."""
    readers: list[Reader] = []

    def open_(name: str, locale: str = "en-US", scripts: bool = True) -> Reader:
        readers.append(Reader(browser, folder / f"{name}.html", locale, scripts))
        return readers[-1]

    yield open_
    for reader in readers:
        reader.context.close()


@pytest.mark.parametrize("name", ["failed", "compared"])
def test_a_report_opened_from_disk_asks_for_nothing_and_runs_nothing_foreign(opened: Open, name: str) -> None:
    """Not even where a fault's text or a machine's name is a script."""
    reader = opened(name)
    reader.page.wait_for_load_state("networkidle")

    assert reader.asked == [reader.url]
    assert reader.complaints == []
    assert reader.page.locator("img, iframe, script:not(body > script)").count() == 0


def test_a_report_speaks_its_readers_language_and_switches_without_loading_again(opened: Open) -> None:
    chinese, english = opened("passed", "zh-CN"), opened("failed", "en-US").page
    passed = chinese.page

    expect(passed.get_by_role("heading", name="PASS 通过")).to_be_visible()
    expect(passed.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(english.get_by_role("heading", name="FAIL this tier does not hold")).to_be_visible()
    expect(english.get_by_text("Not enforced")).to_be_visible()
    expect(english.locator("html")).to_have_attribute("lang", "en")

    passed.get_by_label("English").check()
    expect(passed.get_by_role("heading", name="PASS this tier holds")).to_be_visible()
    expect(passed.locator("html")).to_have_attribute("lang", "en")
    assert passed.locator("main [lang=zh]:visible").count() == 0
    assert passed.locator("main [lang=en]:visible").count() > 100
    passed.get_by_label("中文").check()
    assert passed.locator("main [lang=en]:visible").count() == 0
    assert chinese.asked == [chinese.url] and chinese.complaints == []


def test_every_chart_shows_lines_that_go_up_and_down(opened: Open) -> None:
    """Nine over the run and one for each phase with saves; in each at least one line has a width and a height."""
    drawn = opened("passed").page.evaluate(
        """() => [...document.querySelectorAll('figure > svg')].map((svg) =>
             [...svg.querySelectorAll('.line')].map((line) => {
               const { width, height } = line.getBBox();
               return [width, height, getComputedStyle(line).stroke];
             }))"""
    )

    assert len(drawn) == 9 + 6
    for lines in drawn:
        assert any(width > 100 and height > 5 for width, height, _ in lines)
        assert all(stroke not in ("none", "rgb(255, 255, 255)") for _, _, stroke in lines)


@pytest.mark.parametrize(("name", "locale"), [("failed", "zh-CN"), ("compared", "en-US")])
def test_a_report_is_for_everyone_and_fits_the_screen_of_an_exam_machine(opened: Open, name: str, locale: str) -> None:
    """WCAG 2.2 AA; nothing is scrolled sideways, the verdict is seen first."""
    page = opened(name, locale).page

    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    box = page.get_by_role("heading", level=1).bounding_box()
    assert box is not None and box["y"] + box["height"] < 300
    assert faults_of(page) == []


def test_with_scripts_off_verdict_tables_and_switch_are_there(opened: Open) -> None:
    reader = opened("failed", "en-US", scripts=False)
    page = reader.page

    expect(page.get_by_role("heading", name="FAIL 未通过")).to_be_visible()
    page.get_by_label("English").check()
    expect(page.get_by_role("heading", name="FAIL this tier does not hold")).to_be_visible()
    failing = page.locator("tr.fails").first
    expect(failing).to_contain_text("✗ fails — criterion p99; criterion errors", use_inner_text=True)
    expect(page.locator("figure > svg").first).to_be_visible()
    assert reader.asked == [reader.url]


def test_a_printed_report_has_the_chosen_language_and_no_switch(opened: Open) -> None:
    """On A4; tables and charts are not cut at its edge."""
    page = opened("failed", "en-US").page
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 703, "height": 1000})  # what A4 has between margins of 12 mm

    expect(page.get_by_label("English")).to_be_hidden()
    assert page.locator("main [lang=zh]:visible").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 703
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_a_report_of_a_run_that_broke_off_opens_as_well(browser: Browser, tmp_path: Path) -> None:
    """With nothing but its verdict."""
    outcome = outcomes.outcome(phases=[], series={}, account={})
    (tmp_path / "broken.html").write_text(report.page(outcome), "utf-8")
    reader = Reader(browser, tmp_path / "broken.html", "zh-CN")

    expect(reader.page.get_by_role("heading", level=1)).to_be_visible()
    assert reader.complaints == []
    reader.context.close()
