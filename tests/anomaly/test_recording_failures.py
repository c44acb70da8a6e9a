"""PostgreSQL fails at the n-th step of recording, for n = 1, 2, 3 …: whatever the step, the effect is exactly once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.recording.leases import Leases
from engine.recording.mending import Mender
from engine.recording.recorder import Recorder
from engine.rules.errors import TryLater
from engine.stores.postgres import Connection, Postgres
from tests.integration.conftest import exam
from tests.integration.exam import LOGIN_KEY, PARTITIONS, Exam

pytestmark = pytest.mark.anyio
__all__ = ["exam"]
STEPS_MAX = 60


class FailingPostgres(Postgres):
    """The n-th step fails as a cut connection does: before it is done, or, of a commit, after it is done."""

    fails_at = 0
    steps = 0

    def step(self, what: str) -> None:
        self.steps += 1
        if self.steps == self.fails_at:
            raise TryLater(f"the connection was cut at {what}")

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        self.step("connecting")
        async with super().connection() as connection:
            yield _Stepping(connection, self)  # type: ignore[misc]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with super().transaction() as connection:
            yield connection
            self.step("commit")
        self.step("the answer to the commit")


class _Stepping:
    """A connection that counts its calls."""

    def __init__(self, connection: Connection, database: FailingPostgres) -> None:
        self._connection = connection
        self._database = database

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._connection, name)
        if name == "transaction":
            return method

        async def call(*arguments: Any, **options: Any) -> Any:
            self._database.step(name)
            return await method(*arguments, **options)

        return call


async def test_every_step_may_fail_and_everything_is_recorded_once(exam: Exam, postgres_dsn: str) -> None:
    """Leases, mending and recording: taken up again from what PostgreSQL holds, until all is there."""
    database = FailingPostgres(postgres_dsn, 2)
    leases = Leases(database, "recorder-1", PARTITIONS)
    mender = Mender(exam.memory, database, LOGIN_KEY, "recorder-1")
    recorder = Recorder(exam.memory, database, "recorder-1")
    await exam.enter("one", "two")
    failed: list[str] = []
    for number in range(1, STEPS_MAX):
        await exam.save("one", ("A1", number, f'"{number}"'))
        await exam.save("two", ("A2", number, f'"{number}"'), epoch=str(number))
        await exam.login("two")  # an event, and the next epoch
        database.steps, database.fails_at = 0, number
        await _record_all(leases, mender, recorder, failed)
        if database.steps < number:
            break
    await database.close()

    assert len(failed) == number - 1 > 10
    assert any("answer to the commit" in what for what in failed)
    rows = await exam.query("SELECT sitting_id, seq FROM response_history ORDER BY sitting_id, seq")
    assert rows == [(sitting_id, seq) for sitting_id in ("one", "two") for seq in range(1, number + 1)]
    assert await exam.query("SELECT seq FROM response ORDER BY sitting_id") == [(number,), (number,)]
    assert await exam.query("SELECT count(*) FROM sitting_event WHERE kind = 'login'") == [(number + 2,)]


async def _record_all(leases: Leases, mender: Mender, recorder: Recorder, failed: list[str]) -> None:
    """As the recorder's process does it, until a round finds nothing."""
    while True:
        try:
            recorder.hold(*await mender.look(await leases.take()))
            while await recorder.record():
                pass
            return
        except TryLater as fault:
            failed.append(str(fault))
            recorder.forget()
