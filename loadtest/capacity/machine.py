"""What the processes of an installation use, as this machine's kernel counts it. Linux: it reads `/proc`.

Not here: engines on other machines, of which only `/metrics` is seen (figures.py of the engine).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from loadtest import usage
from loadtest.capacity.judging import Share

ONE_THREAD_BOUND = 0.9  # of a core: a loop that is busier answers in turns of tens of milliseconds
CORES_BOUND = 0.9
LINK_BOUND = 0.7
GENERATOR_BOUND = 0.7  # as figures.py of the driver has it


class Usage(Struct, frozen=True):
    """At one instant: seconds of CPU by process of the installation, of all cores together, bytes on all links.

    PostgreSQL's processes count one by one (`postgres/PID`): each may fill a core of its own.
    """

    at_s: float
    cpu_s: dict[str, float]
    busy_s: float
    lo_bytes: int
    lo_packets: int
    links: dict[str, int]


def look(processes: Mapping[str, int]) -> Usage:
    """`processes` as a ready file names them; none when only the machine is seen."""
    children = usage.children_of_all()
    cpu: dict[str, float] = {}
    for name, pid in processes.items():
        if usage.role_of(name) == "PostgreSQL":
            for below in (pid, *children.get(pid, [])):
                cpu[f"{name}/{below}"] = usage.cpu_s(below, {})
        else:
            cpu[name] = usage.cpu_s(pid, children)
    lo_bytes, lo_packets, links = _links()
    return Usage(time.monotonic(), cpu, _busy_s(), lo_bytes, lo_packets, links)


def by_role(before: Usage, after: Usage) -> dict[str, float]:
    """Seconds of CPU between two looks."""
    used: dict[str, float] = defaultdict(float)
    for name, cpu_s in after.cpu_s.items():
        used[usage.role_of(name.partition("/")[0])] += max(0.0, cpu_s - before.cpu_s.get(name, 0.0))
    return dict(used)


def shares(before: Usage, after: Usage, busiest: float, generator_cores: float) -> list[Share]:
    """Of every resource between two looks; of the generators the busiest one's share of a core, and all of them."""
    span_s = max(1e-9, after.at_s - before.at_s)
    found: list[Share] = []
    fullest: dict[str, tuple[float, str]] = {}
    for name, cpu_s in after.cpu_s.items():
        used = max(0.0, cpu_s - before.cpu_s.get(name, 0.0)) / span_s
        role = usage.role_of(name.partition("/")[0])
        fullest[role] = max(fullest.get(role, (0.0, "")), (used, name))
    for role in ("engine", "Redis", "recorder", "PostgreSQL"):
        if role in fullest:
            used, name = fullest[role]
            title = "engine core" if role == "engine" else role
            what = "its busiest process" if role == "PostgreSQL" else name
            found.append(Share(title, used, ONE_THREAD_BOUND, f"{what} {used:.0%} of a core"))
    found.append(Share("generator", busiest, GENERATOR_BOUND, f"the busiest {busiest:.0%} of a core"))
    cores = os.cpu_count() or 1
    busy = (after.busy_s - before.busy_s) / span_s
    ours = sum(by_role(before, after).values()) / span_s
    others = others_share(before, after, generator_cores) * cores
    told = f"{busy:.1f} of {cores} cores"
    if after.cpu_s:
        told += f": {ours:.1f} engine and servers, {generator_cores:.1f} generator, {others:.1f} other programs"
    found.append(Share("machine", busy / cores, CORES_BOUND, told))
    for name, moved in after.links.items():
        speed = _bits_per_s(name)
        if speed:
            used = (moved - before.links.get(name, 0)) * 8 / span_s / speed
            found.append(Share("link", used, LINK_BOUND, f"{name} {used:.0%}"))
    return found


def others_share(before: Usage, after: Usage, generator_cores: float) -> float:
    """Of all cores: what neither the installation nor its generators used; 0 where its processes are not known."""
    if not after.cpu_s:
        return 0.0
    span_s = max(1e-9, after.at_s - before.at_s)
    known = sum(by_role(before, after).values()) / span_s + generator_cores
    return max(0.0, (after.busy_s - before.busy_s) / span_s - known) / (os.cpu_count() or 1)


def resident_kib(processes: Mapping[str, int], role: str) -> float:
    """Memory in RAM of all processes of a role."""
    total = 0.0
    for name, pid in processes.items():
        if usage.role_of(name) == role:
            with contextlib.suppress(OSError):
                total += usage.resident_kib(pid)
    return total


def folder_bytes(folder: Path) -> int:
    """Of all files in it; those that vanish meanwhile are not counted."""
    total = 0
    for above, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(above, name)).st_blocks * 512
    return total


def _busy_s() -> float:
    """Of all cores, whoever used them: everything but idle and waiting for disks."""
    fields = [int(field) for field in (usage.PROC / "stat").read_bytes().split(b"\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) * usage.TICK_S


def _links() -> tuple[int, int, dict[str, int]]:
    """(bytes and packets over the loopback, bytes in the fuller direction of every other interface)."""
    lo_bytes = lo_packets = 0
    links = {}
    for line in (usage.PROC / "net" / "dev").read_text().splitlines()[2:]:
        name, _, told = line.partition(":")
        fields = told.split()
        if name.strip() == "lo":
            lo_bytes, lo_packets = int(fields[0]), int(fields[1])
        else:
            links[name.strip()] = max(int(fields[0]), int(fields[8]))
    return lo_bytes, lo_packets, links


def _bits_per_s(interface: str) -> float:
    """As its driver tells it; 0 when it tells none."""
    try:
        return max(0, int((Path("/sys/class/net") / interface / "speed").read_text())) * 1e6
    except (OSError, ValueError):
        return 0.0
