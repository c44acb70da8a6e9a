"""Reads what Redis and PostgreSQL say of themselves, for the pure modules to judge; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.preflight.backlogs import judge_grader, judge_pushes, judge_recorder
from engine.preflight.capacity import (
    Disk,
    connections_needed,
    judge_connections,
    judge_disk,
    judge_memory,
    judge_unseen_disk,
)
from engine.preflight.clocks import Reading, narrowest
from engine.preflight.finding import Finding
from engine.preflight.servers import (
    POSTGRESQL_WANTED,
    Partition,
    judge_durability,
    judge_months,
    judge_partitions,
    judge_postgresql,
    judge_role,
    judge_schema,
)
from engine.rules.errors import TryLater
from engine.rules.limits import DELIVERY_LATE_S
from engine.settings import Settings
from engine.stores import migrations, months, postgres, public_keys, roles
from engine.stores.clock import now_ms
from engine.stores.memory import Memory
from engine.stores.postgres import Postgres
from engine.stores.sql import Queries

_queries = Queries(__file__)
PROCESSES = ("engine", "recorder", "grader", "courier")
# Of each clock; the one that took the shortest tells the most, so where all were slow it is asked more often.
_READINGS, _READINGS_MAX = 5, 20
_QUICK_MS = 10
_HELD_S = 10.0  # a restart under way is nothing to tell
_TOMORROW_MS = 86_400_000
_PENDING_SHOWN = ("max_connections", "superuser_reserved_connections", "reserved_connections")


# --- clocks -----------------------------------------------------------------------------------------------------


async def read_clocks(memory: Memory, database: Postgres, own_ms: Callable[[], int] = now_ms) -> list[Reading]:
    """Of every Redis server and of PostgreSQL the reading that took the shortest. Raises TryLater."""
    names = _named(await memory.ask_each("PING"))
    taken: list[list[Reading]] = [[] for _ in names]
    while _is_read_again(taken):
        for part, name, (before, told, after) in zip(
            taken, names, await memory.read_clocks(own_ms, of_all=True), strict=True
        ):
            part.append(Reading(part=name, before_ms=before, told_ms=told, after_ms=after))
    of_postgres: list[Reading] = []
    async with database.connection() as connection:
        while _is_read_again([of_postgres]):
            before = own_ms()
            told = await connection.fetchval(_queries.clock)
            of_postgres.append(Reading(part="PostgreSQL", before_ms=before, told_ms=told, after_ms=own_ms()))
    return [narrowest(part) for part in [*taken, of_postgres]]


async def ask_postgresql(database: Postgres) -> None:
    """Whether it answers at all. Raises what asking raises."""
    async with database.connection() as connection:
        await connection.fetchval(_queries.clock)


def _is_read_again(taken: Sequence[Sequence[Reading]]) -> bool:
    fewest = min(map(len, taken))
    if fewest < _READINGS:
        return True
    return fewest < _READINGS_MAX and any(narrowest(part).took_ms > _QUICK_MS for part in taken)


# --- Redis ------------------------------------------------------------------------------------------------------


async def look_at_durability(memory: Memory) -> list[Finding]:
    """Raises TryLater."""
    told = await memory.ask_each("CONFIG", "GET", "appendfsync")
    names = _named(told)
    for answer in told.values():
        if isinstance(answer, TryLater):
            raise answer
    silent = [name for name, answer in zip(names, told.values(), strict=True) if isinstance(answer, Exception)]
    return judge_durability(await memory.durability_faults(), names, silent)


def _named(told: Mapping[str, Any]) -> list[str]:
    """What the servers are called: by their addresses where there are several."""
    return ["Redis"] if len(told) == 1 else [f"Redis {address}" for address in told]


async def look_at_memory(memory: Memory, sittings: int) -> list[Finding]:
    """Raises TryLater when nobody answers."""
    found = []
    answers = await memory.ask_each("INFO", "memory")
    for name, answer in zip(_named(answers), answers.values(), strict=True):
        if isinstance(answer, Exception):
            raise answer
        told = dict(line.split(":", 1) for line in answer.decode().splitlines() if ":" in line)
        most = int(told.get("maxmemory", 0)) or int(told.get("total_system_memory", 0))
        found.append(judge_memory(name, int(told["used_memory"]), most, sittings))
    return found


async def look_at_partitions(memory: Memory, database: Postgres) -> list[Finding]:
    """Raises TryLater."""
    async with database.connection() as connection:
        rows = {row["partition"]: row for row in await connection.fetch(_queries.leases, _HELD_S)}
    markers = await memory.read_each_hash_fields(
        [keys.marker for keys in memory.partitions], ["generation", "doubtful", "restoring"]
    )
    partitions = []
    for keys, marker in zip(memory.partitions, markers, strict=True):
        row = rows.get(keys.number)
        generation, doubtful, restoring = (None,) * 3 if isinstance(marker, TryLater) else marker
        partitions.append(
            Partition(
                number=keys.number,
                generation=None if generation is None else int(generation),
                recorded_generation=row["generation"] if row else None,
                is_held=bool(row and row["is_held"]),
                is_doubtful=doubtful not in (None, b"", b"0"),
                is_restoring=restoring not in (None, b"", b"0"),
                answers=not isinstance(marker, TryLater),
            )
        )
    return judge_partitions(partitions)


# --- PostgreSQL -------------------------------------------------------------------------------------------------


async def look_at_postgresql(settings: Settings, database: Postgres) -> list[Finding]:
    """As a session gets its settings that asks for none, and whether each kind of process gets in. Raises TryLater."""
    async with database.connection() as connection:
        server = await connection.fetchrow(_queries.server)
        rows = await connection.fetch(_queries.settings, list(POSTGRESQL_WANTED))
    pending = [row["name"] for row in rows if row["pending_restart"]]
    asked: dict[str, str] = {row["name"]: row["setting"] for row in rows if row["name"] in POSTGRESQL_WANTED}
    found = []
    for process in PROCESSES:
        fault, excess, synchronous_commit = await _role(settings, process)
        found.append(judge_role(process, fault, excess))
        # The pools of the engine ask for `on` themselves; whoever connects without them must not be told less.
        if synchronous_commit and synchronous_commit != "on":
            asked["synchronous_commit"] = synchronous_commit
    return [*judge_postgresql(asked, server["version"], pending, is_replica=server["is_replica"]), *found]


async def look_at_schema(database: Postgres) -> list[Finding]:
    """The database's migrations against those of this release. Raises TryLater."""
    async with database.connection() as connection:
        pending = await migrations.pending(connection)
        rows = await connection.fetch(_queries.applied) if len(pending) < len(migrations.read()) else []
    known = {migration.version for migration in migrations.read()}
    return judge_schema(pending, [row["version"] for row in rows if row["version"] not in known], migrations.newest())


