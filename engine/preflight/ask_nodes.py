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

from msgspec import Struct, structs

from engine.preflight.ask_batches import Known
from engine.preflight.clocks import Reading, narrowest
from engine.preflight.finding import Finding
from engine.preflight.nodes import (
    Answers,
    judge_hung,
    judge_mute,
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
_PAPER_TIMEOUT_S = 15.0  # without a byte
ASKED_PER_WORKER = 8  # one of 16 workers stays unmet in 128 answers once in 4,000 times
HUNG_MAX = 2  # answers that did not come in time, until it is clear that somebody hangs
ASKED_MIN = 5  # so that the quickest of the answers tells the clock well


class Silence(Exception):
    """No answer of an engine; the message says what came instead."""


class Refused(Silence):
    """Nobody listens there."""


class Untrusted(Silence):
    """Its certificate is none that a browser would take."""


class Hung(Silence):
    """The connection was taken, or goes nowhere, and no answer came in time."""


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
    """One address: first whether anybody is there, then which workers are."""
    hung = 0
    while True:
        try:
            ready = _ready(url, caller)
            break
        except Hung:  # one worker of several may be frozen, and whose turn it is nobody knows
            hung += 1
            if hung == HUNG_MAX:
                return Met(answers=[], readings=[], findings=[judge_hung(url, hung)])
        except Silence as fault:
            return Met(answers=[], readings=[], findings=[_unanswered(url, fault)])
    answers = Answers(url=url, **ready)
    findings = [judge_readiness(answers)]
    readings: list[Reading] = []
    if caller.ops_key:
        answers, readings, more = _attested(answers, caller, own_ms, hung)
        findings += more
    elif hung:
        findings.append(judge_hung(url, hung))
    if _is_of_this_machine(url):
        findings.append(judge_port_in_use(url))
    return Met(answers=[answers], readings=readings, findings=findings)


def _attested(
    answers: Answers, caller: Caller, own_ms: Callable[[], int], hung: int
) -> tuple[Answers, list[Reading], list[Finding]]:
    """The answers with what workers say of themselves, the quickest reading of each one's clock, and what was found."""
    workers: dict[str, Mapping[str, Any]] = {}
    readings: dict[str, list[Reading]] = {}
    findings = []
    asked, expected = 0, 1
    while hung < HUNG_MAX and is_asked_again(asked, len(workers), expected):
        asked += 1
        before = own_ms()
        try:
            said = _json(answers.url, "/v1/node", caller)
            worker, told_ms, expected = said["worker"], said["server_ms"], max(expected, said["workers"])
        except Hung:
            hung += 1
            continue
        except (Silence, KeyError, TypeError) as fault:
            findings.append(judge_mute(answers.url, str(fault)))
            break
        workers[worker] = said
        reading = Reading(part=f"{answers.url}#{worker}", before_ms=before, told_ms=told_ms, after_ms=own_ms())
        readings.setdefault(worker, []).append(reading)
    if hung:
        findings.append(judge_hung(answers.url, hung))
    elif workers:
        findings.append(judge_workers(answers.url, len(workers), expected))
    return (
        structs.replace(answers, workers=workers),
        [narrowest(each) for each in readings.values()],
        findings,
    )


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
    except ConnectionRefusedError as fault:
        raise Refused(str(fault.strerror).lower()) from None
    except ssl.SSLError as fault:
        raise Untrusted(f"{fault.reason or fault}".lower()) from None
    except TimeoutError:
        raise Hung(f"no answer within {timeout_s:g} s") from None
    except (OSError, http.client.HTTPException) as fault:
        raise Silence(f"{type(fault).__name__} {fault}") from None
    finally:
        line.close()


# --- nobody answers ---------------------------------------------------------------------------------------------


def _unanswered(url: str, fault: Silence) -> Finding:
    """Of this machine it is told whether the engine could be started; of another, that nobody answers."""
    if isinstance(fault, Untrusted) or not _is_of_this_machine(url):
        return judge_silence(url, str(fault))
    host, port = _place(url)
    taken = _bind(host, port)
    return judge_port(url, taken if isinstance(fault, Refused) or not taken else f"{taken}; {fault}")


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
