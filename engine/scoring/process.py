"""The grader's process: registers its public keys, then grades what has closed, regrades, and rechecks."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable

import uvloop

from engine import log, metrics, notify
from engine.rules.errors import Corrupt, TryLater
from engine.scoring.assessing import grade_assessed
from engine.scoring.counting import count_statistics
from engine.scoring.grader import Grader
from engine.scoring.rechecker import Rechecker
from engine.scoring.regrader import Regrader
from engine.sealing import answer_key, secrets
from engine.sealing.signature import ALGORITHM, Signer
from engine.settings import Settings
from engine.stores import public_keys, roles
from engine.stores.postgres import Postgres

_CHUNKS_AT_ONCE = 2  # one is marked while PostgreSQL writes the other
_IDLE_S = 0.5
_FAILED_RETRY_S = 5.0


def grade(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; a chunk under way is finished or rolled back whole."""
    log.configure("grader", settings.log_level)
    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    grader_key = secrets.read(settings.secrets_dir, "grader.key")
    signer = Signer(secrets.read(settings.secrets_dir, "result.key"))
    database = Postgres(settings.dsn_of("grader"), settings.postgres_connections)
    grader = Grader(database, grader_key, signer)
    regrader = Regrader(database, grader_key, signer)
    rechecker = Rechecker(database, grader_key)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    log.logger().info("grader.started", key_id=signer.key_id)

    async def register() -> bool:
        await _register(database, grader_key, signer)
        notify.tell(notify.READY)
        return True

    async def grade_chunk() -> bool:
        return await grader.grade() > 0

    async def grade_assessed_chunk() -> bool:
        return await grade_assessed(database, grader) > 0

    async def count() -> bool:
        return await count_statistics(database, grader)

    await _repeat(register, stopping, until_done=True)
    lanes = min(_CHUNKS_AT_ONCE, settings.postgres_connections)
    turns = [*[grade_chunk] * lanes, grade_assessed_chunk, regrader.turn, rechecker.turn, count]
    places = asyncio.Semaphore(settings.postgres_connections)
    await asyncio.gather(*(_repeat(in_place(turn, places), stopping) for turn in turns))
    await database.close()
    log.logger().info("grader.stopped")


def in_place(turn: Callable[[], Awaitable[bool]], places: asyncio.Semaphore) -> Callable[[], Awaitable[bool]]:
    """`turn` once there is a connection for it: a regrade takes seconds, and waiting for it is no failure."""

    async def placed() -> bool:
        async with places:
            return await turn()

    return placed


async def _repeat(turn: Callable[[], Awaitable[bool]], stopping: asyncio.Event, until_done: bool = False) -> None:
    """Call `turn` until the stop, at once again while it did something; with `until_done` only until it did."""
    while not stopping.is_set():
        pause_s = _IDLE_S
        try:
            if await turn():
                if until_done:
                    return
                continue
        except TryLater as fault:
            _failed("try_later", fault)
        except Corrupt as fault:  # that batch is parked: the others are graded at once
            _failed("corrupt", fault)
        except Exception as fault:  # a grader that dies silently would be noticed when scores are due
            _failed(type(fault).__name__, fault)
            pause_s = _FAILED_RETRY_S
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause_s)


async def _register(database: Postgres, grader_key: bytes, signer: Signer) -> None:
    async with database.transaction() as connection:
        await public_keys.register(connection, "answer_key", "X25519", answer_key.public_key(grader_key))
        await public_keys.register(connection, "result", ALGORITHM, signer.public_key)
        if excess := await roles.excess_of(connection, "grader"):
            log.logger().warning("grader.role_is_wide", detail=excess)


def _failed(reason: str, fault: BaseException) -> None:
    metrics.grader_failures.labels(reason).inc()
    unexpected = fault if not isinstance(fault, TryLater | Corrupt) else None
    log.logger().warning("grader.failed", reason=reason, detail=str(fault), exc_info=unexpected)
