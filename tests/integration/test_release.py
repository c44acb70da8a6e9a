"""The release of paper keys: by Redis's clock and a worker's own, whichever is later; never by one that was stepped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from engine.delivery.channel_watch import CHANNEL_POLL_S
from engine.rules.limits import CLOCKS_APART_WARNED_MS
from engine.sealing.encoding import to_base64url
from engine.sealing.provider import FileProvider
from engine.stores.clock import SteadyClock, now_ms
from engine.supervision import embedded
from loadtest.torture.clocks import HOUR_S, SteppedClock
from tests.integration.exam import WRAP_KEY, Exam, batch
from tests.integration.forgetful import valkey_on
from tests.integration.test_channel_watch import Hall
from tests.integration.test_clocks import HALF_HOUR_MS, Stepped, Worker, stepped_clock
from tests.servers import temporary_folder

pytestmark = pytest.mark.anyio
KEY = to_base64url(b"k" * 32)


def steady_at(ahead_ms: int) -> SteadyClock:
    """The clock of a worker that began with a time of day that was wrong by so much."""
    return SteadyClock(time.time_ns() + ahead_ms * 1_000_000)


@pytest.fixture
async def hall(exam: Exam) -> AsyncIterator[Hall]:
    """Both candidates have pledged; by Redis's clock the start was a second ago."""
    await exam.enter("one", "two")
    async with Hall(exam).serving() as found:
        yield found


# --- channels --------------------------------------------------------------------------------------------------


async def test_a_key_waits_on_channels_until_this_workers_clock_has_come_as_far(hall: Hall) -> None:
    """Whoever has stepped Redis's clock forward gets nothing; when the later clock is there, everybody does."""
    release = hall.channels.delivery.release
    release.steady = steady_at(-3_600_000)
    lines = [await hall.greet(sitting_id) for sitting_id in ("one", "two")]
    await hall.asked("one", "two")
    await asyncio.sleep(4 * CHANNEL_POLL_S)
    heard = [message["type"] for line in lines for message in line.heard]
    release.steady = steady_at(0)

    assert "paper_key" not in heard
    assert release._opened == {}, "the key must not even be in memory"
    assert [(await line.hear("paper_key"))["paper_key"] for line in lines] == [KEY, KEY]
    for line in lines:
        line.leave()


async def test_a_start_by_the_later_clock_comes_without_anybody_asking(hall: Hall) -> None:
    """A worker that is a little behind opens at its own start, from its own poll."""
    release = hall.channels.delivery.release
    release.steady = steady_at(-4_000)
    line = await hall.greet("one")
    await line.hear("paper_key")

    assert release.steady.now_ms() >= hall.exam.batch.starts_ms
    line.leave()


async def test_a_channel_that_left_waits_for_no_key_any_more(hall: Hall) -> None:
    """A hall that comes and goes before the start leaves nothing behind."""
    hall.channels.delivery.release.steady = steady_at(-3_600_000)
    line = await hall.greet("one")
    await hall.asked("one")
    line.leave()
    async with asyncio.timeout(60):
        while hall.channels.keys._waiting or hall.channels._count:  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.05)


async def test_a_provider_that_fails_is_asked_again_until_it_opens(hall: Hall) -> None:
    """A token that is pulled out at the start, and put back: the room gets its paper then."""
    release = hall.channels.delivery.release
    release._provider = FileProvider(b"x" * 32)
    line = await hall.greet("one")
    await hall.asked("one")
    async with asyncio.timeout(60):
        while not release._failed_s:  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.05)
    release._provider = FileProvider(WRAP_KEY)

    assert (await line.hear("paper_key"))["paper_key"] == KEY
    line.leave()


# --- figures ---------------------------------------------------------------------------------------------------


async def test_clocks_that_are_apart_are_told_before_a_start(hall: Hall) -> None:
    """Which is ahead, and by how much: there is time to mend it. Clocks that agree are no news."""
    release = hall.channels.delivery.release
    agreed = await release.clock_warning()
    release.steady = steady_at(-20 * CLOCKS_APART_WARNED_MS)
    behind = await release.clock_warning()
    release.steady = steady_at(20 * CLOCKS_APART_WARNED_MS)
    ahead = await release.clock_warning()

    assert agreed == ""
    assert "s ahead of this worker's" in behind and "s behind this worker's" in ahead


# --- real workers ----------------------------------------------------------------------------------------------


@pytest.fixture
def clocks() -> Iterator[tuple[SteppedClock, SteppedClock]]:
    """Redis's and a worker's, each to be stepped alone."""
    with stepped_clock() as one, stepped_clock() as other:
        yield one, other


async def test_only_both_clocks_at_the_start_release_a_key(
    clocks: tuple[SteppedClock, SteppedClock], postgres_dsn: str
) -> None:
    """Half an hour before the start. Redis's clock an hour ahead: nothing. The worker's set forward as well, while it
    runs: nothing. A worker begun under both is told the start has come, which is the act for a clock put right."""
    of_redis, of_worker = clocks
    with temporary_folder("release") as folder, valkey_on(folder, folder, of_redis.environ()):
        url = embedded.redis_url(folder)
        early = Stepped(url, postgres_dsn, batch(starts_in_ms=HALF_HOUR_MS, duration_s=7200, check_in_before_s=3600))
        early.clock, early.client = of_redis, redis.Redis.from_url(url)
        await early.hold()
        await early.arm("one")
        await early.enter("one")
        with Worker(of_worker, url, postgres_dsn) as worker:
            told = [worker.paper_key(early, "one")]
            early.set_clock(HOUR_S)
            told.append(worker.paper_key(early, "one"))
            of_worker.step(HOUR_S)
            told.append(worker.paper_key(early, "one"))
            logged_early = worker.released()
        with Worker(of_worker, url, postgres_dsn) as worker:
            told += [worker.paper_key(early, "one"), worker.paper_key(early, "one")]
            logged = worker.released()
        early.client.close()
        await early.close()

    assert told == [425, 503, 503, 200, 200]
    assert logged_early == []
    assert [(line["batch_id"], line["asked_by"]) for line in logged] == [("B", "one")], "once per batch and worker"
    assert now_ms() < logged[0]["starts_ms"] <= min(logged[0]["redis_ms"], logged[0]["steady_ms"])
    assert KEY not in str(logged)
