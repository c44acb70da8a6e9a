"""From the feed to deliveries: every published revision, whoever publishes it, once for each webhook."""

from __future__ import annotations

import asyncio

import pytest

from engine.scoring.grader import Grader
from engine.scoring.publication import release_batch
from tests.integration.exam import GRADER_KEY
from tests.integration.pushing import SIGNER, Pushing

pytestmark = pytest.mark.anyio


async def test_only_what_is_published_goes_out_and_a_release_sends_it(pushing: Pushing) -> None:
    """`approved` batches are pushed at their release, every other one as it is graded."""
    await pushing.webhook()
    await pushing.exam.query('UPDATE batch SET rules = rules || \'{"release": "approved"}\' RETURNING 1')
    await pushing.exam.query("UPDATE sitting SET state = 'absent' RETURNING 1")
    grader = Grader(pushing.exam.grader_database, GRADER_KEY, SIGNER)
    assert await grader.grade() == 2
    await pushing.made()
    before = await pushing.state()

    async with pushing.exam.engine_database.transaction() as connection:
        await release_batch(connection, pushing.exam.batch.batch_id, ["a", "b"], "key")
    await pushing.made()

    assert before == {}
    assert await pushing.state() == {"waiting": 2}


async def test_a_later_revision_goes_out_under_an_id_of_its_own(pushing: Pushing) -> None:
    """Whoever publishes it: what has a publication number is pushed, the old one stays delivered."""
    await pushing.webhook()
    (sitting_id,) = await pushing.publish("P", 1)
    await pushing.made()
    courier = pushing.courier()
    await pushing.deliver(courier, until_state={"delivered": 1})
    await pushing.exam.query(
        "WITH feed AS (UPDATE feed SET last_publication = last_publication + 1 RETURNING last_publication)"
        " INSERT INTO result SELECT sitting_id, 2, batch_id, state,"
        " replace(document, '\"revision\":1', '\"revision\":2'), marks, graded_ms, last_publication"
        " FROM result, feed WHERE sitting_id = $1 RETURNING 1",
        sitting_id,
    )
    await pushing.made()
    await pushing.deliver(courier, until_state={"delivered": 2})

    assert [message.result["revision"] for message in pushing.receiver.accepted] == [1, 2]
    assert len(set(pushing.receiver.ids)) == 2


async def test_a_webhook_gets_what_is_published_after_it_and_of_its_batches(pushing: Pushing) -> None:
    """What lay in the feed before is pulled from there."""
    await pushing.publish("before", 1)
    await pushing.webhook("all")
    await pushing.webhook("some", batches=["wanted"])
    await pushing.publish("other", 2)
    await pushing.publish("wanted", 1)
    await pushing.made()

    rows = await pushing.exam.query("SELECT webhook_id, batch_id, count(*) FROM webhook_delivery GROUP BY 1, 2")
    assert sorted(rows) == [("all", "other", 2), ("all", "wanted", 1), ("some", "wanted", 1)]
    assert await pushing.exam.query("SELECT count(DISTINCT cursor) FROM webhook") == [(1,)]


async def test_fanning_out_again_or_at_once_makes_no_delivery_twice(pushing: Pushing) -> None:
    """Several couriers look at the same feed; a queue counts what waits in it, no more and no less."""
    await pushing.webhook()
    await pushing.publish("P", 30)
    await asyncio.gather(*(pushing.made() for _ in range(4)))
    await pushing.made()

    assert await pushing.state() == {"waiting": 30}
    assert await pushing.exam.query("SELECT waiting FROM webhook_queue") == [(30,)]
