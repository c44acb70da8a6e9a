"""One HTTP call to the engine, as every client should make it: repeated when told `later`, else refused with reasons.

Python's standard library only. The address and the API key come from the environment: EXAM_URL, and EXAM_KEY or a file
named by EXAM_KEY_FILE (a key in the environment can be read by others on some systems).
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TIMEOUT_S = 60
ATTEMPTS = 8  # about two minutes of an engine that is away


class Refused(Exception):
    """The engine said no, and will say it again: `problem` is its RFC 9457 answer, with a stable `code`."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        lines = [f"{status} {problem.get('code', '')}: {problem.get('detail', '')}"]
        # A 422 lists every fault of what was sent, not the first: show them all to whoever has to mend it.
        for fault in problem.get("errors", []):
            place = fault.get("pointer") or f"row {fault.get('row')} column {fault.get('column')}"
            lines.append(f"  {place}: {fault.get('message')} (seen: {fault.get('value')!r})")
        lines += [f"  not ready: {what}" for what in problem.get("not_ready", [])]
        super().__init__("\n".join(lines))
        self.status = status
        self.problem = problem


def call(method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
    """The answer's body. Raises Refused; repeats on its own what the engine or the network could not do just now.

    That is safe for every call here: a PUT of the same content changes nothing, and so do repeated acts.
    """
    url = os.environ["EXAM_URL"].rstrip("/") + path
    request = urllib.request.Request(url, data=body, method=method)
    request.add_header("Authorization", f"Bearer {_key()}")
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as fault:
            if fault.code not in (429, 503) or attempt == ATTEMPTS:
                raise Refused(fault.code, _problem(fault.read())) from None
            pause_s = float(fault.headers.get("Retry-After") or 1)
        except OSError as fault:  # refused, reset, timed out: it may have been done, so do it again
            if attempt == ATTEMPTS:
                raise SystemExit(f"{url}: {fault}") from None
            pause_s = min(2.0**attempt / 4, 30)
        time.sleep(pause_s)
    raise AssertionError("unreachable")


def call_json(method: str, path: str, document: Any = None) -> Any:
    """The same with JSON both ways."""
    body = None if document is None else json.dumps(document, ensure_ascii=False).encode()
    return json.loads(call(method, path, body, Content_Type="application/json") or b"null")


def run(main: Any) -> None:
    """Run `main()`: exit 1 with the engine's reasons on stderr when it refuses, quietly on Ctrl-C."""
    try:
        main()
    except Refused as fault:
        sys.exit(str(fault))
    except KeyboardInterrupt:
        sys.exit(130)


def _key() -> str:
    file = os.environ.get("EXAM_KEY_FILE")
    return Path(file).read_text("utf-8").strip() if file else os.environ["EXAM_KEY"]


def _problem(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:  # a proxy in between answered
        found = {"detail": body[:200].decode("utf-8", "replace")}
    return found if isinstance(found, dict) else {"detail": repr(found)[:200]}
