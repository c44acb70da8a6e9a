"""Whether there is room for the exam: disks, memory, open files, connections. Pure.

What an exam needs is reckoned generously from its candidates; below that it is red, below a tenth of the disk amber.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from engine.preflight.finding import Finding, amber, counted, green, red

DISKS, MEMORY, FILES, CONNECTIONS = "disks", "memory", "files", "connections"
_MIB, _GIB = 2**20, 2**30
# A candidate who changes 100 items twice: log, history, responses and what PostgreSQL writes ahead of them.
DISK_BYTES_PER_SITTING = 512 * 2**10
DISK_BYTES_BESIDE = 1 * _GIB  # for logs, rewriting the AOF, and what else fills a disk in a weekend
DISK_SHARE_LOW = 0.1
MEMORY_BYTES_PER_SITTING = 64 * 2**10  # a sitting's hash, and its part of a log that nobody records for a while
MEMORY_BYTES_BESIDE = 256 * _MIB
FILES_BESIDE = 1_024  # of a worker: what is no channel
_GROW_ZH, _GROW_EN = "清理或扩容该磁盘", "free or enlarge that disk"


class Disk(Struct, frozen=True, kw_only=True):
    """A file system that this machine can see; `bytes_free` for who is not root."""

    what: str
    path: str
    bytes_all: int
    bytes_free: int


def judge_disk(disk: Disk, sittings: int) -> Finding:
    """`sittings`: of all batches looked at."""
    needed = DISK_BYTES_BESIDE + sittings * DISK_BYTES_PER_SITTING
    share = disk.bytes_free / disk.bytes_all if disk.bytes_all else 0.0
    zh = f"{disk.path} 剩余 {_size(disk.bytes_free)}（{share:.0%}）；{sittings} 人次估计需要 {_size(needed)}"
    en = f"{disk.path} has {_size(disk.bytes_free)} free ({share:.0%}); {sittings} sittings need about {_size(needed)}"
    if disk.bytes_free < needed:
        return red(DISKS, zh, en, _GROW_ZH, _GROW_EN, subject=disk.what)
    if share < DISK_SHARE_LOW:
        return amber(DISKS, zh, en, _GROW_ZH, _GROW_EN, subject=disk.what)
    return green(DISKS, zh, en, subject=disk.what)


def judge_unseen_disk(what: str, why: str) -> Finding:
    """Of a server on another machine, or whose folder this user may not see."""
    zh, en = f"从本机看不到其磁盘（{why}）", f"its disk cannot be seen from here ({why})"
    return amber(DISKS, zh, en, "在该服务器上查看 df -h", "look at it there: df -h", subject=what)


def judge_memory(what: str, bytes_used: int, bytes_most: int, sittings: int) -> Finding:
    """`bytes_most`: maxmemory, or what the machine has where there is none."""
    needed = MEMORY_BYTES_BESIDE + sittings * MEMORY_BYTES_PER_SITTING
    free = bytes_most - bytes_used
    zh = f"已用 {_size(bytes_used)}，上限 {_size(bytes_most)}；{sittings} 人次估计需要 {_size(needed)}"
    en = f"{_size(bytes_used)} of {_size(bytes_most)} used; {sittings} sittings need about {_size(needed)}"
    if free < needed:
        do_zh, do_en = (
            "提高 maxmemory 或增加内存：写满后所有保存都会被拒绝",
            "raise maxmemory or add memory: full means refuse",
        )
        return red(MEMORY, zh, en, do_zh, do_en, subject=what)
    return green(MEMORY, zh, en, subject=what)


def judge_files(node: str, files_max: int, channels: int, workers: int) -> Finding:
    """Open files that one worker may have, against the channels that it will hold when all are spread evenly.

    Twice as many should fit: a worker that is replaced hands its channels to its neighbour.
    """
    each = -(-channels // max(workers, 1))
    zh = f"每个进程可打开 {files_max} 个文件；{channels} 个通道分到 {workers} 个进程，每个约 {each} 个"
    en = f"a worker may open {files_max} files; {channels} channels over {counted(workers, 'worker')} are {each} each"
    do_zh, do_en = (
        "提高 ulimit -n（systemd：LimitNOFILE=65536），再重启",
        "raise ulimit -n (LimitNOFILE=65536), restart",
    )
    if files_max < each + FILES_BESIDE:
        return red(FILES, zh, en, do_zh, do_en, subject=node)
    if files_max < 2 * each + FILES_BESIDE:
        return amber(FILES, zh, en, do_zh, do_en, subject=node)
    return green(FILES, zh, en, subject=node)


def judge_connections(allowed: int, needed: int, in_use_by_others: int) -> Finding:
    """What PostgreSQL lets in besides what it keeps for superusers, against all pools full at once."""
    free = allowed - in_use_by_others
    zh = f"PostgreSQL 允许 {allowed} 个连接，其它程序占用 {in_use_by_others} 个，引擎各连接池最多 {needed} 个"
    en = f"PostgreSQL takes {allowed} connections, others use {in_use_by_others}, the engine's pools may take {needed}"
    if free < needed:
        do_zh, do_en = (
            "提高 max_connections，或减小 LIANKAO_POSTGRES_CONNECTIONS",
            "raise max_connections, or shrink the pools",
        )
        return red(CONNECTIONS, zh, en, do_zh, do_en)
    return green(CONNECTIONS, zh, en)


def connections_needed(pools: Sequence[tuple[int, int]]) -> int:
    """`pools`: of each machine its workers, and the connections of each pool.

    A recorder, a grader and a courier run there, too; a recorder has two small pools beside the usual one.
    """
    return sum((workers + 3) * connections + 2 * 2 for workers, connections in pools)


def _size(count: int) -> str:
    if abs(count) >= _GIB:
        return f"{count / _GIB:.1f} GiB"
    return f"{count / _MIB:.0f} MiB"
