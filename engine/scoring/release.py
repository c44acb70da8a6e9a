"""Release: the act of two named people that publishes the results of an `approved` batch."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.rules.people import read_people
from engine.scoring import settling
from engine.scoring.publication import release_batch
from engine.scoring.results import Scoring
from engine.wire import json_response, path_id, read_dry_run, read_json


async def release(request: Request) -> Response:
    """`POST /v1/batches/{batch_id}/release` by two named people; releasing again changes nothing."""
    key_id = await require(request, "schedule", "dry_run")
    scoring: Scoring = request.app.state.scoring
    batch_id = path_id(request, "batch_id")
    is_dry = read_dry_run(request)
    approved_by = read_people(await read_json(request), "approved_by")
    # Outside the transaction, which holds the batch: the grader counts meanwhile.
    await settling.settle_for_release(scoring.database, batch_id)
    async with scoring.database.transaction(is_dry_run=is_dry) as connection:
        await release_batch(connection, batch_id, approved_by, key_id)
    return json_response({"batch_id": batch_id, "released": True})
