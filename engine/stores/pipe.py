"""One pipelined connection to one server process: commands in, answers out in the same order, until it breaks.

All commands of one event-loop turn leave in one write. A pipe never outlives the server process it ends in, so the
run id that the server told on it holds for every command sent on it. When the oldest command is overdue the pipe is
cut, and everything under way fails with an error that says: it may have happened. Nothing is ever sent twice here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

from hiredis import ProtocolError, Reader, pack_command

Part = str | bytes | int | float
# Beyond this the socket is full and commands are held back before they are packed.
_UNSENT_BYTES_MAX = 4 * 2**20
# Our own process may have stood still (a stopped machine, a long turn): what has come meanwhile is read first.
_SECOND_LOOK_S = 0.1
_NOTHING = object()


class NotAnswered(Exception):
    """A command without an answer; `may_have_happened` is False only if it has surely not reached the server."""

    def __init__(self, why: str, *, may_have_happened: bool) -> None:
        super().__init__(why)
        self.may_have_happened = may_have_happened


class ErrorReply(Exception):
    """The server's own `-WORD …`; comes as an answer, also inside of an answer."""

    @property
    def word(self) -> str:
        return str(self).partition(" ")[0]


class Command:
    """One command and who waits for its answer: `done` is called once, with the answer or with an exception.

    With `run_id_at`, that part is replaced by the run id of the server the command is really sent to.
    """

    __slots__ = ("done", "parts", "run_id_at", "sent_s")

    def __init__(self, parts: Sequence[Part], done: Callable[[Any], None], run_id_at: int = 0) -> None:
        self.parts = parts if type(parts) is tuple else [*parts]
        self.done = done
        self.run_id_at = run_id_at
        self.sent_s = 0.0

    def answered(self, answer: Any) -> None:
        self.done(answer)


class Pipe(asyncio.Protocol):
    """`ended` is called once when it breaks, before the commands under way fail; `writable` when its jam is over."""

    def __init__(
        self,
        *,
        timeout_s: float,
        is_patient: bool,
        ended: Callable[[Pipe], None],
        writable: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._is_patient = is_patient
        self._ended = ended
        self._writable = writable
        self._transport: asyncio.Transport | None = None
        self._reader = Reader(protocolError=ProtocolError, replyError=ErrorReply, notEnoughData=_NOTHING)
        self._waiting: deque[Command] = deque()
        self._unsent: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._suspect: Command | None = None
        self._heard_s = 0.0
        self.is_open = False
        self.is_jammed = False
        self.run_id = ""
        self.is_cluster = False

    @property
    def in_flight(self) -> int:
        return len(self._waiting)

    def submit(self, command: Command) -> None:
        """Send with this turn's other commands. Only on an open pipe; a jammed one would only grow."""
        parts = command.parts
        if command.run_id_at:
            assert isinstance(parts, list)
            parts[command.run_id_at] = self.run_id
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(pack_command(parts if type(parts) is tuple else tuple(parts)))
        command.sent_s = self._loop.time()
        self._waiting.append(command)
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_s, self._look)

    def ask(self, *parts: Part) -> asyncio.Future[Any]:
        """The same with a future; an error comes as its exception."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self.submit(Command(parts, lambda answer: settle(future, answer)))
        return future

    async def greet(self, greeting: Sequence[Sequence[Part]]) -> None:
        """Make ourselves known and learn whom we speak to. Raises ErrorReply or NotAnswered."""
        answers = await asyncio.gather(*[self.ask(*parts) for parts in greeting], self.ask("INFO", "server"))
        told = dict(line.split(":", 1) for line in answers[-1].decode().splitlines() if ":" in line)
        if not told.get("run_id"):
            raise NotAnswered("the server does not tell its run id (INFO server)", may_have_happened=False)
        self.run_id = told["run_id"]
        self.is_cluster = "cluster" in (told.get("redis_mode"), told.get("server_mode"))

    def cut(self, why: str) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._end(why)

    # --- called by the event loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._transport.set_write_buffer_limits(high=_UNSENT_BYTES_MAX)
        self.is_open = True

    def data_received(self, received: bytes) -> None:
        self._heard_s = self._loop.time()
        self._reader.feed(received)
        next_answer = self._reader.gets
        waiting = self._waiting
        try:
            while (answer := next_answer()) is not _NOTHING:
                command = waiting.popleft()
                try:
                    command.answered(answer)
                except Exception as fault:  # one caller's fault is not the others'
                    self._loop.call_exception_handler({"message": "an answer was not taken", "exception": fault})
        except (ProtocolError, IndexError) as fault:
            self.cut(f"what came is no answer: {fault}")

    def connection_lost(self, fault: Exception | None) -> None:
        self._end(str(fault or "the server closed the connection"))

    def pause_writing(self) -> None:
        self.is_jammed = True

    def resume_writing(self) -> None:
        self.is_jammed = False
        self._writable()

    # --- pieces ---

    def _flush(self) -> None:
        if self._unsent and self._transport is not None:
            self._transport.write(self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent))
        self._unsent.clear()

    def _look(self) -> None:
        """Is the oldest command overdue? A patient pipe counts from the last byte heard: a large answer takes time."""
        self._timer = None
        if not self._waiting:
            return
        oldest = self._waiting[0]
        since_s = max(oldest.sent_s, self._heard_s) if self._is_patient else oldest.sent_s
        left_s = since_s + self._timeout_s - self._loop.time()
        if left_s <= 0 and oldest is self._suspect:
            self.cut(f"no answer within {self._timeout_s:g} s")
            return
        if left_s <= 0:
            self._suspect = oldest
        self._timer = self._loop.call_later(max(left_s, _SECOND_LOOK_S), self._look)

    def _end(self, why: str) -> None:
        if not self.is_open:
            return
        self.is_open = False
        self._unsent.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting = [*self._waiting]
        self._waiting.clear()
        self._ended(self)
        for command in waiting:
            try:
                command.answered(NotAnswered(why, may_have_happened=True))
            except Exception as fault:
                self._loop.call_exception_handler({"message": "an answer was not taken", "exception": fault})


def settle(future: asyncio.Future[Any], answer: Any) -> None:
    """Give `answer` to whoever awaits `future`; they may have gone."""
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
