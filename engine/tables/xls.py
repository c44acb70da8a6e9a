"""Reads XLS workbooks (BIFF, until 2003). The library is trusted with nothing: it runs where memory and time are bound.

A formula's outcome is all that such a workbook tells of it here, so a number that a formula made is a number.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import xlrd
from xlrd import biffh

from engine.rules.limits import ROSTER_HEADER_ROWS_MAX, TABLE_CELLS_MAX
from engine.rules.number_format import GENERAL
from engine.rules.sheet import Cell, CellKind, Merge, Sheet, Value
from engine.tables.refusal import not_a_roster, too_large
from engine.tables.xlsx_sheet import number_cell

_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_WIDTH_UNITS = 256  # of a column: parts of a character


def read_xls(body: bytes, has_header: Callable[[Sheet], bool]) -> list[Sheet]:
    """The visible sheets. Raises Refused `roster.file_format` for what is no workbook, or behind a password."""
    if _ENCRYPTED in body:
        raise not_a_roster("a workbook behind a password: save it without")
    try:
        book = xlrd.open_workbook(file_contents=body, formatting_info=True, logfile=io.StringIO(), ragged_rows=True)
        sheets = []
        cells_left = TABLE_CELLS_MAX
        for sheet in book.sheets():
            if sheet.visibility == 0:
                sheets.append(_read(book, sheet, has_header))
                cells_left -= sum(map(len, sheets[-1].rows.values()))
    except MemoryError:
        raise
    except Exception as fault:  # whatever a broken file makes of the library
        if "ncrypt" in str(fault):
            raise not_a_roster("a workbook behind a password: save it without") from None
        raise not_a_roster(
            f"an XLS workbook that cannot be read ({type(fault).__name__}: {str(fault)[:100]})"
        ) from None
    if cells_left < 0:
        raise too_large(f"has more than {TABLE_CELLS_MAX} cells")
    return sheets


def _read(book: Any, sheet: Any, has_header: Callable[[Sheet], bool]) -> Sheet:
    read = Sheet(sheet.name)
    for row in range(sheet.nrows):
        cells = {}
        for column in range(sheet.row_len(row)):
            value = _value(book, sheet, row, column)
            if value is not None and value != "":
                cells[column + 1] = value
        if cells:
            read.rows[row + 1] = cells
            if len(read.rows) == ROSTER_HEADER_ROWS_MAX and not has_header(read):
                break
    read.merges = [
        Merge(first_row + 1, last_row, first_column + 1, last_column)
        for first_row, last_row, first_column, last_column in sheet.merged_cells
    ]
    read.hidden_rows = {row + 1 for row, how in sheet.rowinfo_map.items() if how.hidden}
    read.widths = {column + 1: how.width / _WIDTH_UNITS for column, how in sheet.colinfo_map.items()}
    return read


def _value(book: Any, sheet: Any, row: int, column: int) -> Value | None:
    kind = sheet.cell_type(row, column)
    value = sheet.cell_value(row, column)
    if kind == xlrd.XL_CELL_TEXT:
        return str(value)
    if kind in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE):
        return number_cell(value, _format(book, sheet.cell_xf_index(row, column)))
    if kind == xlrd.XL_CELL_BOOLEAN:
        return Cell(CellKind.BOOLEAN, "TRUE" if value else "FALSE", float(value))
    if kind == xlrd.XL_CELL_ERROR:
        return Cell(CellKind.ERROR, biffh.error_text_from_code.get(value, "#ERROR"))
    return None


def _format(book: Any, style: int) -> str:
    found = book.format_map.get(book.xf_list[style].format_key) if style < len(book.xf_list) else None
    return found.format_str if found else GENERAL
