"""What a disk has been told and need not have kept: each change of a folder tree since its last fsync, undoable.

The rules of a power loss, as far as POSIX lets them go:

* **Bytes** are kept by fsync or fdatasync of their file, or by O_SYNC and O_DSYNC. Without, each file by itself keeps
  all, none, or a torn part: of overwritten sectors (512 bytes) any mixture of old and new, of an appended tail any
  prefix.
* **Names** (create, mkdir, unlink, rmdir, rename, link, symlink) are kept by fsync of their directory; fsync of the
  file alone is not enough. Without, they are kept up to some moment and lost after it, in the order in which they
  happened, as a journal does it. A rename is old or new, never both or neither.
* Modes, owners and times are kept at once: nobody's answer depends on them.

Not modelled: sectors that change by themselves, a disk that lies about fsync, zeros behind the last synced byte.
"""

from __future__ import annotations

import contextlib
import os
import random
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

PAGE_BYTES = 4096  # what is remembered of a file at once
SECTOR_BYTES = 512  # what a disk writes whole or not at all; PostgreSQL's control file relies on it


@dataclass
class FileChange:
    """One file since its last sync: its size then, and the pages overwritten since, as they were then."""

    kept_size: int
    pages: dict[int, bytes] = field(default_factory=dict)


@dataclass
class NameChange:
    """One unsynced change of names, and what undoes it. `attic` is where a removed file is kept until then."""

    kind: str  # make, remove, remove_folder, rename
    folders: set[int]  # inode numbers of the directories whose fsync keeps it
    path: str
    new_path: str = ""
    attic: str = ""
    mode: int = 0


@dataclass
class Loss:
    """What a power loss took."""

    files: int = 0
    pages: int = 0
    bytes: int = 0
    names: int = 0


