"""A score review as a page that a person reads, prints and signs: one self-contained HTML file, in Chinese.

Nothing is fetched and nothing runs: the one style sheet is allowed by its digest. Every text is escaped.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Mapping
from html import escape
from typing import Any

from engine.stores.clock import CHINA

_STYLE = """
body { font: 15px/1.6 "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; margin: 2em auto; max-width: 48em }
h1 { font-size: 1.5em; text-align: center } h2 { font-size: 1.1em; margin-top: 1.5em }
table { border-collapse: collapse; width: 100% } th, td { border: 1px solid #888; padding: .3em .6em; text-align: left }
th { width: 9em; background: #f2f2f2 } td { overflow-wrap: anywhere } .difference { font-weight: bold }
.words { white-space: pre-wrap } .sign { margin-top: 3em; display: flex; justify-content: space-between }
@media print { body { margin: 0; max-width: none } tr { break-inside: avoid } @page { size: A4; margin: 18mm } }
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_CHECKS = {
    "signature": "签名",
    "registration": "登记信息",
    "responses": "作答记录",
    "receipt": "交卷回执",
    "missed_marks": "漏评",
    "score": "得分复算",
    "tally": "合分",
    "events": "考试过程记录",
}
_GROUNDS = {"missed_marks": "漏评", "tally": "合分", "registration": "登分", "violations": "违纪认定"}
_STATES = {"filed": "已受理,待核查", "checked": "已核查,待答复", "answered": "已答复"}
_RESULTS = {"graded": "已评分", "pending_assessor": "待考评员评分", "absent": "缺考", "void": "作废"}
_SUBJECTS = {"theory": "理论知识", "skill": "操作技能", "review": "综合评审"}
_LEVELS = {1: "高级技师", 2: "技师", 3: "高级工", 4: "中级工", 5: "初级工"}
_NOT_REVIEWED = "复核只核查漏评、合分、登分及考试过程记录,不对答案评判尺度重新评价。"
_DIFFERS = "核查发现不一致,成绩未作更改;如属答案有误,应按重评程序办理。"
_AGREES = "核查未发现不一致,成绩维持不变。"


def report(review: Mapping[str, Any], card: Mapping[str, Any]) -> str:
    """`review`: the members of the JSON answer; `card`: candidate and exam."""
    result = review["result"]
    passed = {True: "合格", False: "不合格", None: "—"}[result["passed"]]
    level = f"{card['level']} 级({_LEVELS.get(card['level'], '')})"
    subject = f"{card['occupation']} {level} {_SUBJECTS.get(card['subject'], card['subject'])}"
    rows = [
        ("姓名", card["name"]),
        ("准考证号", review["admission_ticket"]),
        ("考生编号", review["candidate_id"]),
        ("考试批次", f"{card['title']}({review['batch_id']})"),
        ("职业、等级、科目", subject),
        ("考试时间", _moment(card["starts_ms"])),
        ("考点、考场、机位", f"{card['site']} {card['room']} {card['seat']}"),
        ("应试编号", review["sitting_id"]),
        ("复核的成绩", f"第 {review['revision']} 版,{_RESULTS[result['state']]},{_score(result['score'])},{passed}"),
    ]
    request = [
        ("申请人", "考生本人" if review["requested_by"] == "candidate" else review["requested_by"]),
        ("申请时间", _moment(review["requested_ms"])),
        ("复核事项", "、".join(_GROUNDS[ground] for ground in review["grounds"])),
        ("申请说明", review["text"] or "—"),
        ("答复期限", _moment(review["due_ms"] - 1) + ("(已逾期)" if review["is_overdue"] else "")),
        ("状态", _STATES[review["state"]]),
    ]
    return "".join(
        (
            '<!DOCTYPE html>\n<html lang="zh-CN"><head><meta charset="utf-8"><title>成绩复核报告</title>',
            f"<style>{_STYLE}</style></head><body><h1>成绩复核报告</h1>",
            _table(rows),
            "<h2>申请</h2>",
            _table(request),
            "<h2>核查结果</h2>",
            _findings(review),
            "<h2>答复</h2>",
            _answer(review),
            '<p class="sign"><span>复核人(签字):</span><span>单位(盖章):</span><span>日期:</span></p></body></html>\n',
        )
    )


def _findings(review: Mapping[str, Any]) -> str:
    if review["findings"] is None:
        return "<p>尚未核查。</p>"
    verdicts = {True: "<td>一致</td>", False: '<td class="difference">不一致</td>'}
    lines = "".join(
        f"<tr><th>{escape(_CHECKS.get(finding['check'], finding['check']))}</th>"
        f"{verdicts[finding['ok']]}<td>{escape(finding['detail_zh'])}</td></tr>"
        for finding in review["findings"]
    )
    conclusion = _AGREES if review["ok"] else _DIFFERS
    return f"<table>{lines}</table><p>核查时间:{_moment(review['checked_ms'])}。{conclusion}{_NOT_REVIEWED}</p>"


def _answer(review: Mapping[str, Any]) -> str:
    given = review["answer"]
    if given is None:
        return "<p>尚未答复。</p>"
    return _table(
        [("答复人", given["answered_by"]), ("答复时间", _moment(given["answered_ms"])), ("答复", given["text"])]
    )


def _table(rows: list[tuple[str, str]]) -> str:
    cells = (f'<tr><th>{escape(name)}</th><td class="words">{escape(str(text))}</td></tr>' for name, text in rows)
    return f"<table>{''.join(cells)}</table>"


def _score(score: float | None) -> str:
    return "无成绩" if score is None else f"{score} 分"


def _moment(instant_ms: int) -> str:
    return datetime.datetime.fromtimestamp(instant_ms / 1000, CHINA).strftime("%Y-%m-%d %H:%M:%S")