async def _role(settings: Settings, process: str) -> tuple[str, str, str]:
    """Why a process cannot connect, what it may do too much, and its `synchronous_commit` unasked."""
    try:
        connection = await postgres.connect(settings.dsn_of(process))
    except Exception as fault:  # away, no such role, a wrong password: whatever keeps the process out
        return f"{type(fault).__name__}: {fault}", "", ""
    try:
        excess = await roles.excess_of(connection, process)
        return "", excess, str(await connection.fetchval("SHOW synchronous_commit"))
    finally:
        await connection.close()


async def look_at_connections(database: Postgres, pools: Sequence[tuple[int, int]]) -> list[Finding]:
    """`pools`: of each machine its workers, and the connections of each pool. Raises TryLater."""
    async with database.connection() as connection:
        rows = await connection.fetch(_queries.settings, list(_PENDING_SHOWN))
        strangers = await connection.fetchval(_queries.strangers)
    values = {row["name"]: int(row["setting"]) for row in rows if row["name"] in _PENDING_SHOWN}
    allowed = values.pop("max_connections") - sum(values.values())
    return [judge_connections(allowed, connections_needed(pools), strangers)]


async def look_at_months(database: Postgres) -> list[Finding]:
    """Raises TryLater."""
    async with database.connection() as connection:
        missing = await months.missing(connection, now_ms(), _TOMORROW_MS, _TOMORROW_MS)
        later = await months.missing(connection, now_ms(), _TOMORROW_MS)
        stray = await months.stray_rows(connection)
    lacking = [month.of_table(table) for table, month in missing]
    return judge_months(
        lacking,
        [name for table, month in later if (name := month.of_table(table)) not in lacking],
        [month.of_table(table) for table, found in stray.items() for month in found],
    )


# --- disks ------------------------------------------------------------------------------------------------------


