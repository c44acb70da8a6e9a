"""Redis put back to an older state: noticed, rebuilt beside running saves, and nothing that only it holds is lost."""

from __future__ import annotations

import asyncio

import pytest

from engine.delivery.resources import Delivery
from engine.delivery.sitting import read_sitting
from engine.recording.closer import collect_due
from engine.recording.recorder import _COMMITTED
from engine.recording.stand import Stand
from engine.rules.errors import TryLater
from engine.rules.outcome import Outcome
from engine.sealing.signature import Signer
from engine.sealing.token import Token
from tests.integration.copies import DatabaseCopy, RedisCopy, lose_redis, settle
from tests.integration.exam import LOGIN_KEY, PARTITIONS, WRAP_KEY, Exam
from tests.integration.test_closer import end
from tests.integration.test_rebuild import epoch_of, responses, stand_of

pytestmark = pytest.mark.anyio


async def test_redis_put_back_is_noticed_before_anyone_speaks_to_it(exam: Exam) -> None:
    """Its log ends before what PostgreSQL holds."""
    await exam.enter("one")
    old = await RedisCopy.of(exam)
    await exam.save("one", ("A1", 1, '"a"'))
    await settle(exam)
    await old.put_back(exam)

    assert await stand_of(exam, "one") is Stand.ROLLED_BACK
    await settle(exam)

    assert await stand_of(exam, "one") is Stand.FINE
    assert (await exam.stored("one"))["r:A1"] == b'1|"a"'


async def test_redis_put_back_under_a_running_recorder_is_rebuilt(exam: Exam) -> None:
    """It has taken saves before the recorder looks: they are kept, and what it had forgotten comes back."""
    await exam.enter("one", "two")
    await exam.save("one", ("A1", 1, '"a"'))
    old = await RedisCopy.of(exam)
    await exam.save("one", ("A2", 2, '"b"'))
    await settle(exam)
    await old.put_back(exam)
    await exam.save("one", ("A3", 3, '"a"'))
    await exam.save("two", ("A1", 1, '"a"'))
    number = exam.memory.partition_of("one").number

    while await exam.recorder.record():
        pass

    assert number not in exam.recorder.held
    assert [item for item, _, _ in await responses(exam)] == ["A1", "A2"]
    await settle(exam)
    stored = await exam.stored("one")
    assert [stored[f"r:A{item}"] for item in (1, 2, 3)] == [b'1|"a"', b'2|"b"', b'3|"a"']
    assert await responses(exam) == [("A1", 1, '"a"'), ("A2", 2, '"b"'), ("A3", 3, '"a"')]
    assert await exam.query("SELECT seq FROM response_history WHERE sitting_id = 'one' ORDER BY seq") == [
        (1,),
        (2,),
        (3,),
    ]


