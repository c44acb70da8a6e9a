"""A line to one Redis server that outlives its pipes: connects when needed, holds commands meanwhile, gives up soon.

A command is sent at most once. What waits for a connection that does not come fails as "surely not sent"; what was
under way when a pipe broke fails as "may have happened". Deciding to send again is the business of those who know that
it is harmless. After a failed attempt nothing is held any more: whatever comes is refused at once, and makes the next
attempt begin. So whoever asks many nodes together waits for a dead one only the first time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from engine.rules.limits import COMMANDS_WAITING_MAX, CONNECT_TIMEOUT_S
from engine.sealing.secrets import random_bytes
from engine.stores.address import Address
from engine.stores.pipe import Command, ErrorReply, NotAnswered, Part, Pipe, settle

# Between attempts to connect. The longest is short: a candidate waits for it, and a refused attempt costs little.
_PAUSE_FIRST_S = 0.02
_PAUSE_MAX_S = 0.5


class Line:
    """`greeted` is called with each new pipe before anything else is sent on it; may raise NotAnswered to refuse it."""

    def __init__(
        self,
        address: Address,
        *,
        timeout_s: float,
        is_patient: bool = False,
        greeted: Callable[[Pipe], None] | None = None,
    ) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._is_patient = is_patient
        self._greeted = greeted
        self._pipe: Pipe | None = None
        self._held: deque[Command] = deque()
        self._connecting: asyncio.Task[None] | None = None
        self._failures = 0
        self._refused = ""  # why the last attempt to connect failed
        self._is_closed = False

    @property
    def run_id(self) -> str:
        """Of the server at the other end; empty while there is no connection."""
        return self._pipe.run_id if self._pipe is not None else ""

    def submit(self, command: Command) -> None:
        """Send `command` now, or as soon as there is a connection. Its `done` is never called before this returns."""
        pipe = self._pipe
        if pipe is not None and not pipe.is_jammed and not self._held and pipe.in_flight < COMMANDS_WAITING_MAX:
            pipe.submit(command)
            return
        loop = asyncio.get_running_loop()
        if pipe is None and self._connecting is None and not self._is_closed:
            self._connecting = loop.create_task(self._connect())
        waiting = len(self._held) + (pipe.in_flight if pipe is not None else 0)
        why = f"{waiting} commands are waiting already" if waiting >= COMMANDS_WAITING_MAX else self._refused
        if why:
            loop.call_soon(command.answered, NotAnswered(why, may_have_happened=False))
        else:
            self._held.append(command)

    def ask(self, *parts: Part) -> asyncio.Future[Any]:
        """The same with a future; an error comes as its exception."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.submit(Command(parts, lambda answer: settle(future, answer)))
        return future

    def cut(self, why: str) -> None:
        """Give the present connection up; the next command makes a new one."""
        if self._pipe is not None:
            self._pipe.cut(why)

    def close(self) -> None:
        """For good: what waits fails."""
        self._is_closed = True
        self._refused = "the line is closed"
        if self._connecting is not None:
            self._connecting.cancel()
        self.cut("the line is closed")
        self._refuse_held("the line is closed")

    async def _connect(self) -> None:
        pipe: Pipe | None = None
        why = "the attempt to connect was given up"
        try:
            if self._failures:
                await asyncio.sleep(self._pause_s())
            pipe = Pipe(
                timeout_s=self._timeout_s, is_patient=self._is_patient, ended=self._lost, writable=self._release
            )
            made = pipe
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self.address.connect(lambda: made)
                await pipe.greet(self.address.greeting())
            if not pipe.is_open:  # it may have ended while we were waiting for our turn
                raise NotAnswered("the server closed the connection", may_have_happened=False)
            if self._greeted is not None:
                self._greeted(pipe)
            self._failures = 0
            self._refused = ""
            self._pipe = pipe
        except (OSError, NotAnswered, ErrorReply) as fault:  # TimeoutError is an OSError
            why = str(fault) or f"no connection within {CONNECT_TIMEOUT_S:g} s"
        finally:
            self._connecting = None
            if self._pipe is None:
                self._failures += 1
                self._refused = self._refused if self._is_closed else why
                if pipe is not None:
                    pipe.cut(why)
                self._refuse_held(why)
        self._release()

    def _pause_s(self) -> float:
        """Doubles with each failure; by chance up to half shorter, so that workers do not come back all at once."""
        longest_s: float = min(_PAUSE_MAX_S, _PAUSE_FIRST_S * 2 ** min(self._failures - 1, 10))
        return longest_s * (1 - random_bytes(1)[0] / 512)

    def _lost(self, pipe: Pipe) -> None:
        if pipe is not self._pipe:
            return  # it was still being made
        self._pipe = None
        if self._held and self._connecting is None and not self._is_closed:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def _release(self) -> None:
        """Send what was held, as far as the socket takes it."""
        while self._held and self._pipe is not None and not self._pipe.is_jammed:
            self._pipe.submit(self._held.popleft())

    def _refuse_held(self, why: str) -> None:
        held = [*self._held]
        self._held.clear()
        for command in held:
            command.answered(NotAnswered(why, may_have_happened=False))
