"""What stands on a room's lists: the door list (门贴), seat labels (桌贴) and the sign-in sheet (签到表).

Door list and labels hang and lie where anybody reads them: of an ID number they show its last characters only. The
sign-in sheet is the proctor's, who compares whole numbers with documents.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from engine.rules.calendar import CHINA
from engine.rules.documents import masked_document
from engine.rules.sites import seat_order
from engine.rules.terms import Batch

DOOR, LABELS, SIGN_IN = "door", "labels", "sign-in"
TITLES: Final = {DOOR: "考场门贴", LABELS: "考生桌贴", SIGN_IN: "考生签到表"}
_LEVELS: Final = {1: "高级技师", 2: "技师", 3: "高级工", 4: "中级工", 5: "初级工"}
_SUBJECTS: Final = {"theory": "理论知识", "skill": "操作技能", "review": "综合评审"}
_WEEKDAYS: Final = "一二三四五六日"


class Entry(Struct, frozen=True):
    """One candidate on a list; `note`: what the proctor has to know."""

    seat: str
    name: str
    admission_ticket: str
    id_number: str
    note: str = ""


class RoomList(Struct, frozen=True):
    site: str
    room: str
    entries: list[Entry]


class Heading(Struct, frozen=True):
    """The exam, in words for people; `exam` is its occupation, level and subject."""

    title: str
    exam: str
    time: str


def heading_of(batch: Batch) -> Heading:
    level = f"{batch.level}级/{_LEVELS.get(batch.level, '')}"
    starts, ends = (datetime.datetime.fromtimestamp(ms / 1000, CHINA) for ms in (batch.starts_ms, batch.ends_ms))
    day = f"{starts.year}年{starts.month}月{starts.day}日（星期{_WEEKDAYS[starts.weekday()]}）"
    until = f"{ends:%H:%M}" if ends.date() == starts.date() else f"{ends.month}月{ends.day}日{ends:%H:%M}"
    subject = _SUBJECTS.get(batch.subject, batch.subject)
    return Heading(batch.title, f"{batch.occupation}（{level}）{subject}", f"{day} {starts:%H:%M}—{until}")


def room_lists(kind: str, sittings: Iterable[Mapping[str, Any]]) -> tuple[list[RoomList], list[Entry]]:
    """One list per site and room, each by seat; and who has no room or no seat yet."""
    is_public = kind != SIGN_IN
    rooms: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    unseated: list[Entry] = []
    for sitting in sittings:
        id_number = masked_document(sitting["id_number"]) if is_public else sitting["id_number"]
        note = "" if is_public else _note(sitting["extra_time_s"])
        entry = Entry(sitting["seat"], sitting["name"], sitting["admission_ticket"], id_number, note)
        if sitting["room"] and sitting["seat"]:
            rooms[sitting["site"], sitting["room"]].append(entry)
        else:
            unseated.append(entry)
    found = [
        RoomList(site, room, sorted(rooms[site, room], key=lambda entry: seat_order(entry.seat)))
        for site, room in sorted(rooms)
    ]
    return found, sorted(unseated, key=lambda entry: entry.admission_ticket)


def _note(extra_time_s: int) -> str:
    if not extra_time_s:
        return ""
    minutes, seconds = divmod(extra_time_s, 60)
    return f"加时{minutes}分钟" if not seconds else f"加时{extra_time_s}秒"
