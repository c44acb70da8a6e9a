"""A push that crosses the recording of those whom it moves: both wait for one another, and neither is refused."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import asyncpg

from engine.supervision import embedded
from tests.contract import outsider as out
from tests.contract.outsider import Exam, Outsider, accepted
from tests.servers import Engine, engine_up

WITHIN_S = 60
RULES = {"check_in_before_s": 3600}
# As a recorder does for an entry: an index has to follow, so that its commit looks at the seat once more.
HELD = "SELECT sitting_id FROM sitting WHERE batch_id = $1 AND candidate_id = $2 FOR NO KEY UPDATE"
RECORDED = "UPDATE sitting SET state = 'checked_in', epoch = epoch + 1 WHERE batch_id = $1 AND candidate_id = $2"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'transactionid'"


def test_two_who_change_seats_while_one_is_recorded_are_taken() -> None:
    """Each transaction waits for the other's; PostgreSQL ends one of them, and what was pushed stands all the same."""
    with engine_up("crossed") as engine:
        outsider = Outsider(engine.url, engine.keys)
        roster = [out.person(site="考点", seat=seat) for seat in ("01", "02")]
        exam = outsider.exam(out.single("A1"), rows=roster, starts_ms=out.now_ms() + 600_000, rules=RULES)
        for person, seat in zip(exam.roster, ("02", "01"), strict=True):
            person["seat"] = seat

        answer = asyncio.run(crossing(engine, exam))
        again = accepted(outsider.put_roster(exam.batch_id, exam.roster))

    assert (answer["changed"], again["unchanged"]) == (2, 2)


async def crossing(engine: Engine, exam: Exam) -> Any:
    """The answer to the roster's push, which came while the second one's entry was being recorded."""
    dsn = embedded.postgres_dsn(engine.data / "sockets" / "pg")
    recorder, watcher = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    await recorder.execute("SET deadlock_timeout = '20s'")  # of the two it is the push that is ended
    transaction = recorder.transaction()
    await transaction.start()
    second = (exam.batch_id, exam.roster[1]["candidate_id"])
    await recorder.execute(HELD, *second)
    pushing = asyncio.create_task(asyncio.to_thread(exam.outsider.put_roster, exam.batch_id, exam.roster))
    async with asyncio.timeout(WITHIN_S):
        while not await watcher.fetchval(WAITING):  # noqa: ASYNC110 - a state of PostgreSQL, not an event
            await asyncio.sleep(0.02)
    assert await recorder.execute(RECORDED, *second) == "UPDATE 1"
    with contextlib.suppress(asyncpg.DeadlockDetectedError):  # on a very slow machine it is this one
        await transaction.commit()
    answer = await pushing
    await recorder.close()
    await watcher.close()
    return accepted(answer)
