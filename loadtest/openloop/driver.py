"""One generator process: opens the lines of its sittings, then sends what is due when it is due.

Promise: a save is never sent later because an answer is late, unless its own sitting still waits for one. What the
process itself is late by, and how much of a core it takes, is noted beside every phase (figures.py).
How: everything due is sent at ticks of 1 ms, and whenever an answer has been read anyhow.
Not here: who the sittings are (entering.py), several processes (fleet.py).
"""

from __future__ import annotations

import asyncio
import gc
import random
import ssl
from collections.abc import Coroutine, Iterator, Sequence
from time import monotonic_ns, process_time_ns
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from loadtest.openloop.figures import Figures
from loadtest.openloop.lines import CHANNEL_PATH, SAVE, SAVE_PATH, UPGRADE, ChannelLine, HttpLine, Line, LineFault
from loadtest.openloop.schedule import NS_PER_S, POISSON, Phase, dues, length_ns
from loadtest.openloop.sitting import Choice, Sitting

CONNECTING_MAX = 64
CONNECT_S = 30.0
TICK_S = 0.001
IDLE_TICK_S = 0.02
SETTLE_S = 5.0  # after the last phase: what is not answered by then is an error
AGAIN_S = (
    0.5  # before a lost line is opened, or a call is sent again that the engine wants later; half to one and a half
)
RETRIED = frozenset({429, 500, 502, 503, 504})
_NEVER_NS = 1 << 62


class Manner(Struct, frozen=True, kw_only=True):
    """How saves are sent: over the channel or HTTP, evenly or by chance, and which part of several this process is."""

    has_channel: bool = True
    spacing: str = POISSON
    seed: int = 1
    part: int = 0
    parts: int = 1
    settle_s: float = SETTLE_S
    ca_file: str = ""


