"""Names of sheets: as spreadsheets count and take them, each once in a workbook."""

from __future__ import annotations

import io
import zipfile
from xml.etree import ElementTree

import pytest
import xlsxwriter

from engine.tables.sheet_name import sheet_name


def units(name: str) -> int:
    """Its length as spreadsheets count it."""
    return len(name.encode("utf-16-le")) // 2


@pytest.mark.parametrize(
    ("wished", "name"),
    [
        ("第一考点 101", "第一考点 101"),
        ("[A]:*?/\\'B", "AB"),
        (" \ufffe\uffff ", "名单"),
        ("考" * 40, "考" * 31),
        ("𠮷" * 40, "𠮷" * 15),
        ("a" * 30 + "𠮷", "a" * 30),
        ("a" * 29 + "𠮷b", "a" * 29 + "𠮷"),
    ],
)
def test_a_name_is_cut_to_what_a_spreadsheet_opens(wished: str, name: str) -> None:
    """31 units of UTF-16: with one more, or with half a character, a spreadsheet calls the file damaged."""
    found = sheet_name(wished, set(), without="名单")

    assert found == name
    assert units(found) <= 31


def test_long_names_that_begin_alike_stay_apart() -> None:
    """The number behind them is within the bound, too."""
    taken: set[str] = set()
    names = [sheet_name("𠮷" * 30 + str(number), taken, without="-") for number in range(12)]

    assert len({name.casefold() for name in names}) == 12
    assert all(units(name) <= 31 for name in names)
    assert names[:2] == ["𠮷" * 15, "𠮷" * 13 + " (2)"]


def test_whatever_a_room_is_called_its_workbook_is_well_formed() -> None:
    """Every character of the BMP that a text can hold at all."""
    content = io.BytesIO()
    taken: set[str] = set()
    with xlsxwriter.Workbook(content) as workbook:
        for first in (*range(0x20, 0xD800, 0x400), *range(0xE000, 0x10000, 0x400), 0xFFFC):
            workbook.add_worksheet(sheet_name("".join(map(chr, range(first, first + 4))), taken, without="-"))

    with zipfile.ZipFile(content) as members:
        ElementTree.fromstring(members.read("xl/workbook.xml"))
