"""Asks every address named, and the workers behind it, what they are; each time over a connection of its own.

Blocking calls, in threads: a few dozen small requests. Which worker answers is up to the kernel or a balancer, so an
address is asked again until all its workers were met, or it is clear that they will not be.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from engine.preflight.ask_batches import Known
from engine.preflight.clocks import Reading, narrowest
from engine.preflight.finding import Finding
from engine.preflight.nodes import (
    Answers,
    judge_port,
    judge_port_in_use,
    judge_readiness,
    judge_sealed,
    judge_silence,
    judge_workers,
)
from engine.stores.clock import now_ms
from engine.stores.postgres import Postgres
from engine.stores.sql import Queries

_queries = Queries(__file__)
_TIMEOUT_S = 5.0  # /readyz answers within two seconds, whoever hangs
_PAPER_TIMEOUT_S = 60.0
ASKED_PER_WORKER = 8  # one of 16 workers stays unmet in 128 answers once in 4,000 times
ASKED_MIN = 5  # so that the quickest of the answers tells the clock well


class Silence(Exception):
    """Nobody answers, or nobody who is an engine; the message says what came instead."""


class Caller(Struct, frozen=True):
    """How nodes are reached: with which key of scope `ops`, and whose certificates are taken beside the usual."""

    ops_key: str = ""
    ca: Path | None = None


class Met(Struct, frozen=True, kw_only=True):
    """All that was learnt of the nodes."""

    answers: list[Answers]
    readings: list[Reading]
    findings: list[Finding]


async def meet(urls: Sequence[str], caller: Caller, own_ms: Callable[[], int] = now_ms) -> Met:
    """Ask all of them at once."""
    met = await asyncio.gather(*(asyncio.to_thread(_meet_one, url, caller, own_ms) for url in urls))
    return Met(
        answers=[answers for each in met for answers in each.answers],
        readings=[reading for each in met for reading in each.readings],
        findings=[finding for each in met for finding in each.findings],
    )


def _meet_one(url: str, caller: Caller, own_ms: Callable[[], int]) -> Met:
    try:
        ready = _ready(url, caller)
    except Silence as fault:
        return Met(answers=[], readings=[], findings=[_unanswered(url, str(fault))])
    workers: dict[str, Mapping[str, Any]] = {}
    readings: dict[str, list[Reading]] = {}
    findings = []
    expected = 1
    if caller.ops_key:
        try:
            asked = 0
            while is_asked_again(asked, len(workers), expected):
                asked += 1
                before = own_ms()
                said = _json(url, "/v1/node", caller)
                after = own_ms()
                worker = said["worker"]
                workers[worker] = said
                expected = max(expected, said["workers"])
                part = f"{url}#{worker}"
                reading = Reading(part=part, before_ms=before, told_ms=said["server_ms"], after_ms=after)
                readings.setdefault(worker, []).append(reading)
        except (Silence, KeyError) as fault:
            findings.append(judge_silence(url, f"GET /v1/node: {fault}"))
    answers = Answers(
        url=url,
        colour=str(ready["colour"]),
        not_ready=ready["not_ready"],
        warnings=ready["warnings"],
        workers=workers,
    )
    findings.append(judge_readiness(answers))
    if workers:
        findings.append(judge_workers(answers, expected))
    if _is_of_this_machine(url):
        findings.append(judge_port_in_use(url))
    return Met(answers=[answers], readings=[narrowest(each) for each in readings.values()], findings=findings)


def is_asked_again(asked: int, met: int, expected: int) -> bool:
    """After so many answers, by so many of the workers that there are said to be."""
    return asked < ASKED_MIN or (met < expected and asked < expected * ASKED_PER_WORKER)


def _ready(url: str, caller: Caller) -> dict[str, Any]:
    """What `/readyz` says, whatever its status."""
    status, content = _get(url, "/readyz", caller)
    try:
        ready: dict[str, Any] = json.loads(content)
        ready = {"colour": ready["colour"], "not_ready": ready["not_ready"], "warnings": ready["warnings"]}
    except (ValueError, KeyError, TypeError):
        raise Silence(f"/readyz is answered with {status}, not as an engine does") from None
    return ready


def _json(url: str, path: str, caller: Caller) -> dict[str, Any]:
    status, content = _get(url, path, caller)
    try:
        found: dict[str, Any] = json.loads(content)
    except ValueError:
        raise Silence(f"answered with {status} and no JSON") from None
    if status != 200:
        raise Silence(f"answered with {status} {found.get('code', '')}: {found.get('detail', '')}")
    return found


def _get(url: str, path: str, caller: Caller, timeout_s: float = _TIMEOUT_S) -> tuple[int, bytes]:
    """Raises Silence."""
    parts = urlsplit(url)
    line: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=str(caller.ca) if caller.ca else None)
        line = http.client.HTTPSConnection(parts.netloc, timeout=timeout_s, context=context)
    else:
        line = http.client.HTTPConnection(parts.netloc, timeout=timeout_s)
    headers = {"connection": "close"}
    if caller.ops_key and path.startswith("/v1/node"):
        headers["authorization"] = f"Bearer {caller.ops_key}"
    try:
        line.request("GET", parts.path.rstrip("/") + path, headers=headers)
        reply = line.getresponse()
        return reply.status, reply.read()
    except (OSError, http.client.HTTPException) as fault:
        raise Silence(f"{type(fault).__name__} {fault}") from None
    finally:
        line.close()


# --- nobody answers ---------------------------------------------------------------------------------------------


def _unanswered(url: str, fault: str) -> Finding:
    """Of this machine it is told whether the engine could be started; of another, that nobody answers."""
    if not _is_of_this_machine(url):
        return judge_silence(url, fault)
    host, port = _place(url)
    return judge_port(url, _bind(host, port))


def _is_of_this_machine(url: str) -> bool:
    return not _bind(_place(url)[0], 0)


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _bind(host: str, port: int) -> str:
    """Why nobody could listen there; empty when somebody could."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, _, _, address = found[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as fault:
        return str(fault.strerror or fault).lower()
    return ""


async def published(database: Postgres) -> list[str]:
    """Ids of all signing keys, as PostgreSQL has them from here. Raises TryLater."""
    async with database.connection() as connection:
        return [row["key_id"] for row in await connection.fetch(_queries.published)]


# --- sealed papers ----------------------------------------------------------------------------------------------


async def look_at_sealed(
    database: Postgres, urls: Sequence[str], batches: Sequence[Known], caller: Caller
) -> list[Finding]:
    """Every sealed paper of the batches, fetched from every address. Raises TryLater."""
    async with database.connection() as connection:
        rows = await connection.fetch(_queries.sealed_digests, [known.batch.batch_id for known in batches])
    digests = [row["sealed_digest"] for row in rows]
    if not digests:
        return []
    found = []
    for url in urls:  # one after the other: they may have 64 MiB each
        faults = [fault for digest in digests if (fault := await asyncio.to_thread(_sealed_fault, url, digest, caller))]
        found.append(judge_sealed(url, len(digests), faults))
    return found


def _sealed_fault(url: str, digest: str, caller: Caller) -> str:
    try:
        status, content = _get(url, f"/v1/sealed/{digest}", caller, _PAPER_TIMEOUT_S)
    except Silence as fault:
        return f"{digest[:12]}… {fault}"
    if status != 200:
        return f"{digest[:12]}… {status}"
    return "" if hashlib.sha256(content).hexdigest() == digest else f"{digest[:12]}… other bytes"