class Unsynced:
    """The memory of one tree. Call the `before_…` methods before the change, the others after it."""

    def __init__(self, attic: str) -> None:
        self._attic = attic
        self._attic_number = 0
        self._files: dict[int, FileChange] = {}  # by inode number
        self._names: list[NameChange] = []

    # --- bytes -------------------------------------------------------------------------------------------------

    def before_write(self, handle: int, offset: int, length: int) -> None:
        """`handle` must be readable: the bytes about to be overwritten are read through it."""
        self._remember(handle, offset, offset + length)

    def before_truncate(self, handle: int, size: int) -> None:
        self._remember(handle, size, None)

    def synced(self, handle: int) -> None:
        self._files.pop(os.fstat(handle).st_ino, None)

    def _remember(self, handle: int, begin: int, end: int | None) -> None:
        found = os.fstat(handle)
        change = self._files.get(found.st_ino)
        if change is None:
            change = self._files[found.st_ino] = FileChange(found.st_size)
        end = change.kept_size if end is None else min(end, change.kept_size)
        if begin >= end:
            return  # behind the synced end: forgetting is cutting
        for page in range(begin // PAGE_BYTES, (end - 1) // PAGE_BYTES + 1):
            if page not in change.pages:
                change.pages[page] = os.pread(handle, PAGE_BYTES, page * PAGE_BYTES)

    # --- names -------------------------------------------------------------------------------------------------

    def made(self, path: str, *, is_new_file: bool = False) -> None:
        """A file, folder, link or socket has come into being at `path`."""
        if is_new_file:
            self._files[os.lstat(path).st_ino] = FileChange(0)  # the number may have been another file's
        self._names.append(NameChange("make", {_folder_of(path)}, path))

    def before_remove(self, path: str) -> None:
        self._names.append(NameChange("remove", {_folder_of(path)}, path, attic=self._put_away(path)))

    def before_remove_folder(self, path: str) -> None:
        mode = stat.S_IMODE(os.lstat(path).st_mode)
        self._names.append(NameChange("remove_folder", {_folder_of(path)}, path, mode=mode))

    def before_rename(self, path: str, new_path: str) -> None:
        attic = ""
        with contextlib.suppress(FileNotFoundError):
            is_folder = stat.S_ISDIR(os.lstat(new_path).st_mode)
            if is_folder:  # an empty one may be replaced; a full one refuses here as it would there
                mode = stat.S_IMODE(os.lstat(new_path).st_mode)
                os.rmdir(new_path)
                self._names.append(NameChange("remove_folder", {_folder_of(new_path)}, new_path, mode=mode))
            else:
                attic = self._put_away(new_path)
        folders = {_folder_of(path), _folder_of(new_path)}
        self._names.append(NameChange("rename", folders, path, new_path, attic))

    def did_not_happen(self) -> None:
        """The change announced last was refused by the file system."""
        self._drop_attic(self._names.pop())

    def synced_folder(self, path: str) -> None:
        number = os.stat(path).st_ino
        unsynced: list[NameChange] = []
        for change in self._names:
            if number not in change.folders:
                unsynced.append(change)
                continue
            self._drop_attic(change)
            if change.kind == "rename":
                _move(unsynced, change.path, change.new_path)
        self._names = unsynced

    def _put_away(self, path: str) -> str:
        self._attic_number += 1
        kept = f"{self._attic}/{self._attic_number}"
        os.link(path, kept, follow_symlinks=False)
        return kept

    def _drop_attic(self, change: NameChange) -> None:
        if change.attic:
            os.unlink(change.attic)

    # --- the power loss ----------------------------------------------------------------------------------------

    def lose(self, root: str, seed: int | None) -> Loss:
        """Undo what was never synced: by chance a part, by the rules above; without a seed all of it.

        Nothing may use the tree meanwhile.
        """
        chance = None if seed is None else random.Random(seed)
        loss = Loss()
        for change in reversed(self._names[_kept_count(len(self._names), chance) :]):
            _undo(change)
            loss.names += 1
        for path, number in _files_below(root):
            change_of_file = self._files.get(number)
            if change_of_file is not None:
                _tear(path, change_of_file, chance, loss)
        self._files.clear()
        for change in self._names:
            with contextlib.suppress(FileNotFoundError):  # it went back to its place
                self._drop_attic(change)
        self._names.clear()
        return loss


def _folder_of(path: str) -> int:
    return os.stat(os.path.dirname(path)).st_ino


def _move(changes: list[NameChange], path: str, new_path: str) -> None:
    """A rename that stays: what was changed before it below that folder now lies elsewhere."""
    for change in changes:
        for name in ("path", "new_path"):
            old = getattr(change, name)
            if old.startswith(path + "/"):
                setattr(change, name, new_path + old[len(path) :])


def _kept_count(count: int, chance: random.Random | None) -> int:
    return chance.choice((0, count, chance.randint(0, count))) if chance else 0


def _undo(change: NameChange) -> None:
    # What was made inside an unsynced folder goes with it; what is no longer there was moved by a synced rename.
    with contextlib.suppress(FileNotFoundError):
        if change.kind == "make":
            _remove_tree(change.path)
        elif change.kind == "remove":
            os.rename(change.attic, change.path)
        elif change.kind == "remove_folder":
            os.mkdir(change.path, change.mode)
        else:
            os.rename(change.new_path, change.path)
            if change.attic:
                os.rename(change.attic, change.new_path)


def _remove_tree(path: str) -> None:
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
        return
    for entry in os.scandir(path):
        _remove_tree(entry.path)
    os.rmdir(path)


def _files_below(root: str) -> Iterator[tuple[str, int]]:
    """Path and inode number of each regular file, in an order that depends on names alone."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            found = os.lstat(path := f"{folder}/{name}")
            if stat.S_ISREG(found.st_mode):
                yield path, found.st_ino


def _tear(path: str, change: FileChange, chance: random.Random | None, loss: Loss) -> None:
    """Take a file back, wholly (`chance` is None, or it falls so) or in part, or not at all."""
    manner = chance.choice(("none", "torn", "all")) if chance else "none"
    if manner == "all":
        return
    torn = chance if manner == "torn" else None
    with open(path, "r+b", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        before = (loss.bytes, loss.pages)
        if torn and size < change.kept_size and torn.random() < 0.5:
            end = size  # the cut was kept
        elif torn and size > change.kept_size:
            end = torn.randint(change.kept_size, size)
        else:
            end = change.kept_size
        loss.bytes += max(0, size - end)
        for page, content in sorted(change.pages.items()):
            loss.pages += _restore(file.fileno(), page, content, size, torn)
        os.ftruncate(file.fileno(), end)
    loss.files += before != (loss.bytes, loss.pages)


def _restore(handle: int, page: int, content: bytes, size: int, torn: random.Random | None) -> bool:
    """Put the old sectors of a page back, all of them or a random part; whether any was."""
    restored = False
    for at in range(0, len(content), SECTOR_BYTES):
        place = page * PAGE_BYTES + at
        # A sector that the file no longer has whole comes back with the size, or is cut off again.
        if not torn or place + SECTOR_BYTES > size or torn.random() < 0.5:
            os.pwrite(handle, content[at : at + SECTOR_BYTES], place)
            restored = True
    return restored
