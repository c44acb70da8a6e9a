"""The channels of one worker that wait for a paper key whose start has come by Redis's clock.

At most they wait for moments: until this worker's own clock has come as far and the provider has answered (release.py).
Nothing here costs a call to Redis: the poll of channel_watch.py tells the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from engine.delivery.channel_messages import frame
from engine.delivery.release import Release
from engine.delivery.resources import ArmedBatch
from engine.sealing.encoding import to_base64url
from engine.sealing.paper import sitting_seeds

if TYPE_CHECKING:
    from engine.delivery.channel import Channel

_PROMPT_S = 0.2  # how long a poll waits for the provider; what takes longer is found by a later one
_ASKED_BY = "channels"


class KeysAwaited:
    """Who waits for which key."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._waiting: dict[str, tuple[ArmedBatch, set[Channel]]] = {}  # by armed id: each paper has its key
        self._seeds: dict[str, Callable[[str], bytes]] = {}

    def key_frame(self, channel: Channel, armed: ArmedBatch, sitting_id: str) -> bytes | None:
        """Paper key and seed once they are released; before, None, and the channel waits from now on."""
        armed_id = armed.prepared.armed_id
        paper_key = self._release.opened(armed)
        if paper_key is None:
            self._waiting.setdefault(armed_id, (armed, set()))[1].add(channel)
            return None
        if armed_id not in self._seeds:
            self._seeds[armed_id] = sitting_seeds(paper_key)
        seed = self._seeds[armed_id](sitting_id)
        return frame({"type": "paper_key", "paper_key": to_base64url(paper_key), "seed": to_base64url(seed)})

    def forget(self, channel: Channel) -> None:
        for armed_id, (_, channels) in list(self._waiting.items()):
            channels.discard(channel)
            if not channels:
                del self._waiting[armed_id]

    def left_ms(self, redis_ms: float) -> float | None:
        """Until the next of these keys is due; None when nobody waits, or only for a provider."""
        left = [
            self._release.left_ms(armed, int(redis_ms))
            for armed, _ in self._waiting.values()
            if self._release.may_try(armed)
        ]
        return min(left, default=None)

    async def open_due(self, coming: Iterable[ArmedBatch | None], redis_ms: int) -> list[tuple[int, set[Channel]]]:
        """Open the keys that are due, also of those `coming` to their start. By start: who waited for what is here."""
        asked = {armed.prepared.armed_id: armed for armed in coming if armed is not None}
        asked |= {armed_id: armed for armed_id, (armed, _) in self._waiting.items()}
        opening = [
            self._release.begin(armed, redis_ms, _ASKED_BY)
            for armed in asked.values()
            if self._release.opened(armed) is None
            and self._release.left_ms(armed, redis_ms) == 0
            and self._release.may_try(armed)
        ]
        if opening:
            await asyncio.wait(opening, timeout=_PROMPT_S)
        served = []
        for armed_id, (armed, channels) in list(self._waiting.items()):
            if self._release.opened(armed) is not None:
                served.append((armed.prepared.batch.starts_ms, channels))
                del self._waiting[armed_id]
        return served
