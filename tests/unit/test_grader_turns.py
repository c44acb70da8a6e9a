"""The grader's turns share its connections: more kinds of work than connections is no failure, it is a queue."""

from __future__ import annotations

import asyncio

import pytest

from engine.rules.errors import TryLater
from engine.scoring.process import in_place

pytestmark = pytest.mark.anyio


async def test_no_more_turns_are_under_way_than_there_are_connections() -> None:
    """Each gets its turn all the same, and one that fails gives its place back."""
    places = asyncio.Semaphore(2)
    under_way, most, done = 0, 0, 0

    async def turn() -> bool:
        nonlocal under_way, most, done
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        done += 1
        if done % 3 == 0:
            raise TryLater("PostgreSQL is away")
        return True

    outcomes = await asyncio.gather(*(in_place(turn, places)() for _ in range(9)), return_exceptions=True)

    assert (most, done) == (2, 9)
    assert [isinstance(outcome, TryLater) for outcome in outcomes].count(True) == 3
