"""Item statistics as one page for a chief assessor: what holds the release back, the scores, then item by item.

Self-contained: it asks for nothing and runs nothing, so it may be saved, mailed and printed; its policy says so too.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from starlette.responses import Response

from engine.rules.statistics_flags import EXPLAIN
from engine.scoring.statistics_charts import histogram, option_bars, scatter, share_bar
from engine.scoring.statistics_words import WORDS, evidence_of
from engine.stores.clock import CHINA

_STYLE = Path(__file__).with_name("statistics.css").read_text("utf-8")
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_FIGURES = ("mean", "median", "deviation", "lowest", "highest")
_COLUMNS = ("item", "type", "points", "difficulty", "discrimination", "omitted", "time")
_NUMBERS = _COLUMNS[2:]


def response(document: Mapping[str, Any], language: str) -> Response:
    return Response(page(document, language), headers=_HEADERS, media_type="text/html; charset=utf-8")


def page(document: Mapping[str, Any], language: str) -> str:
    words = WORDS[language]
    body = [_head(document, words), _flags(document, language), _scores(document, words)]
    body += [_paper(paper, document, words) for paper in document["papers"]]
    title = f"{words['heading']} · {document['title']}"
    return (
        f'<!doctype html><html lang="{words["language"]}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>"
    )


def moment(at_ms: int) -> str:
    """As clocks in China show it, to the minute."""
    return datetime.fromtimestamp(at_ms / 1000, CHINA).strftime("%Y-%m-%d %H:%M")


def _head(document: Mapping[str, Any], words: Mapping[str, str]) -> str:
    results = " · ".join(f"{words[state]} {count}" for state, count in document["results"].items())
    level = f"{document['level']}{words['level']}"
    line = " · ".join([document["occupation"], level, words[document["subject"]], document["batch_id"]])
    counted = f"{words['counted']}: {moment(document['counted_ms'])}"
    return (
        f"<header><h1>{escape(words['heading'])}</h1><p><b>{escape(document['title'])}</b></p>"
        f'<p>{escape(line)}</p><p class="soft">{escape(moment(document["starts_ms"]))} · {escape(results)} · '
        f"{escape(counted)}</p></header>"
    )


def _flags(document: Mapping[str, Any], language: str) -> str:
    words, count = WORDS[language], document["unexplained"]
    status = f"{count} {words['unexplained']}" if count else words["all_explained"]
    told = f'<p class="status{" stop" if count else ""}" role="status">{escape(status)}</p>'
    if not document["flags"]:
        return f"<h2>{escape(words['flags'])}</h2>{told}<p>{escape(words['no_flags'])}</p>"
    rows = []
    for flag in sorted(document["flags"], key=lambda flag: (flag["severity"] != EXPLAIN, bool(flag["explanation"]))):
        explained = flag["explanation"]
        said = f"{explained['explanation']} ({explained['explained_by']})" if explained else "—"
        cells = (flag["item"], words[flag["flag"]], words[flag["severity"]], evidence_of(flag, language), said)
        shown = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f'<tr class="{flag["severity"]}">{shown}</tr>')
    heads = ("item", "flags", "severity", "evidence", "explanation")
    return f"<h2>{escape(words['flags'])}</h2>{told}{_table([words[name] for name in heads], rows)}"


def _scores(document: Mapping[str, Any], words: Mapping[str, str]) -> str:
    scores = document["scores"]
    share = f" ({scores['passed'] / scores['graded']:.1%})" if scores["graded"] else ""
    figures = [(words["graded"], str(scores["graded"])), (words["passed"], f"{scores['passed']}{share}")]
    figures += [(words[name], "—" if scores[name] is None else f"{scores[name]:.2f}") for name in _FIGURES]
    shown = "".join(f"<li><b>{escape(value)}</b>{escape(name)}</li>" for name, value in figures)
    charts = [histogram(scores["bands"], document["pass_mark"], words)]
    flagged = _flagged(document)
    charts += [
        scatter(paper["items"], flagged.get(paper["paper_digest"], {}), words)
        for paper in document["papers"]
        if paper["items"]
    ]
    return (
        f'<h2>{escape(words["scores"])}</h2><ul class="figures">{shown}</ul><div class="charts">{"".join(charts)}</div>'
    )


def _paper(paper: Mapping[str, Any], document: Mapping[str, Any], words: Mapping[str, str]) -> str:
    title = f"<h2>{escape(words['items'])}</h2>"
    if len(document["papers"]) > 1:
        title += f"<h3>{escape(words['paper'])} {escape(paper['paper_digest'])}</h3>"
    if not paper["items"]:
        return f"{title}<p>{escape(words['no_items'])}</p>"
    notes = [words["guide"]]
    if paper["reliability"] is not None:
        notes.append(f"{words['reliability']}: {paper['reliability']:.2f}")
    if paper["key_positions"]:
        notes.append(f"{words['key_positions']}: " + " / ".join(map(str, paper["key_positions"])))
    if paper["withheld"]:
        notes.append(words["withheld"])
    flagged = _flagged(document).get(paper["paper_digest"], {})
    rows = [_item_row(item, paper["sittings"] // 3, flagged.get(item["item"], ""), words) for item in paper["items"]]
    heads = [words[name] for name in _COLUMNS] + [words["options"]]
    told = "".join(f'<p class="soft">{escape(note)}</p>' for note in notes)
    return f"{title}{told}{_table(heads, rows, [words[name] for name in _NUMBERS])}"


def _item_row(item: Mapping[str, Any], third: int, severity: str, words: Mapping[str, str]) -> str:
    difficulty = "—" if item["difficulty"] is None else f"{item['difficulty']:.2f} {share_bar(item['difficulty'])}"
    discrimination = "—" if item["discrimination"] is None else f"{item['discrimination']:.2f}"
    is_bad = item["discrimination"] is not None and item["discrimination"] < 0
    time = "—" if item["median_s"] is None else f"{item['median_s']:g}"
    numbers = [f"{item['points']:g}", difficulty, discrimination, str(item["omitted"]), time]
    classes = ["number", "number", "number bad" if is_bad else "number", "number", "number"]
    cells = "".join(f'<td class="{kind}">{text}</td>' for kind, text in zip(classes, numbers, strict=True))
    named = f"<td>{escape(item['item'])}</td><td>{escape(words[item['type']])}</td>"
    return f'<tr class="{severity}">{named}{cells}<td>{_answers(item, third)}</td></tr>'


def _answers(item: Mapping[str, Any], third: int) -> str:
    """Options with the shares of the thirds, or what was often answered and earned less than all."""
    if item["options"]:
        shown = []
        for option in item["options"]:
            best, worst = option["best_third"], option["worst_third"]
            bars = option_bars(best / third, worst / third) if third else ""
            kind, tick = ("name key", " ✓") if option["is_key"] else ("name", "")
            shown.append(
                f'<li><span class="{kind}">{escape(option["option"])}{tick}</span>{bars}'
                f'<span class="soft">{option["chosen"]} ({best} / {worst})</span></li>'
            )
        return f'<ul class="options">{"".join(shown)}</ul>'
    if item["frequent_wrong"]:
        wrong = "".join(f"<li>{escape(each['value'])} × {each['count']}</li>" for each in item["frequent_wrong"])
        return f'<ul class="wrong">{wrong}</ul>'
    return "—"


def _flagged(document: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """paper -> item -> the worse severity of its flags."""
    found: dict[str, dict[str, str]] = {}
    for flag in document["flags"]:
        of_paper = found.setdefault(flag["paper_digest"], {})
        if of_paper.get(flag["item"]) != EXPLAIN:
            of_paper[flag["item"]] = flag["severity"]
    return found


def _table(heads: Sequence[str], rows: Sequence[str], numbers: Sequence[str] = ()) -> str:
    head = "".join(f'<th scope="col"{" class=number" if name in numbers else ""}>{escape(name)}</th>' for name in heads)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
