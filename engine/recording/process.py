"""The recorder's process: leases, mending, recording and closing, each in a loop that survives its stores.

Staying alive waits for nothing else: it has a loop and connections of its own. Taking and giving back partitions share
their turn with recording, for which they may wait one round; mending, laying and making months wait for nobody, and the
stop does not wait for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence

import uvloop

from engine import log, metrics, notify, pauses
from engine.recording.closer import collect_due
from engine.recording.leases import Leases
from engine.recording.mending import Mender
from engine.recording.recorder import Recorder
from engine.rules.errors import Corrupt, TryLater
from engine.rules.limits import LEASE_S, RECORD_TIMEOUT_S
from engine.sealing import secrets
from engine.settings import Settings
from engine.stores import months
from engine.stores.clock import monotonic_s, now_ms
from engine.stores.laying import lay_unlaid
from engine.stores.memory import Memory
from engine.stores.postgres import Postgres
from engine.stores.withdrawing import withdraw_unfinished

_IDLE_S = 0.05  # between looks at logs that were empty, doubled with every look in vain:
_IDLE_MAX_S = 0.2  # `committed` follows `saved` within this and a transaction
_RENEW_EVERY_S = 1.0
_CLOSE_EVERY_S = 0.5
_MEASURE_EVERY_S = 1.0
_LAY_EVERY_S = 1.0
_MEND_EVERY_S = 0.1
_ADOPT_EVERY_S = 5.0
_MONTHS_EVERY_S = 60.0
_RETRY_S = 0.2  # after a failure, doubled with every further one, less a random part:
_RETRY_MAX_S = 2.0  # who waits in step comes back in step, and a store that comes back must not be run over
_CORRUPT_RETRY_S = 5.0
_STOP_S = 1.0  # at the stop, for laying, mending, adopting and making months to come to their end
_HOST_CHARACTERS_MAX = 40
_OWN_CONNECTIONS = 2


def record(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; then record what is there, give the leases back and return."""
    log.configure("recorder", settings.log_level)
    uvloop.run(_Process(settings).run())


