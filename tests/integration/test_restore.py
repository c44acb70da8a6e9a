"""PostgreSQL put back to an older state: what it has lost comes back from Redis, once, and what cannot is named."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine import metrics
from engine.recording import copying, unknown
from engine.recording.leases import Leases
from engine.recording.mending import Mender
from engine.recording.recorder import Recorder
from engine.recording.stand import Stand
from engine.rules.errors import TryLater
from engine.rules.outcome import Outcome
from engine.scoring.grader import Grader
from engine.sealing.signature import Signer
from engine.stores.postgres import Connection
from tests.integration.copies import DatabaseCopy, RedisCopy, settle
from tests.integration.exam import GRADER_KEY, LOGIN_KEY, PARTITIONS, Exam, until_waiting

pytestmark = pytest.mark.anyio


async def responses(exam: Exam, sitting_id: str = "one") -> list[Any]:
    return await exam.query("SELECT item, seq, value FROM response WHERE sitting_id = $1 ORDER BY item", sitting_id)


async def restored_events(exam: Exam) -> list[Any]:
    return await exam.query("SELECT sitting_id FROM sitting_event WHERE kind = 'restored' ORDER BY sitting_id")


async def test_restored_database_gets_back_what_only_redis_has(exam: Exam) -> None:
    """Newest values, states and epochs; the history of the gap is lost, and one event per sitting says so."""
    await exam.enter("one", "two")
    await exam.save("one", ("A1", 1, '"a"'))
    await settle(exam)
    backup = await DatabaseCopy.of(exam)
    await exam.save("one", ("A1", 2, '"b"'), ("A2", 3, '"a"'))
    await exam.save("one", ("A2", 4, "null"))
    await exam.submit("two", seq=0)
    await exam.login("one")
    await settle(exam)
    unrecorded = await exam.save("one", ("A3", 5, '"b"'), epoch="2")
    exam.recorder.forget()
    await backup.put_back(exam)
    before = metrics.recorder_mended.labels(Stand.RESTORED)._value.get()

    await settle(exam)

    assert await responses(exam) == [("A1", 2, '"b"'), ("A2", 4, "null"), ("A3", 5, '"b"')]
    assert await exam.query("SELECT sitting_id, state, epoch FROM sitting ORDER BY 1") == [
        ("one", "pledged", 2),
        ("two", "submitted", 1),
    ]
    assert await exam.query("SELECT entered_ms <= closed_ms FROM sitting WHERE sitting_id = 'two'") == [(True,)]
    assert await restored_events(exam) == [("one",), ("two",)]
    assert await exam.query("SELECT seq FROM response_history WHERE sitting_id = 'one' ORDER BY seq") == [(1,), (5,)]
    again = await exam.save("one", ("A3", 5, '"b"'), epoch="2")
    assert again[1] > unrecorded[1]
    assert again[3] == again[2], "the replay of what is recorded is committed at once"
    assert metrics.recorder_mended.labels(Stand.RESTORED)._value.get() == before + 2


async def test_committed_of_a_restored_database_is_not_claimed_while_it_is_restored(exam: Exam) -> None:
    """What Redis told candidates before is true no longer: the new generation begins first, at nothing committed."""
    await exam.enter("one")
    backup = await DatabaseCopy.of(exam)
    saved = await exam.save("one", ("A1", 1, '"a"'))
    await settle(exam)
    await backup.put_back(exam)
    exam.recorder.forget()

    async with exam.owner_database.transaction() as blocker:
        await blocker.execute("SELECT 1 FROM sitting FOR UPDATE")
        await exam.mender.look(await exam.leases.take())
        mending = asyncio.create_task(exam.mender.mend())
        await until_waiting(exam)
        meanwhile = await exam.save("one", ("A2", 2, '"a"'))
        assert not mending.done()

    await mending
    assert meanwhile[4] == Outcome.OK
    assert meanwhile[1] > saved[1]
    assert meanwhile[3] == 0
    await settle(exam)
    assert await responses(exam) == [("A1", 1, '"a"'), ("A2", 2, '"a"')]


async def test_restoring_that_fails_at_any_point_is_repeated_to_the_same_end(
    exam: Exam, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fail the n-th step for n = 1, 2, 3 …: one event per sitting, one generation, everything there."""
    monkeypatch.setattr(unknown, "RESTORE_SITTINGS_MAX", 1)
    await exam.enter("one", "two")
    await settle(exam)
    backup = await DatabaseCopy.of(exam)
    await exam.save("one", ("A1", 1, '"a"'), ("A2", 2, '"b"'))
    await exam.save("two", ("A1", 1, '"a"'))
    await settle(exam)
    exam.recorder.forget()
    await backup.put_back(exam)
    original = copying._contradicting
    steps = failures = 0

    async def failing(connection: Connection, *arguments: Any) -> int:
        nonlocal steps, failures
        steps += 1
        if steps > failures:  # one step further each time
            failures += 1
            steps = 0
            raise TryLater("PostgreSQL went away")
        return await original(connection, *arguments)

    monkeypatch.setattr(copying, "_contradicting", failing)
    generations = set()
    for _ in range(20):
        await exam.mender.look(await exam.leases.take())
        try:
            await exam.mender.mend()
            break
        except TryLater:
            generations.add((await exam.step("one"))[1])
    await settle(exam)

    assert failures >= 2
    assert len(generations) == 1
    assert await responses(exam) == [("A1", 1, '"a"'), ("A2", 2, '"b"')]
    assert await responses(exam, "two") == [("A1", 1, '"a"')]
    assert await restored_events(exam) == [("one",), ("two",)]


