"""The courier: every published revision reaches every webhook under one id, in order, whatever the receiver does."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from engine.courier.courier import Pace
from engine.rules.limits import DELIVERY_HOLD_MS_MAX
from engine.scoring import deliveries, webhooks
from engine.stores.clock import now_ms
from engine.stores.sql import Queries
from tests.integration.pushing import AT_ONCE, PACE, Pushing, sittings
from tests.receiver import Message, Receiver, answers, until

pytestmark = pytest.mark.anyio


async def test_a_receiver_that_is_down_gets_everything_once_it_is_up(pushing: Pushing) -> None:
    """Connections are refused for a while; then each result comes once, each batch in its order."""
    await pushing.webhook()
    published = {batch_id: await pushing.publish(batch_id, 5) for batch_id in ("P", "Q")}
    await pushing.made()
    await pushing.receiver.stop()
    courier = pushing.courier()
    tried = "SELECT min(attempts) FROM webhook_queue"
    async with asyncio.timeout(60):
        while (await pushing.exam.query(tried))[0][0] < 3:
            await courier.begin()
            await courier.wait(0.01)
    await pushing.receiver.start()
    await pushing.deliver(courier, until_state={"delivered": 10})

    for batch_id, expected in published.items():
        assert sittings(pushing.receiver.accepted, batch_id) == expected
    assert len(pushing.receiver.accepted) == len(pushing.receiver.ids) == 10


async def test_answers_of_500_are_tried_again_until_it_is_taken(pushing: Pushing) -> None:
    """Every third attempt is taken; nothing is passed over and nothing overtakes."""
    await pushing.webhook()
    published = await pushing.publish("P", 6)
    count = 0

    async def moody(_: Message) -> web.StreamResponse:
        nonlocal count
        count += 1
        return web.Response(status=204 if count % 3 == 0 else 500)

    pushing.receiver.answer = moody
    await pushing.made()
    await pushing.deliver(pushing.courier(), until_state={"delivered": 6})

    assert [message.result["sitting_id"] for message in pushing.receiver.accepted] == published
    assert len(pushing.receiver.attempts) == 18
    assert await pushing.exam.query("SELECT DISTINCT attempts FROM webhook_delivery") == [(3,)]


async def test_a_receiver_that_times_out_after_accepting_sees_the_same_id_again(pushing: Pushing) -> None:
    """It took the result and its answer came too late: the second one has the same id and the same bytes."""
    await pushing.webhook()
    published = await pushing.publish("P", 3)
    seen: set[str] = set()

    async def late(message: Message) -> web.StreamResponse:
        if message.id not in seen:
            seen.add(message.id)
            await asyncio.sleep(3600)
        return web.Response()

    pushing.receiver.answer = late
    await pushing.made()
    pace = Pace(timeout_s=0.3, retry_first_s=AT_ONCE, retry_max_s=AT_ONCE, give_up_s=3600.0)
    await pushing.deliver(pushing.courier(pace), until_state={"delivered": 3})

    assert sittings(pushing.receiver.attempts, "P") == published
    for message_id in pushing.receiver.ids:
        assert len({message.body for message in pushing.receiver.attempts if message.id == message_id}) == 1


async def test_a_slow_receiver_is_sent_one_at_a_time_per_batch(pushing: Pushing) -> None:
    """Several couriers at once, and answers that take their time: batches side by side, each in its order."""
    await pushing.webhook()
    published = {batch_id: await pushing.publish(batch_id, 4) for batch_id in ("P", "Q", "R")}

    async def slow(_: Message) -> web.StreamResponse:
        await asyncio.sleep(0.02)
        return web.Response()

    pushing.receiver.answer = slow
    await pushing.made()
    couriers = [pushing.courier() for _ in range(3)]
    await pushing.deliver(*couriers, until_state={"delivered": 12})

    assert set(pushing.receiver.most_under_way.values()) == {1}
    assert len(pushing.receiver.accepted) == 12
    for batch_id, expected in published.items():
        assert sittings(pushing.receiver.accepted, batch_id) == expected


async def test_a_failing_head_holds_up_its_own_batch_only(pushing: Pushing) -> None:
    """One result that the receiver cannot take: what is behind it waits, other batches and webhooks go on."""
    await pushing.webhook()
    poison, *_ = await pushing.publish("P", 3)
    await pushing.publish("Q", 3)

    async def picky(message: Message) -> web.StreamResponse:
        return web.Response(status=400 if message.result["sitting_id"] == poison else 200)

    pushing.receiver.answer = picky
    await pushing.made()
    courier = pushing.courier()
    await pushing.deliver(courier, until_state={"waiting": 3, "delivered": 3})
    held = sittings(pushing.receiver.accepted, "P")
    pushing.receiver.answer = answers(200)
    await pushing.deliver(courier, until_state={"delivered": 6})

    assert held == []
    assert sittings(pushing.receiver.accepted, "P")[0] == poison


async def test_a_slow_webhook_leaves_room_for_the_others(pushing: Pushing) -> None:
    """However many batches wait for it: it takes up a few of the courier's places, not all."""
    stuck = Receiver()
    await stuck.start()

    async def never(_: Message) -> web.StreamResponse:
        await asyncio.sleep(3600)
        return web.Response()

    stuck.answer = never
    await pushing.webhook("stuck", stuck.url)
    await pushing.webhook("well")
    for number in range(8):
        await pushing.publish(f"P{number}", 1)
    await pushing.made()
    courier = pushing.courier(Pace(timeout_s=60.0, retry_first_s=1, retry_max_s=1, give_up_s=3600.0))
    await pushing.deliver(courier, until_state={"waiting": 8, "delivered": 8})
    held_up = len(stuck.attempts)
    await courier.leave(0)
    await stuck.stop()

    assert 1 <= held_up <= 4
    assert len(pushing.receiver.accepted) == 8


