"""The one place where an answer key is opened: by the grader's process, and only the key that was asked for."""

from __future__ import annotations

from typing import Any

from engine.rules import exact_json
from engine.rules.errors import Corrupt
from engine.sealing.answer_key import changes_place, open_answer_key
from engine.sealing.envelope import SealBroken


def open_pinned(envelope: bytes, paper_digest: str, answer_key_digest: str, grader_key: bytes) -> dict[str, Any]:
    """The answer key as JSON. Raises Corrupt when this grader cannot open it, or it is not the one pinned."""
    try:
        opened = open_answer_key(envelope, paper_digest, grader_key)
    except SealBroken as fault:
        raise Corrupt(str(fault)) from None
    if exact_json.digest(opened) != answer_key_digest:
        raise Corrupt("the answer key is not the one that was pinned")
    return opened


def open_changes(envelope: bytes, regrade_id: str, grader_key: bytes) -> list[dict[str, Any]]:
    """What a regrade changes: [{form, item, members}]. Raises Corrupt when this grader cannot open it."""
    try:
        return list(open_answer_key(envelope, changes_place(regrade_id), grader_key)["changes"])
    except SealBroken:
        raise Corrupt(f"grader.key does not open the changes of regrade {regrade_id!r}") from None
