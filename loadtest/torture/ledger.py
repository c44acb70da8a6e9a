"""A client's ledger: what it sent and what it was told, on disk before the client may act on it. Append only.

JSON lines, one file per client process, told apart by `k`; instants twice, `ms` of the wall clock and `ns` of the
machine's monotonic clock, which orders the lines of all processes of one machine.

| k | members |
|---|---|
| call | `call` (unique in the file), `path` (its last part), `token` (a tag), `person` (a login's); what was sent |
| answer | `call`, `reply` as received; of a login: `token`, `sitting_id`, `batch_id`, `state` |
| refused | `call`, `status`, `code` |
| heard | `token`, `generation`, `committed` as a channel told them unasked |
| stuck | `person`, `why`: an answer no client can go on from |

A call without answer and refusal is one whose connection was lost: it may have happened or not.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import orjson


class Ledger:
    """One file. `note` survives the death of this process, `keep` returns after an fdatasync shared by many."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._waiting: list[asyncio.Future[None]] = []
        self._syncing: asyncio.Task[None] | None = None

    def note(self, kind: str, **members: Any) -> None:
        """Append a line. Raises OSError when it cannot be written whole."""
        stamped = {"k": kind, "ms": time.time_ns() // 1_000_000, "ns": time.monotonic_ns(), **members}
        line = orjson.dumps(stamped) + b"\n"
        if os.write(self._file, line) != len(line):
            raise OSError("the ledger's disk is full")

    async def keep(self, kind: str, **members: Any) -> None:
        """Append a line and wait until it is on disk."""
        self.note(kind, **members)
        synced: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(synced)
        if self._syncing is None:
            self._syncing = asyncio.create_task(self._sync())
        await synced

    def close(self) -> None:
        os.fdatasync(self._file)
        os.close(self._file)

    async def _sync(self) -> None:
        """One fdatasync for all who wait; the next for those who came meanwhile."""
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                await asyncio.to_thread(os.fdatasync, self._file)
                for synced in waiting:
                    if not synced.done():
                        synced.set_result(None)
        finally:
            self._syncing = None
