"""Closing: all sittings of a batch end at one instant; how long until they are collected, and until they are graded.

A real engine on durable servers; every sitting has answered every item through the save path. At the end plus grace
nothing is asked of the engine any more: it has to see by itself. The grader may be killed in the middle. Afterwards
each sitting must have exactly one result with a valid signature, and all of them must be in the feed.

`python -m bench.closing --sittings 5000 [--kill]` runs it alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import time
from typing import Any

import orjson

from bench.field import Exam, Field, field
from bench.rows import BenchFault, Row, as_line
from bench.saving import Plan
from engine.sealing.signature import ALGORITHM, is_valid
from engine.stores import postgres
from engine.supervision import embedded
from loadtest.answers import guess
from loadtest.client import MachineClient

GRACE_S = 5
ENDED_WITHIN_S = 300.0
POLL_S = 0.02
# To log everybody in and save everything before the end, on a slow machine.
SETUP_S = 40
SETUP_PER_SITTING_S = 0.03

_COUNTS = (
    "SELECT count(*) FILTER (WHERE state = 'collected') AS collected, count(*) FILTER (WHERE is_graded) AS graded"
    " FROM sitting WHERE batch_id = $1"
)
_RESULTS = "SELECT sitting_id, state, document, publication FROM result WHERE batch_id = $1 ORDER BY publication"


def closing(on: Field, plan: Plan) -> list[Row]:
    """For `./run bench`: with a grader killed in the middle."""
    found = measure_on(on, plan.sittings, kills_grader=True)
    return [
        Row("closing_collected_s", found["collected_s"], "s"),
        Row("closing_graded_s", found["graded_s"], "s"),
    ]


def measure(sittings: int, *, kills_grader: bool = False) -> dict[str, Any]:
    """On an engine of its own; see `measure_on`."""
    with field() as on:
        return measure_on(on, sittings, kills_grader=kills_grader)


def measure_on(on: Field, sittings: int, *, kills_grader: bool = False) -> dict[str, Any]:
    """Seconds from end + grace until PostgreSQL holds all as collected, and all as graded. Raises BenchFault."""
    duration_s = int(SETUP_S + sittings * SETUP_PER_SITTING_S)
    exam = on.exam("closing", sittings, duration_s=duration_s, grace_s=GRACE_S, latest_entry_s=duration_s)
    answer_everything(on, exam)
    closes_s = exam.starts_ms / 1000 + duration_s + GRACE_S
    if time.time() > closes_s - 2:
        raise BenchFault(f"{sittings} sittings could not be filled within {duration_s} s")
    cpu_before = on.cpu()
    seconds, killed = asyncio.run(_watch(on, exam, closes_s, kills_grader))
    cpu_s = {role: spent - cpu_before.get(role, 0.0) for role, spent in on.cpu().items()}
    results, faults = asyncio.run(_inspect(on, exam))
    if faults:
        raise BenchFault("; ".join(faults))
    return {**seconds, "sittings": sittings, "results": results, "grader_killed": killed, "cpu_s": cpu_s}


def answer_everything(on: Field, exam: Exam) -> None:
    """One call per sitting with a guess at every item, until PostgreSQL has it all."""
    items = [item for section in on.paper["sections"] for item in section["items"]]
    bodies = [_call(items, on.dice) for _ in range(20)]
    load, _ = on.send([("/v1/sitting/responses", token, on.dice.choice(bodies)) for token in exam.tokens])
    if load.refused or load.counted != len(exam.tokens):
        raise BenchFault(f"{load.counted} of {len(exam.tokens)} could save: {load.fault}")
    on.drained()


def _call(items: list[dict[str, Any]], dice: random.Random) -> str:
    changes = [{"item": item["id"], "seq": seq, "value": guess(item, dice)} for seq, item in enumerate(items, 1)]
    return orjson.dumps({"changes": changes}).decode()


async def _watch(on: Field, exam: Exam, closes_s: float, kills_grader: bool) -> tuple[dict[str, float], bool]:
    connection = await postgres.connect(_dsn(on))
    try:
        await asyncio.sleep(closes_s - time.time())
        collected_s, killed = 0.0, False
        while True:
            row = await connection.fetchrow(_COUNTS, exam.batch_id)
            after_s = time.time() - closes_s
            if row["collected"] == len(exam.roster) and not collected_s:
                collected_s = after_s
            if row["graded"] == len(exam.roster):
                return {"collected_s": collected_s, "graded_s": after_s}, killed
            if kills_grader and not killed and row["graded"]:
                os.kill(on.engine.processes["grader-0"], signal.SIGKILL)
                killed = True
            if after_s > ENDED_WITHIN_S:
                raise BenchFault(f"after {after_s:.0f} s {row['collected']} are collected and {row['graded']} graded")
            await asyncio.sleep(POLL_S)
    finally:
        await connection.close()


async def _inspect(on: Field, exam: Exam) -> tuple[int, list[str]]:
    """How many results there are, and what is wrong with them."""
    async with MachineClient(on.engine.url, on.engine.keys["results"]) as client:
        public = await client.public_keys()
    keys = [{"key_id": key_id, "algorithm": ALGORITHM, "public_key": text} for key_id, text in public.items()]
    connection = await postgres.connect(_dsn(on))
    try:
        rows = await connection.fetch(_RESULTS, exam.batch_id)
        pending = await connection.fetchval("SELECT count(*) FROM result WHERE publication IS NULL")
    finally:
        await connection.close()
    faults = []
    if len({row["sitting_id"] for row in rows}) != len(rows) or len(rows) != len(exam.roster):
        faults.append(f"{len(rows)} results for {len(exam.roster)} sittings")
    if pending:
        faults.append(f"{pending} results are not in the feed")
    unsigned = sum(not is_valid(orjson.loads(row["document"]), keys) for row in rows)
    if unsigned:
        faults.append(f"{unsigned} results have no valid signature")
    return len(rows), faults


def _dsn(on: Field) -> str:
    sockets = embedded.socket_folder(on.engine.data)
    return embedded.postgres_dsn(embedded.prepare_sockets_for_postgres(sockets))


def main() -> None:
    """The measure alone, told in lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sittings", type=int, default=5_000, metavar="N")
    parser.add_argument("--kill", action="store_true", help="kill the grader in the middle")
    chosen = parser.parse_args()
    found = measure(chosen.sittings, kills_grader=chosen.kill)
    for name in ("collected_s", "graded_s"):
        print(as_line(Row(f"closing_{name}", found[name], "s")))
    print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
