"""One partition as a worker with open channels sees it: its news, how far it is recorded, its sittings looked at.

Promise: what happens to a sitting reaches its channels with the next poll; what was missed (news no longer kept, a new
generation) is made good by looking at every sitting again.
How: scripts that do something to a sitting also write a line of news and count it (`tell` in stores/partition.lua).
A poll is one small script call per partition with channels, whatever their number; looks are packed as saves are.
Not here: when to poll (channel_watch.py), and what a channel makes of it (channel.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from engine import log
from engine.delivery.channel_messages import committed_frame
from engine.delivery.resources import Delivery
from engine.delivery.websocket import Stage
from engine.rules.errors import ExamError, TryLater
from engine.rules.limits import (
    CHANNEL_COMMITTED_S,
    CHANNEL_LOOK_SITTINGS_MAX,
    CHANNEL_SLICE,
    CHANNEL_TOLD_AT_ONCE,
)
from engine.rules.outcome import Outcome, refusal
from engine.stores.clock import monotonic_s
from engine.stores.memory import PartitionKeys, beside

if TYPE_CHECKING:
    from engine.delivery.channel import Channel

NEWS = beside(__file__)
_LOOK = beside(__file__, "channel_look")
_NEVER = -1
_TELL_PAUSE_S = 0.001
T = TypeVar("T")


class Look(Struct, frozen=True):
    """A sitting as it stood in Redis at `now_ms`; the rest holds when `outcome` is OK (else a refusal)."""

    now_ms: int
    generation: int
    position: int
    committed: int
    outcome: Outcome
    state: str = ""
    ends_ms: int = 0
    high: int = 0
    photo: str = ""


class PartitionNews:
    """The channels of one partition in one worker."""

    def __init__(self, delivery: Delivery, keys: PartitionKeys, pace: asyncio.Lock) -> None:
        self._pace = pace  # of all partitions of this worker
        self._delivery = delivery
        self.keys = keys
        self.channels: dict[str, tuple[Channel, ...]] = {}  # by sitting: a second tab has its own
        self._unsure: set[Channel] = set()  # those that have saved what they do not know to be committed
        self._generation = _NEVER
        self._committed = 0
        self._told = _NEVER
        self._moves: deque[tuple[float, int]] = deque()  # of `committed`: when a poll found each, and to where
        self._due = _NEVER  # up to where whoever has saved must hear by now
        self._is_owed = False  # `_due` has moved, and nobody has been told since
        self._telling: asyncio.Task[None] | None = None
        self._has_overlooked = False  # a look at an open channel's sitting has failed
        self._to_look: list[Channel] = []
        self._looking: asyncio.Task[None] | None = None

    # --- who is here ---------------------------------------------------------------------------------------------
    def join(self, channel: Channel, sitting_id: str) -> None:
        self.channels[sitting_id] = (*self.channels.get(sitting_id, ()), channel)

    def leave(self, channel: Channel, sitting_id: str) -> None:
        left = tuple(other for other in self.channels.get(sitting_id, ()) if other is not channel)
        if left:
            self.channels[sitting_id] = left
        else:
            self.channels.pop(sitting_id, None)
        self._unsure.discard(channel)

    def expect_commit(self, channel: Channel) -> None:
        """The channel waits to hear that its saves are committed."""
        self._unsure.add(channel)
        if channel.is_owed(self._generation, self._due):
            self._is_owed = True  # a poll has overtaken the acknowledgement

    # --- news ----------------------------------------------------------------------------------------------------
    def question(self) -> tuple[list[str], list[str | bytes | int]]:
        """The poll's script call for this partition."""
        return [self.keys.marker, self.keys.log, self.keys.news], [self._generation, self._told]

    async def hear(self, reply: list[Any]) -> int | None:
        """Tell the channels what a poll has found; the server's time then, or None while the partition is lost."""
        if reply[0] != Outcome.OK:
            return None
        generation, _, committed, now_ms, told, has_gap = map(int, reply[1:7])
        is_new = generation != self._generation
        is_first = self._generation == _NEVER  # everybody was told when they said hello
        news = reply[7:]
        self._note(committed, is_new)
        self._generation, self._committed, self._told = generation, committed, told
        for at in range(0, len(news), 2):
            for channel in self.channels.get(news[at].decode(), ()):
                spared(channel, channel.hear, news[at + 1].decode(), now_ms)
        if is_new or has_gap or self._has_overlooked:
            self._has_overlooked = False
            for channel in self._all():
                self.look(channel)
        if is_new and not is_first:
            await self._announce(generation, committed_frame(generation, committed))
        elif self._is_owed and (self._telling is None or self._telling.done()):
            self._is_owed = False
            self._telling = asyncio.get_running_loop().create_task(self._reassure())
        return now_ms

    def _note(self, committed: int, is_new: bool) -> None:
        """A few channels hear at once how far things are committed. A whole hall hears it from its acknowledgements:
        there only who has not saved for a while is told beside them."""
        now_s = monotonic_s()
        if is_new:
            self._moves.clear()
        if is_new or committed != self._committed:
            self._moves.append((now_s, committed))
        is_hall = len(self._unsure) > CHANNEL_TOLD_AT_ONCE
        until_s = now_s - CHANNEL_COMMITTED_S if is_hall and not is_new else now_s
        while self._moves and self._moves[0][0] <= until_s:
            self._due = self._moves.popleft()[1]
            self._is_owed = True

    async def _announce(self, generation: int, frame: bytes) -> None:
        """A new generation: whoever has something that is not committed sends it again."""
        for at, channel in enumerate(self._all()):
            await _give_way(at)
            spared(channel, channel.write, frame)
            if channel.unsure_generation != generation:
                self._unsure.discard(channel)

    async def _reassure(self) -> None:
        """A little at a time, and one partition after another: saves have their answers meanwhile."""
        async with self._pace:
            generation, due, committed = self._generation, self._due, self._committed
            frame = committed_frame(generation, committed)
            late = [channel for channel in self._unsure if channel.is_owed(generation, due)]
            for at, channel in enumerate(late):
                if at and at % CHANNEL_TOLD_AT_ONCE == 0:
                    await asyncio.sleep(_TELL_PAUSE_S)
                if self._generation != generation:
                    return  # everybody has been told of a new one
                if spared(channel, channel.hear_committed, generation, committed, frame):
                    self._unsure.discard(channel)

    def close(self) -> None:
        """Tell nobody any more."""
        for task in (self._telling, self._looking):
            if task is not None:
                task.cancel()

    def _all(self) -> list[Channel]:
        return [channel for some in self.channels.values() for channel in some]

    # --- looks ---------------------------------------------------------------------------------------------------
    def look(self, channel: Channel) -> None:
        """Look at the channel's sitting with the next packed call; `channel.see` or `channel.see_nothing` follows."""
        self._to_look.append(channel)
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        try:
            await asyncio.sleep(0)  # what else arrives in this turn of the loop belongs into the same call
            while self._to_look:
                some = self._to_look[:CHANNEL_LOOK_SITTINGS_MAX]
                del self._to_look[:CHANNEL_LOOK_SITTINGS_MAX]
                try:
                    await self._look_at(some)
                except Exception as fault:
                    self._explain(some, fault)
        finally:
            self._looking = None

    async def _look_at(self, channels: list[Channel]) -> None:
        prepared = []
        for channel in channels:
            token = channel.token
            if token is None or channel.stage >= Stage.LEAVING:
                continue
            try:
                prepared.append((channel, token, await self._delivery.batch(token.armed_id)))
            except ExamError as fault:
                self._explain([channel], fault)
        if not prepared:
            return
        sitting_keys = [self.keys.sitting(token.sitting_id) for _, token, _ in prepared]
        epochs = [token.epoch for _, token, _ in prepared]
        reply = await self._delivery.memory.run(_LOOK, [self.keys.marker, self.keys.log, *sitting_keys], epochs)
        if reply[0] != Outcome.OK:
            raise refusal(Outcome(reply[0]), "autosave")
        _, generation, position, committed, now_ms = map(int, reply[:5])
        for (channel, token, armed), (outcome, *found) in zip(prepared, reply[5:], strict=True):
            if outcome == Outcome.UNKNOWN:
                self._explain([channel], await self._delivery.refusal(token, Outcome.UNKNOWN, "autosave"))
                continue
            look = Look(now_ms, generation, position, committed, Outcome(outcome))
            if found:  # numbers that the script has read as such
                state, ends_ms, high, photo = found[0].decode(), int(found[1]), int(found[2]), found[3].decode()
                look = Look(now_ms, generation, position, committed, Outcome.OK, state, ends_ms, high, photo)
            spared(channel, channel.see, look, armed)

    def _explain(self, channels: list[Channel], fault: Exception) -> None:
        if not isinstance(fault, ExamError):
            log.logger().error("channel.look_failed", channels=len(channels), exc_info=fault)
            fault = TryLater(f"the sitting could not be looked at ({type(fault).__name__})")
        for channel in channels:
            if spared(channel, channel.see_nothing, fault):
                self._has_overlooked = True


def spared(channel: Channel, act: Callable[..., T], *arguments: Any) -> T | None:
    """Do it to one channel of many: if it fails, that channel goes, and the others hear what there is to hear."""
    try:
        return act(*arguments)
    except Exception:
        log.logger().exception("channel.failed", sitting_id=channel.token and channel.token.sitting_id)
        channel.cut("failed")
        return None


async def _give_way(at: int) -> None:
    """Between slices of a long list the event loop has other things to do."""
    if at and at % CHANNEL_SLICE == 0:
        await asyncio.sleep(0)
