"""Rosters as tables, by their properties: every format says the same, and no bytes do harm."""

from __future__ import annotations

import datetime
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules import roster_table
from engine.rules.errors import Invalid, Refused
from engine.rules.limits import FAULTS_LISTED_MAX
from engine.rules.roster_header import fold_header
from engine.rules.rostering import check_rows
from engine.scheduling.roster_decoding import decode_roster, marked_workbook
from tests.contract import nasty_texts, nasty_workbooks
from tests.contract.workbooks import (
    HEADINGS,
    as_csv,
    by_hand,
    candidate,
    candidates,
    old_sheet_of,
    put,
    sheet_of,
    with_xlsxwriter,
)
from tests.unit.roster_entries import read_roster

TODAY = datetime.date(2026, 3, 1)
FIELDS = ("name", "id_number", "admission_ticket", "site", "room", "seat")
# What a clerk can type: no line breaks, and nothing that XML cannot hold.
TYPED = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="\ufffe\uffff"), min_size=1, max_size=12
)
ROWS = st.lists(st.tuples(*(TYPED for _ in FIELDS)), min_size=1, max_size=4)
Written = Callable[[list[list[str]]], bytes]
WRITTEN: dict[str, Written] = {
    "csv": lambda rows: as_csv(rows).encode("utf-8-sig"),
    "tabs": lambda rows: as_csv(rows, delimiter="\t", line_end="\n").encode("utf-16"),
    "semicolons": lambda rows: as_csv(rows, delimiter=";", line_end="\r").encode("utf-8-sig"),
    "xlsx": sheet_of,
    "xls": old_sheet_of,
}


def outcome(body: bytes) -> Any:
    """The candidates, or every fault as (row of the candidate, field, code)."""
    try:
        return read_roster(body, "", TODAY)
    except Invalid as invalid:
        return [(fault["pointer"], fault["code"]) for fault in invalid.faults]
    except Refused as refused:
        return refused.code


def is_plain(text: str) -> bool:
    """Not what tables read otherwise than JSON on purpose."""
    folded = text.strip()
    return (
        not folded.startswith(("=", "合计", "总计", "共计", "小计"))
        and folded.lower() != "total"
        and text[0] != "\ufeff"
    )


@settings(deadline=None, max_examples=60)
@given(ROWS.filter(lambda rows: all(is_plain(cell) and cell.strip("\u3000 \u200b") for row in rows for cell in row)))
def test_every_format_says_the_same(rows: list[tuple[str, ...]]) -> None:
    """The same people and the same faults, whichever way they are written down."""
    table = [list(HEADINGS), *map(list, rows)]
    found = {name: outcome(write(table)) for name, write in WRITTEN.items()}

    assert all(each == found["csv"] for each in found.values()), found


@pytest.mark.parametrize("name", WRITTEN)
def test_a_table_says_what_json_says(name: str) -> None:
    """Candidate by candidate, rare characters included."""
    rows = [candidate(0, name="\U00020bb7 野"), candidate(1, name="阿里•买买提", seat="备用1"), *candidates(9)[2:]]
    entries = [dict(zip(FIELDS, row, strict=True)) for row in rows]

    assert read_roster(WRITTEN[name]([list(HEADINGS), *rows]), "", TODAY) == read_roster(
        json.dumps(entries).encode(), "", TODAY
    )


CASES = {**nasty_texts.BAD, **nasty_workbooks.BAD}


@pytest.mark.parametrize("name", [name for name in CASES if "lists" not in name and "quotation" not in name])
def test_a_marked_sheet_sent_again_has_the_same_faults(name: str) -> None:
    """In the same places: marking hides nothing and mends nothing."""
    sent = decode_roster(CASES[name].body(), "")
    first = _invalid(sent.decoded)
    again = _invalid(decode_roster(marked_workbook(sent, first), "").decoded)

    places = [(fault["row"], fault["column"], fault["field"]) for fault in again.faults]
    assert places == [(fault["row"], fault["column"], fault["field"]) for fault in first.faults]


def test_a_sheet_that_is_still_faulty_tells_only_what_is_so_now() -> None:
    """What was mended since is not called faulty any more, and no second column of faults stands beside the first."""
    rows = [list(candidate(number)) for number in range(3)]
    rows[0][FIELDS.index("seat")], rows[2][FIELDS.index("id_number")] = "1", "x"
    sent = decode_roster(with_xlsxwriter(lambda book: put(book.add_worksheet("名单"), [HEADINGS, *rows])), "")
    page = openpyxl.load_workbook(io.BytesIO(marked_workbook(sent, _invalid(sent.decoded)))).active
    mended = io.BytesIO()
    page.cell(2, FIELDS.index("seat") + 1).value = "01"
    page.parent.save(mended)

    again = decode_roster(mended.getvalue(), "")
    shown = openpyxl.load_workbook(io.BytesIO(marked_workbook(again, _invalid(again.decoded)))).active

    told = [cell.value for cell in list(shown.columns)[len(FIELDS)]]
    assert (shown.max_column, page.max_column) == (len(FIELDS) + 1, len(FIELDS) + 1)
    assert [bool(text) for text in told] == [True, False, False, True]
    assert told[3].startswith("id_number: ")


