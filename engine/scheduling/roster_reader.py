"""A worker's way to the process that reads rosters, and what seating calls send."""

from __future__ import annotations

import asyncio

import msgspec

from engine.rules.limits import ROSTER_BODY_BYTES_MAX, ROSTER_READ_TIMEOUT_S, ROSTER_READS_AT_ONCE
from engine.rules.seating_call import SeatingCall
from engine.rules.shape import Faults
from engine.scheduling.roster_jobs import (
    FaultyRoster,
    Job,
    Outcome,
    ReadRoster,
    ReadSeating,
    TakenRoster,
    TakenSeating,
)
from engine.scheduling.workshop import Failed, Workshop
from engine.vault import Vault

_PATIENCE_S = ROSTER_READ_TIMEOUT_S + 10.0  # the job ends itself before


class RosterReader:
    """One per worker."""

    def __init__(self) -> None:
        self.workshop = Workshop("roster_process", "reads rosters", _PATIENCE_S)
        self._turns = asyncio.Semaphore(ROSTER_READS_AT_ONCE)

    async def read(self, job: ReadRoster, body: Vault) -> TakenRoster | FaultyRoster:
        """Raises Refused `roster.file_format`, `request.malformed` or `request.too_large`, and TryLater."""
        outcome = await self._outcome(job, body)
        assert isinstance(outcome, TakenRoster | FaultyRoster)
        return outcome

    async def read_seating(self, batch_id: str, body: Vault, faults: Faults) -> SeatingCall:
        """What a seating call asks for; what is wrong with it is added to `faults`. Raises what `read` does."""
        outcome = await self._outcome(ReadSeating(batch_id), body)
        assert isinstance(outcome, TakenSeating)
        faults.extend(outcome.faults, outcome.faults_total)
        return outcome.call

    async def read_again(self, job: ReadRoster, body: Vault, overlaps: dict[str, str]) -> TakenRoster | FaultyRoster:
        """The same with what only the database knows: why whom of the roster cannot be in it. Raises what `read` does.

        The reasons may be as many as the candidates, so they go with the bytes, before the body.
        """
        reasons = msgspec.msgpack.encode(overlaps)
        job = msgspec.structs.replace(job, overlaps_bytes=len(reasons))
        both = Vault(len(reasons) + ROSTER_BODY_BYTES_MAX)
        try:
            both.keep(reasons)
            both.keep(body.content())
            return await self.read(job, both)
        finally:
            both.close()

    async def _outcome(self, job: Job, body: Vault) -> Outcome:
        async with self._turns:
            written = await self.workshop.outcome(msgspec.msgpack.encode(job), body)
        outcome: Outcome = msgspec.msgpack.decode(written, type=Outcome)
        if isinstance(outcome, Failed):
            raise outcome.error()
        return outcome

    def close(self) -> None:
        """The process ends with it."""
        self.workshop.close()
