"""All checks, in one order: each by itself, so that what cannot be looked at keeps nobody from looking at the rest.

Changes nothing: it reads, and wraps one random secret. The canary, which does sit an exam, is sent by its caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from engine import VERSION
from engine.attestation import digest_of
from engine.preflight import ask_batches, ask_keys, ask_nodes, ask_servers
from engine.preflight.ask_batches import Known
from engine.preflight.ask_nodes import Caller, Met
from engine.preflight.capacity import judge_files
from engine.preflight.clocks import Reading, judge_clocks
from engine.preflight.finding import Finding, red
from engine.preflight.nodes import judge_equal, judge_synchronised, judge_unattested
from engine.rules.errors import TryLater
from engine.sealing import secrets
from engine.settings import Settings
from engine.stores import migrations
from engine.stores.clock import now_ms
from engine.stores.memory import Memory
from engine.stores.postgres import Postgres
from engine.web import pages

CHECK_S = 120.0  # one check; the longest reads every sitting of a joint exam
AWAY_S = 5.0  # who has not answered by then is away
_CONNECTIONS = 4
_REDIS, _POSTGRESQL = ("Redis",), ("PostgreSQL",)
_BOTH = (*_REDIS, *_POSTGRESQL)
_SHARED_KEYS = ("token.key", "login.key", "webhook.key")


class Asked(Struct, frozen=True, kw_only=True):
    """What is to be looked at, and how; `own_ms` is this machine's clock."""

    settings: Settings
    urls: tuple[str, ...]
    caller: Caller
    batch_id: str | None = None
    days: int = 3
    data: Path | None = None
    shares: tuple[Path, ...] = ()
    own_ms: Callable[[], int] = now_ms


async def look(asked: Asked) -> list[Finding]:
    """Every finding but the canary's."""
    memory = Memory(asked.settings.redis_url, asked.settings.partitions)
    database = Postgres(asked.settings.postgres_dsn, _CONNECTIONS, "liankao-preflight")
    try:
        return await _look(asked, memory, database)
    finally:
        await memory.close()
        await database.close()


async def _look(asked: Asked, memory: Memory, database: Postgres) -> list[Finding]:
    settings, found = asked.settings, list[Finding]()
    away = await _away(memory, database)
    batches: list[Known] = []

    async def check(name: str, needs: Sequence[str], looking: Callable[[], Awaitable[Sequence[Finding]]]) -> None:
        found.extend(_not_looked(name, [each for each in needs if each in away]) or await _told(name, looking))

    async def scope() -> Sequence[Finding]:
        batches.extend(await ask_batches.batches_in_scope(database, asked.batch_id, asked.days))
        return await ask_batches.look_at_coming(database, batches, asked.batch_id, asked.days)

    await check("batches", _POSTGRESQL, scope)
    sittings = sum(known.sittings for known in batches)
    login_key = ask_keys.key_files(settings.secrets_dir)[0].get("login.key")
    needed_until_ms = max((known.closes_ms for known in batches), default=0)
    met = await ask_nodes.meet(asked.urls, asked.caller, asked.own_ms)
    found += [*met.findings, *judge_synchronised(met.answers), *_files(met, ask_batches.sittings_at_once(batches))]
    pools = _pools(met, settings, len(asked.urls))
    checks: list[tuple[str, Sequence[str], Callable[[], Awaitable[Sequence[Finding]]]]] = [
        ("prepared", _BOTH, lambda: ask_batches.look_at_prepared(memory, database, batches, login_key)),
        ("roster", _POSTGRESQL, lambda: ask_batches.look_at_rosters(database, batches)),
        ("shares", _POSTGRESQL, lambda: ask_keys.look_at_shares(database, batches, asked.shares)),
        ("provider", _POSTGRESQL, lambda: ask_keys.look_at_provider(settings, database, batches)),
        ("secrets", _POSTGRESQL, lambda: ask_keys.look_at_secrets(settings, database)),
        ("certificates", (), lambda: ask_keys.look_at_certificates(asked.urls, asked.caller.ca, needed_until_ms)),
        ("clocks", _BOTH, lambda: _clocks(memory, database, met.readings, asked.own_ms)),
        ("durability", _REDIS, lambda: ask_servers.look_at_durability(memory)),
        ("memory", _REDIS, lambda: ask_servers.look_at_memory(memory, sittings)),
        ("partitions", _BOTH, lambda: ask_servers.look_at_partitions(memory, database)),
        ("postgresql", _POSTGRESQL, lambda: ask_servers.look_at_postgresql(settings, database)),
        ("connections", _POSTGRESQL, lambda: ask_servers.look_at_connections(database, pools)),
        ("months", _POSTGRESQL, lambda: ask_servers.look_at_months(database)),
        ("versions", _POSTGRESQL, lambda: ask_servers.look_at_schema(database)),
        ("versions", _POSTGRESQL, lambda: _versions(asked, database, met, batches)),
        ("disks", _BOTH, lambda: ask_servers.look_at_disks(memory, database, asked.data, sittings)),
        ("recorder", _BOTH, lambda: ask_servers.look_at_recorder(memory, database)),
        ("grader", _POSTGRESQL, lambda: ask_servers.look_at_grader(database)),
        ("pushes", _POSTGRESQL, lambda: ask_servers.look_at_pushes(database)),
    ]
    for name, needs, looking in checks:
        await check(name, needs, looking)
    return found


