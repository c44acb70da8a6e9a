"""API.md, results as files: a whole batch as lines, CSV or a workbook by `Accept`; the same results in each."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from tests.contract.outsider import Outsider, refused
from tests.contract.season import Season

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def as_file(outsider: Outsider, batch_id: str, media_type: str, **query: Any) -> Any:
    headers = {"accept": media_type}
    path = f"/v1/batches/{batch_id}/results"
    answer = outsider.call("GET", path, scope="results", headers=headers, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(media_type)
    return answer


def spread(result: dict[str, Any]) -> dict[str, Any]:
    """A result as a row: its sections side by side."""
    sections = {
        f"section_{section['id']}_{member}": section[member]
        for section in result["sections"]
        for member in ("score", "points")
    }
    return {name: value for name, value in {**result, **sections}.items() if name != "sections"}


def test_csv_holds_what_the_pages_hold(outsider: Outsider, finished: Season) -> None:
    """API.md: `text/csv` (UTF-8 with BOM): every member of every result, sections as columns, no cell a formula."""
    batch_id = finished.scoring.exam.batch_id
    content = as_file(outsider, batch_id, "text/csv").content
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    results = outsider.results(batch_id, limit=1000)["results"]
    assert content.startswith(b"\xef\xbb\xbf")
    assert len(rows) == len(results)
    for row, result in zip(rows, results, strict=True):
        shown = {name: text for name, text in row.items() if text != ""}
        expected = {name: value for name, value in spread(result).items() if value is not None}
        assert shown.keys() == expected.keys()
        for name, value in expected.items():
            text = shown[name].removeprefix("'")
            if isinstance(value, bool):
                assert text == ("true" if value else "false")
            elif isinstance(value, str):
                assert text == value
            else:
                assert Decimal(text) == value
    assert not any(text.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for text in row.values())


def test_workbook_holds_what_the_pages_hold(outsider: Outsider, finished: Season) -> None:
    """API.md: XLSX: ids and tickets are text, scores numbers, nothing is a formula."""
    batch_id = finished.scoring.exam.batch_id
    content = as_file(outsider, batch_id, XLSX).content
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    names = [cell.value for cell in sheet[1]]
    results = outsider.results(batch_id, limit=1000)["results"]
    rows = list(sheet.iter_rows(min_row=2))
    assert len(rows) == len(results)
    for cells, result in zip(rows, results, strict=True):
        shown = {name: cell for name, cell in zip(names, cells, strict=True) if cell.value is not None}
        expected = {name: value for name, value in spread(result).items() if value is not None}
        assert {name: cell.value for name, cell in shown.items()} == {
            name: float(value) if isinstance(value, Decimal) else value for name, value in expected.items()
        }
        assert {shown[name].data_type for name in ("sitting_id", "candidate_id", "admission_ticket")} == {"s"}
        assert {cell.data_type for cell in shown.values()} <= {"s", "n", "b"}


def test_files_of_results_go_on_after_a_cursor(outsider: Outsider, finished: Season) -> None:
    """`after` means the same in every format."""
    batch_id = finished.scoring.exam.batch_id
    first = outsider.results(batch_id, limit=10)
    rest = len(finished.scoring.rows) - 10
    assert as_file(outsider, batch_id, "text/csv", after=first["next"]).content.count(b"\r\n") == rest + 1
    lines = as_file(outsider, batch_id, "application/x-ndjson", after=first["next"]).content
    assert lines.count(b"\n") == rest


def test_files_of_a_batch_without_results_have_a_header(outsider: Outsider) -> None:
    """A draft's, for instance: no row, and no error."""
    batch_id = outsider.batch()
    assert as_file(outsider, batch_id, "application/x-ndjson").content == b""
    header = as_file(outsider, batch_id, "text/csv").content.decode("utf-8-sig")
    assert header.startswith('"sitting_id","candidate_id","admission_ticket","state","score","passed","graded_ms"')
    sheet = openpyxl.load_workbook(io.BytesIO(as_file(outsider, batch_id, XLSX).content)).active
    assert sheet.max_row == 1


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/csv;q=0.5, application/json;q=0.4", "text/csv"),
        ("text/*", "text/csv"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/pdf, text/csv; charset=utf-8", "text/csv"),
    ],
)
def test_the_most_wanted_format_that_is_served_is_sent(
    outsider: Outsider, finished: Season, accept: str, content_type: str
) -> None:
    """RFC 9110: by weight, and what is not served is passed over."""
    path = f"/v1/batches/{finished.rounding.exam.batch_id}/results"
    answer = outsider.call("GET", path, scope="results", headers={"accept": accept})
    assert answer.headers["content-type"].startswith(content_type)


@pytest.mark.parametrize("weight", ["2", "1.001", "-1", "inf", "nan", "much"])
def test_a_weight_that_is_none_wants_nothing(outsider: Outsider, finished: Season, weight: str) -> None:
    """RFC 9110: from 0 to 1."""
    path = f"/v1/batches/{finished.rounding.exam.batch_id}/results"
    headers = {"accept": f"text/csv;q={weight}, application/json;q=0.1"}
    answer = outsider.call("GET", path, scope="results", headers=headers)

    assert answer.headers["content-type"] == "application/json"


def test_formats_that_are_not_served_are_refused(outsider: Outsider, finished: Season) -> None:
    """Naming those that are."""
    path = f"/v1/batches/{finished.rounding.exam.batch_id}/results"
    answer = outsider.call("GET", path, scope="results", headers={"accept": "application/pdf"})
    problem = refused(answer, 406, "not_acceptable")
    assert all(name in problem["detail"] for name in ("application/json", "application/x-ndjson", "text/csv", XLSX))
