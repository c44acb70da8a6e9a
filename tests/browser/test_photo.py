"""The photo step in a real browser: a fake camera's picture arrives, and without a camera a proctor lets one in."""

from __future__ import annotations

import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from engine.rules.jpeg import read_jpeg
from engine.rules.limits import PHOTO_BYTES_MAX
from engine.rules.photo import check_picture
from tests import servers
from tests.acceptance.test_postgres_away import processes_of_postgres
from tests.browser.axe import faults_of
from tests.browser.conftest import launched
from tests.browser.hall import SCREENSHOTS, VIEWPORT, Exam, Seat, call, push_exam, until
from tests.browser.test_room_page import Desk

WITHIN_MS = 60_000
# How many pictures the page has kept.
KEPT = """async () => {
  const opening = indexedDB.open('liankao');
  const db = await new Promise((resolve) => { opening.onsuccess = () => resolve(opening.result); });
  const asked = db.transaction('photos').objectStore('photos').count();
  return new Promise((resolve) => { asked.onsuccess = () => { db.close(); resolve(asked.result); }; });
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Its camera shows a moving clock; whether a page may use it is asked of each machine."""
    with launched("--use-fake-device-for-media-stream") as browser:
        yield browser


@pytest.fixture
def machine(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport=VIEWPORT, permissions=["camera"]) as context:
        yield context


def listed(exam: Exam) -> dict[str, Any]:
    """The first candidate's, as a proctor sees it."""
    photos = call(exam.url, "GET", f"/v1/batches/{exam.batch_id}/photos", exam.keys["proctor"])["photos"]
    ticket = exam.candidates[0]["admission_ticket"]
    found: dict[str, Any] = next(each for each in photos if each["admission_ticket"] == ticket)
    return found


def jpeg_of(exam: Exam, sitting_id: str) -> bytes:
    headers = {"Authorization": f"Bearer {exam.keys['proctor']}"}
    request = urllib.request.Request(f"{exam.url}/v1/sittings/{sitting_id}/photo", headers=headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as reply:
        content: bytes = reply.read()
        return content


# A canvas of pure noise, the worst that a JPEG can meet, made small enough; and one that is too small to begin with.
ENCODED = """async ([width, height]) => {
  const { encode } = await import('/web/photo.js');
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d');
  const noise = context.createImageData(width, height);
  for (let at = 0; at < noise.data.length; at += 65_536) {
    crypto.getRandomValues(noise.data.subarray(at, at + 65_536));
  }
  for (let at = 3; at < noise.data.length; at += 4) noise.data[at] = 255;
  context.putImageData(noise, 0, 0);
  const blob = await encode(canvas);
  return blob && Array.from(new Uint8Array(await blob.arrayBuffer()));
}"""
WORDS = """async () => {
  const { words } = await import('/web/words.photo.js');
  const said = await (await fetch('/web/photo.js')).text();
  return [Object.keys(words.zh), Object.keys(words.en), said];
}"""


def pose(seat: Seat) -> Seat:
    """Up to the camera's picture."""
    seat.arrive().log_in().confirm().pledge()
    expect(seat.page.get_by_role("heading", name="拍照")).to_be_visible(timeout=WITHIN_MS)
    return seat


def test_photo_is_taken_by_keyboard_stored_and_opens_the_paper(
    engine_up: servers.Engine, machine: BrowserContext
) -> None:
    """The key waits for it; what was seen is what a proctor gets, and small enough for a room's line."""
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=600, photo="required")
    seat = pose(Seat(machine, exam))
    page = seat.page
    expect(page.locator("#take")).to_be_focused(timeout=WITHIN_MS)
    seat.shot("photo-1-live")
    faults = faults_of(page)
    page.keyboard.press("Enter")
    expect(page.locator("#use")).to_be_focused(timeout=WITHIN_MS)
    seat.shot("photo-2-taken")
    faults += faults_of(page)
    page.get_by_role("button", name="重新拍").click()
    expect(page.locator("#take")).to_be_focused(timeout=WITHIN_MS)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("button", name="Use this photo")).to_be_visible(timeout=WITHIN_MS)
    assert listed(exam)["state"] == "due"
    page.get_by_role("button", name="Use this photo").click()
    seat.see_paper(60)

    photo = listed(exam)
    content = jpeg_of(exam, photo["sitting_id"])
    picture = read_jpeg(content)
    assert faults == []
    assert (photo["state"], photo["photo"]["number"], photo["photo"]["bytes"]) == ("taken", 1, len(content))
    assert (picture.width_px, picture.height_px) == (640, 480) and len(content) <= 25_000
    page.reload()
    seat.see_paper(60)  # the step is behind
    assert seat.faults == []


