"""The scripts of the save path, each promise on a real Valkey."""

from __future__ import annotations

from typing import Any

import pytest

from engine.rules.outcome import Outcome
from engine.stores.clock import now_ms
from tests.integration.exam import Exam, batch

pytestmark = pytest.mark.anyio


async def test_save_is_stored_and_logged_at_its_position(exam: Exam) -> None:
    """A saved change stands in the sitting and in the log, at the position the answer names."""
    await exam.enter("one")

    reply = await exam.save("one", ("A1", 1, '"a"'))

    assert reply[4] == Outcome.OK
    assert (await exam.stored("one"))["r:A1"] == b'1|"a"'
    keys = exam.memory.partition_of("one")
    [entries] = await exam.memory.read_logs([(keys, reply[1], reply[2] - 1)], 10)
    assert [(entry[0], entry[1]) for entry in entries] == [(reply[1], reply[2])]
    assert dict(entries[0][2])[b"s:one"] == b'[["A1",1,"a"]]'


async def test_save_keeps_the_highest_seq_per_item(exam: Exam) -> None:
    """Resending anything in any order is safe: an older seq counts as saved and changes nothing."""
    await exam.enter("one")
    await exam.save("one", ("A1", 5, '"b"'))

    stale = await exam.save("one", ("A1", 4, '"a"'), ("A1", 5, '"a"'))

    assert stale[4] == Outcome.OK
    assert (await exam.stored("one"))["r:A1"] == b'5|"b"'


async def test_save_takes_several_changes_of_one_item_in_any_order(exam: Exam) -> None:
    """Within one call, too, the highest seq wins."""
    await exam.enter("one")

    await exam.save("one", ("A1", 2, '"b"'), ("A1", 1, '"a"'), ("A1", 3, "null"))

    assert (await exam.stored("one"))["r:A1"] == b"3|null"


async def test_stale_save_still_raises_the_highest_seq_seen(exam: Exam) -> None:
    """`submit.behind` compares with everything that arrived, written or not."""
    await exam.enter("one")
    await exam.save("one", ("A1", 7, '"b"'))
    await exam.save("one", ("A1", 3, '"a"'))

    behind = await exam.submit("one", seq=8)
    level = await exam.submit("one", seq=7)

    assert (behind[0], level[0]) == (Outcome.BEHIND, Outcome.OK)


async def test_save_by_an_older_login_is_refused(exam: Exam) -> None:
    """A second login raises the epoch: the older device cannot write over the newer one."""
    await exam.enter("one")
    await exam.login("one")

    older = await exam.save("one", ("A1", 1, '"a"'), epoch="1")
    newer = await exam.save("one", ("A1", 1, '"b"'), epoch="2")

    assert (older[4], newer[4]) == (Outcome.SUPERSEDED, Outcome.OK)
    assert (await exam.stored("one"))["r:A1"] == b'1|"b"'


async def test_save_before_the_pledge_is_out_of_order(exam: Exam) -> None:
    """No saves before the pledge."""
    await exam.login("one")

    assert (await exam.save("one", ("A1", 1, '"a"')))[4] == Outcome.ORDER


@pytest.mark.parametrize(
    ("starts_in_ms", "outcome"),
    [
        pytest.param(60_000, Outcome.NOT_OPEN, id="before the start"),
        pytest.param(-1_000, Outcome.OK, id="after the start"),
        pytest.param(-12_000, Outcome.OK, id="in grace"),
        pytest.param(-16_000, Outcome.CLOSED, id="after end and grace"),
    ],
)
async def test_save_obeys_the_clock(redis_url: str, postgres_dsn: str, starts_in_ms: int, outcome: Outcome) -> None:
    """Open is a function of time, decided in the script, whatever has been written down."""
    exam = Exam(redis_url, postgres_dsn, batch(duration_s=10, check_in_before_s=3600))
    await exam.hold()
    await exam.arm("one")
    await exam.enter("one")
    key = exam.memory.partition_of("one").sitting("one")
    starts_ms = now_ms() + starts_in_ms
    await exam.set_field(key, "starts_ms", str(starts_ms))
    await exam.set_field(key, "closes_ms", str(starts_ms + 15_000))

    reply = await exam.save("one", ("A1", 1, '"a"'))

    assert reply[4] == outcome
    assert ("r:A1" in await exam.stored("one")) == (outcome == Outcome.OK)
    await exam.close()


