"""Item statistics as they are asked for: JSON, a page, or a workbook.

The grader counts (`counting.py`); a worker asks for it, waits, and shows. Scores are added here, from the results as
they stand.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.rules.marking import json_number
from engine.rules.score_distribution import distribution
from engine.rules.shape import Faults
from engine.scoring import flags, settling, statistics_page, statistics_workbook
from engine.scoring.results import Scoring
from engine.scoring.statistics_words import LANGUAGES
from engine.stores.postgres import Connection
from engine.stores.sql import Queries
from engine.wire import check, json_response, path_id

_queries = Queries(__file__)
_FORMATS = ("json", "html", "xlsx")


async def show(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}/statistics?format=&lang=`: once every sitting has its result."""
    await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    batch_id = path_id(request, "batch_id")
    shape, language = _read_query(request)
    await settling.settle(scoring.database, batch_id)
    async with scoring.database.connection() as connection:
        document = await _document(connection, batch_id)
    if shape == "html":
        return statistics_page.response(document, language)
    if shape == "xlsx":
        workbook = await asyncio.to_thread(statistics_workbook.content, document, language)
        return statistics_workbook.response(batch_id, workbook)
    return json_response(document)


def _read_query(request: Request) -> tuple[str, str]:
    """Format and language. Raises Invalid `request.invalid`."""
    faults = Faults()
    asked = []
    for name, choices in (("format", _FORMATS), ("lang", LANGUAGES)):
        text = request.query_params.get(name) or choices[0]
        if text not in choices:
            faults.add(f"/{name}", "expected one of " + ", ".join(choices), text)
        asked.append(text)
    check(faults)
    return asked[0], asked[1]


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
        "pass_mark": json_number(Decimal(batch["pass_mark"])),
        "counted_ms": newest["counted_ms"],
        "results": {row["state"]: row["count"] for row in states},
        "scores": distribution({row["score"]: row["count"] for row in scores}, sum(row["passed"] for row in scores)),
        "papers": [{name: value for name, value in paper.items() if name != "flags"} for paper in counted["papers"]],
        "flags": standing,
        "unexplained": len(flags.unexplained(standing)),
    }
