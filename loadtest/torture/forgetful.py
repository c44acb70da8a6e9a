"""A FUSE file system that forgets on command what was never fsynced.

    python -m loadtest.torture.forgetful BACKING MOUNT

Everything passes through to BACKING/live at once, so that reading is plain and fast; what it takes to undo the
unsynced part is kept in memory (`unsynced.py`). It ends by SIGTERM. If BACKING/lose then holds a seed, the power was
lost: the unsynced part is taken back (without a number in it: wholly), and BACKING/lost tells how much. Otherwise it
was an orderly unmount, and everything stays.

A deleted file that is still open can be read and written, not asked for its size: the kernel asks by name only.

One thread: what happens, happens in one order, and stopping the process (SIGSTOP) stops the disk at one instant.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import mfusepy  # type: ignore[import-untyped]

from loadtest.torture.unsynced import Unsynced

# The kernel may remember names and attributes: nobody but it changes the tree.
REMEMBERED_S = 3600
_SYNCING = os.O_SYNC | os.O_DSYNC


class Forgetful(mfusepy.Operations):  # type: ignore[misc]
    """The operations, each as the kernel asks for it; paths begin with `/` at the mount."""

    use_ns = True

    def __init__(self, live: str, attic: str) -> None:
        self._live = live
        self._unsynced = Unsynced(attic)
        self._syncing: set[int] = set()  # handles whose every write is a sync
        self.was_mounted = False

    def init(self, path: str) -> None:
        self.was_mounted = True

    def lose(self, seed: int | None) -> dict[str, Any]:
        """After the end of the session only."""
        return dataclasses.asdict(self._unsynced.lose(self._live, seed))

    def _at(self, path: str) -> str:
        return self._live + path

    # --- attributes --------------------------------------------------------------------------------------------

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        found = os.fstat(fh) if fh else os.lstat(self._at(path))
        return {
            "st_mode": found.st_mode,
            "st_ino": found.st_ino,
            "st_nlink": found.st_nlink,
            "st_uid": found.st_uid,
            "st_gid": found.st_gid,
            "st_size": found.st_size,
            "st_blocks": found.st_blocks,
            "st_blksize": found.st_blksize,
            "st_atime": found.st_atime_ns,
            "st_mtime": found.st_mtime_ns,
            "st_ctime": found.st_ctime_ns,
        }

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(self._at(path), mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        os.chown(self._at(path), uid, gid, follow_symlinks=False)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        if times is None:
            os.utime(self._at(path), follow_symlinks=False)
        else:
            os.utime(self._at(path), ns=times, follow_symlinks=False)

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._at(path))
        names = (
            "f_bsize",
            "f_frsize",
            "f_blocks",
            "f_bfree",
            "f_bavail",
            "f_files",
            "f_ffree",
            "f_favail",
            "f_namemax",
        )
        return {name: getattr(found, name) for name in names}

    # --- bytes -------------------------------------------------------------------------------------------------

    def open(self, path: str, flags: int) -> int:
        # Readable whatever was asked: the bytes before a write are read through it. Where an appended write goes, the
        # kernel has already said.
        is_reading = flags & os.O_ACCMODE == os.O_RDONLY
        handle = os.open(self._at(path), os.O_RDONLY if is_reading else os.O_RDWR)
        if flags & os.O_TRUNC and not is_reading:
            self._unsynced.before_truncate(handle, 0)
            os.ftruncate(handle, 0)
        if flags & _SYNCING:
            self._syncing.add(handle)
        return handle

    def create(self, path: str, mode: int, flags: int) -> int:
        handle = os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        self._give(path)
        self._unsynced.made(self._at(path), is_new_file=True)
        if flags & _SYNCING:
            self._syncing.add(handle)
        return handle

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, content: bytes, offset: int, fh: int) -> int:
        self._unsynced.before_write(fh, offset, len(content))
        written = os.pwrite(fh, content, offset)
        if fh in self._syncing:
            self._unsynced.synced(fh)
        return written

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        handle = fh or os.open(self._at(path), os.O_RDWR)
        try:
            self._unsynced.before_truncate(handle, length)
            os.ftruncate(handle, length)
        finally:
            if not fh:
                os.close(handle)

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        self._unsynced.synced(fh)

    def release(self, path: str, fh: int) -> None:
        self._syncing.discard(fh)
        os.close(fh)

    # --- names -------------------------------------------------------------------------------------------------

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        with os.scandir(self._at(path)) as entries:
            found = [(entry.name, entry.inode(), entry.stat(follow_symlinks=False).st_mode) for entry in entries]
        own = stat.S_IFDIR
        listed = [(".", 0, own), ("..", 0, own), *found]
        return [(name, {"st_ino": number, "st_mode": mode}, 0) for name, number, mode in listed]

    def fsyncdir(self, path: str, datasync: int, fh: int) -> None:
        self._unsynced.synced_folder(self._at(path))

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(self._at(path), mode)
        self._made(path)

    def mknod(self, path: str, mode: int, device: int) -> None:
        os.mknod(self._at(path), mode, device)
        self._made(path)

    def symlink(self, path: str, target: str) -> None:
        os.symlink(target, self._at(path))
        self._made(path)

    def link(self, path: str, existing: str) -> None:
        os.link(self._at(existing), self._at(path), follow_symlinks=False)
        self._unsynced.made(self._at(path))

    def readlink(self, path: str) -> str:
        return os.readlink(self._at(path))

    def unlink(self, path: str) -> None:
        self._unsynced.before_remove(self._at(path))
        self._try(lambda: os.unlink(self._at(path)))

    def rmdir(self, path: str) -> None:
        self._unsynced.before_remove_folder(self._at(path))
        self._try(lambda: os.rmdir(self._at(path)))

    def rename(self, old: str, new: str) -> None:
        self._unsynced.before_rename(self._at(old), self._at(new))
        self._try(lambda: os.rename(self._at(old), self._at(new)))

    def _made(self, path: str) -> None:
        self._give(path)
        self._unsynced.made(self._at(path))

    def _give(self, path: str) -> None:
        """What another user makes is that user's."""
        uid, gid, _ = mfusepy.fuse_get_context()
        if (uid, gid) != (os.geteuid(), os.getegid()):
            os.chown(self._at(path), uid, gid, follow_symlinks=False)

    def _try(self, change: Any) -> None:
        try:
            change()
        except OSError:
            self._unsynced.did_not_happen()
            raise


