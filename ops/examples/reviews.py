"""An evaluation system's side of score reviews (成绩复核): file one for a candidate, follow it to its answer, print it.

    export EXAM_URL=https://exam.example EXAM_KEY_FILE=results.key       # an API key of scope `results`
    python3 reviews.py file SITTING_ID missed_marks,tally "总分与估算不一致" receipt.json  # last two: if any
    python3 reviews.py follow SITTING_ID                                 # until it is answered; tells what was found
    python3 reviews.py answer SITTING_ID 李四 "经核查,成绩无误"            # by whoever is to answer it
    python3 reviews.py report SITTING_ID > report.html                   # to be read, printed and signed
    python3 reviews.py open BATCH_ID                                     # what is still to be answered, and by when

A review is filed while the score is published. Filed again, or answered again, it is the same one. It changes no score.
"""

# ruff: noqa: T201 (a client for the command line talks to people)
from __future__ import annotations

import datetime
import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from calls import call, call_json, run

FOLLOW_EVERY_S = 2.0
CHINA = datetime.timezone(datetime.timedelta(hours=8))


def file(sitting_id: str, grounds: str, text: str = "", receipt_file: str = "") -> None:
    """Grounds are of missed_marks, tally, registration, violations; a receipt is laid beside what is on record."""
    asked: dict[str, Any] = {"grounds": grounds.split(","), "text": text}
    if receipt_file:
        asked["receipt"] = json.loads(Path(receipt_file).read_text("utf-8"))
    review = call_json("POST", _path(sitting_id), asked)
    print(f"filed: revision {review['revision']} of {sitting_id}, to be answered before {_moment(review['due_ms'])}")


def follow(sitting_id: str) -> None:
    """One line for each step, and one for each thing that was found."""
    told = ""
    while True:
        review = call_json("GET", _path(sitting_id))
        if review["state"] != told:
            told = review["state"]
            print(f"{told}: revision {review['revision']}, score {review['result']['score']}", flush=True)
            for finding in review["findings"] or ():
                print(f"  {'ok' if finding['ok'] else 'DIFFERS'} {finding['check']}: {finding['detail']}", flush=True)
        if review["answer"] is not None:
            print(f"answered by {review['answer']['answered_by']}: {review['answer']['text']}")
            return
        time.sleep(FOLLOW_EVERY_S)


def answer(sitting_id: str, answered_by: str, text: str) -> None:
    """Of the newest review; a 409 says that the recheck is not done yet, or that another answer stands."""
    review = call_json("POST", f"{_path(sitting_id)}/answer", {"answered_by": answered_by, "text": text})
    print(f"answered: {sitting_id} at {_moment(review['answer']['answered_ms'])}")


def report(sitting_id: str) -> None:
    sys.stdout.buffer.write(call("GET", f"{_path(sitting_id)}?format=html"))


def open_ones(batch_id: str) -> None:
    """Page by page: `next` is null at the end."""
    after = "0"
    while after is not None:
        page = call_json("GET", f"/v1/batches/{quote(batch_id)}/reviews?limit=500&after={after}")
        for review in page["reviews"]:
            if review["state"] != "answered":
                late = " OVERDUE" if review["is_overdue"] else ""
                print(f"{review['sitting_id']} {review['state']}, before {_moment(review['due_ms'])}{late}")
        after = page["next"]


def _path(sitting_id: str) -> str:
    return f"/v1/sittings/{quote(sitting_id)}/review"


def _moment(instant_ms: int) -> str:
    return datetime.datetime.fromtimestamp(instant_ms / 1000, CHINA).strftime("%Y-%m-%d %H:%M")


def main() -> None:
    commands = {
        "file": (file, 2, 4),
        "follow": (follow, 1, 1),
        "answer": (answer, 3, 3),
        "report": (report, 1, 1),
        "open": (open_ones, 1, 1),
    }
    name, *arguments = sys.argv[1:] or [""]
    chosen, least, most = commands.get(name, (None, 0, 0))
    if chosen is None or not least <= len(arguments) <= most:
        sys.exit(__doc__)
    chosen(*arguments)


if __name__ == "__main__":
    run(main)
