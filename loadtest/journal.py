"""What keeps an answer until it is safe: the candidate's journal, pure and without I/O.

Promise: a change is forgotten only when it was saved in the current generation and PostgreSQL holds it
(`position <= committed`). When the generation rises, everything not yet forgotten is unsaved again.
Not done here: sending, waiting, deciding that an exam is over.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

import orjson

CHANGES_PER_CALL_MAX = 200  # the contract's bound
CALL_BYTES_MAX = 240 * 1024  # under the contract's 256 KiB, leaving room for the frame around the changes


@dataclass(slots=True)
class Change:
    """One change of one item; `encoded` is its JSON, written once however often it is sent."""

    item: str
    seq: int
    value: Any
    encoded: bytes = field(repr=False)
    sent: bool = False
    acknowledged: bool = False
    position: int | None = None


class Journal:
    """All changes of one sitting that are not yet known to be safe; `seq` counts on from the given one."""

    def __init__(self, seq: int = 0) -> None:
        self.seq = seq
        self.generation = 0
        self.committed = 0
        self._unsaved: dict[int, Change] = {}
        self._saved: dict[int, Change] = {}

    def note(self, item: str, value: Any) -> Change:
        """Take down a change under the next seq."""
        self.seq += 1
        encoded = orjson.dumps({"item": item, "seq": self.seq, "value": value})
        change = Change(item, self.seq, value, encoded)
        self._unsaved[change.seq] = change
        return change

    def next_call(self, under_way: Container[int] = ()) -> list[Change]:
        """The oldest unsaved changes that fit into one call, but those whose seq is `under_way`; empty without any."""
        chosen: list[Change] = []
        call_bytes = 0
        for change in self._unsaved.values():
            if change.seq in under_way:
                continue
            call_bytes += len(change.encoded) + 1
            if chosen and (len(chosen) == CHANGES_PER_CALL_MAX or call_bytes > CALL_BYTES_MAX):
                break
            chosen.append(change)
        return chosen

    def acknowledge(self, call: list[Change], reply: dict[str, int]) -> list[Change]:
        """Apply the reply `{saved, generation, position, committed}` to the changes of `call`.

        Returns those acknowledged for the first time. A reply of an older generation acknowledges, but saves nothing:
        the same changes go out again in the present one.
        """
        covered = [change for change in call if change.seq <= reply["saved"]]
        fresh = [change for change in covered if not change.acknowledged]
        for change in fresh:
            change.acknowledged = True
        self._raise_to(reply["generation"])
        if reply["generation"] == self.generation:
            for change in covered:
                if self._unsaved.pop(change.seq, None) is not None:
                    self._saved[change.seq] = change
                    change.position = reply["position"]
            self._forget(reply["committed"])
        return fresh

    def observe(self, generation: int, committed: int) -> None:
        """Take note of how far the engine is, as a reply without a save tells it."""
        self._raise_to(generation)
        if generation == self.generation:
            self._forget(committed)

    @property
    def unsaved(self) -> int:
        return len(self._unsaved)

    @property
    def unanswered(self) -> list[Change]:
        """Sent or not, and never acknowledged."""
        return [change for change in self._unsaved.values() if not change.acknowledged]

    @property
    def uncommitted(self) -> int:
        """Saved, but not yet to be forgotten."""
        return len(self._saved)

    def _raise_to(self, generation: int) -> None:
        if generation <= self.generation:
            return
        self.generation = generation
        self.committed = 0
        self.send_again()

    def send_again(self) -> None:
        """What was not forgotten no longer counts as saved."""
        again = {**self._saved, **self._unsaved}
        self._saved = {}
        self._unsaved = {seq: again[seq] for seq in sorted(again)}
        for change in self._unsaved.values():
            change.position = None

    def _forget(self, committed: int) -> None:
        self.committed = max(self.committed, committed)
        safe = [seq for seq, change in self._saved.items() if (change.position or 0) <= self.committed]
        for seq in safe:
            del self._saved[seq]


def encode_call(call: list[Change]) -> bytes:
    """The body of one save call."""
    return b'{"changes":[' + b",".join(change.encoded for change in call) + b"]}"
