"""A room's lists as a workbook: a sheet for every room, set to print on A4; labels as one table, for a mail merge.

What is text stays text: an admission ticket is no number, nothing is a formula or a link.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import xlsxwriter

from engine.rules.room_lists import LABELS, SIGN_IN, TITLES, Entry, Heading, RoomList
from engine.tables.sheet_name import sheet_name

_A4 = 9
_DOOR_COLUMNS = (("座位号", 10), ("姓名", 18), ("准考证号", 26), ("证件号码", 24))
_SIGN_IN_COLUMNS = (*_DOOR_COLUMNS, ("考生签名", 18), ("备注", 14))
_LABEL_COLUMNS = (("考点", 24), ("考场", 14), *_DOOR_COLUMNS, ("考试", 40), ("时间", 40))
_ROW_HEIGHT = 24
_FOOTER = "&C第 &P 页 共 &N 页"


def workbook(kind: str, heading: Heading, rooms: Sequence[RoomList], unseated: Sequence[Entry]) -> bytes:
    """Those who have no seat yet are on a sheet of their own, the first."""
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "in_memory": True}
    made = io.BytesIO()
    with xlsxwriter.Workbook(made, options) as book:
        names: set[str] = set()
        formats = _formats(book)
        if unseated:
            _sheet(book, "未编排座位", names, formats, heading, "尚未编排座位", _DOOR_COLUMNS, _rows(unseated))
        if kind == LABELS:
            labels: list[tuple[str, ...]] = [
                (
                    room.site,
                    room.room,
                    entry.seat,
                    entry.name,
                    entry.admission_ticket,
                    entry.id_number,
                    heading.exam,
                    heading.time,
                )
                for room in rooms
                for entry in room.entries
            ]
            _sheet(book, TITLES[kind], names, formats, None, "", _LABEL_COLUMNS, labels)
        for room in rooms if kind != LABELS else ():
            columns = _SIGN_IN_COLUMNS if kind == SIGN_IN else _DOOR_COLUMNS
            told = f"{room.site} {room.room} {TITLES[kind]}"
            rows = _rows(room.entries, with_signature=kind == SIGN_IN)
            sheet = _sheet(book, f"{room.room} {room.site}", names, formats, heading, told, columns, rows)
            if kind == SIGN_IN:
                sheet.write_string(
                    len(rows) + 4, 0, f"应到 {len(rows)} 人    实到：        缺考：        监考人员（签字）："
                )
    return made.getvalue()


def _rows(entries: Sequence[Entry], *, with_signature: bool = False) -> list[tuple[str, ...]]:
    more = [("", entry.note) if with_signature else () for entry in entries]
    return [
        (entry.seat, entry.name, entry.admission_ticket, entry.id_number, *last)
        for entry, last in zip(entries, more, strict=True)
    ]


def _formats(book: xlsxwriter.Workbook) -> dict[str, Any]:
    cell = {"border": 1, "align": "center", "valign": "vcenter", "num_format": "@", "text_wrap": True}
    return {
        "title": book.add_format({"bold": True, "font_size": 16, "align": "center", "valign": "vcenter"}),
        "told": book.add_format({"align": "center", "valign": "vcenter", "text_wrap": True}),
        "name": book.add_format({**cell, "bold": True, "bg_color": "#EEEEEE"}),
        "cell": book.add_format(cell),
    }


def _sheet(
    book: xlsxwriter.Workbook,
    wished: str,
    names: set[str],
    formats: dict[str, Any],
    heading: Heading | None,
    title: str,
    columns: Sequence[tuple[str, int]],
    rows: Sequence[Sequence[str]],
) -> Any:
    """One table below its title and the exam in words; without a `heading` the table alone."""
    sheet = book.add_worksheet(sheet_name(wished, names, without="考场"))
    sheet.set_paper(_A4)
    sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
    sheet.fit_to_pages(1, 0)
    sheet.center_horizontally()
    sheet.set_footer(_FOOTER)
    top = 0
    if heading is not None:
        told = f"{heading.title}  {heading.exam}\n{heading.time}  共{len(rows)}人"
        sheet.merge_range(0, 0, 0, len(columns) - 1, "")
        sheet.write_string(0, 0, title, formats["title"])
        sheet.merge_range(1, 0, 1, len(columns) - 1, "")
        sheet.write_string(1, 0, told, formats["told"])
        sheet.set_row(0, 30)
        sheet.set_row(1, 34)
        top = 2
    sheet.repeat_rows(0, top)
    sheet.freeze_panes(top + 1, 0)
    for column, (name, width) in enumerate(columns):
        sheet.set_column(column, column, width)
        sheet.write_string(top, column, name, formats["name"])
    for row, values in enumerate(rows, start=top + 1):
        sheet.set_row(row, _ROW_HEIGHT)
        for column, value in enumerate(values):
            sheet.write_string(row, column, value, formats["cell"])
    return sheet