async def test_a_courier_that_falls_silent_loses_its_queues(pushing: Pushing) -> None:
    """It sent and could not write it down: the next one sends again, under the same id, and then goes on in order."""
    await pushing.webhook()
    published = await pushing.publish("P", 3)
    await pushing.made()
    stopped = asyncio.Event()

    async def stall(_: Message) -> web.StreamResponse:
        stopped.set()
        await asyncio.sleep(3600)
        return web.Response()

    pushing.receiver.answer = stall
    silent = pushing.courier(Pace(timeout_s=60.0, retry_first_s=1, retry_max_s=1, give_up_s=3600.0))
    await silent.begin()
    await asyncio.wait_for(stopped.wait(), 30)
    pushing.receiver.answer = answers(200)
    other = pushing.courier()
    held = await other.begin()
    await pushing.exam.query("UPDATE webhook_queue SET visible_ms = 0 RETURNING 1")  # its hold has run out
    await pushing.deliver(other, until_state={"delivered": 3})

    assert held == 0
    assert sittings(pushing.receiver.attempts, "P") == published
    assert [message.result["sitting_id"] for message in pushing.receiver.accepted] == published


async def test_a_courier_that_stops_gives_its_queues_back(pushing: Pushing) -> None:
    """The next one need not wait until the hold runs out."""
    await pushing.webhook()
    await pushing.publish("P", 2)
    await pushing.made()
    under_way = asyncio.Event()

    async def stall(_: Message) -> web.StreamResponse:
        under_way.set()
        await asyncio.sleep(3600)
        return web.Response()

    pushing.receiver.answer = stall
    first = pushing.courier()
    await first.begin()
    await asyncio.wait_for(under_way.wait(), 30)
    await first.leave(0)
    pushing.receiver.answer = answers(200)

    assert await pushing.courier().begin() == 1


async def test_410_disables_and_enabling_sends_what_came_since(pushing: Pushing) -> None:
    """It wants nothing more: nothing is sent, nothing is lost."""
    await pushing.webhook()
    await pushing.publish("P", 2)
    pushing.receiver.answer = answers(410)
    await pushing.made()
    courier = pushing.courier()
    await courier.begin()
    await until(lambda: len(pushing.receiver.attempts) == 1, "one attempt")
    await courier.leave(10)
    disabled = await pushing.exam.query("SELECT disabled_ms IS NOT NULL, disabled_why FROM webhook")
    await pushing.publish("Q", 1)
    await pushing.made()
    idle, waiting = await courier.begin(), await pushing.state()
    pushing.receiver.answer = answers(200)
    await pushing.exam.query("UPDATE webhook SET disabled_ms = NULL, disabled_why = NULL RETURNING 1")
    await pushing.made()
    await pushing.deliver(courier, until_state={"delivered": 3})

    assert disabled == [(True, "answered 410: it wants nothing more")]
    assert (idle, waiting) == (0, {"waiting": 2})
    assert len(pushing.receiver.attempts) == 4