async def test_restoring_whose_recorder_dies_before_the_position_is_repeated_by_the_next(exam: Exam) -> None:
    """The position moves last, by the holder of the lease only: the one who lost it moves nothing."""
    await exam.enter("one")
    await settle(exam)
    backup = await DatabaseCopy.of(exam)
    await exam.save("one", ("A1", 1, '"a"'))
    await settle(exam)
    exam.recorder.forget()
    await backup.put_back(exam)
    await exam.mender.look(await exam.leases.take())
    await exam.query("UPDATE recorder SET alive_until = '-infinity' RETURNING 1")
    leases = Leases(exam.database, "recorder-2", PARTITIONS)
    other = Mender(exam.memory, exam.database, LOGIN_KEY, "recorder-2")
    await other.look(await leases.take())

    with pytest.raises(TryLater):
        await exam.mender.mend()
    assert await other.mend()

    recorder = Recorder(exam.memory, exam.database, "recorder-2")
    recorder.hold(*await other.look(await leases.take()))
    while await recorder.record():
        pass
    assert len(recorder.held) == PARTITIONS
    assert await responses(exam) == [("A1", 1, '"a"')]
    assert await restored_events(exam) == [("one",)]


async def test_database_put_back_under_a_running_recorder_is_restored(exam: Exam) -> None:
    """A failover that lost its tail: the recorder may believe what it likes, PostgreSQL's position counts."""
    await exam.enter("one")
    await settle(exam)
    backup = await DatabaseCopy.of(exam)
    await exam.save("one", ("A1", 1, '"a"'))
    await settle(exam)
    await backup.put_back(exam)
    await exam.save("one", ("A2", 2, '"b"'))

    with pytest.raises(TryLater):
        await exam.recorder.record()
    exam.recorder.forget()
    await settle(exam)

    assert await responses(exam) == [("A1", 1, '"a"'), ("A2", 2, '"b"')]


async def test_database_put_back_to_what_the_log_still_holds_is_recorded_as_ever(exam: Exam) -> None:
    """Nothing is lost then, not even history: no restoring, no new generation."""
    await exam.enter("one")
    await settle(exam)
    backup = await DatabaseCopy.of(exam)
    saved = await exam.save("one", ("A1", 1, '"a"'))
    await backup.put_back(exam)
    exam.recorder.forget()

    await settle(exam)

    assert await responses(exam) == [("A1", 1, '"a"')]
    assert await restored_events(exam) == []
    assert (await exam.step("one"))[1] == saved[1]


async def test_both_stores_put_back_keep_what_either_has(exam: Exam) -> None:
    """PostgreSQL further back than Redis: restored from it; the new generation brings what the journals hold."""
    await exam.enter("one")
    await settle(exam)
    backup = await DatabaseCopy.of(exam)
    first = await exam.save("one", ("A1", 1, '"a"'))
    await settle(exam)
    old = await RedisCopy.of(exam)
    await exam.save("one", ("A2", 2, '"b"'))
    await settle(exam)
    exam.recorder.forget()
    await backup.put_back(exam)
    await old.put_back(exam)

    replayed = await exam.save("one", ("A2", 2, '"b"'))
    await settle(exam)

    assert replayed[1] > first[1]
    assert await responses(exam) == [("A1", 1, '"a"'), ("A2", 2, '"b"')]


