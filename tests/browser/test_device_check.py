"""A machine is checked in a real browser: what it measured is kept, and what the engine says of it is shown."""

from __future__ import annotations

import re
import shutil
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from engine.rules.device import CHECKS, REASONS, Verdict
from tests import servers
from tests.browser.axe import faults_of
from tests.browser.conftest import ARGUMENTS, NAMES
from tests.browser.hall import VIEWPORT, Seat, call, id_number, paper, push_exam, until
from tests.browser.line import Upgrade, line_to

# A sound machine, as a page tells it.
MEASURED: dict[str, Any] = {
    "browser": "chrome", "browser_version": 131, "system": "windows", "system_version": "10", "user_agent": "",
    "is_handheld": False, "screen_width_px": 1366, "screen_height_px": 768, "layout_width_px": 1366,
    "layout_height_px": 633, "zoom_percent": 100, "memory_mib": 4096, "cores": 2, "hash_mib_per_s": 120,
    "camera_width_px": 640, "camera_height_px": 480, "camera_fault": "", "clock_ms": 300, "storage_works": True,
    "quota_mib": 9000, "service_worker_works": True, "crypto_works": True, "channel_opens": True, "round_trip_ms": 20,
    "down_kbit_s": 900, "up_kbit_s": 900, "took_ms": 9000,
}  # fmt: skip
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
CHECK_MS_MAX = 60_000
SOUND = ("screen", "zoom", "camera", "crypto", "channel", "clock")  # whatever else runs on this machine
ROOM = "1号楼2层第1机房"
PHONE = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/131.0.0.0 Mobile Safari/537.36"


@dataclass
class Check:
    """An armed device check of one room."""

    url: str
    keys: dict[str, str]
    batch_id: str
    code: str
    site: str
    people: list[dict[str, str]]

    def machines(self) -> dict[str, Any]:
        """seat -> machine, as the room's proctor sees it."""
        query = urllib.parse.urlencode({"site": self.site, "room": ROOM})
        path = f"/v1/batches/{self.batch_id}/devices?{query}"
        found = call(self.url, "GET", path, self.keys["proctor"])["machines"]
        return {machine["seat"]: machine for machine in found}


def push_check(url: str, keys: dict[str, str], *seats: str) -> Check:
    mark = uuid.uuid4().hex[:10]
    site = f"某市第一职业技术学院{mark[:4]}考点"
    people = [
        {
            "name": f"机位{seat}",
            "id_number": id_number(mark, n),
            "admission_ticket": f"0526{int(mark[:6], 16):08d}{n:02d}",
            "site": site,
            "room": ROOM,
            "seat": seat,
        }
        for n, seat in enumerate(seats)
    ]
    batch = {
        "title": "11月联考 设备调试",
        "occupation": "劳动关系协调师",
        "level": 3,
        "subject": "theory",
        "kind": "device_check",
        "paper_id": f"p-{mark}",
        "admission_code": mark.upper(),
        "starts_ms": int(time.time() * 1000),
        "duration_s": 3_600,
    }
    schedule = keys["schedule"]
    call(url, "PUT", f"/v1/papers/p-{mark}", schedule, paper())
    call(url, "PUT", f"/v1/batches/b-{mark}", schedule, batch)
    call(url, "PUT", f"/v1/batches/b-{mark}/roster", schedule, people)
    call(url, "POST", f"/v1/batches/b-{mark}/arm", schedule, {"witnesses": ["甲", "乙"]})
    return Check(url, keys, f"b-{mark}", mark.upper(), site, people)


@pytest.fixture(scope="module")
def camera_browser(browser: Browser) -> Iterator[Browser]:
    """The same Chromium with a camera that gives a picture, and somebody who allows it."""
    path = next(filter(None, map(shutil.which, NAMES)))
    with browser.browser_type.launch(executable_path=path, args=[*ARGUMENTS, *CAMERA]) as seeing:
        yield seeing


@pytest.fixture
def seeing_machine(camera_browser: Browser) -> Iterator[BrowserContext]:
    with camera_browser.new_context(viewport=VIEWPORT) as context:
        yield context


def log_in(page: Page, check: Check, index: int = 0) -> None:
    page.goto(check.url)
    page.get_by_label("考试口令").fill(check.code)
    page.get_by_label("证件号码").fill(check.people[index]["id_number"])
    page.get_by_role("button", name="登录", exact=True).click()


def verdicts(page: Page) -> dict[str, str]:
    """check -> verdict, as the page shows them."""
    rows = page.locator(".device-row").all()
    return {row.get_attribute("data-check") or "": row.get_attribute("data-verdict") or "" for row in rows}


def seen_by_all(page: Page) -> list[str]:
    """What WCAG 2.2 AA finds at fault, in both contrasts."""
    faults = faults_of(page)
    for contrast in ("high", "normal"):
        page.evaluate("(contrast) => { document.documentElement.dataset.contrast = contrast; }", contrast)
        faults += faults_of(page, "color-contrast")
    return faults


