"""An exam hall for browser tests: pushes a small exam over the public API, seats a candidate in front of a page.

The paper has all six item types, a figure, and two sections, so that shuffling has something to do.
"""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from playwright.sync_api import BrowserContext, Page, WebSocket, expect

from tests.browser.witness import Witness

SCREENSHOTS = Path(__file__).resolve().parents[2] / "screenshots"
VIEWPORT = {"width": 1366, "height": 768}
ESSAY = "不合法。\n“末位淘汰”不等于“不能胜任工作”，𠮷林省某案亦同。"
FIGURE = """
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 220" width="640" height="220" font-size="20">
<rect width="640" height="220" fill="#fff"/><path d="M60 170h540" stroke="#333" stroke-width="2"/>
<rect x="90" y="90" width="80" height="80" fill="#7fa8b5"/><rect x="280" y="50" width="80" height="120" fill="#7fa8b5"/>
<rect x="470" y="110" width="80" height="60" fill="#7fa8b5"/>
<text x="102" y="200">一月</text><text x="292" y="200">二月</text><text x="482" y="200">三月</text>
<text x="113" y="82">8 小时</text><text x="288" y="42">12 小时</text><text x="486" y="102">6 小时</text></svg>"""
OPTIONS = [
    {"id": letter, "text": text} for letter, text in zip("abcd", ("十日", "一个月", "两个月", "三个月"), strict=True)
]


def paper() -> dict[str, Any]:
    """Item ids: A1-A12 single, B1-B4 multiple, C1-C4 true_false, D1-D2 fill, E1-E2 numeric, F1 text."""

    def item(item_id: str, kind: str, stem: str, **more: Any) -> dict[str, Any]:
        return {"id": item_id, "type": kind, "stem": stem, "points": 2, **more}

    choices = [
        item(f"A{n}", "single", f"用人单位应当在第 {n} 种情形发生之日起（　）内书面通知。", options=OPTIONS, answer="b")
        for n in range(1, 13)
    ]
    drawn = {**OPTIONS[3], "text": "如图所示的期限\n![三个月的加班时数](fig-hours.svg)"}
    several = [
        item(f"B{n}", "multiple", f"下列期限中，适用于第 {n} 种情形的有（　）。", options=OPTIONS, answer=["a", "c"])
        for n in range(1, 4)
    ]
    several.append(item("B4", "multiple", "有图的选项。", options=[*OPTIONS[:3], drawn], answer=["a", "c"]))
    truths = [
        item(f"C{n}", "true_false", f"第 {n} 条规定适用于试用期内的劳动者。", answer=n % 2 == 0) for n in range(1, 5)
    ]
    words = [
        item(
            "D1",
            "fill",
            "标准工时制下，每日工作不超过____小时，每周至少休息____日。",
            answer=[["八", "8"], ["一", "1"]],
        ),
        item("D2", "fill", "月计薪天数为____天。", answer=[["21.75"]]),
    ]
    numbers = [
        item(
            "E1",
            "numeric",
            "下图为某员工三个月的加班时数，平均每月加班多少小时？（保留三位小数）\n![三个月的加班时数](fig-hours.svg)",
            answer=8.667,
            tolerance=0.001,
        ),
        item("E2", "numeric", "月工资 5220 元，日工资是多少元？", answer=240, tolerance=0.01),
    ]
    essay = [item("F1", "text", "某公司以“末位淘汰”为由解除劳动合同。\n该做法是否合法？请说明理由。", points=10)]
    titled = {
        "A": ("单项选择题", choices),
        "B": ("多项选择题", several),
        "C": ("判断题", truths),
        "D": ("填空题", words),
        "E": ("计算题", numbers),
        "F": ("论述题", essay),
    }
    return {
        "title": "劳动关系协调师 三级 理论知识",
        "sections": [{"id": section, "title": title, "items": items} for section, (title, items) in titled.items()],
        "media": {"fig-hours.svg": base64.b64encode(FIGURE.encode()).decode()},
    }


