"""A worker's way to its sealer: hands a job and its bytes over, and gets back what may be known of them.

Why a process of its own: `sealer_process.py`.
"""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec

from engine.rules.limits import SEAL_TIMEOUT_S, SEALS_AT_ONCE
from engine.scheduling.sealer_jobs import (
    CombineShares,
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
from engine.scheduling.workshop import Failed, Workshop
from engine.settings import Settings
from engine.vault import Vault

T = TypeVar("T", bound=Outcome)

_PATIENCE_S = SEAL_TIMEOUT_S + 5.0  # the job ends itself before


class Sealer:
    """One per worker."""

    def __init__(self, settings: Settings) -> None:
        # It reaches no store, so it learns of none.
        known = msgspec.structs.replace(settings.for_process(None), redis_url="")
        self.workshop = Workshop("sealer_process", "seals papers", _PATIENCE_S, msgspec.msgpack.encode(known))
        self._turns = asyncio.Semaphore(SEALS_AT_ONCE)

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
        """The process ends with it."""
        self.workshop.close()

    async def _done(self, job: Job, content: Vault, expected: type[T]) -> T:
        async with self._turns:
            written = await self.workshop.outcome(msgspec.msgpack.encode(job), content)
        outcome = msgspec.msgpack.decode(written, type=Outcome)
        if isinstance(outcome, Failed):
            raise outcome.error()
        assert isinstance(outcome, expected)
        return outcome
