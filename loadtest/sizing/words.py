"""What the report says, in both languages. A name that is not here is shown as it came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from loadtest.judge import FAILURES
from loadtest.sizing.measure import OUTSIDE
from loadtest.sizing.outcome import Text, Word
from loadtest.sizing.plan import PhaseName

VERDICTS: Mapping[Word, Text] = {
    Word.PASS: Text(zh="通过", en="this tier holds"),
    Word.FAIL: Text(zh="未通过", en="this tier does not hold"),
    Word.VOID: Text(zh="无效", en="nothing was measured"),
}
MEANINGS: Mapping[Word, Text] = {
    Word.PASS: Text(zh="判定的每项指标都达标。", en="Every criterion that was judged holds."),
    Word.FAIL: Text(
        zh="至少一项指标未达标，或有答案、成绩不正确。原因如下。",
        en="At least one criterion does not hold, or an answer or a score is not right, for the reasons below.",
    ),
    Word.VOID: Text(
        zh="由于下列原因，测得的数字不能说明引擎如何：既不是通过，也不是未通过。请排除原因后重测。",
        en="For the reasons below these figures say nothing of the engine: it has neither passed nor failed. Repeat "
        "the test without them.",
    ),
}
SIGNS: Mapping[Word, str] = {Word.PASS: "✓", Word.FAIL: "✗", Word.VOID: "?"}
PHASES: Mapping[str, Text] = {
    PhaseName.CHECK_IN: Text(zh="登录与候考", en="Check-in"),
    "paper": Text(zh="密封试卷下载", en="Sealed papers"),  # judged beside check-in
    PhaseName.START: Text(zh="开考", en="Start"),
    PhaseName.STEADY: Text(zh="设计峰值", en="Design peak"),
    PhaseName.STRESS: Text(zh="两倍峰值", en="Twice the peak"),
    PhaseName.RECONNECT: Text(zh="全员断线重连", en="All reconnect"),
    PhaseName.LATE: Text(zh="后段与提前交卷", en="Late, early hand-ins"),
    PhaseName.DEADLINE: Text(zh="收卷", en="Deadline"),
    PhaseName.GRADING: Text(zh="阅卷", en="Grading"),
    PhaseName.PULL: Text(zh="成绩拉取", en="Results pulled"),
    "exam": Text(zh="整场考试", en="The whole exam"),
    OUTSIDE: Text(zh="各阶段之外", en="Outside every phase"),  # only where something went wrong there
}
OPERATIONS: Mapping[str, Text] = {
    "page": Text(zh="打开页面", en="Open the page"),
    "login": Text(zh="登录", en="Log in"),
    "confirm": Text(zh="确认信息", en="Confirm own data"),
    "pledge": Text(zh="签署承诺", en="Pledge"),
    "sealed": Text(zh="下载密封试卷", en="Fetch the sealed paper"),
    "channel": Text(zh="打开通道", en="Open the channel"),
    "key": Text(zh="开考至收到试卷密钥", en="From the start to the paper key"),
    "save": Text(zh="保存：自发出至确认（闭环）", en="Save, from sending to acknowledged (closed loop)"),
    "save_intended": Text(
        zh="保存：自应发时刻至确认（开环）", en="Save, from when it was due to acknowledged (open loop)"
    ),
    "lateness": Text(zh="压力机发出晚于计划", en="Generator later than planned"),
    "reconnect": Text(zh="断线后重新连上", en="Back after a lost connection"),
    "look": Text(zh="查看自己的考试状态", en="Look at the own sitting"),
    "key_asked": Text(zh="主动索取试卷密钥", en="Ask for the paper key"),
    "submit": Text(zh="交卷", en="Hand in"),
    "receipt": Text(zh="取回执", en="Fetch the receipt"),
    "closing": Text(zh="截止加宽限后至收卷回执", en="From end and grace to the collected receipt"),
    "push": Text(zh="推送批次（后台）", en="Push a batch (background)"),
    "pull": Text(zh="拉取成绩（后台）", en="Pull results (background)"),
}
ACCOUNT: Mapping[str, Text] = {
    "candidates": Text(zh="名单人数", en="On the roster"),
    "submitted": Text(zh="主动交卷", en="Handed in"),
    "collected": Text(zh="到时收卷", en="Collected at the end"),
    "absent": Text(zh="缺考", en="Absent"),
    "graded": Text(zh="已出成绩", en="Graded"),
    "undelivered": Text(
        zh="考生离场时仍未得到确认的更改", en="Changes without an acknowledgement when their candidate left"
    ),
    "lost": Text(zh="已确认却丢失、变旧或被改的答案", en="Acknowledged answers missing, older or altered"),
    "foreign": Text(zh="无人发送却存在的答案", en="Stored answers that nobody sent"),
    "wrong_scores": Text(zh="错误的成绩", en="Wrong scores"),
    "wrong_marks": Text(zh="错误的单题得分", en="Wrong marks of single items"),
    "wrong_states": Text(zh="错误的最终状态或人数", en="Wrong final states or counts"),
    "bad_receipts": Text(zh="缺失、签名不符或内容不符的回执", en="Receipts missing, unsigned, or of other answers"),
    "bad_signatures": Text(zh="签名不符的成绩", en="Results with a signature that does not hold"),
    "disagreeing_results": Text(zh="两种取法不一致的成绩", en="Results that differ between pages and NDJSON"),
    "failed_candidates": Text(zh="被挡在外或中途停下的考生", en="Candidates kept out or stopped"),
}
MUST_BE_NONE = frozenset(FAILURES)
ROLES: Mapping[str, Text] = {
    "engine": Text(zh="引擎工作进程", en="engine's workers"),
    "recorder": Text(zh="记录进程", en="recorder"),
    "grader": Text(zh="阅卷进程", en="grader"),
    "courier": Text(zh="推送进程", en="courier"),
    "sealer": Text(zh="密封进程", en="sealer"),
    "Redis": Text(zh="Redis", en="Redis"),
    "PostgreSQL": Text(zh="PostgreSQL", en="PostgreSQL"),
    "supervisor": Text(zh="监管进程", en="supervisor"),
}
KINDS: Mapping[str, Text] = {
    "swarm": Text(zh="闭环压力机（Locust）", en="closed-loop generator (Locust)"),
    "openloop": Text(zh="开环压力机", en="open-loop generator"),
}


def place(name: str, order: Iterable[str]) -> tuple[int, str]:
    """To sort by: as in `order`, strangers last by their names."""
    known = list(order)
    return (known.index(name) if name in known else len(known), name)


def phase(name: str) -> Text:
    return PHASES.get(name) or as_is(name)


def operation(name: str) -> Text:
    return OPERATIONS.get(name) or as_is(name)


def role(name: str) -> Text:
    return ROLES.get(name) or as_is(name)


def generator(name: str) -> Text:
    """`swarm-0`: by its kind and number."""
    kind, _, index = name.partition("-")
    known = KINDS.get(kind)
    return Text(zh=f"{known.zh} {index}".strip(), en=f"{known.en} {index}".strip()) if known else as_is(name)


def account(name: str) -> Text:
    return ACCOUNT.get(name) or as_is(name)


def as_is(name: str) -> Text:
    return Text(zh=name, en=name)
