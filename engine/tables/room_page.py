"""A room's lists as a page to be printed: one self-contained HTML file on A4, in Chinese, a sheet for every room.

Nothing is fetched and nothing runs: the one style sheet is allowed by its digest. Every text is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from pathlib import Path

from engine.rules.room_lists import DOOR, LABELS, TITLES, Entry, Heading, RoomList
from engine.rules.sites import SPARE

_STYLE = Path(__file__).with_suffix(".css").read_text("utf-8")
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ONE_COLUMN_MAX = 16  # so few stand one below the other, larger; more stand in two columns
_ROOMY_ROWS_MAX = 16
_DOOR_SHEET_MAX = 40  # on one sheet of A4, in two columns
_LABELS_PER_SHEET = 8
_LONG_TICKET = 24  # characters that still fit on one line
_LONG_NAME, _LONGER_NAME = 9, 24


def page(kind: str, heading: Heading, rooms: Sequence[RoomList], unseated: Sequence[Entry]) -> str:
    """All `rooms`, each on sheets of its own, after one of those who are on no list because they have no seat yet."""
    show = {DOOR: _door, LABELS: _labels}.get(kind, _sign_in)
    sheets = [_open(heading, unseated)] if unseated else []
    sheets += [show(heading, room) for room in rooms]
    title = escape(f"{TITLES[kind]} {heading.title}")
    return (
        f'<!DOCTYPE html>\n<html lang="zh-CN"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>\n{''.join(sheets)}</body></html>\n"
    )


def _head(heading: Heading, site: str, room: str, told: str) -> str:
    return (
        f"<header><h2>{escape(site)}</h2><h1>{escape(room)}</h1>"
        f"<p>{escape(heading.title)} · {escape(heading.exam)}</p>"
        f'<p class="time">{escape(heading.time)} · {escape(told)}</p></header>'
    )


def _door(heading: Heading, room: RoomList) -> str:
    """In two columns, down the left one first; a larger room goes on on another sheet."""
    entries = room.entries
    is_narrow = len(entries) <= _ONE_COLUMN_MAX
    told = f"共{len(entries)}人"
    sheets = []
    for at in range(0, len(entries), _DOOR_SHEET_MAX):
        some = entries[at : at + _DOOR_SHEET_MAX]
        length = len(some) if is_narrow else -(-len(some) // 2)
        halves = [some] if is_narrow else [some[:length], some[length:]]
        roomy = " roomy" if length <= _ROOMY_ROWS_MAX else ""
        names = "<th>座位号</th><th>姓名</th><th>准考证号</th><th>证件号码</th>" if is_narrow else _DOOR_NAMES
        body = "".join(_door_row([half[row] if row < len(half) else None for half in halves]) for row in range(length))
        sheets.append(
            f'<section class="door{roomy}">{_head(heading, room.site, room.room, told)}'
            f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></section>\n"
        )
    return "".join(sheets)


_DOOR_HALF = "<th>座位号</th><th>姓名</th><th>准考证号</th>"
_DOOR_NAMES = f'{_DOOR_HALF}<th class="gap"></th>{_DOOR_HALF}'


def _door_row(entries: Sequence[Entry | None]) -> str:
    if len(entries) == 1 and entries[0]:
        return f"<tr>{_who(entries[0])}{_number(entries[0])}</tr>"
    cells = (_who(entry) if entry else '<td class="seat"></td><td></td><td></td>' for entry in entries)
    return f"<tr>{'<td class=gap></td>'.join(cells)}</tr>"


def _sign_in(heading: Heading, room: RoomList) -> str:
    """Head and place stand on every sheet of it: single sheets get lost."""
    rows = "".join(
        f'<tr>{_who(entry)}{_number(entry)}<td class="signature"></td><td class="note">{escape(entry.note)}</td></tr>'
        for entry in room.entries
    )
    running = escape(f"{TITLES['sign-in']} · {room.site} · {room.room} · {heading.exam}")
    names = "<th>座位号</th><th>姓名</th><th>准考证号</th><th>证件号码</th><th>考生签名</th><th>备注</th>"
    count = (
        f'<div class="count"><span>应到：{len(room.entries)} 人</span><span>实到：</span><span>缺考：</span>'
        '<span>违纪：</span><span class="wide">监考人员（签字）：</span><span class="wide">日期：</span></div>'
    )
    return (
        f'<section class="sign">{_head(heading, room.site, room.room, TITLES["sign-in"])}'
        f'<table><thead><tr class="running"><th colspan="6">{running}</th></tr><tr>{names}</tr></thead>'
        f"<tbody>{rows}</tbody></table>{count}</section>\n"
    )


def _labels(heading: Heading, room: RoomList) -> str:
    """Eight to a sheet, to be cut along the dashes."""
    sheets = []
    for at in range(0, len(room.entries), _LABELS_PER_SHEET):
        some = "".join(_label(heading, room, entry) for entry in room.entries[at : at + _LABELS_PER_SHEET])
        sheets.append(f'<section class="labels"><ol>{some}</ol></section>\n')
    return "".join(sheets)


def _label(heading: Heading, room: RoomList, entry: Entry) -> str:
    length = " longer" if len(entry.name) > _LONGER_NAME else " long" if len(entry.name) > _LONG_NAME else ""
    return (
        f'<li><div class="where"><span>{escape(room.site)}</span><span>{escape(room.room)}</span></div>'
        f'<div><div class="{_seat_class(entry.seat)}">{escape(entry.seat)}</div>'
        f'<div class="name{length}">{_name(entry)}</div>'
        f'<div>准考证号 <span class="{_ticket_class(entry)}">{escape(entry.admission_ticket)}</span></div>'
        f'<div>证件号码 <span class="number">{escape(entry.id_number)}</span></div></div>'
        f'<div class="exam">{escape(heading.exam)}<br>{escape(heading.time)}</div></li>'
    )


def _open(heading: Heading, unseated: Sequence[Entry]) -> str:
    rows = "".join(f"<tr>{_who(entry)}</tr>" for entry in unseated)
    return (
        f'<section class="open">{_head(heading, "以下考生不在各考场名单中", "尚未编排座位", f"共{len(unseated)}人")}'
        f"<table><thead><tr>{_DOOR_HALF}</tr></thead><tbody>{rows}</tbody></table></section>\n"
    )


def _who(entry: Entry) -> str:
    return (
        f'<td class="{_seat_class(entry.seat)}">{escape(entry.seat)}</td><td class="name">{_name(entry)}</td>'
        f'<td class="{_ticket_class(entry)}">{escape(entry.admission_ticket)}</td>'
    )


def _name(entry: Entry) -> str:
    """It may break behind the dot of a name of several parts."""
    return escape(entry.name).replace("·", "·<wbr>")


def _number(entry: Entry) -> str:
    return f'<td class="number">{escape(entry.id_number)}</td>'


def _seat_class(seat: str) -> str:
    return "seat spare" if seat.startswith(SPARE) else "seat"


def _ticket_class(entry: Entry) -> str:
    return "ticket long" if len(entry.admission_ticket) > _LONG_TICKET else "ticket"
