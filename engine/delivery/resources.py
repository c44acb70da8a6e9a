"""What all of delivery shares in one worker: Redis, the keys it needs, and what it knows of armed batches."""

from __future__ import annotations

import contextlib

from engine.candidates import ArmedBatch, Candidates
from engine.delivery.release import Release
from engine.rules.errors import TryLater
from engine.rules.limits import SEALED_KEPT_BYTES_MAX
from engine.sealing.provider import KeyProvider
from engine.sealing.signature import Signer
from engine.stores.clock import SteadyClock
from engine.stores.memory import Memory
from engine.stores.prepare import sealed_key

__all__ = ["ArmedBatch", "Delivery"]


class Delivery(Candidates):
    """Resources of the candidate-facing half of a worker."""

    def __init__(
        self, memory: Memory, token_key: bytes, login_key: bytes, provider: KeyProvider, signer: Signer
    ) -> None:
        super().__init__(memory, token_key)
        self.login_key = login_key
        self.signer = signer
        self.release = Release(provider, SteadyClock(), memory)
        self._sealed: dict[str, bytes] = {}

    async def sealed_paper(self, digest: str) -> bytes | None:
        """The sealed bytes, read once and kept: a room fetches them within minutes, and Redis has saves to do.

        It is asked each time whether they are still given out: an arming may have been undone.
        """
        if digest in self._sealed:
            with contextlib.suppress(TryLater):  # while it is away nothing is undone either
                if not await self.memory.is_there(sealed_key(digest)):
                    self._sealed.pop(digest, None)
                    return None
        else:
            sealed = await self.memory.read_bytes(sealed_key(digest))
            if sealed is None:
                return None
            if sum(map(len, self._sealed.values())) + len(sealed) > SEALED_KEPT_BYTES_MAX:
                self._sealed.clear()
            self._sealed[digest] = sealed
        return self._sealed[digest]
