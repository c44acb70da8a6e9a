"""Leases: recorders share the partitions, and a dead one's are taken over; PostgreSQL's clock and rows decide."""

from __future__ import annotations

import asyncio

import pytest

from engine.recording.leases import Leases
from engine.rules.errors import TryLater
from engine.stores.postgres import Postgres
from tests.integration.exam import PARTITIONS, Exam, as_role

pytestmark = pytest.mark.anyio


async def die(exam: Exam, owner: str) -> None:
    """As PostgreSQL sees it when a recorder has not renewed for the length of its lease."""
    died = await exam.query("UPDATE recorder SET alive_until = '-infinity' WHERE owner = $1 RETURNING 1", owner)
    assert died == [(1,)]


async def test_a_newcomer_gets_its_half_from_the_one_that_has_all(exam: Exam) -> None:
    """The newcomer says that it lives, the other gives back what is too much, the newcomer takes it."""
    other = Leases(exam.database, "recorder-2", PARTITIONS)
    turns = [await other.take(), await exam.leases.take(), await other.take(), await exam.leases.take()]

    assert [len(held) for held in turns] == [0, 2, 2, 2]
    assert turns[2].keys() | turns[3].keys() == set(range(PARTITIONS))


async def test_three_recorders_hold_everything_and_none_more_than_its_share(exam: Exam) -> None:
    """Shares are rounded up: four partitions among three are at most two each, and none is left over."""
    everybody = [exam.leases, *(Leases(exam.database, f"recorder-{number}", PARTITIONS) for number in (2, 3))]
    for _ in range(3):
        held = [await leases.take() for leases in everybody]

    assert sorted(len(each) for each in held) in ([0, 2, 2], [1, 1, 2])
    assert sorted(number for each in held for number in each) == list(range(PARTITIONS))


async def test_a_dead_recorder_leaves_everything_to_the_living(exam: Exam) -> None:
    """With the positions it had recorded."""
    before = await exam.leases.take()
    await die(exam, "recorder-1")

    assert await Leases(exam.database, "recorder-2", PARTITIONS).take() == before


async def test_a_recorder_looks_again_as_soon_as_another_could_be_dead(
    exam: Exam, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the time until the next look would come on top of the length of the lease."""
    monkeypatch.setattr("engine.recording.leases._LOOK_EVERY_S", 3000.0)
    monkeypatch.setattr("engine.recording.leases._LONGEST_S", 2000.0)
    other = Leases(exam.database, "recorder-2", PARTITIONS)
    await exam.query(
        "UPDATE recorder SET alive_until = clock_timestamp() + interval '1000 seconds' WHERE owner = 'recorder-1'"
        " RETURNING 1"
    )

    await other.take()

    assert 0 < other.look_again_s < 1100


async def test_a_recorder_that_stops_leaves_at_once(exam: Exam) -> None:
    """Nobody waits for a lease that nobody needs."""
    await exam.leases.leave()

    assert len(await Leases(exam.database, "recorder-2", PARTITIONS).take()) == PARTITIONS


async def test_renewal_does_not_wait_for_a_recording_transaction(exam: Exam) -> None:
    """However long that takes: the rows it has moved are not those that say who lives."""
    async with exam.owner_database.transaction() as connection:
        await connection.execute("UPDATE recording SET position = position")

        await asyncio.wait_for(exam.leases.renew(), 20)
        held = await asyncio.wait_for(exam.leases.take(), 20)

    assert len(held) == PARTITIONS


async def test_the_open_transaction_of_a_dead_recorder_is_ended(exam: Exam, postgres_dsn: str) -> None:
    """It may be frozen, not gone: its locks must not keep the others from taking over, nor its rows come after all."""
    frozen = Postgres(as_role(postgres_dsn, "recorder"), 1, "recorder-1")
    other = Leases(exam.database, "recorder-2", PARTITIONS)
    with pytest.raises(TryLater):
        async with frozen.transaction() as connection:
            await connection.execute("UPDATE recording SET position = 1000000 WHERE partition = 0")
            await die(exam, "recorder-1")
            held = await other.take()
            assert held.keys() == {1, 2, 3}
            for _ in range(100):
                await asyncio.sleep(other.look_again_s)
                if len(held := await other.take()) == PARTITIONS:
                    break
            await connection.execute("SELECT 1")
    await frozen.close()

    assert len(held) == PARTITIONS
    assert await exam.query("SELECT count(*) FROM recording WHERE position = 1000000") == [(0,)]


async def test_recorders_that_were_dead_for_a_day_are_forgotten(exam: Exam) -> None:
    """Every restart has a name of its own: the list would grow for ever."""
    await exam.query(
        "INSERT INTO recorder VALUES ('old', clock_timestamp() - interval '2 days') RETURNING 1",
    )

    await Leases(exam.database, "recorder-2", PARTITIONS).take()

    assert await exam.query("SELECT owner FROM recorder ORDER BY owner") == [("recorder-1",), ("recorder-2",)]
