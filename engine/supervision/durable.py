"""Files that a power loss cannot take back or tear: synced themselves, and their names in their folder with them."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Readers see the old content or the new one, after a power loss too; nobody but us may read it."""
    making = path.with_name(f".{path.name}.{os.getpid()}")
    making.unlink(missing_ok=True)
    with open(os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as held:
        held.write(text)
        held.flush()
        os.fsync(held.fileno())
    making.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Names made, renamed or deleted in `folder` stay so: syncing a file does not sync its name."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as fault:
        if fault.errno not in (errno.EINVAL, errno.EBADF):  # a file system that has no such thing
            raise
    finally:
        os.close(handle)
