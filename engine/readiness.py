"""Operations: health, readiness, metrics, and the public keys to verify receipts and results with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from engine import VERSION, metrics
from engine.rules.errors import TryLater
from engine.sealing.signature import ALGORITHM, Signer, shown_key
from engine.stores import migrations, months, public_keys, roles
from engine.stores.clock import now_ms
from engine.stores.memory import Memory
from engine.stores.postgres import Postgres
from engine.wire import json_response

_TOMORROW_MS = 86_400_000


class Readiness:
    """What this worker needs before it may take traffic, and the public keys it has seen.

    Three colours: red, it may not take traffic; amber, it may, but `warnings` tell what is amiss; green.
    """

    def __init__(self, database: Postgres, memory: Memory, signer: Signer, warnings: Mapping[str, str]) -> None:
        self.warnings = dict(warnings)
        self._database = database
        self._memory = memory
        self._signer = signer
        self._is_registered = False
        self._published: list[bytes] = []
        self._is_draining = False

    def drain(self) -> None:
        """This worker stops: whoever balances load sends nobody here any more."""
        self._is_draining = True

    async def faults(self) -> dict[str, str]:
        """Dependency -> why it is not ready; empty when all are. `partitions` needs a recorder to have run."""
        checks = {
            "postgresql": self._postgresql(),
            "redis": self._redis(),
            "partitions": self._partitions(),
            "months": self._months(),
        }
        found = await asyncio.gather(*checks.values(), return_exceptions=True)
        faults: dict[str, str] = {"worker": "it is stopping"} if self._is_draining else {}
        for name, outcome in zip(checks, found, strict=True):
            if isinstance(outcome, TryLater):
                faults[name] = outcome.detail
            elif isinstance(outcome, BaseException):
                faults[name] = f"{type(outcome).__name__}: {outcome}"
            elif outcome:
                faults[name] = outcome
        return faults

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
        return f"{missing} of {len(markers)} partitions are not built; is a recorder running?" if missing else ""

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


async def show_health(_: Request) -> Response:
    """`GET /healthz`: this process lives."""
    return json_response({"status": "ok", "version": VERSION})


async def show_readiness(request: Request) -> Response:
    """`GET /readyz`: 200 when this worker may take traffic, else 503 naming what is not ready."""
    readiness: Readiness = request.app.state.readiness
    faults = await readiness.faults()
    colour = "red" if faults else "amber" if readiness.warnings else "green"
    answer = {
        "status": "not ready" if faults else "ready",
        "colour": colour,
        "not_ready": faults,
        "warnings": readiness.warnings,
    }
    return json_response(answer, 503 if faults else 200)


async def show_metrics(_: Request) -> Response:
    """`GET /metrics`: Prometheus text of all processes on this machine."""
    content, content_type = metrics.exposition()
    return Response(content, headers={"content-type": content_type})


async def show_keys(request: Request) -> Response:
    """`GET /v1/keys`: what receipts and results are verified with."""
    readiness: Readiness = request.app.state.readiness
    return json_response({"keys": [shown_key(public_key) for public_key in await readiness.public_keys()]})
