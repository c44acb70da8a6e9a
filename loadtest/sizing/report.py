"""An outcome for people: one page to read, print and keep, one screen for the terminal. Pure.

Promise: the page is one file that asks for nothing, in Chinese and English, whole without scripts; nothing that an
outcome holds is taken for HTML (`markup`), and its own policy allows nothing but the one style and script in it.
How: verdict, reasons and how to repeat the run first; the run as a whole; phase by phase; the account; what it ran on.
`charts` draws, `phase_page` shows one phase, `words` has both languages.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

from loadtest.sizing import figures, words
from loadtest.sizing.cost_page import cost_section
from loadtest.sizing.markup import Child, Markup, pairs, row, table, tag
from loadtest.sizing.outcome import Line, Outcome, PhaseOutcome, Text
from loadtest.sizing.phase_page import from_to, phase_section
from loadtest.sizing.run_page import account_section, run_charts
from loadtest.sizing.screen import text as text
from loadtest.sizing.standing import caveats, failing, standing, void_because, why

_STYLE = Path(__file__).with_name("report.css").read_text("utf-8")
_SCRIPT = Path(__file__).with_name("report.js").read_text("utf-8")
_STATES: Mapping[str, Text] = {
    "holds": Text(zh="达标", en="holds"),
    "fails": Text(zh="未达标", en="fails"),
    "void": Text(zh="无效", en="void"),
    "unjudged": Text(zh="未判定", en="not judged"),
}
_SIGNS = {"holds": "✓", "fails": "✗", "void": "?", "unjudged": "–"}


def page(outcome: Outcome) -> str:
    """The whole file."""
    title = f"{outcome.verdict} · {outcome.tier} · {figures.moment(outcome.starts_ms)[:16]} · 联考负载测试 load test"
    body = [
        _head(outcome),
        _repeat(outcome),
        _overview(outcome),
        run_charts(outcome),
        cost_section(outcome),
        [phase_section(number, phase, outcome) for number, phase in enumerate(outcome.phases, 1)],
        account_section(outcome),
        _ran_on(outcome),
    ]
    return document(title, body)


def document(title: str, body: Child) -> str:
    """A page with the switch between languages, which works without scripts; a script only chooses the first one."""
    policy = (
        f"default-src 'none'; style-src 'sha256-{_digest(_STYLE)}'; script-src 'sha256-{_digest(_SCRIPT)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    switch = [
        tag("input", type="radio", name="language", id="zh", checked=True, autocomplete="off"),
        tag("label", "中文", for_="zh", lang="zh"),
        tag("input", type="radio", name="language", id="en", autocomplete="off"),
        tag("label", "English", for_="en", lang="en"),
    ]
    head = [
        Markup('<meta charset="utf-8">'),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        Markup(f"<style>{_STYLE}</style>"),
    ]
    content = [switch, tag("main", body), Markup(f"<script>{_SCRIPT}</script>")]
    return f"<!DOCTYPE html>\n{tag('html', tag('head', head), tag('body', content), lang='zh-CN')}\n"


# --- the page's first screen -----------------------------------------------------------------------------------


def _head(outcome: Outcome) -> Markup:
    told = words.VERDICTS[outcome.verdict]
    verdict = tag(
        "h1",
        tag("span", words.SIGNS[outcome.verdict], class_="sign", aria_hidden="true"),
        tag("span", f"{outcome.verdict} ", class_="word"),
        tag("span", told, class_="told"),
        class_=f"verdict {outcome.verdict.lower()}",
    )
    reasons = (
        tag("ul", [tag("li", reason) for reason in outcome.reasons], class_="reasons") if outcome.reasons else None
    )
    kind = Text(zh="联考引擎负载测试报告", en="Liankao load test report")
    return tag(
        "header",
        tag("p", kind, class_="kind"),
        verdict,
        tag("p", words.MEANINGS[outcome.verdict]),
        reasons,
        [tag("p", caveat, class_="warned") for caveat in caveats(outcome)],
        tag("div", pairs(_asked(outcome)), _line(outcome.line), class_="columns"),
    )


def _asked(outcome: Outcome) -> list[tuple[Child, Child]]:
    candidates, minutes = figures.number(outcome.candidates), figures.number(outcome.minutes)
    return [
        (Text(zh="档位", en="Tier"), outcome.tier),
        (Text(zh="考生", en="Candidates"), candidates),
        (Text(zh="计划时长", en="Planned for"), Text(zh=f"{minutes} 分钟", en=f"{minutes} min")),
        (Text(zh="开考", en="Exam starts"), figures.moment(outcome.starts_ms)),
        (Text(zh="考试结束", en="Exam ends"), figures.moment(outcome.ends_ms)),
        (Text(zh="整个测试用时", en="The test took"), figures.span(outcome.took_s)),
    ]


def _line(line: Line) -> Markup:
    """Both readings of a bandwidth that documents write as `28 MB`, and whether the line was really so narrow."""
    rows = []
    for direction, kbit_per_s in (
        (Text(zh="上行", en="Up"), line.up_kbit_per_s),
        (Text(zh="下行", en="Down"), line.down_kbit_per_s),
    ):
        megabits, megabytes = figures.number(kbit_per_s / 1000), figures.number(kbit_per_s / 8000)
        rows.append(row(direction, f"{megabits} Mbit/s", f"{megabytes} MByte/s", numbers=(1, 2)))
    heads: list[Child] = [
        Text(zh="方向", en="Direction"),
        Text(zh="按 Mbit/s（判定所用）", en="As Mbit/s (judged)"),
        Text(zh="即 MByte/s", en="which is, in MByte/s"),
    ]
    return tag("div", table(Text(zh="档位带宽", en="The tier's line"), heads, rows, numbers=(1, 2)), _enforced(line))


def _enforced(line: Line) -> Markup:
    if line.enforced:
        lossy = f", {figures.share(line.loss)} loss" if line.loss else ""
        lossy_zh = f"，丢包 {figures.share(line.loss)}" if line.loss else ""
        delay = figures.milliseconds(line.delay_ms)
        told = Text(
            zh=f"带宽已强制限制：考生与引擎之间的线路只有这么宽；延迟 {delay}{lossy_zh}。",
            en=f"Enforced: the line between candidates and engine was no wider than this; delay {delay}{lossy}.",
        )
        return tag("p", told)
    told = Text(
        zh="带宽未强制限制，只测量了用量，并与档位比较。",
        en="Not enforced: the traffic was measured only, and compared with the tier.",
    )
    return tag("p", tag("strong", told), " ", why(line), *_slowed(line), class_="warned")


def _slowed(line: Line) -> list[Child]:
    """A line that was not enforced may have been a slow one all the same."""
    if not line.delay_ms and not line.loss:
        return []
    delay, loss = figures.milliseconds(line.delay_ms), figures.share(line.loss)
    return [" ", Text(zh=f"线路延迟 {delay}，丢包 {loss}。", en=f"Its delay was {delay} each way, its loss {loss}.")]


def _repeat(outcome: Outcome) -> Markup:
    machine = " · ".join(f"{key} {value}" for key, value in outcome.machine.items())
    versions = " · ".join(f"{key} {value}" for key, value in outcome.versions.items())
    entries: list[tuple[Child, Child]] = [
        (Text(zh="命令", en="Command"), tag("code", outcome.command)),
        (Text(zh="随机种子", en="Seed"), tag("code", str(outcome.seed))),
        (Text(zh="机器", en="Machine"), machine),
        (Text(zh="版本", en="Versions"), versions),
        (Text(zh="配置摘要 (SHA-256)", en="Configuration digest (SHA-256)"), tag("code", outcome.configuration_digest)),
    ]
    return tag("section", tag("h2", Text(zh="如何重复本次测试", en="To repeat it")), pairs(entries), class_="repeat")


# --- the run as a whole ----------------------------------------------------------------------------------------


def _overview(outcome: Outcome) -> Markup:
    heads: list[Child] = [
        Text(zh="阶段", en="Phase"),
        Text(zh="自开考起", en="From the start"),
        Text(zh="结论", en="Verdict"),
        Text(zh="保存 p99（闭环）", en="Save p99, closed"),
        Text(zh="保存 p99（开环）", en="Save p99, open"),
        Text(zh="上行占档位", en="Up, of the tier"),
        Text(zh="下行占档位", en="Down, of the tier"),
    ]
    rows = [_overview_row(number, phase, outcome) for number, phase in enumerate(outcome.phases, 1)]
    return tag(
        "section",
        tag("h2", Text(zh="各阶段一览", en="The phases")),
        table(Text(zh="每个阶段单独判定", en="Each phase is judged by itself"), heads, rows, numbers=(1, 3, 4, 5, 6)),
    )


def _overview_row(number: int, phase: PhaseOutcome, outcome: Outcome) -> Markup:
    begins, ends = ((at - outcome.starts_ms) / 1000 for at in (phase.from_ms, phase.until_ms))
    state = standing(phase)
    failed = failing(phase)
    told: list[Child] = [f"{_SIGNS[state]} ", _STATES[state]]
    if failed and not phase.void:
        told.append([" — ", [[Text(zh="；", en="; ") if at else None, each.label] for at, each in enumerate(failed)]])
    if phase.void:
        told += [" — ", void_because(phase)]
    latencies = [phase.operations.get(name) for name in ("save", "save_intended")]
    return row(
        [tag("a", f"{number} ", words.phase(phase.name), href=f"#phase-{number}"), tag("small", f" {phase.name}")],
        from_to(begins, ends),
        told,
        *(figures.milliseconds(one.p99_ms if one else None) for one in latencies),
        figures.share(phase.traffic.up_share if phase.traffic else None),
        figures.share(phase.traffic.down_share if phase.traffic else None),
        numbers=(1, 3, 4, 5, 6),
        kind=state,
    )


def _ran_on(outcome: Outcome) -> Markup:
    """What it ran on, name by name; nothing of it is needed to read the figures."""
    tables = [
        _named(Text(zh="机器", en="Machine"), outcome.machine),
        _named(Text(zh="版本", en="Versions"), outcome.versions),
        _named(
            Text(zh="考生行为模型", en="How candidates behave"),
            {key: figures.number(value) for key, value in outcome.model.items()},
        ),
        _named(Text(zh="引擎配置（不含密钥）", en="The engine's configuration (no secrets)"), outcome.configuration),
    ]
    return tag("section", tag("h2", Text(zh="测试环境", en="What it ran on")), tables, class_="environment")


def _named(caption: Text, entries: Mapping[str, str]) -> Markup:
    if not entries:
        return Markup()
    heads: list[Child] = [Text(zh="名称", en="Name"), Text(zh="值", en="Value")]
    return table(caption, heads, [row(key, value) for key, value in entries.items()])


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
