"""A scheduling system's side, start to end: push a paper, a batch and its roster, arm, watch.

    export EXAM_URL=https://exam.example EXAM_KEY_FILE=schedule.key      # an API key of scope `schedule`
    python3 scheduling.py push P1 paper.json B1 batch.json roster.csv
    python3 scheduling.py arm B1 王五 赵六
    python3 scheduling.py watch B1

Everything may be run again: what is there already is left as it is, and a 422 names every fault at once.
"""

# ruff: noqa: T201 (a client for the command line talks to people)
from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from calls import call, call_json, run

# The engine looks at the content; the type only says what is meant.
ROSTER_TYPES = {
    ".json": "application/json",
    ".ndjson": "application/x-ndjson",
    ".csv": "text/csv",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xls": "application/vnd.ms-excel",
}
WATCH_EVERY_S = 2.0
FINAL_STATES = ("graded",)


def push(paper_id: str, paper_file: str, batch_id: str, batch_file: str, roster_file: str) -> None:
    """Paper, then batch, then roster: each needs the one before."""
    paper = call_json("PUT", f"/v1/papers/{paper_id}", _document(paper_file))
    print(f"paper {paper_id}: {paper['items']} items, {paper['points']} points, digest {paper['digest']}")
    batch = {**_document(batch_file), "paper_id": paper_id}
    call_json("PUT", f"/v1/batches/{batch_id}", batch)
    print(f"batch {batch_id}: pushed")
    roster = Path(roster_file)
    counts = json.loads(
        call(
            "PUT",
            f"/v1/batches/{batch_id}/roster",
            roster.read_bytes(),
            Content_Type=ROSTER_TYPES[roster.suffix.lower()],
        )
    )
    print(f"roster of {batch_id}: {counts['accepted']} accepted, {counts['added']} new, {counts['removed']} removed")


def arm(batch_id: str, *witnesses: str) -> None:
    """From here on the exam runs by itself; a 409 lists what is not ready."""
    call_json("POST", f"/v1/batches/{batch_id}/arm", {"witnesses": list(witnesses)})
    print(f"batch {batch_id}: armed before {' and '.join(witnesses)}")


def watch(batch_id: str) -> None:
    """One line whenever something changes, until every sitting has its result."""
    told = ""
    while True:
        batch = call_json("GET", f"/v1/batches/{batch_id}")
        counts = " ".join(f"{name}={count}" for name, count in batch["counts"].items() if count)
        line = f"{batch_id} {batch['state']}: {counts}"
        if line != told:
            print(line, flush=True)
            told = line
        if batch["state"] in FINAL_STATES:
            return
        time.sleep(WATCH_EVERY_S)


def _document(file: str) -> dict[str, object]:
    found = json.loads(Path(file).read_text("utf-8"))
    if not isinstance(found, dict):
        sys.exit(f"{file}: expected one JSON object")
    return found


def main() -> None:
    commands = {"push": (push, 5, 5), "arm": (arm, 3, 3), "watch": (watch, 1, 1)}
    name, *arguments = sys.argv[1:] or [""]
    chosen, least, most = commands.get(name, (None, 0, 0))
    if chosen is None or not least <= len(arguments) <= most:
        sys.exit(__doc__)
    chosen(*arguments)


if __name__ == "__main__":
    run(main)
