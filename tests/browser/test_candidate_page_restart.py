"""The page after a reload or a restarted browser, with the server away: the exam goes on with every answer."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests import servers
from tests.browser.conftest import ARGUMENTS
from tests.browser.hall import ESSAY, Exam, Seat, push_exam
from tests.browser.line import Line, line_to

STARTED_S = 60


@pytest.fixture
def line(engine_up: servers.Engine) -> Iterator[Line]:
    with line_to(engine_up.port) as line:
        yield line


def keeps_the_page(seat: Seat) -> Seat:
    """Waits until this machine has what a reload needs; a candidate takes longer over the first question."""
    seat.page.wait_for_function("navigator.serviceWorker.controller !== null", timeout=60_000)
    seat.page.wait_for_function(
        """async () => {
          const names = await caches.keys();
          const shell = names.find((name) => name.startsWith('liankao-shell-'));
          const papers = await (await caches.open('liankao-sealed')).keys();
          return papers.length && shell && (await (await caches.open(shell)).match('/'));
        }""",
        timeout=60_000,
    )
    return seat


def test_reload_with_the_server_away_comes_back_with_every_answer(
    engine_up: servers.Engine, line: Line, machine: BrowserContext
) -> None:
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=300)
    seat = keeps_the_page(Seat(machine, replace(exam, url=line.url)).enter())
    seat.choose("A1", "b").choose("B1", "a", "c").type("E2", "240.50").overall("recorded")
    order = seat.order()
    line.away()
    seat.choose("A1", "d").type("F1", ESSAY).overall("offline")

    seat.page.reload()
    seat.see_paper()

    assert seat.order() == order
    seat.overall("offline")
    seat.go("A1")
    expect(seat.page.locator('input[data-option="d"]')).to_be_checked()
    seat.go("B1")
    expect(seat.page.locator('input[data-option="c"]')).to_be_checked()
    seat.item_state("recorded").go("F1")
    expect(seat.page.get_by_label("作答内容")).to_have_value(ESSAY)
    seat.choose("A2", "c")
    seat.page.reload()
    seat.see_paper().go("A2")
    expect(seat.page.locator('input[data-option="c"]')).to_be_checked()
    line.back()
    seat.choose("A3", "a").overall("recorded")
    assert exam.responses(seat.sitting_id) == {
        "A1": "d", "A2": "c", "A3": "a", "B1": ["a", "c"], "E2": 240.5, "F1": ESSAY,
    }  # fmt: skip
    assert seat.faults == []


def test_handed_in_exam_leaves_nothing_to_go_on_with(exam: Exam, machine: BrowserContext) -> None:
    seat = Seat(machine, exam).enter()
    seat.choose("A1", "b").overall("recorded")
    kept = """async () => {
      const { passes } = await import('/web/store.js');
      return (await passes()).map((pass) => Boolean(pass.keys));
    }"""
    servers.wait_until(lambda: seat.page.evaluate(kept) == [True], 60, "a pass with the opened key")

    seat.page.get_by_role("button", name="交卷").click()
    seat.answer("交卷")
    seat.answer("仍然交卷")
    seat.receipt()

    servers.wait_until(lambda: seat.page.evaluate(kept) == [], 60, "the pass gone")


@contextmanager
def chromium_on(profile: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A browser of its own that can be killed; its process and where it is talked to."""
    told = profile / "DevToolsActivePort"
    told.unlink(missing_ok=True)
    for lock in profile.glob("Singleton*"):
        lock.unlink()  # of a browser that was killed
    path = servers.chromium()
    assert path is not None
    command = [
        path,
        "--headless=new",
        "--window-size=1366,900",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        *ARGUMENTS,
    ]
    with open(profile / "said.log", "ab") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        servers.wait_until(lambda: told.exists() and "\n" in told.read_text(), STARTED_S, "a browser that listens")
        yield child, f"http://127.0.0.1:{told.read_text().splitlines()[0]}"
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def test_browser_killed_and_restarted_with_the_server_away_goes_on_after_the_same_login(
    engine_up: servers.Engine, line: Line, browser: Browser
) -> None:
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=600)
    chromium = browser.browser_type
    with servers.temporary_folder("profile") as profile:
        with chromium_on(profile) as (child, address):
            context = chromium.connect_over_cdp(address).contexts[0]
            seat = keeps_the_page(Seat(context, replace(exam, url=line.url)).enter())
            seat.choose("A1", "b").choose("B1", "a", "c").overall("recorded")
            sitting_id = seat.sitting_id
            line.away()
            seat.choose("A1", "d").type("F1", ESSAY).overall("offline").item_state("local")
            time.sleep(2)  # what a candidate saw as kept is kept; LevelDB may take a moment
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()

        with chromium_on(profile) as (_, address):
            context = chromium.connect_over_cdp(address).contexts[0]
            again = Seat(context, replace(exam, url=line.url)).arrive()
            wrong = replace(exam, code="WRONG")
            again.exam = wrong
            again.log_in()
            expect(again.page.get_by_role("alert")).to_be_visible(timeout=30_000)
            assert again.page.locator(".question").count() == 0
            again.exam = replace(exam, url=line.url)
            again.log_in().see_paper().go("A1")
            expect(again.page.locator('input[data-option="d"]')).to_be_checked()
            again.go("B1")
            expect(again.page.locator('input[data-option="c"]')).to_be_checked()
            again.go("F1")
            expect(again.page.get_by_label("作答内容")).to_have_value(ESSAY)
            again.choose("A2", "c").overall("offline")
            line.back()

            again.overall("recorded")
            assert exam.responses(sitting_id) == {"A1": "d", "A2": "c", "B1": ["a", "c"], "F1": ESSAY}
            assert again.faults == []
