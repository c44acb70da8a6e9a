"""Redis gone: rebuilt from PostgreSQL, in a generation and with epochs never issued."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine import metrics
from engine.recording.leases import Leases
from engine.recording.mending import Mender
from engine.recording.rebuild import read_ordered
from engine.recording.recorder import Recorder
from engine.recording.stand import Stand, judge, read_facts
from engine.rules.errors import TryLater
from engine.rules.outcome import Outcome
from engine.stores.postgres import Postgres
from tests.integration.copies import lose_redis, settle
from tests.integration.exam import LOGIN_KEY, PARTITIONS, Exam, until_waiting

pytestmark = pytest.mark.anyio


async def responses(exam: Exam, sitting_id: str = "one") -> list[Any]:
    return await exam.query("SELECT item, seq, value FROM response WHERE sitting_id = $1 ORDER BY item", sitting_id)


async def stand_of(exam: Exam, sitting_id: str) -> Stand:
    number = exam.memory.partition_of(sitting_id).number
    [row] = await exam.query("SELECT generation, position FROM recording WHERE partition = $1", number)
    held = await Leases(exam.database, "recorder-1", PARTITIONS).take()
    assert tuple(held[number]) == row
    ordered = await read_ordered(exam.database, [number])
    return judge((await read_facts(exam.memory, {number: held[number]}, ordered))[number])


async def epoch_of(reply: list[Any]) -> str:
    return str(reply[reply.index(b"epoch") + 1].decode())


async def test_lost_redis_is_rebuilt_with_what_was_recorded(exam: Exam) -> None:
    """States, epochs and recorded responses come back in a new generation; the old token still works."""
    await exam.enter("one", "two")
    saved = await exam.save("one", ("A1", 1, '"a"'), ("A2", 2, '"b"'))
    await settle(exam)
    await lose_redis(exam)
    before = metrics.recorder_mended.labels(Stand.LOST)._value.get()

    assert (await exam.save("one", ("A3", 3, '"a"')))[0] == Outcome.LOST
    assert await stand_of(exam, "one") is Stand.LOST
    await exam.hold()

    again = await exam.save("one", ("A1", 1, '"a"'), ("A3", 3, '"a"'))
    assert again[4] == Outcome.OK
    assert again[1] > saved[1]
    stored = await exam.stored("one")
    assert (stored["state"], stored["epoch"], stored["r:A1"], stored["r:A2"]) == (b"pledged", b"1", b'1|"a"', b'2|"b"')
    await settle(exam)
    assert await responses(exam) == [("A1", 1, '"a"'), ("A2", 2, '"b"'), ("A3", 3, '"a"')]
    assert metrics.recorder_mended.labels(Stand.LOST)._value.get() == before + PARTITIONS


async def test_generation_of_a_rebuild_was_never_issued(exam: Exam) -> None:
    """Raises that Redis lost before they were recorded must not be issued again: journals compare generations."""
    await exam.enter("one")
    await settle(exam)
    keys = exam.memory.partition_of("one")
    unrecorded = []
    for run_id in ("e" * 40, "f" * 40):
        await exam.set_field(keys.marker, "run_id", run_id)
        unrecorded.append((await exam.save("one", ("A1", 1, '"a"')))[1])
    await lose_redis(exam)

    await exam.hold()

    assert (await exam.save("one", ("A1", 2, '"b"')))[1] > max(unrecorded)


async def test_generation_rises_also_while_the_clock_stands_far_behind(exam: Exam) -> None:
    """Its number is the moment, but never at or below one that is known; and it is printed whole, beyond 2**43 too."""
    await exam.enter("one")
    ahead = 2**52 + 1
    keys = exam.memory.partition_of("one")
    marker = {name.decode(): content for name, content in (await exam.memory.read_hash(keys.marker)).items()}
    await exam.memory.delete(keys.log)
    await exam.memory.write_hashes({keys.marker: {**marker, "generation": str(ahead), "run_id": "f" * 40}})

    saved = await exam.save("one", ("A1", 1, '"a"'))

    assert saved[1] == ahead + 1
    assert (await exam.memory.read_hash(keys.marker))[b"generation"] == str(ahead + 1).encode()
    [entries] = await exam.memory.read_logs([(keys, ahead, 0)], 10)
    assert [entry[:2] for entry in entries] == [(ahead + 1, 1), (ahead + 1, 2)]


async def test_lost_login_never_shares_its_epoch_with_a_later_one(exam: Exam) -> None:
    """The device whose login was lost is refused and logs in again; the one whose login was recorded goes on."""
    await exam.enter("one", "two")
    await settle(exam)
    lost = await epoch_of(await exam.login("one"))
    await lose_redis(exam)

    await exam.hold()

    assert lost == "2"
    assert (await exam.save("one", ("A1", 1, '"a"'), epoch=lost))[4] == Outcome.SUPERSEDED
    assert (await exam.save("two", ("A1", 1, '"a"')))[4] == Outcome.OK
    again = await epoch_of(await exam.login("one"))
    assert int(again) > int(lost)
    assert (await exam.save("one", ("A1", 1, '"a"'), epoch=again))[4] == Outcome.OK
    assert (await exam.save("one", ("A1", 2, '"a"'), epoch=lost))[4] == Outcome.SUPERSEDED
    await settle(exam)
    assert await exam.query("SELECT epoch FROM sitting WHERE sitting_id = 'one'") == [(int(again),)]


async def test_partition_lost_before_anything_was_recorded_issues_no_epoch_again(exam: Exam) -> None:
    """PostgreSQL knows that the partition was given out before the first login: it is lost, not new."""
    first = await epoch_of(await exam.login("one"))
    await lose_redis(exam)

    await exam.hold()

    assert first == "1"
    assert await stand_of(exam, "one") is Stand.FINE
    assert int(await epoch_of(await exam.login("one"))) > 1


async def test_redis_and_postgresql_away_together_is_waited_for(exam: Exam, postgres_dsn: str) -> None:
    """Nothing can be rebuilt then: saves are told to try later, and go on as soon as PostgreSQL is back."""
    await exam.enter("one")
    await settle(exam)
    held = await Leases(exam.database, "recorder-1", PARTITIONS).take()
    away = Postgres("postgresql:///liankao?host=/nowhere", 1)
    mender = Mender(exam.memory, away, LOGIN_KEY, "recorder-1")
    await lose_redis(exam)

    with pytest.raises(TryLater):
        await mender.look(held)

    assert (await exam.save("one", ("A1", 1, '"a"')))[0] == Outcome.LOST
    await exam.hold()
    assert (await exam.save("one", ("A1", 1, '"a"')))[4] == Outcome.OK


async def test_rebuild_stops_neither_saves_nor_recording_elsewhere(exam: Exam) -> None:
    """One partition's rebuild hangs in PostgreSQL: the others are saved to, recorded and told of `committed`."""
    await exam.enter("one", "two")
    await settle(exam)
    keys, number = exam.memory.partition_of("one"), exam.memory.partition_of("one").number
    await exam.memory.delete(keys.marker, keys.log, keys.sitting("one"))

    async with exam.owner_database.transaction() as blocker:
        await blocker.execute("SELECT 1 FROM batch FOR UPDATE")
        exam.recorder.hold(*await exam.mender.look(await exam.leases.take()))
        mending = asyncio.create_task(exam.mender.mend())
        saved = await exam.save("two", ("A1", 1, '"a"'))
        exam.recorder.hold(*await exam.mender.look(await exam.leases.take()))
        while await exam.recorder.record():
            pass
        assert number not in exam.recorder.held
        assert (await exam.step("two"))[3] == saved[2]
        assert not mending.done()

    assert await mending
    await exam.hold()
    assert (await exam.save("one", ("A1", 1, '"a"')))[4] == Outcome.OK
    assert await responses(exam, "two") == [("A1", 1, '"a"')]


