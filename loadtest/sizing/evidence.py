"""Everything that a load test has seen, before anybody judges it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from loadtest.judge import Verdict
from loadtest.sizing.measure import Report
from loadtest.sizing.outcome import Line, Text
from loadtest.sizing.plan import Plan
from loadtest.sizing.tiers import Tier
from loadtest.sizing.watching import Sample


class Instants(Struct, kw_only=True):
    """When it was over, on the engine's clock. `closes_ms`: end and grace of the last sitting; None: not seen."""

    closes_ms: int
    graded_ms: int | None = None
    pull_from_ms: int | None = None
    pull_until_ms: int | None = None


class Progress(Struct, frozen=True):
    """What a generator said of itself at one second."""

    process: str
    at_ms: int
    said: dict[str, Any]


class Evidence(Struct, kw_only=True):
    """`errors`: what the conductor itself met, as a generator notes it (measure.Report). `is_both_ways`: bytes of both
    directions come as one figure. `voids`: why nothing of it may count; `void_phases`: why one phase may not."""

    tier_name: str
    tier: Tier
    minutes: float
    seed: int
    command: str
    plan: Plan
    reports: list[Report]
    samples: list[Sample]
    said: list[Progress]
    line: Line
    is_both_ways: bool
    why_no_traffic: Text
    instants: Instants
    account: Verdict | None
    began_ms: int
    took_s: float
    cores: int
    machine: dict[str, str]
    versions: dict[str, str]
    configuration: dict[str, str]
    errors: dict[str, int] = {}
    voids: list[Text] = []
    void_phases: dict[str, Text] = {}
    notes: list[Text] = []
    faults: list[str] = []
