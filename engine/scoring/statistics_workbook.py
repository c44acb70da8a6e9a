"""Item statistics as a workbook with charts: scores, items, options and flags, a sheet each.

What is text stays text: nothing that a paper or a person wrote becomes a formula or a link.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import xlsxwriter
from starlette.responses import Response

from engine.scoring.result_files import XLSX
from engine.scoring.statistics_words import WORDS, evidence_of

_OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_WIDTH, _WIDTH_TEXT = 14, 48  # characters
_FIGURES = ("graded", "passed", "mean", "median", "deviation", "lowest", "highest")
_ITEM_COLUMNS = (
    ("item", "item"),
    ("section", "section"),
    ("type", "type"),
    ("points", "points"),
    ("sittings", "sittings"),
    ("omitted", "omitted"),
    ("difficulty", "difficulty"),
    ("discrimination", "discrimination"),
    ("time", "median_s"),
)
_DIFFICULTY, _DISCRIMINATION = 6, 7  # columns of the items' sheet

Sheet = Any  # xlsxwriter has no types


def response(batch_id: str, workbook: bytes) -> Response:
    disposition = f'attachment; filename="statistics-{batch_id}.xlsx"'
    return Response(
        workbook, headers={"cache-control": "no-store", "content-disposition": disposition}, media_type=XLSX
    )


def content(document: Mapping[str, Any], language: str) -> bytes:
    """The whole workbook; takes a tenth of a second for a paper of a hundred items."""
    words = WORDS[language]
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, _OPTIONS) as workbook:
        _scores(workbook, document, words)
        for number, paper in enumerate(document["papers"], start=1):
            suffix = f" {number}" if len(document["papers"]) > 1 else ""
            if paper["items"]:
                _items(workbook, paper, words["items"] + suffix, words)
                _answers(workbook, paper, words["option"] + suffix, words)
        _flags(workbook, document, language)
    return file.getvalue()


def _scores(workbook: Any, document: Mapping[str, Any], words: Mapping[str, str]) -> None:
    sheet, scores = workbook.add_worksheet(words["scores"]), document["scores"]
    sheet.set_column(0, 1, _WIDTH * 2)
    rows: list[Sequence[Any]] = [(words["heading"], document["title"])]
    rows += [(words[name], scores[name]) for name in _FIGURES]
    rows += [(words["pass_mark"], document["pass_mark"])]
    rows += [
        (words["reliability"], paper["reliability"]) for paper in document["papers"] if paper["reliability"] is not None
    ]
    for row, cells in enumerate(rows):
        _row(sheet, row, cells)
    first = len(rows) + 1
    _row(sheet, first, (words["score"], words["candidates"]))
    for at, band in enumerate(scores["bands"], start=first + 1):
        _row(sheet, at, (f"{band['from']}–{band['to']}", band["count"]))
    last = first + len(scores["bands"])
    chart = workbook.add_chart({"type": "column"})
    chart.add_series(
        {
            "name": words["candidates"],
            "categories": [sheet.name, first + 1, 0, last, 0],
            "values": [sheet.name, first + 1, 1, last, 1],
            "data_labels": {"value": True},
            "gap": 20,
        }
    )
    _finish_chart(chart, words["scores"], words["score"], words["candidates"])
    sheet.insert_chart(0, 3, chart)


def _items(workbook: Any, paper: Mapping[str, Any], name: str, words: Mapping[str, str]) -> None:
    sheet = workbook.add_worksheet(name)
    sheet.set_column(0, len(_ITEM_COLUMNS) - 1, _WIDTH)
    sheet.freeze_panes(1, 1)
    _row(sheet, 0, [words[head] for head, _ in _ITEM_COLUMNS])
    for at, item in enumerate(paper["items"], start=1):
        shown = {**item, "type": words[item["type"]]}
        _row(sheet, at, [shown[member] for _, member in _ITEM_COLUMNS])
    last = len(paper["items"])
    sheet.autofilter(0, 0, last, len(_ITEM_COLUMNS) - 1)
    bad = workbook.add_format({"font_color": "#B3261E", "bold": True})
    sheet.conditional_format(
        1, _DISCRIMINATION, last, _DISCRIMINATION, {"type": "cell", "criteria": "<", "value": 0, "format": bad}
    )
    sheet.conditional_format(1, _DIFFICULTY, last, _DIFFICULTY, {"type": "data_bar", "min_value": 0, "max_value": 1})
    points = workbook.add_chart({"type": "scatter"})
    points.add_series(
        {
            "name": words["items"],
            "categories": [name, 1, _DIFFICULTY, last, _DIFFICULTY],
            "values": [name, 1, _DISCRIMINATION, last, _DISCRIMINATION],
            "data_labels": {"custom": [{"value": item["item"]} for item in paper["items"]], "value": True},
        }
    )
    _finish_chart(points, words["map"], words["difficulty"], words["discrimination"])
    sheet.insert_chart(0, len(_ITEM_COLUMNS) + 1, points)
    bars = workbook.add_chart({"type": "column"})
    bars.add_series(
        {
            "name": words["difficulty"],
            "categories": [name, 1, 0, last, 0],
            "values": [name, 1, _DIFFICULTY, last, _DIFFICULTY],
        }
    )
    _finish_chart(bars, words["difficulty"], words["item"], words["difficulty"])
    sheet.insert_chart(22, len(_ITEM_COLUMNS) + 1, bars)


def _answers(workbook: Any, paper: Mapping[str, Any], name: str, words: Mapping[str, str]) -> None:
    sheet = workbook.add_worksheet(name)
    sheet.set_column(0, 5, _WIDTH)
    sheet.freeze_panes(1, 0)
    heads = ("item", "option", "key", "chosen", "best_third", "worst_third")
    rows: list[Sequence[Any]] = [[words[head] for head in heads]]
    for item in paper["items"]:
        for option in item["options"]:
            tick = "✓" if option["is_key"] else ""
            counts = [option[count] for count in ("chosen", "best_third", "worst_third")]
            rows.append([item["item"], option["option"], tick, *counts])
        rows += [[item["item"], each["value"], "", each["count"]] for each in item["frequent_wrong"]]
    for at, cells in enumerate(rows):
        _row(sheet, at, cells)


def _flags(workbook: Any, document: Mapping[str, Any], language: str) -> None:
    words = WORDS[language]
    sheet = workbook.add_worksheet(words["flags"])
    sheet.set_column(0, 2, _WIDTH)
    sheet.set_column(3, 4, _WIDTH_TEXT)
    _row(sheet, 0, [words[head] for head in ("item", "flags", "severity", "evidence", "explanation")])
    for at, flag in enumerate(document["flags"], start=1):
        explained = flag["explanation"]
        said = f"{explained['explanation']} ({explained['explained_by']})" if explained else ""
        cells = (flag["item"], words[flag["flag"]], words[flag["severity"]], evidence_of(flag, language), said)
        _row(sheet, at, cells)


def _row(sheet: Sheet, row: int, cells: Sequence[Any]) -> None:
    for column, cell in enumerate(cells):
        if isinstance(cell, str):
            sheet.write_string(row, column, cell)
        elif cell is not None:
            sheet.write_number(row, column, cell)


def _finish_chart(chart: Any, title: str, x_name: str, y_name: str) -> None:
    chart.set_title({"name": title})
    chart.set_legend({"none": True})
    chart.set_x_axis({"name": x_name})
    chart.set_y_axis({"name": y_name})
    chart.set_size({"width": 640, "height": 400})
