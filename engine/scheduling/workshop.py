"""A worker's way to a process that does jobs apart from it: hands bytes over, and gets an outcome back.

The process is started when it is first needed, and again when it is gone. How it works: `workshop_process.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import orjson
from msgspec import Struct

from engine.rules.errors import ExamError, Refused, TryLater
from engine.vault import Vault

_ROOT = str(Path(__file__).resolve().parents[2])
_LEAVE_S = 0.5
_READ_BYTES = 2**20


class TimeIsUp(BaseException):
    """Raised inside a job that takes too long; no library that swallows errors swallows this one."""


class Failed(Struct, frozen=True, tag=True):
    """A job that was refused; `members` is JSON."""

    code: str
    detail: str
    members: bytes = b"{}"

    def error(self) -> ExamError:
        """What to raise where the job came from."""
        if self.code == "try_later":
            return TryLater(self.detail)
        kind = ExamError if self.code == "internal" else Refused
        return kind(self.code, self.detail, **orjson.loads(self.members))


class Workshop:
    """One process of `module`, whose `main(handle)` serves jobs. `what` it does is said where it does not.

    `first_message` is sent before any job. A job ends itself before `patience_s`.
    """

    def __init__(self, module: str, what: str, patience_s: float, first_message: bytes = b"") -> None:
        self._boot = f"import sys; sys.path.insert(0, sys.argv[1]); from engine.scheduling import {module}; "
        self._boot += f"{module}.main(int(sys.argv[2]))"
        self._what = what
        self._patience_s = patience_s
        self._first_message = first_message
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    async def outcome(self, message: bytes, content: Vault) -> bytes:
        """What the process made of a job. Raises TryLater when it made nothing of it."""
        told, telling = os.pipe()
        try:
            try:
                self._send(message, [content.fileno(), telling])
            finally:
                os.close(telling)
            written = await _read_to_end(told, self._patience_s)
        finally:
            os.close(told)
        if not written:
            raise TryLater(f"the process that {self._what} ended before it was done; nothing was stored")
        return written

    def close(self) -> None:
        """The process ends by itself once nobody is at the other end; if it cannot, it is ended."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            try:
                self._process.wait(_LEAVE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _send(self, message: bytes, handles: list[int]) -> None:
        try:
            socket.send_fds(self._reached(), [message], handles)
        except BlockingIOError:
            raise TryLater(f"the process that {self._what} does not take any more at this moment") from None
        except OSError:  # it is gone: a new one, once
            self.close()
            socket.send_fds(self._reached(), [message], handles)

    def _reached(self) -> socket.socket:
        if self._line is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", self._boot, _ROOT, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env={},  # nothing of ours leads it anywhere
                )
            ours.setblocking(False)
            if self._first_message:
                ours.send(self._first_message)
            self._line = ours
        return self._line


async def _read_to_end(handle: int, patience_s: float) -> bytes:
    """What comes until the other end is closed; nothing when it takes too long.

    By the event loop itself: a thread that waits takes part in every change of turns.
    """
    pieces: list[bytes] = []
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def read() -> None:
        with contextlib.suppress(BlockingIOError):
            pieces.append(os.read(handle, _READ_BYTES))
            if not pieces[-1] and not ended.done():
                ended.set_result(None)

    os.set_blocking(handle, False)
    loop.add_reader(handle, read)
    try:
        async with asyncio.timeout(patience_s):
            await ended
    except TimeoutError:
        return b""
    finally:
        loop.remove_reader(handle)
    return b"".join(pieces)
