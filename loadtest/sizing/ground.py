"""What a load test stands on: an engine, the line to it, and who counts what goes over it.

With root and an engine of its own there are two network namespaces with one wire between them (loadtest/network.py):
the engine at the near end, generators at the far end, shaped or not, every byte counted by direction. Without, the
loopback's counters tell both directions as one, an upper bound of each. For a foreign engine this machine's interface
to it is counted, whatever else goes over it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from loadtest import network
from loadtest.own_engine import ROOT, own_engine
from loadtest.sizing.criteria import NOTHING
from loadtest.sizing.outcome import Line, Text
from loadtest.sizing.tiers import Tier
from loadtest.sizing.watching import Counters, Processes

WIRE_READY_S = 15.0
NOT_ASKED = Text("未要求 --shaped", "--shaped was not asked for")
MEASURED = Text("带宽只测量,未强制限制", "bandwidth was measured, not enforced")
ELSEWHERE = Text(
    "多数考生由其他机器模拟,其网卡未被统计",
    "most candidates are played on other machines, whose interfaces nobody counted",
)
_COUNTERS = "/proc/thread-self/net/dev"


class GroundFault(Exception):
    """Nothing to stand on; the message says what was asked for and what is missing."""


class Asked(Struct, frozen=True, kw_only=True):
    """What the command line says of engine, line and generators. `machines`: so many others play Locust's candidates;
    they find its master at `bind`, and have `lead_s` to be given the plan."""

    url: str = ""
    keys: Mapping[str, str] = {}
    ready_file: str = ""
    shaped: bool = False
    ui: bool = False
    machines: int = 0
    bind: str = ""
    lead_s: int = 0
    workers: int = 1
    delay_ms: float = 0.0
    loss: float = 0.0
    seed: int = 0


class Ground(Struct, frozen=True, kw_only=True):
    """`url`: as candidates reach it, `near_url`: as machines beside it do. `before`: what a command begins with that
    is to run where candidates are."""

    url: str
    near_url: str
    keys: Mapping[str, str]
    line: Line
    before: list[str]
    counters: Counters | None
    is_both_ways: bool
    why_no_traffic: Text
    processes: Processes | None
    is_own: bool


@contextlib.contextmanager
def ground(tier: Tier, asked: Asked) -> Iterator[Ground]:
    """Everything is gone afterwards. Raises GroundFault, or EngineMissing where an own engine does not start."""
    with contextlib.ExitStack() as held:
        made = _foreign(tier, asked) if asked.url else _own(tier, asked, held)
        if asked.delay_ms or asked.loss:
            made = _slowed(made, asked, held)
        yield made


def dies_with_us() -> list[str]:
    """What a command begins with whose process is to end with ours."""
    return ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


# --- an engine of its own ----------------------------------------------------------------------------------------


def _own(tier: Tier, asked: Asked, held: contextlib.ExitStack) -> Ground:
    if asked.ui:
        why = Text("无法从线路远端访问 Locust 页面", "Locust's own pages could not be reached at the far end of a line")
        return _on_loopback(tier, asked, held, why)
    rates = (tier.up_kbit_per_s, tier.down_kbit_per_s) if asked.shaped else (0, 0)
    try:
        wire = held.enter_context(network.line(*rates))
    except network.NoNetwork as refused:
        return _on_loopback(tier, asked, held, Text(f"无法建立网络命名空间({refused})", str(refused)))
    ready = held.enter_context(own_engine(workers=asked.workers, settings={"LIANKAO_HOST": "0.0.0.0"}))
    port = urllib.parse.urlsplit(ready["url"]).port
    return Ground(
        url=f"http://{network.NEAR.address}:{port}",
        near_url=ready["url"],
        keys=ready["keys"],
        line=_line(tier, asked.shaped, NOTHING if asked.shaped else NOT_ASKED),
        before=wire.at_far_end,
        counters=lambda: _of(wire.traffic()),
        is_both_ways=False,
        why_no_traffic=NOTHING,
        processes=_processes(ready["ready_file"]),
        is_own=True,
    )


def _on_loopback(tier: Tier, asked: Asked, held: contextlib.ExitStack, why: Text) -> Ground:
    ready = held.enter_context(own_engine(workers=asked.workers))
    return Ground(
        url=ready["url"],
        near_url=ready["url"],
        keys=ready["keys"],
        line=_line(tier, False, MEASURED, why),
        before=[],
        counters=lambda: _interface("lo"),
        is_both_ways=True,
        why_no_traffic=NOTHING,
        processes=_processes(ready["ready_file"]),
        is_own=True,
    )


def _line(tier: Tier, is_enforced: bool, *why: Text) -> Line:
    return Line(
        enforced=is_enforced,
        up_kbit_per_s=tier.up_kbit_per_s,
        down_kbit_per_s=tier.down_kbit_per_s,
        why=": ".join(each.en for each in why),
        why_zh="：".join(each.zh for each in why),
    )


def _of(traffic: network.Traffic) -> tuple[int, int]:
    return traffic.up_bytes, traffic.down_bytes


def _processes(ready_file: str) -> Processes:
    def running() -> Mapping[str, int]:
        found: dict[str, int] = json.loads(Path(ready_file).read_text("utf-8"))["processes"]
        return found

    return running


# --- somebody else's ---------------------------------------------------------------------------------------------


def _foreign(tier: Tier, asked: Asked) -> Ground:
    host = urllib.parse.urlsplit(asked.url).hostname or ""
    device, why = _device_to(host)
    if asked.machines:
        device, why = "", ELSEWHERE
    unshaped = Text("引擎不是本测试启动的,线路保持原样", "the engine is not ours, so its line is what it is")
    return Ground(
        url=asked.url,
        near_url=asked.url,
        keys=asked.keys,
        line=_line(tier, False, MEASURED, unshaped),
        before=[],
        counters=(lambda: _interface(device)) if device else None,
        is_both_ways=device == "lo",
        why_no_traffic=why,
        processes=_processes(asked.ready_file) if asked.ready_file else None,
        is_own=False,
    )


def _device_to(host: str) -> tuple[str, Text]:
    """The interface that leads to `host`, or "" and why it cannot be told."""
    try:
        address = socket.getaddrinfo(host, None)[0][4][0]
        told = subprocess.run(["ip", "-json", "route", "get", str(address)], capture_output=True, text=True, timeout=5)
        route: dict[str, Any] = json.loads(told.stdout)[0]
        return str(route["dev"]), NOTHING
    except (OSError, ValueError, LookupError, subprocess.SubprocessError) as fault:
        return "", Text(f"无法确定通往 {host} 的网卡:{fault}", f"the interface to {host} could not be told: {fault}")


def _interface(device: str) -> tuple[int, int]:
    """Bytes that this machine has sent (up) and received (down) on it, headers included; on `lo` both are the same."""
    with open(_COUNTERS) as counters:
        for line in counters:
            name, _, figures = line.partition(":")
            if name.strip() == device:
                found = figures.split()
                return int(found[8]), int(found[0])
    raise KeyError(device)


# --- delay and loss ----------------------------------------------------------------------------------------------


def _slowed(made: Ground, asked: Asked, held: contextlib.ExitStack) -> Ground:
    """The same behind a wire that is slow and loses packets; it stands at the near end."""
    parts = urllib.parse.urlsplit(made.near_url)
    if parts.scheme != "http":
        raise GroundFault("--delay-ms and --loss: only in front of http://…, a certificate would not fit the wire")
    host = urllib.parse.urlsplit(made.url).hostname if made.is_own else "127.0.0.1"
    command = [*dies_with_us(), sys.executable, "-m", "loadtest.sizing.slow_wire"]
    command += ["--to", f"{parts.hostname}:{parts.port or 80}", "--host", str(host), "--seed", str(asked.seed)]
    command += ["--delay-ms", str(asked.delay_ms), "--loss", str(asked.loss)]
    wire = subprocess.Popen(
        command, cwd=ROOT, env=environ(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )
    held.callback(_end, wire)
    assert wire.stdout is not None
    told = wire.stdout.readline().strip()
    if not told.isdigit():
        raise GroundFault(f"the slow wire did not start: exit {wire.poll()}")
    line = Line(
        enforced=made.line.enforced,
        up_kbit_per_s=made.line.up_kbit_per_s,
        down_kbit_per_s=made.line.down_kbit_per_s,
        why=made.line.why,
        why_zh=made.line.why_zh,
        delay_ms=asked.delay_ms,
        loss=asked.loss,
    )
    fields = {name: getattr(made, name) for name in Ground.__struct_fields__}
    return Ground(**{**fields, "url": f"http://{host}:{int(told)}", "line": line})


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def environ() -> dict[str, str]:
    """For a process of ours: found by place, whatever the folder."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("LIANKAO_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
