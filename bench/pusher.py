"""A scheduling system in a process of its own: pushes what a file lists, one call after another, at a steady pace.

    python -m bench.pusher PORT FILE PER_S

FILE has one JSON object per line: method, path, key, body (text). It says `ready`, waits for a byte, and then prints
one JSON object: seconds from the first call to the last answer, the longest call, and what was refused. Only the
standard library: whatever it costs is not the engine's, and bodies are made beforehand.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from pathlib import Path
from typing import Any

TIMEOUT_S = 120.0


def push(port: int, calls: list[dict[str, Any]], per_s: float) -> dict[str, Any]:
    """Call by call; a call is due at its instant, and begins later when the one before took longer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection.connect()
    slowest_s, fault = 0.0, ""
    began_s = time.monotonic()
    for number, call in enumerate(calls):
        time.sleep(max(0.0, began_s + number / per_s - time.monotonic()))
        sent_s = time.monotonic()
        headers = {"authorization": f"Bearer {call['key']}", "content-type": "application/json"}
        connection.request(call["method"], call["path"], call["body"], headers)
        answer = connection.getresponse()
        said = answer.read()
        slowest_s = max(slowest_s, time.monotonic() - sent_s)
        if answer.status >= 300:
            fault = f"{call['method']} {call['path']}: {answer.status} {said[:300]!r}"
            break
    connection.close()
    return {"seconds": time.monotonic() - began_s, "slowest_s": slowest_s, "fault": fault}


def main(port: str, file: str, per_s: str) -> None:
    calls = [json.loads(line) for line in Path(file).read_text("utf-8").splitlines()]
    for call in calls:
        call["body"] = call["body"].encode()
    print("ready", flush=True)
    sys.stdin.read(1)
    print(json.dumps(push(int(port), calls, float(per_s))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