async def test_save_to_a_handed_in_sitting_is_closed(exam: Exam) -> None:
    """The hand-in fences the sitting: its event stands after all saves, and no save comes after it."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    first = await exam.submit("one", seq=1)

    late = await exam.save("one", ("A1", 2, '"b"'))
    second = await exam.submit("one", seq=1)

    assert late[4] == Outcome.CLOSED
    assert second[0] == Outcome.OK
    fields = (first[5:], second[5:])
    assert fields[0] == fields[1]


async def test_chunk_answers_every_call_by_itself(exam: Exam) -> None:
    """One refused call in a chunk touches no other, and the log entry holds only what was accepted."""
    from engine.delivery import autosave

    await exam.enter("one")
    keys = exam.memory.partition_of("one")
    refused: list[Any] = ["one", "9", 1, "A1", 1, '"a"']
    accepted: list[Any] = ["one", "1", 1, "A2", 2, '"b"']
    sitting_key = keys.sitting("one")

    reply = await exam.memory.run(
        autosave._AUTOSAVE, [keys.marker, keys.log, sitting_key, sitting_key], refused + accepted
    )

    assert reply[4:] == [Outcome.SUPERSEDED, Outcome.OK]
    stored = await exam.stored("one")
    assert "r:A1" not in stored
    assert stored["r:A2"] == b'2|"b"'


async def test_restarted_redis_raises_the_generation_before_the_first_save(exam: Exam) -> None:
    """When the server's run id is another, positions begin anew, and the change of generation is itself in the log."""
    await exam.enter("one")
    before = await exam.save("one", ("A1", 1, '"a"'))
    keys = exam.memory.partition_of("one")
    await exam.set_field(keys.marker, "run_id", "f" * 40)

    after = await exam.save("one", ("A1", 2, '"b"'))

    assert after[1] > before[1]
    assert after[2] == 2  # 1 is the raise itself
    [entries] = await exam.memory.read_logs([(keys, before[1], before[2])], 10)
    assert dict(entries[0][2])[b"raised"] == b"%d-%d" % (before[1], before[2])


async def test_stale_resend_after_a_raise_is_not_committed_before_the_old_log_is(exam: Exam) -> None:
    """A client may forget only what PostgreSQL holds: `committed` of a new generation comes after all of the old."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    await exam.set_field(exam.memory.partition_of("one").marker, "run_id", "f" * 40)

    again = await exam.save("one", ("A1", 1, '"a"'))
    assert again[2] > again[3], "the resent change would be forgotten before it was recorded"
    while await exam.recorder.record():
        pass
    recorded = await exam.save("one", ("A1", 1, '"a"'))

    assert recorded[2] <= recorded[3]


async def test_partition_without_marker_takes_no_saves(exam: Exam) -> None:
    """Redis that lost its data must not look like an empty exam."""
    await exam.enter("one")
    await exam.memory.delete(exam.memory.partition_of("one").marker)

    reply = await exam.save("one", ("A1", 1, '"a"'))

    assert reply == [Outcome.LOST]
    assert "r:A1" not in await exam.stored("one")


@pytest.mark.parametrize(
    ("rule", "silent_ms", "outcome"),
    [("free", 0, Outcome.OK), ("silent", 60_000, Outcome.ELSEWHERE), ("silent", 0, Outcome.OK), ("proctor", 0, 9)],
)
async def test_takeover_obeys_its_rule(exam: Exam, rule: str, silent_ms: int, outcome: int) -> None:
    """`free` lets a new login in, `silent` only after the old machine was quiet, `proctor` not by itself."""
    await exam.enter("one")

    reply = await exam.login("one", rule, silent_ms)

    assert reply[0] == outcome
    assert (await exam.stored("one"))["epoch"] == (b"2" if outcome == Outcome.OK else b"1")


async def test_preparing_again_undoes_nothing(exam: Exam) -> None:
    """Arming again, or a roster push during the exam, keeps states, epochs and responses."""
    from engine.stores.prepare import prepare_sittings
    from tests.integration.exam import LOGIN_KEY

    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    before = await exam.stored("one")

    await prepare_sittings(exam.memory, exam.batch, [exam.sitting("one", extra_time_s=60)], LOGIN_KEY)

    after = await exam.stored("one")
    assert int(after.pop("ends_ms")) == int(before.pop("ends_ms")) + 60_000
    assert int(after.pop("closes_ms")) == int(before.pop("closes_ms")) + 60_000
    assert after == before
