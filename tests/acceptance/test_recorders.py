"""Two recorder processes over one exam: they share, a dead one is followed, a thawed one writes beside nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from engine.settings import PREFIX
from tests import servers
from tests.integration.exam import LOGIN_KEY, PARTITIONS, Exam

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
LOOKS, LOOK_EVERY_S = 600, 0.1


@pytest.fixture
async def exam(redis_url: str, postgres_dsn: str) -> AsyncIterator[Exam]:
    """An armed batch whose partitions are built and free: two recorders are about to start."""
    found = Exam(redis_url, postgres_dsn)
    await found.hold()
    await found.arm("one", "two", "three", "four")
    await found.enter("one", "two", "three", "four")
    await found.leases.leave()
    yield found
    await found.close()


class Hall:
    """The exam, its two recorders, and what candidates have saved so far."""

    def __init__(self, exam: Exam, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self.exam = exam
        self.recorders = [start(), start()]
        self.saved = 0

    async def save(self) -> None:
        """One change of every sitting; all four partitions move."""
        self.saved += 1
        for sitting_id in ("one", "two", "three", "four"):
            reply = await self.exam.save(sitting_id, ("A1", self.saved, f'"{self.saved}"'))
            assert reply[4] == 0

    async def shares(self) -> dict[int, int]:
        """Process id -> number of partitions that PostgreSQL says it holds."""
        rows = await self.exam.query("SELECT leased_by, count(*) FROM recording WHERE leased_by <> '' GROUP BY 1")
        return {int(owner.split(":")[-2]): count for owner, count in rows}

    async def until_shares(self, *shares: int) -> None:
        """Wait until the recorders hold so many, in their order; none for 0."""
        pids = [recorder.pid for recorder in self.recorders]
        expected = {pid: share for pid, share in zip(pids, shares, strict=True) if share}
        await _eventually(self.shares, expected)

    async def until_recorded(self) -> None:
        """Wait until everything is in the history; and it is there once."""
        expected = [(4 * self.saved, 4 * self.saved)]
        counted = "SELECT count(*), count(DISTINCT (sitting_id, seq)) FROM response_history"
        await _eventually(lambda: self.exam.query(counted), expected)

    async def check_once(self) -> None:
        """The whole history, in order, sitting by sitting."""
        rows = await self.exam.query("SELECT sitting_id, seq FROM response_history ORDER BY sitting_id, seq")
        sittings = ("four", "one", "three", "two")
        assert rows == [(sitting_id, seq) for sitting_id in sittings for seq in range(1, self.saved + 1)]


@asynccontextmanager
async def recording(exam: Exam, redis_url: str, postgres_dsn: str, folder: Path) -> AsyncIterator[Hall]:
    """Two recorders as `./run record` starts them, sharing the partitions by halves."""
    (folder / "login.key").write_bytes(LOGIN_KEY)
    (folder / "login.key").chmod(0o600)
    chosen = {"REDIS_URL": redis_url, "POSTGRES_DSN": postgres_dsn, "SECRETS_DIR": str(folder)}
    chosen["PARTITIONS"] = str(PARTITIONS)
    environ = servers.environ() | {PREFIX + name: text for name, text in chosen.items()}

    def start() -> subprocess.Popen[bytes]:
        with open(folder / "log", "ab") as log:
            command = [sys.executable, "-m", "engine", "record"]
            return subprocess.Popen(command, cwd=servers.ROOT, env=environ, stdin=subprocess.DEVNULL, stderr=log)

    hall = Hall(exam, start)
    try:
        await hall.until_shares(PARTITIONS // 2, PARTITIONS // 2)
        yield hall
    except BaseException:
        print((folder / "log").read_text(), file=sys.stderr)
        raise
    finally:
        for recorder in hall.recorders:
            if recorder.poll() is None:
                os.kill(recorder.pid, signal.SIGCONT)
            servers.stop(recorder, signal.SIGTERM)


async def test_a_killed_recorder_is_followed_by_the_other_and_nothing_is_lost(
    exam: Exam, redis_url: str, postgres_dsn: str, tmp_path: Path
) -> None:
    """kill -9: the other gets all of its partitions and records what the dead one left."""
    async with recording(exam, redis_url, postgres_dsn, tmp_path) as hall:
        await hall.save()
        await hall.until_recorded()

        hall.recorders[0].kill()
        for _ in range(20):
            await hall.save()
        await hall.until_shares(0, PARTITIONS)
        await hall.until_recorded()

        await hall.check_once()


async def test_a_frozen_recorder_that_thaws_writes_nothing_of_what_it_has_lost(
    exam: Exam, redis_url: str, postgres_dsn: str, tmp_path: Path
) -> None:
    """SIGSTOP for longer than a lease, in the middle of writing: its partitions go on elsewhere, once."""
    async with recording(exam, redis_url, postgres_dsn, tmp_path) as hall:
        for _ in range(20):
            await hall.save()
        os.kill(hall.recorders[0].pid, signal.SIGSTOP)
        await hall.save()
        await hall.until_shares(0, PARTITIONS)
        await hall.until_recorded()

        os.kill(hall.recorders[0].pid, signal.SIGCONT)
        for _ in range(20):
            await hall.save()
        await hall.until_shares(PARTITIONS // 2, PARTITIONS // 2)
        await hall.save()
        await hall.until_recorded()

        await hall.check_once()
        told = (tmp_path / "log").read_text()
        assert "partition_corrupt" not in told and "rolled_back" not in told


async def _eventually(look: Callable[[], Awaitable[object]], expected: object) -> None:
    for _ in range(LOOKS):
        found = await look()
        if found == expected:
            return
        await anyio.sleep(LOOK_EVERY_S)
    assert found == expected