async def test_empty_database_beside_a_full_redis_gets_the_responses(exam: Exam) -> None:
    """No row of the sittings is left: responses are evidence, and are written all the same."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    await settle(exam)
    exam.recorder.forget()
    await exam.query(
        "TRUNCATE recording, response, response_history, sitting_event, result, sitting, seal, batch, package, paper"
        " CASCADE"
    )

    await settle(exam)

    assert await responses(exam) == [("A1", 1, '"a"')]
    assert metrics.recorder_unknown_sittings._value.get() == 2


# --- what a person must decide ---------------------------------------------------------------------------------


async def test_closed_sitting_with_newer_responses_in_redis_is_reported_and_left(exam: Exam) -> None:
    """Its result may have been made from what stands in PostgreSQL: nothing is graded again in silence."""
    await exam.enter("one", "two")
    await exam.save("one", ("A1", 1, '"a"'))
    await exam.submit("one", seq=1)
    await settle(exam)
    backup = await DatabaseCopy.of(exam)
    await exam.save("two", ("A1", 1, '"a"'))
    await settle(exam)
    number = exam.memory.partition_of("one").number
    keys = exam.memory.partition_of("one")
    await exam.set_field(keys.sitting("one"), "r:A1", '9|"b"')
    await exam.set_field(keys.marker, "reached", str(exam.recorder.held[number]._replace(number=10**6)))
    exam.recorder.forget()
    await backup.put_back(exam)
    before = metrics.restore_contradictions._value.get()

    await exam.mender.look(await exam.leases.take())
    await exam.mender.mend()

    assert await responses(exam) == [("A1", 1, '"a"')]
    assert await responses(exam, "two") == [("A1", 1, '"a"')]
    assert metrics.restore_contradictions._value.get() == before + 1
    assert await restored_events(exam) == [("two",)]


async def test_sittings_that_the_backup_does_not_know_are_named_kept_and_taken_back(exam: Exam) -> None:
    """Armed after the backup was made: their exam goes on, and a push of the same roster makes them whole."""
    backup = await DatabaseCopy.of(exam)
    later = Exam.beside(exam, "LATER")
    await later.arm("three")
    await exam.enter("three")
    await exam.save("three", ("A1", 1, '"a"'))
    await settle(exam)
    exam.recorder.forget()
    await backup.put_back(exam)

    await settle(exam)
    await exam.save("three", ("A2", 2, '"b"'))
    await exam.submit("three", seq=2)
    await settle(exam)
    unknown = metrics.recorder_unknown_sittings._value.get()
    await exam.query("DELETE FROM batch WHERE batch_id = 'LATER' RETURNING 1")
    await later.arm("three")
    await settle(exam)

    assert unknown == 1
    assert metrics.recorder_unknown_sittings._value.get() == 0
    assert await responses(exam, "three") == [("A1", 1, '"a"'), ("A2", 2, '"b"')]
    assert await exam.query("SELECT state FROM sitting WHERE sitting_id = 'three'") == [("submitted",)]
    assert (await exam.stored("three"))["state"] == b"submitted"


async def test_unknown_sittings_are_found_though_nothing_was_recorded_since_the_backup(exam: Exam) -> None:
    """No position gives it away then: whoever takes the partitions over looks for them."""
    await settle(exam)
    backup = await DatabaseCopy.of(exam)
    await Exam.beside(exam, "LATER").arm("three")
    await backup.put_back(exam)
    exam.mender.forget()

    await settle(exam)

    assert metrics.recorder_unknown_sittings._value.get() == 1
    assert await exam.memory.read_hash(exam.memory.partition_of("three").unknown) != {}


async def test_feed_numbers_of_lost_results_are_not_given_again(exam: Exam) -> None:
    """PostgreSQL falls back in the middle of grading: a follower finds what is graded again after its cursor."""
    other = Exam.beside(exam, "large")
    await other.arm(*(f"s{number:02d}" for number in range(30)))
    await exam.query("UPDATE sitting SET state = 'absent' WHERE batch_id = 'large' RETURNING 1")
    grader = Grader(exam.grader_database, GRADER_KEY, Signer(b"r" * 32))
    backup = await DatabaseCopy.of(exam)
    assert await grader.grade() == 30
    [(cursor,)] = await exam.query("SELECT max(publication) FROM result")
    await backup.put_back(exam)

    assert await grader.grade() == 30

    assert await exam.query("SELECT count(*) FROM result WHERE publication > $1", cursor) == [(30,)]
