"""Tables as people make them: by the libraries that exporters use, and by hand where those are too good."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import openpyxl
import xlsxwriter
import xlwt

from tests.contract import outsider as out

HEADINGS = ("姓名", "身份证号", "准考证号", "考点", "考场", "座位号")
MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def resident(number: int) -> str:
    """A valid number of the same person each time; whose check character is whatever it is."""
    body = f"110101{1960 + number // 300 % 40}{number // 25 % 12 + 1:02}{number % 25 + 1:02}{number % 900 + 1:03}"
    return body + out.check_character(body)


def candidate(number: int, **changes: str) -> list[str]:
    """One valid row under HEADINGS; `changes` by the English names of fields."""
    row = {
        "name": "张三",
        "id_number": resident(number),
        "admission_ticket": f"2026{number:06}",
        "site": "第一考点",
        "room": "301",
        "seat": f"{number + 1:02}",
    }
    return list({**row, **changes}.values())


def candidates(count: int) -> list[list[str]]:
    return [candidate(number) for number in range(count)]


def as_csv(rows: Sequence[Sequence[str]], *, delimiter: str = ",", line_end: str = "\r\n") -> str:
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, lineterminator=line_end).writerows(rows)
    return written.getvalue()


def with_xlsxwriter(fill: Callable[[Any], None]) -> bytes:
    written = io.BytesIO()
    with xlsxwriter.Workbook(written, {"in_memory": True}) as book:
        fill(book)
    return written.getvalue()


def sheet_of(rows: Sequence[Sequence[Any]], name: str = "考生名单") -> bytes:
    """The plainest workbook: texts as texts, numbers as numbers, None as nothing."""

    def fill(book: Any) -> None:
        put(book.add_worksheet(name), rows)

    return with_xlsxwriter(fill)


def put(page: Any, rows: Sequence[Sequence[Any]], first_row: int = 1) -> None:
    """Rows into a sheet of xlsxwriter, counted from 1."""
    for row, cells in enumerate(rows, start=first_row - 1):
        for column, value in enumerate(cells):
            if isinstance(value, str):
                page.write_string(row, column, value)
            elif value is not None:
                page.write(row, column, value)


def with_openpyxl(fill: Callable[[Any], None]) -> bytes:
    book = openpyxl.Workbook()
    fill(book.active)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def with_xlwt(fill: Callable[[Any], None]) -> bytes:
    book = xlwt.Workbook(encoding="utf-8")
    fill(book)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def old_sheet_of(rows: Sequence[Sequence[Any]], name: str = "考生名单") -> bytes:
    """The same as XLS."""

    def fill(book: Any) -> None:
        page = book.add_sheet(name)
        for row, cells in enumerate(rows):
            for column, value in enumerate(cells):
                page.write(row, column, value)

    return with_xlwt(fill)


def by_hand(
    rows: str,
    *,
    after: str = "",
    strings: str = "",
    styles: str = "",
    doctype: str = "",
    more: dict[str, bytes] | None = None,
) -> bytes:
    """A workbook of XML as it is given: `rows` into sheetData, `after` behind it, `strings` into the shared ones."""
    parts = {
        "_rels/.rels": _relations(("R1", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{RELATIONS}"><sheets>'
        '<sheet name="Sheet1" sheetId="1" r:id="R1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _relations(
            ("R1", "worksheet", "worksheets/sheet1.xml"),
            ("R2", "sharedStrings", "sharedStrings.xml"),
            ("R3", "styles", "styles.xml"),
        ),
        "xl/worksheets/sheet1.xml": f"{doctype}<worksheet {MAIN}><sheetData>{rows}</sheetData>{after}</worksheet>",
        "xl/sharedStrings.xml": f"<sst {MAIN}>{strings}</sst>",
        "xl/styles.xml": f"<styleSheet {MAIN}>{styles}</styleSheet>",
    }
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as container:
        for name, text in parts.items():
            container.writestr(name, text)
        for name, content in (more or {}).items():
            container.writestr(name, content)
    return written.getvalue()


def _relations(*relations: tuple[str, str, str]) -> str:
    entries = (
        f'<Relationship Id="{name}" Type="{RELATIONS}/{kind}" Target="{path}"/>' for name, kind, path in relations
    )
    return f'<Relationships xmlns="{_PACKAGE}">{"".join(entries)}</Relationships>'


def inline(rows: Sequence[Sequence[str]], first_row: int = 1) -> str:
    """Rows with their texts in the cells themselves, for `by_hand`."""
    written = []
    for number, cells in enumerate(rows, start=first_row):
        texts = "".join(f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in cells)
        written.append(f'<row r="{number}">{texts}</row>')
    return "".join(written)