@dataclass
class Exam:
    """One armed batch with two candidates. `url` is how machines reach it, `direct_url` how this test does."""

    url: str
    direct_url: str
    keys: dict[str, str]
    batch_id: str
    code: str
    candidates: list[dict[str, str]]

    def responses(self, sitting_id: str) -> dict[str, Any]:
        """item -> value, as the engine recorded it."""
        path = f"/v1/sittings/{sitting_id}/responses"
        found = call(self.direct_url, "GET", path, self.keys["results"])["responses"]
        return {item: response["value"] for item, response in found.items()}

    def history(self, sitting_id: str) -> list[dict[str, Any]]:
        """Every change that the engine recorded."""
        path = f"/v1/sittings/{sitting_id}/history"
        found: list[dict[str, Any]] = call(self.direct_url, "GET", path, self.keys["results"])["history"]
        return found

    def result(self, sitting_id: str, within_s: float = 20) -> dict[str, Any]:
        """The sitting's published result."""
        path = f"/v1/batches/{self.batch_id}/results?limit=100"

        def published() -> Any:
            page = call(self.direct_url, "GET", path, self.keys["results"])
            return next((result for result in page["results"] if result["sitting_id"] == sitting_id), None)

        found: dict[str, Any] = until(published, within_s, f"a result of {sitting_id}")
        return found


def push_exam(
    url: str,
    keys: dict[str, str],
    *,
    starts_in_s: float = 3,
    duration_s: int = 90,
    document: dict[str, Any] | None = None,
    **rules: Any,
) -> Exam:
    """Paper, batch and roster under new ids, armed. Shuffled, to be handed in at any time unless `rules` differ."""
    mark = uuid.uuid4().hex[:10]
    candidates = [
        {
            "candidate_id": f"c-{mark}-{n}",
            "name": name,
            "id_number": id_number(mark, n),
            "admission_ticket": f"0526{int(mark[:6], 16):08d}{n}",
            "site": "某市第一考点",
            "room": "1号楼2层第1机房",
            "seat": f"{n:02d}",
        }
        for n, name in ((1, "邹欣平"), (2, "阿依古丽·麦麦提"))
    ]
    chosen = {
        "check_in_before_s": 600,
        "latest_entry_s": 600,
        "earliest_submit_s": 0,
        "warn_before_end_s": 60,
        "grace_s": 5,
        **rules,
    }
    schedule = keys["schedule"]
    call(url, "PUT", f"/v1/papers/p-{mark}", schedule, document or paper())
    batch = {
        "title": "劳动关系协调师 三级 理论知识 11月联考",
        "occupation": "劳动关系协调师",
        "level": 3,
        "subject": "theory",
        "kind": "formal",
        "paper_id": f"p-{mark}",
        "admission_code": mark.upper(),
        "starts_ms": int((time.time() + starts_in_s) * 1000),
        "duration_s": duration_s,
        "rules": chosen,
    }
    call(url, "PUT", f"/v1/batches/b-{mark}", schedule, batch)
    call(url, "PUT", f"/v1/batches/b-{mark}/roster", schedule, candidates)
    call(url, "POST", f"/v1/batches/b-{mark}/arm", schedule, {"witnesses": ["甲", "乙"]})
    return Exam(url=url, direct_url=url, keys=keys, batch_id=f"b-{mark}", code=mark.upper(), candidates=candidates)


def id_number(mark: str, n: int) -> str:
    """A resident's number that can be nobody's: no such county, born 1901-1909, the check character right."""
    seed = int(mark, 16)
    body = (
        f"509999{1901 + seed % 9}{1 + seed // 9 % 12:02d}{1 + seed // 108 % 28:02d}{(seed // 3024 + n) % 998 + 1:03d}"
    )
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True)) % 11]


def call(url: str, method: str, path: str, api_key: str, body: Any = None) -> Any:
    """One call of a machine client; fails the test on anything but success."""
    content = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url + path, content, headers, method=method)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as fault:
        raise AssertionError(f"{method} {path}: {fault.code} {fault.read().decode()}") from None


