"""What a roster push leaves in its batch's log: how many, and after arming also who, before and after.

In a draft only the numbers: the whole roster comes again and again, and nobody has been promised a seat. Nothing here
tells an ID number: four of its characters stay, enough to see which one was meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.rules.documents import masked_document
from engine.rules.limits import BATCH_LOG_CANDIDATES_MAX
from engine.rules.terms import Candidate

_TOLD = ("name", "id_number", "admission_ticket", "site", "room", "seat", "extra_time_s")


def roster_event(
    counts: Mapping[str, int],
    added: Sequence[Candidate],
    changed: Sequence[Candidate],
    standing: Mapping[str, Mapping[str, Any]],
    is_armed: bool,
) -> tuple[Any, Any]:
    """`before` and `after` of the event; `standing` is the roster as it was, by candidate id."""
    if not is_armed:
        return None, dict(counts)
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for candidate in [*changed, *added][:BATCH_LOG_CANDIDATES_MAX]:
        stood = standing.get(candidate.candidate_id)
        names = [name for name in _TOLD if stood is None or stood[name] != getattr(candidate, name)]
        if stood is not None:
            before[candidate.candidate_id] = {name: _shown(name, stood[name]) for name in names}
        after[candidate.candidate_id] = {name: _shown(name, getattr(candidate, name)) for name in names}
    return {"candidates": before}, {**counts, "candidates": after}


def _shown(name: str, value: Any) -> Any:
    return masked_document(value) if name == "id_number" else value
