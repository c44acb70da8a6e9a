"""Rosters of 50,000 candidates as clerks send them, pushed over the API: how long, and how much memory it takes.

A real engine with one worker on durable servers. The push is one call: the table is read by the worker's reader,
checked, compared, written in one transaction and answered. Then one with a fault in each third row comes back marked.

`python -m bench.rostering` runs it alone.
"""

from __future__ import annotations

import csv
import http.client
import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import xlsxwriter

from bench.field import Field, field
from bench.rows import BenchFault, Row, as_line, median
from bench.saving import Plan
from loadtest import usage

CANDIDATES = 50_000
FAULTY_EVERY = 3
TIMEOUT_S = 300
_DAYS_AHEAD_S = 60 * 86_400
_SAMPLE_S = 0.02
_HEADINGS = ("姓名", "身份证号", "准考证号", "考点", "考场", "座位号")
_FIELDS = ("name", "id_number", "admission_ticket", "site", "room", "seat")


def rostering(on: Field, plan: Plan) -> list[Row]:
    """For `./run bench`."""
    on.exam("rostering_paper", 1, enter=False)  # brings a paper that batches may name
    rows = [[str(row[name]) for name in _FIELDS] for row in on.fresh_roster(CANDIDATES)]
    workbook, text = _workbook(rows), _text(rows)
    faulty = _workbook([[*row[:5], "1"] if place % FAULTY_EVERY == 0 else row for place, row in enumerate(rows)])
    times: dict[str, list[float]] = {"xlsx": [], "csv": []}
    with _peaks(on) as peaks:
        for number in range(plan.rounds):
            for kind, body in (("xlsx", workbook), ("csv", text)):
                times[kind].append(_pushed(on, f"{kind}-{number}", number * 2 + (kind == "csv"), body))
        marked_s = _pushed(on, "marked", plan.rounds * 2, faulty, "?format=xlsx", 422)
    return [
        Row("roster_xlsx_50000_s", median(times["xlsx"]), "s"),
        Row("roster_csv_50000_s", median(times["csv"]), "s"),
        Row("roster_marked_50000_s", marked_s, "s", f"a fault in each of {CANDIDATES // FAULTY_EVERY} rows"),
        Row("roster_worker_mib", peaks["worker"], "MiB", "the most it grew by"),
        Row("roster_reader_mib", peaks["reader"], "MiB", "the most that reading one roster held"),
    ]


def _pushed(on: Field, name: str, slot: int, body: bytes, query: str = "", status: int = 200) -> float:
    """Seconds of the one call. Raises BenchFault when it is answered otherwise than it should be."""
    batch: dict[str, Any] = {"title": name, "occupation": "测量", "level": 3, "subject": "theory", "kind": "mock"}
    batch |= {"paper_id": "bench", "admission_code": f"ROSTER{slot}", "duration_s": 5400}
    batch["starts_ms"] = int(time.time() + _DAYS_AHEAD_S + slot * 86_400) * 1000
    _call(on, f"/v1/batches/{name}", orjson.dumps(batch), 201)
    began_s = time.monotonic()
    answer = _call(on, f"/v1/batches/{name}/roster{query}", body, status)
    seconds = time.monotonic() - began_s
    if status == 200 and orjson.loads(answer)["added"] != CANDIDATES:
        raise BenchFault(f"of {CANDIDATES} candidates: {answer[:200]!r}")
    return seconds


def _call(on: Field, path: str, body: bytes, status: int) -> bytes:
    line = http.client.HTTPConnection("127.0.0.1", on.engine.port, timeout=TIMEOUT_S)
    try:
        line.request("PUT", path, body, {"authorization": f"Bearer {on.engine.keys['schedule']}"})
        reply = line.getresponse()
        answer = reply.read()
    finally:
        line.close()
    if reply.status != status:
        raise BenchFault(f"{path}: {reply.status} {answer[:300]!r}")
    return answer


def _workbook(rows: list[list[str]]) -> bytes:
    written = io.BytesIO()
    with xlsxwriter.Workbook(written, {"in_memory": True}) as book:
        page = book.add_worksheet()
        for number, cells in enumerate([list(_HEADINGS), *rows]):
            for column, cell in enumerate(cells):
                page.write_string(number, column, cell)
    return written.getvalue()


def _text(rows: list[list[str]]) -> bytes:
    written = io.StringIO(newline="")
    csv.writer(written).writerows([_HEADINGS, *rows])
    return written.getvalue().encode("gb18030")


@contextmanager
def _peaks(on: Field) -> Iterator[dict[str, float]]:
    """MiB while the body ran, sampled: by how much the worker grew, and the largest process below it."""
    pid = on.engine.processes["worker-0"]
    before = usage.resident_kib(pid)
    peaks = {"worker": 0.0, "reader": 0.0}
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(_SAMPLE_S):
            peaks["worker"] = max(peaks["worker"], (usage.resident_kib(pid) - before) / 1024)
            peaks["reader"] = max(peaks["reader"], usage.largest_below_kib(pid) / 1024)

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield peaks
    finally:
        stop.set()
        sampler.join()


def main() -> None:
    """The measure alone, told in lines."""
    with field() as on:
        for row in rostering(on, Plan(seconds=1, connections=1, sittings=1, rounds=2, minutes=1)):
            print(as_line(row))


if __name__ == "__main__":
    main()
