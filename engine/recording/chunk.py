"""Takes log entries apart into the rows PostgreSQL is to hold. Pure: no store is touched here."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from engine.recording.position import Position

_CLOSED_STATES = frozenset({"submitted", "collected", "absent", "void"})


class Event(Struct, frozen=True):
    """A step of a sitting, as the scripts write it."""

    kind: str
    state: str
    epoch: int
    at_ms: int


class Change(Struct, frozen=True, array_like=True):
    """An accepted change, as autosave.lua writes it."""

    item: str
    seq: int
    value: msgspec.Raw


_changes_decoder = msgspec.json.Decoder(list[Change])
_event_decoder = msgspec.json.Decoder(Event)


class Chunk:
    """What one round has read, ready to be written."""

    def __init__(self) -> None:
        self.responses: dict[tuple[str, str], tuple[int, str, int]] = {}
        self.history: list[tuple[str, str, int, str, int, int, int]] = []
        self.events: list[tuple[str, str, int, int, int, int]] = []
        self.sittings: dict[str, tuple[str, int, int | None, int | None]] = {}
        self.entries = 0

    def merge(self, other: Chunk) -> None:
        """Take another partition's part; no sitting is in two partitions."""
        self.responses.update(other.responses)
        self.history += other.history
        self.events += other.events
        self.sittings.update(other.sittings)
        self.entries += other.entries

    def add(self, position: Position, fields: Sequence[tuple[bytes, bytes]]) -> None:
        """Take one log entry apart (its fields: see schema/README.md)."""
        self.entries += 1
        at_ms = 0
        for name, content in fields:
            if name == b"at":
                at_ms = int(content)
            elif name.startswith(b"s:"):
                self._add_changes(name[2:].decode(), content, at_ms, position)
            elif name.startswith(b"e:"):
                self._add_event(name[2:].decode(), _event_decoder.decode(content), position)

    def _add_changes(self, sitting_id: str, content: bytes, at_ms: int, position: Position) -> None:
        for change in _changes_decoder.decode(content):
            value = bytes(change.value).decode()
            self.history.append((sitting_id, change.item, change.seq, value, at_ms, *position))
            newest = self.responses.get((sitting_id, change.item))
            if newest is None or newest[0] < change.seq:
                self.responses[sitting_id, change.item] = (change.seq, value, at_ms)

    def _add_event(self, sitting_id: str, event: Event, position: Position) -> None:
        self.events.append((sitting_id, event.kind, event.at_ms, event.epoch, *position))
        _, _, entered_ms, closed_ms = self.sittings.get(sitting_id, ("", 0, None, None))
        if event.kind == "login" and entered_ms is None:
            entered_ms = event.at_ms
        if event.state in _CLOSED_STATES and event.kind == event.state:
            closed_ms = event.at_ms
        self.sittings[sitting_id] = (event.state, event.epoch, entered_ms, closed_ms)
