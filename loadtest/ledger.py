"""What one candidate's client knows for certain: what it sent, what was acknowledged, which receipts it holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loadtest.journal import Change


@dataclass
class Ledger:
    """The candidate's side of the account that `judge` settles; nothing is ever taken out of it.

    `changes` holds every change that was sent at least once, in order of first sending. After a move to another
    machine without the journal, a seq whose change never arrived may be used again for another change. `unsent`: how
    many changes were typed and never sent.
    """

    candidate_id: str = ""
    sitting_id: str = ""
    entered: bool = False
    stays_away: bool = False
    changes: list[Change] = field(default_factory=list)
    unsent: int = 0
    receipts: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def sent(self, call: list[Change]) -> int:
        """Take down first sendings; returns how many there were."""
        fresh = [change for change in call if not change.sent]
        for change in fresh:
            change.sent = True
        self.changes.extend(fresh)
        return len(fresh)
