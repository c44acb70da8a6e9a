"""Full volumes: the servers' folders on small file systems of their own, filled up to the last block, and freed again.

| volume | mounted on | what is on it |
|---|---|---|
| `redis` | `data`/redis | the AOF |
| `postgres` | `data` | PostgreSQL, keys, and everybody's logs and counters |

What a server does then is its own affair: Valkey with `always` ends at the first write that does not fit, and again at
each start; PostgreSQL refuses, or restarts itself when it was writing its log. What is asked for is that nobody is
told `saved` meanwhile, that nothing said before is lost, and that everything comes back by itself with the space.
Needs root (mount); volumes are tmpfs, so that filling costs memory and no disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtest.torture.field import RESTART_PATIENCE_S, Field, NotBack

SIZES_MB = {"redis": 128, "postgres": 640}  # PostgreSQL keeps up to 512 MB of its log
FULL_S = 6.0  # longer than the supervisor's longest pause between two starts
TOP_UP_S = 0.02
BLOCK_BYTES = 4096
READY_POLL_S = 0.1


class NoVolumes(Exception):
    """A small file system cannot be mounted here; the message says why."""


@contextlib.contextmanager
def small_volume(folder: Path, size_mb: int) -> Iterator[None]:
    """A tmpfs of this size on `folder`, gone with its content afterwards. Raises NoVolumes."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        raise NoVolumes(f"a volume of {size_mb} MB on {folder} needs root and mount(8)")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = f"size={size_mb}m,mode=0700"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "volume", folder], capture_output=True, text=True)
    if done.returncode:
        raise NoVolumes(f"a volume of {size_mb} MB cannot be mounted on {folder}: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


class Ballast:
    """A file that takes all the room there is on its folder's volume."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ballast"

    def fill(self) -> int:
        """Take what is left, to the last block; the bytes held now. Somebody may free a block right after."""
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            held = os.fstat(handle).st_size
            piece = 64 * 2**20
            while piece >= BLOCK_BYTES:
                try:
                    os.posix_fallocate(handle, held, piece)
                    held += piece
                except OSError as fault:
                    if fault.errno != errno.ENOSPC:
                        raise
                    os.ftruncate(handle, held)
                    piece //= 2
            return held
        finally:
            os.close(handle)

    def free(self) -> None:
        self._path.unlink(missing_ok=True)


# --- in a campaign ---------------------------------------------------------------------------------------------


class SmallVolumes:
    """The volumes of the table above under a campaign's engine. Raises NoVolumes when they are laid."""

    def __init__(self, sizes_mb: dict[str, int] | None = None) -> None:
        self._sizes_mb = sizes_mb or SIZES_MB

    @contextlib.contextmanager
    def laid(self, data: Path) -> Iterator[None]:
        with contextlib.ExitStack() as mounted:
            for name in ("postgres", "redis"):  # the outermost first
                mounted.enter_context(small_volume(folder_of(data, name), self._sizes_mb[name]))
            yield


def folder_of(data: Path, volume: str) -> Path:
    return data if volume == "postgres" else data / volume


@dataclass(frozen=True)
class FullVolume:
    """One server's volume has no block left for a while; then it has."""

    target: str  # redis, postgres
    full_s: float = FULL_S
    kind = "full_volumes"

    @property
    def name(self) -> str:
        return f"full volume of {self.target}"

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    async def strike(self, field: Field) -> None:
        ballast = Ballast(folder_of(field.data, self.target))
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self.full_s
        try:
            while loop.time() < until_s:
                await asyncio.to_thread(ballast.fill)
                await asyncio.sleep(TOP_UP_S)
        finally:
            ballast.free()
        await until_ready(field)


async def until_ready(field: Field, patience_s: float = RESTART_PATIENCE_S) -> None:
    """Wait until nothing is missing: both stores serve and every partition is there. Raises NotBack."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + patience_s
    while not await asyncio.to_thread(_is_ready, field.url):
        if loop.time() > until_s:
            raise NotBack(f"/readyz of {field.url} missed something {patience_s:.0f} s after the fault was over")
        await asyncio.sleep(READY_POLL_S)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return not json.load(answer)["not_ready"]
    except OSError:
        return False