class Driver:
    """Lines stay open from `open` to `close`; `run` may be called again and again in between."""

    def __init__(self, url: str, sittings: Sequence[Sitting], choices: Sequence[Choice], manner: Manner) -> None:
        split = urlsplit(url)
        self.address = (split.hostname or "", split.port or (443 if split.scheme == "https" else 80))
        self.host = split.netloc.rpartition("@")[2]
        self.sittings = sittings
        self.under_way = 0  # calls
        self.keys_ns: list[int] = []  # when paper keys came
        self.starts_ns = _NEVER_NS  # of the batch, by this machine's clock
        self.tls = ssl.create_default_context(cafile=manner.ca_file or None) if split.scheme == "https" else None
        self.choices = list(choices)
        self._manner = manner
        self._dice = random.Random(manner.seed * 1_000_003 + manner.part)
        self._lines: list[Line] = []
        self._place: dict[Sitting, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._phases: list[Figures] = []
        self._now_in: Figures | None = None
        self._schedule: Iterator[tuple[int, int]] = iter(())
        self._begins_ns = 0
        self._next_ns = _NEVER_NS
        self._next_phase = 0
        self._loop = asyncio.get_running_loop()

    # --- lines ----------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open every sitting's line. Raises LineFault with what the first that could not be opened was told."""
        self.prepare()
        left = iter(enumerate(self.sittings))

        async def opener() -> None:
            for index, _ in left:
                await self._connect(self._lines[index])

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CONNECTING_MAX):
                    group.create_task(opener())
        except BaseExceptionGroup as faults:
            raise faults.exceptions[0] from None
        gc.collect()
        gc.freeze()
        gc.disable()  # nothing here is circular, and a look through 100,000 objects makes everybody late

    def prepare(self) -> None:
        """A line for every sitting, none of them open."""
        self._lines = [self._new_line(sitting) for sitting in self.sittings]
        self._place = {sitting: index for index, sitting in enumerate(self.sittings)}

    def place(self, line: Line) -> None:
        """The line of its sitting from now on."""
        self._lines[self._place[line.sitting]] = line

    async def close(self) -> None:
        self._is_closing = True
        for task in self._tasks:
            task.cancel()
        for line in self._lines:
            if line.transport is not None:
                line.transport.close()
        gc.enable()
        gc.unfreeze()

    def upgrade_head(self) -> bytes:
        """What asks for a channel."""
        return UPGRADE.format(path=CHANNEL_PATH, host=self.host).encode()

    def save_head(self, token: str, body_bytes: int) -> bytes:
        """The head of a save call over HTTP."""
        return SAVE.format(path=SAVE_PATH, host=self.host, token=token, length=body_bytes).encode()

    def _new_line(self, sitting: Sitting) -> Line:
        return ChannelLine(self, sitting) if self._manner.has_channel else HttpLine(self, sitting)

    async def _connect(self, line: Line) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._loop.create_connection(lambda: line, *self.address, ssl=self.tls)
                await line.opened
        except (OSError, TimeoutError) as fault:
            raise LineFault(f"{self.address[0]}:{self.address[1]}: {type(fault).__name__} {fault}") from None

    def lose(self, line: Line, why: str) -> None:
        """A line that stood is gone: an error, and its sitting waits until another stands.

        An HTTP connection on which nothing is under way may be closed by anybody: that is none.
        """
        if self._is_closing:
            return
        has_lapsed = self.take_back(line)
        if not has_lapsed:
            self._fail("lost", why)
        self._begin(self._open_again(line.sitting, at_once=has_lapsed))

    def take_back(self, line: Line) -> bool:
        """What was under way on a lost line waits again; whether it was only an idle HTTP connection."""
        if line.sitting.under_way:
            self.under_way -= 1
            line.sitting.take_back()
            return False
        return not self._manner.has_channel

    def again_s(self, failures: int) -> float:
        """How long a lost line waits before it is opened, after so many failures to do so."""
        return AGAIN_S * self._dice.uniform(0.5, 1.5)

    async def _open_again(self, sitting: Sitting, *, at_once: bool = False) -> None:
        failures = 0
        while not self._is_closing and self.is_wanted(sitting):
            await asyncio.sleep(0.0 if at_once and not failures else self.again_s(failures))
            line = self._new_line(sitting)
            try:
                await self._connect(line)
            except LineFault as fault:
                self._fail("not_opened", str(fault))
                failures += 1
                continue
            self.place(line)
            self.reopened(line)
            line.go(monotonic_ns())
            return

    def hear_key(self, sitting: Sitting, told: dict[str, Any], now_ns: int) -> None:
        self.keys_ns.append(now_ns)

    def hear_time(self, told: dict[str, int], now_ns: int) -> None:
        """The engine's clock: the earliest that we hear of the start was the least under way."""
        self.starts_ns = min(self.starts_ns, now_ns + (told["starts_ms"] - told["server_ms"]) * 1_000_000)

    def is_wanted(self, sitting: Sitting) -> bool:
        """Whether a line that is lost is to be opened again."""
        return True

    def reopened(self, line: Line) -> None:
        """A line that was lost is there again."""

    def refuse(self, line: Line, problem: dict[str, object]) -> None:
        """A call that is to be sent again, or whose changes are refused for good; either way an error."""
        what = f"{problem.get('status')} {problem.get('code')}: {problem.get('detail')}"
        if problem.get("status") in RETRIED:
            line.sitting.take_back()
            self._fail("try_later", what)
            self._begin(self._send_again(line))
        else:
            line.sitting.drop()
            self._fail("refused", what)
            line.go(monotonic_ns())

    async def _send_again(self, line: Line) -> None:
        await asyncio.sleep(AGAIN_S * self._dice.uniform(0.5, 1.5))
        if not line.sitting.under_way:
            line.go(monotonic_ns())

    def _begin(self, act: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(act)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _fail(self, kind: str, what: str) -> None:
        if self._now_in is not None:
            self._now_in.fail(kind, what)

    # --- the run --------------------------------------------------------------------------------------------------

    async def run(self, phases: Sequence[Phase], begins_ns: int) -> list[Figures]:
        """Go through all phases from `begins_ns` of the monotonic clock on; returns when everything is answered, or
        given up after the settling time."""
        manner = self._manner
        self._phases = [self.figures_of(phase) for phase in phases]
        self._schedule = dues(phases, manner.spacing, self._dice, part=manner.part, parts=manner.parts)
        self._begins_ns = begins_ns
        self._advance()
        await self._work(begins_ns)
        ends_ns = begins_ns + length_ns(phases)
        while self._is_waiting() and monotonic_ns() < ends_ns + manner.settle_s * NS_PER_S:  # noqa: ASYNC110
            await asyncio.sleep(IDLE_TICK_S)
        now_ns = monotonic_ns()
        for sitting in self.sittings:
            sitting.give_up(now_ns)
        found, self._phases, self._now_in = self._phases, [], None
        return found

    def figures_of(self, phase: Phase) -> Figures:
        return Figures(phase)

    async def _work(self, begins_ns: int) -> None:
        """Tick through the phases, and end each second and each phase on time."""
        await asyncio.sleep(max(0.0, (begins_ns - monotonic_ns()) / NS_PER_S))
        self._tick()
        ends_ns = begins_ns
        for figures in self._phases:
            self._now_in = figures
            ends_ns += int(figures.phase.seconds * NS_PER_S)
            begun_ns = monotonic_ns()
            while begun_ns < ends_ns:
                used_ns = process_time_ns()
                await asyncio.sleep(min(NS_PER_S, ends_ns - begun_ns) / NS_PER_S)
                now_ns = monotonic_ns()
                figures.end_second((process_time_ns() - used_ns) / (now_ns - begun_ns), (now_ns - begun_ns) / NS_PER_S)
                begun_ns = now_ns
        self._send_due(monotonic_ns())

    def _tick(self) -> None:
        """Send what is due, and come again when the next is; at least every 20 ms, at most every millisecond."""
        now_ns = monotonic_ns()
        if self._next_ns <= now_ns:
            self._send_due(now_ns)
        if self._next_ns != _NEVER_NS:
            ahead_s = (self._next_ns - now_ns) / NS_PER_S
            self._loop.call_later(min(max(ahead_s, TICK_S), IDLE_TICK_S), self._tick)

    def look(self, now_ns: int) -> None:
        """An answer has been read: send what has fallen due meanwhile."""
        if self._next_ns <= now_ns:
            self._send_due(now_ns)

    def _send_due(self, now_ns: int) -> None:
        chance, sittings, lines, choices = self._dice.random, self.sittings, self._lines, self.choices
        sittings_count, choices_count = len(sittings), len(choices)
        while (due_ns := self._next_ns) <= now_ns:
            figures = self._phases[self._next_phase]
            index = int(chance() * sittings_count)
            sitting = sittings[index]
            if sitting.writes:
                figures.taken_up((now_ns - due_ns) // 1000)
                sitting.make_due(choices[int(chance() * choices_count)], due_ns, figures)
                if not sitting.under_way:
                    lines[index].go(now_ns)
            self._advance()

    def _advance(self) -> None:
        found = next(self._schedule, None)
        if found is None:
            self._next_ns = _NEVER_NS
        else:
            self._next_phase, offset_ns = found
            self._next_ns = self._begins_ns + offset_ns

    def _is_waiting(self) -> bool:
        return self.under_way > 0 or any(sitting.waiting for sitting in self.sittings)
