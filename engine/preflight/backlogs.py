"""What waits to be done although nobody sits an exam: recording, laying out, grading, pushing. Pure.

On the day before, everything of earlier exams should be through: what waits tonight is in tomorrow's way.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.preflight.finding import Finding, amber, green, named, red
from engine.rules.limits import RECORDER_LATE_S

RECORDER, GRADER, PUSHES = "recorder", "grader", "pushes"
GRADER_LATE_S = 60  # a closed sitting is graded within seconds
_READ_LOG_ZH, _READ_LOG_EN = "看 recorder 的日志和数据库", "read the recorder's log, look at the database"


def judge_recorder(entries: int, oldest_s: int, unlaid: Sequence[str], unwithdrawn: Sequence[str]) -> list[Finding]:
    """`entries` that wait in all logs and the age of the oldest; batches that Redis does not hold as they stand."""
    found = []
    zh = f"{entries} 条日志等待记录，最旧的 {oldest_s} 秒"
    en = f"log entries that wait to be recorded: {entries}, the oldest for {oldest_s} s"
    if entries and oldest_s > RECORDER_LATE_S:
        found.append(red(RECORDER, zh, en, _READ_LOG_ZH, _READ_LOG_EN))
    if unlaid:
        told = named(unlaid)
        zh_laid, en_laid = (
            f"已启封但还没有在 Redis 中备好：{told}",
            f"armed or changed, and not laid ready in Redis: {told}",
        )
        found.append(red(RECORDER, zh_laid, en_laid, _READ_LOG_ZH, _READ_LOG_EN))
    if unwithdrawn:
        told = named(unwithdrawn)
        zh_left, en_left = f"撤销启封后 Redis 中还有残留：{told}", f"disarmed, and Redis still holds some of it: {told}"
        found.append(red(RECORDER, zh_left, en_left, _READ_LOG_ZH, _READ_LOG_EN))
    return found or [green(RECORDER, zh if entries else "没有积压", en if entries else "nothing waits")]


def judge_grader(waiting: int, oldest_s: int, batches: Sequence[str], *, is_registered: bool) -> list[Finding]:
    """Closed sittings without a result, since when the first of them is closed, and of which batches."""
    do_zh, do_en = "确认 grader 在运行并看它的日志", "see that a grader runs, read its log"
    if not is_registered:
        zh, en = (
            "还没有 grader 登记过公钥：试卷无法入库和评分",
            "no grader has registered its public key: no paper is taken",
        )
        return [red(GRADER, zh, en, do_zh, do_en)]
    if not waiting:
        return [green(GRADER, "没有等待评分的应试", "no sitting waits to be graded")]
    zh = f"{waiting} 份应试等待评分，最旧的 {oldest_s} 秒（{named(batches)}）"
    en = f"{waiting} sittings wait to be graded, the oldest for {oldest_s} s ({named(batches)})"
    if oldest_s > GRADER_LATE_S:
        return [red(GRADER, zh, en, do_zh, do_en)]
    return [green(GRADER, zh, en)]


def judge_pushes(late: Sequence[str], dead: int) -> list[Finding]:
    """Webhooks that wait too long or are disabled, and deliveries given up: no candidate notices, so never red."""
    if late or dead:
        told = "; ".join([*late, *([f"{dead} dead deliveries"] if dead else [])])
        do_zh, do_en = "联系接收方，或重放（手册：results.md）", "talk to the receiver, or replay (results.md)"
        return [
            amber(PUSHES, f"成绩推送受阻：{told}", f"results are not reaching their webhooks: {told}", do_zh, do_en)
        ]
    return [green(PUSHES, "成绩推送没有积压", "no push of results waits")]
