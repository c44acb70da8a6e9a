"""Redis fails at the n-th step of withdrawing, for n = 1, 2, 3 …: a recorder finishes it, and nothing is left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.rules.errors import TryLater
from engine.rules.outcome import Outcome
from engine.stores.memory import Memory
from engine.stores.withdrawing import withdraw, withdraw_unfinished
from tests.integration.copies import RedisCopy
from tests.integration.exam import PARTITIONS, Exam
from tests.integration.test_withdrawing import NEW, assert_withdrawn, early, undo

pytestmark = pytest.mark.anyio
__all__ = ["early"]
STEPS_MAX = 30
STEPS = ("read_hash_fields", "delete_hash_fields", "run_many", "read_bytes", "write_bytes", "delete")


class FailingMemory(Memory):
    """The n-th call fails as a cut line does: before it is done, or (`is_done`) after it."""

    def __init__(self, url: str, fails_at: int, is_done: bool) -> None:
        super().__init__(url, PARTITIONS)
        self.steps = 0
        for name in STEPS:
            setattr(self, name, self._stepping(getattr(self, name), fails_at, is_done))

    def _stepping(self, act: Callable[..., Awaitable[Any]], fails_at: int, is_done: bool) -> Callable[..., Any]:
        async def stepping(*arguments: Any, **options: Any) -> Any:
            self.steps += 1
            fails = self.steps == fails_at
            if fails and not is_done:
                raise TryLater("the line was cut before it was done")
            answer = await act(*arguments, **options)
            if fails:
                raise TryLater("the line was cut before its answer came")
            return answer

        return stepping


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
async def test_every_step_may_fail_and_nothing_is_left(early: Exam, redis_url: str, is_done: bool) -> None:
    """Whatever was done by then, the sittings are withdrawn with the next look, each once."""
    await early.enter("one")
    before = await RedisCopy.of(early)
    [(run_id,)] = [await early.redis.hmget(early.memory.partition_of("one").marker, "run_id")]
    digest = await undo(early)
    failed = 0
    for number in range(1, STEPS_MAX):
        await before.put_back(early, run_id.decode())
        await early.query("UPDATE disarming SET is_withdrawn = false RETURNING 1")
        memory = FailingMemory(redis_url, number, is_done)
        try:
            await withdraw(memory, early.engine_database, early.batch.batch_id)
        except TryLater:
            failed += 1
            assert await early.query("SELECT is_withdrawn FROM disarming") == [(False,)]
        finally:
            await memory.close()
        await withdraw_unfinished(early.memory, early.database)
        await assert_withdrawn(early, digest)
        assert (await early.login("two"))[0] == Outcome.TOO_LATE
        events = await early.redis.xrange(early.memory.partition_of("one").log)
        assert sum(b"withdrawn" in content for _, entry in events for content in entry.values()) == 1
        if memory.steps < number:
            break

    assert failed == number - 1 >= len(STEPS)
    assert await early.query("SELECT is_withdrawn FROM disarming") == [(True,)]
    assert {name for (name,) in await early.query("SELECT sitting_id FROM sitting")} == set(NEW.values())
