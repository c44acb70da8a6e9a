"""Bad wires between the engine and its stores: time-outs that end, answers lost after the deed, nothing done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from engine.recording.recorder import Recorder
from engine.rules.errors import TryLater
from engine.rules.outcome import Outcome
from engine.stores.postgres import Postgres
from loadtest.torture.proxy import Proxy, Way
from tests.integration.exam import Exam

pytestmark = pytest.mark.anyio
PATIENCE_S = 60  # only a hang takes so long
RECORD_TIMEOUT_S = 0.5


@pytest.fixture
async def redis_wire(redis_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(redis_url.removeprefix("unix://")) as wire:
        yield wire


@pytest.fixture
async def postgres_wire(postgres_dsn: str) -> AsyncIterator[Proxy]:
    options = parse_qs(urlsplit(postgres_dsn).query)
    async with Proxy(f"{options['host'][0]}/.s.PGSQL.{options['port'][0]}") as wire:
        yield wire


@pytest.fixture
async def exam(redis_wire: Proxy, postgres_wire: Proxy, postgres_dsn: str) -> AsyncIterator[Exam]:
    """Redis is reached over the wire; PostgreSQL so by the recorder only, the test itself reads past it."""
    found = Exam(f"redis://127.0.0.1:{redis_wire.port}/0", postgres_dsn)
    far = f"postgresql://liankao@127.0.0.1:{postgres_wire.port}{urlsplit(postgres_dsn).path}?sslmode=disable"
    database = Postgres(far, 2, "recorder-1", RECORD_TIMEOUT_S)
    found.recorder = Recorder(found.memory, database, "recorder-1")
    await found.hold()
    await found.arm("one", "two")
    await found.enter("one", "two")
    yield found
    await database.close()
    await found.close()


async def until_saved(exam: Exam, seq: int, sitting: str = "one", item: str = "A1") -> int:
    """Send the same change until it is saved, as a client does; how often `try later` was the answer."""
    async with asyncio.timeout(PATIENCE_S):
        for refusals in range(1000):
            try:
                assert (await exam.save(sitting, (item, seq, f'"{"ab"[seq % 2]}"')))[4] == Outcome.OK
            except TryLater:
                await asyncio.sleep(0.02)
            else:
                return refusals
    raise AssertionError("never saved")


async def until_recorded(exam: Exam) -> int:
    """Record until nothing is left, as the recorder's process does; how many rounds were to be repeated."""
    refusals = 0
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                if not await exam.recorder.record():
                    return refusals
            except TryLater:
                refusals += 1
                await begin_again(exam)


async def begin_again(exam: Exam) -> None:
    """What the recorder's process does after a failed round: what PostgreSQL holds counts."""
    exam.recorder.forget()
    exam.mender.forget()
    await exam.hold()


async def recorded_seqs(exam: Exam) -> list[int]:
    return [seq for (seq,) in await exam.query("SELECT seq FROM response_history ORDER BY seq")]


@pytest.mark.parametrize("ways", [(Way.BACK,), (Way.FORTH, Way.BACK)], ids=["after the deed", "before the deed"])
async def test_half_open_redis_says_try_later_and_the_resend_is_recorded_once(
    exam: Exam, redis_wire: Proxy, ways: tuple[Way, ...]
) -> None:
    """The connection stays up and no answer comes: the call gives up, says so, and the same again is safe."""
    redis_wire.swallow(*ways)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(TryLater, match=r"sending the same again is safe"):
            await exam.save("one", ("A1", 1, '"b"'))

    redis_wire.heal()
    await until_saved(exam, 1)
    await until_recorded(exam)

    assert await recorded_seqs(exam) == [1]
    assert await exam.query("SELECT item, seq, value FROM response") == [("A1", 1, '"b"')]


async def test_answers_cut_off_anywhere_are_asked_for_again_without_a_double(exam: Exam, redis_wire: Proxy) -> None:
    """A reset in the middle of any answer: whether the save had happened is not known, and need not be."""
    refusals = 0
    for seq, count in enumerate((1, 2, 5, 9, 14, 20, 27), 1):
        redis_wire.cut_after(count)
        refusals += await until_saved(exam, seq)
        redis_wire.heal()

    await until_recorded(exam)

    assert refusals > 0, "nothing was ever cut"
    assert await recorded_seqs(exam) == [1, 2, 3, 4, 5, 6, 7]


async def test_slow_answers_come_to_their_own_questions(exam: Exam, redis_wire: Proxy) -> None:
    """Delay and jitter on the wire: each call still gets its own answer, and none is lost."""
    redis_wire.delay_s, redis_wire.jitter_s, redis_wire.bytes_per_s = 0.02, 0.05, 1_000_000
    calls = [until_saved(exam, seq, sitting, "A2") for seq in range(1, 11) for sitting in ("one", "two")]

    await asyncio.gather(*calls)
    redis_wire.heal()
    await until_recorded(exam)

    assert (await exam.stored("one"))["r:A2"] == (await exam.stored("two"))["r:A2"] == b'10|"a"'
    assert await exam.query("SELECT sitting_id, seq FROM response ORDER BY 1") == [("one", 10), ("two", 10)]


async def test_refused_redis_is_found_again_when_it_listens(exam: Exam, redis_wire: Proxy) -> None:
    """Nobody there, then somebody: no restart of ours is needed."""
    await redis_wire.refuse()
    with pytest.raises(TryLater):
        await exam.save("one", ("A1", 1, '"b"'))

    await redis_wire.listen()

    await until_saved(exam, 1)
    assert (await exam.stored("one"))["r:A1"] == b'1|"b"'


@pytest.mark.parametrize("ways", [(Way.BACK,), (Way.FORTH, Way.BACK)], ids=["answers lost", "everything lost"])
async def test_half_open_postgres_does_not_hang_the_recorder(
    exam: Exam, postgres_wire: Proxy, ways: tuple[Way, ...]
) -> None:
    """A statement without an answer ends in `try later`; the round is repeated over another connection."""
    await until_recorded(exam)  # a connection is open
    await exam.save("one", ("A1", 1, '"b"'))
    postgres_wire.swallow(*ways)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(TryLater):
            while True:
                await exam.recorder.record()

    postgres_wire.heal()
    await begin_again(exam)
    await until_recorded(exam)

    assert await recorded_seqs(exam) == [1]


async def test_recording_cut_off_at_any_answer_is_done_once(exam: Exam, postgres_wire: Proxy) -> None:
    """Also when it was the answer to COMMIT: what PostgreSQL holds decides, not what the recorder heard."""
    refusals = 0
    counts = range(0, 400, 20)
    for seq, count in enumerate(counts, 1):
        await until_saved(exam, seq)
        postgres_wire.cut_after(count)
        refusals += await until_recorded(exam)
        postgres_wire.heal()

    assert refusals > 3, "hardly anything was ever cut"
    assert await recorded_seqs(exam) == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("fault", [asyncpg.InternalClientError, asyncpg.InterfaceError, ConnectionResetError])
async def test_a_connection_found_broken_means_try_later(postgres_dsn: str, fault: type[Exception]) -> None:
    """The driver has several words for a wire that broke in the middle of a call; the next call gets another wire."""
    database = Postgres(postgres_dsn, 1)

    with pytest.raises(TryLater):
        async with database.connection() as connection:
            raise fault("another operation is in progress")

    async with database.connection() as connection:
        assert await connection.fetchval("SELECT 1") == 1
    await database.close()
