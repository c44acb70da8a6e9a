"""Results as a table: a person's spreadsheet shows what was signed, and runs nothing."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from engine.rules.errors import Corrupt
from engine.rules.result_table import cells, csv_text, header, section_ids

RESULT: dict[str, Any] = {
    "sitting_id": "s1",
    "candidate_id": "-1",
    "admission_ticket": "00123456789012345678",
    "state": "graded",
    "score": 66.67,
    "passed": True,
    "sections": [{"id": "A", "score": 0.3333, "points": 1}, {"id": "B", "score": 2, "points": 2}],
    "graded_ms": 1_763_773_200_000,
    "revision": 1,
    "paper_digest": "d" * 64,
    "answer_key_digest": "e" * 64,
    "signature": "-" + "s" * 85,
}
ABSENT = {**RESULT, "state": "absent", "score": None, "passed": False, "sections": []}


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_every_member_of_a_result_has_its_column() -> None:
    """Nothing more of a person, nothing less of the result; sections stand side by side."""
    names = header(["A", "B"])
    shown = dict(zip(names, cells(RESULT, ["A", "B"]), strict=True))

    assert set(names) - {"section_A_score", "section_A_points", "section_B_score", "section_B_points"} == (
        RESULT.keys() - {"sections"}
    )
    assert (shown["section_A_score"], shown["section_B_points"]) == (0.3333, 2)
    assert {name: shown[name] for name in RESULT if name != "sections"} == {
        name: value for name, value in RESULT.items() if name != "sections"
    }


def test_sections_of_several_papers_stand_beside_each_other() -> None:
    """Who sat the other form, or never came, has empty cells there."""
    other = {**RESULT, "sections": [{"id": "C", "score": 1, "points": 1}]}
    sections = section_ids([RESULT, other, ABSENT])

    assert sections == ["A", "B", "C"]
    assert cells(other, sections)[6:12] == [None, None, None, None, 1, 1]
    assert cells(ABSENT, sections)[6:12] == [None] * 6


def test_a_section_without_a_column_is_not_passed_over() -> None:
    """A file that lacks points without a word would be a wrong score."""
    with pytest.raises(Corrupt, match="'s1'"):
        cells(RESULT, ["A"])


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_begins_as_a_formula_does(start: str) -> None:
    """The apostrophe that spreadsheets know stands before it; the rest of the text is as it was."""
    (row,) = read(csv_text([[f"{start}HYPERLINK(1)", -1.5]]))

    assert row == [f"'{start}HYPERLINK(1)", "-1.5"]


def test_the_table_follows_the_standard() -> None:
    """RFC 4180: CRLF, text in quotes with its own doubled, numbers as JSON writes them, nothing for null."""
    written = csv_text([['a"b', "联考,1", "二\n行", 50, 66.67, None, True, False]])

    assert written == '"a""b","联考,1","二\n行",50,66.67,"","true","false"\r\n'


def test_tickets_are_text_with_all_their_digits() -> None:
    """Quoted, so that who reads types by quotes sees no number; zeros in front stay."""
    written = csv_text([cells(RESULT, ["A", "B"])])

    assert '"00123456789012345678"' in written
    assert read(written)[0][:3] == ["s1", "'-1", "00123456789012345678"]