def until(found: Callable[[], Any], within_s: float, what: str) -> Any:
    """The first truthy result of `found`."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        if result := found():
            return result
        time.sleep(0.1)
    raise AssertionError(f"no {what} within {within_s} s")


class Seat:
    """A candidate in front of one tab. Waits for what is visible; knows nothing of the page's insides."""

    taken: ClassVar[list[Seat]] = []  # in this test

    def __init__(self, context: BrowserContext, exam: Exam, candidate: int = 0, page: Page | None = None) -> None:
        self.exam = exam
        self.candidate = exam.candidates[candidate]
        self.context = context
        self.page = page or context.new_page()
        self.witness = Witness(self.page)
        Seat.taken.append(self)
        self.faults: list[str] = []
        self.calls: list[tuple[str, str]] = []  # address and body of every POST and of every frame sent
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: self.faults.append(said.text) if "Content Security" in said.text else None)
        self.page.on(
            "request",
            lambda sent: self.calls.append((sent.url, sent.post_data or "")) if sent.method == "POST" else None,
        )
        self.page.on("websocket", self._listen)

    def _listen(self, channel: WebSocket) -> None:
        channel.on("framesent", lambda frame: self.calls.append((channel.url, str(frame))))

    def saves(self, *paths: str) -> list[str]:
        """What was sent as changes, oldest first; only over `paths` if given."""
        ways = paths or ("/v1/sitting/responses", "/v1/channel")
        return [body for url, body in self.calls if url.endswith(ways) and '"changes"' in body]

    def shot(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def arrive(self) -> Seat:
        self.page.goto(self.exam.url)
        return self

    def log_in(self) -> Seat:
        self.page.get_by_label("考试口令").fill(self.exam.code)
        self.page.get_by_label("证件号码").fill(self.candidate["id_number"])
        self.page.get_by_role("button", name="登录", exact=True).click()
        return self

    def confirm(self) -> Seat:
        self.page.get_by_role("button", name="信息无误").click()
        return self

    def pledge(self) -> Seat:
        self.page.get_by_label("我已阅读并遵守以上承诺").check()
        self.page.get_by_role("button", name="承诺并继续").click()
        return self

    def enter(self) -> Seat:
        """From the address to the first item."""
        return self.arrive().log_in().confirm().pledge().see_paper()

    def see_paper(self, within_s: float = 30) -> Seat:
        expect(self.page.locator(".question")).to_be_visible(timeout=within_s * 1000)
        return self

    def go(self, item: str) -> Seat:
        self.page.locator(f'.cell[data-item="{item}"]').click()
        expect(self.page.locator(f'.question[data-item="{item}"]')).to_be_visible()
        return self

    def choose(self, item: str, *options: str) -> Seat:
        self.go(item)
        for option in options:
            self.page.locator(f'input[data-option="{option}"]').check()
        return self

    def type(self, item: str, *texts: str) -> Seat:
        self.go(item)
        inputs = self.page.locator(".question").get_by_role("textbox")
        for index, text in enumerate(texts):
            inputs.nth(index).fill(text)
        return self

    def order(self) -> list[str]:
        """Item ids in the order of the list."""
        return [cell.get_attribute("data-item") or "" for cell in self.page.locator(".cell[data-item]").all()]

    def overall(self, state: str, within_s: float = 60) -> Seat:
        expect(self.page.locator(f'.pill[data-state="{state}"]')).to_be_visible(timeout=within_s * 1000)
        return self

    def item_state(self, state: str, within_s: float = 40) -> Seat:
        expect(self.page.locator(f'.state[data-state="{state}"]')).to_be_visible(timeout=within_s * 1000)
        return self

    def readonly(self, reason: str, within_s: float = 15) -> Seat:
        expect(self.page.locator(f'#readonly[data-reason="{reason}"]')).to_be_visible(timeout=within_s * 1000)
        return self

    def answer(self, name: str) -> None:
        """Answers the question on top of the page."""
        self.page.locator("dialog[open]").get_by_role("button", name=name, exact=True).click()

    def receipt(self, within_s: float = 30) -> Seat:
        expect(self.page.locator("#agrees")).to_be_visible(timeout=within_s * 1000)
        return self

    def was_told_the_truth(self) -> None:
        """Whatever was acknowledged here, or shown here as recorded, is in PostgreSQL."""
        sitting_id = until(self._sitting_id_by_any_token, 60, "a token that still counts")
        until(lambda: not self.witness.missing(self.exam.history(sitting_id)), 60, "recording of all that was told")

    def _sitting_id_by_any_token(self) -> str | None:
        """Another machine's token counts once this one's was superseded."""
        mates = [seat for seat in Seat.taken if seat.candidate == self.candidate]
        for token in (token for seat in mates for token in reversed(seat.witness.tokens)):
            try:
                return Seat.sitting_of(self.exam, token)
            except AssertionError:
                continue
        return None

    @property
    def sitting_id(self) -> str:
        """Asked with the tab's own token."""
        return Seat.sitting_of(self.exam, self.page.evaluate("sessionStorage.getItem('liankao.token')"))

    @staticmethod
    def sitting_of(exam: Exam, token: str) -> str:
        return str(call(exam.direct_url, "GET", "/v1/sitting", token)["sitting_id"])
