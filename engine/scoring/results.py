"""Results as scorers pull them: by page, as a file, as a feed over all batches; and the responses behind a score."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from msgspec import Struct, field
from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.rules.errors import Refused
from engine.rules.limits import RESULTS_PAGE_DEFAULT, RESULTS_PAGE_MAX, WORKBOOKS_AT_ONCE
from engine.rules.marking import json_number
from engine.rules.shape import Faults
from engine.scoring import result_files
from engine.stores.postgres import Connection, Postgres, Record
from engine.stores.sql import Queries
from engine.wire import check, json_response, path_id, query_whole

_queries = Queries(__file__)
_file_queries = Queries(result_files.__file__)
_CURSOR_MAX = 2**63 - 1


class Scoring(Struct, frozen=True):
    """What scoring's half of a worker needs: it reads results, it never makes them."""

    database: Postgres
    workbook_turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(WORKBOOKS_AT_ONCE))


async def show_batch_results(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}/results`: a page, or by `Accept` the whole batch as a file."""
    await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    batch_id = path_id(request, "batch_id")
    after, limit = _page(request)
    async with scoring.database.connection() as connection:
        await require_batch(connection, batch_id)
        wanted = _wanted_format(request)
        if wanted is None:
            rows = await connection.fetch(_file_queries.page_of_batch, batch_id, after, _CURSOR_MAX, limit + 1)
    if wanted is not None:
        return await result_files.respond(scoring.database, scoring.workbook_turns, batch_id, after, wanted)
    next_cursor = str(rows[limit - 1]["publication"]) if len(rows) > limit else None
    return _results_response(rows[:limit], next_cursor)


async def show_feed(request: Request) -> Response:
    """`GET /v1/results?after=`: over all batches; `next` is always there, for the next look."""
    await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    after, limit = _page(request)
    async with scoring.database.connection() as connection:
        rows = await connection.fetch(_queries.page_of_feed, after, limit)
    return _results_response(rows, str(rows[-1]["publication"] if rows else after))


async def show_responses(request: Request) -> Response:
    """`GET /v1/sittings/{sitting_id}/responses`: with marks once the result is released, null before.

    Beside them, where there were assessors, each one's marks: what the final marks were made of.
    """
    await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    sitting_id = path_id(request, "sitting_id")
    async with scoring.database.connection() as connection:
        rows = await connection.fetch(_queries.responses_of, sitting_id)
        assessments = await connection.fetch(_queries.assessments_of, sitting_id)
        sitting = await _find_sitting(connection, sitting_id)  # last: not erased, and so what was read was all of it
    marks = orjson.loads(sitting["marks"]) if sitting["marks"] else {}
    nothing = {"mark": None, "points": None}
    responses = {
        row["item"]: {"seq": row["seq"], "value": orjson.Fragment(row["value"]), **marks.get(row["item"], nothing)}
        for row in rows
    }
    shown: dict[str, Any] = {"responses": responses}
    if assessments and sitting["is_final"]:
        shown["assessments"] = [{**dict(row), "mark": json_number(row["mark"])} for row in assessments]
    return json_response(shown)


async def show_history(request: Request) -> Response:
    """`GET /v1/sittings/{sitting_id}/history`: every accepted change."""
    await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    sitting_id = path_id(request, "sitting_id")
    async with scoring.database.connection() as connection:
        rows = await connection.fetch(_queries.history_of, sitting_id)
        await _find_sitting(connection, sitting_id)  # last, as above
    return json_response({"history": [{**dict(row), "value": orjson.Fragment(row["value"])} for row in rows]})


async def require_batch(connection: Connection, batch_id: str) -> None:
    """Raises Refused `not_found`: to tell a batch of which there is nothing yet from none."""
    if await connection.fetchval(_queries.batch_exists, batch_id) is None:
        raise Refused("not_found", f"there is no batch {batch_id[:80]!r}")


async def _find_sitting(connection: Connection, sitting_id: str) -> Record:
    sitting = await connection.fetchrow(_queries.find_sitting, sitting_id)
    if sitting is None:
        raise Refused("not_found", f"there is no sitting {sitting_id[:80]!r}")
    if sitting["is_erased"]:
        raise Refused("batch.erased", f"the answers of sitting {sitting_id!r} need not be kept any more")
    return sitting


def _results_response(rows: list[Record], next_cursor: str | None) -> Response:
    # The documents are signed: they travel byte for byte as they were stored.
    return json_response({"results": [orjson.Fragment(row["document"]) for row in rows], "next": next_cursor})


def _wanted_format(request: Request) -> str | None:
    """One of the files' formats, or None for a page. Raises Refused `not_acceptable` when none is served."""
    wanted = _preferred(request.headers.get("accept") or "*/*")
    for media_type in wanted:
        if media_type in result_files.FORMATS:
            return media_type
        if media_type == "text/*":
            return result_files.CSV
        if media_type in ("*/*", "application/json", "application/*", ""):
            return None
    served = ", ".join(("application/json", *result_files.FORMATS))
    raise Refused("not_acceptable", f"results come as {served}, not as {', '.join(wanted)[:80]!r}")


def _preferred(accept: str) -> list[str]:
    """The media types of an Accept header (RFC 9110), the most wanted first, without the unwanted."""
    ranked: list[tuple[float, int, str]] = []
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
        try:
            weight = float(weights[0]) if weights else 1.0
        except ValueError:
            weight = 0.0
        if 0 < weight <= 1:  # another is no weight, and says nothing of what is wanted
            ranked.append((-weight, len(ranked), media_type))
    return [media_type for _, _, media_type in sorted(ranked)]


def _page(request: Request) -> tuple[int, int]:
    """`after` and `limit`. Raises Invalid `request.invalid` naming what cannot be used."""
    faults = Faults()
    after = query_whole(request, "after", 0, 0, _CURSOR_MAX, faults)
    limit = query_whole(request, "limit", RESULTS_PAGE_DEFAULT, 1, RESULTS_PAGE_MAX, faults)
    check(faults)
    return after, limit
