"""SMALL_PRINT.md, rosters as tables: texts and workbooks, every nasty one with the answer it must get."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.contract import nasty_texts, nasty_workbooks
from tests.contract import outsider as out
from tests.contract.nasty_texts import FOLDER, TABLE
from tests.contract.nasty_workbooks import NO_ROSTER, TOO_LARGE
from tests.contract.outsider import Outsider, accepted, person, refused
from tests.contract.workbooks import HEADINGS, as_csv, candidate, candidates, resident, sheet_of

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
GOOD = {**nasty_texts.GOOD, **nasty_workbooks.GOOD}
BAD = {**nasty_texts.BAD, **nasty_workbooks.BAD}
FILES = json.loads((FOLDER / "answers.json").read_text("utf-8"))
_windows = itertools.count(1)


@pytest.fixture(scope="module")
def paper_id(outsider: Outsider) -> str:
    return outsider.paper()


@pytest.fixture
def batch_id(outsider: Outsider, paper_id: str) -> str:
    """A draft whose window no other has, so that the same people may be on it; no calendar warns of a mock."""
    starts_ms = out.now_ms() + next(_windows) * 10**9
    return outsider.batch(outsider.batch_document(paper_id, kind="mock", starts_ms=starts_ms))


def push(outsider: Outsider, batch_id: str, body: bytes, content_type: str = "", **query: str) -> Any:
    headers = {"content-type": content_type} if content_type else {}
    path = f"/v1/batches/{batch_id}/roster"
    return outsider.call("PUT", path, scope="schedule", content=body, headers=headers, params=query)


def found(problem: dict[str, Any]) -> list[tuple[Any, ...]]:
    assert problem["errors_total"] == len(problem["errors"])
    for fault in problem["errors"]:
        assert fault["message"] and "value" in fault, fault
    return [(fault["row"], fault["column"], fault["field"], fault["code"]) for fault in problem["errors"]]


@pytest.mark.parametrize("name", GOOD)
def test_a_roster_as_people_send_it_is_taken(outsider: Outsider, batch_id: str, name: str) -> None:
    """All of its candidates and nobody else; sent again it changes nothing."""
    case = GOOD[name]
    body = case.body()
    answer = accepted(push(outsider, batch_id, body, case.content_type))

    assert answer["accepted"] == answer["added"] == case.accepted
    assert [warning["row"] for warning in answer.get("warnings", [])] == case.warned
    assert ("warnings" in answer) == bool(case.warned)
    assert accepted(push(outsider, batch_id, body, case.content_type))["unchanged"] == case.accepted


@pytest.mark.parametrize("name", BAD)
def test_a_faulty_roster_is_refused_with_every_fault_by_row_and_column(
    outsider: Outsider, batch_id: str, name: str
) -> None:
    """In row order, nothing is taken."""
    case = BAD[name]
    problem = refused(push(outsider, batch_id, case.body(), case.content_type), 422, "roster.invalid")

    assert found(problem) == case.faults
    assert outsider.show_batch(batch_id)["counts"]["rostered"] == 0


@pytest.mark.parametrize("name", BAD)
def test_a_faulty_roster_comes_back_marked(outsider: Outsider, batch_id: str, name: str) -> None:
    """422 all the same; coloured cells with comments, faults in words; sent again as it is, it is refused again."""
    case = BAD[name]
    answer = push(outsider, batch_id, case.body(), case.content_type, format="xlsx")
    assert (answer.status_code, answer.headers["content-type"]) == (422, XLSX)
    page = openpyxl.load_workbook(io.BytesIO(answer.content)).active
    assert page is not None
    for row, column, _, _ in case.faults:
        if column is not None:
            cell = page[f"{column}{row}"]
            assert cell.fill.fgColor.rgb == "FFFFC7CE", cell
            assert cell.comment is not None and cell.comment.text
        assert page.cell(row, page.max_column).value
    again = refused(push(outsider, batch_id, answer.content), 422, "roster.invalid")
    assert found(again)


@pytest.mark.parametrize("name", NO_ROSTER)
def test_what_is_no_roster_is_refused_as_a_file(outsider: Outsider, batch_id: str, name: str) -> None:
    """415 `roster.file_format`, also where a marked sheet was asked for: there is none."""
    problem = refused(push(outsider, batch_id, NO_ROSTER[name](), format="xlsx"), 415, "roster.file_format")

    assert "text/csv" in problem["accepted"]


@pytest.mark.parametrize("name", TOO_LARGE)
def test_what_unfolds_beyond_all_need_is_too_large(outsider: Outsider, batch_id: str, name: str) -> None:
    """256 MiB unpacked, and no more parts than a workbook has."""
    refused(push(outsider, batch_id, TOO_LARGE[name]()), 413, "request.too_large")


@pytest.mark.parametrize("name", FILES)
def test_a_file_kept_from_practice_gets_its_answer(outsider: Outsider, batch_id: str, name: str) -> None:
    """Byte for byte as programs wrote it; the answers stand in `answers.json`."""
    expected = FILES[name]
    answer = push(outsider, batch_id, Path(FOLDER / name).read_bytes())

    if "faults" in expected:
        assert [list(fault) for fault in found(refused(answer, 422, "roster.invalid"))] == expected["faults"]
    else:
        counts = accepted(answer)
        assert [warning["row"] for warning in counts.pop("warnings", [])] == expected.get("warned", [])
        assert counts == {
            "accepted": expected["accepted"], "added": expected["accepted"], "changed": 0, "removed": 0, "unchanged": 0,
        }  # fmt: skip


def test_names_arrive_as_they_are_shown(outsider: Outsider, batch_id: str) -> None:
    """Rare characters, middle dots and spaces: the same person pushed as JSON is unchanged."""
    names = ["\U00020bb7 野", "阿里•买买提", "\U000323af", " 张　三 ", "Mary  Ann", "王\u200b五"]
    rows = [candidate(number, name=name) for number, name in enumerate(names)]
    for body in (as_csv([HEADINGS, *rows]).encode("gb18030"), sheet_of([HEADINGS, *rows])):
        accepted(push(outsider, batch_id, body))
    kept = ["\U00020bb7野", "阿里·买买提", "\U000323af", "张三", "Mary  Ann", "王五"]
    fields = ("name", "id_number", "admission_ticket", "site", "room", "seat")
    entries = [dict(zip(fields, [name, *row[1:]], strict=True)) for name, row in zip(kept, rows, strict=True)]

    assert accepted(outsider.put_roster(batch_id, entries))["unchanged"] == len(names)


def test_dry_run_says_what_would_happen_and_changes_nothing(outsider: Outsider, batch_id: str) -> None:
    """The same answer as the push that follows, faults and warnings included."""
    body = sheet_of(TABLE)
    tried = accepted(push(outsider, batch_id, body, dry_run="1"))
    assert outsider.show_batch(batch_id)["counts"]["rostered"] == 0
    assert accepted(push(outsider, batch_id, body)) == tried
    refused(push(outsider, batch_id, sheet_of([HEADINGS, candidate(1, seat="x")]), dry_run="1"), 422, "roster.invalid")
    refused(push(outsider, batch_id, body, dry_run="yes"), 422, "request.invalid")
    refused(push(outsider, batch_id, body, format="pdf"), 422, "request.invalid")


def test_person_in_an_overlapping_batch_is_named_by_row_and_marked(outsider: Outsider, paper_id: str) -> None:
    """Beside the faults of the table itself, naming the other batch."""
    starts_ms = out.now_ms() + next(_windows) * 10**9
    first = outsider.batch(outsider.batch_document(paper_id, starts_ms=starts_ms))
    second = outsider.batch(outsider.batch_document(paper_id, starts_ms=starts_ms))
    accepted(push(outsider, first, sheet_of(TABLE)))
    rows = [HEADINGS, candidate(7), candidate(8, seat="x"), candidate(9, id_number=resident(2))]

    problem = refused(push(outsider, second, sheet_of(rows)), 422, "roster.invalid")
    assert found(problem) == [(3, "F", "seat", "seat.shape"), (4, "B", "id_number", "id_number.overlap")]
    assert first in problem["errors"][1]["message"]
    marked = push(outsider, second, as_csv([HEADINGS, rows[3]]).encode(), format="xlsx")
    page = openpyxl.load_workbook(io.BytesIO(marked.content)).active
    assert page is not None and first in page["B2"].comment.text


@pytest.mark.parametrize("write", [json.dumps, lambda rows: "\n".join(map(json.dumps, rows))])
def test_json_comes_back_as_a_marked_sheet(outsider: Outsider, batch_id: str, write: Any) -> None:
    """The fields as headers, the rows in their order, whatever they held."""
    rows = [person(), person(seat="x", nickname="y"), 7, person(id_number=110101199003070134), person(name=None)]
    answer = push(outsider, batch_id, write(rows).encode(), format="xlsx")

    assert answer.status_code == 422
    page = openpyxl.load_workbook(io.BytesIO(answer.content)).active
    assert page is not None
    assert [cell.value for cell in page[1]][:9] == [
        "candidate_id", "name", "id_number", "admission_ticket", "site", "room", "seat", "extra_time_s", "nickname",
    ]  # fmt: skip
    marked = {cell.coordinate for row in page.iter_rows() for cell in row if cell.comment}
    assert marked == {"G3", "I3", "C5", "B6"}
    assert [row for row in range(2, 7) if page.cell(row, page.max_column).value] == [3, 4, 5, 6]


def test_more_faults_than_are_listed_are_counted_and_all_marked(outsider: Outsider, batch_id: str) -> None:
    """1,000 in the answer, in row order; every one of them in the sheet."""
    body = as_csv([HEADINGS, *(candidate(number, seat="x") for number in range(1_200))]).encode()
    problem = refused(push(outsider, batch_id, body), 422, "roster.invalid")
    assert (len(problem["errors"]), problem["errors_total"]) == (1_000, 1_200)
    assert problem["errors"][-1]["row"] == 1_001
    page = openpyxl.load_workbook(io.BytesIO(push(outsider, batch_id, body, format="xlsx").content)).active
    assert page is not None
    assert sum(page.cell(row, 6).fill.fgColor.rgb == "FFFFC7CE" for row in range(2, 1_202)) == 1_200


def test_table_that_lacks_nothing_but_candidates_does_not_empty_a_roster(outsider: Outsider, batch_id: str) -> None:
    """Only `[]` does."""
    accepted(push(outsider, batch_id, sheet_of(TABLE)))
    for body in (sheet_of([HEADINGS]), as_csv([HEADINGS]).encode()):
        refused(push(outsider, batch_id, body), 422, "roster.invalid")
    assert outsider.show_batch(batch_id)["counts"]["rostered"] == len(candidates(3))
