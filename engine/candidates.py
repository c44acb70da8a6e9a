"""Whose call this is: a candidate's token, the batch it belongs to, and how the sitting stands now.

What candidates' calls in every room share. A token is verified once per worker, an armed batch read once; whether the
token's login is still the sitting's newest is asked of Redis each time, since any login may have ended it. A sitting
that Redis does not have is waited for, unless Redis says that its batch was erased: only then its token is refused.
"""

from __future__ import annotations

import contextlib

import msgspec
from msgspec import Struct

from engine.rules import timing, values
from engine.rules.errors import ExamError, Refused, TryLater
from engine.rules.forms import batch_id_of
from engine.rules.outcome import Outcome, refusal
from engine.rules.terms import SittingState
from engine.sealing import token
from engine.stores.memory import Memory, beside
from engine.stores.prepare import ERASED, PreparedBatch, batch_key
from engine.wire import bearer

_BATCHES_KEPT = 1024  # that one worker remembers, each paper by itself; a joint-exam day has some hundred at most
_TOKENS_KEPT = 65_536  # verified tokens: one per candidate and login
_STANDING = beside(__file__)


class ArmedBatch(Struct, frozen=True):
    """A prepared batch, as it is for one of its papers, with its checkers compiled; the same for ever, everywhere."""

    prepared: PreparedBatch
    checkers: dict[str, values.Checker]


class Standing(Struct, frozen=True, kw_only=True):
    """A sitting at one moment of Redis's clock, as its candidate may act on it; no responses."""

    token: token.Token
    armed: ArmedBatch
    now_ms: int
    recorded: SittingState  # as somebody wrote it down
    state: SittingState  # as it holds at `now_ms`
    ends_ms: int  # with all time given
    closed_ms: int | None  # of a hand-in, or a collection


class Candidates:
    """Tokens and armed batches as one worker knows them."""

    def __init__(self, memory: Memory, token_key: bytes) -> None:
        self.memory = memory
        self.token_key = token_key
        self._batches: dict[str, ArmedBatch] = {}
        self._tokens: dict[str, token.Token] = {}

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

    def known_batch(self, armed_id: str) -> ArmedBatch | None:
        """The batch for one of its papers, if this worker has met it."""
        return self._batches.get(armed_id)

    async def batch(self, armed_id: str) -> ArmedBatch:
        """Raises TryLater while the batch is not laid out in Redis (it is armed, or there would be no token).

        Raises Refused `auth.missing` once it was erased.
        """
        known = self._batches.get(armed_id)
        if known is None:
            stored = await self.memory.read_bytes(batch_key(armed_id))
            if stored == ERASED:
                raise _erased(armed_id)
            if stored is None:
                raise TryLater(f"batch {armed_id!r} is not prepared at this moment; nothing was changed")
            prepared = msgspec.msgpack.decode(stored, type=PreparedBatch)
            known = ArmedBatch(prepared, values.checkers(msgspec.json.decode(prepared.item_index)))
            if len(self._batches) >= _BATCHES_KEPT:
                self._batches.clear()
            self._batches[armed_id] = known
        return known

    async def refusal(self, known: token.Token, outcome: Outcome, verb: str, detail: str = "") -> ExamError:
        """What a script's `outcome` means for a call with this token, as the error to answer."""
        if outcome == Outcome.UNKNOWN:
            with contextlib.suppress(TryLater):
                if await self.memory.read_bytes(batch_key(known.armed_id)) == ERASED:
                    self._batches.pop(known.armed_id, None)
                    return _erased(known.armed_id)
        return refusal(outcome, verb, detail)

    async def standing(self, known: token.Token) -> Standing:
        """The sitting of a verified token now. Raises Refused `sitting.superseded` after a later login; TryLater."""
        armed = await self.batch(known.armed_id)
        keys = self.memory.partition_of(known.sitting_id)
        reply = await self.memory.run(_STANDING, [keys.marker, keys.log, keys.sitting(known.sitting_id)], [known.epoch])
        if reply[0] != Outcome.OK:
            raise await self.refusal(known, Outcome(reply[0]), "autosave")
        now_ms, recorded, ends_ms = int(reply[1]), SittingState(reply[2].decode()), int(reply[3])
        batch = armed.prepared.batch
        edges = timing.boundaries(batch, (ends_ms - batch.ends_ms) // 1000)
        return Standing(
            token=known,
            armed=armed,
            now_ms=now_ms,
            recorded=recorded,
            state=timing.state_at(recorded, edges, now_ms),
            ends_ms=ends_ms,
            closed_ms=int(reply[4]) or None,
        )


def _erased(armed_id: str) -> Refused:
    return Refused("auth.missing", f"batch {batch_id_of(armed_id)!r} was erased when its years were over")
