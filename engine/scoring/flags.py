"""Flags of item statistics: why they stand, said by named people, and what a release thinks of those nobody explained.

What a flag means is in `rules/statistics_flags.py`. An explanation is a row that is only added; it holds for its flag
however often the statistics are counted again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from engine import batch_log
from engine.access import require
from engine.rules.errors import Refused, TryLater
from engine.rules.explaining import Explanation, read_explanations
from engine.rules.limits import ASSESSMENT_BODY_BYTES_MAX, FLAG_SITTINGS_MIN
from engine.rules.shape import Faults
from engine.rules.statistics_flags import EXPLAIN
from engine.scoring import settling
from engine.scoring.results import Scoring
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries
from engine.wire import check, is_dry_run, json_response, path_id, read_json

_queries = Queries(__file__)
_NAMED_MAX = 5  # in the sentence of a refusal; its list has them all


async def explain(request: Request) -> Response:
    """`POST /v1/batches/{batch_id}/statistics/flags`: a named person says why flags stand; safe to repeat."""
    key_id = await require(request, "results", "dry_run")
    scoring: Scoring = request.app.state.scoring
    batch_id = path_id(request, "batch_id")
    faults = Faults()
    dry = is_dry_run(request, faults)
    explained_by, given = read_explanations(await read_json(request, ASSESSMENT_BODY_BYTES_MAX), faults)
    await settling.settle(scoring.database, batch_id)
    async with scoring.database.transaction(is_dry_run=dry) as connection:
        await connection.execute(_queries.lock_explanations, batch_id)
        flags = await read_flags(connection, batch_id)
        matched = [(each, flag) for each in given if (flag := _flag_of(each, flags, faults)) is not None]
        check(faults)
        new = [(each, flag) for each, flag in matched if not _is_explained_so(flag, each, explained_by)]
        if new:
            await _store(connection, batch_id, explained_by, new, key_id)
            after = [{"item": each.item, "flag": each.flag, "explanation": each.explanation} for each, _ in new]
            await batch_log.record(
                connection, batch_id, "flags_explained", people=[explained_by], key_id=key_id, after=after
            )
        flags = await read_flags(connection, batch_id)
    return json_response({"flags": flags, "unexplained": len(unexplained(flags))})


async def read_flags(connection: Connection, batch_id: str) -> list[dict[str, Any]]:
    """Every flag of the newest statistics with its explanation, or null."""
    newest = await connection.fetchrow(_queries.newest, batch_id)
    explained = {
        (row["paper_digest"], row["item"], row["flag"]): row
        for row in await connection.fetch(_queries.explanations_of, batch_id)
    }
    return [
        {
            "paper_digest": paper["paper_digest"],
            **flag,
            "explanation": _shown_explanation(explained.get((paper["paper_digest"], flag["item"], flag["flag"]))),
        }
        for paper in orjson.loads(newest["document"])["papers"]
        for flag in paper["flags"]
    ]


def unexplained(flags: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [flag for flag in flags if flag["severity"] == EXPLAIN and flag["explanation"] is None]


async def hold_back(connection: Connection, batch_id: str) -> None:
    """Raises Refused `batch.not_ready` naming flags that have to be explained before a release, TryLater as `settle`.

    Called in the release's transaction, which holds the batch: no result changes until it ends.
    """
    if not await connection.fetchval(_queries.could_have_flags, batch_id, FLAG_SITTINGS_MIN):
        return
    if not await settling.is_settled(connection, batch_id):
        raise TryLater("results have changed since their item statistics were counted", retry_after_s=settling.RETRY_S)
    if standing := unexplained(await read_flags(connection, batch_id)):
        named = [
            {"code": f"statistics.{flag['flag']}", "message": f"item {flag['item']}: {flag['flag']}, not explained"}
            for flag in standing
        ]
        raise Refused(
            "batch.not_ready",
            f"{len(standing)} flags of the item statistics of batch {batch_id!r} stand unexplained: "
            + ", ".join(f"{flag['item']} {flag['flag']}" for flag in standing[:_NAMED_MAX]),
            not_ready=named,
        )


# --- one explanation ------------------------------------------------------------------------------------------------
def _flag_of(each: Explanation, flags: Sequence[dict[str, Any]], faults: Faults) -> dict[str, Any] | None:
    found = [
        flag
        for flag in flags
        if (flag["item"], flag["flag"]) == (each.item, each.flag) and each.paper_digest in (None, flag["paper_digest"])
    ]
    if len(found) == 1:
        return found[0]
    if each.item and each.flag:
        message = "is flagged in several papers: say which, by `paper_digest`" if found else "is no flag of this batch"
        faults.add(each.pointer, message, f"{each.item} {each.flag}")
    return None


def _is_explained_so(flag: dict[str, Any], each: Explanation, explained_by: str) -> bool:
    known = flag["explanation"]
    return known is not None and (known["explanation"], known["explained_by"]) == (each.explanation, explained_by)


async def _store(
    connection: Connection,
    batch_id: str,
    explained_by: str,
    new: Sequence[tuple[Explanation, dict[str, Any]]],
    key_id: str,
) -> None:
    await connection.execute(
        _queries.insert_explanations,
        batch_id,
        [flag["paper_digest"] for _, flag in new],
        [each.item for each, _ in new],
        [each.flag for each, _ in new],
        [each.explanation for each, _ in new],
        explained_by,
        now_ms(),
        key_id,
    )


def _shown_explanation(row: Record | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {name: row[name] for name in ("explanation", "explained_by", "explained_ms")}