def test_whole_check_is_kept_as_it_was_shown_and_leads_to_the_trial_paper(
    engine_up: servers.Engine, seeing_machine: BrowserContext
) -> None:
    check = push_check(engine_up.url, engine_up.keys, "01", "02", "备用1")
    page = seeing_machine.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
    log_in(page, check)
    expect(page.locator(".device-place")).to_contain_text(ROOM)
    expect(page.locator("[data-overall]")).to_be_visible(timeout=CHECK_MS_MAX + 60_000)

    assert seen_by_all(page) == []
    shown = verdicts(page)
    machine = check.machines()["01"]
    kept = {finding["name"]: finding for finding in machine["findings"]}
    assert list(shown) == list(CHECKS)
    assert shown == {name: finding["verdict"] for name, finding in kept.items()}
    assert {name: kept[name]["verdict"] for name in SOUND} == dict.fromkeys(SOUND, Verdict.OK)
    assert "fail" not in (kept["storage"]["verdict"], kept["browser"]["verdict"])
    assert kept["screen"]["measured"] == "1366×768" and kept["camera"]["measured"] == "1280×720"
    assert kept["down"]["measured"] and kept["up"]["measured"]
    assert check.machines()["02"]["verdict"] is None

    page.get_by_role("button", name="继续试答").click()
    page.get_by_role("button", name="信息无误").click()
    page.get_by_label("我已阅读并遵守以上承诺").check()
    page.get_by_role("button", name="承诺并继续").click()
    expect(page.locator(".question")).to_be_visible(timeout=60_000)
    page.reload()
    expect(page.locator(".question")).to_be_visible(timeout=60_000)
    assert faults == []


def test_machine_without_a_camera_is_told_what_to_do_and_may_be_checked_again(
    engine_up: servers.Engine, machine: BrowserContext
) -> None:
    """Behind a proxy that lets no WebSocket through: the exam goes on without one, so that is no more than a remark."""
    check = push_check(engine_up.url, engine_up.keys, "01")
    page = machine.new_page()
    with line_to(engine_up.port, Upgrade.REFUSED) as line:
        check.url = line.url
        check_twice(page, check)
        kept = check.machines()["01"]

    assert "camera" in kept["failing"] and "channel" in kept["failing"] and kept["verdict"] == "fail"


def check_twice(page: Page, check: Check) -> None:
    log_in(page, check)
    camera = page.locator('[data-check="camera"]')
    expect(camera).to_have_attribute("data-verdict", "fail", timeout=CHECK_MS_MAX + 60_000)
    expect(camera).to_contain_text("摄像头")
    expect(page.locator("[data-overall]")).to_have_attribute("data-overall", "fail")
    expect(page.locator('[data-check="channel"]')).to_have_attribute("data-verdict", "weak")
    page.get_by_role("button", name="再检查一次").press("Enter")
    expect(page.locator("h1")).to_be_focused()
    until(lambda: check.machines()["01"]["checks"] == 2, CHECK_MS_MAX / 1000 + 60, "second check")


def test_room_shows_its_machines_and_prints_the_form_with_what_was_measured(
    engine_up: servers.Engine, seeing_machine: BrowserContext
) -> None:
    check = push_check(engine_up.url, engine_up.keys, "01", "02", "备用1")
    for index, changes in enumerate(({}, {"memory_mib": 1024, "up_kbit_s": 90})):
        login = {"admission_code": check.code, "id_number": check.people[index]["id_number"]}
        token = call(check.url, "POST", "/v1/login", "", login)["token"]
        call(check.url, "POST", "/v1/sitting/device", token, {**MEASURED, **changes})
    page = seeing_machine.new_page()
    page.goto(f"{check.url}/room")
    page.get_by_label("监考密钥").fill(check.keys["proctor"])
    page.get_by_role("button", name="进入").click()
    page.locator(f'[data-batch="{check.batch_id}"]').click()
    page.locator(f'[data-room="{ROOM}"]').click()
    page.get_by_role("tab", name="机器").click()
    expect(page.locator('.machine[data-seat="01"]')).to_have_attribute("data-tone", "ok")
    bad = page.locator('.machine[data-seat="02"]')
    expect(bad).to_have_attribute("data-tone", "fail")
    expect(bad).to_contain_text("上行速率、内存")
    expect(page.locator('.machine[data-seat="备用1"]')).to_have_attribute("data-tone", "none")
    assert faults_of(page) == []
    bad.click()
    expect(page.locator(".panel")).to_contain_text("90 kbit/s")

    page.get_by_role("button", name="检查本机").click()
    expect(page.locator('.machine[data-seat="管理机"]')).to_contain_text("202", timeout=CHECK_MS_MAX + 60_000)
    page.get_by_role("button", name="考场验收单").click()
    form = page.locator(".acceptance")
    expect(form).to_contain_text(check.site)
    assert faults_of(page) == []
    expect(form.locator("tr", has_text="上行速率").first).to_contain_text("90 kbit/s（02）")
    expect(form.locator("tr", has_text="管理机").first).to_contain_text("不少于 1 台")
    page.emulate_media(media="print")
    expect(page.locator(".head")).to_be_hidden()
    expect(page.get_by_role("button", name="打印")).to_be_hidden()
    printed = page.pdf(prefer_css_page_size=True)
    page.emulate_media(media="screen")
    page.get_by_role("button", name="返回机器列表").press("Enter")
    expect(page.get_by_role("button", name="考场验收单")).to_be_focused()
    assert printed.startswith(b"%PDF") and re.findall(rb"/Count (\d+)", printed) == [b"2"]
    assert re.search(rb"/MediaBox \[0 0 59\d[.\d]* 84\d", printed), "A4, upright"


