"""The courier's process: deliveries made, sent and counted, each in a loop that survives its store."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable

import uvloop

from engine import log, metrics, notify, pauses
from engine.courier.courier import Courier, Pace, measure
from engine.courier.fan_out import fan_out
from engine.courier.post import Post
from engine.rules.addresses import read_networks
from engine.rules.errors import TryLater
from engine.sealing import secrets
from engine.sealing.provider import FileProvider
from engine.settings import Settings
from engine.stores import roles
from engine.stores.postgres import Postgres

_LOOK_EVERY_S = 0.5  # at a feed and at queues in which nothing was due
_MEASURE_EVERY_S = 5.0
_FAILED_RETRY_S = 2.0
_STOP_S = 0.5  # for what is under way; then it is sent again by the next courier


def deliver(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises SecretError."""
    log.configure("courier", settings.log_level)
    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    provider = FileProvider(secrets.read(settings.secrets_dir, "webhook.key"))
    database = Postgres(settings.dsn_of("courier"), settings.postgres_connections)
    pace = Pace(
        settings.courier_timeout_s,
        settings.courier_retry_first_s,
        settings.courier_retry_max_s,
        settings.courier_give_up_s,
    )
    post = Post(read_networks(settings.courier_networks), pace.timeout_s)
    courier = Courier(database, provider, post, pace)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    pauses.settle()
    log.logger().info("courier.started")
    notify.tell(notify.READY)

    async def make() -> float:
        return 0.0 if await fan_out(database) else _LOOK_EVERY_S

    async def send() -> float:
        taken = await courier.begin()
        await courier.wait(0 if taken else _LOOK_EVERY_S)
        return 0.0

    async def count() -> float:
        await measure(database)
        return _MEASURE_EVERY_S

    await _tell_role(database)
    await asyncio.gather(*(_repeat(turn, stopping) for turn in (make, send, count)))
    await courier.leave(_STOP_S)
    await post.close()
    await database.close()
    log.logger().info("courier.stopped")


async def _repeat(turn: Callable[[], Awaitable[float]], stopping: asyncio.Event) -> None:
    """Call `turn` until the stop, each time after the pause in seconds that it asks for."""
    while not stopping.is_set():
        try:
            pause_s = await turn()
        except TryLater as fault:
            _failed("try_later", fault)
            pause_s = _FAILED_RETRY_S
        except Exception as fault:  # a courier that dies silently would be noticed by who waits for results
            _failed(type(fault).__name__, fault)
            pause_s = _FAILED_RETRY_S
        if pause_s:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause_s)


def _failed(reason: str, fault: BaseException) -> None:
    metrics.courier_failures.labels(reason).inc()
    log.logger().warning(
        "courier.failed", reason=reason, detail=str(fault), exc_info=None if isinstance(fault, TryLater) else fault
    )


async def _tell_role(database: Postgres) -> None:
    with contextlib.suppress(TryLater):
        async with database.connection() as connection:
            if excess := await roles.excess_of(connection, "courier"):
                log.logger().warning("courier.role_is_wide", detail=excess)