def main(backing: Path, mount: Path) -> int:
    """Serve until SIGTERM or an unmount; then forget, if told so. Exit 1 when the mount is refused."""
    live, attic = backing / "live", backing / "attic"
    try:
        live.mkdir(parents=True, exist_ok=True)
        attic.mkdir(exist_ok=True)
    except OSError as fault:
        sys.stderr.write(f"forgetful: {fault}\n")
        return 1
    for left in attic.iterdir():
        left.unlink()  # of an earlier mount that was killed: its memory is gone, everything it had stays
    os.umask(0)
    operations = Forgetful(str(live), str(attic))
    try:
        _serve(operations, mount)
    except RuntimeError as fault:  # an end by signal counts as one for libfuse
        if not operations.was_mounted:
            sys.stderr.write(f"forgetful: FUSE does not mount {mount}: libfuse ended with {fault}\n")
            return 1
    with contextlib.suppress(FileNotFoundError):
        seed = (backing / "lose").read_text().strip()
        (backing / "lost").write_text(json.dumps(operations.lose(int(seed) if seed else None)))
        (backing / "lose").unlink()
    return 0


def _serve(operations: Forgetful, mount: Path) -> None:
    options: dict[str, Any] = {"kernel_cache": True, "use_ino": True, "hard_remove": True, "default_permissions": True}
    if os.geteuid() == 0:
        options["allow_other"] = True  # PostgreSQL drops root's powers before it opens its files
    timeouts = {"entry_timeout": REMEMBERED_S, "attr_timeout": REMEMBERED_S}
    mfusepy.FUSE(operations, str(mount), foreground=True, nothreads=True, fsname="forgetful", **timeouts, **options)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m loadtest.torture.forgetful BACKING MOUNT")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        sys.stderr.write(f"forgetful: {os.strerror(errno.ENODEV)}: /dev/fuse cannot be opened here\n")
        sys.exit(1)
    sys.exit(main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute()))
