"""The data folder of an embedded engine: whose it is, which servers made it, what lies where.

| below the folder | what |
|---|---|
| lock | pid of the supervisor; locked as long as any of its processes lives |
| versions.json | the servers that wrote the data |
| postgres/ redis/ | the servers' own |
| secrets/ | key files, and api-keys.json |
| sockets/ | the servers' unix sockets, unless the path is too long for them |
| logs/ metrics/ | one log per process; counters of the present run |
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from engine.supervision import embedded
from engine.supervision.binaries import Binary
from engine.supervision.durable import sync_folder, write_atomically

LEFTOVERS_WAIT_S = 8.0  # PostgreSQL may still be writing its checkpoint after its supervisor was killed


class DataFault(Exception):
    """The folder cannot be used; the message names it and why."""


def open_folder(data: Path) -> int:
    """Make the folder and its parts and take its lock; returns the lock's descriptor, which children inherit.

    Raises DataFault when another supervisor runs on it, or when it is not ours.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Valkey would make its sub-folder itself but never syncs the name: a power loss may take it with all it holds.
        for part in ("redis", "redis/appendonlydir", "secrets", "logs"):
            (data / part).mkdir(mode=0o700, exist_ok=True)
        # What the servers and we put there is synced; the folders that lead to it must be, too.
        sync_folder(data / "redis")
        sync_folder(data)
        with contextlib.suppress(PermissionError):  # a parent that may be entered but not read
            sync_folder(data.parent)
        lock = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise DataFault(f"data folder {data}: {fault.strerror} ({fault.filename}); name another: --data DIR") from None
    try:
        _take(lock, data)
    except DataFault:
        os.close(lock)
        raise
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _take(lock: int, data: Path) -> None:
    until = time.monotonic() + LEFTOVERS_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            pid = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
            if pid.isdigit() and _runs(int(pid)):
                raise DataFault(f"data folder {data} is in use by another engine, process {pid}") from None
            # The supervisor was killed: its processes are ending on their own.
            if time.monotonic() > until:
                raise DataFault(f"data folder {data}: processes of a killed engine ({pid}) still hold it") from None
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def check_versions(data: Path, postgres: Binary, redis: Binary) -> None:
    """Refuse data that these servers cannot read; note these servers otherwise. Raises DataFault."""
    made_by = embedded.postgres_major_of(data / "postgres")
    if made_by is not None and made_by != postgres.major:
        raise DataFault(
            f"data folder {data} was made by PostgreSQL {made_by}, but {postgres.path} is {postgres.major}: "
            "use that version (LIANKAO_PG_BIN=DIR) or another folder (--data DIR)"
        )
    noted = _noted(data)
    writer = noted.get("redis", {"flavour": redis.flavour, "version": []})
    older = tuple(writer["version"][:1]) > redis.version[:1]
    if older or (writer["flavour"], redis.flavour) == ("valkey", "redis"):
        version = ".".join(map(str, writer["version"]))
        raise DataFault(
            f"data folder {data} was written by {writer['flavour']} {version}, which {redis.path} "
            f"({redis.flavour} {'.'.join(map(str, redis.version))}) may not read: "
            "use that version (LIANKAO_REDIS_BIN=FILE) or another folder (--data DIR)"
        )
    servers = {
        "postgres": {"major": postgres.major, "version": list(postgres.version)},
        "redis": {"flavour": redis.flavour, "version": list(redis.version)},
    }
    write_atomically(data / "versions.json", json.dumps(servers, indent=1) + "\n")


def _noted(data: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((data / "versions.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as fault:
        raise DataFault(f"{data / 'versions.json'} cannot be read: {fault}") from None
    return found


def check_owner(data: Path) -> None:
    """PostgreSQL insists on owning its files. Raises DataFault naming the owner."""
    folder = data / "postgres"
    expected = embedded.postgres_identity().uid or os.geteuid()
    if folder.exists() and folder.stat().st_uid != expected:
        raise DataFault(
            f"{folder} belongs to user id {folder.stat().st_uid}, expected {expected}: "
            "run as that user or use another folder (--data DIR)"
        )


def clear_leftovers(data: Path, sockets: Path) -> None:
    """Remove what a killed run left: PostgreSQL's pid and lock files and the counters. Only while holding the lock."""
    # Holding the lock proves that no process of an earlier run lives. Its pid may by now belong to anything (after
    # a restart of the box, or in a container), and PostgreSQL would then refuse to start for ever.
    pid_file = data / "postgres" / "postmaster.pid"
    if pid_file.exists() and not _is_postgres(pid_file):
        pid_file.unlink()
    for leftover in (sockets / "pg").glob(".s.PGSQL.*"):  # nobody but this engine's own server is ever there
        leftover.unlink()
    shutil.rmtree(data / "metrics", ignore_errors=True)
    (data / "metrics").mkdir(mode=0o700)


def _is_postgres(pid_file: Path) -> bool:
    """Somebody may have started the server by hand: then the file is right, and PostgreSQL will say so."""
    try:
        pid = int(pid_file.read_text().split()[0])
        return b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # no /proc here: leave the judgement to PostgreSQL
    except (OSError, ValueError, IndexError):
        return False
