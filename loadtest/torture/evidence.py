"""What the engine holds after a campaign: as it serves it, and as it lies in PostgreSQL. Collected, not judged.

Written to `evidence.json` beside the ledgers, so that `checker` needs neither engine nor network:
`{keys, batches: {id: batch}, results: {batch: [result]}, sittings: {id: sitting}}`; a sitting has `batch_id`,
`candidate_id`, `person` (code/ID number), `state`, `responses` and `history` (served), `stored` ([item, seq, value]),
`recorded` ([item, seq, value, saved_ms, generation, position]) and `events` ([kind, at_ms, epoch]).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import orjson

from loadtest.client import MachineClient
from loadtest.torture.field import Field
from loadtest.wire import Problem, Wire

AT_ONCE = 8
CONNECT_S = 30.0

SITTINGS = """
SELECT sitting_id, batch_id, candidate_id, admission_code || '/' || id_number AS person, sitting.state
FROM sitting JOIN batch USING (batch_id) WHERE batch_id = ANY ($1::text[])
"""
ROWS_OF = {
    "stored": "SELECT sitting_id, item, seq, value FROM response WHERE sitting_id = ANY ($1::text[])",
    "recorded": "SELECT sitting_id, item, seq, value, saved_ms, generation, position FROM response_history"
    " WHERE sitting_id = ANY ($1::text[]) ORDER BY generation, position, seq",
    "events": "SELECT sitting_id, kind, at_ms, epoch FROM sitting_event"
    " WHERE sitting_id = ANY ($1::text[]) ORDER BY generation, position",
}


async def collect(field: Field, batch_ids: list[str]) -> dict[str, Any]:
    """Ask the engine and PostgreSQL for everything about these batches. Raises Unreachable, OSError, asyncpg's own."""
    sittings = await _from_postgres(field.postgres_dsn(), batch_ids)
    async with Wire(field.url) as wire:
        scorer = MachineClient(wire, field.keys["results"])
        schedule = MachineClient(wire, field.keys["schedule"])
        evidence = {
            "keys": await scorer.public_keys(),
            "batches": {batch_id: await schedule.batch(batch_id) for batch_id in batch_ids},
            "results": {batch_id: await scorer.results_ndjson(batch_id) for batch_id in batch_ids},
            "sittings": sittings,
        }
        waiting = iter(sittings.items())
        await asyncio.gather(*(_pull_served(scorer, waiting) for _ in range(AT_ONCE)))
    return evidence


async def _from_postgres(dsn: str, batch_ids: list[str]) -> dict[str, dict[str, Any]]:
    connection = await asyncpg.connect(dsn, timeout=CONNECT_S)
    try:
        sittings = {row["sitting_id"]: dict(row) for row in await connection.fetch(SITTINGS, batch_ids)}
        for name, query in ROWS_OF.items():
            for sitting in sittings.values():
                sitting[name] = []
            for row in await connection.fetch(query, list(sittings)):
                sitting_id, *columns = _decoded(dict(row)).values()
                sittings[sitting_id][name].append(columns)
    finally:
        await connection.close()
    return sittings


def _decoded(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "value": orjson.loads(row["value"])} if "value" in row else row


async def _pull_served(scorer: MachineClient, waiting: Iterator[tuple[str, dict[str, Any]]]) -> None:
    for sitting_id, sitting in waiting:
        try:
            sitting["responses"] = await scorer.responses(sitting_id)
            sitting["history"] = await scorer.history(sitting_id)
        except Problem as problem:
            if problem.status != 404:
                raise
            sitting["responses"], sitting["history"] = {}, []  # the checker will say what is missing
