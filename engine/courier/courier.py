"""Sends what waits: each batch's results to each webhook in their order, again and again until they are taken.

Promise: every delivery is sent until it was answered with 2xx or given up, always under the same id; of one batch and
webhook one is under way at a time, so that a receiver sees a batch's results in the order of publication; a receiver
that fails holds up its own queues and nobody else's. Several couriers share the work.
How: a queue per webhook and batch is taken by a row lock that nobody waits for, and held by a moment in the row, which
every delivery moves on. Who falls silent loses its queues to the next when that moment has passed; what was sent and
not written down is sent again. The time that counts is PostgreSQL's.
Not here: how deliveries come to be (`fan_out.py`), and the call itself (`post.py`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from engine import log, metrics
from engine.courier import event
from engine.courier.post import Answer, Post
from engine.rules.backoff import backoff_s
from engine.rules.errors import TryLater
from engine.rules.limits import (
    DELIVERIES_AT_ONCE,
    DELIVERIES_PER_TURN,
    DELIVERIES_PER_WEBHOOK,
    DELIVERY_HOLD_MS_MAX,
    DELIVERY_HOLD_S,
)
from engine.sealing.envelope import SealBroken
from engine.sealing.provider import KeyProvider, webhook_purpose
from engine.sealing.secrets import random_bytes
from engine.stores.clock import monotonic_s, now_ms
from engine.stores.postgres import Postgres, Record
from engine.stores.sql import Queries

_queries = Queries(__file__)
_LOST = "its result is no longer stored"


class Pace(Struct, frozen=True):
    """How patient a courier is; the settings `courier_…` explain each."""

    timeout_s: float
    retry_first_s: float
    retry_max_s: float
    give_up_s: float

    @property
    def hold_ms(self) -> int:
        """Longer than one attempt takes: who still attempts still holds."""
        return int((self.timeout_s + DELIVERY_HOLD_S) * 1000)

    @property
    def wait_ms_max(self) -> int:
        """What the longest wait, or any courier's hold, lasts."""
        return max(int(self.retry_max_s * 1000), DELIVERY_HOLD_MS_MAX)


class Queue(Struct, frozen=True):
    """One batch's deliveries to one webhook, held by us in this `turn`."""

    webhook_id: str
    batch_id: str
    turn: int
    attempts: int
    waiting: int