class _Process:
    def __init__(self, settings: Settings) -> None:
        # Also the name of its sessions, of which PostgreSQL keeps 63 characters.
        owner = f"{socket.gethostname()[:_HOST_CHARACTERS_MAX]}:{os.getpid()}:{secrets.random_bytes(4).hex()}"
        self.login_key = login_key = secrets.read(settings.secrets_dir, "login.key")
        self.memory = Memory(settings.redis_url, settings.partitions)
        dsn = settings.dsn_of("recorder")
        self.database = Postgres(dsn, settings.postgres_connections, owner)
        # Connections of their own: a rebuild may use all the others for seconds.
        self.lease_database = Postgres(dsn, _OWN_CONNECTIONS, owner, LEASE_S)
        self.record_database = Postgres(dsn, _OWN_CONNECTIONS, owner, RECORD_TIMEOUT_S)
        self.leases = Leases(self.lease_database, owner, settings.partitions)
        self.recorder = Recorder(self.memory, self.record_database, owner)
        self.mender = Mender(self.memory, self.database, login_key, owner)
        self.stopping = asyncio.Event()
        # Leases change what recording works on, so the two never run at once.
        self.turn = asyncio.Lock()
        self.idle_s = _IDLE_S

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        pauses.settle()
        log.logger().info("recorder.started")
        notify.tell(notify.READY)
        long = [
            asyncio.create_task(self._repeat("lay", self._lay)),
            asyncio.create_task(self._repeat("mend", self._mend)),
            asyncio.create_task(self._repeat("adopt", self._adopt)),
            asyncio.create_task(self._repeat("months", self._months)),
        ]
        await asyncio.gather(
            self._repeat("renew", self._renew),
            self._repeat("lease", self._lease),
            self._repeat("record", self._record),
            self._repeat("close", self._close),
            self._repeat("measure", self._measure),
            self._cut_off(long),
        )
        await self._finish()

    async def _cut_off(self, long: Sequence[asyncio.Task[None]]) -> None:
        """At the stop, end what may take minutes: whoever takes over begins it again, wherever it was."""
        stop = asyncio.create_task(self.stopping.wait())
        await asyncio.wait([stop, *long], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        _, late = await asyncio.wait(long, timeout=_STOP_S)
        for task in late:
            task.cancel()
        for ended in await asyncio.gather(*long, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    async def _repeat(self, name: str, turn: Callable[[], Awaitable[float]]) -> None:
        """Call `turn` until the stop, each time after the pause in seconds that it asks for."""
        failures = 0
        while not self.stopping.is_set():
            try:
                pause_s = await turn()
                failures = 0
            except TryLater as fault:
                self._failed(name, "try_later", fault)
                pause_s = _backed_off_s(failures)
                failures += 1
            except Corrupt as fault:
                self._failed(name, "corrupt", fault)
                pause_s = _CORRUPT_RETRY_S
            except Exception as fault:  # a loop that dies silently would lose the exam
                self._failed(name, type(fault).__name__, fault)
                pause_s = _backed_off_s(failures)
                failures += 1
            if pause_s:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.stopping.wait(), pause_s)

    def _failed(self, name: str, reason: str, fault: BaseException) -> None:
        metrics.recorder_failures.labels(reason).inc()
        unexpected = fault if not isinstance(fault, TryLater | Corrupt) else None
        log.logger().warning(f"recorder.{name}_failed", reason=reason, detail=str(fault), exc_info=unexpected)

    async def _renew(self) -> float:
        await self.leases.renew()
        return _RENEW_EVERY_S

    async def _lease(self) -> float:
        async with self.turn:
            try:
                held = await self.leases.take()
            except Exception:
                self.mender.forget()
                raise
            # What PostgreSQL says counts, not what this process remembers: it may have been put back to an older state.
            sound = await self.mender.look(held)
            self.recorder.hold(*sound)
            metrics.recorder_partitions.set(len(held))
        return self.leases.look_again_s

    async def _mend(self) -> float:
        # Outside the turn: a rebuild takes as long as it takes, and the other partitions are recorded meanwhile.
        if await self.mender.mend():
            await self._lease()
        return _MEND_EVERY_S

    async def _adopt(self) -> float:
        await self.mender.adopt()
        return _ADOPT_EVERY_S

    async def _record(self) -> float:
        async with self.turn:
            try:
                entries = await self.recorder.record()
            except Exception:
                self.recorder.forget()
                self.mender.forget()
                raise
        # A full round is followed at once; after a small one it pays to wait for more to share the next.
        self.idle_s = _IDLE_S if entries else min(_IDLE_MAX_S, self.idle_s * 2)
        return 0.0 if self.recorder.is_behind else self.idle_s

    async def _lay(self) -> float:
        # Outside the turn: a large roster takes seconds, and neither recording nor the leases may wait for it.
        await withdraw_unfinished(self.memory, self.database)
        await lay_unlaid(self.memory, self.database, self.login_key)
        return _LAY_EVERY_S

    async def _months(self) -> float:
        made = await months.make_ahead(self.database, now_ms())
        if made:
            log.logger().info("recorder.months_made", partitions=made)
        return _MONTHS_EVERY_S

    async def _measure(self) -> float:
        await self.recorder.measure_lag()
        return _MEASURE_EVERY_S

    async def _close(self) -> float:
        return 0.0 if await collect_due(self.memory, list(self.recorder.held)) else _CLOSE_EVERY_S

    async def _finish(self) -> None:
        """Record what is there, but no longer than a lease lasts: under a full load there is always more.

        Whatever fails, the leases are given back; where that fails, too, they end by themselves.
        """
        until_s = monotonic_s() + LEASE_S / 2
        try:
            async with asyncio.timeout(LEASE_S), self.turn:
                while await self.recorder.record() and monotonic_s() < until_s:
                    pass
        except Exception as fault:
            self._failed("finish", "stopping", fault)
        try:
            await self.leases.leave()
        except Exception as fault:
            self._failed("leave", "stopping", fault)
        await self.memory.close()
        for database in (self.database, self.lease_database, self.record_database):
            await database.close()
        log.logger().info("recorder.stopped")


def _backed_off_s(failures: int) -> float:
    most_s = min(_RETRY_MAX_S, _RETRY_S * 2.0 ** min(failures, 10))
    return most_s * (0.5 + secrets.random_bytes(1)[0] / 512)
