"""Rosters as clerks and exporters really send them, as text, each with the answer it must get.

The habits are real: lists printed and typed again, columns that became numbers, headers in two lines. What can be kept
as a file lies in `rosters/`; what is clearer as a recipe is made here and in `nasty_workbooks.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.contract.workbooks import (
    HEADINGS,
    as_csv,
    candidate,
    candidates,
    resident,
)

FOLDER = Path(__file__).parent / "rosters"
Fault = tuple[int, str | None, str | None, str]  # row, column, field, code


@dataclass
class Case:
    """`accepted`: how many candidates; None: refused with `faults`. `warned`: rows named in warnings."""

    body: Callable[[], bytes]
    accepted: int | None = None
    faults: list[Fault] = field(default_factory=list)
    warned: list[int] = field(default_factory=list)
    content_type: str = "application/octet-stream"


def text(rows: Any, encoding: str = "utf-8", **how: str) -> Callable[[], bytes]:
    return lambda: as_csv(rows, **how).encode(encoding)


TABLE: list[list[str]] = [list(HEADINGS), *candidates(3)]
GOOD: dict[str, Case] = {}
BAD: dict[str, Case] = {}

# --- texts -----------------------------------------------------------------------------------------------------
GOOD |= {
    "csv, UTF-8": Case(text(TABLE), 3),
    "csv, UTF-8 with a byte order mark": Case(text(TABLE, "utf-8-sig"), 3),
    "csv, GBK": Case(text(TABLE, "gbk"), 3),
    "csv, GB 18030 with four-byte characters": Case(text([*TABLE, candidate(7, name="\U00020bb7野")], "gb18030"), 4),
    "csv, UTF-16 with a mark": Case(text(TABLE, "utf-16"), 3),
    "csv, UTF-16 the other way round": Case(lambda: b"\xfe\xff" + as_csv(TABLE).encode("utf-16-be"), 3),
    "csv, UTF-16 without a mark but declared": Case(
        text(TABLE, "utf-16-le"), 3, content_type="text/csv; charset=utf-16le"
    ),
    "csv, GBK declared": Case(text(TABLE, "gbk"), 3, content_type='text/csv; header=present; charset="GBK"'),
    "csv, semicolons": Case(text(TABLE, delimiter=";"), 3),
    "csv, tabs": Case(text(TABLE, delimiter="\t"), 3),
    "csv, sep= in the first line": Case(lambda: b"\xef\xbb\xbfsep=;\r\n" + as_csv(TABLE, delimiter=";").encode(), 3),
    "csv, LF": Case(text(TABLE, line_end="\n"), 3),
    "csv, CR": Case(text(TABLE, line_end="\r"), 3),
    "csv, blank lines and lines of commas": Case(
        text([TABLE[0], [], TABLE[1], [""] * 6, [" ", "\u3000"], TABLE[2]]), 2
    ),
    "csv, called JSON": Case(text(TABLE), 3, content_type="application/json"),
    "csv, every cell quoted": Case(
        lambda: "\n".join(",".join(f'"{cell}"' for cell in row) for row in TABLE).encode(), 3
    ),
    "csv, digits kept as text": Case(
        lambda: as_csv(
            [TABLE[0], *(["张三", f'="{row[1]}"', f'="{row[2]}"', *row[3:5], f'="{row[5]}"'] for row in TABLE[1:])]
        ).encode(),
        3,
    ),
    "csv, digits kept as text, unquoted": Case(
        lambda: ",".join(HEADINGS).encode() + f'\n张三,="{resident(1)}",="0123",一考点,1,="01"\n'.encode(), 1
    ),
    "csv, tabs behind the numbers": Case(
        text([TABLE[0], *([row[0], row[1] + "\t", row[2] + "\t", *row[3:]] for row in TABLE[1:])]), 3
    ),
    "csv, commas in titles, semicolons between cells": Case(
        text([["说明,请勿修改,仅供核对,谢谢,,,,,"], TABLE[0], *TABLE[1:]], delimiter=";"), 3
    ),
    "csv, a header in two lines": Case(text([["姓名", "身份证\n号码", "准考证号", "考点"], candidate(1)[:4]]), 1),
    "csv, English headers": Case(
        text(
            [
                ["Seat", "name", "ID_NUMBER", "admission_ticket", "site", "extra_time_s"],
                ["01", "李四", resident(3), "T1", "一", "600"],
            ]
        ),
        1,
    ),
    "csv, English headers in full width": Case(
        text([["ｎａｍｅ", "ｉｄ＿ｎｕｍｂｅｒ", "准 考 证 号", "考点名称"], ["李四", resident(3), "T1", "一"]]), 1
    ),
    "csv, hints and stars": Case(
        text(
            [
                ["*姓名", "证件号码（18位）", "准考证号*【必填】", "考点名称[全称]", "考场号(如 001)", "机位"],
                *candidates(2),
            ]
        ),
        2,
    ),
    "csv, columns in another order, others ignored": Case(
        text(
            [
                ["序号", "考点", "电话", "准考证号", "性别", "姓名", "证件号", "备注"],
                ["1", "一", "138", "T1", "男", "李四", resident(3), "=1+1"],
            ]
        ),
        1,
    ),
    "csv, a line break in a remark": Case(
        text([[*HEADINGS, "备注"], [*candidate(1), "第一行\n第二行"], [*candidate(2), ""]]), 2, warned=[2]
    ),
    "csv, UTF-8 with two broken characters that GB 18030 makes something of": Case(
        lambda: (
            as_csv(
                [
                    ["name", "id_number", "admission_ticket", "site"],
                    *(["张三李四", *row[1:3], "考点"] for row in TABLE[1:]),
                ]
            )
            .encode()
            .replace("张三".encode(), "张三".encode()[:2] + "张三".encode()[4:], 1)
        ),
        3,
        warned=[1],
    ),
    "csv, a total at the end": Case(text([*TABLE, ["合计", "3人"], ["总计：3"]]), 3, warned=[5, 6]),
    "csv, a first column called PK": Case(text([["PK", *HEADINGS], ["1", *candidate(1)]]), 1),
    "csv, headers again on every page": Case(text([*TABLE[:2], TABLE[0], TABLE[2]]), 2),
    "csv, a title above": Case(
        text([["2026年第一次统考 考生名单"], ["考点", "第一考点", "考场", "301"], [], *TABLE]), 3
    ),
    "csv, spaces wherever fingers slip": Case(
        text(
            [
                ["姓 名", " 身份证号 ", "准考证号", "考点", "考场", "座位号"],
                [
                    "张\u3000三",
                    f" {resident(1)[:6]} {resident(1)[6:]} ",
                    "２０２６０００００１",
                    " 一考点 ",
                    "３０１",
                    "０１",
                ],
            ]
        ),
        1,
    ),
    "csv, no candidate's number, no seat": Case(
        text([["姓名", "证件号", "准考证号", "考点"], ["王五", "E12345678", "T-1", "一"]]), 1
    ),
    "csv, a name that only newer GB 18030 can write": Case(
        lambda: as_csv([TABLE[0], candidate(1, name="X")]).encode("gb18030").replace(b"X", b"\xfe\x59\xfe\x51"), 1
    ),
    "csv, only the header's case differs": Case(
        text([["NAME", "Id_Number", "Admission_Ticket", "SITE"], candidate(1)[:4]]), 1
    ),
}
BAD |= {
    "csv, an ID number as a spreadsheet rounds it": Case(
        text(
            [
                TABLE[0],
                candidate(1, id_number="1.10101E+17"),
                candidate(2, id_number="110101199003070000"),
                candidate(3),
            ]
        ),
        faults=[(2, "B", "id_number", "id_number.lost_digits"), (3, "B", "id_number", "id_number.lost_digits")],
    ),
    "csv, numbers as a program writes them": Case(
        text(
            [
                TABLE[0],
                candidate(1, id_number=resident(1)[:17] + "0.0"),
                candidate(2, admission_ticket="2026000002.0"),
                candidate(3, admission_ticket="2.026E+09", seat="1.0"),
            ]
        ),
        faults=[
            (2, "B", "id_number", "id_number.lost_digits"),
            (3, "C", "admission_ticket", "admission_ticket.lost_digits"),
            (4, "C", "admission_ticket", "admission_ticket.lost_digits"),
            (4, "F", "seat", "seat.shape"),
        ],
    ),
    "csv, a zero lost in front": Case(
        text(
            [
                TABLE[0],
                *(candidate(number, admission_ticket=f"0{number}234567") for number in range(3)),
                candidate(4, admission_ticket="4234567", seat="4"),
            ]
        ),
        faults=[(5, "C", "admission_ticket", "admission_ticket.lost_digits"), (5, "F", "seat", "seat.shape")],
    ),
    "csv, two columns for one field": Case(
        text(
            [
                ["姓名", "身份证号", "准考证号", "考点", "证件号码", "座位号"],
                ["张三", resident(1), "T1", "一", resident(1), "1"],
            ]
        ),
        faults=[(1, "E", "id_number", "column.duplicate"), (2, "F", "seat", "seat.shape")],
    ),
    "csv, a column is missing": Case(
        text([["姓名", "准考证号", "考点"], ["张三", "T1", "一"], ["", "T2", "一"]]),
        faults=[(1, "A", "id_number", "column.missing"), (3, "A", "name", "missing")],
    ),
    "csv, nobody in it": Case(text([TABLE[0], [], ["合计", "0"]]), faults=[(1, "A", None, "candidates.missing")]),
    "csv, no header": Case(text(candidates(2)), faults=[(1, "A", None, "header.missing")]),
    "csv, a quotation mark that is never closed": Case(
        lambda: (
            as_csv([[*HEADINGS, "备注"], [*candidate(1), ""]])
            + ",".join(candidate(2))
            + ',"备注\r\n'
            + as_csv([[*candidate(3), ""]])
        ).encode(),
        faults=[(3, "A", None, "quotation")],
    ),
    "csv, formulas": Case(
        text(
            [
                TABLE[0],
                candidate(1, name="=1+1", site="+一"),
                candidate(2, admission_ticket="@T", room="-1"),
                candidate(3, name='="=cmd"'),
            ]
        ),
        faults=[
            (2, "A", "name", "name.formula"),
            (2, "D", "site", "site.formula"),
            (3, "C", "admission_ticket", "admission_ticket.formula"),
            (3, "E", "room", "room.formula"),
            (4, "A", "name", "name.formula"),
        ],
    ),
    "csv, the same person by two spellings": Case(
        text([TABLE[0], candidate(1), candidate(2), candidate(3, id_number=resident(1)[:6] + resident(1)[8:17])]),
        faults=[(4, "B", "id_number", "id_number.duplicate")],
    ),
    "csv, seconds that are none": Case(
        text(
            [
                [*HEADINGS, "加时秒数"],
                [*candidate(1), "十分钟"],
                [*candidate(2), "-1"],
                [*candidate(3), "600.5"],
                [*candidate(4), "14401"],
                [*candidate(5), "６００"],
            ]
        ),
        faults=[(row, "G", "extra_time_s", "extra_time_s.range") for row in (2, 3, 4, 5)],
    ),
    "csv, what the encoding lost": Case(
        text([TABLE[0], candidate(1, name="张\ufffd"), candidate(2, name="王\x07五"), candidate(3, name="长" * 101)]),
        faults=[
            (2, "A", "name", "name.characters"),
            (3, "A", "name", "name.characters"),
            (4, "A", "name", "name.length"),
        ],
    ),
    "csv, a cell of a whole book": Case(
        text([TABLE[0], candidate(1, site="一" * 5000)]), faults=[(2, "D", "site", "site.length")]
    ),
}
