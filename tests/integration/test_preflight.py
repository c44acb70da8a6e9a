"""Preflight on real servers: green where nothing is amiss; each thing that is spoilt turns exactly its check red."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from engine import batch_log
from engine.preflight.ask_nodes import Caller
from engine.preflight.finding import Colour, Finding
from engine.preflight.preflight import Asked, look
from engine.sealing import answer_key, secrets
from engine.sealing.shares import OpenShare, lock_share
from engine.sealing.signature import Signer, key_id
from engine.settings import Settings
from engine.stores import months, public_keys
from engine.stores.clock import now_ms
from engine.stores.laying import lay_ready
from tests.integration.exam import GRADER_KEY, LOGIN_KEY, PARTITIONS, RECEIPT_KEY, WRAP_KEY, Exam, as_role

pytestmark = pytest.mark.anyio
# What depends on the machine that the tests run on: how full its disk is.
OF_THE_MACHINE = {"disks"}
GRADER = key_id(answer_key.public_key(GRADER_KEY))
KEYS = {"login.key": LOGIN_KEY, "wrap.key": WRAP_KEY, "grader.key": GRADER_KEY, "receipt.key": RECEIPT_KEY}


class Deployment:
    """Everything that an exam needs, without workers."""

    def __init__(self, exam: Exam, asked: Asked) -> None:
        self.exam = exam
        self.asked = asked
        self.redis: Any = exam.redis

    async def look(self, **changed: Any) -> list[Finding]:
        return await look(structs.replace(self.asked, **changed))

    async def record(self, kind: str, after: Any) -> None:
        """Into the batch's log, as a worker does."""
        async with self.exam.engine_database.transaction() as connection:
            await batch_log.record(connection, "B", kind, key_id="k", after=after)

    async def lay(self) -> None:
        await lay_ready(self.exam.memory, self.exam.owner_database, "B", LOGIN_KEY)


@pytest.fixture
async def synced(exam: Exam) -> AsyncIterator[None]:
    """PostgreSQL as an exam needs it; other tests have no use for its fsync."""
    await set_durable(exam, "on")
    yield
    await set_durable(exam, "off")


async def set_durable(exam: Exam, wanted: str) -> None:
    names = ("fsync", "full_page_writes")
    async with exam.owner_database.connection() as connection:
        for name in names:
            await connection.execute(f"ALTER SYSTEM SET {name} = {wanted}")
        await connection.execute("SELECT pg_reload_conf()")
        async with asyncio.timeout(60):
            for name in names:
                while await connection.fetchval(f"SHOW {name}") != wanted:  # noqa: ASYNC110 - a state, not an event
                    await asyncio.sleep(0.01)


@pytest.fixture
async def deployment(
    exam: Exam, synced: None, redis_url: str, postgres_dsn: str, tmp_path: Path
) -> AsyncIterator[Deployment]:
    """Months made, keys registered, everything recorded and laid as it stands; a mock, of which no calendar warns."""
    folder = tmp_path / "secrets"
    secrets.create(folder)
    for name, key in KEYS.items():
        (folder / name).write_bytes(key)
    await months.make_ahead(exam.database, now_ms())
    await register(exam, folder)
    await exam.query(
        "INSERT INTO answer_key SELECT paper_digest, $1, envelope FROM answer_key WHERE recipient = 'k' RETURNING 1",
        GRADER,
    )
    await exam.query("UPDATE seal SET answer_key_recipient = $1 RETURNING 1", GRADER)
    await exam.query("UPDATE batch SET kind = 'mock' RETURNING 1")
    await exam.query("UPDATE recorder SET alive_until = clock_timestamp() + interval '1 hour' RETURNING 1")
    settings = Settings(
        postgres_dsn=postgres_dsn,
        redis_url=redis_url,
        partitions=PARTITIONS,
        secrets_dir=str(folder),
        engine_dsn=as_role(postgres_dsn, "engine"),
        recorder_dsn=as_role(postgres_dsn, "recorder"),
        grader_dsn=as_role(postgres_dsn, "grader"),
        courier_dsn=as_role(postgres_dsn, "courier"),
    )
    found = Deployment(exam, Asked(settings=settings, urls=(), caller=Caller()))
    await found.record("armed", {"sittings": 2})
    await found.lay()
    while await exam.recorder.record():
        pass
    yield found
    await set_right(found.redis)


async def set_right(redis: Any) -> None:
    """As servers of tests are."""
    await redis.config_set("appendfsync", "always")
    await redis.config_set("maxmemory", "0")


