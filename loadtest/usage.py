"""CPU time and memory of process trees, as the kernel counts them. Linux only: it reads `/proc`."""

from __future__ import annotations

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") / 1024
PROC = Path("/proc")
_STAT = re.compile(rb"\d+ \(.*\) ", re.DOTALL)  # the name may hold spaces and brackets


def cpu_s(pid: int, children: Mapping[int, list[int]] | None = None) -> float:
    """Seconds of CPU that a process, its children and the children it has buried have used."""
    total_ticks = 0
    children = children_of_all() if children is None else children
    left = [pid]
    while left:
        one = left.pop()
        fields = _stat(one)
        if fields:
            total_ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
        left += children.get(one, [])
    return total_ticks * TICK_S


def by_role(processes: Mapping[str, int]) -> dict[str, float]:
    """Seconds of CPU by role: `worker-0` and `worker-1` are both `engine`."""
    used: dict[str, float] = defaultdict(float)
    children = children_of_all()
    for name, pid in processes.items():
        used[role_of(name)] += cpu_s(pid, children)
    return dict(used)


def memory_by_role(processes: Mapping[str, int]) -> dict[str, float]:
    """MiB in RAM by role, children included; what several processes share counts once (PSS) where we may look."""
    held: dict[str, float] = defaultdict(float)
    children = children_of_all()
    for name, pid in processes.items():
        left = [pid]
        while left:
            one = left.pop()
            left += children.get(one, [])
            with contextlib.suppress(OSError):  # it has ended
                held[role_of(name)] += _proportional_kib(one) / 1024
    return dict(held)


def _proportional_kib(pid: int) -> float:
    try:
        rollup = (PROC / str(pid) / "smaps_rollup").read_text("ascii")
    except PermissionError:
        return resident_kib(pid)
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    return float(found[1]) if found else resident_kib(pid)


def role_of(name: str) -> str:
    stem = name.partition("-")[0]
    return {"worker": "engine", "postgres": "PostgreSQL", "redis": "Redis"}.get(stem, stem)


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {role: max(0.0, used - before.get(role, 0.0)) for role, used in after.items()}


def machine_busy_s() -> float:
    """Seconds that this machine's processors have worked, all together; time that a host took from them included."""
    user, nice, system, _, _, irq, softirq, steal, *_ = map(
        int, (PROC / "stat").read_bytes().split(b"\n")[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) * TICK_S


def resident_kib(pid: int) -> float:
    """Memory of one process that is in RAM."""
    return int((PROC / str(pid) / "statm").read_bytes().split()[1]) * PAGE_KIB


def largest_below_kib(pid: int) -> float:
    """Memory in RAM of the largest process that `pid` or a child of its has started."""
    children = children_of_all()
    waiting, largest = list(children[pid]), 0.0
    while waiting:
        child = waiting.pop()
        waiting += children[child]
        with contextlib.suppress(OSError):  # it has ended
            largest = max(largest, resident_kib(child))
    return largest


def children_of_all() -> dict[int, list[int]]:
    """By the id of their parent."""
    found: dict[int, list[int]] = defaultdict(list)
    for entry in os.listdir(PROC):
        if entry.isdigit():
            fields = _stat(int(entry))
            if fields:
                found[int(fields[1])].append(int(entry))
    return found


def _stat(pid: int) -> list[bytes]:
    """The fields of `/proc/PID/stat` from the state on; none when it is gone."""
    try:
        return _STAT.sub(b"", (PROC / str(pid) / "stat").read_bytes(), count=1).split()
    except OSError:
        return []
