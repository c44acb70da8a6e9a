"""The supervisor: starts processes, starts those again that ended, stops all of them within a promised time.

Crash-only: it never judges the health of a process that still runs (a stopped or slow one is left alone), and
it restarts whatever exited, whatever the reason. Processes run in sessions of their own, so that Ctrl-C reaches
the supervisor alone, and the kernel ends them when the supervisor itself is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct, field

from engine import precedence

RESTART_FIRST_S = 0.1
RESTART_MAX_S = 5.0  # a server that cannot start is tried this often, for as long as it takes
CALM_AFTER_S = 30.0  # who lived this long starts again at once
READY_POLL_S = 0.02
DEATHS_BEFORE_READY_MAX = 5  # the fifth time in a row is no accident
STOP_TOTAL_S = 4.7  # of the five promised
LOG_BYTES_MAX = 10 * 1024 * 1024


class CannotStart(Exception):
    """Something that must run does not; the message names it and where its last words are."""


class Program(Struct, frozen=True, kw_only=True):
    """One process: `ready` is asked until true; `stop` is how it is asked to end; without `log` it writes to ours.

    `goes_first`: it stands between candidates and `saved`, and cannot say so itself (`precedence.py`).
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    log: Path | None = None
    stop: signal.Signals = signal.SIGTERM
    ready: Callable[[], bool] | None = None
    goes_first: bool = False
    is_kept: bool = True  # False: it may end, and stays ended


class Kept(Struct):
    """A program with its present process; `deaths` counts since it was last ready or calm."""

    program: Program
    process: asyncio.subprocess.Process
    started_s: float
    deaths: int = 0
    keeper: asyncio.Task[None] | None = None
    # Held while `process` is being exchanged: by the keeper after a death, or for a successor.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


def restart_delay_s(deaths: int) -> float:
    """0.1 s after the first death in a row, doubling up to 5 s."""
    return float(min(RESTART_MAX_S, RESTART_FIRST_S * 2 ** min(deaths - 1, 16)))


class Supervisor:
    """Owns the processes. `changed` is called after each restart, `died` with the pid of each that ended."""

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        held_fd: int | None = None,
        died: Callable[[int], None] = lambda pid: None,
    ) -> None:
        self._say = say
        # Inherited by every process: as long as one of them lives, the lock on the data folder is held.
        self._held = () if held_fd is None else (held_fd,)
        self.changed: Callable[[], None] = lambda: None
        self._died = died
        self._kept: dict[str, Kept] = {}
        self._stopping: set[str] = set()

    def pids(self) -> dict[str, int]:
        """The present process of each program that is kept; for a moment after a death still the old one."""
        return {name: kept.process.pid for name, kept in self._kept.items() if kept.program.is_kept}

    async def start(self, program: Program, ready_within_s: float) -> None:
        """Start and keep it; returns when it is ready. Raises CannotStart naming its log."""
        try:
            process = await self._spawn(program)
        except OSError as fault:
            raise CannotStart(f"{program.name} cannot be started: {fault}") from None
        kept = Kept(program=program, process=process, started_s=time.monotonic())
        self._kept[program.name] = kept
        kept.keeper = asyncio.create_task(self._keep(kept), name=f"keep {program.name}")
        await self.until_ready(program.name, program.ready, ready_within_s)
        kept.deaths = 0

    async def until_ready(self, name: str, ready: Callable[[], bool] | None, within_s: float) -> None:
        """Wait for `ready()`, but not while some process keeps dying. Raises CannotStart."""
        until = time.monotonic() + within_s
        while ready is not None and not await asyncio.to_thread(ready):
            for kept in self._kept.values():
                if kept.deaths >= DEATHS_BEFORE_READY_MAX:
                    raise CannotStart(f"{kept.program.name} keeps ending at its start{_last_words(kept.program.log)}")
            if time.monotonic() > until:
                log = self._kept[name].program.log
                raise CannotStart(f"{name} was not ready within {within_s:.0f} s{_last_words(log)}")
            await asyncio.sleep(READY_POLL_S)

    def names(self) -> list[str]:
        """Every program that was started, in that order."""
        return list(self._kept)

    def program(self, name: str) -> Program:
        """What was started under this name."""
        return self._kept[name].program

    async def replace(
        self, successor: Program, ready: Callable[[], Awaitable[None]], ready_within_s: float, stop_within_s: float
    ) -> tuple[int, int]:
        """Start `successor` beside the process of its name; once `ready()` returns, that one is asked to stop.

        Returns the pids of both. Raises CannotStart when the successor ends or is not ready in time: it is ended then,
        and the old process goes on. A death from now on starts the program as it was kept before, not the successor's.
        """
        kept = self._kept[successor.name]
        process = await self._spawn(successor)
        try:
            await _until_told(process, ready, successor, ready_within_s)
            async with kept.turn:
                old, kept.process = kept.process, process
                kept.started_s, kept.deaths = time.monotonic(), 0
        except BaseException:
            await _end(process)
            self._died(process.pid)
            raise
        self.changed()
        try:
            _send(old, successor.stop)
            _send(old, signal.SIGCONT)
            await asyncio.wait_for(old.wait(), stop_within_s)
        except TimeoutError:
            self._say(f"{successor.name} ({old.pid}) did not stop within {stop_within_s:g} s: killed")
        finally:
            await _end(old)
            self._died(old.pid)
        return old.pid, process.pid

    async def stop(self, steps: Sequence[tuple[float, Iterable[str]]]) -> None:
        """Stop programs step by step: each step's names are asked together and have its seconds, then are killed.

        Interrupted (a second Ctrl-C), it kills everything at once. Afterwards no process is left.
        """
        self._stopping.update(self._kept)  # from here on nothing is started again
        try:
            for seconds, names in steps:
                await self._stop_step([self._kept[name] for name in names if name in self._kept], seconds)
        finally:
            keepers = [kept.keeper for kept in self._kept.values() if kept.keeper]
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            for kept in self._kept.values():  # after the keepers: none of them starts one any more
                _send(kept.process, signal.SIGKILL)
            await asyncio.gather(*(kept.process.wait() for kept in self._kept.values()))
            self._kept.clear()

    async def _stop_step(self, step: list[Kept], seconds: float) -> None:
        for kept in step:
            _send(kept.process, kept.program.stop)
            _send(kept.process, signal.SIGCONT)  # one that was stopped could not hear it
        waits = [asyncio.ensure_future(kept.process.wait()) for kept in step]
        if waits:
            await asyncio.wait(waits, timeout=seconds)
        for kept, wait in zip(step, waits, strict=True):
            if not wait.done():
                self._say(f"{kept.program.name} did not stop within {seconds:g} s: killed")
                _send(kept.process, signal.SIGKILL)

    async def _spawn(self, program: Program) -> asyncio.subprocess.Process:
        with _appending(program.log) as log:
            # Spawned by the loop's own thread, which lives as long as we do: the kernel's wish to end a child with
            # its parent is about the parent's *thread*.
            process = await asyncio.create_subprocess_exec(
                *program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(program.environ),
                start_new_session=True,
                pass_fds=self._held,
            )
        if program.goes_first:
            precedence.take_short_turns(process.pid)
        return process

    async def _keep(self, kept: Kept) -> None:
        name = kept.program.name
        while True:
            process = kept.process
            code = await process.wait()
            async with kept.turn:
                if kept.process is not process:
                    continue  # it was replaced and has ended as it was asked to
                if name in self._stopping:
                    return
                self._died(process.pid)
                if not kept.program.is_kept:
                    self._say(f"{name} {ending(code) if code else 'is done'}")
                    return
                if not await self._start_again(kept, code):
                    return

    async def _start_again(self, kept: Kept, code: int) -> bool:
        """After a pause; False when stopping began meanwhile."""
        name = kept.program.name
        calm = time.monotonic() - kept.started_s > CALM_AFTER_S
        kept.deaths = 1 if calm else kept.deaths + 1
        delay_s = restart_delay_s(kept.deaths)
        self._say(f"{name} ({kept.process.pid}) {ending(code)}; starting it again in {delay_s:g} s")
        await asyncio.sleep(delay_s)
        if name in self._stopping:
            return False
        try:
            kept.process = await self._spawn(kept.program)
        except OSError as fault:
            self._say(f"{name} cannot be started: {fault}")
            return True  # the process is still the ended one: the next round waits longer
        if name in self._stopping:
            return False  # stopping began meanwhile: `stop` kills what it finds
        kept.started_s = time.monotonic()
        self.changed()
        self._say(f"{name} runs again ({kept.process.pid})")
        return True


