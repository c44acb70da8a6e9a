"""When a sitting may do what: a pure function of recorded facts and the server's time.

Every instant is in Unix milliseconds; every interval is half-open, so at an edge the later state holds.
Extra time and grants move the end and the warning, never check-in, latest entry or earliest hand-in.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from engine.rules.errors import Refused
from engine.rules.terms import Batch, Grant, Phase, SittingState

_ENTERED = {SittingState.CHECKED_IN, SittingState.CONFIRMED, SittingState.PLEDGED, SittingState.IN_PROGRESS}


class Boundaries(Struct, frozen=True, kw_only=True):
    """The edges of one sitting's time line."""

    check_in_ms: int
    starts_ms: int
    latest_entry_ms: int
    earliest_submit_ms: int
    warning_ms: int
    ends_ms: int
    closes_ms: int  # end + grace


def timeline(batch: Batch, extra_time_s: int, grants: Iterable[Grant], now_ms: int) -> tuple[Phase, Boundaries]:
    """The phase at `now_ms` and the edges as they stand then: a grant counts from its recording."""
    edges = boundaries(batch, extra_time_s, [grant for grant in grants if grant.recorded_ms <= now_ms])
    return phase(edges, now_ms), edges


def boundaries(batch: Batch, extra_time_s: int, grants: Iterable[Grant] = ()) -> Boundaries:
    """The edges under all `grants`; one recorded at or after end + grace has no effect."""
    starts_ms = batch.starts_ms
    grace_ms = batch.rules.grace_s * 1000
    ends_ms = batch.ends_ms + extra_time_s * 1000
    for grant in sorted(grants, key=lambda grant: grant.recorded_ms):
        if grant.recorded_ms < ends_ms + grace_ms:
            ends_ms += grant.seconds * 1000
    return Boundaries(
        check_in_ms=starts_ms - batch.rules.check_in_before_s * 1000,
        starts_ms=starts_ms,
        latest_entry_ms=min(starts_ms + batch.rules.latest_entry_s * 1000, batch.ends_ms),
        earliest_submit_ms=starts_ms + batch.rules.earliest_submit_s * 1000,
        warning_ms=max(starts_ms, ends_ms - batch.rules.warn_before_end_s * 1000),
        ends_ms=ends_ms,
        closes_ms=ends_ms + grace_ms,
    )


def phase(edges: Boundaries, now_ms: int) -> Phase:
    """Where `now_ms` lies between the edges."""
    if now_ms < edges.check_in_ms:
        return Phase.EARLY
    if now_ms < edges.starts_ms:
        return Phase.CHECK_IN
    if now_ms >= edges.closes_ms:
        return Phase.CLOSED
    if now_ms >= edges.ends_ms:
        return Phase.GRACE
    return Phase.ENDING if now_ms >= edges.warning_ms else Phase.WRITING


def remaining_ms(edges: Boundaries, now_ms: int) -> int:
    """Time left to write; before the start the whole time, after the end none."""
    return max(0, edges.ends_ms - max(now_ms, edges.starts_ms))


def check_entry(edges: Boundaries, state: SittingState, now_ms: int) -> None:
    """Raises Refused `login.too_early` or `login.too_late`; who has entered once is always let in again."""
    if state != SittingState.EXPECTED and state != SittingState.ABSENT:
        return
    if now_ms < edges.check_in_ms:
        detail = f"check-in opens at {edges.check_in_ms}, it is {now_ms}"
        raise Refused("login.too_early", detail, check_in_ms=edges.check_in_ms, server_ms=now_ms)
    if now_ms >= edges.latest_entry_ms or state == SittingState.ABSENT:
        detail = f"the latest entry was at {edges.latest_entry_ms}, it is {now_ms}"
        raise Refused("login.too_late", detail, latest_entry_ms=edges.latest_entry_ms, server_ms=now_ms)


def state_at(recorded: SittingState, edges: Boundaries, now_ms: int) -> SittingState:
    """The state that holds at `now_ms`, whether or not anyone has written it down yet."""
    if recorded == SittingState.EXPECTED and now_ms >= edges.latest_entry_ms:
        return SittingState.ABSENT
    if recorded in _ENTERED and now_ms >= edges.closes_ms:
        return SittingState.COLLECTED
    if recorded == SittingState.PLEDGED and now_ms >= edges.starts_ms:
        return SittingState.IN_PROGRESS
    return recorded
