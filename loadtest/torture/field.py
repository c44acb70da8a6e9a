"""The engine under test: one of its own per campaign, two workers, embedded durable servers, supervised as shipped.

Everything outside knows it by its ready file and its data folder. `grounds` are laid under the data folder before the
engine is started (a file system that loses power, a small volume); `root` is the tree whose engine is run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from loadtest.own_engine import ROOT, EngineMissing, ready_file_in, start_engine, stop_engine, wait_ready

WORKERS = 2
RESTART_PATIENCE_S = 90.0  # the supervisor waits 5 s at most; PostgreSQL's recovery and a loaded machine take the rest
POLL_S = 0.05
CLASSES = ("worker", "recorder", "grader", "courier", "redis", "postgres")
# The campaign's receiver stands on this machine, and has no hours for a courier's usual patience.
SETTINGS = {
    "LIANKAO_COURIER_NETWORKS": "127.0.0.0/8",
    "LIANKAO_COURIER_RETRY_FIRST_S": "0.2",
    "LIANKAO_COURIER_RETRY_MAX_S": "2",
    "LIANKAO_COURIER_TIMEOUT_S": "5",
}


class NotBack(Exception):
    """A part of the engine that was struck did not come back; the message names it and how long it was waited for."""


class Ground(Protocol):
    """Something that lies under the servers' folders for the whole campaign."""

    def laid(self, data: Path) -> AbstractContextManager[None]:
        """Entered before the engine is started on `data` (`data`/redis, `data`/postgres), left after it has stopped."""


class Field:
    """A running engine. `url` and `keys` stay the same for its life, processes come and go."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._root = root
        self._supervisor = start_engine(folder, root=root, workers=WORKERS, settings=SETTINGS)
        ready = self._ready()
        self.url: str = ready["url"]
        self.keys: dict[str, str] = ready["keys"]

    def all_pids(self) -> list[int]:
        """The supervisor and its present children: with what is below them, all that is gone when the box is."""
        return [self._supervisor.pid, *(pid for pid in self.processes().values() if self._is_child(pid))]

    async def start_again(self) -> None:
        """After every process was killed: the whole engine anew, on the same folder and port. Raises NotBack."""
        await asyncio.to_thread(self._supervisor.wait)
        port = int(self.url.rpartition(":")[2])
        self._supervisor = start_engine(self.folder, root=self._root, workers=WORKERS, port=port, settings=SETTINGS)
        try:
            await asyncio.to_thread(self._ready)
        except EngineMissing as fault:
            raise NotBack(str(fault)) from None

    def end(self) -> None:
        """Stop it; nothing of it runs afterwards."""
        stop_engine(self._supervisor)

    def _ready(self) -> dict[str, Any]:
        try:
            return wait_ready(self._supervisor, self.folder)
        except BaseException:
            self.end()
            raise

    def processes(self) -> dict[str, int]:
        """Name -> pid as the ready file tells them; for a moment after a death still the old pid."""
        ready: dict[str, Any] = json.loads(ready_file_in(self.folder).read_text("utf-8"))
        return dict(ready["processes"])

    def members(self, kind: str) -> list[str]:
        """The names of all processes of one class: `worker` -> worker-0, worker-1."""
        return sorted(name for name in self.processes() if name.partition("-")[0] == kind)

    def signal(self, name: str, number: int) -> int:
        """Send a signal to a process; returns its pid. One that has just died is left alone."""
        pid = self.processes()[name]
        if self._is_child(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return pid

    async def until_replaced(self, name: str, pid: int, patience_s: float = RESTART_PATIENCE_S) -> None:
        """Wait until the supervisor has started another process in the place of `pid`. Raises NotBack."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + patience_s
        while self.processes().get(name, pid) == pid:
            if self._supervisor.poll() is not None:
                raise NotBack(f"the supervisor itself ended with code {self._supervisor.returncode}")
            if loop.time() > until_s:
                raise NotBack(f"{name} ({pid}) was not started again within {patience_s:.0f} s")
            await asyncio.sleep(POLL_S)

    def postgres_dsn(self) -> str:
        """How to read PostgreSQL directly, from what the postmaster says of itself."""
        lines = (self.data / "postgres" / "postmaster.pid").read_text().splitlines()
        return f"postgresql://liankao@/liankao?host={lines[4]}&port={lines[3]}"

    def logs(self) -> list[Path]:
        """Every log file of the engine, the supervisor's first."""
        return [self.folder / "supervisor.log", *sorted((self.data / "logs").glob("*.log"))]

    def _is_child(self, pid: int) -> bool:
        # A pid may be somebody else's by the time we look: only the supervisor's own children are ever struck.
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return False
        return int(stat.rpartition(")")[2].split()[1]) == self._supervisor.pid


@contextlib.contextmanager
def standing(folder: Path, *, root: Path = ROOT, grounds: Iterable[Ground] = ()) -> Iterator[Field]:
    """An engine while the body runs; afterwards its processes are gone and its grounds taken up.

    Raises EngineMissing when it does not start.
    """
    with contextlib.ExitStack() as laid:
        (folder / "data").mkdir(mode=0o700, exist_ok=True)
        for ground in grounds:
            laid.enter_context(ground.laid(folder / "data"))
        field = Field(folder, root)
        laid.callback(field.end)
        yield field
