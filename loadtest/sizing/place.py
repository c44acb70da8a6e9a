"""On what a load test ran: machine, versions, configuration. No host name and no secret is among them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtest.own_engine import ROOT

_PROC = Path("/proc")
_LIBRARIES = ("locust", "gevent", "aiohttp", "uvloop", "hdrhistogram")


def machine() -> dict[str, str]:
    """What it is made of."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", _read(_PROC / "cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", _read(_PROC / "meminfo"), re.MULTILINE)
    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "cpu": cpu[1].strip() if cpu else "unknown",
        "cores": str(os.cpu_count() or 1),
        "memory_gib": f"{int(memory[1]) / 2**20:.1f}" if memory else "unknown",
    }


def versions(openapi: Mapping[str, Any], processes: Mapping[str, int]) -> dict[str, str]:
    """Of the engine, as its API says; of what is here; of servers whose programs we can see."""
    found = {"engine": str(openapi.get("info", {}).get("version", "unknown")), "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    if commit := _said(["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]):
        dirty = _said(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"])
        found["commit"] = commit + (" and changes" if dirty else "")
    for server, pid in processes.items():
        if server in ("postgres", "redis") and (said := _said([f"/proc/{pid}/exe", "--version"])):
            found[{"postgres": "postgresql"}.get(server, server)] = said
    return found


def _said(command: list[str]) -> str:
    if not command[0].startswith("/") and shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else ""


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""