async def look_at_disks(memory: Memory, database: Postgres, data: Path | None, sittings: int) -> list[Finding]:
    """Those that this machine can see; of the others it is said that it cannot. Raises TryLater."""
    found = [_disk("data", str(data), sittings)] if data else []
    answers = await memory.ask_each("CONFIG", "GET", "dir")
    for name, (address, answer) in zip(_named(answers), answers.items(), strict=True):
        folder = "" if isinstance(answer, Exception) else answer[1].decode()
        found.append(_server_disk(name, folder, is_here=_is_here(address), sittings=sittings))
    async with database.connection() as connection:
        server = await connection.fetchrow(_queries.server)
    folder = server["folder"]
    found.append(_server_disk("PostgreSQL", folder, is_here=server["is_here"], sittings=sittings))
    if server["is_here"] and folder and _device(f"{folder}/pg_wal") not in (None, _device(folder)):
        found.append(_disk("PostgreSQL WAL", f"{folder}/pg_wal", sittings))
    return found


def _server_disk(what: str, folder: str, *, is_here: bool, sittings: int) -> Finding:
    if not is_here:
        return judge_unseen_disk(what, "another machine")
    if not folder:
        return judge_unseen_disk(what, "it does not tell its folder")
    return _disk(what, folder, sittings)


def _disk(what: str, folder: str, sittings: int) -> Finding:
    try:
        told = os.statvfs(folder)
    except OSError as fault:
        return judge_unseen_disk(what, f"{folder}: {fault.strerror}")
    size = told.f_frsize
    disk = Disk(what=what, path=folder, bytes_all=told.f_blocks * size, bytes_free=told.f_bavail * size)
    return judge_disk(disk, sittings)


def _device(folder: str) -> int | None:
    try:
        return os.stat(folder).st_dev
    except OSError:
        return None


def _is_here(address: str) -> bool:
    host = address.rpartition(":")[0]
    return address.startswith("/") or host in ("localhost", "::1", "[::1]") or host.startswith("127.")


# --- backlogs ---------------------------------------------------------------------------------------------------


async def look_at_recorder(memory: Memory, database: Postgres) -> list[Finding]:
    """Raises TryLater."""
    markers = await memory.read_each_hash_fields(
        [keys.marker for keys in memory.partitions], ["generation", "committed", "n"]
    )
    entries = sum(int(marker[2] or 0) - int(marker[1] or 0) for marker in markers if not isinstance(marker, TryLater))
    stands = [
        (keys, int(marker[0]), int(marker[1] or 0))
        for keys, marker in zip(memory.partitions, markers, strict=True)
        if not isinstance(marker, TryLater) and marker[0] is not None
    ]
    logs = await memory.read_each_log(stands, 1) if stands else []
    oldest = [int(dict(log[0][2])[b"at"]) for log in logs if log and not isinstance(log, TryLater)]
    waited_s = max(0, now_ms() - min(oldest)) // 1000 if oldest else 0
    async with database.connection() as connection:
        unlaid = [row["batch_id"] for row in await connection.fetch(_queries.unlaid)]
        unwithdrawn = [row["batch_id"] for row in await connection.fetch(_queries.unwithdrawn)]
    return judge_recorder(max(entries, len(oldest)), waited_s, unlaid, unwithdrawn)


async def look_at_grader(database: Postgres) -> list[Finding]:
    """Raises TryLater."""
    async with database.connection() as connection:
        rows = await connection.fetch(_queries.ungraded)
        is_registered = await public_keys.answer_key_recipient(connection) is not None
    oldest_ms = min((row["oldest_ms"] for row in rows), default=0)
    waiting = sum(row["sittings"] for row in rows)
    batches = [row["batch_id"] for row in rows]
    return judge_grader(waiting, max(0, now_ms() - oldest_ms) // 1000, batches, is_registered=is_registered)


async def look_at_pushes(database: Postgres) -> list[Finding]:
    """Raises TryLater."""
    async with database.connection() as connection:
        rows = await connection.fetch(_queries.pushes, DELIVERY_LATE_S * 1000)
    late = []
    for row in rows:
        if row["disabled_why"] is not None:
            late.append(f"webhook {row['webhook_id']!r} is disabled: {row['disabled_why']}")
        elif row["oldest_ms"] is not None and row["waited_ms"] > DELIVERY_LATE_S * 1000:
            late.append(f"webhook {row['webhook_id']!r} waits since {row['waited_ms'] // 1000} s")
    return judge_pushes(late, sum(row["dead"] for row in rows))