async def test_what_is_never_taken_is_given_up_and_can_be_sent_again(pushing: Pushing) -> None:
    """After days: dead, with what was answered last; what is behind it has its chance; replayed, all come in order."""
    await pushing.webhook()
    published = await pushing.publish("P", 2)
    pushing.receiver.answer = answers(503)
    await pushing.made()
    courier = pushing.courier(Pace(timeout_s=5.0, retry_first_s=AT_ONCE, retry_max_s=AT_ONCE, give_up_s=0.0001))
    await pushing.deliver(courier, until_state={"dead": 2})
    last = await pushing.exam.query("SELECT DISTINCT attempts, attempted_status, attempted_fault FROM webhook_delivery")

    pushing.receiver.answer = answers(200)
    async with pushing.exam.engine_database.transaction() as connection:
        replayed = await connection.fetchval(Queries(deliveries.__file__).replay, "hook", None, now_ms())
    await pushing.deliver(courier, until_state={"delivered": 2})

    assert last == [(1, 503, "answered 503")]
    assert replayed == 2
    assert [message.result["sitting_id"] for message in pushing.receiver.accepted] == published
    assert len({message.id for message in pushing.receiver.attempts}) == 2


async def test_a_result_that_is_no_longer_stored_stops_nobody(pushing: Pushing) -> None:
    """It was removed when its time was over: its delivery is dead, the next one goes out; a removed delivery counts no
    more."""
    await pushing.webhook()
    first, second, third = await pushing.publish("P", 3)
    await pushing.made()
    await pushing.exam.query("DELETE FROM result WHERE sitting_id = $1 RETURNING 1", first)
    await pushing.exam.query("DELETE FROM webhook_delivery WHERE sitting_id = $1 RETURNING 1", third)
    courier = pushing.courier()
    await pushing.deliver(courier, until_state={"dead": 1, "delivered": 1})
    async with asyncio.timeout(30):
        while await pushing.exam.query("SELECT waiting FROM webhook_queue") != [(0,)]:
            await courier.begin()
            await courier.wait(0.01)

    assert [message.result["sitting_id"] for message in pushing.receiver.accepted] == [second]


async def test_hastening_leaves_what_a_courier_holds(pushing: Pushing) -> None:
    """A webhook that was enabled or moved is tried at once, but never beside the attempt that is under way."""
    await pushing.webhook()
    await pushing.publish("held", 1)
    await pushing.publish("put-off", 1)
    await pushing.made()
    await pushing.exam.query("UPDATE webhook_queue SET attempts = 3 RETURNING 1")
    await pushing.exam.query(
        "UPDATE webhook_queue SET visible_ms = extract(epoch FROM clock_timestamp()) * 1000"
        " + CASE batch_id WHEN 'held' THEN $1::bigint ELSE 3600000 END RETURNING 1",
        PACE.hold_ms,
    )
    async with pushing.exam.engine_database.connection() as connection:
        await connection.execute(Queries(webhooks.__file__).hasten_queues, "hook", DELIVERY_HOLD_MS_MAX)
    await pushing.deliver(pushing.courier(), until_state={"waiting": 1, "delivered": 1})

    assert [message.batch_id for message in pushing.receiver.accepted] == ["put-off"]


async def test_a_queue_put_off_by_a_clock_that_was_set_back_is_sent_now(pushing: Pushing) -> None:
    """PostgreSQL's clock was an hour ahead while it was put off: nothing waits that long, so it is due."""
    await pushing.webhook()
    await pushing.publish("P", 1)
    await pushing.made()
    await pushing.exam.query("UPDATE webhook_queue SET visible_ms = $1 RETURNING 1", now_ms() + 3_600_000)

    await pushing.deliver(pushing.courier(), until_state={"delivered": 1})

    assert len(pushing.receiver.ids) == 1