def test_any_picture_is_made_small_enough_and_stays_large_enough(
    engine_up: servers.Engine, machine: BrowserContext
) -> None:
    """What the engine takes, whatever the camera shows; a camera of too few pixels is told apart."""
    page = machine.new_page()
    page.goto(engine_up.url)
    for size in ([640, 480], [1280, 720], [1920, 1080]):
        content = bytes(page.evaluate(ENCODED, size))
        check_picture(content)
        assert len(content) <= PHOTO_BYTES_MAX, size

    assert page.evaluate(ENCODED, [160, 120]) is None


def test_the_photo_step_speaks_both_languages(engine_up: servers.Engine, machine: BrowserContext) -> None:
    """The same names in both, and every one that the step names by itself."""
    page = machine.new_page()
    page.goto(engine_up.url)
    chinese, english, said = page.evaluate(WORDS)
    named = set(re.findall(r"'(photo\.[a-z_]+)'", said)) - {"photo.css", "photo.not_required"}

    assert chinese == english and len(chinese) > 30
    assert len(named) > 10 and named - set(chinese) == set()


def test_without_a_camera_a_waiver_lets_the_candidate_go_on(engine_up: servers.Engine, browser: Browser) -> None:
    """Told what is wrong and whom to ask; no reload, no click."""
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=600, photo="required")
    with browser.new_context(viewport=VIEWPORT) as machine:
        seat = pose(Seat(machine, exam))
        page = seat.page
        trouble = page.get_by_role("alert").filter(has_text="监考人员")
        expect(trouble).to_contain_text("浏览器不允许本页使用摄像头", timeout=WITHIN_MS)
        seat.shot("photo-3-trouble")
        assert faults_of(page) == []
        sitting_id = listed(exam)["sitting_id"]
        body = {"proctor": "周监考", "reason": "摄像头损坏"}
        call(exam.url, "POST", f"/v1/sittings/{sitting_id}/photo/waive", exam.keys["proctor"], body)
        seat.see_paper(60)

        assert listed(exam)["state"] == "waived"
        assert seat.faults == []


def test_nobody_is_kept_at_the_camera_once_the_sitting_is_closed(engine_up: servers.Engine, browser: Browser) -> None:
    """The page follows to the receipt, though no photo was ever taken."""
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=600, photo="required")
    with browser.new_context(viewport=VIEWPORT) as machine:
        seat = pose(Seat(machine, exam))
        expect(seat.page.locator("#camera-again")).to_be_visible(timeout=WITHIN_MS)
        token = seat.page.evaluate("sessionStorage.getItem('liankao.token')")
        until(lambda: call(exam.url, "GET", "/v1/sitting", token)["state"] == "in_progress", 60, "start")
        call(exam.url, "POST", "/v1/sitting/submit", token, {"seq": 0})

        expect(seat.page.get_by_role("heading", name="交卷回执")).to_be_visible(timeout=WITHIN_MS)
        assert seat.faults == []


def test_refused_photo_is_taken_again_before_the_start(engine_up: servers.Engine, machine: BrowserContext) -> None:
    """The waiting candidate is asked by the page itself, and may also go on without."""
    exam = push_exam(engine_up.url, engine_up.keys, starts_in_s=300, photo="required")
    seat = pose(Seat(machine, exam))
    page = seat.page
    for expected in (1, 2):
        expect(page.locator("#take")).to_be_enabled(timeout=WITHIN_MS)
        page.wait_for_timeout(1_500 * (expected - 1))  # the fake camera begins with the same frames each time
        page.locator("#take").click()
        page.locator("#use").click(timeout=WITHIN_MS)
        expect(page.locator(".wait-clock")).to_be_visible(timeout=WITHIN_MS)
        photo = until(lambda: listed(exam)["photo"], 30, "photo")
        assert photo["number"] == expected
        path = f"/v1/sittings/{listed(exam)['sitting_id']}/photo/check"
        call(exam.url, "POST", path, exam.keys["proctor"], {"proctor": "周监考", "accepted": False, "reason": "看不清"})
        expect(page.get_by_text("监考人员请您重新拍一张照片。")).to_be_visible(timeout=WITHIN_MS)
    page.get_by_role("button", name="先不拍，回到等待页").click()

    expect(page.locator(".wait-clock")).to_be_visible(timeout=WITHIN_MS)
    assert seat.faults == []


