"""The recorder's process: leases, rebuilding, recording and closing, each in a loop that survives its stores."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable

import uvloop

from engine import log, metrics, notify
from engine.recording.closer import collect_due
from engine.recording.leases import Leases
from engine.recording.mending import Mender
from engine.recording.recorder import Recorder
from engine.rules.errors import Corrupt, TryLater
from engine.sealing import secrets
from engine.settings import Settings
from engine.stores.laying import lay_unlaid
from engine.stores.memory import Memory
from engine.stores.postgres import Postgres

_IDLE_S = 0.05  # between looks at empty logs: `committed` follows `saved` within this and a transaction
_LEASE_EVERY_S = 1.0
_CLOSE_EVERY_S = 0.5
_MEASURE_EVERY_S = 1.0
_LAY_EVERY_S = 1.0
_MEND_EVERY_S = 0.1
_ADOPT_EVERY_S = 5.0
_RETRY_S = 0.3
_CORRUPT_RETRY_S = 5.0


def record(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; then record what is there, give the leases back and return."""
    log.configure("recorder", settings.log_level)
    uvloop.run(_Process(settings).run())


class _Process:
    def __init__(self, settings: Settings) -> None:
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.random_bytes(4).hex()}"
        self.login_key = login_key = secrets.read(settings.secrets_dir, "login.key")
        self.memory = Memory(settings.redis_url, settings.partitions)
        self.database = Postgres(settings.postgres_dsn, settings.postgres_connections)
        self.leases = Leases(self.database, owner, settings.partitions)
        self.recorder = Recorder(self.memory, self.database, owner)
        self.mender = Mender(self.memory, self.database, login_key, owner)
        self.stopping = asyncio.Event()
        # Leases change what recording works on, so the two never run at once.
        self.turn = asyncio.Lock()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        log.logger().info("recorder.started")
        notify.tell(notify.READY)
        await asyncio.gather(
            self._repeat("lease", self._lease, _LEASE_EVERY_S),
            self._repeat("record", self._record, _IDLE_S),
            self._repeat("close", self._close, _CLOSE_EVERY_S),
            self._repeat("measure", self._measure, _MEASURE_EVERY_S),
            self._repeat("lay", self._lay, _LAY_EVERY_S),
            self._repeat("mend", self._mend, _MEND_EVERY_S),
            self._repeat("adopt", self._adopt, _ADOPT_EVERY_S),
        )
        await self._finish()

    async def _repeat(self, name: str, turn: Callable[[], Awaitable[bool]], idle_s: float) -> None:
        """Call `turn` until the stop; at once again while it says there is more."""
        while not self.stopping.is_set():
            pause_s = idle_s
            try:
                if await turn():
                    continue
            except TryLater as fault:
                self._failed(name, "try_later", fault)
                pause_s = _RETRY_S
            except Corrupt as fault:
                self._failed(name, "corrupt", fault)
                pause_s = _CORRUPT_RETRY_S
            except Exception as fault:  # a loop that dies silently would lose the exam
                self._failed(name, type(fault).__name__, fault)
                pause_s = _RETRY_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), pause_s)

    def _failed(self, name: str, reason: str, fault: BaseException) -> None:
        metrics.recorder_failures.labels(reason).inc()
        unexpected = fault if not isinstance(fault, TryLater | Corrupt) else None
        log.logger().warning(f"recorder.{name}_failed", reason=reason, detail=str(fault), exc_info=unexpected)

    async def _lease(self) -> bool:
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
        return False

    async def _mend(self) -> bool:
        # Outside the turn: a rebuild takes as long as it takes, and the other partitions are recorded meanwhile.
        if await self.mender.mend():
            await self._lease()
        return False

    async def _adopt(self) -> bool:
        await self.mender.adopt()
        return False

    async def _record(self) -> bool:
        async with self.turn:
            try:
                return await self.recorder.record() > 0
            except Exception:
                self.recorder.forget()
                self.mender.forget()
                raise

    async def _lay(self) -> bool:
        # Outside the turn: a large roster takes seconds, and neither recording nor the leases may wait for it.
        await lay_unlaid(self.memory, self.database, self.login_key)
        return False

    async def _measure(self) -> bool:
        await self.recorder.measure_lag()
        return False

    async def _close(self) -> bool:
        return await collect_due(self.memory, list(self.recorder.held)) > 0

    async def _finish(self) -> None:
        try:
            async with self.turn:
                while await self.recorder.record():
                    pass
            await self.leases.give_back()
        except (TryLater, Corrupt) as fault:
            log.logger().warning("recorder.finish_failed", detail=str(fault))
        await self.memory.close()
        await self.database.close()
        log.logger().info("recorder.stopped")
