"""A room's lists in a real browser: styled under their policy, on A4, every room on sheets of its own."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route

from engine.rules.room_lists import DOOR, LABELS, SIGN_IN, Heading, room_lists
from engine.tables.room_page import CONTENT_SECURITY_POLICY, page

ADDRESS = "http://lists.invalid/"
HEADING = Heading("联考", "劳动关系协调师（3级/高级工）理论知识", "2026年11月21日（星期六） 09:00—10:30")


def room(name: str, people: int) -> list[dict[str, Any]]:
    return [
        {
            "site": "重庆市渝中区第一考点",
            "room": name,
            "seat": f"{at:02}",
            "name": "阿卜杜热西提·买买提依明" if at % 3 else "张三",
            "id_number": "500101199003070011",
            "admission_ticket": f"50012026110{at:05}",
            "extra_time_s": 0,
        }
        for at in range(1, people + 1)
    ]


def opened(machine: BrowserContext, kind: str, *people: dict[str, Any]) -> Page:
    """The list as the engine answers it, policy included."""
    headers = {"content-security-policy": CONTENT_SECURITY_POLICY, "content-type": "text/html; charset=utf-8"}
    body = page(kind, HEADING, *room_lists(kind, people))

    def answer(route: Route) -> None:
        route.fulfill(status=200, headers=headers, body=body)

    tab = machine.new_page()
    tab.route(ADDRESS, answer)
    tab.goto(ADDRESS)
    return tab


def sheets_printed(tab: Page) -> int:
    printed = tab.pdf(prefer_css_page_size=True)
    return len(re.findall(rb"/Type ?/Page\b(?!s)", printed))


@pytest.mark.parametrize(
    ("kind", "rooms", "sheets"),
    [
        (DOOR, (30,), 1),
        (DOOR, (40, 12), 2),
        (DOOR, (95,), 3),
        (LABELS, (30,), 4),
        (LABELS, (8, 9), 3),
        (SIGN_IN, (20, 20), 2),
        (SIGN_IN, (30,), 2),
    ],
)
def test_every_room_is_printed_on_sheets_of_its_own(
    machine: BrowserContext, kind: str, rooms: tuple[int, ...], sheets: int
) -> None:
    """And on no more than it needs: a sheet that runs over by a line would double the paper of a joint exam."""
    people = [person for at, count in enumerate(rooms) for person in room(f"{101 + at}", count)]

    assert sheets_printed(opened(machine, kind, *people)) == sheets


@pytest.mark.parametrize("kind", [DOOR, LABELS, SIGN_IN])
def test_the_style_is_allowed_and_nothing_hangs_over(machine: BrowserContext, kind: str) -> None:
    """A style sheet that the policy refused would leave a bare page; long names must stay within their cells."""
    tab = opened(machine, kind, *room("计算机中心三楼大机房", 18))

    width = tab.evaluate("getComputedStyle(document.querySelector('section')).width")
    over = tab.evaluate(
        "[...document.querySelectorAll('td, th, li, section')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    )
    assert (round(float(width.removesuffix("px")) / 96 * 25.4), over) == (210, 0)
