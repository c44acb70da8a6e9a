"""Regrades as people decide on them: what a dry run found, and the act by which it is applied or dropped.

The worker only writes the decision down; the grader does what was decided (`regrader.py`).
"""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from engine import batch_log
from engine.access import require
from engine.rules.errors import Refused
from engine.rules.limits import (
    ID_PATTERN,
    REGRADES_LISTED_MAX,
    RESULTS_PAGE_DEFAULT,
    RESULTS_PAGE_MAX,
    STALE_LISTED_MAX,
)
from engine.rules.marking import json_number
from engine.rules.people import read_people
from engine.rules.regrading import ONLY
from engine.rules.shape import Faults
from engine.scoring.results import Scoring, require_batch
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries
from engine.wire import check, json_response, path_id, query_whole, read_json

_queries = Queries(__file__)


async def show_many(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}/regrades`: the newest first, without their differences."""
    await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    batch_id = path_id(request, "batch_id")
    async with scoring.database.connection() as connection:
        await require_batch(connection, batch_id)
        rows = await connection.fetch(_queries.regrades_of, batch_id, REGRADES_LISTED_MAX)
    return json_response({"regrades": [_shown(row) for row in rows]})


async def show(request: Request) -> Response:
    """`GET …/regrades/{regrade_id}?only=&after=&limit=`: with a page of its differences; `next` null at the end."""
    await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    batch_id, regrade_id = path_id(request, "batch_id"), path_id(request, "regrade_id")
    faults = Faults()
    limit = query_whole(request, "limit", RESULTS_PAGE_DEFAULT, 1, RESULTS_PAGE_MAX, faults)
    after = request.query_params.get("after", "")
    if after and not ID_PATTERN.fullmatch(after):
        faults.add("/after", "expected the `next` of the page before", after)
    only = request.query_params.get("only") or ONLY[0]
    if only not in ONLY:
        faults.add("/only", "expected one of " + ", ".join(ONLY), only)
    check(faults)
    async with scoring.database.connection() as connection:
        row = await _find(connection, batch_id, regrade_id)
        found = await connection.fetch(_queries.page_of_differences, regrade_id, after, only, limit + 1)
    page = found[:limit]
    next_cursor = page[-1]["sitting_id"] if len(found) > limit else None
    return json_response({**_shown(row), "differences": [_difference(each) for each in page], "next": next_cursor})


async def apply(request: Request) -> Response:
    """`POST …/regrades/{regrade_id}/apply` by two named people, for the grader to do; again it changes nothing.

    Raises Refused `regrade.not_ready`, `regrade.settled`, and `regrade.stale` once results have changed: then the dry
    run is made anew.
    """
    key_id = await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    batch_id, regrade_id = path_id(request, "batch_id"), path_id(request, "regrade_id")
    approved_by = read_people(await read_json(request), "approved_by")
    async with scoring.database.transaction() as connection:
        row = await _lock(connection, batch_id, regrade_id)
        if row["state"] not in ("approved", "applied"):
            stale = await _check_ready(connection, row)
            if not stale:
                await _decide(connection, row, "approved", approved_by, key_id)
            else:
                await connection.execute(_queries.try_again, regrade_id, f"results changed: {', '.join(stale)}")
        else:
            stale = []
    if stale:
        raise Refused(
            "regrade.stale",
            f"since the dry run of regrade {regrade_id!r} results have changed, of sittings {', '.join(stale)};"
            " another dry run is being made: look at that one",
            sittings=stale,
        )
    return await _answer(scoring, batch_id, regrade_id)


async def drop(request: Request) -> Response:
    """`POST …/regrades/{regrade_id}/drop` by two named people: nothing changes; again it is the same answer."""
    key_id = await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    batch_id, regrade_id = path_id(request, "batch_id"), path_id(request, "regrade_id")
    approved_by = read_people(await read_json(request), "approved_by")
    async with scoring.database.transaction() as connection:
        row = await _lock(connection, batch_id, regrade_id)
        if row["state"] in ("applied", "failed"):
            raise _settled(row)
        if row["state"] != "dropped":
            await _decide(connection, row, "dropped", approved_by, key_id)
    return await _answer(scoring, batch_id, regrade_id)


async def _check_ready(connection: Connection, row: Record) -> list[str]:
    """The sittings whose results have changed since the dry run, some of them. Raises Refused when there is none."""
    if row["state"] == "dropped":
        raise _settled(row)
    if row["state"] != "ready":
        why = row["fault"] if row["state"] == "failed" else "the grader has not made its dry run yet"
        raise Refused("regrade.not_ready", f"regrade {row['regrade_id']!r} is {row['state']}: {why}")
    changed = await connection.fetch(_queries.changed_since, row["regrade_id"], STALE_LISTED_MAX)
    return [found["sitting_id"] for found in changed]


async def _decide(connection: Connection, row: Record, state: str, people: list[str], key_id: str) -> None:
    await connection.execute(_queries.decide, row["regrade_id"], state, people, now_ms())
    before = {"regrade_id": row["regrade_id"], "state": row["state"]}
    after = {"regrade_id": row["regrade_id"], "state": state}
    kind = f"regrade_{state}"
    await batch_log.record(connection, row["batch_id"], kind, people=people, key_id=key_id, before=before, after=after)


def _settled(row: Record) -> Refused:
    detail = f"regrade {row['regrade_id']!r} is {row['state']}"
    return Refused("regrade.settled", f"{detail}; propose another to change results further")


async def _find(connection: Connection, batch_id: str, regrade_id: str) -> Record:
    row = await connection.fetchrow(_queries.find_regrade, batch_id, regrade_id)
    if row is None:
        raise Refused("not_found", f"batch {batch_id!r} has no regrade {regrade_id!r}")
    return row


async def _lock(connection: Connection, batch_id: str, regrade_id: str) -> Record:
    row = await connection.fetchrow(_queries.lock_regrade, batch_id, regrade_id)
    if row is None:
        raise Refused("not_found", f"batch {batch_id!r} has no regrade {regrade_id!r}")
    return row


async def _answer(scoring: Scoring, batch_id: str, regrade_id: str) -> Response:
    async with scoring.database.connection() as connection:
        return json_response(_shown(await _find(connection, batch_id, regrade_id)))


def _shown(row: Record) -> dict[str, Any]:
    names = (
        "regrade_id", "batch_id", "state", "reason", "proposed_by", "proposed_ms", "tried_ms", "fault", "decided_by",
        "decided_ms", "applied_ms",
    )  # fmt: skip
    summary = None if row["summary"] is None else orjson.Fragment(row["summary"])
    return {**{name: row[name] for name in names}, "changes": orjson.Fragment(row["changes"]), "summary": summary}


def _difference(row: Record) -> dict[str, Any]:
    return {
        "sitting_id": row["sitting_id"],
        "candidate_id": row["candidate_id"],
        "admission_ticket": row["admission_ticket"],
        "revision": row["old_revision"],
        "direction": row["direction"],
        "pass_change": row["pass_change"] or None,
        "before": {"score": _number(row["old_score"]), "passed": row["old_passed"]},
        "after": {"score": _number(row["new_score"]), "passed": row["new_passed"]},
    }


def _number(score: Any) -> int | float | None:
    return None if score is None else json_number(score)
