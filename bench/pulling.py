"""Pulling: a batch with 100,000 results comes out as lines of JSON, as CSV and as a workbook.

A real engine with one worker on durable servers; the results are written into PostgreSQL, each as long as a real one.
Reading and counting is done by this process, which shares the machine.

`python -m bench.pulling` runs it alone.
"""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from bench.field import Field, field
from bench.grading import dsn_of
from bench.rows import BenchFault, Row, as_line, median
from bench.saving import Plan
from engine.scoring.result_files import CSV, NDJSON, XLSX
from engine.stores import postgres
from loadtest import usage

RESULTS = 100_000
BATCH_ID = "pulled"
SECTIONS = 4
TIMEOUT_S = 600
_READ_BYTES = 2**20
_SAMPLE_S = 0.02
_BATCH = (
    "INSERT INTO batch (batch_id, title, occupation, level, subject, kind, paper_id, admission_code, starts_ms,"
    " duration_s, rules, pushed_ms) VALUES ($1, 't', 'o', 3, 'theory', 'mock', $2, 'PULL', 0, 1, '{}', 0)"
)
_SITTINGS = (
    "INSERT INTO sitting (sitting_id, batch_id, partition, candidate_id, name, id_number, admission_ticket, site, room,"
    " seat, extra_time_s, state, is_graded) SELECT 'pulled-' || n, $1, 0, 'C' || n, 'n', 'D' || n,"
    " (31000000000000 + n)::text, 's', 'r', '', 0, 'submitted', true FROM generate_series(1, $2::integer) AS n"
)
_RESULTS = (
    "INSERT INTO result SELECT 'pulled-' || n, 1, $1, 'graded', replace(replace(replace($3, 'SITTING', 'pulled-' || n),"
    " 'CANDIDATE', 'C' || n), 'TICKET', (31000000000000 + n)::text), '{}', 0, n"
    " FROM generate_series(1, $2::integer) AS n"
)


def pulling(on: Field, plan: Plan) -> list[Row]:
    """For `./run bench`."""
    asyncio.run(_fill(on))
    lines = [_pulled(on, NDJSON) for _ in range(plan.rounds)]
    tables = [_pulled(on, CSV) for _ in range(plan.rounds)]
    with _growth(on) as grown:
        _pulled(on, NDJSON)
        _pulled(on, CSV)
    with _growth(on) as grown_by_workbook:
        workbook_s = RESULTS / _pulled(on, XLSX)
    return [
        Row("pulling_lines_per_s", median(lines), "results/s"),
        Row("pulling_csv_per_s", median(tables), "results/s"),
        Row("pulling_worker_mib", max(grown), "MiB", "the most it grew by during lines and CSV"),
        Row("pulling_workbook_s", workbook_s, "s"),
        Row("pulling_workbook_worker_mib", max(grown_by_workbook), "MiB"),
    ]


async def _fill(on: Field) -> None:
    on.exam("pulling_paper", 1, enter=False)  # brings a paper that the batch may name
    sections = [{"id": f"S{number}", "score": 12.5, "points": 25} for number in range(SECTIONS)]
    template = {
        "sitting_id": "SITTING",
        "candidate_id": "CANDIDATE",
        "admission_ticket": "TICKET",
        "state": "graded",
        "score": 66.67,
        "passed": True,
        "sections": sections,
        "graded_ms": 1_763_773_200_000,
        "revision": 1,
        "paper_digest": "d" * 64,
        "answer_key_digest": "e" * 64,
        "signature": "s" * 86,
    }
    connection = await postgres.connect(dsn_of(on), command_timeout=TIMEOUT_S)
    try:
        paper_id = await connection.fetchval("SELECT paper_id FROM paper LIMIT 1")
        await connection.execute(_BATCH, BATCH_ID, paper_id)
        await connection.execute(_SITTINGS, BATCH_ID, RESULTS)
        await connection.execute(_RESULTS, BATCH_ID, RESULTS, orjson.dumps(template).decode())
        await connection.execute("ANALYZE result")
    finally:
        await connection.close()


def _pulled(on: Field, media_type: str) -> float:
    """Results per second, from the request to the last byte. Raises BenchFault when some are missing."""
    line = http.client.HTTPConnection("127.0.0.1", on.engine.port, timeout=TIMEOUT_S)
    headers = {"authorization": f"Bearer {on.engine.keys['results']}", "accept": media_type}
    began_s = time.monotonic()
    line.request("GET", f"/v1/batches/{BATCH_ID}/results", headers=headers)
    reply = line.getresponse()
    rows = octets = 0
    while part := reply.read1(_READ_BYTES):
        rows += part.count(b"\n")
        octets += len(part)
    seconds = time.monotonic() - began_s
    line.close()
    if reply.status != 200 or octets < RESULTS or (media_type == NDJSON and rows != RESULTS):
        raise BenchFault(f"{reply.status} with {octets} bytes and {rows} lines as {media_type}")
    return RESULTS / seconds


@contextmanager
def _growth(on: Field) -> Iterator[list[float]]:
    """By how many MiB the worker grew while the body ran, sampled."""
    pid = on.engine.processes["worker-0"]
    before = usage.resident_kib(pid)
    grown: list[float] = [0.0]
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(_SAMPLE_S):
            grown.append((usage.resident_kib(pid) - before) / 1024)

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield grown
    finally:
        stop.set()
        sampler.join()


def main() -> None:
    """The measure alone, told in lines."""
    with field() as on:
        for row in pulling(on, Plan(seconds=1, connections=1, sittings=1, rounds=3, minutes=1)):
            print(as_line(row))


if __name__ == "__main__":
    main()
