"""Rosters as spreadsheets really are, each with the answer it must get; and what is no roster at all."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Callable
from typing import Any

import xlwt

from tests.contract.nasty_texts import TABLE, Case
from tests.contract.workbooks import (
    HEADINGS,
    MAIN,
    RELATIONS,
    by_hand,
    candidate,
    candidates,
    inline,
    put,
    resident,
    sheet_of,
    with_openpyxl,
    with_xlsxwriter,
    with_xlwt,
)

GOOD: dict[str, Case] = {}
BAD: dict[str, Case] = {}


def sheet(rows: Any) -> Callable[[], bytes]:
    return lambda: sheet_of(rows)


def xlsx(fill: Callable[[Any], None]) -> Callable[[], bytes]:
    return lambda: with_xlsxwriter(fill)


# --- workbooks -------------------------------------------------------------------------------------------------
def titled(book: Any) -> None:
    page = book.add_worksheet("考生名单")
    page.merge_range("A1:F1", "2026年全国统考考生名单")
    page.merge_range("A2:F2", "主管单位：某省职业技能鉴定中心")
    put(page, TABLE, 3)


def two_row_header(book: Any) -> None:
    page = book.add_worksheet()
    for column, heading in enumerate(("准考证号", "考点", "考场", "座位号")):
        page.merge_range(0, column, 1, column, heading)
    page.merge_range("E1:F1", "考生信息")
    put(page, [[None, None, None, None, "姓名", "身份证号"]], 2)
    put(page, [[*row[2:], *row[:2]] for row in candidates(3)], 3)


def merged_places(book: Any) -> None:
    page = book.add_worksheet()
    put(page, [TABLE[0], *([*row[:3], None, None, row[5]] for row in candidates(4))])
    page.merge_range("D2:D10", "第一考点")  # further down than there are people
    page.merge_range("E2:E3", "301")
    page.merge_range("E4:E5", "302")


def filtered(book: Any) -> None:
    page = book.add_worksheet()
    put(page, TABLE)
    page.autofilter("A1:F4")
    page.filter_column("A", "x == 李四")
    page.set_row(1, None, None, {"hidden": True})
    page.set_row(3, None, None, {"hidden": True})


def beside_others(book: Any) -> None:
    hidden, note = book.add_worksheet("旧名单"), book.add_worksheet("填表说明")
    put(hidden, [TABLE[0], candidate(9, seat="x")])
    put(note, [["姓名、身份证号必填"], ["考点", "全称"]])
    page = book.add_worksheet("名单")
    put(page, TABLE)
    book.add_chart({"type": "column"})
    page.activate()
    page.set_first_sheet()
    hidden.hide()


def displayed(book: Any) -> None:
    page = book.add_worksheet()
    two, ticket, room = (book.add_format({"num_format": code}) for code in ("00", "0000000000", '0"考场"'))
    put(page, [TABLE[0]])
    for row in (1, 2, 3):
        put(page, [["张三", resident(row)]], row + 1)
        page.write_number(row, 2, 26000 + row, ticket)
        page.write_string(row, 3, "一")
        page.write_number(row, 4, 301, room)
        page.write_number(row, 5, row, two)


def formulas(book: Any) -> None:
    page = book.add_worksheet()
    put(page, [TABLE[0], candidate(1)])
    page.write_formula("A2", '="张"&"三"', None, "张三")
    page.write_formula("F2", '=TEXT(1,"00")', None, "01")


def rich(book: Any) -> None:
    page = book.add_worksheet()
    put(page, [[*TABLE[0], "加时秒数"], candidate(1)])
    bold = book.add_format({"bold": True})
    page.write_rich_string("A2", bold, "阿里", "•", bold, "买买提")
    page.write_number("G2", 600, book.add_format({"num_format": "#,##0"}))


def rows_with(number: int) -> str:
    return inline([list(HEADINGS)]) + inline([candidate(number)], 2)


READING = (
    f'<row r="1">{"".join(f"""<c t="s"><v>{place}</v></c>""" for place in range(4))}</row>'
    f'<row r="2">{"".join(f"""<c t="s"><v>{place}</v></c>""" for place in range(4, 8))}</row>'
)
READING_TEXTS = "".join(f"<si><t>{text}</t></si>" for text in HEADINGS[:4]) + (
    '<si><r><t>吉</t></r><r><t xml:space="preserve">_xD842__xDFB7_</t></r><rPh sb="0" eb="1"><t>キチ</t></rPh></si>'
    f"<si><t>{resident(1)}</t></si><si><t>T1</t></si><si><t>一_x0020_考点</t></si>"
)

GOOD |= {
    "xlsx, as xlsxwriter makes it": Case(sheet(TABLE), 3),
    "xlsx, as openpyxl makes it": Case(lambda: with_openpyxl(lambda page: [page.append(row) for row in TABLE]), 3),
    "xlsx, called CSV": Case(sheet(TABLE), 3, content_type="text/csv; charset=gbk"),
    "xlsx, merged titles": Case(xlsx(titled), 3),
    "xlsx, a header in two rows": Case(xlsx(two_row_header), 3),
    "xlsx, merged sites and rooms": Case(xlsx(merged_places), 4),
    "xlsx, rows hidden by a filter": Case(xlsx(filtered), 3, warned=[2, 4]),
    "xlsx, beside a hidden list and instructions": Case(xlsx(beside_others), 3),
    "xlsx, numbers shown with their zeros": Case(xlsx(displayed), 3),
    "xlsx, formulas with their texts": Case(xlsx(formulas), 1),
    "xlsx, rich text and thousands": Case(xlsx(rich), 1),
    "xlsx, readings above the name, escapes": Case(lambda: by_hand(READING, strings=READING_TEXTS), 1),
    "xlsx, the strict variant": Case(lambda: strict(by_hand(READING, strings=READING_TEXTS)), 1),
    "xlsx, cells that do not say where they are": Case(lambda: by_hand(rows_with(1)), 1),
    "xlsx, serial numbers far below the last candidate": Case(
        sheet(
            [
                ["序号", *HEADINGS],
                *([str(number), *candidate(number)] for number in range(2)),
                *([str(number)] for number in range(2, 50)),
            ]
        ),
        2,
    ),
    "xlsx, a total row with a number": Case(sheet([*TABLE, ["合计：", 3], [None, "合 计", 3]]), 3, warned=[5, 6]),
    "xlsx, an eight-digit document as a number": Case(sheet([TABLE[0], ["王五", 12345678, "T1", "一", "1", "01"]]), 1),
    "xls, as xlwt makes it": Case(lambda: with_xlwt(lambda book: old(book, TABLE)), 3),
    "xls, called XLSX": Case(
        lambda: with_xlwt(lambda book: old(book, TABLE)),
        3,
        content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    "xls, merged, hidden and shown with zeros": Case(lambda: with_xlwt(old_habits), 3, warned=[4]),
}


def strict(book: bytes) -> bytes:
    """The same under the names of ISO/IEC 29500 Strict."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as given, zipfile.ZipFile(written, "w") as made:
        for name in given.namelist():
            text = given.read(name).replace(MAIN[7:-1].encode(), b"http://purl.oclc.org/ooxml/spreadsheetml/main")
            relations = b"http://purl.oclc.org/ooxml/officeDocument/relationships"
            made.writestr(name, text.replace(RELATIONS.encode(), relations))
    return written.getvalue()


