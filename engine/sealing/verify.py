"""Checks a receipt or a result offline: the document, the published keys, nothing else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from engine.rules import exact_json
from engine.rules.errors import Refused
from engine.sealing import signature

_REQUIRED = {
    "receipt": ("sitting_id", "batch_id", "state", "submitted_ms", "answered", "items", "digest", "key_id"),
    "result": (
        "sitting_id",
        "candidate_id",
        "state",
        "score",
        "passed",
        "revision",
        "paper_digest",
        "answer_key_digest",
    ),
}


def main(kind: str, file: str, keys_file: str) -> int:
    """0 when valid, 1 when not; says on stderr which and why."""
    try:
        document = _read(file)
        keys = _read(keys_file)["keys"]
    except (OSError, Refused, KeyError, TypeError) as fault:
        print(f"not valid: {fault}", file=sys.stderr)
        return 1
    missing = [name for name in _REQUIRED[kind] if not isinstance(document, dict) or name not in document]
    if missing:
        print(f"not valid: {file} is no {kind}, it lacks {', '.join(missing)}", file=sys.stderr)
        return 1
    if not isinstance(keys, list) or not signature.is_valid(document, [key for key in keys if isinstance(key, dict)]):
        print(f"not valid: no key of {keys_file} signed this {kind} as it stands", file=sys.stderr)
        return 1
    print(f"valid: {kind} of sitting {document['sitting_id']}", file=sys.stderr)
    return 0


def _read(file: str) -> Any:
    return exact_json.decode(Path(file).read_bytes())
