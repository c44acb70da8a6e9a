"""What one candidate may expect of the engine, in plain Python: no store, no clock, no script.

Written from the contract and the small print alone. Time is a phase, so that no answer hangs on how fast the test is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from engine.rules.outcome import Outcome

Change = tuple[str, int, str]  # item, seq, value as JSON
CLOSED_STATES = ("submitted", "collected", "absent")
STEPS = ("expected", "checked_in", "confirmed", "pledged")


class Phase(Enum):
    """Where the sitting stands in time, in order."""

    EARLY = 0  # before check-in
    CHECK_IN = 1
    WRITING = 2  # entry still possible
    ENDING = 3  # latest entry has passed
    GRACE = 4
    CLOSED = 5


@dataclass
class Acknowledged:
    """A change that was called saved, and where."""

    change: Change
    generation: int
    position: int


@dataclass
class CandidateModel:
    """One sitting, its partition's counters, and a client's journal."""

    phase: Phase
    generation: int
    position: int
    committed: int
    state: str = "expected"
    epoch: int = 0
    highest: int = 0
    responses: dict[str, tuple[int, str]] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    recorded_changes: int = 0  # of `history`, in order
    recorded_events: int = 0
    journal: list[Acknowledged] = field(default_factory=list)
    is_restarted: bool = False  # Redis was, and no script has noticed yet
    is_doubtful: bool = False  # since then nobody has compared Redis with PostgreSQL
    is_raised: bool = False  # the generation is now a higher one, not seen yet

    # --- the partition -----------------------------------------------------------------------------------------

    def touched(self) -> None:
        """Any script's look at the partition: after a restart it raises the generation first, as an entry."""
        if self.is_restarted:
            self.is_restarted = False
            self.is_raised = True
            self.is_doubtful = True
            self.position = 1
            self.committed = 0

    def answered_in(self, generation: int) -> None:
        """A higher generation after a raise, else the same."""
        assert generation > self.generation if self.is_raised else generation == self.generation
        self.generation, self.is_raised = generation, False

    def recorded(self) -> None:
        self.recorded_changes = len(self.history)
        self.recorded_events = len(self.events)
        if not self.is_restarted:
            self.committed = self.position
            self.is_doubtful = False

    # --- what the candidate does -------------------------------------------------------------------------------

    def login(self, takeover: str, is_silent_enough: bool) -> Outcome:
        self.touched()
        if self.state == "expected" and self.phase is Phase.EARLY:
            return Outcome.TOO_EARLY
        if self.state == "absent" or (self.state == "expected" and self.phase.value >= Phase.ENDING.value):
            return Outcome.TOO_LATE
        is_open = self.state not in CLOSED_STATES and self.phase is not Phase.CLOSED
        refuses = takeover == "proctor" or (takeover == "silent" and not is_silent_enough)
        if self.state != "expected" and is_open and refuses:
            return Outcome.ELSEWHERE
        if self.state == "expected":
            self.state = "checked_in"
        self._event("login")
        return Outcome.OK

    def admitted(self, epoch: int) -> None:
        """A login's token is newer than every one before it."""
        assert epoch > self.epoch
        self.epoch = epoch

    def step(self, epoch: int, before: str, after: str) -> Outcome:
        self.touched()
        if epoch != self.epoch:
            return Outcome.SUPERSEDED
        if self._is_closed() or STEPS.index(self.state) < STEPS.index(before):
            return Outcome.ORDER
        if self.state == before:
            self.state = after
            self._event(after)
        return Outcome.OK

    def save(self, epoch: int, changes: list[Change]) -> Outcome:
        self.touched()
        if epoch != self.epoch:
            return Outcome.SUPERSEDED
        if self._is_closed():
            return Outcome.CLOSED
        if self.phase.value < Phase.WRITING.value:
            return Outcome.NOT_OPEN
        if self.state != "pledged":
            return Outcome.ORDER
        newer = False
        for item, seq, value in changes:
            if seq > self.responses.get(item, (0, ""))[0]:
                self.responses[item] = (seq, value)
                self.history.append((item, seq, value))
                newer = True
            self.highest = max(self.highest, seq)
        self.position += newer
        return Outcome.OK

    def submit(self, epoch: int, seq: int, is_too_early: bool) -> Outcome:
        self.touched()
        if epoch != self.epoch:
            return Outcome.SUPERSEDED
        if self.state == "submitted":
            return Outcome.LOST if self.is_doubtful else Outcome.OK  # the same receipt again
        if self._is_closed():
            return Outcome.CLOSED
        if is_too_early:
            return Outcome.TOO_EARLY
        if self.state != "pledged":
            return Outcome.ORDER
        if seq > self.highest:
            return Outcome.BEHIND
        if self.is_doubtful:
            return Outcome.LOST  # try later: a receipt is signed, and may lack nothing
        self.state = "submitted"
        self._event("submitted")
        return Outcome.OK

    def collect(self) -> None:
        """The closer comes by."""
        if self.state in CLOSED_STATES:
            return
        self.touched()
        if self.is_doubtful:
            return  # it comes again
        if self.state == "expected" and self.phase.value >= Phase.ENDING.value:
            self.state = "absent"
            self._event("absent")
        elif self.state != "expected" and self.phase is Phase.CLOSED:
            self.state = "collected"
            self._event("collected")

    # --- what the client may forget ----------------------------------------------------------------------------

    def acknowledged(self, changes: list[Change], generation: int, position: int, committed: int) -> list[Change]:
        """Note a call's changes in the journal; the changes that the client forgets now, by the contract's rule."""
        self.journal = [entry for entry in self.journal if entry.change not in changes]
        self.journal += [Acknowledged(change, generation, position) for change in changes]
        forgotten = [entry for entry in self.journal if entry.generation == generation and entry.position <= committed]
        self.journal = [entry for entry in self.journal if entry not in forgotten]
        return [entry.change for entry in forgotten]

    def is_recorded(self, change: Change) -> bool:
        """Whether PostgreSQL holds it, or something newer for the same item."""
        item, seq, _ = change
        return any(name == item and number >= seq for name, number, _ in self.history[: self.recorded_changes])

    # --- inside ------------------------------------------------------------------------------------------------

    def _is_closed(self) -> bool:
        return self.state in CLOSED_STATES or self.phase is Phase.CLOSED

    def _event(self, kind: str) -> None:
        self.events.append(kind)
        self.position += 1