@pytest.mark.parametrize("names", [("名单", "二" * 31), ("名单 2", "名单"), ("List 2", "list"), ("Sheet1", "Sheet2")])
def test_several_lists_come_back_marked_whatever_their_sheets_are_called(names: tuple[str, str]) -> None:
    """A name as long as may be, and one that another becomes with a number behind it."""

    def fill(book: Any) -> None:
        for name in names:
            put(book.add_worksheet(name), [HEADINGS, candidate(1)])

    sent = decode_roster(with_xlsxwriter(fill), "")
    marked = openpyxl.load_workbook(io.BytesIO(marked_workbook(sent, _invalid(sent.decoded))))

    assert (marked.sheetnames, [page.max_row for page in marked]) == (list(names), [2, 2])


def _invalid(decoded: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        check_rows(decoded.rows, TODAY, unread=decoded.unread)
    return caught.value


SEEDS = {
    "csv": as_csv([HEADINGS, *candidates(2)]).encode(),
    "xlsx": by_hand('<row r="1"><c t="s"><v>0</v></c></row>', strings="<si><t>姓名</t></si>", styles="<cellXfs/>"),
    "xls": old_sheet_of([list(HEADINGS), *candidates(1)]),
}


@pytest.mark.parametrize("name", SEEDS)
@settings(deadline=None, max_examples=150)
@given(place=st.integers(0, 2**16), changed=st.binary(min_size=1, max_size=8))
def test_no_damage_does_more_than_a_refusal(name: str, place: int, changed: bytes) -> None:
    """A file that was damaged on its way is refused, or still read."""
    seed = SEEDS[name]
    place %= len(seed)

    assert outcome(seed[:place] + changed + seed[place + len(changed) :]) is not None


@settings(deadline=None, max_examples=150)
@given(st.text("<>/=\"' cvrstfi01_xA&;!-[]", max_size=80))
def test_no_xml_does_more_than_a_refusal(xml: str) -> None:
    """Whatever a sheet is made of."""
    assert outcome(by_hand(xml)) is not None


def test_more_rows_than_a_roster_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blank ones and totals are none."""
    monkeypatch.setattr(roster_table, "ROSTER_ROWS_MAX", 2)
    rows = [HEADINGS, candidate(1), [""], ["合计"], candidate(2)]
    assert len(read_roster(as_csv(rows).encode(), "", TODAY)) == 2

    with pytest.raises(Refused) as caught:
        read_roster(as_csv([*rows, candidate(3)]).encode(), "", TODAY)
    assert caught.value.code == "request.too_large"


def test_hidden_rows_beyond_what_is_listed_are_counted() -> None:
    """The answer to a filtered list of a whole province stays small."""
    rows = "".join(f'<row r="{number}" hidden="1"><c t="str"><v>x</v></c></row>' for number in range(2, 1_503))
    head = '<row r="1"><c t="str"><v>姓名</v></c><c t="str"><v>考点</v></c></row>'
    warnings = decode_roster(by_hand(head + rows), "").decoded.warnings

    assert len(warnings) == FAULTS_LISTED_MAX + 1
    assert "501 more" in warnings[-1]["message"]


def test_a_formula_that_came_to_nothing_is_an_empty_cell() -> None:
    """Templates fill formulas down far below the last candidate; one that was never computed is another thing."""
    head = "".join(f'<c t="str"><v>{heading}</v></c>' for heading in HEADINGS[:4])
    good = "".join(f'<c t="str"><f>A1</f><v>{text}</v></c>' for text in candidate(1)[:4])
    nothing = '<c t="str"><f>IF(A9="","",A9)</f><v></v></c>' * 4
    body = by_hand(f'<row r="1">{head}</row><row r="2">{good}</row><row r="3">{nothing}</row>')

    assert len(read_roster(body, "", TODAY)) == 1


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("姓 名", "姓名"),
        ("*身份证\n号码（必填）", "身份证号码"),
        ("准考证号【12位】[必填]", "准考证号"),
        ("ＮＡＭＥ", "name"),
        ("考点((全称))", "考点"),
        ("姓名（", "姓名("),
        ("x" * 500, ""),
    ],
)
def test_headers_are_folded(written: str, folded: str) -> None:
    """Width, case, white space, stars and bracketed hints."""
    assert fold_header(written) == folded


def test_parts_of_a_container_are_found_however_they_are_spelt() -> None:
    """Some exporters write backslashes, some other cases."""
    body = by_hand("".join(f'<row><c t="str"><v>{text}</v></c></row>' for text in "ab"))
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as old, zipfile.ZipFile(written, "w") as new:
        for name in old.namelist():
            new.writestr(name.replace("/", "\\").replace("sheet1", "Sheet1"), old.read(name))

    assert outcome(written.getvalue()) == [("", "header.missing")]
