"""What all of delivery shares in one worker: Redis, the keys it needs, and what it knows of armed batches."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from engine.delivery.release import Release
from engine.rules import values
from engine.rules.errors import Refused, TryLater
from engine.rules.limits import SEALED_KEPT_BYTES_MAX
from engine.sealing import token
from engine.sealing.provider import KeyProvider
from engine.sealing.signature import Signer
from engine.stores.clock import SteadyClock
from engine.stores.memory import Memory
from engine.stores.prepare import PreparedBatch, batch_key, sealed_key
from engine.wire import bearer

_BATCHES_KEPT = 256  # batches that one worker remembers; a joint-exam day has a few dozen
_TOKENS_KEPT = 65_536  # verified tokens: one per candidate and login


class ArmedBatch(Struct, frozen=True):
    """A prepared batch with its checkers compiled; the same for every worker, for ever."""

    prepared: PreparedBatch
    checkers: dict[str, values.Checker]


class Delivery:
    """Resources of the candidate-facing half of a worker."""

    def __init__(
        self, memory: Memory, token_key: bytes, login_key: bytes, provider: KeyProvider, signer: Signer
    ) -> None:
        self.memory = memory
        self.token_key = token_key
        self.login_key = login_key
        self.signer = signer
        self.release = Release(provider, SteadyClock(), memory)
        self._batches: dict[str, ArmedBatch] = {}
        self._tokens: dict[str, token.Token] = {}
        self._sealed: dict[str, bytes] = {}

    def authenticate(self, scope: dict[str, object]) -> token.Token:
        """The token of a candidate's call. Raises Refused `auth.missing`."""
        return self.verified(bearer(scope))

    def verified(self, text: str) -> token.Token:
        """A candidate's token, verified once and then remembered. Raises Refused `auth.missing`."""
        known = self._tokens.get(text)
        if known is None:
            known = token.read(text, self.token_key)
            if known is None:
                raise Refused("auth.missing", "the candidate token is not one of ours; log in again")
            if len(self._tokens) >= _TOKENS_KEPT:
                self._tokens.clear()
            self._tokens[text] = known
        return known

    def known_batch(self, batch_id: str) -> ArmedBatch | None:
        """The batch, if this worker has met it."""
        return self._batches.get(batch_id)

    async def batch(self, batch_id: str) -> ArmedBatch:
        """Raises TryLater while the batch is not laid out in Redis (it is armed, or there would be no token)."""
        known = self._batches.get(batch_id)
        if known is None:
            stored = await self.memory.read_bytes(batch_key(batch_id))
            if stored is None:
                raise TryLater(f"batch {batch_id!r} is not prepared at this moment; nothing was changed")
            prepared = msgspec.msgpack.decode(stored, type=PreparedBatch)
            known = ArmedBatch(prepared, values.checkers(msgspec.json.decode(prepared.item_index)))
            if len(self._batches) >= _BATCHES_KEPT:
                self._batches.clear()
            self._batches[batch_id] = known
        return known

    async def sealed_paper(self, digest: str) -> bytes | None:
        """The sealed bytes, read once and kept: a room fetches them within minutes, and Redis has saves to do."""
        if digest not in self._sealed:
            sealed = await self.memory.read_bytes(sealed_key(digest))
            if sealed is None:
                return None
            if sum(map(len, self._sealed.values())) + len(sealed) > SEALED_KEPT_BYTES_MAX:
                self._sealed.clear()
            self._sealed[digest] = sealed
        return self._sealed[digest]
