"""The simulated candidate over the channel of a real engine: what the rehearsal relies on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from loadtest.candidate import Candidate, TakenOver
from loadtest.wire import Wire
from tests.contract import outsider as out
from tests.contract.line import PATIENCE_S
from tests.contract.outsider import Outsider, now_ms


@asynccontextmanager
async def present(exam: out.Exam, *, takes_back: bool = True) -> AsyncIterator[Candidate]:
    """Somebody who is writing."""
    async with Wire(exam.outsider.url) as wire:
        id_number = exam.roster[0]["id_number"]
        person = Candidate(wire, exam.code, id_number, dice=random.Random(1), takes_back=takes_back, has_channel=True)
        await person.log_in()
        await person.enter()
        await person.fetch_sealed()
        await person.open_paper()
        person.start_saving()
        try:
            yield person
        finally:
            await person.stop()


async def until(person: Candidate, uncommitted: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while person.journal.uncommitted != uncommitted:  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.02)


async def test_an_exam_goes_through_the_channel(outsider: Outsider) -> None:
    """The key is pushed, changes are saved and told to be committed, nothing of it over HTTP."""
    exam = outsider.exam(starts_ms=now_ms() + 2500)
    async with present(exam) as person:
        for number in range(20):
            person.change("E1", number)
            await asyncio.sleep(0.01)
        await person.flush()
        await until(person, uncommitted=0)
        assert await person.submit()
        sitting_id = person.ledger.sitting_id

    assert (person.tally.channels, person.tally.over_http, person.tally.acknowledged) == (1, 0, 20)
    assert outsider.responses(sitting_id)["E1"]["value"] == 19


async def test_a_candidate_takes_the_sitting_back(outsider: Outsider) -> None:
    """Superseded while nobody types: logged in again, the channel opened again, the next change saved."""
    exam = outsider.exam()
    async with present(exam) as person:
        person.change("A1", "a")
        await person.flush()
        exam.arrive()
        async with asyncio.timeout(PATIENCE_S):
            while person.tally.channels < 2:  # noqa: ASYNC110 - a state, not an event
                await asyncio.sleep(0.02)
        person.change("A1", "b")
        await person.flush()

    assert person.tally.acknowledged == 2
    assert exam.arrive().stored() == {"A1": (2, "b")}


async def test_a_candidate_who_does_not_fight_gives_up(outsider: Outsider) -> None:
    """A person of the demo whom somebody else has replaced stops."""
    exam = outsider.exam()
    async with present(exam, takes_back=False) as person:
        person.change("A1", "a")
        await person.flush()
        newer = exam.arrive()
        with pytest.raises(TakenOver):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    person.change("A1", "b")
                    await person.flush()
                    await asyncio.sleep(0.05)

    assert newer.stored()["A1"][1] in ("a", "b")
