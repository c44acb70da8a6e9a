"""Whether a step held, and what was at its limit. Pure.

Promise: a step holds only when everything that was asked for was acknowledged in time, the recorder kept up, and the
generator can be believed; every reason against it is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

P99_MS_MAX = 100.0  # from the instant at which a save was due
LAG_S_MAX = 5.0  # of the recorder: above this nobody hears `committed` for seconds, and alarms fire
BACKLOG_S_MAX = 1.0  # as much as arrives in this time is no backlog
BACKLOG_GROWTH_MAX = 0.02  # of what arrives
OTHERS_SHARE_MAX = 0.2  # of all cores: whoever fails beside so much of something else has shown nothing


class Outcome(StrEnum):
    HELD = "held"
    FAILED = "failed"
    VOID = "void"  # nothing can be said


class Bounds(Struct, frozen=True):
    """What a step has to keep."""

    p99_ms_max: float = P99_MS_MAX
    lag_s_max: float = LAG_S_MAX


class Backlog(Struct, frozen=True):
    """`seconds` into the step: changes acknowledged and not yet in PostgreSQL, and the recorder's own lag."""

    seconds: float
    changes: float
    lag_s: float


class Share(Struct, frozen=True):
    """Of one resource: how much of it was used, from 0 to 1, and how much of it may be before others wait for it."""

    name: str
    used: float
    bound: float
    told: str

    @property
    def fullness(self) -> float:
        """1: at its bound."""
        return self.used / self.bound


def faults_of(
    *, saves_per_s: float, p99_ms: float, errors: int, fault: str, backlog: Sequence[Backlog], bounds: Bounds
) -> list[str]:
    """Why a step did not hold; empty when it did."""
    found = []
    if errors:
        found.append(f"{errors} errors, expected none: {fault}")
    if p99_ms > bounds.p99_ms_max:
        found.append(f"p99 {p99_ms:.0f} ms from due to acknowledged, expected at most {bounds.p99_ms_max:.0f}")
    lag_s = max((one.lag_s for one in backlog), default=0.0)
    if lag_s > bounds.lag_s_max:
        found.append(f"the recorder was {lag_s:.1f} s behind, expected at most {bounds.lag_s_max:g}")
    growth = growth_per_s(backlog)
    last = backlog[-1].changes if backlog else 0.0
    if growth > BACKLOG_GROWTH_MAX * saves_per_s and last > BACKLOG_S_MAX * saves_per_s:
        found.append(f"the recorder's backlog grew by {growth:.0f} changes/s to {last:.0f}")
    return found


def unseen(looks: int, seen: int, has_drained: bool) -> list[str]:
    """Why a recorder that told of itself before is not known to have kept up."""
    found = []
    if seen * 2 < looks:
        found.append(f"the recorder told of itself {seen} times of {looks}")
    if not has_drained:
        found.append("the recorder had not everything long after the step")
    return found


def why_spoilt(faults: Sequence[str], why_void: str, others_share: float) -> str:
    """Why nothing can be said of a step: the generator's own reason, or that it failed beside other programs' work.

    One that held beside them has held.
    """
    if why_void or not faults or others_share <= OTHERS_SHARE_MAX:
        return why_void
    return f"other programs took {others_share:.0%} of all cores, expected at most {OTHERS_SHARE_MAX:.0%}"


def outcome_of(faults: Sequence[str], why_void: str) -> Outcome:
    if why_void:
        return Outcome.VOID
    return Outcome.FAILED if faults else Outcome.HELD


def growth_per_s(backlog: Sequence[Backlog]) -> float:
    """Slope of the line with the least squares; 0 through fewer than three points."""
    if len(backlog) < 3:
        return 0.0
    mean_s = sum(one.seconds for one in backlog) / len(backlog)
    mean = sum(one.changes for one in backlog) / len(backlog)
    spread = sum((one.seconds - mean_s) ** 2 for one in backlog)
    return sum((one.seconds - mean_s) * (one.changes - mean) for one in backlog) / spread if spread else 0.0


def what_gives_first(shares: Sequence[Share], faults: Sequence[str], why_void: str) -> str:
    """One sentence on the step that did not hold."""
    if not shares:
        return "not seen from here: without --ready-file only the API is"
    fullest = max(shares, key=lambda share: share.fullness)
    beside = [share for share in shares if share is not fullest and share.fullness >= 1]
    told = f"{fullest.name} ({fullest.told})" + "".join(f", with it {share.name} ({share.told})" for share in beside)
    if any("recorder" in fault for fault in faults):
        recording = [share for share in shares if share.name in ("recorder", "PostgreSQL")]
        slower = max(recording, key=lambda share: share.fullness, default=fullest)
        told = f"recording: {slower.name} ({slower.told}); fullest of all is {told}"
    elif fullest.fullness < 1:
        told = f"waiting (disk, scheduling) rather than any resource; the fullest is {told}"
    if why_void:
        told += f"; the step is void ({why_void}), so the engine may carry more than was seen"
    return told
