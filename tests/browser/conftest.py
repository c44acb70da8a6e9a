"""A real Chromium for the candidate's page. Where none is found the tests are skipped, except under CI."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests import servers
from tests.browser.hall import VIEWPORT, Exam, Seat, push_exam

NAMES = ("chromium", "chromium-browser", "google-chrome", "microsoft-edge")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def launched(*arguments: str) -> Iterator[Browser]:
    """Chromium, with more `arguments` than the usual ones."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        told = f"none of {', '.join(NAMES)} is on PATH: install Chromium to run the browser tests"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *arguments])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(autouse=True)
def every_tab_is_held_to_its_word() -> Iterator[None]:
    """After each test: what a tab acknowledged or showed as recorded is recorded, whatever else the test was about."""
    Seat.taken.clear()
    yield
    for seat in Seat.taken:
        if seat.witness.acknowledged or seat.witness.seen:
            seat.was_told_the_truth()


@pytest.fixture
def machine(browser: Browser) -> Iterator[BrowserContext]:
    """An exam machine: a browser profile of its own."""
    with browser.new_context(viewport=VIEWPORT, accept_downloads=True) as context:
        yield context


@pytest.fixture
def other_machine(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport=VIEWPORT) as context:
        yield context


@pytest.fixture
def exam(engine_up: servers.Engine) -> Exam:
    """An exam that starts in a moment."""
    return push_exam(engine_up.url, engine_up.keys)


@pytest.fixture(scope="module")
def frail_engine() -> Iterator[servers.Engine]:
    """An engine that a test may stop and kill."""
    with servers.engine_up("frail") as engine:
        yield engine