async def _away(memory: Memory, database: Postgres) -> set[str]:
    """Which of the two does not answer: then no check that needs it waits for it once more."""
    asked = {"Redis": memory.ask_each("PING"), "PostgreSQL": ask_servers.ask_postgresql(database)}
    answers = await asyncio.gather(
        *(asyncio.wait_for(asking, AWAY_S) for asking in asked.values()), return_exceptions=True
    )
    return {
        store
        for store, answer in zip(asked, answers, strict=True)
        if isinstance(answer, BaseException)
        or (isinstance(answer, dict) and all(isinstance(each, Exception) for each in answer.values()))
    }


def _not_looked(name: str, away: Sequence[str]) -> list[Finding]:
    if not away:
        return []
    told = " and ".join(away)
    zh, en = f"没能检查：{'、'.join(away)} 没有应答", f"could not be looked at: {told} does not answer"
    return [red(name, zh, en, "启动它，检查地址和网络", "start it, look at its address and the network")]


async def _told(name: str, looking: Callable[[], Awaitable[Sequence[Finding]]]) -> Sequence[Finding]:
    """What a check found, or that it could not look: whatever it was, somebody has to see to it."""
    try:
        async with asyncio.timeout(CHECK_S):
            return await looking()
    except TryLater as fault:
        why = fault.detail
    except TimeoutError:
        why = f"no answer within {CHECK_S:g} s"
    except Exception as fault:
        why = f"{type(fault).__name__}: {fault}"
    zh, en = f"没能检查：{why}", f"could not be looked at: {why}"
    return [red(name, zh, en, "排除原因，再检查一次", "mend what it says, look again")]


async def _clocks(
    memory: Memory, database: Postgres, readings: Sequence[Reading], own_ms: Callable[[], int]
) -> list[Finding]:
    return judge_clocks([*await ask_servers.read_clocks(memory, database, own_ms), *readings])


def _files(met: Met, channels: int) -> list[Finding]:
    """Of each address the worker that may open the fewest; channels are shared out by all workers."""
    workers = len({worker for answers in met.answers for worker in answers.workers})
    return [
        judge_files(answers.url, min(said["files_max"] for said in answers.workers.values()), channels, workers)
        for answers in met.answers
        if answers.workers
    ]


def _pools(met: Met, settings: Settings, urls: int) -> list[tuple[int, int]]:
    """Workers and connections of each pool on every machine: as they say, else as configured for each address."""
    machines = {
        said["machine"]: (said["workers"], said["postgres_connections"])
        for answers in met.answers
        for said in answers.workers.values()
    }
    return list(machines.values()) or [(settings.workers, settings.postgres_connections)] * max(1, urls)


async def _versions(asked: Asked, database: Postgres, met: Met, batches: Sequence[Known]) -> list[Finding]:
    found = [] if asked.caller.ops_key or not met.answers else [judge_unattested()]
    found += judge_equal(met.answers, await _here(asked.settings, database))
    urls = [answers.url for answers in met.answers]
    return found + await ask_nodes.look_at_sealed(database, urls, batches, asked.caller)


async def _here(settings: Settings, database: Postgres) -> dict[str, Any]:
    """What workers should say, as far as this machine can know it."""
    keys = ask_keys.key_files(settings.secrets_dir)[0]
    names = (*_SHARED_KEYS, *(("wrap.key",) if settings.key_provider == "file" else ()))
    here: dict[str, Any] = {
        "version": VERSION,
        "page": pages.release(),
        "schema": migrations.newest(),
        "partitions": settings.partitions,
        "key_provider": settings.key_provider,
        "published": digest_of(await ask_nodes.published(database)),
    }
    if set(names) <= set(keys):
        here["keys"] = {name: secrets.fingerprint(keys[name], name) for name in names}
    return here
