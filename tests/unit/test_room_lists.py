"""A room's lists: complete, by seat, masked where they hang in public; as a page and as a workbook of plain text."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from html.parser import HTMLParser
from typing import Any

import openpyxl
import pytest

from engine.rules.room_lists import DOOR, LABELS, SIGN_IN, TITLES, heading_of, room_lists
from engine.rules.terms import Batch, Rules
from engine.tables.room_page import CONTENT_SECURITY_POLICY, page
from engine.tables.room_workbook import workbook

ID_NUMBER = "500101199003070011"
HEADING = heading_of(
    Batch(
        batch_id="B",
        title="2026年11月联考",
        occupation="劳动关系协调师",
        level=3,
        subject="theory",
        kind="formal",
        paper_id="P",
        admission_code="LDGX3",
        starts_ms=1_795_222_800_000,
        duration_s=5400,
        rules=Rules(),
    )
)


def sitting(seat: str = "01", **members: Any) -> dict[str, Any]:
    place = {"site": "第一考点", "room": "101", "seat": seat}
    person = {"name": "张三", "id_number": ID_NUMBER, "admission_ticket": "0012026" + seat[-2:], "extra_time_s": 0}
    return {**place, **person, **members}


class Text(HTMLParser):
    """The words of a page, and its tags."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def shown(kind: str, *sittings: dict[str, Any]) -> Text:
    return Text(page(kind, HEADING, *room_lists(kind, sittings)))


def sheets(kind: str, *sittings: dict[str, Any]) -> Any:
    return openpyxl.load_workbook(io.BytesIO(workbook(kind, HEADING, *room_lists(kind, sittings))))


def test_the_exam_is_told_in_words_and_in_chinas_time() -> None:
    """The heading of every list, wherever the server stands."""
    assert (HEADING.exam, HEADING.time) == (
        "劳动关系协调师（3级/高级工）理论知识",
        "2026年11月21日（星期六） 09:00—10:30",
    )


def test_a_room_is_listed_by_seat_with_spares_last() -> None:
    """As numbers, whatever zeros they are written with."""
    found, unseated = room_lists(DOOR, [sitting(seat) for seat in ("备用10", "备用2", "100", "09", "010", "01")])

    assert unseated == []
    assert [entry.seat for entry in found[0].entries] == ["01", "09", "010", "100", "备用2", "备用10"]


def test_each_room_of_each_site_has_its_own_list() -> None:
    """Two sites may have a room 101."""
    found, _ = room_lists(DOOR, [sitting(), sitting(site="第二考点"), sitting(room="102"), sitting("02")])

    assert [(each.site, each.room, len(each.entries)) for each in found] == [
        ("第一考点", "101", 2),
        ("第一考点", "102", 1),
        ("第二考点", "101", 1),
    ]


@pytest.mark.parametrize("kind", [DOOR, LABELS])
def test_id_numbers_are_masked_where_anybody_reads_them(kind: str) -> None:
    """In the page and in the workbook."""
    document = page(kind, HEADING, *room_lists(kind, [sitting()]))
    values = [cell.value for sheet in sheets(kind, sitting()) for row in sheet.iter_rows() for cell in row]

    assert ID_NUMBER not in document and "**************0011" in document
    assert ID_NUMBER not in values and "**************0011" in values


def test_the_sign_in_sheet_has_whole_numbers_room_to_sign_and_extra_time() -> None:
    """A proctor compares the number with the document."""
    words = shown(SIGN_IN, sitting(extra_time_s=600), sitting("02", extra_time_s=45)).words
    rows = list(sheets(SIGN_IN, sitting(extra_time_s=600)).worksheets[0].values)

    assert {ID_NUMBER, "考生签名", "加时10分钟", "加时45秒", "应到：2 人"} <= set(words)
    assert rows[2] == ("座位号", "姓名", "准考证号", "证件号码", "考生签名", "备注")
    assert rows[3] == ("01", "张三", "001202601", ID_NUMBER, "", "加时10分钟")


@pytest.mark.parametrize("kind", TITLES)
def test_who_has_no_seat_is_named_first_and_on_no_rooms_list(kind: str) -> None:
    """A list that lacks somebody must say so."""
    sittings = [sitting(), sitting(seat="", name="无座"), sitting(room="", name="无考场")]

    words = shown(kind, *sittings).words
    book = sheets(kind, *sittings)

    assert "尚未编排座位" in words and words.index("无座") < words.index("张三")
    assert book.sheetnames[0] == "未编排座位"
    assert {cell.value for cell in book.worksheets[0]["B"]} >= {"无座", "无考场"}


@pytest.mark.parametrize("kind", TITLES)
def test_the_page_fetches_nothing_runs_nothing_and_escapes_everything(kind: str) -> None:
    """Names come from outside: they are text and nothing else."""
    nasty = {
        "name": "<script>alert(1)</script>",
        "room": '101"><img src=x>',
        "site": "<b>&amp;",
        "admission_ticket": "x'",
    }
    document = page(kind, HEADING, *room_lists(kind, [sitting(**nasty), sitting("", name="<i>")]))

    parsed = Text(document)
    assert not {"script", "img", "b", "i", "link", "iframe", "form"} & set(parsed.tags)
    assert {nasty["name"], nasty["room"], nasty["site"]} <= {word for word in parsed.words}
    assert not re.search(r"https?:|url\(|\sstyle=|\son\w+=", document)


def test_the_style_sheet_is_the_one_that_the_policy_allows() -> None:
    """By its digest; nothing else may come in."""
    style = re.search(r"<style>(.*?)</style>", page(DOOR, HEADING, [], []), re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()

    assert CONTENT_SECURITY_POLICY.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")


@pytest.mark.parametrize("kind", TITLES)
@pytest.mark.parametrize("people", [1, 16, 17, 30, 41, 95])
def test_everybody_is_on_the_list_once(kind: str, people: int) -> None:
    """However the sheets are divided."""
    everybody = [sitting(f"{at:03}", admission_ticket=f"T{at:05}") for at in range(1, people + 1)]

    words = shown(kind, *everybody).words

    assert [word for word in words if word.startswith("T0")] != []
    assert sorted(word for word in words if word.startswith("T0")) == [each["admission_ticket"] for each in everybody]


def test_cells_are_text_whatever_they_look_like() -> None:
    """No formula, no number that loses zeros, no link."""
    row = sitting(name="=1+1", admission_ticket="0012", site="https://example.org", room="@x")
    book = sheets(LABELS, row)

    cells = [cell for each in book.worksheets[0].iter_rows(min_row=2) for cell in each]
    assert [cell.value for cell in cells][:5] == ["https://example.org", "@x", "01", "=1+1", "0012"]
    assert all(cell.data_type in ("s", "n") and cell.hyperlink is None for cell in cells)
    assert all(isinstance(cell.value, str) for cell in cells)


def test_sheets_have_names_that_a_workbook_takes() -> None:
    """At most 31 characters, none of them forbidden, no two alike even in another case."""
    rooms = ["a/b:c", "A?B*C", "机" * 40, "机" * 41, "History'"]

    names = sheets(DOOR, *[sitting(room=room) for room in rooms]).sheetnames

    assert len({name.casefold() for name in names}) == len(rooms)
    assert all(len(name) <= 31 and not set(name) & set("[]:*?/\\'") for name in names)
