"""Tokens of what was erased: refused, and never taken for those of a Redis that has lost something."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.candidates import Candidates
from engine.delivery.resources import Delivery
from engine.delivery.sitting import read_sitting
from engine.invigilation import seats
from engine.invigilation.resources import Invigilation
from engine.rules.errors import Refused, TryLater
from engine.sealing.provider import FileProvider
from engine.sealing.signature import Signer
from engine.sealing.token import Token, issue
from tests.contract.line import text
from tests.integration.exam import LOGIN_KEY, RECEIPT_KEY, WRAP_KEY, Exam
from tests.integration.purging import YEAR_MS, age, archived, graded, purged
from tests.integration.test_channel_watch import TOKEN_KEY, Hall

pytestmark = pytest.mark.anyio


@pytest.fixture
async def over(exam: Exam) -> Exam:
    """An exam that was graded."""
    return await graded(exam)


def delivery_of(exam: Exam) -> Delivery:
    return Delivery(exam.memory, b"t" * 32, LOGIN_KEY, FileProvider(WRAP_KEY), Signer(RECEIPT_KEY))


@pytest.mark.parametrize("years", [4, 6])
async def test_a_token_of_what_is_gone_counts_no_more(over: Exam, tmp_path: Path, years: int) -> None:
    """Whether its worker has met the batch or not; who is not laid ready, or has a Redis that lost it, is to wait."""
    delivery = delivery_of(over)
    known = Token("one", "B", "1")
    assert (await read_sitting(delivery, known)).fields["state"] == b"submitted"
    await delivery.batch("B")
    await over.memory.delete(over.memory.partition_of("one").sitting("one"))
    with pytest.raises(TryLater):
        await read_sitting(delivery, known)
    await age(over, years * YEAR_MS)
    await purged(over, await archived(over, tmp_path / "a.zip"))

    for asked in (read_sitting(delivery, known), delivery.batch("B"), delivery_of(over).standing(known)):
        with pytest.raises(Refused, match="batch 'B' was erased") as refused:
            await asked
        assert (refused.value.code, refused.value.status) == ("auth.missing", 401)
    await over.redis.flushall()
    with pytest.raises(TryLater):
        await read_sitting(delivery, known)


async def test_a_channel_of_what_is_gone_is_refused(over: Exam, tmp_path: Path) -> None:
    """At its hello, by a worker that knows the batch: its page shows the login, and does not connect for ever."""
    async with Hall(over).serving() as hall:
        await hall.channels.delivery.batch("B")
        await age(over, 4 * YEAR_MS)
        await purged(over, await archived(over, tmp_path / "a.zip"))
        line = await hall.connect()
        line.send(text({"type": "hello", "token": issue(Token("one", "B", "1"), TOKEN_KEY)}))

        error = await line.hear("error")

        assert (error["status"], error["code"]) == (401, "auth.missing")
        assert await line.closed() == 1008


async def test_a_room_of_what_is_gone_is_shown_without_what_is_gone(over: Exam, tmp_path: Path) -> None:
    """Its proctor has a good key, whatever became of the candidates' tokens."""
    await age(over, 4 * YEAR_MS)
    await purged(over, await archived(over, tmp_path / "a.zip"))
    invigilation = Invigilation(over.engine_database, over.memory, Candidates(over.memory, TOKEN_KEY))

    live, _, items = await seats._look(invigilation, ["B"], [])

    assert (live, items) == ({}, None)


async def test_a_batch_that_is_armed_again_under_its_name_is_one(over: Exam, tmp_path: Path) -> None:
    """Its name is free once the records are gone."""
    await age(over, 6 * YEAR_MS)
    await purged(over, await archived(over, tmp_path / "a.zip"))

    await Exam.beside(over, "B").arm("one")

    assert (await delivery_of(over).batch("B")).prepared.batch.batch_id == "B"