class Courier:
    """One process's deliveries under way."""

    def __init__(self, database: Postgres, provider: KeyProvider, post: Post, pace: Pace) -> None:
        self._database = database
        self._provider = provider
        self._post = post
        self._pace = pace
        self._under_way: dict[asyncio.Task[None], Queue] = {}

    async def begin(self) -> int:
        """Take queues in which something is due and begin to send; how many were taken. Raises TryLater."""
        free = DELIVERIES_AT_ONCE - len(self._under_way)
        if free <= 0:
            return 0
        busy = Counter(queue.webhook_id for queue in self._under_way.values())
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                _queries.take_queues,
                free,
                DELIVERIES_PER_WEBHOOK,
                list(busy),
                list(busy.values()),
                self._pace.hold_ms,
                self._pace.wait_ms_max,
            )
        for row in rows:
            queue = Queue(**dict(row))
            task = asyncio.create_task(self._serve(queue))
            self._under_way[task] = queue
            task.add_done_callback(self._under_way.pop)
        return len(rows)

    async def wait(self, seconds: float | None = None) -> None:
        """Until one of the queues under way is done with, or so long."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        elif seconds:
            await asyncio.sleep(seconds)

    async def leave(self, within_s: float) -> None:
        """End what is under way: what is not answered by then is sent again by whoever comes next."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _serve(self, queue: Queue) -> None:
        """One turn of a queue; whatever happens, it is given back, or goes back by itself."""
        try:
            await self._send_waiting(queue)
        except TryLater as fault:
            metrics.courier_failures.labels("try_later").inc()
            log.logger().warning("courier.interrupted", webhook_id=queue.webhook_id, detail=fault.detail)
        except asyncio.CancelledError:
            await self._let_go(queue)
            raise
        except Exception as fault:  # one webhook's trouble is nobody else's
            metrics.courier_failures.labels(type(fault).__name__).inc()
            log.logger().exception("courier.failed", webhook_id=queue.webhook_id, batch_id=queue.batch_id)

    async def _send_waiting(self, queue: Queue) -> None:
        async with self._database.connection() as connection:
            target = await connection.fetchrow(_queries.target, queue.webhook_id)
            rows = await connection.fetch(_queries.waiting, queue.webhook_id, queue.batch_id, DELIVERIES_PER_TURN)
            if not rows:
                await connection.execute(_queries.recount, queue.webhook_id, queue.batch_id, queue.turn, queue.waiting)
        if target is not None:
            secrets = self._secrets(queue.webhook_id, target["secrets"])
            for row in rows:
                if not await self._send(queue, target["url"], secrets, row):
                    return
        await self._let_go(queue)

    def _secrets(self, webhook_id: str, wrapped: Sequence[bytes]) -> list[bytes]:
        purpose = webhook_purpose(webhook_id)
        try:
            return [self._provider.unwrap(purpose, each) for each in wrapped]
        except SealBroken as fault:
            raise SealBroken(f"webhook {webhook_id!r}: {fault}; push its secret again") from None

    async def _send(self, queue: Queue, url: str, secrets: Sequence[bytes], row: Record) -> bool:
        """One delivery; whether the next may follow."""
        if row["document"] is None:
            return await self._settle(queue, row["message_id"], "dead", Answer(0, _LOST, "lost"))
        content = event.body(queue.batch_id, row["publication"], row["document"])
        headers = event.headers(row["message_id"], content, secrets, now_ms())
        began_s = monotonic_s()
        answer = await self._post.send(url, content, headers)
        metrics.courier_attempts.labels(answer.kind).inc()
        metrics.courier_attempt_seconds.observe(monotonic_s() - began_s)
        if answer.is_delivered:
            return await self._settle(queue, row["message_id"], "delivered", answer)
        if answer.is_gone:
            await self._disable(queue, row["message_id"], answer)
        elif row["waited_ms"] >= self._pace.give_up_s * 1000:
            await self._give_up(queue, row["message_id"], answer)
        else:
            await self._put_off(queue, row["message_id"], answer)
        return False

    async def _settle(self, queue: Queue, message_id: str, state: str, answer: Answer) -> bool:
        """Whether the queue is still ours."""
        async with self._database.connection() as connection:
            is_held = await connection.fetchval(
                _queries.settle, message_id, state, answer.status, answer.fault, queue.turn, self._pace.hold_ms
            )
        return bool(is_held)

    async def _give_up(self, queue: Queue, message_id: str, answer: Answer) -> None:
        """What is behind it is as old, and has its chance: after a first wait, not after the longest."""
        metrics.courier_given_up.inc()
        log.logger().error(
            "courier.given_up", webhook_id=queue.webhook_id, batch_id=queue.batch_id, message_id=message_id,
            detail=answer.detail or answer.fault,
        )  # fmt: skip
        if await self._settle(queue, message_id, "dead", answer):
            await self._let_go(queue, self._wait_s(1, answer))

    async def _put_off(self, queue: Queue, message_id: str, answer: Answer) -> None:
        wait_s = self._wait_s(queue.attempts + 1, answer)
        await self._write_put_off(queue, message_id, answer, wait_s)
        log.logger().info(
            "courier.put_off", webhook_id=queue.webhook_id, batch_id=queue.batch_id, message_id=message_id,
            attempts=queue.attempts + 1, wait_s=round(wait_s, 1), detail=answer.detail or answer.fault,
        )  # fmt: skip

    async def _disable(self, queue: Queue, message_id: str, answer: Answer) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_queries.disable, queue.webhook_id, answer.fault)
        await self._write_put_off(queue, message_id, answer, 0)
        log.logger().error("courier.disabled", webhook_id=queue.webhook_id, detail=answer.fault)

    async def _write_put_off(self, queue: Queue, message_id: str, answer: Answer, wait_s: float) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                _queries.put_off,
                queue.webhook_id,
                queue.batch_id,
                queue.turn,
                message_id,
                answer.status,
                answer.fault,
                int(wait_s * 1000),
            )

    async def _let_go(self, queue: Queue, wait_s: float = 0.0) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_queries.let_go, queue.webhook_id, queue.batch_id, queue.turn, int(wait_s * 1000))

    def _wait_s(self, attempts: int, answer: Answer) -> float:
        """As the receiver asks, if that is longer, but never beyond the longest."""
        chance = int.from_bytes(random_bytes(4)) / 2**32
        wait_s = backoff_s(attempts, self._pace.retry_first_s, self._pace.retry_max_s, chance)
        return max(wait_s, min(answer.retry_after_s, self._pace.retry_max_s))


async def measure(database: Postgres) -> None:
    """Figures that all couriers see alike."""
    async with database.connection() as connection:
        row = await connection.fetchrow(_queries.figures)
    metrics.courier_waiting.set(row["waiting"])
    metrics.courier_dead.set(row["dead"])
    metrics.courier_oldest_seconds.set(row["oldest_ms"] / 1000)
