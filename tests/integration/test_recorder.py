"""The recorder: exactly-once effect, whatever fails and whoever takes over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine import metrics
from engine.recording.backlog import Portion
from engine.recording.leases import Leases
from engine.recording.recorder import Recorder
from engine.rules.errors import Corrupt, TryLater
from engine.rules.outcome import Outcome
from engine.stores.postgres import Connection
from tests.integration.exam import Exam

pytestmark = pytest.mark.anyio


async def drain(recorder: Recorder) -> None:
    while await recorder.record():
        pass


async def test_rows_history_events_and_position_are_recorded_together(exam: Exam) -> None:
    """Every accepted change is in the history once, the newest in `response`, and the sitting says how it stands."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'), ("A2", 2, '"b"'))
    await exam.save("one", ("A1", 3, "null"))
    await exam.submit("one", seq=3)

    await drain(exam.recorder)

    assert await exam.query("SELECT item, seq, value FROM response ORDER BY item") == [
        ("A1", 3, "null"),
        ("A2", 2, '"b"'),
    ]
    assert await exam.query("SELECT item, seq FROM response_history ORDER BY seq") == [("A1", 1), ("A2", 2), ("A1", 3)]
    kinds = await exam.query("SELECT kind FROM sitting_event ORDER BY generation, position")
    assert [kind for (kind,) in kinds] == ["login", "confirmed", "pledged", "submitted"]
    [(state, epoch, entered_ms, closed_ms)] = await exam.query(
        "SELECT state, epoch, entered_ms, closed_ms FROM sitting WHERE sitting_id = 'one'"
    )
    assert (state, epoch) == ("submitted", 1)
    assert entered_ms <= closed_ms


async def test_two_calls_of_one_sitting_in_one_chunk_are_both_recorded(exam: Exam) -> None:
    """A client with several saves in flight: each acknowledged change reaches the history, whichever chunk it took."""
    from engine.delivery import autosave

    await exam.enter("one")
    keys = exam.memory.partition_of("one")
    calls: list[str | int] = []
    for number in (1, 2, 3):
        calls += ["one", "1", 1, f"A{number}", number, '"a"']

    reply = await exam.memory.run(autosave._AUTOSAVE, [keys.marker, keys.log, *[keys.sitting("one")] * 3], calls)
    await drain(exam.recorder)

    assert reply[4:] == [Outcome.OK] * 3
    assert await exam.query("SELECT item, seq FROM response_history ORDER BY seq") == [("A1", 1), ("A2", 2), ("A3", 3)]
    assert await exam.query("SELECT item, seq FROM response ORDER BY item") == [("A1", 1), ("A2", 2), ("A3", 3)]


async def test_field_standing_twice_in_an_entry_is_read_twice(exam: Exam) -> None:
    """A stream entry is a list of pairs, not a mapping: nothing between Redis and the recorder may fold it."""
    later = exam.recorder.held[0].generation + 2**42
    await exam.redis.execute_command("XADD", exam.memory.partitions[0].log, f"{later}-1", "a", "1", "a", "2")

    [entries] = await exam.memory.read_logs([(exam.memory.partitions[0], later - 1, 0)], 10)

    assert entries == [(later, 1, [(b"a", b"1"), (b"a", b"2")])]


async def test_committed_is_told_and_the_log_trimmed_after_the_commit(exam: Exam) -> None:
    """After recording, a save's position is at or below `committed`, and the log holds nothing recorded."""
    await exam.enter("one")
    saved = await exam.save("one", ("A1", 1, '"a"'))
    assert saved[3] < saved[2]

    await drain(exam.recorder)

    reply = await exam.step("one")
    assert reply[3] == saved[2]
    keys = exam.memory.partition_of("one")
    assert await exam.memory.read_logs([(keys, 0, 0)], 10) == [[]]


