"""What a worker says of itself to whoever has a key of scope `ops`: release, configuration, keys, clock.

Promise: two workers of one deployment say the same of everything that must be the same, and of key files only by
fingerprints. Workers that share a port are told apart by `worker`, which is new with each process.
"""

from __future__ import annotations

import hashlib
import resource
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine import VERSION
from engine.access import require
from engine.readiness import Readiness
from engine.sealing import secrets
from engine.sealing.signature import key_id
from engine.settings import Settings
from engine.stores import migrations
from engine.stores.clock import is_synchronised, now_ms
from engine.stores.memory import Memory
from engine.web import pages
from engine.wire import json_response

_DIGEST_CHARACTERS = 16


class Attestation:
    """Of one worker; `keys`: the key files that all workers must have alike, by name."""

    def __init__(self, settings: Settings, memory: Memory, readiness: Readiness, keys: Mapping[str, bytes]) -> None:
        self._memory = memory
        self._readiness = readiness
        self._said = {
            "worker": secrets.random_bytes(4).hex(),
            "version": VERSION,
            "page": pages.release(),
            "schema": migrations.newest(),
            "partitions": settings.partitions,
            "key_provider": settings.key_provider,
            "keys": {name: secrets.fingerprint(key, name) for name, key in keys.items()},
            "workers": settings.workers,
            "postgres_connections": settings.postgres_connections,
            "machine": digest_of([socket.gethostname(), _boot_id()]),
        }

    async def say(self) -> dict[str, Any]:
        """JSON-ready. `published` and `redis` tell whether two workers have the same stores behind them.

        Raises TryLater when Redis does not answer.
        """
        published = sorted(key_id(key) for key in await self._readiness.public_keys())
        markers = await self._memory.read_hash_fields([keys.marker for keys in self._memory.partitions], ["run_id"])
        return {
            **self._said,
            "published": digest_of(published),
            "redis": digest_of([(run_id or b"").decode() for (run_id,) in markers]),
            "files_max": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "clock_synchronised": is_synchronised(),
            "server_ms": now_ms(),  # last: whoever compares clocks counts from the question to the answer
        }


async def show(request: Request) -> Response:
    """`GET /v1/node`."""
    await require(request, "ops")
    attestation: Attestation = request.app.state.attestation
    return json_response(await attestation.say())


def _boot_id() -> str:
    """Of the kernel that runs; empty where it has none. Machines made from one image may share a name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def digest_of(texts: Sequence[str]) -> str:
    """The beginning of a SHA-256 over all of them, by which two workers are compared."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:_DIGEST_CHARACTERS]
