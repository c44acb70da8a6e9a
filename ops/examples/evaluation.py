"""An evaluation system's side: results by page, the feed with a cursor that survives, and what lies behind a score.

    export EXAM_URL=https://exam.example EXAM_KEY_FILE=results.key       # an API key of scope `results`
    python3 evaluation.py results B1 > results.ndjson
    python3 evaluation.py follow cursor.txt inbox.ndjson --once          # without --once it goes on for ever
    python3 evaluation.py responses SITTING_ID
    python3 evaluation.py history SITTING_ID
    python3 evaluation.py keys > keys.json                               # what `verify.mjs` and `./run verify` need

A result stands on one line as it was signed. (sitting_id, revision) says which it is; a higher revision replaces it.
"""

# ruff: noqa: T201 (a client for the command line talks to people)
from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from calls import call_json, run

PAGE = 500
FOLLOW_EVERY_S = 5.0


def results(batch_id: str) -> None:
    """All results of one batch, page by page: `next` is null at the end."""
    after = ""
    while after is not None:
        page = call_json("GET", f"/v1/batches/{quote(batch_id)}/results?limit={PAGE}&after={after}")
        for result in page["results"]:
            print(_line(result))
        after = page["next"]


def follow(cursor_file: str, inbox_file: str, *options: str) -> None:
    """Results of every batch as they are published, from where the last run stopped.

    First the results are on disk, then the cursor moves: whatever dies in between, the same page comes again and
    nothing is missed. Who reads the inbox passes over what it knows by (sitting_id, revision).
    """
    cursor = Path(cursor_file)
    while True:
        after = cursor.read_text("ascii").strip() if cursor.exists() else ""
        page = call_json("GET", f"/v1/results?limit={PAGE}&after={after}")
        if page["results"]:
            _append(Path(inbox_file), "".join(_line(result) + "\n" for result in page["results"]))
        if page["next"] != after:
            _replace(cursor, page["next"])
        if not page["results"]:
            if "--once" in options:
                return
            time.sleep(FOLLOW_EVERY_S)


def responses(sitting_id: str) -> None:
    """What the candidate answered last, and what each answer earned."""
    for item, response in call_json("GET", f"/v1/sittings/{quote(sitting_id)}/responses")["responses"].items():
        print(item, _line(response))


def history(sitting_id: str) -> None:
    """Every change that was accepted, in its order."""
    for change in call_json("GET", f"/v1/sittings/{quote(sitting_id)}/history")["history"]:
        print(_line(change))


def keys() -> None:
    """The public keys; keep a copy, so that results can be checked when the engine is gone."""
    print(json.dumps(call_json("GET", "/v1/keys"), indent=1))


def _line(document: Any) -> str:
    # Python reads and writes a double with the same digits, so what was signed stays what was signed.
    return json.dumps(document, ensure_ascii=False)


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, text: str) -> None:
    """All or nothing: a cursor that is half written would be none."""
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def main() -> None:
    commands = {
        "results": (results, 1, 1),
        "follow": (follow, 2, 3),
        "responses": (responses, 1, 1),
        "history": (history, 1, 1),
        "keys": (keys, 0, 0),
    }
    name, *arguments = sys.argv[1:] or [""]
    chosen, least, most = commands.get(name, (None, 0, 0))
    if chosen is None or not least <= len(arguments) <= most:
        sys.exit(__doc__)
    chosen(*arguments)


if __name__ == "__main__":
    run(main)
