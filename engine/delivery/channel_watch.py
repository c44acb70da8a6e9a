"""The open channels of one worker, and the one loop that looks after all of them.

Promise: a start reaches every open channel that may have the key within a second of it; takeovers, hand-ins, new times
and `committed` within a second of their happening; whoever is not there any more is noticed. None of it costs a task or
a timer per channel.
How: a few times a second one poll asks every partition that has channels for its news and for Redis's time; what is due
by that time is done then, so that this machine's clock decides nothing but when to ask; a paper key waits for it, too
(release.py). Polls come earlier when a start or an end is near. Long lists are served in slices.
"""

from __future__ import annotations

import asyncio
import contextlib

from engine import log, metrics
from engine.delivery.autosave import Autosave
from engine.delivery.channel import Channel
from engine.delivery.channel_keys import KeysAwaited
from engine.delivery.channel_news import NEWS, PartitionNews, spared
from engine.delivery.resources import Delivery
from engine.rules.errors import Refused, TryLater
from engine.rules.limits import (
    CHANNEL_CLOSE_S,
    CHANNEL_HELLO_S,
    CHANNEL_POLL_S,
    CHANNEL_SLICE,
    CHANNEL_TURN_S,
    CHANNELS_MAX,
)
from engine.sealing.token import Token
from engine.stores.clock import monotonic_s
from engine.stores.memory import Purpose

_POLL_SOONEST_S = 0.005  # when something is due at once
_FLUSH_EVERY_S = 1.0
_MOVING = "this server is being replaced; connect again, nothing is lost"
_SPREAD = 0.6  # of a drain's time, in which all are told to move
_WAIT = 0.9  # of it, in which they may answer the close frame
_DRAIN_STEPS = 100


