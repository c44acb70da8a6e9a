"""What a balancer is told: red only for what stops everybody, amber for what candidates can do without."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.readiness import Readiness
from engine.sealing import answer_key
from engine.sealing.signature import Signer
from engine.stores import months, public_keys
from engine.stores.clock import now_ms
from engine.stores.memory import Memory
from engine.stores.postgres import Postgres
from tests.integration.exam import GRADER_KEY, PARTITIONS, Exam

pytestmark = pytest.mark.anyio
NOWHERE = "postgresql://nobody@/nothing?host=/nowhere"


@pytest.fixture
async def synced(exam: Exam) -> AsyncIterator[None]:
    """PostgreSQL as an exam needs it; other tests have no use for its fsync."""
    await set_fsync(exam, "on")
    yield
    await set_fsync(exam, "off")


async def set_fsync(exam: Exam, wanted: str) -> None:
    async with exam.owner_database.connection() as connection:
        await connection.execute(f"ALTER SYSTEM SET fsync = {wanted}")
        await connection.execute("SELECT pg_reload_conf()")
        async with asyncio.timeout(60):
            while await connection.fetchval("SHOW fsync") != wanted:  # noqa: ASYNC110 - a state, not an event
                await asyncio.sleep(0.01)


@pytest.fixture
async def ready(exam: Exam, synced: None) -> Readiness:
    """A deployment that misses nothing: months made, a grader known, everything held by a recorder and recorded."""
    await months.make_ahead(exam.database, now_ms())
    async with exam.grader_database.transaction() as connection:
        await public_keys.register(connection, "answer_key", "X25519", answer_key.public_key(GRADER_KEY))
    await live_for(exam, 3600)
    while await exam.recorder.record():
        pass
    return Readiness(exam.engine_database, exam.memory, Signer(b"s" * 32), {})


async def live_for(exam: Exam, seconds: int) -> None:
    """The recorder's life ends so many seconds from now."""
    await exam.query(
        "UPDATE recorder SET alive_until = clock_timestamp() + make_interval(secs => $1) RETURNING 1", float(seconds)
    )


async def test_a_deployment_that_misses_nothing_is_green(ready: Readiness) -> None:
    look = await ready.look()

    assert (look.not_ready, look.may_take_traffic, ready.warnings) == ({}, True, {})


async def test_postgresql_away_takes_no_worker_off(ready: Readiness) -> None:
    """Saves go on without it; a balancer that took every worker off would stop the exam."""
    ready._database = Postgres(NOWHERE, 1)

    look = await ready.look()

    assert set(look.not_ready) == {"postgresql", "months"}
    assert look.may_take_traffic


async def test_postgresql_that_hangs_is_asked_once_however_many_look(ready: Readiness) -> None:
    """Frozen is the worst way to be away: the connection is there, and nothing comes back."""
    asked = []

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(writer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ready._database = Postgres(f"postgresql://nobody@127.0.0.1:{port}/nothing?sslmode=disable", 4)

    looks = await asyncio.gather(*(ready.look() for _ in range(20)))
    connections = len(asked)
    await asyncio.gather(*ready._asking.values())
    server.close()

    assert all(look.may_take_traffic and "postgresql" in look.not_ready for look in looks)
    assert 1 <= connections <= 4  # each check of PostgreSQL asks once


async def test_a_partition_being_built_takes_no_worker_off(ready: Readiness, exam: Exam) -> None:
    """The candidates of the others go on; without any, nobody could."""
    redis: Any = exam.redis
    markers = [keys.marker for keys in exam.memory.partitions]
    await redis.delete(markers[0])

    some = await ready.look()
    await redis.delete(*markers)
    none = await ready.look()

    assert some.not_ready["partitions"].startswith(f"1 of {PARTITIONS} ")
    assert some.may_take_traffic
    assert not none.may_take_traffic


async def test_a_worker_without_redis_is_red(ready: Readiness) -> None:
    """Whatever a candidate asks would be answered `try_later`."""
    ready._memory = Memory("unix:///nowhere/at/all", PARTITIONS)

    look = await ready.look()

    assert set(look.not_ready) == {"redis", "partitions"}
    assert not look.may_take_traffic


async def test_a_worker_that_stops_is_red(ready: Readiness) -> None:
    ready.drain()

    look = await ready.look()

    assert list(look.not_ready) == ["worker"]
    assert not look.may_take_traffic


async def test_what_was_never_set_up_is_red(ready: Readiness, exam: Exam) -> None:
    """PostgreSQL answers, and what it says is no outage: somebody has to do something first."""
    await set_fsync(exam, "off")
    unsynced = await ready.look()
    await set_fsync(exam, "on")
    await exam.query("DELETE FROM public_key RETURNING 1")

    ungraded = await ready.look()

    assert "fsync" in unsynced.not_ready["postgresql"]
    assert "no grader" in ungraded.not_ready["postgresql"]
    assert not unsynced.may_take_traffic
    assert not ungraded.may_take_traffic


async def test_missing_and_late_recorders_are_told(ready: Readiness, exam: Exam) -> None:
    """Saves go on and pile up in the log: worth a warning, and nobody stays away for it."""
    keys = exam.memory.partitions[0]
    [(generation, n)] = await exam.memory.read_hash_fields([keys.marker], ["generation", "n"])
    unrecorded = f"{int(generation or 0)}-{int(n or 0) + 1}"
    redis: Any = exam.redis
    looks, told = [], []

    async def look() -> None:
        looks.append(await ready.look())
        told.append(ready.warnings.get("recorder", ""))

    await live_for(exam, -3600)
    await look()
    await live_for(exam, 3600)
    await redis.xadd(keys.log, {"at": now_ms() - 60_000}, id=unrecorded)
    await look()
    await redis.xdel(keys.log, unrecorded)
    await look()

    assert told[0] == f"running recorders hold 0 of {PARTITIONS} partitions"
    assert told[1].endswith("s ago is not recorded yet")
    assert told[2] == ""
    assert all(look.may_take_traffic and not look.not_ready for look in looks)
