"""The release of paper keys: by an act, arming, and then by two clocks that do not depend on each other.

Promise: a key leaves its wrapping only when Redis's clock AND this worker's steady clock (the time of day when the
worker began, carried on by the monotonic clock) have both reached the start. So a clock that is stepped forward,
Redis's or this machine's, releases nothing; this machine's stepped back delays nothing. Redis's stepped back delays
until it is put right, and saves would be refused until then all the same. A worker that began with a wrong time of day
holds its keys back by as much, until it is restarted.
How: the provider is asked once per paper key and worker, off the event loop, and not before: until then the key is
nowhere in this process. Each release is logged, without the key.
"""

from __future__ import annotations

import asyncio

from engine import log, metrics
from engine.candidates import ArmedBatch
from engine.rules.errors import Refused, TryLater
from engine.rules.limits import CLOCKS_APART_WARNED_MS, RELEASE_RETRY_S, RELEASE_WAIT_MS
from engine.sealing.provider import KeyProvider, paper_key_purpose
from engine.stores.clock import SteadyClock, monotonic_s
from engine.stores.memory import Memory

_KEYS_KEPT = 1024  # paper keys; a joint-exam day has some hundred at most


class Release:
    """The paper keys of one worker."""

    def __init__(self, provider: KeyProvider, steady: SteadyClock, memory: Memory) -> None:
        self.steady = steady
        self._memory = memory
        self._provider = provider
        self._opened: dict[str, bytes] = {}  # by armed id, as all of these
        self._opening: dict[str, asyncio.Task[bytes]] = {}
        self._failed_s: dict[str, float] = {}  # armed id -> when the provider failed to open its key

    def left_ms(self, armed: ArmedBatch, redis_ms: int) -> int:
        """Until both clocks have reached the start, as far as they know now; 0 when they have."""
        return max(0, armed.prepared.batch.starts_ms - min(redis_ms, self.steady.now_ms()))

    def opened(self, armed: ArmedBatch) -> bytes | None:
        """The key, when this worker has released it already."""
        return self._opened.get(armed.prepared.armed_id)

    def may_try(self, armed: ArmedBatch) -> bool:
        """False for a while after the provider has failed."""
        return monotonic_s() - self._failed_s.get(armed.prepared.armed_id, -RELEASE_RETRY_S) >= RELEASE_RETRY_S

    async def paper_key(self, armed: ArmedBatch, redis_ms: int, asked_by: str) -> bytes:
        """For a call. Raises Refused before the start, TryLater while only Redis's clock has come so far."""
        starts_ms = armed.prepared.batch.starts_ms
        if redis_ms < starts_ms:
            raise too_early(starts_ms, redis_ms)
        left_ms = self.left_ms(armed, redis_ms)
        if left_ms > RELEASE_WAIT_MS:
            raise TryLater(
                f"the key is released at {starts_ms} ms; by this worker's own clock that is in {left_ms} ms",
                retry_after_s=RELEASE_RETRY_S,
            )
        if left_ms:
            await asyncio.sleep(left_ms / 1000)
        opened = self.opened(armed)
        if opened is not None:
            return opened
        if not self.may_try(armed):
            raise _not_opened()
        return await asyncio.shield(self.begin(armed, redis_ms, asked_by))

    async def clock_warning(self) -> str:
        """How far the clocks of Redis and this worker are apart, where that is too much; also as a figure.

        Raises TryLater when no node of Redis answers. A difference within the time of the answer's way is none.
        """
        apart_ms = 0.0
        for before_ms, redis_ms, after_ms in await self._memory.read_clocks(self.steady.now_ms):
            ahead_ms, unsure_ms = redis_ms - (before_ms + after_ms) / 2, (after_ms - before_ms) / 2
            sure_ms = max(0.0, abs(ahead_ms) - unsure_ms)
            if sure_ms > abs(apart_ms):
                apart_ms = sure_ms if ahead_ms > 0 else -sure_ms
        metrics.release_clocks_apart_seconds.set(abs(apart_ms) / 1000)
        if abs(apart_ms) <= CLOCKS_APART_WARNED_MS:
            return ""
        told = f"Redis's clock is {abs(apart_ms) / 1000:.1f} s {'ahead of' if apart_ms > 0 else 'behind'} this worker's"
        return f"{told}: paper keys wait for the later of the two"

    def begin(self, armed: ArmedBatch, redis_ms: int, asked_by: str) -> asyncio.Task[bytes]:
        """Ask the provider, once for all who wait; call it only when `left_ms` is 0."""
        armed_id = armed.prepared.armed_id
        opening = self._opening.get(armed_id)
        if opening is None:
            opening = asyncio.get_running_loop().create_task(self._open(armed, redis_ms, asked_by))
            self._opening[armed_id] = opening
            opening.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting
        return opening

    async def _open(self, armed: ArmedBatch, redis_ms: int, asked_by: str) -> bytes:
        """Raises TryLater when the provider does not open it; the reason is for the log."""
        armed_id, batch = armed.prepared.armed_id, armed.prepared.batch
        wrapped, purpose = armed.prepared.paper_key_wrapped, paper_key_purpose(armed_id)
        try:
            paper_key = await asyncio.to_thread(self._provider.unwrap, purpose, wrapped)
        except Exception as fault:
            self._failed_s[armed_id] = monotonic_s()
            metrics.release_failures.inc()
            log.logger().exception("release.failed", batch_id=batch.batch_id, form=armed.prepared.form)
            raise _not_opened() from fault
        finally:
            del self._opening[armed_id]
        if len(self._opened) >= _KEYS_KEPT:
            self._opened.clear()
        self._opened[armed_id] = paper_key
        self._failed_s.pop(armed_id, None)
        log.logger().info(
            "release.paper_key",
            batch_id=batch.batch_id,
            form=armed.prepared.form,
            sealed_digest=armed.prepared.sealed_digest,
            starts_ms=batch.starts_ms,
            redis_ms=redis_ms,
            steady_ms=self.steady.now_ms(),
            asked_by=asked_by,
        )
        return paper_key


def _not_opened() -> TryLater:
    return TryLater("the key provider did not open the paper key", retry_after_s=RELEASE_RETRY_S)


def too_early(starts_ms: int, redis_ms: int) -> Refused:
    return Refused(
        "paper_key.too_early",
        f"the key is released at {starts_ms} ms, it is {redis_ms} ms",
        starts_ms=starts_ms,
        server_ms=redis_ms,
    )
