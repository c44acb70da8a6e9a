"""A worker's way to its sealer: hands a job and its bytes over, and gets back what may be known of them.

The process is started when it is first needed, and again when it is gone. How and why: `sealer_process.py`.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import subprocess
import sys
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.rules.errors import TryLater
from engine.rules.limits import SEAL_TIMEOUT_S, SEALS_AT_ONCE
from engine.scheduling.sealer_jobs import (
    CombineShares,
    Failed,
    Job,
    Outcome,
    ReadArming,
    SealBatch,
    SealChanges,
    SealedBatch,
    SealedChanges,
    SealedPaper,
    SealPaper,
    Told,
)
from engine.settings import Settings
from engine.vault import Vault

T = TypeVar("T", bound=Outcome)

_ROOT = str(Path(__file__).resolve().parents[2])
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from engine.scheduling import sealer_process; "
_BOOT += "sealer_process.main(int(sys.argv[2]))"
_PATIENCE_S = SEAL_TIMEOUT_S + 5.0  # the job ends itself before
_LEAVE_S = 0.5
_READ_BYTES = 2**20


class Sealer:
    """One per worker."""

    def __init__(self, settings: Settings) -> None:
        # It reaches no store, so it learns of none.
        self._settings = msgspec.structs.replace(settings.for_process(None), redis_url="")
        self._turns = asyncio.Semaphore(SEALS_AT_ONCE)
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    async def seal_paper(self, job: SealPaper, body: Vault) -> SealedPaper:
        """Raises Refused `request.malformed` or `paper.invalid` as the paper deserves, and TryLater."""
        return await self._done(job, body, SealedPaper)

    async def seal_batch(self, job: SealBatch, content: Vault) -> SealedBatch:
        """Raises Refused `batch.not_ready` when the content cannot be opened, and TryLater."""
        return await self._done(job, content, SealedBatch)

    async def read_arming(self, job: ReadArming, body: Vault) -> bytes:
        """The body without its shares. Raises Refused `request.malformed` or `request.invalid`, and TryLater."""
        return (await self._done(job, body, Told)).content

    async def combine_shares(self, job: CombineShares, body: Vault) -> bytes:
        """The wrapped paper key. Raises Refused `batch.not_ready` for shares that do not give it, and TryLater."""
        return (await self._done(job, body, Told)).content

    async def seal_changes(self, job: SealChanges, body: Vault) -> SealedChanges:
        """Raises Refused `request.malformed` or `regrade.invalid` as the changes deserve, and TryLater."""
        return await self._done(job, body, SealedChanges)

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

    async def _done(self, job: Job, content: Vault, expected: type[T]) -> T:
        async with self._turns:
            outcome = await self._outcome(msgspec.msgpack.encode(job), content)
        if isinstance(outcome, Failed):
            raise outcome.error()
        assert isinstance(outcome, expected)
        return outcome

    async def _outcome(self, message: bytes, content: Vault) -> Outcome:
        told, telling = os.pipe()
        try:
            try:
                self._send(message, [content.fileno(), telling])
            finally:
                os.close(telling)
            written = await asyncio.to_thread(_read_to_end, told)
        finally:
            os.close(told)
        if not written:
            raise TryLater("the process that seals papers ended before it was done; nothing was stored")
        return msgspec.msgpack.decode(written, type=Outcome)  # type: ignore[no-any-return]

    def _send(self, message: bytes, handles: list[int]) -> None:
        try:
            socket.send_fds(self._reached(), [message], handles)
        except BlockingIOError:
            raise TryLater("the process that seals papers does not take any more at this moment") from None
        except OSError:  # it is gone: a new one, once
            self.close()
            socket.send_fds(self._reached(), [message], handles)

    def _reached(self) -> socket.socket:
        if self._line is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _BOOT, _ROOT, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env={},  # nothing of ours leads it anywhere
                )
            ours.setblocking(False)
            ours.send(msgspec.msgpack.encode(self._settings))
            self._line = ours
        return self._line


def _read_to_end(handle: int) -> bytes:
    """What comes until the other end is closed; nothing when it takes too long."""
    pieces: list[bytes] = []
    with selectors.DefaultSelector() as waiting:
        waiting.register(handle, selectors.EVENT_READ)
        while waiting.select(_PATIENCE_S):
            piece = os.read(handle, _READ_BYTES)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
    return b""
