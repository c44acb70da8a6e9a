"""Grading: so many handed-in sittings of one batch at once; how long until each has its signed, published result.

A real engine on durable servers, its own grader process. The batch is pushed and armed over the API; responses to every
item and the hand-ins are written into PostgreSQL as a recorder would, because 50,000 candidates saving everything would
take the bench half an hour. The clock runs from the commit that closes all sittings.

`python -m bench.grading --sittings 50000` runs it alone.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Iterator
from typing import Any

import orjson

from bench.field import Field, field
from bench.rows import BenchFault, Row, as_line
from bench.saving import Plan
from engine.stores import postgres
from engine.supervision import embedded
from loadtest.answers import guess

SITTINGS = 50_000
GRADED_WITHIN_S = 900.0
POLL_S = 0.1
PATTERNS = 500  # whole answered papers that are dealt out: as in an exam, most responses are alike
COPIED_AT_ONCE = 2_000  # sittings
COPY_TIMEOUT_S = 600
_CLOSE = "UPDATE sitting SET state = 'submitted', closed_ms = $2 WHERE batch_id = $1"
_LEFT = "SELECT count(*) FROM sitting WHERE batch_id = $1 AND NOT is_graded"
_PUBLISHED = "SELECT count(*), count(DISTINCT publication) FROM result WHERE batch_id = $1 AND state = 'graded'"


def grading(on: Field, _: Plan) -> list[Row]:
    """For `./run bench --full`."""
    found = measure_on(on, SITTINGS)
    return [
        Row("grading_50000_s", found["seconds"], "s"),
        Row("grading_per_s", found["per_s"], "sittings/s"),
        Row("grading_grader_cpu_us", found["grader_cpu_us"], "us"),
        Row("grading_postgres_cpu_us", found["postgres_cpu_us"], "us"),
    ]


def measure_on(on: Field, sittings: int) -> dict[str, Any]:
    """Seconds, sittings/s and CPU per sitting. Raises BenchFault."""
    exam = on.exam("grading", sittings, enter=False)
    return asyncio.run(_measure(on, exam.batch_id, sittings))


async def _measure(on: Field, batch_id: str, sittings: int) -> dict[str, Any]:
    connection = await postgres.connect(dsn_of(on), command_timeout=COPY_TIMEOUT_S)
    try:
        rows = await connection.fetch("SELECT sitting_id FROM sitting WHERE batch_id = $1", batch_id)
        sitting_ids = [row["sitting_id"] for row in rows]
        await _answer(connection, on, sitting_ids)
        await connection.execute("ANALYZE response")
        before = on.cpu()
        await connection.execute(_CLOSE, batch_id, int(time.time() * 1000))
        began_s = time.monotonic()
        while left := await connection.fetchval(_LEFT, batch_id):
            if time.monotonic() - began_s > GRADED_WITHIN_S:
                raise BenchFault(f"after {GRADED_WITHIN_S:.0f} s {left} of {sittings} are not graded")
            await asyncio.sleep(POLL_S)
        seconds = time.monotonic() - began_s
        spent = {role: used - before.get(role, 0.0) for role, used in on.cpu().items()}
        graded, published = await connection.fetchrow(_PUBLISHED, batch_id)
        if (graded, published) != (sittings, sittings):
            raise BenchFault(f"{graded} results and {published} in the feed for {sittings} sittings")
    finally:
        await connection.close()
    return {
        "seconds": seconds,
        "per_s": sittings / seconds,
        "grader_cpu_us": spent.get("grader", 0.0) / sittings * 1e6,
        "postgres_cpu_us": spent.get("PostgreSQL", 0.0) / sittings * 1e6,
    }


async def _answer(connection: Any, on: Field, sitting_ids: list[str]) -> None:
    items = [item for section in on.paper["sections"] for item in section["items"]]
    patterns = [[(item["id"], orjson.dumps(guess(item, on.dice)).decode()) for item in items] for _ in range(PATTERNS)]
    for first in range(0, len(sitting_ids), COPIED_AT_ONCE):
        chunk = sitting_ids[first : first + COPIED_AT_ONCE]
        await connection.copy_records_to_table("response", records=_responses(chunk, patterns, on.dice))


def _responses(
    sitting_ids: list[str], patterns: list[list[tuple[str, str]]], dice: random.Random
) -> Iterator[tuple[str, str, int, str, int]]:
    for sitting_id in sitting_ids:
        for seq, (item, value) in enumerate(dice.choice(patterns), 1):
            yield sitting_id, item, seq, value, 0


def dsn_of(on: Field) -> str:
    """The field's PostgreSQL, as its owner."""
    sockets = embedded.socket_folder(on.engine.data)
    return embedded.postgres_dsn(embedded.prepare_sockets_for_postgres(sockets))


def main() -> None:
    """The measure alone, told in lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sittings", type=int, default=SITTINGS, metavar="N")
    chosen = parser.parse_args()
    with field() as on:
        found = measure_on(on, chosen.sittings)
    print(as_line(Row(f"grading_{chosen.sittings}_s", found["seconds"], "s")))
    print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
