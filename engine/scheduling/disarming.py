"""Disarming: the act of two named people that makes a draft of an armed batch again, before it starts.

Promise: afterwards nobody has anything of the old arming that could lead to its paper. Seal and wrapped keys are gone,
no login finds the old sittings, logins of before have ended, and the sealed paper is given out no more; who had come is
expected again. The next arming makes new ones of all of it.
How: in one transaction the seals are destroyed and every sitting gets another id, so that whatever is still under way
about the old ones (log entries, tokens, a Redis that is put back) cannot touch those of the next arming. After the
commit Redis is cleared; what a worker could not do there a recorder finishes (stores/withdrawing.py).
When: more than a minute before the start by Redis's clocks, by PostgreSQL's and by this machine's. A paper key needs
Redis's clock to have reached the start, so none has been released then.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from engine import batch_log
from engine.access import require
from engine.rules.errors import Refused
from engine.rules.forms import armed_id
from engine.rules.limits import DISARM_BEFORE_START_S
from engine.rules.people import read_reasoned
from engine.rules.terms import Batch, SittingState
from engine.scheduling.batches import describe, unknown_batch
from engine.scheduling.batches import queries as batch_queries
from engine.scheduling.resources import Scheduling
from engine.scheduling.roster import sitting_ids_of
from engine.stores.clock import now_ms
from engine.stores.laying import batch_of
from engine.stores.memory import Memory, partition_number
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries
from engine.stores.withdrawing import withdraw
from engine.wire import json_response, path_id, read_dry_run, read_json

_queries = Queries(__file__)


async def disarm(request: Request) -> Response:
    """`POST /v1/batches/{batch_id}/disarm`: 200 with the draft, also when it was disarmed already."""
    api_key_id = await require(request, "schedule", "dry_run")
    scheduling: Scheduling = request.app.state.scheduling
    batch_id = path_id(request, "batch_id")
    is_dry = read_dry_run(request)
    approved_by, reason = read_reasoned(await read_json(request), "approved_by")
    async with scheduling.database.transaction(is_dry_run=is_dry) as connection:
        row = await connection.fetchrow(batch_queries.lock_batch, batch_id)
        if row is None:
            raise unknown_batch(batch_id)
        if row["armed_ms"] is not None:
            batch = batch_of(row)
            await _check_before_start(scheduling.memory, batch)
            before, after = await _undo(connection, row, batch, len(scheduling.memory.partitions))
            await batch_log.record(
                connection,
                batch_id,
                "disarmed",
                people=approved_by,
                key_id=api_key_id,
                before=before,
                after={**after, "reason": reason},
            )
        elif row["disarmed_ms"] is None:
            raise Refused(
                "batch.not_armed", f"batch {batch_id!r} has not been armed: it is a draft, and may be changed"
            )
        shown = await describe(connection, [await connection.fetchrow(batch_queries.find_batch, batch_id)])
    # After the commit, and again whenever disarming is repeated; should it fail here, a recorder finishes it.
    if not is_dry:
        await withdraw(scheduling.memory, scheduling.database, batch_id)
    return json_response(shown[0])


async def _check_before_start(memory: Memory, batch: Batch) -> None:
    """Raises Refused `batch.begun` when any clock has come too near to the start; TryLater when one cannot be read."""
    clocks = await memory.read_clocks(now_ms, of_all=True)
    latest_ms = max(now_ms(), *(redis_ms for _, redis_ms, _ in clocks))
    until_ms = batch.starts_ms - DISARM_BEFORE_START_S * 1000
    if latest_ms >= until_ms:
        detail = f"batch {batch.batch_id!r} starts at {batch.starts_ms} ms and could be disarmed until {until_ms} ms"
        raise Refused("batch.begun", f"{detail}, it is {latest_ms} ms", starts_ms=batch.starts_ms, server_ms=latest_ms)


async def _undo(
    connection: Connection, row: Record, batch: Batch, partitions: int
) -> tuple[dict[str, object], dict[str, object]]:
    """The event's `before` and `after`. The moment names what is armed next, so it is above every earlier one."""
    disarmed_ms = max(now_ms(), row["armed_ms"], (row["disarmed_ms"] or 0) + 1)
    sittings = await connection.fetch(_queries.sittings_of, batch.batch_id)
    renamed = sitting_ids_of(batch.batch_id, [sitting["candidate_id"] for sitting in sittings], disarmed_ms)
    digests = await connection.fetchval(
        _queries.undo_arming,
        batch.batch_id,
        disarmed_ms,
        [armed_id(batch.batch_id, form, row["disarmed_ms"]) for form in range(len(batch.paper_ids))],
        [sitting["sitting_id"] for sitting in sittings],
        renamed,
        [partition_number(sitting_id, partitions) for sitting_id in renamed],
    )
    came = sum(sitting["state"] != SittingState.EXPECTED for sitting in sittings)
    return {"armed_ms": row["armed_ms"], "sealed_digests": digests}, {"sittings": len(sittings), "had_come": came}
