"""Item statistics as they are asked for: the whole as JSON.

The grader counts (`counting.py`); a worker asks for it, waits, and shows. Scores are added here, from the results as
they stand.
"""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.rules.score_distribution import distribution
from engine.scoring import flags, settling
from engine.scoring.results import Scoring
from engine.stores.postgres import Connection
from engine.stores.sql import Queries
from engine.wire import json_response, path_id

_queries = Queries(__file__)
_FORMATS = ("json", "html", "xlsx")


async def show(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}/statistics`: once every sitting has its result."""
    await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    batch_id = path_id(request, "batch_id")
    await settling.settle(scoring.database, batch_id)
    async with scoring.database.connection() as connection:
        document = await _document(connection, batch_id)
    return json_response(document)


async def _document(connection: Connection, batch_id: str) -> dict[str, Any]:
    newest = await connection.fetchrow(_queries.newest, batch_id)
    batch = await connection.fetchrow(_queries.find_batch, batch_id)
    scores = await connection.fetch(_queries.scores_of, batch_id)
    states = await connection.fetch(_queries.states_of, batch_id)
    counted = orjson.loads(newest["document"])
    standing = await flags.read_flags(connection, batch_id)
    return {
        "batch_id": batch_id,
        **{name: batch[name] for name in ("title", "occupation", "level", "subject", "starts_ms")},
        "counted_ms": newest["counted_ms"],
        "results": {row["state"]: row["count"] for row in states},
        "scores": distribution({row["score"]: row["count"] for row in scores}, sum(row["passed"] for row in scores)),
        "papers": [{name: value for name, value in paper.items() if name != "flags"} for paper in counted["papers"]],
        "flags": standing,
        "unexplained": len(flags.unexplained(standing)),
    }
