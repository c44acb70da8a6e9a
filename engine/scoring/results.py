"""Results as scorers pull them: by page, as NDJSON, as a feed over all batches; and the responses behind a score."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from engine.access import require
from engine.rules.errors import Refused
from engine.rules.limits import RESULTS_PAGE_DEFAULT, RESULTS_PAGE_MAX
from engine.rules.people import read_people
from engine.rules.shape import Faults
from engine.scoring.publication import release_batch
from engine.stores.postgres import Connection, Postgres, Record
from engine.stores.sql import Queries
from engine.wire import check, json_response, path_id, read_json

_queries = Queries(__file__)
_NDJSON = "application/x-ndjson"
_CURSOR_MAX = 2**63 - 1


class Scoring(Struct, frozen=True):
    """What scoring's half of a worker needs: it reads results, it never makes them."""

    database: Postgres


async def show_batch_results(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}/results`: a page, or the whole batch as NDJSON by `Accept`."""
    await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    batch_id = path_id(request, "batch_id")
    after, limit = _page(request)
    async with scoring.database.connection() as connection:
        if await connection.fetchval(_queries.batch_exists, batch_id) is None:
            raise Refused("not_found", f"there is no batch {batch_id[:80]!r}")
        if _wants_lines(request):
            return StreamingResponse(_lines(scoring, batch_id, after), media_type=_NDJSON)
        rows = await connection.fetch(_queries.page_of_batch, batch_id, after, limit + 1)
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
    """`GET /v1/sittings/{sitting_id}/responses`: with marks once the result is released, null before."""
    await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    sitting_id = path_id(request, "sitting_id")
    async with scoring.database.connection() as connection:
        sitting = await _find_sitting(connection, sitting_id)
        rows = await connection.fetch(_queries.responses_of, sitting_id)
    marks = orjson.loads(sitting["marks"]) if sitting["marks"] else {}
    nothing = {"mark": None, "points": None}
    responses = {
        row["item"]: {"seq": row["seq"], "value": orjson.Fragment(row["value"]), **marks.get(row["item"], nothing)}
        for row in rows
    }
    return json_response({"responses": responses})


async def show_history(request: Request) -> Response:
    """`GET /v1/sittings/{sitting_id}/history`: every accepted change."""
    await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    sitting_id = path_id(request, "sitting_id")
    async with scoring.database.connection() as connection:
        await _find_sitting(connection, sitting_id)
        rows = await connection.fetch(_queries.history_of, sitting_id)
    return json_response({"history": [{**dict(row), "value": orjson.Fragment(row["value"])} for row in rows]})


async def release(request: Request) -> Response:
    """`POST /v1/batches/{batch_id}/release` by two named people; releasing again changes nothing."""
    await require(request, "schedule")
    scoring: Scoring = request.app.state.scoring
    batch_id = path_id(request, "batch_id")
    approved_by = read_people(await read_json(request), "approved_by")
    async with scoring.database.transaction() as connection:
        await release_batch(connection, batch_id, approved_by)
    return json_response({"batch_id": batch_id, "released": True})


async def _find_sitting(connection: Connection, sitting_id: str) -> Record:
    sitting = await connection.fetchrow(_queries.find_sitting, sitting_id)
    if sitting is None:
        raise Refused("not_found", f"there is no sitting {sitting_id[:80]!r}")
    return sitting


def _results_response(rows: list[Record], next_cursor: str | None) -> Response:
    # The documents are signed: they travel byte for byte as they were stored.
    return json_response({"results": [orjson.Fragment(row["document"]) for row in rows], "next": next_cursor})


async def _lines(scoring: Scoring, batch_id: str, after: int) -> AsyncIterator[bytes]:
    """Page by page, so that memory does not grow with the batch and no connection is held by a slow reader."""
    while True:
        async with scoring.database.connection() as connection:
            rows = await connection.fetch(_queries.page_of_batch, batch_id, after, RESULTS_PAGE_MAX)
        if not rows:
            return
        yield "".join(row["document"] + "\n" for row in rows).encode()
        after = rows[-1]["publication"]


def _wants_lines(request: Request) -> bool:
    """Raises Refused `not_acceptable` for a format that is not served."""
    wanted = _preferred(request.headers.get("accept") or "*/*")
    for media_type in wanted:
        if media_type == _NDJSON:
            return True
        if media_type in ("*/*", "application/json", "application/*", ""):
            return False
    raise Refused("not_acceptable", f"results come as application/json or {_NDJSON}, not as {', '.join(wanted)[:80]!r}")


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
        if weight > 0:
            ranked.append((-weight, len(ranked), media_type))
    return [media_type for _, _, media_type in sorted(ranked)]


def _page(request: Request) -> tuple[int, int]:
    """`after` and `limit`. Raises Invalid `request.invalid` naming what cannot be used."""
    faults = Faults()
    after = _number(request, "after", 0, 0, _CURSOR_MAX, faults)
    limit = _number(request, "limit", RESULTS_PAGE_DEFAULT, 1, RESULTS_PAGE_MAX, faults)
    check(faults)
    return after, limit


def _number(request: Request, name: str, default: int, smallest: int, largest: int, faults: Faults) -> int:
    text = request.query_params.get(name, "")
    if text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and smallest <= int(text) <= largest):
        faults.add(f"/{name}", f"expected an integer from {smallest} to {largest}", text)
        return default
    return int(text)