def old(book: Any, rows: Any, name: str = "考生名单") -> Any:
    page = book.add_sheet(name)
    for row, cells in enumerate(rows):
        for column, value in enumerate(cells):
            if value is not None:
                page.write(row, column, value)
    return page


def old_habits(book: Any) -> None:
    page = old(book, [["名单"], TABLE[0], *([*row[:3], None, "301", None] for row in candidates(3))])
    page.write_merge(2, 4, 3, 3, "第一考点")
    two = xlwt.easyxf(num_format_str="00")
    for row in (2, 3, 4):
        page.write(row, 5, row, two)
    page.row(3).hidden = True
    old(book, [TABLE[0], candidate(8)], "旧").visibility = 1


def rounded(book: Any) -> None:
    page = book.add_worksheet()
    whole = book.add_format({"num_format": "0"})
    put(page, [TABLE[0], *candidates(4)])
    page.write_number("B2", 110101199003070134, whole)
    page.write_number("B3", 110101900307013)  # fifteen digits are all there, and shown as 1.10102E+14
    page.write_number("B4", 110101900307013, whole)
    page.write_number("C5", 2026000003000)


def broken_cells(book: Any) -> None:
    page = book.add_worksheet()
    put(page, [TABLE[0], *candidates(4)])
    page.write_formula("A2", "=VLOOKUP(1,B:C,2,0)", None, "#N/A")
    page.write_datetime("E3", datetime.datetime(2026, 3, 1), book.add_format({"num_format": 'm"月"d"日"'}))
    page.write_boolean("A4", True)
    page.write_number("F5", 4)
    page.write_number("D5", 0.5, book.add_format({"num_format": "# ?/?"}))


def lost_zero(book: Any) -> None:
    page = book.add_worksheet()
    put(page, [TABLE[0], *(candidate(number, admission_ticket=f"0{number}26") for number in range(4))])
    page.write_number("C4", 226)


def two_lists(book: Any) -> None:
    put(book.add_worksheet("上午"), TABLE)
    put(book.add_worksheet("下午"), [["考试名单"], *TABLE], 2)


