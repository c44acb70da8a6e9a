"""The page and the workbook of item statistics: whole, in both languages, safe whatever people wrote."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from html.parser import HTMLParser
from typing import Any

import openpyxl
import pytest

from engine.rules.statistics_flags import FLAGS, SEVERITIES
from engine.scoring import statistics_page, statistics_workbook
from engine.scoring.statistics_words import LANGUAGES, WORDS, evidence_of

NASTY = '=1+1<script>alert("x")</script>&'
OPTION = {"option": "a", "is_key": True, "chosen": 60, "best_third": 18, "worst_third": 20}
ITEM: dict[str, Any] = {
    "item": "A1",
    "section": "S",
    "type": "single",
    "points": 1,
    "sittings": 60,
    "omitted": 0,
    "difficulty": 0.25,
    "discrimination": -0.5,
    "options": [OPTION, {**OPTION, "option": "b", "is_key": False}],
    "frequent_wrong": [],
    "median_s": 31.5,
}
UNKNOWN = {"difficulty": None, "discrimination": None, "median_s": None}
FILL = {
    **ITEM,
    "item": "D1",
    "type": "fill",
    "options": [],
    "frequent_wrong": [{"value": NASTY, "count": 4}],
    **UNKNOWN,
}
EVIDENCE: dict[str, dict[str, Any]] = {
    "negative_discrimination": {"discrimination": -0.5, "sittings": 60},
    "distractor_over_key": {"distractor": "b", "chosen_by_best_third": 9, "key": "a", "key_chosen_by_best_third": 2},
    "nobody_right": {"answered": 60},
    "everybody_right": {"sittings": 60},
    "key_position_run": {"items": ["A1", "A2", "A3"], "place": 1, "options": 4},
}


def document(**members: Any) -> dict[str, Any]:
    flags = [
        {
            "paper_digest": "d",
            "item": "A1",
            "flag": flag,
            "severity": "explain",
            "evidence": evidence,
            "explanation": None,
        }
        for flag, evidence in EVIDENCE.items()
    ]
    flags[0]["explanation"] = {"explanation": NASTY, "explained_by": "王五", "explained_ms": 0}
    paper = {"paper_digest": "d", "sittings": 60, "withheld": False, "reliability": 0.81, "key_positions": [1, 2]}
    bands = [{"from": start, "to": start + 10, "count": start} for start in range(0, 100, 10)]
    scores = {"graded": 60, "passed": 20, "bands": bands}
    return {
        "batch_id": "B",
        "title": NASTY,
        "occupation": "劳动关系协调师",
        "level": 3,
        "subject": "theory",
        "starts_ms": 1_763_773_200_000,
        "pass_mark": 60,
        "counted_ms": 1_763_859_600_000,
        "results": {"absent": 1, "graded": 60},
        "scores": {**scores, "mean": 55.5, "median": 56, "deviation": 9.99, "lowest": 1, "highest": 100},
        "papers": [{**paper, "items": [ITEM, FILL]}],
        "flags": flags,
        "unexplained": 4,
        **members,
    }


class Tags(HTMLParser):
    """Every tag with its attributes, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_both_languages_say_the_same_things() -> None:
    """Every word in each; every flag, severity and its evidence among them."""
    assert tuple(WORDS) == LANGUAGES
    assert WORDS["zh"].keys() == WORDS["en"].keys() >= {*FLAGS, *SEVERITIES}
    for language in LANGUAGES:
        told = [evidence_of(flag, language) for flag in document()["flags"]]
        assert all(told) and not any("{" in text for text in told)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_runs_nothing_and_asks_for_nothing(language: str) -> None:
    """What a paper or a person wrote is text; the one style sheet is the one that its policy names."""
    answer = statistics_page.response(document(), language)
    page = bytes(answer.body).decode()
    shown = Tags(page)

    assert NASTY in shown.text
    assert {tag for tag, _ in shown.tags}.isdisjoint({"script", "link", "img", "iframe", "object", "form", "a"})
    assert not [name for _, attributes in shown.tags for name in attributes if name.startswith("on") or name == "style"]
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert answer.headers["content-security-policy"].startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert "http" not in style


def test_the_page_begins_with_what_holds_the_release_back() -> None:
    page = Tags(statistics_page.page(document(), "zh")).text

    assert page.index("4 项须说明后方可发布成绩") < page.index("成绩分布") < page.index("D1")
    assert "2025-11-22 09:00" in page  # the start, as clocks in China show it
    assert "33.3%" in page and "高分组中 9 人选 b，2 人选 a（正确）" in page
    assert "没有待说明的异常" in statistics_page.page(document(unexplained=0), "zh")


def test_charts_stay_within_their_frame() -> None:
    """Whatever the figures: no bar is taller than the chart, no dot lies outside."""
    page = statistics_page.page(document(), "en")
    heights = [float(height) for height in re.findall(r'class="bar" x=[^>]* height="([\d.-]+)"', page)]
    dots = [float(place) for place in re.findall(r'<circle [^>]*cy="([\d.-]+)"', page)]

    assert len(heights) == 10 and all(0 <= height <= 300 for height in heights)
    assert len(dots) == 1 and all(0 <= place <= 300 for place in dots)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_batch_without_items_or_grades_is_shown(language: str) -> None:
    """A panel scored it; or everybody was absent."""
    paper = {**document()["papers"][0], "items": [], "reliability": None, "key_positions": []}
    figures = dict.fromkeys(("mean", "median", "deviation", "lowest", "highest"))
    scores = {**document()["scores"], "graded": 0, "passed": 0, **figures}
    empty = document(papers=[paper], flags=[], unexplained=0, scores=scores)

    assert WORDS[language]["no_items"] in statistics_page.page(empty, language)
    assert statistics_workbook.content(empty, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_workbook_holds_figures_and_charts(language: str) -> None:
    """Numbers as numbers; what begins with = stays text."""
    content = statistics_workbook.content(document(), language)
    words = WORDS[language]
    book = openpyxl.load_workbook(io.BytesIO(content))

    assert book.sheetnames == [words["scores"], words["items"], words["option"], words["flags"]]
    rows = list(book[words["items"]].iter_rows(min_row=2, values_only=True))
    assert rows[0] == ("A1", "S", words["single"], 1, 60, 0, 0.25, -0.5, 31.5)
    assert rows[1][6:] == (None, None, None)
    texts = [cell for sheet in book for row in sheet.iter_rows() for cell in row if str(cell.value).startswith("=")]
    assert texts and {cell.data_type for cell in texts} == {"s"}
    charts = [name for name in zipfile.ZipFile(io.BytesIO(content)).namelist() if name.startswith("xl/charts/chart")]
    assert len(charts) == 3


def test_papers_of_one_batch_have_sheets_of_their_own() -> None:
    paper = document()["papers"][0]
    two = document(papers=[paper, {**paper, "paper_digest": "e"}])

    book = openpyxl.load_workbook(io.BytesIO(statistics_workbook.content(two, "en")))

    assert book.sheetnames == ["Scores", "Items 1", "Option 1", "Items 2", "Option 2", "Flags"]
    assert "Paper e" in Tags(statistics_page.page(two, "en")).text
