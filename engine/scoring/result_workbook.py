"""Makes one workbook of results, in a process of its own: a hundred thousand rows take a core for half a minute.

Standard input: the sections as a JSON list, then one result document per line. What is text stays text (an admission
ticket is no number, nothing is a formula or a link); rows go to a temporary file as they come, so that memory does not
grow with them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson
import xlsxwriter

from engine.rules.result_table import Cell, cells, header

_NICE = 10  # whatever else runs on the machine comes first
_WIDTH = 22  # characters: an ID, a ticket
_WIDTH_DIGEST = 14


def main(folder: str) -> None:
    """Write `results.xlsx` into `folder`, where its temporary files go, too."""
    os.nice(_NICE)
    lines = iter(sys.stdin.buffer)
    sections = orjson.loads(next(lines))
    write(Path(folder), sections, (orjson.loads(line) for line in lines))


def write(folder: Path, sections: Sequence[str], results: Iterable[dict[str, object]]) -> None:
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "tmpdir": str(folder),
    }
    with xlsxwriter.Workbook(str(folder / "results.xlsx"), options) as workbook:
        sheet = workbook.add_worksheet("results")
        text = workbook.add_format({"num_format": "@"})  # what is typed over a ticket later stays text as well
        names = header(sections)
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, 2, _WIDTH)
        sheet.set_column(3, len(names) - 1, _WIDTH_DIGEST)
        for column, name in enumerate(names):
            sheet.write_string(0, column, name)
        for row, result in enumerate(results, start=1):
            for column, cell in enumerate(cells(result, sections)):
                _write(sheet, row, column, cell, text)


def _write(sheet: xlsxwriter.worksheet.Worksheet, row: int, column: int, cell: Cell, text: object) -> None:
    if isinstance(cell, bool):
        sheet.write_boolean(row, column, cell)
    elif isinstance(cell, int | float):
        sheet.write_number(row, column, cell)
    elif cell is not None:
        sheet.write_string(row, column, cell, text)
