"""The findings as text, as JSON and as a page to print and sign; red first. Pure."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs

from engine.preflight.finding import Colour, Finding, counted, exit_code, worst

# In the order in which people look: what is judged, and what it is called.
TITLES: dict[str, tuple[str, str]] = {
    "batches": ("批次", "batches"),
    "prepared": ("备好的应试", "prepared sittings"),
    "roster": ("启封后的名单", "roster since arming"),
    "roster_log": ("名单与日志", "roster and log"),
    "canary": ("探路考生", "canary"),
    "nodes": ("节点", "nodes"),
    "versions": ("版本一致", "alike"),
    "ports": ("端口", "ports"),
    "clocks": ("时钟", "clocks"),
    "time_source": ("授时", "time source"),
    "durability": ("Redis 落盘", "Redis on disk"),
    "memory": ("Redis 内存", "Redis memory"),
    "partitions": ("分区", "partitions"),
    "postgresql": ("PostgreSQL", "PostgreSQL"),
    "connections": ("数据库连接", "connections"),
    "months": ("按月分区表", "months"),
    "disks": ("磁盘", "disks"),
    "files": ("文件描述符", "open files"),
    "recorder": ("记录积压", "recorder"),
    "grader": ("评分积压", "grader"),
    "pushes": ("推送积压", "pushes"),
    "secrets": ("密钥文件", "key files"),
    "provider": ("密钥提供者", "key provider"),
    "shares": ("密钥份额", "shares"),
    "certificates": ("证书", "certificates"),
}
_COLOURS = {Colour.RED: ("红", "RED"), Colour.AMBER: ("黄", "AMBER"), Colour.GREEN: ("绿", "green")}
_ORDER = list(TITLES)


class Report(Struct, frozen=True, kw_only=True):
    """What was looked at, when, and what was found. Of batches one, or those of so many days."""

    made_at: str  # Beijing time
    urls: Sequence[str]
    findings: Sequence[Finding]
    days: int
    batch_id: str | None = None

    def scope(self) -> tuple[str, str]:
        """Which batches were looked at: whoever signs the page signs for no other."""
        if self.batch_id is not None:
            return f"只检查了批次 {self.batch_id}", f"of batches only {self.batch_id}"
        return f"检查了今后 {self.days} 天的批次", f"batches of the next {counted(self.days, 'day')}"

    def ordered(self) -> list[Finding]:
        """Red first, then amber, then green; within a colour as people look."""
        colours = list(_COLOURS)
        return sorted(self.findings, key=lambda each: (colours.index(each.colour), _ORDER.index(each.check)))

    def counts(self) -> dict[str, int]:
        return {colour: sum(each.colour is colour for each in self.findings) for colour in _COLOURS}


def as_json(report: Report) -> dict[str, Any]:
    return {
        "colour": worst(report.findings),
        "exit_code": exit_code(report.findings),
        "made_at": report.made_at,
        "urls": list(report.urls),
        "batch_id": report.batch_id,
        "days": report.days,
        "counts": report.counts(),
        "findings": [structs.asdict(each) for each in report.ordered()],
    }


def as_text(report: Report) -> str:
    scope_zh, scope_en = report.scope()
    lines = [f"联考前自检 preflight  {report.made_at}（北京时间 Beijing）  {' '.join(report.urls)}"]
    lines += [f"{scope_zh}  {scope_en}", ""]
    for finding in report.ordered():
        zh, en = _COLOURS[finding.colour]
        title_zh, title_en = TITLES[finding.check]
        about = f"  {finding.subject}" if finding.subject else ""
        accepted = "  （已认可 accepted）" if finding.is_accepted else ""
        lines += [f"{zh} {en:<5}  {title_zh} {title_en}{about}{accepted}", f"    {finding.zh}", f"    {finding.en}"]
        if finding.do_zh:
            lines += [f"    → {finding.do_zh}", f"    → {finding.do_en}"]
    return "\n".join([*lines, "", *_verdict(report)])


def as_html(report: Report) -> str:
    """One file without anything beside it; printed, it has a line for who has seen it."""
    rows = "\n".join(map(_row, report.ordered()))
    verdict_zh, verdict_en = (html.escape(line) for line in _verdict(report))
    scope_zh, scope_en = (html.escape(line) for line in report.scope())
    return _PAGE.format(
        colour=worst(report.findings),
        made_at=html.escape(report.made_at),
        urls=html.escape(" ".join(report.urls)),
        scope_zh=scope_zh,
        scope_en=scope_en,
        verdict_zh=verdict_zh,
        verdict_en=verdict_en,
        rows=rows,
    )


def _verdict(report: Report) -> list[str]:
    counts = report.counts()
    zh = "，".join(f"{_COLOURS[colour][0]} {counts[colour]}" for colour in _COLOURS)
    en = ", ".join(f"{colour} {counts[colour]}" for colour in _COLOURS)
    match worst(report.findings):
        case Colour.RED:
            return [f"不能开考：先处理红色各项（{zh}）", f"NOT READY: mend what is red first ({en})"]
        case Colour.AMBER:
            return [f"可以开考；黄色各项请知悉（{zh}）", f"READY; somebody should know what is amber ({en})"]
    return [f"可以开考（{zh}）", f"READY ({en})"]


def _row(finding: Finding) -> str:
    zh, en = _COLOURS[finding.colour]
    title_zh, title_en = TITLES[finding.check]
    accepted = "<br>已认可 accepted" if finding.is_accepted else ""
    told = [f'<p>{html.escape(finding.zh)}</p><p lang="en">{html.escape(finding.en)}</p>']
    if finding.do_zh:
        told.append(f'<p>→ {html.escape(finding.do_zh)}</p><p lang="en">→ {html.escape(finding.do_en)}</p>')
    return (
        f'<tr class="{finding.colour}"><td>{zh} {en}{accepted}</td><td>{title_zh}<br><span lang="en">{title_en}</span>'
        f"</td><td>{html.escape(finding.subject)}</td><td>{''.join(told)}</td></tr>"
    )


_PAGE = """<!doctype html>
<html lang="zh-CN">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>联考前自检 preflight {made_at}</title>
<style>
  body {{ font: 14px/1.5 sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; color: #111; }}
  table {{ border-collapse: collapse; width: 100%; }}
  td, th {{ border: 1px solid #999; padding: .3em .6em; text-align: left; vertical-align: top; }}
  td {{ overflow-wrap: anywhere; }}
  td:nth-child(3) {{ min-width: 11em; }}
  td:nth-child(-n+2) {{ white-space: nowrap; }}
  p {{ margin: 0; }}
  [lang=en] {{ color: #444; }}
  .red td:first-child {{ background: #b00020; color: #fff; font-weight: bold; }}
  .amber td:first-child {{ background: #ffd24d; font-weight: bold; }}
  .green td:first-child {{ background: #d7f0d7; }}
  .verdict {{ border: .2em solid; padding: .6em 1em; margin: 1em 0; font-size: 1.2em; }}
  .verdict.red {{ border-color: #b00020; }}
  .verdict.amber {{ border-color: #d69e00; }}
  .verdict.green {{ border-color: #2e7d32; }}
  .signed {{ margin-top: 3em; display: flex; gap: 2em; }}
  .signed div {{ flex: 1; border-top: 1px solid; padding-top: .3em; }}
  thead {{ display: table-header-group; }}
  @media print {{
    body {{ margin: 0; font-size: 11px; }}
    tr {{ break-inside: avoid; }}
    td {{ print-color-adjust: exact; }}
  }}
</style>
<h1>联考前自检 <span lang="en">Preflight</span></h1>
<p>{made_at}（北京时间 Beijing）　{urls}</p>
<p>{scope_zh} <span lang="en">{scope_en}</span></p>
<div class="verdict {colour}"><p>{verdict_zh}</p><p lang="en">{verdict_en}</p></div>
<table>
<thead>
<tr><th>结果 <span lang="en">result</span></th><th>检查 <span lang="en">check</span></th>
<th>对象 <span lang="en">of what</span></th>
<th>情况与处理 <span lang="en">what is so, what to do</span></th></tr>
</thead>
<tbody>
{rows}
</tbody>
</table>
<div class="signed"><div>检查人 checked by</div><div>负责人 in charge</div><div>日期 date</div></div>
</html>
"""
