"""Power loss: a data folder on a disk that forgets, every process gone at one instant, the disk as it was kept.

    with ForgetfulDisk(backing, mount) as disk:  # an engine's data folder lies below `mount`
        ...                                      # the engine runs, acknowledges, is written to
        disk.lose_power(pids, seed)              # they are gone, the disk is mounted again: start the engine anew

The instant is made by stopping the file system's one thread: no fsync returns any more, so nobody can acknowledge
what is about to be forgotten. Then every process is killed, and only then does the disk go on, to answer the dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtest.own_engine import ROOT
from loadtest.torture.field import CLASSES, Field

MOUNTED_WITHIN_S = 30.0
DEAD_WITHIN_S = 60.0
FORGOTTEN_WITHIN_S = 120.0
_DETACH = 2  # MNT_DETACH of umount2(2)


class NoFuse(Exception):
    """FUSE is not to be had here; the message says what is missing. Never a reason to pass over it in silence."""


def check_fuse() -> None:
    """Raises NoFuse with what is missing on this machine."""
    if not Path("/dev/fuse").exists():
        raise NoFuse("no /dev/fuse: power losses need FUSE (modprobe fuse; in a container --device /dev/fuse)")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise NoFuse("/dev/fuse may not be opened by this user: power losses need FUSE")
    if os.geteuid() != 0 and not shutil.which("fusermount3"):
        raise NoFuse("no fusermount3: power losses need FUSE as an ordinary user (apt install fuse3), or root")


class ForgetfulDisk:
    """A mounted forgetful file system with its process; everything in it survives in `backing`."""

    def __init__(self, backing: Path, mount: Path) -> None:
        self.backing = backing.absolute()
        self.mount_point = mount.absolute()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ForgetfulDisk:
        self.mount()
        return self

    def __exit__(self, *_: object) -> None:
        self.unmount()

    def mount(self) -> None:
        """Returns when the folder is there. Raises NoFuse with what was said."""
        check_fuse()
        self.backing.mkdir(parents=True, exist_ok=True)
        self.mount_point.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "loadtest.torture.forgetful", str(self.backing), str(self.mount_point)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
        with open(self.backing / "log", "ab") as log:
            self._process = subprocess.Popen(
                command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + MOUNTED_WITHIN_S
        while not self.is_mounted():
            if self._process.poll() is not None or time.monotonic() > until:
                self.unmount()
                said = (self.backing / "log").read_text("utf-8", "replace").strip()
                raise NoFuse(f"the forgetful disk was not mounted on {self.mount_point}: {said or 'it said nothing'}")
            time.sleep(0.02)

    def is_mounted(self) -> bool:
        """By the kernel's list: asking the folder itself would wait for a disk that does not answer."""
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        wanted = str(self.mount_point).replace(" ", "\\040")
        return any(line.split()[4] == wanted for line in mounts)

    def unmount(self) -> None:
        """Orderly: everything stays, synced or not. Whoever still has files open there gets errors."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(FORGOTTEN_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self.is_mounted():  # its process was killed
            self._detach()

    def _detach(self) -> None:
        if os.geteuid() == 0:
            ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(self.mount_point), _DETACH)
        else:
            subprocess.run(["fusermount3", "-u", "-z", str(self.mount_point)], check=False)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Nothing is written, nothing is read, no fsync returns. Do not touch the folder meanwhile."""
        assert self._process is not None, "the disk is not mounted"
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def lose_power(self, pids: Iterable[int], seed: int | None) -> dict[str, int]:
        """Kill `pids` at one instant, forget (without a seed: everything unsynced), mount again.

        Returns what was lost: files, pages, bytes, names.
        """
        pids = list(pids)
        with self.stopped():
            for pid in pids:
                _kill(pid)
        wait_until_dead(pids)
        return self.forget(seed)

    def forget(self, seed: int | None) -> dict[str, int]:
        """What was never synced is lost by the rules of `unsynced.py`; then the disk is mounted again."""
        lost = self.backing / "lost"
        lost.unlink(missing_ok=True)
        (self.backing / "lose").write_text("" if seed is None else f"{seed}\n")
        self.unmount()
        if not lost.exists():
            said = (self.backing / "log").read_text("utf-8", "replace")[-2000:]
            raise RuntimeError(f"the forgetful disk {self.backing} ended without forgetting: {said}")
        self.mount()
        told: dict[str, int] = json.loads(lost.read_text())
        return told


# --- in a campaign ---------------------------------------------------------------------------------------------


class ForgetfulGround:
    """A forgetful disk under the whole data folder of a campaign's engine. Raises NoFuse when it is laid."""

    def __init__(self) -> None:
        self.disk: ForgetfulDisk | None = None

    @contextlib.contextmanager
    def laid(self, data: Path) -> Iterator[None]:
        with ForgetfulDisk(data.with_name(data.name + ".disk"), data) as self.disk:
            yield
        self.disk = None


@dataclass(frozen=True)
class PowerLoss:
    """The box loses power, and comes back: everything is killed at once, the disk forgets, the engine is started."""

    ground: ForgetfulGround
    seed: int | None
    kind = "power_losses"
    name = "power loss"
    targets = CLASSES

    async def strike(self, field: Field) -> None:
        disk = self.ground.disk
        assert disk is not None, "the ground was not laid under this engine"
        everything = {pid: None for root in field.all_pids() for pid in tree_of(root)}
        await asyncio.to_thread(disk.lose_power, everything, self.seed)
        await field.start_again()


# --- processes -------------------------------------------------------------------------------------------------


def tree_of(pid: int) -> list[int]:
    """The process and everything below it, parents first."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # gone while we looked
            children.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def wait_until_dead(pids: Iterable[int]) -> None:
    """Raises TimeoutError naming those who live. A zombie, which its parent has not asked about, is dead."""
    until = time.monotonic() + DEAD_WITHIN_S
    alive = list(pids)
    while alive := [pid for pid in alive if _lives(pid)]:
        if time.monotonic() > until:
            raise TimeoutError(f"processes {alive} still live {DEAD_WITHIN_S:.0f} s after SIGKILL")
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