async def test_rebuild_whose_recorder_dies_is_finished_by_the_next(exam: Exam) -> None:
    """What the dead one laid does no harm; the marker comes last, and only once."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    await settle(exam)
    await lose_redis(exam)
    async with exam.owner_database.transaction() as blocker:
        await blocker.execute("SELECT 1 FROM batch FOR UPDATE")
        await exam.mender.look(await exam.leases.take())
        dying = asyncio.create_task(exam.mender.mend())
        await until_waiting(exam)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
    await exam.query("UPDATE recorder SET alive_until = '-infinity' RETURNING 1")

    other = Mender(exam.memory, exam.database, LOGIN_KEY, "recorder-2")
    leases = Leases(exam.database, "recorder-2", PARTITIONS)
    await other.look(await leases.take())
    assert await other.mend()

    saved = await exam.save("one", ("A2", 2, '"b"'))
    recorder = Recorder(exam.memory, exam.database, "recorder-2")
    recorder.hold(*await other.look(await leases.take()))
    while await recorder.record():
        pass
    assert saved[4] == Outcome.OK
    assert await responses(exam) == [("A1", 1, '"a"'), ("A2", 2, '"b"')]


async def test_rebuild_that_comes_late_leaves_what_another_recorder_built(exam: Exam) -> None:
    """A recorder that was frozen wakes up with an old judgement: its mark is refused, the generation stays."""
    await exam.enter("one")
    await settle(exam)
    await lose_redis(exam)
    late = Mender(exam.memory, exam.database, LOGIN_KEY, "recorder-1")
    async with exam.owner_database.transaction() as blocker:
        await blocker.execute("SELECT 1 FROM batch FOR UPDATE")
        await late.look(await exam.leases.take())
        frozen = asyncio.create_task(late.mend())
        await until_waiting(exam)
        await exam.mender.look(await exam.leases.take())
        built = asyncio.create_task(exam.mender.mend())
    await asyncio.gather(frozen, built)

    saved = await exam.save("one", ("A1", 1, '"a"'))
    [entries] = await exam.memory.read_logs([(exam.memory.partition_of("one"), saved[1] - 1, 2**40)], 10)
    assert [entry[:2] for entry in entries] == [(saved[1], 1), (saved[1], 2)]


async def test_redis_lost_again_while_it_is_built_is_built_once_more(exam: Exam) -> None:
    """What was laid before the second loss is missing: a mark would leave those candidates unknown for good."""
    await Exam.beside(exam, "LATER").arm("four")
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    await settle(exam)
    await lose_redis(exam)
    async with exam.owner_database.transaction() as blocker:
        await blocker.execute("SELECT 1 FROM batch WHERE batch_id = 'LATER' FOR UPDATE")
        await exam.mender.look(await exam.leases.take())
        building = asyncio.create_task(exam.mender.mend())
        await until_waiting(exam)
        await lose_redis(exam)
    await building

    assert (await exam.save("one", ("A2", 2, '"b"')))[0] == Outcome.LOST
    await exam.hold()
    assert (await exam.save("one", ("A2", 2, '"b"')))[4] == Outcome.OK
    assert (await exam.stored("one"))["r:A1"] == b'1|"a"'


async def test_batch_that_cannot_be_laid_keeps_no_other_from_its_exam(exam: Exam) -> None:
    """One broken row of PostgreSQL is reported; everybody else goes on."""
    other = Exam.beside(exam, "BROKEN")
    await other.arm("three")
    await exam.enter("one")
    await settle(exam)
    await exam.query("UPDATE batch SET rules = '{\"grace_s\": \"soon\"}' WHERE batch_id = 'BROKEN' RETURNING 1")
    before = metrics.recorder_failures.labels("batch_not_laid")._value.get()
    await lose_redis(exam)

    await exam.hold()

    assert (await exam.save("one", ("A1", 1, '"a"')))[4] == Outcome.OK
    assert metrics.recorder_failures.labels("batch_not_laid")._value.get() == before + 1