async def register(exam: Exam, folder: Path) -> None:
    """As the processes that hold the private halves do at their start."""
    receipt, result = (Signer(secrets.read(folder, name)).public_key for name in ("receipt.key", "result.key"))
    async with exam.engine_database.transaction() as connection:
        await public_keys.register(connection, "receipt", "Ed25519", receipt)
    async with exam.grader_database.transaction() as connection:
        await public_keys.register(connection, "result", "Ed25519", result)
        await public_keys.register(connection, "answer_key", "X25519", answer_key.public_key(GRADER_KEY))


def not_green(findings: list[Finding]) -> dict[str, Colour]:
    return {
        finding.check: finding.colour
        for finding in findings
        if finding.colour is not Colour.GREEN and finding.check not in OF_THE_MACHINE
    }


async def test_a_deployment_that_misses_nothing_is_green(deployment: Deployment) -> None:
    findings = await deployment.look()

    assert {finding.en for finding in findings if not_green([finding])} == set()
    assert {"batches", "prepared", "roster", "provider", "secrets", "clocks", "durability", "memory"} | {
        "partitions", "postgresql", "connections", "months", "disks", "recorder", "grader", "pushes", "versions",
    } == {finding.check for finding in findings}  # fmt: skip


async def test_looking_changes_nothing_in_either_store(deployment: Deployment) -> None:
    """It may run beside an exam: every key with its bytes, every table row by row."""

    async def stand() -> tuple[dict[bytes, bytes], dict[str, str]]:
        redis = {key: await deployment.redis.dump(key) async for key in deployment.redis.scan_iter()}
        tables = await deployment.exam.query("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        rows = {}
        for (table,) in tables:
            digest = f"SELECT coalesce(md5(string_agg(told::text, '|' ORDER BY told::text)), '') FROM {table} AS told"
            [(rows[table],)] = await deployment.exam.query(digest)
        return redis, rows

    before = await stand()
    await deployment.look()

    assert len(before[0]) > 10 and len(before[1]) > 20
    assert await stand() == before


# --- spoilings --------------------------------------------------------------------------------------------------

Spoil = Callable[[Deployment], Awaitable[Any]]


def hash_of(deployment: Deployment, sitting_id: str) -> str:
    return deployment.exam.memory.partition_of(sitting_id).sitting(sitting_id)


async def sync_every_second(deployment: Deployment) -> None:
    await deployment.redis.config_set("appendfsync", "everysec")


async def limit_memory(deployment: Deployment) -> None:
    await deployment.redis.config_set("maxmemory", str(200 * 2**20))


async def commit_without_waiting(deployment: Deployment) -> None:
    """Of the whole database: what the engine's pools ask for themselves does not hide it."""
    [(name,)] = await deployment.exam.query("SELECT current_database()")
    async with deployment.exam.owner_database.connection() as connection:
        await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")


async def delete_a_sitting(deployment: Deployment) -> None:
    await deployment.redis.delete(hash_of(deployment, "two"))


async def move_an_end(deployment: Deployment) -> None:
    await deployment.redis.hincrby(hash_of(deployment, "two"), "ends_ms", -60_000)


async def forget_a_login(deployment: Deployment) -> None:
    [way_in] = await deployment.redis.hmget(hash_of(deployment, "one"), "login")
    await deployment.redis.delete(way_in)


async def forget_when_it_is_due(deployment: Deployment) -> None:
    await deployment.redis.delete(*(keys.due for keys in deployment.exam.memory.partitions))


async def change_the_sealed_paper(deployment: Deployment) -> None:
    [(digest,)] = await deployment.exam.query("SELECT sealed_digest FROM seal")
    await deployment.redis.append(f"sealed:{digest}", b"!")


async def change_the_rules(deployment: Deployment) -> None:
    """In PostgreSQL only: Redis goes on with what was armed."""
    await deployment.exam.query("UPDATE batch SET duration_s = duration_s + 60 RETURNING 1")


async def push_a_change(deployment: Deployment) -> None:
    """As a worker does it: the row, the log, and laid ready."""
    await deployment.exam.query("UPDATE sitting SET room = 'other' WHERE sitting_id = 'one' RETURNING 1")
    await deployment.record("roster", {"accepted": 2, "added": 0, "changed": 1, "removed": 0, "unchanged": 1})
    await deployment.lay()


async def slip_somebody_in(deployment: Deployment) -> None:
    """Into the database, past the API."""
    await deployment.exam.query(
        "INSERT INTO sitting (sitting_id, batch_id, partition, candidate_id, name, id_number, admission_ticket, site,"
        " room, seat, extra_time_s) VALUES ('three', 'B', $1, 'three', 'n', 'three', 'three', 's', 'r', '09', 0)"
        " RETURNING 1",
        deployment.exam.memory.partition_of("three").number,
    )
    await deployment.lay()


async def let_something_wait(deployment: Deployment) -> None:
    keys = deployment.exam.memory.partitions[0]
    [(generation, n)] = await deployment.exam.memory.read_hash_fields([keys.marker], ["generation", "n"])
    unrecorded = f"{int(generation or 0)}-{int(n or 0) + 1}"
    await deployment.redis.xadd(keys.log, {"at": now_ms() - 60_000}, id=unrecorded)


async def leave_it_unlaid(deployment: Deployment) -> None:
    await deployment.exam.query("UPDATE batch SET laid_ready = false RETURNING 1")


async def leave_it_ungraded(deployment: Deployment) -> None:
    await deployment.exam.query(
        "UPDATE sitting SET state = 'submitted', closed_ms = $1 WHERE sitting_id = 'one' RETURNING 1",
        now_ms() - 600_000,
    )


async def end_the_recorder(deployment: Deployment) -> None:
    await deployment.exam.query("UPDATE recorder SET alive_until = clock_timestamp() - interval '1 hour' RETURNING 1")


async def lose_a_partition(deployment: Deployment) -> None:
    await deployment.redis.delete(deployment.exam.memory.partitions[0].marker)


async def detach_the_month(deployment: Deployment) -> None:
    name = months.Month.of(now_ms()).of_table("sitting_event")
    async with deployment.exam.owner_database.connection() as connection:
        await connection.execute(f"ALTER TABLE sitting_event DETACH PARTITION {name}")


async def forget_a_migration(deployment: Deployment) -> None:
    await deployment.exam.query("DELETE FROM schema_migrations WHERE version = '0020' RETURNING 1")


async def bring_another_wrapping_key(deployment: Deployment) -> None:
    (Path(deployment.asked.settings.secrets_dir) / "wrap.key").write_bytes(b"x" * 32)


async def show_a_key_to_others(deployment: Deployment) -> None:
    os.chmod(Path(deployment.asked.settings.secrets_dir) / "token.key", 0o644)


async def seal_answers_to_nobody(deployment: Deployment) -> None:
    """A new grader has come, with a key of its own."""
    async with deployment.exam.grader_database.transaction() as connection:
        await public_keys.register(connection, "answer_key", "X25519", answer_key.public_key(b"h" * 32))
    (Path(deployment.asked.settings.secrets_dir) / "grader.key").write_bytes(b"h" * 32)


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (sync_every_second, "durability"),
        (commit_without_waiting, "postgresql"),
        (change_the_rules, "prepared"),
        (push_a_change, "roster"),
        (slip_somebody_in, "roster_log"),
        (let_something_wait, "recorder"),
        (leave_it_unlaid, "recorder"),
        (leave_it_ungraded, "grader"),
        (end_the_recorder, "partitions"),
        (lose_a_partition, "partitions"),
        (detach_the_month, "months"),
        (forget_a_migration, "versions"),
        (bring_another_wrapping_key, "provider"),
        (show_a_key_to_others, "secrets"),
        (seal_answers_to_nobody, "provider"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_what_is_spoilt_turns_exactly_its_check_red(deployment: Deployment, spoil: Spoil, check: str) -> None:
    """Everything else stays green: whoever mends by the report mends the right thing."""
    await spoil(deployment)

    assert not_green(await deployment.look()) == {check: Colour.RED}


async def test_what_is_spoilt_of_a_laid_batch_is_red_until_it_is_laid_again(deployment: Deployment) -> None:
    """Which is what the report says to do: repeating the arming call lays it."""
    spoilings = (delete_a_sitting, move_an_end, forget_a_login, forget_when_it_is_due, change_the_sealed_paper)
    found, mended = {}, {}

    for spoil in spoilings:
        await spoil(deployment)
        found[spoil.__name__] = not_green(await deployment.look())
        await deployment.lay()
        mended[spoil.__name__] = not_green(await deployment.look())

    assert found == {spoil.__name__: {"prepared": Colour.RED} for spoil in spoilings}
    assert mended == {spoil.__name__: {} for spoil in spoilings}


async def test_redis_is_red_as_long_as_it_is_not_set_right(deployment: Deployment) -> None:
    """Both settings may be mended while it runs."""
    await sync_every_second(deployment)
    await limit_memory(deployment)
    wrong = not_green(await deployment.look())
    await set_right(deployment.redis)
    right = not_green(await deployment.look())

    assert (wrong, right) == ({"durability": Colour.RED, "memory": Colour.RED}, {})


async def test_a_clock_that_is_wrong_turns_exactly_its_check_red(deployment: Deployment) -> None:
    """This machine's, by 200 ms either way; and by 20 it does not matter."""

    def off_by(ms: int) -> Callable[[], int]:
        return lambda: now_ms() + ms

    ahead = not_green(await deployment.look(own_ms=off_by(200)))
    behind = not_green(await deployment.look(own_ms=off_by(-200)))

    assert ahead == behind == {"clocks": Colour.RED}


# --- what cannot be looked at, and what is asked for -------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "unseen"),
    [
        ({"redis_url": "unix:///nowhere/at/all"}, {"durability", "memory"}),
        (
            {"postgres_dsn": "postgresql://nobody@/nothing?host=/nowhere"},
            {"batches", "roster", "shares", "provider", "secrets", "postgresql", "connections", "months", "versions"}
            | {"grader", "pushes"},
        ),
    ],
)
async def test_a_server_that_is_away_is_told_by_every_check_that_needs_it(
    deployment: Deployment, changed: dict[str, str], unseen: set[str]
) -> None:
    """And the checks of the other one go on."""
    settings = structs.replace(deployment.asked.settings, **changed)
    findings = await deployment.look(settings=settings)
    away = {finding.check for finding in findings if "does not answer" in finding.en}

    assert away == unseen | {"prepared", "clocks", "partitions", "disks", "recorder"}
    assert {finding.colour for finding in findings if finding.check in away} == {Colour.RED}


async def test_a_batch_is_looked_at_by_its_name_and_canaries_are_left_out(deployment: Deployment) -> None:
    """A canary of ten seconds ago is over and marked as what it is."""
    await deployment.exam.query(
        'INSERT INTO batch SELECT (jsonb_populate_record(batch, \'{"batch_id": "preflight-canary-1"}\')).* FROM batch'
        " RETURNING 1"
    )

    named = [finding.subject for finding in await deployment.look(batch_id="B") if finding.check == "batches"]
    coming = [finding.subject for finding in await deployment.look() if finding.check == "batches"]
    unknown = not_green(await deployment.look(batch_id="B9"))

    assert named == coming == ["B"]
    assert unknown == {"batches": Colour.RED}


async def test_a_draft_with_a_package_needs_enough_shares(deployment: Deployment, tmp_path: Path) -> None:
    """Which of the files at hand are its own, without anybody's passphrase."""
    await deployment.exam.query(
        "INSERT INTO package VALUES ('P', 'B', $1, '', 'check', 'author') RETURNING 1", "d" * 64
    )
    await deployment.exam.query("UPDATE paper SET answer_key_recipient = $1 RETURNING 1", GRADER)
    await deployment.exam.query("UPDATE batch SET armed_ms = NULL, starts_ms = starts_ms + 172800000 RETURNING 1")
    files = []
    for index in (1, 2):
        opened = OpenShare(sealed_digest="d" * 64, split_id="x", k=2, n=3, index=index, share="A" * 43)
        files.append(tmp_path / f"share-{index}")
        files[-1].write_bytes(lock_share(opened, "B", "a passphrase that is long"))

    unarmed = {"batches": Colour.AMBER}
    assert not_green(await deployment.look()) == {**unarmed, "shares": Colour.AMBER}
    assert not_green(await deployment.look(shares=tuple(files[:1]))) == {**unarmed, "shares": Colour.RED}
    assert not_green(await deployment.look(shares=tuple(files))) == unarmed


async def test_without_the_login_key_the_ways_in_are_told_to_be_unseen(deployment: Deployment) -> None:
    (Path(deployment.asked.settings.secrets_dir) / "login.key").unlink()

    assert not_green(await deployment.look()) == {"prepared": Colour.AMBER, "secrets": Colour.AMBER}


async def test_who_has_entered_keeps_form_and_state(deployment: Deployment) -> None:
    """Looking at an exam that runs: what candidates did is no deviation."""
    await deployment.exam.enter("one")
    await deployment.exam.save("one", ("A1", 1, '"a"'))
    while await deployment.exam.recorder.record():
        pass

    assert not_green(await deployment.look()) == {}