class Channels:
    """Every open channel of this worker."""

    def __init__(self, delivery: Delivery, autosave: Autosave) -> None:
        self.delivery = delivery
        self.autosave = autosave
        self.now_s = monotonic_s()  # as of the last tick: good enough to see who has become silent
        pace = asyncio.Lock()
        self._news = [PartitionNews(delivery, keys, pace) for keys in delivery.memory.partitions]
        # Every channel, by the second of its turn to show that it lives.
        self._turns: list[set[Channel]] = [set() for _ in range(CHANNEL_TURN_S)]
        self._turn = 0
        self._count = 0
        # Both in the order in which they run out.
        self._unheard: dict[Channel, float] = {}  # no hello yet -> until when
        self._closing: dict[Channel, float] = {}  # close frame sent -> until when
        self._moments: dict[int, set[Channel]] = {}  # server ms -> whose start or end it is
        self._ahead_ms: float | None = None  # Redis's clock before ours, at least
        self.keys = KeysAwaited(delivery.release)
        self._frames: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        self._flushed_s = 0.0
        self._is_draining = False
        self._loop: asyncio.Task[None] | None = None

    # --- coming and going ----------------------------------------------------------------------------------------
    def check_room(self) -> None:
        """Raises TryLater when this worker takes no further channel."""
        if self._is_draining:
            raise TryLater(_MOVING)
        if self._count >= CHANNELS_MAX:
            raise TryLater(f"{CHANNELS_MAX} channels are open in this worker already")

    def enter(self, channel: Channel) -> None:
        if self._loop is None:
            self.now_s = channel.heard_s = monotonic_s()  # nobody has looked at the clock since this worker began
            self._loop = asyncio.get_running_loop().create_task(self._watch())
        self._count += 1
        channel.turn = self._count % CHANNEL_TURN_S
        self._turns[channel.turn].add(channel)
        self._unheard[channel] = monotonic_s() + CHANNEL_HELLO_S

    def greet(self, channel: Channel, token: Token) -> None:
        """The channel has said whose it is: it hears news from now on, and of its sitting soon."""
        self._unheard.pop(channel, None)
        news = channel.news = self._news[self.delivery.memory.partition_of(token.sitting_id).number]
        news.join(channel, token.sitting_id)
        news.look(channel)

    def leave(self, channel: Channel) -> None:
        """Forget it, wherever it stands."""
        self._count -= 1
        self._turns[channel.turn].discard(channel)
        self._unheard.pop(channel, None)
        self._closing.pop(channel, None)
        self._forget_moment(channel)
        self.keys.forget(channel)
        if channel.news is not None and channel.token is not None:
            channel.news.leave(channel, channel.token.sitting_id)

    # --- what a channel asks for ---------------------------------------------------------------------------------
    def look(self, channel: Channel) -> None:
        """Look at its sitting in Redis: something about it has changed."""
        if channel.news is not None:
            channel.news.look(channel)

    def expect_moment(self, channel: Channel, moment_ms: int) -> None:
        """Call its `advance` when Redis's clock has reached `moment_ms`; 0: nothing more will come by itself."""
        self._forget_moment(channel)
        channel.moment_ms = moment_ms
        if moment_ms:
            self._moments.setdefault(moment_ms, set()).add(channel)

    def expect_close(self, channel: Channel) -> None:
        self._unheard.pop(channel, None)
        self._closing[channel] = monotonic_s() + CHANNEL_CLOSE_S

    def count_frame(self, kind: str) -> None:
        self._frames[kind] = self._frames.get(kind, 0) + 1

    def count_end(self, reason: str) -> None:
        self._ends[reason] = self._ends.get(reason, 0) + 1

    def _forget_moment(self, channel: Channel) -> None:
        waiting = self._moments.get(channel.moment_ms)
        if waiting is not None:
            waiting.discard(channel)
            if not waiting:
                del self._moments[channel.moment_ms]

    # --- the loop ------------------------------------------------------------------------------------------------
    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._pause_s())
            try:
                self._tick()
                await self._poll()
            except Exception:  # a loop that dies silently would leave everybody without a key
                log.logger().exception("channel.watch_failed")

    def _pause_s(self) -> float:
        """Until the next poll: the usual time, or less if a moment comes first."""
        if self._ahead_ms is None:
            return CHANNEL_POLL_S
        # Redis's clock is at least where we think it is: we never ask too early.
        redis_ms = self._ahead_ms + monotonic_s() * 1000
        left_s = (min(self._moments) - redis_ms) / 1000 if self._moments else CHANNEL_POLL_S
        key_left_ms = self.keys.left_ms(redis_ms)
        if key_left_ms is not None:
            left_s = min(left_s, key_left_ms / 1000)
        return min(CHANNEL_POLL_S, max(_POLL_SOONEST_S, left_s))

    async def _poll(self) -> None:
        asked = [news for news in self._news if news.channels]
        if not asked:
            return
        questions = [news.question() for news in asked]
        # Purpose logs: a line that nobody else uses in a worker.
        try:
            replies = await self.delivery.memory.run_each(NEWS, questions, Purpose.LOGS)
        except TryLater:
            return  # no node serves
        known_ms = []
        for news, reply in zip(asked, replies, strict=True):
            # While Redis is away its channels wait; everything is made good when it answers.
            moment_ms = None if isinstance(reply, TryLater) else await news.hear(reply)
            if moment_ms is not None:
                known_ms.append(moment_ms)
        if known_ms:
            # The earliest of them: by then every partition's news are heard, pledges before the start included.
            self._ahead_ms = min(known_ms) - monotonic_s() * 1000
            await self._reach(min(known_ms))

    async def _reach(self, now_ms: int) -> None:
        """Do what is due by now."""
        heard_s = monotonic_s()
        due = [(moment_ms, self._moments.pop(moment_ms)) for moment_ms in sorted(self._moments) if moment_ms <= now_ms]
        coming = [channel.armed for _, channels in due for channel in channels if channel.is_waiting_for_key]
        late = await self.keys.open_due(coming, now_ms)
        for moment_ms, channels in [*late, *due]:
            for at, channel in enumerate(channels):
                if at and at % CHANNEL_SLICE == 0:
                    await asyncio.sleep(0)
                if channel.moment_ms == moment_ms:
                    channel.moment_ms = 0
                waited = channel.is_waiting_for_key
                spared(channel, channel.advance, now_ms)
                if waited and not channel.is_waiting_for_key:
                    metrics.channel_key_seconds.observe((now_ms - moment_ms) / 1000 + monotonic_s() - heard_s)

    def _tick(self) -> None:
        """Who is late with hello or with closing, and, once a second, whose turn it is to show that they live."""
        self.now_s = now_s = monotonic_s()
        for late, how in ((self._unheard, "mute"), (self._closing, "unclosed")):
            while late and next(iter(late.values())) <= now_s:
                channel = next(iter(late))
                del late[channel]
                if how == "mute":
                    mute = Refused("auth.missing", f"expected `hello` within {CHANNEL_HELLO_S} s")
                    spared(channel, channel.dismiss, mute, how)
                else:
                    channel.cut(how)
        if now_s - self._flushed_s < _FLUSH_EVERY_S:
            return
        self._flushed_s = now_s
        self._flush()
        self._turn = (self._turn + 1) % CHANNEL_TURN_S
        for channel in list(self._turns[self._turn]):
            if channel.keep_alive(now_s) == "unheard":
                channel.cut("silent")
            elif channel.keeps_others_out and now_s - channel.heard_s < channel.quiet_s_max:
                self.look(channel)  # which notes that the machine is in use

    def _flush(self) -> None:
        """Metrics once a second: each costs as much as reading a frame."""
        metrics.channel_open.set(self._count)
        for kind, number in self._frames.items():
            metrics.channel_frames.labels(kind).inc(number)
        for reason, number in self._ends.items():
            metrics.channel_ends.labels(reason).inc(number)
        self._frames.clear()
        self._ends.clear()

    # --- the end -------------------------------------------------------------------------------------------------
    async def drain(self, within_s: float) -> None:
        """Move every channel over to other workers, evenly spread; saves under way are answered first."""
        self._is_draining = True
        leaving = [channel for turn in self._turns for channel in turn]
        at_once = 1 + len(leaving) // _DRAIN_STEPS
        until_s = monotonic_s() + within_s * _WAIT
        for at, channel in enumerate(leaving):
            if at and at % at_once == 0:
                await asyncio.sleep(within_s * _SPREAD * at_once / len(leaving))
            spared(channel, channel.move, _MOVING)
        while self._count and monotonic_s() < until_s:  # noqa: ASYNC110 - connections, each with its own end
            await asyncio.sleep(_POLL_SOONEST_S)

    async def close(self) -> None:
        """Stop watching; what is still open is cut."""
        self._is_draining = True
        for channel in [channel for turn in self._turns for channel in turn]:
            channel.cut("cut_off")
        for news in self._news:
            news.close()
        if self._loop is not None:
            self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop
        self._flush()