def test_proctor_checks_photos_and_waives_one_in_the_rooms_page(
    engine_up: servers.Engine, browser: Browser, machine: BrowserContext
) -> None:
    """Who waits at the camera, the picture itself, and what was said of it; the candidates' pages follow."""
    exam = push_exam(engine_up.url, engine_up.keys, duration_s=600, photo="required")
    posing = pose(Seat(machine, exam))
    posing.page.locator("#take:enabled").click(timeout=WITHIN_MS)
    posing.page.locator("#use").click(timeout=WITHIN_MS)
    posing.see_paper(60)
    with browser.new_context(viewport=VIEWPORT) as blind, browser.new_context(viewport=VIEWPORT) as proctors:
        waiting = pose(Seat(blind, exam, 1))
        desk = Desk(proctors, exam).arrive().unlock().open_room()
        page = desk.page
        expect(desk.seat(1)).to_contain_text("等待拍照", timeout=WITHIN_MS)
        expect(page.locator("#tab-photos-tab .waiting")).to_have_text("2", timeout=WITHIN_MS)
        page.locator("#tab-photos-tab").click()
        expect(page.locator(".picture img")).to_be_visible(timeout=WITHIN_MS)
        page.wait_for_timeout(300)
        page.screenshot(path=SCREENSHOTS / "photo-4-room.png")
        faults = faults_of(page)
        first, second = page.locator('[data-photo="01"]'), page.locator('[data-photo="02"]')
        second.locator("[data-act=waive]").click()
        second.locator("[data-confirm]").click()
        expect(second.get_by_role("alert")).to_contain_text("姓名")
        second.get_by_label("监考人员姓名").fill("周监考")
        second.get_by_label("原因").fill("摄像头损坏")
        faults += faults_of(page)
        second.locator("[data-confirm]").click()
        waiting.see_paper(60)
        first.locator("[data-act=refuse]").click()
        first.get_by_label("原因").fill("看不清")
        first.locator("[data-confirm]").click()
        expect(page.locator('[data-group="done"] [data-said="refused"]')).to_contain_text("看不清", timeout=WITHIN_MS)
        first.locator("[data-act=accept]").click()
        expect(page.locator('[data-group="done"] [data-said="accepted"]')).to_contain_text("周监考", timeout=WITHIN_MS)
        faults += faults_of(page)
        page.locator("#tab-seats").click()
        expect(page.locator('.events [data-kind="photo_waived"]')).to_contain_text("摄像头损坏", timeout=WITHIN_MS)
        desk.seat(0).click()
        expect(page.locator(".photo-part img")).to_be_visible(timeout=WITHIN_MS)

        assert (listed(exam)["state"], faults, desk.faults) == ("accepted", [], [])


@pytest.mark.slow
def test_owed_photo_arrives_when_postgresql_is_back(machine: BrowserContext) -> None:
    """PostgreSQL hangs while the photo is taken: the exam opens all the same, and the page sends it after a reload."""
    with servers.engine_up("owed") as engine:
        exam = push_exam(engine.url, engine.keys, duration_s=600, photo="required")
        seat = pose(Seat(machine, exam))
        frozen = processes_of_postgres(engine)
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            seat.page.locator("#take:enabled").click(timeout=WITHIN_MS)
            seat.page.locator("#use").click(timeout=WITHIN_MS)
            seat.see_paper(60)
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        seat.page.reload()  # it is sent at once, and not only after the engine's pause
        seat.see_paper(60)
        photo = until(lambda: listed(exam) if listed(exam)["photo"] else None, 120, "stored photo")

        assert photo["state"] == "taken"
        assert read_jpeg(jpeg_of(exam, photo["sitting_id"])).width_px == 640
        until(lambda: not seat.page.evaluate(KEPT), 60, "forgotten picture")
        assert seat.faults == []
