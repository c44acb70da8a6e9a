"""Operations: health, readiness, metrics, and the public keys to verify receipts and results with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from engine import VERSION, metrics
from engine.rules.errors import TryLater
from engine.rules.limits import DELIVERY_LATE_S, READINESS_S, RECORDER_LATE_S
from engine.sealing.signature import ALGORITHM, Signer, shown_key
from engine.stores import migrations, months, public_keys, roles
from engine.stores.clock import now_ms
from engine.stores.memory import Memory
from engine.stores.postgres import Postgres, Record
from engine.stores.sql import Queries
from engine.wire import json_response

_queries = Queries(__file__)
_TOMORROW_MS = 86_400_000
_OF_POSTGRESQL = frozenset({"postgresql", "months"})  # away, it stops no candidate


class _Amber(str):
    """Why a dependency is not ready, where candidates can do without."""


class Look(NamedTuple):
    """What one look found: dependency -> why it is not ready, and which of these do not keep candidates from saving."""

    not_ready: dict[str, str]
    does_without: frozenset[str]

    @property
    def may_take_traffic(self) -> bool:
        return self.does_without.issuperset(self.not_ready)


class Readiness:
    """What this worker needs before it may take traffic, and the public keys it has seen.

    Three colours: red, it may not take traffic; amber, it may, but `not_ready` or `warnings` tell what is amiss; green.
    Whoever balances load asks every worker, and they all share the stores: red for what stops only a part would take
    all of them off while candidates save. So what is merely away is amber (PostgreSQL; a part of Redis; a recorder);
    red is what stops everybody (nothing of Redis serves or is built), what makes `saved` a lie, and what was never set
    up right. Arming and successors ask for more than traffic: nothing at all may be amiss in `not_ready`.
    """

    def __init__(self, database: Postgres, memory: Memory, signer: Signer, warnings: Mapping[str, str]) -> None:
        self.warnings = dict(warnings)
        self._database = database
        self._memory = memory
        self._signer = signer
        self._is_registered = False
        self._published: list[bytes] = []
        self._is_draining = False
        self._asking: dict[str, asyncio.Task[str]] = {}

    def drain(self) -> None:
        """This worker stops: whoever balances load sends nobody here any more."""
        self._is_draining = True

    async def look(self) -> Look:
        """Ask every dependency, all at once. `partitions` needs a recorder to have run."""
        checks = {
            "postgresql": self._postgresql,
            "redis": self._redis,
            "partitions": self._partitions,
            "recorder": self._recorder,
            "months": self._months,
            "webhooks": self._webhooks,
        }
        found = await asyncio.gather(*(self._outcome(name, check) for name, check in checks.items()))
        not_ready = {"worker": "it is stopping"} if self._is_draining else {}
        does_without = set()
        for name, fault in zip(checks, found, strict=True):
            if fault:
                not_ready[name] = fault
            if isinstance(fault, _Amber):
                does_without.add(name)
        return Look(not_ready, frozenset(does_without))

    async def _outcome(self, name: str, check: Callable[[], Awaitable[str]]) -> str:
        """What a check has found, or that nobody answers; who asks meanwhile waits for the same answer.

        A check is never cancelled: the driver would wait for a frozen PostgreSQL to confirm it.
        """
        asking = self._asking.get(name)
        if asking is None or asking.done():
            asking = self._asking[name] = asyncio.create_task(_told(name, check))
        await asyncio.wait({asking}, timeout=READINESS_S)
        return asking.result() if asking.done() else _away(name, f"no answer within {READINESS_S:g} s")

    async def public_keys(self) -> list[bytes]:
        """Signing keys of all workers and graders that ever registered; this worker's own even with PostgreSQL away."""
        try:
            await self._register()
            async with self._database.connection() as connection:
                self._published = await public_keys.signing_keys(connection)
        except TryLater:
            pass
        own = self._signer.public_key
        return self._published if own in self._published else [own, *self._published]

    async def _register(self) -> None:
        if not self._is_registered:
            async with self._database.transaction() as connection:
                await public_keys.register(connection, "receipt", ALGORITHM, self._signer.public_key)
            self._is_registered = True

    async def _postgresql(self) -> str:
        async with self._database.connection() as connection:
            self.warnings.pop("role", None)
            if excess := await roles.excess_of(connection, "engine"):
                self.warnings["role"] = excess
            if await connection.fetchval("SHOW fsync") != "on":
                return "PostgreSQL runs with fsync=off, expected on"
            pending = await migrations.pending(connection)
            if pending:
                return f"migrations are missing: {', '.join(pending)}; `./run migrate` applies them"
            if await public_keys.answer_key_recipient(connection) is None:
                return "no grader has registered its public key yet; start one"
        await self._register()
        return ""

    async def _redis(self) -> str:
        return "; ".join(await self._memory.durability_faults())

    async def _partitions(self) -> str:
        all_markers = [keys.marker for keys in self._memory.partitions]
        told = await self._memory.read_each_hash_fields(all_markers, ["generation"])
        # Where a node of a cluster is away, the others' candidates go on: it is no reason to send nobody here.
        markers = [marker for marker in told if not isinstance(marker, TryLater)]
        self.warnings.pop("redis", None)
        if len(markers) < len(told):
            away = len(told) - len(markers)
            self.warnings["redis"] = f"{away} of {len(told)} partitions lie on a Redis node that does not answer"
        missing = sum(generation is None for (generation,) in markers)
        if not missing:
            return ""
        fault = f"{missing} of {len(markers)} partitions are not built; is a recorder running?"
        return fault if missing == len(markers) else _Amber(fault)

    async def _recorder(self) -> str:
        """Tell when nobody records, or not fast enough: what is saved stays saved all the same."""
        partitions = self._memory.partitions
        markers = await self._memory.read_each_hash_fields(
            [keys.marker for keys in partitions], ["generation", "committed"]
        )
        stands = [
            (keys, int(marker[0]), int(marker[1] or 0))
            for keys, marker in zip(partitions, markers, strict=True)
            if not isinstance(marker, TryLater) and marker[0] is not None
        ]
        logs = await self._memory.read_each_log(stands, 1) if stands else []
        oldest_ms = [int(dict(found[0][2])[b"at"]) for found in logs if found and not isinstance(found, TryLater)]
        late_s = (now_ms() - min(oldest_ms)) // 1000 if oldest_ms else 0
        async with self._database.connection() as connection:
            held = await connection.fetchval(_queries.held_partitions)
        self.warnings.pop("recorder", None)
        if held < len(partitions):
            self.warnings["recorder"] = f"running recorders hold {held} of {len(partitions)} partitions"
        elif late_s > RECORDER_LATE_S:
            self.warnings["recorder"] = f"what was saved {late_s} s ago is not recorded yet"
        return ""

    async def _months(self) -> str:
        """Walks tomorrow's path today; what lies astray, or is for a batch later on, is told and stops nobody."""
        async with self._database.connection() as connection:
            missing = await months.missing(connection, now_ms(), _TOMORROW_MS, _TOMORROW_MS)
            later = await months.missing(connection, now_ms(), _TOMORROW_MS)
            stray = await months.stray_rows(connection)
        self.warnings.pop("months", None)
        if stray:
            names = [month.of_table(table) for table, found in stray.items() for month in found]
            self.warnings["months"] = f"rows lie in default partitions, for lack of {', '.join(names)}"
        elif len(later) > len(missing):  # a batch far ahead has just been armed: the recorder makes them in a minute
            names = [month.of_table(table) for table, month in later if (table, month) not in missing]
            self.warnings["months"] = f"partitions for armed batches are not made yet: {', '.join(names)}"
        names = [month.of_table(table) for table, month in missing]
        return f"partitions are missing: {', '.join(names)}; is a recorder running?" if names else ""

    async def _webhooks(self) -> str:
        """Results that do not reach who waits for them: no candidate notices, so it is only told."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_queries.late_webhooks, DELIVERY_LATE_S * 1000)
        self.warnings.pop("webhooks", None)
        if rows:
            self.warnings["webhooks"] = "; ".join(_told_webhook(row) for row in rows)
        return ""


def _told_webhook(row: Record) -> str:
    if row["disabled_why"] is not None:
        return f"webhook {row['webhook_id']!r} is disabled: {row['disabled_why']}"
    return f"webhook {row['webhook_id']!r} waits for a result since {row['waited_ms'] // 1000} s; is a courier running?"


async def _told(name: str, check: Callable[[], Awaitable[str]]) -> str:
    try:
        return await check()
    except TryLater as away:
        return _away(name, away.detail)
    except Exception as fault:
        return f"{type(fault).__name__}: {fault}"


def _away(name: str, why: str) -> str:
    if name in ("recorder", "webhooks"):
        return ""  # it could not be asked about: the store it was asked of says so itself
    return _Amber(why) if name in _OF_POSTGRESQL else why


async def show_health(_: Request) -> Response:
    """`GET /healthz`: this process lives."""
    return json_response({"status": "ok", "version": VERSION})


async def show_readiness(request: Request) -> Response:
    """`GET /readyz`: 200 when this worker may take traffic, else 503; both name what is not ready."""
    readiness: Readiness = request.app.state.readiness
    look = await readiness.look()
    may = look.may_take_traffic
    colour = "red" if not may else "amber" if look.not_ready or readiness.warnings else "green"
    answer = {
        "status": "ready" if may else "not ready",
        "colour": colour,
        "not_ready": look.not_ready,
        "warnings": readiness.warnings,
    }
    return json_response(answer, 200 if may else 503)


async def show_metrics(_: Request) -> Response:
    """`GET /metrics`: Prometheus text of all processes on this machine."""
    content, content_type = metrics.exposition()
    return Response(content, headers={"content-type": content_type})


async def show_keys(request: Request) -> Response:
    """`GET /v1/keys`: what receipts and results are verified with."""
    readiness: Readiness = request.app.state.readiness
    return json_response({"keys": [shown_key(public_key) for public_key in await readiness.public_keys()]})