def test_look_without_a_login_keeps_nothing(engine_up: servers.Engine, seeing_machine: BrowserContext) -> None:
    page = seeing_machine.new_page()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "/v1/sitting" in request.url else None)
    page.goto(f"{engine_up.url}/#device")
    expect(page.locator("[data-overall]")).to_be_visible(timeout=CHECK_MS_MAX + 60_000)

    shown = verdicts(page)
    assert (shown["down"], shown["up"], shown["camera"], shown["crypto"]) == ("unknown", "unknown", "ok", "ok")
    assert sent == []
    page.get_by_role("button", name="返回登录").click()
    expect(page.get_by_label("考试口令")).to_be_visible()


def test_address_of_the_look_takes_nobody_out_of_an_exam(engine_up: servers.Engine, machine: BrowserContext) -> None:
    """Whoever has logged in where somebody had a look before goes on with the exam after a reload."""
    seat = Seat(machine, push_exam(engine_up.url, engine_up.keys, duration_s=600)).enter()
    seat.page.evaluate("history.replaceState(null, '', '#device')")
    seat.page.reload()

    seat.see_paper(60)


def test_phone_is_told_that_it_cannot_be_used(engine_up: servers.Engine, browser: Browser) -> None:
    with browser.new_context(user_agent=PHONE, has_touch=True, is_mobile=True) as phone:
        for address in (engine_up.url, f"{engine_up.url}/#device"):
            page = phone.new_page()
            page.goto(address)
            expect(page.get_by_text("手机和平板电脑不能参加")).to_be_visible()
            assert page.locator("input, .device-row").count() == 0


def test_every_verdict_has_its_words_in_both_languages(engine_up: servers.Engine, browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(engine_up.url)
        chinese, english = page.evaluate(
            """async () => {
              const { zh } = await import('/web/device_words.zh.js');
              const { en } = await import('/web/device_words.en.js');
              return [zh, en];
            }"""
        )

    wanted = {f"do.{name}.{reason}" for name, reasons in REASONS.items() for reason in reasons}
    wanted |= {f"check.{name}" for name in CHECKS} | {f"verdict.{verdict}" for verdict in Verdict}
    assert list(chinese) == list(english) and wanted <= set(chinese)
    for name, text in chinese.items():
        assert text and english[name], name
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[name])), name


CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)
BROWSERS = [
    (CHROME, ["Google Chrome", "Chromium"], ["chrome", 131]),
    (CHROME, ["Chromium", "Not_A Brand"], ["chromium", 131]),  # what calls itself Chrome and is something else
    (CHROME, [], ["chrome", 131]),  # too old to tell brands, or not by a safe address
    (f"{CHROME} Edg/130.0.0.0", ["Microsoft Edge", "Chromium"], ["edge", 130]),
    ("Mozilla/5.0 (Windows NT 6.1; rv:115.0) Gecko/20100101 Firefox/115.0", [], ["firefox", 115]),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.4 Safari/605.1.15", [], ["other", 17]),
]
WINDOWS = [
    (1366, 1366, 1),
    (1382, 1366, 1),
    (1366, 1093, 1.25),
    (1366, 1707, 0.8),
    (1366, 455, 3),
    (1366, 980, 1),
    (0, 980, 1),
]


def test_machine_is_told_for_what_it_is(engine_up: servers.Engine, browser: Browser) -> None:
    """Names and versions of browsers, the zoom, and rates without the round trip before the first byte."""
    given = {
        "browsers": [[agent, brands] for agent, brands, _ in BROWSERS],
        "windows": [list(one[:2]) for one in WINDOWS],
    }
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(engine_up.url)
        told = page.evaluate(
            """async ({ browsers, windows }) => {
              const { browserOf, zoomOf } = await import('/web/device_machine.js');
              const { median, probed } = await import('/web/device_line.js');
              return {
                browsers: browsers.map(([agent, brands]) => browserOf(agent, brands.map((brand) => ({ brand })))),
                zooms: windows.map(([outer, inner]) => zoomOf(outer, inner)),
                rates: [probed(8192, 700, 50), probed(8192, 60, 50), probed(524288, 0, 0)].map(({ kbit_s }) => kbit_s),
                middles: [median([]), median([3, 1, 2]), median([9, 1])],
              };
            }""",
            given,
        )

    assert told["browsers"] == [named for _, _, named in BROWSERS]
    assert told["zooms"] == [zoom for _, _, zoom in WINDOWS]
    assert told["rates"] == [101, 2185, 4194304]  # at most twice as fast as the whole call was
    assert told["middles"] == [None, 2, 1]
