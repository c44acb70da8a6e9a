"""What a load test found: the JSON beside the report, from which report and comparison are made. Pure.

Bytes and packets are the interface's own counts, headers included. CPU is a share of one core (1.0: a whole core),
memory MiB, latency milliseconds, instants milliseconds since 1970 on the engine's clock.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec import Struct

FORMAT = 1
# Names of series, which the report draws; any may be missing. ROLE and PROCESS are those of a phase's `cpu` and
# `generators`.
SERIES = (
    "saves", "acknowledged", "errors",  # a second
    "save_max_ms", "save_intended_max_ms",  # the slowest of that second
    "up_bytes", "down_bytes",  # a second, over the line
    "cpu/ROLE", "memory_mib/ROLE", "generators/PROCESS",
    "recorder_lag_s",  # age of the oldest change that is not in PostgreSQL yet
    "entered", "writing", "channels",  # candidates at that moment
)  # fmt: skip


class _Format(Struct):
    format: int


class Word(StrEnum):
    """VOID: the generator was short of CPU or late, so nothing was measured."""

    PASS = "PASS"
    FAIL = "FAIL"
    VOID = "VOID"


class Text(Struct, frozen=True):
    """A sentence in both languages."""

    zh: str
    en: str


class Line(Struct, frozen=True, kw_only=True):
    """What lay between candidates and engine; not `enforced`: the bandwidth was measured only, `why` says so.

    `why_zh` is the same in Chinese, here and below; "" where an earlier release told it in English alone.
    """

    enforced: bool
    up_kbit_per_s: int
    down_kbit_per_s: int
    why: str = ""
    why_zh: str = ""
    delay_ms: float = 0.0
    loss: float = 0.0


class Latency(Struct, frozen=True, kw_only=True):
    """One operation in one phase. `points`: (share, milliseconds), finer towards 1, for a percentile curve."""

    count: int
    errors: int
    p50_ms: float
    p99_ms: float
    p99_9_ms: float
    max_ms: float
    points: list[tuple[float, float]] = []


class Criterion(Struct, frozen=True, kw_only=True):
    """`found` against `limit`, both in `unit`; `holds` None: not judged, and `why` says for what reason.

    `is_at_most`: otherwise `found` has to be at least `limit`.
    """

    name: str
    label: Text
    found: float | None
    limit: float
    unit: str
    holds: bool | None
    is_at_most: bool = True
    why: str = ""
    why_zh: str = ""


class Traffic(Struct, frozen=True, kw_only=True):
    """Over the line in one phase; shares are of what the tier's line carries in that time."""

    up_bytes: int
    down_bytes: int
    up_share: float
    down_share: float
    up_bytes_each: float
    down_bytes_each: float


class PhaseOutcome(Struct, kw_only=True):
    """`void` says why nothing counts here ("": it does), `void_zh` the same in Chinese. By role: `cpu`, `memory_mib`;
    by process: `generators` (CPU).

    Of `operations`, `save` is what a closed loop sees and `save_intended` what an open one does (measure.OPERATIONS).
    """

    name: str
    from_ms: int
    until_ms: int
    void: str = ""
    void_zh: str = ""
    operations: dict[str, Latency] = {}
    error_kinds: dict[str, int] = {}
    criteria: list[Criterion] = []
    traffic: Traffic | None = None
    cpu: dict[str, float] = {}
    memory_mib: dict[str, float] = {}
    generators: dict[str, float] = {}
    recorder_lag_max_s: float = 0.0


class Outcome(Struct, kw_only=True):
    """Everything. `series`: a value for each second (since 1970) by name (SERIES); where there is none is a gap.

    `account`: the numbers of loadtest.judge.Verdict. `configuration` holds no secrets; `configuration_digest` is the
    SHA-256 of its canonical JSON. `command` repeats the run. `voids`: why nothing of it may count.
    """

    format: int = FORMAT
    verdict: Word
    reasons: list[Text]
    tier: str
    candidates: int
    minutes: float
    seed: int
    command: str
    began_ms: int
    starts_ms: int
    ends_ms: int
    took_s: float
    line: Line
    machine: dict[str, str]
    versions: dict[str, str]
    configuration: dict[str, str]
    configuration_digest: str
    model: dict[str, float]
    phases: list[PhaseOutcome]
    account: dict[str, int]
    faults: list[str] = []
    notes: list[Text] = []
    voids: list[Text] = []
    series: dict[str, dict[int, float]] = {}


def encode(outcome: Outcome) -> bytes:
    return msgspec.json.format(msgspec.json.encode(outcome), indent=1)


def decode(text: bytes) -> Outcome:
    """Raises msgspec.DecodeError naming what is wrong where, first of all another format."""
    told = msgspec.json.decode(text, type=_Format)
    if told.format != FORMAT:
        raise msgspec.ValidationError(f"an outcome of format {told.format}; this program reads format {FORMAT}")
    return msgspec.json.decode(text, type=Outcome)
