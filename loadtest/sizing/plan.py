"""What one load test will do, to the second: written once, read by every process that takes part. Pure.

Promise: two processes that read the same plan agree on who does what when; nothing else is passed between them before
the exam. Instants are the engine's clock in milliseconds since 1970; spans are seconds.
How: a plan is one JSON file. `share` deals the candidates out to generators; a candidate's own behaviour comes from
the plan's seed and their number alone, so that it does not matter which process plays them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct


class PhaseName(StrEnum):
    """In the order of an exam. Each is judged by itself."""

    CHECK_IN = "check_in"  # logins, confirming, pledging; sealed papers are fetched meanwhile
    START = "start"  # the key to all
    STEADY = "steady"  # design peak
    STRESS = "stress"  # twice the design peak
    RECONNECT = "reconnect"  # every channel cut at once
    LATE = "late"  # design peak again, early hand-ins
    DEADLINE = "deadline"  # the last minute, closing, collecting
    GRADING = "grading"
    PULL = "pull"  # results


class Phase(Struct, frozen=True):
    """From `from_ms` until before `until_ms`; `saves_per_s` of one candidate who is writing."""

    name: PhaseName
    from_ms: int
    until_ms: int
    saves_per_s: float = 0.0


class Person(Struct, frozen=True):
    """One row of the roster and what is planned for them.

    `arrives_ms`: when they log in; 0: they never come. `submits_ms`: an early hand-in; 0: they write to the end.
    `drops_ms` (0: never): their line is gone for `drops_s`. `plays`: whether Locust plays them (`swarm`) or the
    open-loop driver (`openloop`).
    """

    number: int
    candidate_id: str
    id_number: str
    arrives_ms: int
    submits_ms: int = 0
    drops_ms: int = 0
    drops_s: float = 0.0
    plays: str = "swarm"


class Background(Struct, frozen=True):
    """Machines beside the candidates: batches pushed per minute, results pulled per minute."""

    pushes_per_min: float = 0.0
    pushed_candidates: int = 0
    pulls_per_min: float = 0.0
    pulled_batch: str = ""  # one that is graded already


class Plan(Struct, frozen=True, kw_only=True):
    """`cut_ms`: the instant at which every generator cuts all its channels; 0: never. `channel`: False for HTTP.

    `headers`: those of a real browser, on every call of a candidate. `ca_file`: what TLS is checked against; "" for
    the system's. `page`: whether candidates load the page as a machine does that has it (cached) or has not (cold), or
    not at all ("").
    """

    url: str
    batch_id: str
    paper_id: str
    admission_code: str
    schedule_key: str
    results_key: str
    starts_ms: int
    ends_ms: int
    grace_s: float
    seed: int
    phases: Sequence[Phase]
    people: Sequence[Person]
    background: Background = Background()
    cut_ms: int = 0
    channel: bool = True
    page: str = "cached"
    headers: dict[str, str] = {}
    ca_file: str = ""

    def phase_at(self, instant_ms: float) -> PhaseName | None:
        """The phase that holds this instant of the engine's clock."""
        for phase in self.phases:
            if phase.from_ms <= instant_ms < phase.until_ms:
                return phase.name
        return None

    def rate_at(self, instant_ms: float) -> float:
        """Saves per second of one candidate at this instant."""
        for phase in self.phases:
            if phase.from_ms <= instant_ms < phase.until_ms:
                return phase.saves_per_s
        return 0.0

    def share(self, plays: str, index: int, of: int) -> list[Person]:
        """Those whom generator `index` of `of` plays."""
        mine = [person for person in self.people if person.plays == plays]
        return mine[index::of]


def write(plan: Plan, file: Path) -> None:
    """The file holds API keys: only its owner may read it."""
    file.touch(mode=0o600)
    file.write_bytes(msgspec.json.encode(plan))


def read(file: Path) -> Plan:
    """Raises OSError, or msgspec.ValidationError naming what is wrong where."""
    return msgspec.json.decode(file.read_bytes(), type=Plan)