async def test_redis_put_back_while_no_recorder_ran_is_rebuilt(exam: Exam) -> None:
    """Its counter has long passed what was recorded, and it was restarted twice: where it left off gives it away."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    old = await RedisCopy.of(exam)
    await exam.save("one", ("A2", 2, '"b"'))
    await settle(exam)
    exam.recorder.forget()
    await old.put_back(exam)
    for seq in range(3, 40):
        await exam.save("one", ("A3", seq, '"a"'))
    await exam.set_field(exam.memory.partition_of("one").marker, "run_id", "e" * 40)
    await exam.save("one", ("A4", 40, '"a"'))

    assert await stand_of(exam, "one") is Stand.ROLLED_BACK
    await settle(exam)

    assert await responses(exam) == [("A1", 1, '"a"'), ("A2", 2, '"b"'), ("A3", 39, '"a"'), ("A4", 40, '"a"')]
    assert (await exam.stored("one"))["r:A2"] == b'2|"b"'


async def test_redis_put_back_twice_issues_no_generation_again(exam: Exam) -> None:
    """Two lives from one copy: a journal must tell their positions apart."""
    await exam.enter("one")
    old = await RedisCopy.of(exam)
    seen = []
    for run_id in ("d" * 40, "e" * 40, "f" * 40):
        await old.put_back(exam, run_id)
        seen.append((await exam.save("one", ("A1", 1, '"a"')))[1])
        await asyncio.sleep(0.005)  # no server restarts within a millisecond

    assert seen == sorted(set(seen))


async def test_redis_put_back_issues_no_epoch_again_even_before_it_is_rebuilt(exam: Exam) -> None:
    """The login that was lost with it keeps an epoch of its own."""
    await exam.enter("one")
    old = await RedisCopy.of(exam)
    lost = await epoch_of(await exam.login("one"))
    await old.put_back(exam)

    assert int(await epoch_of(await exam.login("one"))) > int(lost)
    assert (await exam.save("one", ("A1", 1, '"a"'), epoch=lost))[4] == Outcome.SUPERSEDED


async def test_redis_put_back_is_not_told_that_later_positions_are_committed(exam: Exam) -> None:
    """They would be issued again, and journals would forget what nobody holds."""
    await exam.enter("one")
    old = await RedisCopy.of(exam)
    await exam.save("one", ("A1", 1, '"a"'))
    keys = exam.memory.partition_of("one")
    [marker] = await exam.memory.read_hash_fields([keys.marker], ["generation", "n"])
    await old.put_back(exam)

    reply = await exam.memory.run(_COMMITTED, [keys.marker, keys.log], [*(int(part or 0) for part in marker)])

    assert reply == [Outcome.LOST]
    assert (await exam.memory.read_hash(keys.marker))[b"committed"] == b"0"


async def test_hand_in_waits_until_a_restarted_redis_has_been_compared(exam: Exam) -> None:
    """A receipt is signed: never over what may lack responses that PostgreSQL has. Saves do not wait."""
    await exam.enter("one")
    old = await RedisCopy.of(exam)
    await exam.save("one", ("A1", 1, '"a"'))
    await settle(exam)
    await old.put_back(exam)

    saved = await exam.save("one", ("A2", 2, '"b"'))
    doubtful = await exam.submit("one", seq=2)
    await settle(exam)
    handed_in = await exam.submit("one", seq=2)

    assert saved[4] == Outcome.OK
    assert doubtful == [Outcome.LOST]
    assert handed_in[0] == Outcome.OK
    assert b"r:A1" in handed_in and b"r:A2" in handed_in


async def test_receipt_waits_until_a_restarted_redis_has_been_compared(exam: Exam) -> None:
    """Asked again, or fetched by itself, it is signed anew: never over what an older state has of the sitting."""
    delivery = Delivery(exam.memory, b"t" * 32, LOGIN_KEY, WRAP_KEY, Signer(b"s" * 32))
    token = Token("one", exam.batch.batch_id, "1")
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    await exam.submit("one", seq=1)
    await settle(exam)
    await (await RedisCopy.of(exam)).put_back(exam)

    repeated = await exam.submit("one", seq=1)
    with pytest.raises(TryLater):
        await read_sitting(delivery, token, is_for_receipt=True)
    shown = await read_sitting(delivery, token)
    await settle(exam)
    receipt = await read_sitting(delivery, token, is_for_receipt=True)

    assert repeated == [Outcome.LOST]
    assert shown.fields["state"] == receipt.fields["state"] == b"submitted"
    assert (await exam.submit("one", seq=1))[0] == Outcome.OK


async def test_nobody_is_collected_before_a_restarted_redis_has_been_compared(exam: Exam) -> None:
    """An older state may have forgotten a hand-in, or the login of who looks absent. Then it goes on."""
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'))
    await settle(exam)
    old = await RedisCopy.of(exam)
    await exam.submit("one", seq=1)
    await settle(exam)
    await old.put_back(exam)
    await end(exam, "one", "two")

    doubtful = await collect_due(exam.memory, range(PARTITIONS))
    waiting = [(await exam.stored(sitting_id))["state"] for sitting_id in ("one", "two")]
    await settle(exam)
    await end(exam, "one", "two")
    while await collect_due(exam.memory, range(PARTITIONS)):
        pass
    await settle(exam)

    assert (doubtful, waiting) == (0, [b"pledged", b"expected"])
    closed = await exam.query("SELECT sitting_id, state FROM sitting ORDER BY sitting_id")
    assert closed == [("one", "submitted"), ("two", "absent")]
    assert await exam.query("SELECT count(*) FROM sitting_event WHERE kind = 'collected'") == [(0,)]


async def test_what_only_a_redis_that_was_put_back_holds_is_recorded(exam: Exam) -> None:
    """Lost, rebuilt without it, and then somebody finds the old data folder: answers and hand-ins come back from it."""
    await exam.enter("one", "two")
    await settle(exam)
    await exam.save("one", ("A1", 1, '"a"'))
    await exam.save("two", ("A2", 1, '"b"'))
    await exam.submit("two", seq=1)
    old = await RedisCopy.of(exam)
    await lose_redis(exam)
    await settle(exam)
    assert await responses(exam) == []

    await old.put_back(exam)
    await settle(exam)

    assert await responses(exam) == [("A1", 1, '"a"')]
    assert await responses(exam, "two") == [("A2", 1, '"b"')]
    assert await exam.query("SELECT state FROM sitting ORDER BY sitting_id") == [("pledged",), ("submitted",)]
    for sitting_id in ("one", "two"):
        assert await stand_of(exam, sitting_id) is Stand.FINE


async def test_a_database_from_before_the_last_building_is_known_by_its_number(exam: Exam) -> None:
    """What was copied into it stands behind no position: it comes back though the positions agree."""
    await exam.enter("one")
    await settle(exam)
    await exam.save("one", ("A1", 1, '"a"'))
    old = await RedisCopy.of(exam)
    await lose_redis(exam)
    await settle(exam)
    backup = await DatabaseCopy.of(exam)
    await old.put_back(exam)
    await settle(exam)
    assert await responses(exam) == [("A1", 1, '"a"')]

    await backup.put_back(exam)
    exam.recorder.forget()
    assert await stand_of(exam, "one") is Stand.RESTORED
    await settle(exam)

    assert await responses(exam) == [("A1", 1, '"a"')]
    assert await stand_of(exam, "one") is Stand.FINE


async def test_a_redis_from_before_its_last_building_is_known_by_its_number(exam: Exam) -> None:
    """Copied between its return from an older state and its rebuilding, and put back when the log fits again."""
    await exam.enter("one")
    empty = await RedisCopy.of(exam)
    await exam.save("one", ("A1", 1, '"a"'))
    await settle(exam)
    await empty.put_back(exam, "d" * 40)
    await exam.save("one", ("A2", 2, '"b"'))
    unbuilt = await RedisCopy.of(exam)
    await exam.hold()
    number = exam.memory.partition_of("one").number
    await exam.recorder.record()
    await unbuilt.put_back(exam, "e" * 40)
    [(generation, position)] = await exam.query(
        "SELECT generation, position FROM recording WHERE partition = $1", number
    )
    # As if only what the copy holds had been recorded: then its log ends where PostgreSQL stands.
    marker = await exam.redis.hmget(exam.memory.partition_of("one").marker, "generation", "n")  # type: ignore[misc]
    copied = tuple(int(found) for found in marker)
    assert copied < (generation, position)
    async with exam.owner_database.transaction() as connection:
        await connection.execute(
            "UPDATE recording SET generation = $1, position = $2 WHERE partition = $3", *copied, number
        )
    exam.recorder.forget()

    assert await stand_of(exam, "one") is Stand.ROLLED_BACK
    await settle(exam)

    assert {name: text for name, text in (await exam.stored("one")).items() if name.startswith("r:")} == {
        "r:A1": b'1|"a"',
        "r:A2": b'2|"b"',
    }


async def test_restarted_redis_with_all_its_data_takes_hand_ins_after_one_round(exam: Exam) -> None:
    """The ordinary restart: the log goes on, and the doubt ends with what is recorded across the raise."""
    await exam.enter("one")
    await exam.set_field(exam.memory.partition_of("one").marker, "run_id", "f" * 40)
    await exam.save("one", ("A1", 1, '"a"'))

    assert await exam.submit("one", seq=1) == [Outcome.LOST]
    await settle(exam)

    assert (await exam.submit("one", seq=1))[0] == Outcome.OK
