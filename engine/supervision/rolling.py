"""Rolling restart: every process of the engine is replaced by a new one, and candidates notice nothing.

One after another: the successor starts beside the old process (workers share the port) and takes connections only once
everything it needs is there; then the old one is asked to stop, drains, and ends. Workers come first; recorder, grader
and courier follow, whose leases and locks pass from the old to the new by themselves. When a successor does not become
ready it is ended, the old process stays, and the restart is abandoned. The servers are not touched, and settings stay
as they were when the supervisor started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec

from engine import notify
from engine.supervision.supervisor import CannotStart, Program, Supervisor

READY_WITHIN_S = 30.0
STOP_BESIDE_DRAIN_S = 5.0  # a recorder writes down what is there, a grader ends its chunk
ROLES = ("worker-", "recorder-", "grader-", "courier-")


class Roller:
    """Rolls the processes of `supervisor`, one roll at a time."""

    def __init__(self, supervisor: Supervisor, say: Callable[[str], None], drain_s: float) -> None:
        self._supervisor = supervisor
        self._say = say
        self._stop_within_s = drain_s + STOP_BESIDE_DRAIN_S
        self._task: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Begin a roll, unless one is under way."""
        if self._task is not None and not self._task.done():
            self._say("a rolling restart is under way already")
            return
        self._task = asyncio.create_task(self._roll(), name="rolling restart")

    async def stop(self) -> None:
        """End a roll under way; a successor that has not taken over yet is ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _roll(self) -> None:
        notify.tell(notify.RELOADING, f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        self._say("rolling restart: begins")
        try:
            for name in in_order(self._supervisor.names()):
                await self._replace(name)
        except (CannotStart, OSError) as fault:
            self._say(f"rolling restart: abandoned, the processes that run now stay: {fault}")
        else:
            self._say("rolling restart: done")
        notify.tell(notify.READY)

    async def _replace(self, name: str) -> None:
        program = self._supervisor.program(name)
        with _told() as (place, line):
            successor = msgspec.structs.replace(
                program, command=_when_ready(program), environ={**program.environ, notify.VARIABLE: str(place)}
            )
            old, new = await self._supervisor.replace(
                successor, lambda: _ready(line), READY_WITHIN_S, self._stop_within_s
            )
        self._say(f"rolling restart: {name} ({old}) is replaced ({new})")


@contextlib.asynccontextmanager
async def rolling_on_hangup(roller: Roller) -> AsyncIterator[None]:
    """SIGHUP rolls while the body runs. When it comes because our terminal was closed, it stops us as before."""
    had_terminal = os.isatty(0)

    def hung_up() -> None:
        if had_terminal and not os.isatty(0):
            signal.raise_signal(signal.SIGTERM)
        else:
            roller.ask()

    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup: it stays ignored
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hung_up)
    try:
        yield
    finally:
        await roller.stop()


def in_order(names: list[str]) -> list[str]:
    """The engine's own processes, workers first."""
    return [name for role in ROLES for name in names if name.startswith(role)]


def _when_ready(program: Program) -> list[str]:
    waits = ["--when-ready"] if program.name.startswith("worker-") else []
    return [*program.command, *waits]


@contextlib.contextmanager
def _told() -> Iterator[tuple[Path, socket.socket]]:
    """A place where one process tells how it stands, and the socket to hear it."""
    with (
        tempfile.TemporaryDirectory(prefix="liankao-roll-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line,
    ):
        line.setblocking(False)
        place = Path(folder) / "notify"
        line.bind(str(place))
        yield place, line


async def _ready(line: socket.socket) -> None:
    """Returns when the process on the other end says that it is ready."""
    while notify.READY not in (await asyncio.get_running_loop().sock_recv(line, 4096)).decode().splitlines():
        pass
