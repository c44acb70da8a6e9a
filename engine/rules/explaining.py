"""Reads why flags of item statistics stand, as a named person says it; every fault is listed."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from engine.rules.assessing import read_name
from engine.rules.limits import COMMENT_CHARACTERS_MAX, EXPLANATIONS_PER_CALL_MAX, ID_PATTERN
from engine.rules.shape import Faults, Members
from engine.rules.statistics_flags import FLAGS

DIGEST_PATTERN = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Explanation(Struct, frozen=True):
    """`paper_digest` is only needed where the item is flagged in several papers of the batch."""

    at: int
    item: str
    flag: str
    explanation: str
    paper_digest: str | None

    @property
    def pointer(self) -> str:
        return f"/explanations/{self.at}"


def read_explanations(document: Any, faults: Faults) -> tuple[str, list[Explanation]]:
    """Who explains, and what; what cannot be read is in `faults`."""
    members = Members(document, "", faults)
    explained_by = read_name(members, "explained_by")
    found = [
        _read(at, Members(value, f"/explanations/{at}", faults))
        for at, value in enumerate(members.take_list("explanations", 1, EXPLANATIONS_PER_CALL_MAX))
    ]
    members.finish()
    return explained_by, found


def _read(at: int, members: Members) -> Explanation:
    item = members.take_pattern("item", ID_PATTERN, "the id of an item")
    flag = members.take_choice("flag", FLAGS) if members.has("flag") else members.take("flag") or ""
    explanation = members.take_text("explanation", COMMENT_CHARACTERS_MAX)
    if explanation and not explanation.strip():
        members.fault("explanation", "is blank")
    has_paper = members.take("paper_digest", None) is not None
    paper_digest = members.take_pattern("paper_digest", DIGEST_PATTERN, "a hex SHA-256") if has_paper else None
    members.finish()
    return Explanation(at, item, flag, explanation, paper_digest or None)
