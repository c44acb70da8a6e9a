"""Takes log entries apart into the rows PostgreSQL is to hold. Pure: no store is touched here.

Every change of every candidate passes through `Chunk.add`; what a change costs the recorder is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from engine.recording.position import Position

_CLOSED_STATES = frozenset({"submitted", "collected", "absent", "void"})

# A row of `response_history`: sitting, item, seq, value, saved_ms, generation, position. Its first five columns are
# those of `response`.
HistoryRow = tuple[str, str, int, str, int, int, int]


class Event(Struct, frozen=True):
    """A step of a sitting, as the scripts write it."""

    kind: str
    state: str
    epoch: int
    at_ms: int
    form: int | None = None  # of a login: which paper the sitting has


# Per sitting its changes as autosave.lua writes them: [item, seq, value].
_changes_decoder = msgspec.json.Decoder(list[list[tuple[str, int, msgspec.Raw]]])
_event_decoder = msgspec.json.Decoder(Event)


class Chunk:
    """What was read of one partition, ready to be written."""

    def __init__(self) -> None:
        self.history: list[HistoryRow] = []
        self.responses: dict[tuple[str, str], HistoryRow] = {}  # the newest per sitting and item
        self.events: list[tuple[str, str, int, int, int, int]] = []
        self.sittings: dict[str, tuple[str, int, int | None, int | None, int | None]] = {}
        self.entries = 0

    def add(self, position: Position, fields: Sequence[bytes]) -> None:
        """Take one log entry apart: names and contents in turn (see schema/README.md).

        Raises ValueError or msgspec.MsgspecError; then the chunk holds a part of the entry and must not be written.
        """
        self.entries += 1
        at_ms = 0
        sitting_ids: list[str] = []
        changes: list[bytes] = []
        for name, content in zip(fields[::2], fields[1::2], strict=True):
            head = name[:2]
            if head == b"s:":
                sitting_ids.append(name[2:].decode())
                changes.append(content)
            elif head == b"e:":
                self._add_event(name[2:].decode(), _event_decoder.decode(content), position)
            elif name == b"at":
                at_ms = int(content)
        if changes:  # one call of the decoder for all: most sittings have a single change
            decoded = _changes_decoder.decode(b"[" + b",".join(changes) + b"]")
            self._add_changes(sitting_ids, decoded, at_ms, position)

    def _add_changes(
        self,
        sitting_ids: Sequence[str],
        decoded: Sequence[Sequence[tuple[str, int, msgspec.Raw]]],
        at_ms: int,
        position: Position,
    ) -> None:
        generation, number = position
        responses = self.responses
        for sitting_id, changes in zip(sitting_ids, decoded, strict=True):
            for item, seq, value in changes:
                row = (sitting_id, item, seq, str(value, "utf-8"), at_ms, generation, number)
                self.history.append(row)
                newest = responses.setdefault((sitting_id, item), row)
                if newest[2] < seq:
                    responses[sitting_id, item] = row

    def _add_event(self, sitting_id: str, event: Event, position: Position) -> None:
        self.events.append((sitting_id, event.kind, event.at_ms, event.epoch, *position))
        _, _, entered_ms, closed_ms, form = self.sittings.get(sitting_id, ("", 0, None, None, None))
        if form is None:
            form = event.form
        if event.kind == "login" and entered_ms is None:
            entered_ms = event.at_ms
        if event.state in _CLOSED_STATES and event.kind == event.state:
            closed_ms = event.at_ms
        self.sittings[sitting_id] = (event.state, event.epoch, entered_ms, closed_ms, form)
