"""An exam machine: a real Chromium at the far end of a line, with a candidate in front of the page.

Only the browser is at the far end: it is driven over a pipe, so that nothing but the page's own traffic is on the wire.
Its camera shows a still picture, as hard to compress as a face before a wall.
"""

from __future__ import annotations

import contextlib
import math
import random
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, CDPSession, Error, ViewportSize, sync_playwright

from bench.field import Exam, Field
from bench.rows import BenchFault
from tests import servers
from tests.browser import hall
from tests.browser.conftest import ARGUMENTS, NAMES

VIEWPORT = ViewportSize(width=1366, height=768)  # the machines that the rules ask for
READY_MS = 30_000
CAMERA_WIDTH_PX, CAMERA_HEIGHT_PX = 640, 480
CAMERA_NOISE = 6.0  # of 255; with it the page needs some 25 kB, which is what it wants a photo to be
# Runs before the page: notes, by this machine's clock, when the paper key came and when the first question was painted,
# and how many calls over HTTP the page has made by then since the key came.
_NOTES = """(() => {
  const seen = (globalThis.seen = { key_ms: 0, shown_ms: 0, calls: 0 });
  const Plain = WebSocket;
  globalThis.WebSocket = class extends Plain {
    constructor(...given) {
      super(...given);
      this.addEventListener('message', ({ data }) => data.includes('"paper_key"') && (seen.key_ms ||= Date.now()));
    }
  };
  const plain = fetch;
  globalThis.fetch = (...given) => {
    if (seen.key_ms && !seen.shown_ms) seen.calls += 1;
    return plain(...given);
  };
  new MutationObserver((_, observer) => {
    if (!document.querySelector('.question')?.textContent) return;
    observer.disconnect();
    requestAnimationFrame(() => {
      const painted = new MessageChannel();
      painted.port1.onmessage = () => (seen.shown_ms = Date.now());
      painted.port2.postMessage(null);
    });
  }).observe(document, { childList: true, subtree: true });
})()"""


@contextlib.contextmanager
def browser_for(on: Field) -> Iterator[Browser]:
    """At the far end of the field's line. What goes wrong with it inside is a BenchFault."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise BenchFault(f"none of {', '.join(NAMES)} is on PATH: install Chromium to measure the page")
    with servers.temporary_folder("seat") as folder:
        try:
            with sync_playwright() as playwright:
                # The page asks for a secure context, as exam rooms have it over TLS.
                arguments = [*ARGUMENTS, f"--unsafely-treat-insecure-origin-as-secure={on.url}", *_camera(folder)]
                path = _at_far_end(on, program, folder)
                browser = playwright.chromium.launch(executable_path=path, args=arguments)
                try:
                    yield browser
                finally:
                    browser.close()
        except Error as fault:
            raise BenchFault(f"the browser: {fault.message.splitlines()[0]}") from fault


@contextlib.contextmanager
def machine_in(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """A fresh browser profile: nothing cached."""
    with browser.new_context(viewport=VIEWPORT, **options) as context:
        context.add_init_script(_NOTES)
        yield context


class _Unwatched(hall.Seat):
    """The tests' candidate without what they look over its shoulder with: that would be measured, too."""

    def __init__(self, context: BrowserContext, exam: hall.Exam, candidate: int) -> None:
        self.exam = exam
        self.candidate = exam.candidates[candidate]
        self.context = context
        self.page = context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))


def seat_at(machine: BrowserContext, on: Field, exam: Exam, candidate: int) -> hall.Seat:
    """That candidate of the exam's roster."""
    told = hall.Exam(
        url=on.url,
        direct_url=on.engine.url,
        keys=on.engine.keys,
        batch_id=exam.batch_id,
        code=exam.code,
        candidates=exam.roster,
    )
    return _Unwatched(machine, told, candidate)


def seen(seat: hall.Seat) -> dict[str, float]:
    """What was noted at the start: `key_ms`, `shown_ms` (0: not yet) and `calls` between the two."""
    found: dict[str, float] = seat.page.evaluate("globalThis.seen")
    return found


def inspector(seat: hall.Seat) -> CDPSession:
    return seat.context.new_cdp_session(seat.page)


def check(seat: hall.Seat) -> None:
    """Raises BenchFault when the page has met a fault of its own."""
    if seat.faults:
        raise BenchFault(f"the page failed: {seat.faults[0][:300]}")


def _camera(folder: Path) -> list[str]:
    """Soft shapes with a sensor's noise on them, as a film of two frames."""
    dice = random.Random(1)
    noise = [dice.gauss(0, CAMERA_NOISE) for _ in range(65_536)]
    frame = bytearray()
    for y in range(CAMERA_HEIGHT_PX):
        soft = 128 + 60 * math.sin(y / 37)
        for x in range(CAMERA_WIDTH_PX):
            frame.append(max(0, min(255, round(soft + 40 * math.sin(x / 23) + noise[dice.getrandbits(16)]))))
    frame += bytes([128]) * (CAMERA_WIDTH_PX * CAMERA_HEIGHT_PX // 2)  # no colour
    film = folder / "camera.y4m"
    head = f"YUV4MPEG2 W{CAMERA_WIDTH_PX} H{CAMERA_HEIGHT_PX} F10:1 Ip A1:1 C420jpeg\n".encode()
    film.write_bytes(head + (b"FRAME\n" + frame) * 2)
    shown = f"--use-file-for-fake-video-capture={film}"
    return ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", shown]


def _at_far_end(on: Field, program: str, folder: Path) -> str:
    """The program, or a script that starts it there: the pipe's two descriptors are inherited."""
    if on.line is None:
        return program
    script = folder / "browser"
    script.write_text(f'#!/bin/sh\nexec {shlex.join([*on.line.at_far_end, program])} "$@"\n')
    script.chmod(0o755)
    return str(script)
