"""The recorder's process: what it waits for when it is asked to stop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.recording.process import _Process
from engine.recording.recorder import Recorder
from engine.settings import Settings
from tests.integration.exam import LOGIN_KEY, PARTITIONS, Exam, until_waiting

pytestmark = pytest.mark.anyio
STOPPED_WITHIN_S = 40  # below the minute after which PostgreSQL ends the transaction that is waited for


@pytest.fixture
async def process(exam: Exam, redis_url: str, postgres_dsn: str, tmp_path: Path) -> _Process:
    """A recorder of this exam, not yet running; nobody else holds a lease."""
    await exam.leases.leave()
    login_key = tmp_path / "login.key"
    login_key.write_bytes(LOGIN_KEY)
    login_key.chmod(0o600)
    return _Process(
        Settings(redis_url=redis_url, postgres_dsn=postgres_dsn, partitions=PARTITIONS, secrets_dir=str(tmp_path))
    )


async def leased_by(exam: Exam) -> set[str]:
    return {owner for (owner,) in await exam.query("SELECT leased_by FROM recording")}


async def test_a_stop_waits_for_no_laying(exam: Exam, process: _Process) -> None:
    """A large roster takes as long as it takes; whoever takes over lays it, and has the leases at once."""
    await exam.query("UPDATE batch SET laid_ready = false RETURNING 1")
    async with exam.database.transaction() as pushing:
        await pushing.execute("SELECT 1 FROM batch FOR UPDATE")
        running = asyncio.create_task(process.run())
        await until_waiting(exam)

        process.stopping.set()
        await asyncio.wait_for(running, STOPPED_WITHIN_S)

    assert await leased_by(exam) == {""}


async def test_a_stop_gives_back_the_leases_whatever_fails(
    exam: Exam, process: _Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after what nobody expected: the others need not wait until the leases end."""
    holding = asyncio.Event()

    async def failing(self: Recorder) -> int:
        if self.held:
            holding.set()
        raise RuntimeError("nobody expected this")

    monkeypatch.setattr(Recorder, "record", failing)
    running = asyncio.create_task(process.run())
    await holding.wait()
    assert await leased_by(exam) != {""}

    process.stopping.set()
    await running

    assert await leased_by(exam) == {""}
