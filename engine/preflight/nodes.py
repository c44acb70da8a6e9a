"""The nodes and their workers: do they answer, are they ready, are they the same. Pure.

One node that missed an upgrade, or has another machine's keys, fails only its own rooms, and only at the start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from engine.preflight.finding import Finding, amber, counted, green, named, red

NODES, VERSIONS, PORTS, CANARY, TIME_SOURCE = "nodes", "versions", "ports", "canary", "time_source"
# What every worker of a deployment must have in common.
COMMON = ("version", "page", "schema", "partitions", "key_provider", "keys", "published", "redis")
# What `/readyz` names.
READINESS = {
    "worker": "进程正在停止",
    "postgresql": "PostgreSQL 不可用或设置不对",
    "redis": "Redis 不可用或设置不对",
    "partitions": "分区没有建好",
    "recorder": "没有记录，或记录落后",
    "months": "缺少按月分区表",
    "webhooks": "成绩推送受阻",
    "role": "数据库权限过大",
    "clock": "与 Redis 的时钟不一致",
    "open_files": "可打开的文件太少",
    "backlog": "等待队列太短",
    "keep_alive": "空闲连接断开太早",
}
# Of the canary, in loadtest/canary.py's words.
STEPS = {
    "reach": "连接引擎",
    "paper": "推送试卷",
    "batch": "推送批次",
    "roster": "推送名单",
    "arm": "启封",
    "login": "登录",
    "sealed": "取密封试卷",
    "key": "到时取得密钥",
    "save": "保存作答",
    "submit": "交卷",
    "grade": "评分",
    "result": "核对成绩",
}


class Answers(Struct, frozen=True, kw_only=True):
    """What one address said: `/readyz`, and of each worker that was met behind it what it says of itself."""

    url: str
    colour: str
    not_ready: Mapping[str, str]
    warnings: Mapping[str, str]
    workers: Mapping[str, Mapping[str, Any]] = {}  # worker id -> GET /v1/node


def judge_readiness(answers: Answers) -> Finding:
    said = {**answers.not_ready, **answers.warnings}
    zh = "、".join(f"{READINESS.get(name, '')}（{name}）" for name in said)
    en = "; ".join(f"{name}: {why}" for name, why in said.items())
    do_zh, do_en = "按英文所述处理（手册：ops/README.md 的 Health）", "do what it says (ops/README.md, Health)"
    if answers.colour == "red":
        return red(NODES, f"不能接待考生：{zh}", f"takes no candidates: {en}", do_zh, do_en, subject=answers.url)
    if answers.colour == "amber" or said:
        return amber(
            NODES, f"可以接待考生，但：{zh}", f"takes candidates, but: {en}", do_zh, do_en, subject=answers.url
        )
    return green(NODES, "就绪", "ready", subject=answers.url)


def judge_workers(url: str, seen: int, expected: int) -> Finding:
    """How many of the workers behind an address were met; the kernel or a balancer chooses who answers."""
    if seen < expected:
        zh = f"{expected} 个进程中只遇到 {seen} 个：其余的没有检查到"
        en = f"{seen} of {expected} workers answered, however often it was asked: the others were not looked at"
        do_zh, do_en = "看进程是否都在；或逐个地址检查", "see whether all of them run, or name each address"
        return amber(NODES, zh, en, do_zh, do_en, subject=url)
    return green(NODES, f"{seen} 个进程都检查到", f"met {counted(seen, 'worker')}", subject=url)


def judge_hung(url: str, times: int) -> Finding:
    """Somebody took a connection and did not answer, or no packet comes through."""
    zh, en = (
        f"{times} 次请求没有等到应答：有进程卡住，或网络不通",
        f"{counted(times, 'request')} got no answer: a worker hangs, or the line",
    )
    do_zh, do_en = (
        "看各进程的状态和日志，重启卡住的进程",
        "look at the workers and their logs, restart the one that hangs",
    )
    return red(NODES, zh, en, do_zh, do_en, subject=url)


def judge_mute(url: str, fault: str) -> Finding:
    """A worker answers, but does not say what it is."""
    zh, en = f"进程不说明自己的版本和配置：{fault}", f"a worker does not say what it is: {fault}"
    do_zh, do_en = (
        "给出有效的 ops 密钥；旧版本的进程要升级",
        "give a key of scope ops; upgrade a worker of an older release",
    )
    return red(VERSIONS, zh, en, do_zh, do_en, subject=url)


def judge_synchronised(nodes: Sequence[Answers]) -> list[Finding]:
    """Whether the clocks that start exams are themselves kept right: one finding over all machines."""
    told = {
        str(said.get("machine")): (node.url, said["clock_synchronised"])
        for node in nodes
        for said in node.workers.values()
        if "clock_synchronised" in said
    }
    free = sorted({url for url, is_synchronised in told.values() if is_synchronised is False})
    unknown = sorted({url for url, is_synchronised in told.values() if is_synchronised is None})
    do_zh, do_en = "启用 chrony 或 systemd-timesyncd", "set up chrony or systemd-timesyncd"
    if free or unknown:
        zh, en = (
            f"没有授时或不得而知：{named(free + unknown)}",
            f"not kept by NTP, or it cannot be told: {named(free + unknown)}",
        )
        return [amber(TIME_SOURCE, zh, en, do_zh, do_en)]
    if not told:
        return []
    return [green(TIME_SOURCE, f"{len(told)} 台机器的时钟都有授时", f"kept by NTP on {counted(len(told), 'machine')}")]


def judge_silence(url: str, fault: str) -> Finding:
    """Nobody answers at an address of another machine, or whoever does is no engine."""
    zh, en = f"没有引擎应答：{fault}", f"no engine answers: {fault}"
    return red(NODES, zh, en, "启动引擎，检查网络和地址", "start the engine, look at the network", subject=url)


def judge_port(url: str, fault: str) -> Finding:
    """Nobody answers at an address of this machine: can the engine be started there?"""
    if fault:
        do_zh, do_en = "停掉占用者（ss -ltnp），或换端口", "stop who has it (ss -ltnp), or choose another"
        return red(PORTS, f"端口不可用：{fault}", f"the port cannot be used: {fault}", do_zh, do_en, subject=url)
    zh, en = "引擎没有运行；端口空闲，可以启动", "the engine is not up; its port is free"
    return amber(PORTS, zh, en, "启动引擎，再检查一次", "start it, then look again", subject=url)


def judge_port_in_use(url: str) -> Finding:
    return green(PORTS, "由引擎自己占用", "the engine's own", subject=url)


def judge_equal(nodes: Sequence[Answers], here: Mapping[str, Any]) -> list[Finding]:
    """Every worker against every other, and against `here`: this checkout, its settings, its database."""
    found = []
    by_value: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for node in nodes:
        for worker, said in node.workers.items():
            for name, value in _flat({name: said.get(name) for name in COMMON}).items():
                by_value[name][value].append(f"{node.url}#{worker}")
    expected = _flat(here)
    for name, values in by_value.items():
        if set(values) | ({expected[name]} if name in expected else set()) == set(list(values)[:1]):
            continue
        told = "; ".join(f"{value}: {named(workers, 3)}" for value, workers in sorted(values.items()))
        told += f"; here: {expected[name]}" if name in expected else ""
        do_zh, do_en = (
            "把各节点升级、配置成一样，滚动重启",
            "bring all nodes to one release and one configuration, restart",
        )
        found.append(red(VERSIONS, f"{name} 不一致：{told}", f"{name} differs: {told}", do_zh, do_en, subject=name))
    if found:
        return found
    workers = len({worker for node in nodes for worker in node.workers})
    if not workers:
        return []
    told = ", ".join(f"{name} {next(iter(by_value[name]))}" for name in ("version", "page", "schema"))
    return [green(VERSIONS, f"{workers} 个进程一致：{told}", f"{counted(workers, 'worker')} alike: {told}")]


def judge_unattested() -> Finding:
    """Nobody gave the key with which workers tell what they are."""
    zh, en = (
        "没有 ops 密钥：各进程的版本、密钥和时钟未检查",
        "no key of scope ops: versions, keys and clocks of workers unseen",
    )
    return amber(
        VERSIONS,
        zh,
        en,
        "给出 --ops-key（./run key create --scope ops）",
        "give --ops-key (./run key create --scope ops)",
    )


def judge_sealed(url: str, papers: int, faults: Sequence[str]) -> Finding:
    """The sealed papers of armed batches as this address hands them out."""
    if faults:
        zh, en = (
            f"密封试卷取不到或不对：{named(faults)}",
            f"sealed papers are not to be had, or others: {named(faults)}",
        )
        do_zh, do_en = (
            "检查该节点、它的 Redis 地址和中间的缓存",
            "look at that node, at its Redis, and at caches in between",
        )
        return red(VERSIONS, zh, en, do_zh, do_en, subject=url)
    zh, en = f"{papers} 份密封试卷逐字节相符", f"{counted(papers, 'sealed paper')} byte for byte"
    return green(VERSIONS, zh, en, subject=url)


def judge_canary(url: str, outcome: Mapping[str, Any]) -> Finding:
    """`outcome` as loadtest/canary.py tells it."""
    batch = outcome.get("batch_id", "")
    if outcome["fault"]:
        zh = f"探路考生在“{STEPS[outcome['step']]}”一步失败：{outcome['fault']}（批次 {batch}）"
        en = f"the canary failed at {outcome['step']!r}: {outcome['fault']} (batch {batch})"
        do_zh, do_en = (
            "看该步骤所在进程的日志，修好后再检查一次",
            "read the log of the part that step is for, look again",
        )
        return red(CANARY, zh, en, do_zh, do_en, subject=url)
    score, seconds = outcome["score"], outcome["seconds"]
    zh = f"探路考生走完全程：得分 {score} 如预期，签名有效，{seconds} 秒（批次 {batch}）"
    en = f"the canary went all the way: scored {score} as known, signature valid, {seconds} s (batch {batch})"
    return green(CANARY, zh, en, subject=url)


def judge_no_canary(why_zh: str, why_en: str) -> Finding:
    do_zh, do_en = (
        "考前至少派一次：给出 schedule 和 results 的密钥",
        "send one before the exam: keys of schedule and results",
    )
    return amber(CANARY, f"没有派探路考生：{why_zh}", f"no canary was sent: {why_en}", do_zh, do_en)


def _flat(said: Mapping[str, Any]) -> dict[str, str]:
    """Key files each by its name: which one is another is what has to be known."""
    found: dict[str, str] = {}
    for name, value in said.items():
        found |= {each: str(one) for each, one in value.items()} if isinstance(value, Mapping) else {name: str(value)}
    return found