async def _until_told(
    process: asyncio.subprocess.Process, ready: Callable[[], Awaitable[None]], program: Program, within_s: float
) -> None:
    """Returns when `ready()` does. Raises CannotStart when the process ends first, or takes too long."""
    told, ended = asyncio.ensure_future(ready()), asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait((told, ended), timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if told.done():
            await told
        elif ended.done():
            raise CannotStart(f"the new {program.name} {ending(ended.result())}{_last_words(program.log)}")
        else:
            raise CannotStart(f"the new {program.name} was not ready within {within_s:.0f} s{_last_words(program.log)}")
    finally:
        told.cancel()
        ended.cancel()


async def _end(process: asyncio.subprocess.Process) -> None:
    _send(process, signal.SIGKILL)
    await process.wait()


def ending(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        return f"was ended by {signal.strsignal(-code) or 'signal'} ({-code})"
    return f"ended with exit code {code}"


def run_until_signal(work: Callable[[], Coroutine[None, None, int]]) -> int:
    """Run `work()`; SIGINT, SIGTERM or SIGHUP cancels it, so that its `finally` stops what it started.

    Each further signal cancels again. Returns the work's own exit code, 0 when it was asked to stop. The work may give
    SIGHUP another meaning (`rolling.py`).
    """

    async def main() -> int:
        asked = False
        task = asyncio.ensure_future(work())

        def stop() -> None:
            nonlocal asked
            asked = True
            task.cancel()

        loop = asyncio.get_running_loop()
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(sig) is not signal.SIG_IGN:  # nohup means: go on without a terminal
                loop.add_signal_handler(sig, stop)
        try:
            return await task
        except asyncio.CancelledError:
            if asked:
                return 0
            raise

    return asyncio.run(main())


def _appending(log: Path | None) -> contextlib.AbstractContextManager[BinaryIO | None]:
    return open(log, "ab") if log is not None else contextlib.nullcontext()


def rotate(log: Path) -> None:
    """Keep one older file of a log that has grown; done before a start, when nobody writes."""
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_name(log.name + ".1"))


def _send(process: asyncio.subprocess.Process, sig: signal.Signals) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, sig)  # not reaped yet, so the pid is still its own


def _last_words(log: Path | None, lines_max: int = 6) -> str:
    if log is None:
        return ""
    try:
        lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()][-lines_max:]
    except OSError:
        lines = []
    return f"; {log} ends:\n  " + "\n  ".join(lines) if lines else f"; {log} is empty"