async def test_round_that_fails_at_any_statement_is_repeated_without_loss_or_double(
    exam: Exam, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fail the n-th statement of the transaction for n = 1, 2, 3 …: in the end everything is recorded once."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'), ("A2", 2, '"b"'))
    original = Recorder._write
    failures = 0

    async def failing(self: Recorder, connection: Connection, *arguments: Any) -> None:
        nonlocal failures
        failures += 1
        counted = _FailAt(connection, failures)
        await original(self, counted, *arguments)  # type: ignore[arg-type]
        if counted.calls >= failures:
            raise AssertionError("the failure was swallowed")

    monkeypatch.setattr(Recorder, "_write", failing)
    for _ in range(20):
        try:
            await exam.recorder.record()
            break
        except TryLater:
            exam.recorder.forget()
            await exam.hold()

    assert failures == 6  # five statements, each failed once, then the round that succeeded
    assert await exam.query("SELECT count(*) FROM response_history") == [(2,)]
    assert await exam.query("SELECT count(*) FROM sitting_event") == [(3,)]


async def test_commit_whose_answer_was_lost_is_not_recorded_twice(exam: Exam) -> None:
    """A recorder that does not know how its transaction ended reads the position again; a stale one moves nothing."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    before = dict(exam.recorder.held)
    await drain(exam.recorder)
    exam.recorder.held = before  # as if the commit's answer had never come

    await _write_back(exam)
    with pytest.raises(TryLater):
        await exam.recorder.record()

    assert await exam.query("SELECT count(*) FROM response_history") == [(1,)]


async def test_two_recorders_never_write_one_partition(exam: Exam) -> None:
    """The lease is checked in the recording transaction: who lost it writes nothing."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    await exam.query("UPDATE recorder SET alive_until = '-infinity' RETURNING 1")
    other = Recorder(exam.memory, exam.database, "recorder-2")
    other.hold(await Leases(exam.database, "recorder-2", 4).take())

    with pytest.raises(TryLater):
        await exam.recorder.record()
    await drain(other)

    assert await exam.query("SELECT count(*) FROM response_history") == [(1,)]


async def test_a_recorder_that_was_taken_over_does_not_cry_corruption(exam: Exam) -> None:
    """Its successor has recorded and trimmed on: what looks like a gap is only that somebody else holds it."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    await exam.query("UPDATE recorder SET alive_until = '-infinity' RETURNING 1")
    other = Recorder(exam.memory, exam.database, "recorder-2")
    other.hold(await Leases(exam.database, "recorder-2", 4).take())
    await drain(other)
    await exam.save("one", ("A1", 2, '"b"'))
    before = metrics.recorder_failures.labels("corrupt")._value.get()

    await drain(exam.recorder)

    assert exam.memory.partition_of("one").number not in exam.recorder.held
    assert metrics.recorder_failures.labels("corrupt")._value.get() == before
    assert await exam.query("SELECT seq FROM response_history") == [(1,)]


async def test_value_that_postgresql_never_takes_stops_no_other_partition(exam: Exam) -> None:
    """The round is halved until the partition is found; it calls a person, and nothing of it is half recorded."""
    await exam.enter("one", "two")
    await drain(exam.recorder)
    _, generation, position, *_ = await exam.save("one", ("A1", 1, '"a"'))
    await exam.save("two", ("A1", 1, '"a"'))
    keys = exam.memory.partition_of("one")
    next_id = f"{generation}-{position + 1}"
    await exam.redis.execute_command("XADD", keys.log, next_id, "at", "1", "s:one", '[["A2",9223372036854775808,1]]')
    before = metrics.recorder_failures.labels("corrupt")._value.get()

    await drain(exam.recorder)

    assert await exam.query("SELECT sitting_id FROM response_history") == [("two",)]
    assert metrics.recorder_failures.labels("corrupt")._value.get() == before + 1


async def test_sitting_that_somebody_else_is_writing_stops_no_other_partition(exam: Exam) -> None:
    """A push of a large roster holds its rows for seconds: its candidates' partitions wait, the others are recorded."""
    await exam.enter("one", "two")
    before = metrics.recorder_failures.labels("held")._value.get()

    async with exam.owner_database.transaction() as push:
        await push.execute("UPDATE sitting SET seat = '99' WHERE sitting_id = 'one'")
        await drain(exam.recorder)
        assert await exam.query("SELECT sitting_id, state FROM sitting ORDER BY 1") == [
            ("one", "expected"),
            ("two", "pledged"),
        ]
        assert await exam.query("SELECT DISTINCT sitting_id FROM sitting_event") == [("two",)]

    exam.recorder._parked.clear()
    await drain(exam.recorder)
    assert await exam.query("SELECT state, seat FROM sitting WHERE sitting_id = 'one'") == [("pledged", "99")]
    assert await exam.query("SELECT count(*) FROM sitting_event WHERE sitting_id = 'one'") == [(3,)]
    assert metrics.recorder_failures.labels("held")._value.get() > before


async def test_backlog_larger_than_a_round_is_read_ahead_and_recorded_once(
    exam: Exam, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounds of at most some bytes, one entry at least, the next read while the last is written."""
    monkeypatch.setattr("engine.recording.backlog.RECORD_BYTES_MAX", 1000)
    recorder = Recorder(exam.memory, exam.database, "recorder-1")
    recorder.hold(await exam.hold())
    await exam.enter("one", "two")
    await drain(recorder)
    long = '"' + "x" * 5000 + '"'
    for seq in range(1, 31):
        await exam.save("one", (f"A{seq % 4 + 1}", seq, long if seq == 7 else '"a"'))
        await exam.save("two", ("A1", seq, '"b"'))

    rounds, behind = 0, 0
    while await recorder.record():
        rounds += 1
        behind += recorder.is_behind

    assert rounds > 5
    assert behind >= rounds - 2
    assert await exam.query("SELECT count(*), count(DISTINCT (sitting_id, seq)) FROM response_history") == [(60, 60)]
    assert await exam.query("SELECT length(value) FROM response_history WHERE seq = 7 AND sitting_id = 'one'") == [
        (5002,)
    ]


async def test_what_was_read_ahead_of_a_failed_round_is_dropped(exam: Exam, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins where PostgreSQL never came to: recording it would leave a gap."""
    monkeypatch.setattr("engine.recording.backlog.RECORD_BYTES_MAX", 200)
    recorder = Recorder(exam.memory, exam.database, "recorder-1")
    recorder.hold(await exam.hold())
    await exam.enter("one")
    for seq in range(1, 11):
        await exam.save("one", ("A1", seq, '"a"'))
    original = Recorder._write

    async def failing(*_: Any) -> None:
        raise TryLater("PostgreSQL is away")

    monkeypatch.setattr(Recorder, "_write", failing)
    with pytest.raises(TryLater):
        await recorder.record()
    was_behind = recorder.is_behind
    monkeypatch.setattr(Recorder, "_write", original)
    recorder.hold(await exam.leases.take())
    recorded = await recorder.record()
    await drain(recorder)

    assert was_behind and recorded == 0
    assert await exam.query("SELECT seq FROM response_history ORDER BY position") == [(seq,) for seq in range(1, 11)]


async def test_rounds_stay_small_until_they_are_recorded(exam: Exam, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL takes a tenth of the usual: reading well is no reason to bring it too much again and again."""
    monkeypatch.setattr("engine.recording.backlog.RECORD_BYTES_MAX", 10_000)
    recorder = Recorder(exam.memory, exam.database, "recorder-1")
    recorder.hold(await exam.hold())
    await exam.enter("one")
    for seq in range(1, 401):
        await exam.save("one", (f"A{seq % 4 + 1}", seq, '"a"'))
    original = Recorder._write

    async def slow(self: Recorder, connection: Connection, portions: dict[int, Portion]) -> None:
        if sum(len(portion.chunk.history) for portion in portions.values()) > 20:
            raise TryLater("PostgreSQL did not take it in time")
        await original(self, connection, portions)

    monkeypatch.setattr(Recorder, "_write", slow)
    failed = 0
    for _ in range(300):
        try:
            await recorder.record()
        except TryLater:
            failed += 1
            recorder.hold(await exam.leases.take())

    assert 0 < failed < 150
    assert await exam.query("SELECT count(*), max(seq) FROM response_history") == [(400, 400)]


async def test_live_lease_is_not_taken_over(exam: Exam) -> None:
    """While the holder lives, another recorder gets nothing."""
    assert await Leases(exam.database, "recorder-2", 4).take() == {}


async def test_another_number_of_partitions_is_refused(exam: Exam) -> None:
    """The number is fixed per deployment: a changed setting would look for sittings where they are not."""
    with pytest.raises(Corrupt, match="made with 4"):
        await Leases(exam.database, "recorder-2", 8).take()


async def test_gap_in_the_log_is_not_skipped_and_stops_no_other_partition(exam: Exam) -> None:
    """A missing entry calls a person: nothing of that partition is recorded past it, everything of the others is."""
    assert exam.memory.partition_of("one") is not exam.memory.partition_of("two")
    await exam.enter("one", "two")
    await drain(exam.recorder)
    _, generation, position, *_ = await exam.save("one", ("A1", 1, '"a"'))
    await exam.save("one", ("A2", 2, '"b"'))
    await exam.save("two", ("A1", 1, '"a"'))
    await exam.redis.xdel(exam.memory.partition_of("one").log, f"{generation}-{position}")
    before = metrics.recorder_failures.labels("corrupt")._value.get()

    await drain(exam.recorder)

    assert await exam.query("SELECT sitting_id FROM response") == [("two",)]
    assert metrics.recorder_failures.labels("corrupt")._value.get() == before + 1


async def test_entry_that_cannot_be_read_is_corrupt_and_not_half_recorded(exam: Exam) -> None:
    """What stands before it in the same reading waits with it."""
    await exam.enter("one")
    await drain(exam.recorder)
    _, generation, position, *_ = await exam.save("one", ("A1", 1, '"a"'))
    keys = exam.memory.partition_of("one")
    next_id = f"{generation}-{position + 1}"
    await exam.redis.execute_command("XADD", keys.log, next_id, "at", "1", "s:one", "[[broken")

    await drain(exam.recorder)

    assert await exam.query("SELECT count(*) FROM response_history") == [(0,)]


async def test_lag_is_measured_while_nothing_can_be_recorded(exam: Exam) -> None:
    """The alarm must not depend on a round that succeeds."""
    await exam.enter("one")
    await drain(exam.recorder)
    await exam.save("one", ("A1", 1, '"a"'))
    exam.recorder.forget()
    await asyncio.sleep(0.2)

    await exam.recorder.measure_lag()
    behind = metrics.recorder_lag_seconds._value.get()
    await exam.hold()
    await drain(exam.recorder)
    await exam.recorder.measure_lag()

    assert behind >= 0.05
    assert metrics.recorder_lag_seconds._value.get() == 0


async def test_recorded_hand_in_stands_though_redis_was_rolled_back(exam: Exam) -> None:
    """A login and saves that a rolled-back Redis allowed do not reopen a closed sitting or touch its score."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    before = await exam.stored("one")
    await exam.submit("one", seq=1)
    await drain(exam.recorder)
    await exam.memory.write_hashes({exam.memory.partition_of("one").sitting("one"): before})

    await exam.save("one", ("A1", 2, '"b"'))
    await exam.login("one")
    await drain(exam.recorder)

    assert await exam.query("SELECT state, epoch FROM sitting WHERE sitting_id = 'one'") == [("submitted", 2)]
    assert await exam.query("SELECT seq, value FROM response") == [(1, '"a"')]
    assert await exam.query("SELECT seq FROM response_history ORDER BY seq") == [(1,), (2,)]


class _FailAt:
    """A connection whose n-th call fails as a lost connection does."""

    def __init__(self, connection: Connection, fails_at: int) -> None:
        self._connection = connection
        self._fails_at = fails_at
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._connection, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls == self._fails_at:
                raise ConnectionResetError("the connection was cut")
            return await method(*arguments, **options)

        return call


async def _write_back(exam: Exam) -> None:
    """Put the recorded entry into the log again, as if it had not been trimmed."""
    keys = exam.memory.partition_of("one")
    held = exam.recorder.held[keys.number]
    entry_id = f"{held.generation}-{held.number + 1}"
    await exam.redis.delete(keys.log)
    await exam.redis.execute_command("XADD", keys.log, entry_id, "at", "1", "s:one", '[["A1",1,"a"]]')