BAD |= {
    "xlsx, ID numbers and tickets as numbers": Case(
        xlsx(rounded),
        faults=[
            (2, "B", "id_number", "id_number.lost_digits"),
            (3, "B", "id_number", "id_number.lost_digits"),
            (5, "C", "admission_ticket", "admission_ticket.lost_digits"),
        ],
    ),
    "xlsx, cells that hold no text": Case(
        xlsx(broken_cells),
        faults=[
            (2, "A", "name", "name.error"),
            (3, "E", "room", "room.date"),
            (4, "A", "name", "name.type"),
            (5, "D", "site", "site.number"),
            (5, "F", "seat", "seat.shape"),
        ],
    ),
    "xlsx, formulas that were never computed": Case(
        lambda: with_openpyxl(
            lambda page: [
                page.append(row) for row in (TABLE[0], candidate(1, name='="张"&"三"'), candidate(2, seat="=ROW()"))
            ]
        ),
        faults=[(2, "A", "name", "name.formula"), (3, "F", "seat", "seat.formula")],
    ),
    "xlsx, a ticket that lost its zero": Case(
        xlsx(lost_zero), faults=[(4, "C", "admission_ticket", "admission_ticket.lost_digits")]
    ),
    "xlsx, two lists": Case(xlsx(two_lists), faults=[(1, "A", None, "sheets.several")]),
    "xlsx, text that looks like a formula": Case(
        sheet([TABLE[0], candidate(1, name="=1+1"), candidate(2, name='="0123"')]),
        faults=[(2, "A", "name", "name.formula"), (3, "A", "name", "name.formula")],
    ),
    "xlsx, nothing at all": Case(sheet([]), faults=[(1, "A", None, "header.missing")]),
    "xlsx, only instructions": Case(sheet([["请填写"], ["谢谢"]]), faults=[(1, "A", None, "header.missing")]),
    "xlsx, a merged seat": Case(
        xlsx(
            lambda book: (
                book.add_worksheet().merge_range("F2:F3", "01")
                or put(book.worksheets()[0], [TABLE[0], *(row[:5] for row in candidates(2))])
            )
        ),
        faults=[(3, "F", "seat", "seat.duplicate")],
    ),
    "xls, an ID number as a number": Case(
        lambda: with_xlwt(lambda book: old(book, [TABLE[0], ["张三", 110101199003070134, "T1", "一", "1", "01"]])),
        faults=[(2, "B", "id_number", "id_number.lost_digits")],
    ),
    "xls, two lists": Case(
        lambda: with_xlwt(lambda book: (old(book, TABLE, "一"), old(book, TABLE, "二"))),
        faults=[(1, "A", None, "sheets.several")],
    ),
}

# --- what is no roster -----------------------------------------------------------------------------------------
NO_ROSTER: dict[str, Callable[[], bytes]] = {
    "a page of HTML called xls": lambda: "<html><body><table><tr><td>姓名</td></tr></table></body></html>".encode(),
    "a workbook of XML called xls": lambda: (
        b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>'
    ),
    "a PDF": lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj<<>>endobj",
    "a picture": lambda: b"\x89PNG\r\n\x1a\n" + bytes(100),
    "prose": lambda: "这不是名单".encode(),
    "a container of something else": lambda: by_hand("", more={"word/document.xml": b"<w/>"}).replace(
        b"workbook.xml", b"workbooK.xxx"
    ),
    "half a workbook": lambda: sheet_of(TABLE)[:-200],
    "a workbook with a document type": lambda: by_hand(
        rows_with(1), doctype='<!DOCTYPE worksheet [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    ),
    "a workbook with a billion laughs": lambda: by_hand(
        rows_with(1).replace("张三", "&b;"), doctype='<!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    ),
    "a workbook whose XML ends too early": lambda: by_hand("<row><c>"),
    "a workbook that refers to texts it has not": lambda: by_hand('<row r="1"><c t="s"><v>7</v></c></row>'),
    "a workbook with a cell in another row": lambda: by_hand('<row r="1"><c r="A2" t="str"><v>x</v></c></row>'),
    "a workbook with a row beyond the last": lambda: by_hand('<row r="9999999"><c t="str"><v>x</v></c></row>'),
    "a workbook with a column beyond the last": lambda: by_hand('<row r="1"><c r="XFE1" t="str"><v>x</v></c></row>'),
    "an old workbook cut in half": lambda: with_xlwt(lambda book: old(book, TABLE))[:3000],
    "a workbook behind a password": lambda: (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
    ),
    "text that is neither UTF-8 nor GB 18030": lambda: "姓名,身份证号\n".encode() + b"\xff\xff\xff,1\n",
}
TOO_LARGE: dict[str, Callable[[], bytes]] = {
    "a bomb": lambda: by_hand("", more={f"xl/media/{number}.bin": bytes(64 * 2**20) for number in range(5)}),
    "more parts than any workbook has": lambda: by_hand("", more={f"x/{number}": b"" for number in range(10_001)}),
}
