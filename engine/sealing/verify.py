"""Checks a receipt or a result offline: the document, the published keys, nothing else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from engine.rules import exact_json
from engine.rules.errors import Refused
from engine.sealing import signature

REQUIRED = {
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


class NotKeys(Exception):
    """A file that holds no published keys, and why."""


def main(kind: str, file: str, keys_file: str) -> int:
    """0 when valid, 1 when not; says on stderr which and why."""
    try:
        document, keys = _read(file), read_keys(keys_file)
    except (OSError, Refused, NotKeys) as fault:
        print(f"not valid: {fault.detail if isinstance(fault, Refused) else fault}", file=sys.stderr)
        return 1
    missing = [name for name in REQUIRED[kind] if not isinstance(document, dict) or name not in document]
    if missing:
        one = " (one element of `results` is meant)" if kind == "result" else ""
        print(f"not valid: {file} is no {kind}{one}, it lacks {', '.join(missing)}", file=sys.stderr)
        return 1
    if not signature.is_valid(document, keys):
        print(f"not valid: no key of {keys_file} signed this {kind} as it stands", file=sys.stderr)
        return 1
    print(f"valid: {kind} of sitting {document['sitting_id']}", file=sys.stderr)
    return 0


def read_keys(keys_file: str) -> list[dict[str, Any]]:
    """The entries of a reply of GET /v1/keys. Raises NotKeys."""
    try:
        published = _read(keys_file)
    except (OSError, Refused) as fault:
        raise NotKeys(fault.detail if isinstance(fault, Refused) else str(fault)) from None
    keys = published.get("keys") if isinstance(published, dict) else None
    if not isinstance(keys, list):
        raise NotKeys(f"{keys_file} is no reply of GET /v1/keys")
    return [key for key in keys if isinstance(key, dict)]


def _read(file: str) -> Any:
    try:
        return exact_json.decode(Path(file).read_bytes())
    except Refused as fault:
        raise Refused(fault.code, f"{file}: {fault.detail.replace('the body', 'the file')}") from None
