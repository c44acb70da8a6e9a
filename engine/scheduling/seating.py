"""Seats for candidates whose roster leaves them open, from the machines that their site's rooms have.

Promise: what a push gave stays; the same content and seed give the same seats, previewed by `?dry_run=1`. Works on a
draft, and on an armed batch until its latest entry.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.rules.limits import SEATING_BODY_BYTES_MAX
from engine.rules.seating import Plan
from engine.rules.shape import Faults
from engine.scheduling.batches import queries as batch_queries
from engine.scheduling.batches import refuse_erased, unknown_batch
from engine.scheduling.resources import Scheduling
from engine.scheduling.seating_plan import assign
from engine.stores.laying import lay_ready
from engine.stores.postgres import uncrossed
from engine.vault import read_vault
from engine.wire import is_dry_run, json_response, path_id


async def seat(request: Request) -> Response:
    """`POST /v1/batches/{batch_id}/seating`: who got which seat, and who got none and why."""
    key_id = await require(request, "schedule", "dry_run")
    scheduling: Scheduling = request.app.state.scheduling
    batch_id = path_id(request, "batch_id")
    faults = Faults()
    is_dry = is_dry_run(request, faults)
    body = await read_vault(request.scope, request.receive, SEATING_BODY_BYTES_MAX)
    try:
        call = await scheduling.roster_reader.read_seating(batch_id, body, faults)
    finally:
        body.close()

    async def assigned() -> tuple[dict[str, Any], Plan, bool]:
        async with scheduling.database.transaction(is_dry_run=is_dry) as connection:
            row = await connection.fetchrow(batch_queries.lock_batch, batch_id)
            if row is None:
                raise unknown_batch(batch_id)
            await refuse_erased(connection, batch_id)
            return *await assign(connection, row, call, faults, key_id), row["armed_ms"] is not None

    answer, plan, is_armed = await uncrossed(assigned)
    if is_armed and plan.assigned and not is_dry:  # after the commit; should it fail here, a recorder finishes it
        await lay_ready(scheduling.memory, scheduling.database, batch_id, scheduling.login_key)
    return json_response({"batch_id": batch_id, "seed": call.seed, "dry_run": is_dry, **answer})
