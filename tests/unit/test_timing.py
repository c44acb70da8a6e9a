"""The time line of a sitting, with a probe on both sides of every edge: one millisecond decides."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.rules import timing
from engine.rules.errors import Refused
from engine.rules.terms import Batch, Grant, Phase, Rules, SittingState
from engine.rules.timing import Boundaries

S = 1000
MIN = 60 * S
T = 1_763_773_200_000  # Saturday 09:00 in China
END = T + 90 * MIN
GRACE = 5 * S
ENTERED = (SittingState.CHECKED_IN, SittingState.CONFIRMED, SittingState.PLEDGED, SittingState.IN_PROGRESS)
FINAL = (SittingState.SUBMITTED, SittingState.COLLECTED, SittingState.ABSENT, SittingState.VOID)


def batch(duration_s: int = 5400, starts_ms: int = T, **rules: Any) -> Batch:
    """90 minutes from T under EXAM_RULES' defaults."""
    return Batch(
        batch_id="B1",
        title="t",
        occupation="劳动关系协调师",
        level=3,
        subject="theory",
        kind="formal",
        paper_id="P1",
        admission_code="LDGX3",
        starts_ms=starts_ms,
        duration_s=duration_s,
        rules=Rules(**rules),
    )


def phases_around(edge_ms: int, extra_time_s: int = 0, grants: tuple[Grant, ...] = (), **rules: Any) -> list[Phase]:
    """The phases one millisecond before `edge_ms`, at it, and one after."""
    probes = (edge_ms - 1, edge_ms, edge_ms + 1)
    return [timing.timeline(batch(**rules), extra_time_s, grants, now_ms)[0] for now_ms in probes]


def ends_at(now_ms: int, *grants: Grant, extra_time_s: int = 0) -> int:
    """The end as it stands at `now_ms`."""
    return timing.timeline(batch(), extra_time_s, grants, now_ms)[1].ends_ms


# --- edges of the defaults -------------------------------------------------------------------------------------


def test_defaults_put_every_edge_where_the_rules_say() -> None:
    """T - 15 min, T + 30 min twice, end - 15 min, five seconds of grace."""
    edges = timing.boundaries(batch(), 0)

    assert edges == Boundaries(
        check_in_ms=T - 15 * MIN,
        starts_ms=T,
        latest_entry_ms=T + 30 * MIN,
        earliest_submit_ms=T + 30 * MIN,
        warning_ms=END - 15 * MIN,
        ends_ms=END,
        closes_ms=END + GRACE,
    )


@pytest.mark.parametrize(
    ("edge_ms", "before", "after"),
    [
        (T - 15 * MIN, Phase.EARLY, Phase.CHECK_IN),
        (T, Phase.CHECK_IN, Phase.WRITING),
        (END - 15 * MIN, Phase.WRITING, Phase.ENDING),
        (END, Phase.ENDING, Phase.GRACE),
        (END + GRACE, Phase.GRACE, Phase.CLOSED),
    ],
)
def test_at_an_edge_the_later_phase_holds(edge_ms: int, before: Phase, after: Phase) -> None:
    """Intervals are half-open: the last millisecond belongs to the earlier phase, the edge itself to the later."""
    assert phases_around(edge_ms) == [before, after, after]


def test_latest_entry_and_earliest_hand_in_are_no_phases() -> None:
    """They decide single acts; who sits and writes notices nothing."""
    assert phases_around(T + 30 * MIN) == [Phase.WRITING] * 3


@pytest.mark.parametrize(
    ("rules", "edge_ms", "seen"),
    [
        ({"check_in_before_s": 0}, T, [Phase.EARLY, Phase.WRITING, Phase.WRITING]),
        ({"grace_s": 0}, END, [Phase.ENDING, Phase.CLOSED, Phase.CLOSED]),
        ({"warn_before_end_s": 0}, END, [Phase.WRITING, Phase.GRACE, Phase.GRACE]),
        ({"warn_before_end_s": 5400}, T, [Phase.CHECK_IN, Phase.ENDING, Phase.ENDING]),
        ({"warn_before_end_s": 5401}, T, [Phase.CHECK_IN, Phase.ENDING, Phase.ENDING]),
        ({"warn_before_end_s": 5399}, T, [Phase.CHECK_IN, Phase.WRITING, Phase.WRITING]),
    ],
)
def test_a_phase_of_no_length_is_passed_over(rules: dict[str, int], edge_ms: int, seen: list[Phase]) -> None:
    """And a warning never comes before the start."""
    assert phases_around(edge_ms, **rules) == seen


@pytest.mark.parametrize(
    ("latest_entry_s", "latest_entry_ms"),
    [(0, T), (5399, END - S), (5400, END), (5401, END), (86_400, END)],
)
def test_latest_entry_is_never_after_the_end(latest_entry_s: int, latest_entry_ms: int) -> None:
    """Nobody enters an exam that is over."""
    assert timing.boundaries(batch(latest_entry_s=latest_entry_s), 0).latest_entry_ms == latest_entry_ms


def test_latest_entry_is_bound_by_the_batchs_end_not_the_candidates() -> None:
    """Extra time moves the end, never the latest entry: also where the two meet."""
    edges = timing.boundaries(batch(latest_entry_s=86_400), 600, [Grant(T, 60)])

    assert (edges.latest_entry_ms, edges.ends_ms) == (END, END + 660 * S)


# --- extra time and grants -------------------------------------------------------------------------------------


def test_extra_time_and_grants_move_the_end_and_the_warning_only() -> None:
    """Check-in, latest entry and earliest hand-in are the room's, not the person's."""
    plain = timing.boundaries(batch(), 0)

    moved = timing.boundaries(batch(), 600, [Grant(T + MIN, 120)])

    late_ms = 720 * S
    assert moved == structs.replace(
        plain,
        warning_ms=plain.warning_ms + late_ms,
        ends_ms=plain.ends_ms + late_ms,
        closes_ms=plain.closes_ms + late_ms,
    )


@pytest.mark.parametrize(
    ("edge_ms", "before", "after"),
    [
        (END + 10 * MIN - 15 * MIN, Phase.WRITING, Phase.ENDING),
        (END + 10 * MIN, Phase.ENDING, Phase.GRACE),
        (END + 10 * MIN + GRACE, Phase.GRACE, Phase.CLOSED),
    ],
)
def test_extra_time_has_the_same_half_open_edges(edge_ms: int, before: Phase, after: Phase) -> None:
    """Ten minutes more are ten minutes more to the millisecond."""
    assert phases_around(edge_ms, extra_time_s=600) == [before, after, after]


def test_a_grant_counts_from_its_recording() -> None:
    """Remaining time is a function of what is recorded: a millisecond earlier nobody can know of it."""
    grant = Grant(T + 40 * MIN, 300)
    probes = (grant.recorded_ms - 1, grant.recorded_ms, grant.recorded_ms + 1)

    assert [ends_at(now_ms, grant) for now_ms in probes] == [END, END + 300 * S, END + 300 * S]


@pytest.mark.parametrize("recorded_ms", [T - 20 * MIN, T - 1, T, END - 1])
def test_a_grant_before_the_end_counts_whenever_it_was_recorded(recorded_ms: int) -> None:
    """Also before the start: a room that opens late."""
    assert ends_at(END, Grant(recorded_ms, 60)) == END + 60 * S


@pytest.mark.parametrize(
    ("recorded_ms", "given_s"),
    [(END - 1, 60), (END, 60), (END + GRACE - 1, 60), (END + GRACE, 0), (END + GRACE + 1, 0)],
)
def test_a_grant_in_grace_counts_and_one_after_it_does_not(recorded_ms: int, given_s: int) -> None:
    """After end + grace the sitting is closed for good."""
    assert ends_at(END + 60 * MIN, Grant(recorded_ms, 60)) == END + given_s * S


@pytest.mark.parametrize(
    ("now_ms", "phase"),
    [
        (END + 2 * S - 1, Phase.GRACE),
        (END + 2 * S, Phase.ENDING),
        (END + 60 * S - 1, Phase.ENDING),
        (END + 60 * S, Phase.GRACE),
        (END + 60 * S + GRACE, Phase.CLOSED),
    ],
)
def test_a_grant_in_grace_reopens_the_sitting(now_ms: int, phase: Phase) -> None:
    """Recorded two seconds after the end: writing goes on until the new end."""
    assert timing.timeline(batch(), 0, [Grant(END + 2 * S, 60)], now_ms)[0] == phase


def test_grants_chain_when_each_is_in_time_for_the_one_before() -> None:
    """The second is recorded after the first end, but before the end that the first grant made."""
    first, second = Grant(END - S, 60), Grant(END + 60 * S + GRACE - 1, 30)

    assert ends_at(END + 10 * MIN, second, first) == END + 90 * S
    assert ends_at(END + 10 * MIN, second) == END


def test_a_chain_breaks_where_a_grant_comes_too_late() -> None:
    """What follows a late grant is late as well, however much it gives."""
    late = Grant(END + 60 * S + GRACE, 3600)
    after = Grant(END + 60 * S + GRACE + 1, 3600)

    assert ends_at(END + 600 * MIN, Grant(END, 60), late, after) == END + 60 * S


def test_the_order_in_which_grants_are_read_does_not_matter() -> None:
    """They are facts with instants, not a list of commands."""
    grants = [Grant(T, 10), Grant(END + 9 * S, 20), Grant(END + 34 * S, 40)]

    assert {ends_at(END * 2, *order) for order in (grants, grants[::-1], grants[1:] + grants[:1])} == {END + 70 * S}


def test_without_grace_a_grant_at_the_end_is_too_late() -> None:
    """The edge is end + grace, also when grace is nothing."""
    edges = [timing.boundaries(batch(grace_s=0), 0, [Grant(at, 60)]).ends_ms for at in (END - 1, END)]

    assert edges == [END + 60 * S, END]


def test_a_grant_in_the_extra_time_counts() -> None:
    """What is in time is decided by this sitting's own end."""
    last_ms = END + 600 * S + GRACE - 1

    assert ends_at(END * 2, Grant(last_ms, 60), extra_time_s=600) == END + 660 * S
    assert ends_at(END * 2, Grant(last_ms + 1, 60), extra_time_s=600) == END + 600 * S


# --- remaining time --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now_ms", "left_ms"),
    [
        (0, 90 * MIN),
        (T - 1, 90 * MIN),
        (T, 90 * MIN),
        (T + 1, 90 * MIN - 1),
        (END - 1, 1),
        (END, 0),
        (END + 1, 0),
        (END + GRACE, 0),
        (END * 2, 0),
    ],
)
def test_remaining_time_is_whole_before_the_start_and_none_after_the_end(now_ms: int, left_ms: int) -> None:
    """Grace is not shown as time left: it is for what was under way."""
    assert timing.remaining_ms(timing.boundaries(batch(), 0), now_ms) == left_ms


def test_remaining_time_grows_by_a_grant() -> None:
    """The very moment it is recorded."""
    grant = Grant(T + 40 * MIN, 300)
    left = [
        timing.remaining_ms(timing.timeline(batch(), 0, [grant], now_ms)[1], now_ms)
        for now_ms in (grant.recorded_ms - 1, grant.recorded_ms)
    ]

    assert left == [50 * MIN + 1, 50 * MIN + 300 * S]


# --- entry -----------------------------------------------------------------------------------------------------


def refused_entry(state: SittingState, now_ms: int, **rules: Any) -> Refused | None:
    try:
        timing.check_entry(timing.boundaries(batch(**rules), 0), state, now_ms)
    except Refused as refused:
        return refused
    return None


def entry_code(state: SittingState, now_ms: int, **rules: Any) -> str | None:
    refused = refused_entry(state, now_ms, **rules)
    return refused.code if refused else None


@pytest.mark.parametrize(
    ("now_ms", "code"),
    [
        (T - 15 * MIN - 1, "login.too_early"),
        (T - 15 * MIN, None),
        (T - 15 * MIN + 1, None),
        (T + 30 * MIN - 1, None),
        (T + 30 * MIN, "login.too_late"),
        (T + 30 * MIN + 1, "login.too_late"),
    ],
)
def test_a_first_login_is_let_in_from_check_in_until_the_latest_entry(now_ms: int, code: str | None) -> None:
    """At the check-in edge one may, at the latest-entry edge one may no more."""
    assert entry_code(SittingState.EXPECTED, now_ms) == code


@pytest.mark.parametrize("latest_entry_s", [5400, 86_400])
def test_a_first_login_at_the_end_is_too_late_whatever_the_rule(latest_entry_s: int) -> None:
    """A rule longer than the exam lets nobody into a finished one."""
    codes = [entry_code(SittingState.EXPECTED, now_ms, latest_entry_s=latest_entry_s) for now_ms in (END - 1, END)]

    assert codes == [None, "login.too_late"]


@pytest.mark.parametrize("state", [*ENTERED, SittingState.SUBMITTED, SittingState.COLLECTED])
@pytest.mark.parametrize("now_ms", [0, T - 15 * MIN - 1, T, T + 30 * MIN, END, END + GRACE, END * 2])
def test_who_has_entered_is_let_in_again_at_any_time(state: SittingState, now_ms: int) -> None:
    """After a crash of the machine; after the end, to see the receipt."""
    assert entry_code(state, now_ms) is None


@pytest.mark.parametrize("now_ms", [T - 15 * MIN, T, T + 30 * MIN, END * 2])
def test_the_absent_stay_out(now_ms: int) -> None:
    """Even if a clock were to say otherwise: written down is written down."""
    assert entry_code(SittingState.ABSENT, now_ms) == "login.too_late"


def test_a_refused_entry_tells_when_it_would_have_been_allowed() -> None:
    """The page shows the moment, not a riddle."""
    early = refused_entry(SittingState.EXPECTED, T - 16 * MIN)
    late = refused_entry(SittingState.EXPECTED, T + 31 * MIN)

    assert early is not None and late is not None
    assert (early.status, early.members) == (403, {"check_in_ms": T - 15 * MIN, "server_ms": T - 16 * MIN})
    assert (late.status, late.members) == (403, {"latest_entry_ms": T + 30 * MIN, "server_ms": T + 31 * MIN})


# --- states as they hold ---------------------------------------------------------------------------------------


def states_around(recorded: SittingState, edge_ms: int, extra_time_s: int = 0) -> list[SittingState]:
    edges = timing.boundaries(batch(), extra_time_s)
    return [timing.state_at(recorded, edges, now_ms) for now_ms in (edge_ms - 1, edge_ms, edge_ms + 1)]


@pytest.mark.parametrize(
    ("recorded", "edge_ms", "after"),
    [
        (SittingState.EXPECTED, T + 30 * MIN, SittingState.ABSENT),
        (SittingState.PLEDGED, T, SittingState.IN_PROGRESS),
        (SittingState.CHECKED_IN, END + GRACE, SittingState.COLLECTED),
        (SittingState.CONFIRMED, END + GRACE, SittingState.COLLECTED),
        (SittingState.IN_PROGRESS, END + GRACE, SittingState.COLLECTED),
    ],
)
def test_time_moves_a_state_at_its_edge(recorded: SittingState, edge_ms: int, after: SittingState) -> None:
    """Whether or not anyone has written it down yet."""
    assert states_around(recorded, edge_ms) == [recorded, after, after]


def test_a_pledged_sitting_is_in_progress_until_it_is_collected() -> None:
    """`in_progress` is never written: it is what `pledged` is called once the start has come."""
    in_progress, collected = SittingState.IN_PROGRESS, SittingState.COLLECTED

    assert states_around(SittingState.PLEDGED, END + GRACE) == [in_progress, collected, collected]


def test_extra_time_collects_later_and_makes_nobody_less_absent() -> None:
    """The end moves, the latest entry does not."""
    progress, collected = SittingState.IN_PROGRESS, SittingState.COLLECTED

    assert states_around(progress, END + 600 * S + GRACE, extra_time_s=600) == [progress, collected, collected]
    assert states_around(SittingState.EXPECTED, T + 30 * MIN, 600)[1] == SittingState.ABSENT


@pytest.mark.parametrize("recorded", FINAL)
@pytest.mark.parametrize("edge_ms", [T - 15 * MIN, T, T + 30 * MIN, END, END + GRACE])
def test_a_final_state_stays(recorded: SittingState, edge_ms: int) -> None:
    """No edge reopens what was handed in, collected, absent or void."""
    assert states_around(recorded, edge_ms) == [recorded] * 3


@pytest.mark.parametrize("recorded", [state for state in SittingState if state not in (*FINAL, SittingState.PLEDGED)])
@pytest.mark.parametrize("edge_ms", [T - 15 * MIN, T, END - 15 * MIN, END])
def test_other_edges_move_nothing(recorded: SittingState, edge_ms: int) -> None:
    """In grace a sitting is still what it was; only `expected` has become `absent` by then."""
    moved = SittingState.ABSENT if recorded == SittingState.EXPECTED and edge_ms > T + 30 * MIN else recorded

    assert states_around(recorded, edge_ms) == [moved] * 3


# --- for every batch there can be ------------------------------------------------------------------------------

seconds = st.integers(0, 86_400)
batches = st.builds(
    batch,
    duration_s=st.integers(1, 43_200),
    latest_entry_s=seconds,
    earliest_submit_s=seconds,
    warn_before_end_s=seconds,
    check_in_before_s=seconds,
    grace_s=st.integers(0, 600),
)
extra_times = st.integers(0, 14_400)
grants_lists = st.lists(st.builds(Grant, st.integers(T - 86_400 * S, T + 2 * 86_400 * S), st.integers(1, 14_400)))
ORDER = list(Phase)


@given(batches, extra_times, grants_lists)
def test_edges_stand_in_the_order_of_the_day(exam: Batch, extra_time_s: int, grants: list[Grant]) -> None:
    """Check-in, start, warning, end, close; the latest entry lies between start and the batch's end."""
    edges = timing.boundaries(exam, extra_time_s, grants)

    assert edges.check_in_ms <= edges.starts_ms <= edges.warning_ms <= edges.ends_ms <= edges.closes_ms
    assert edges.starts_ms <= edges.latest_entry_ms <= exam.ends_ms <= edges.ends_ms
    assert edges.starts_ms <= edges.earliest_submit_ms


@given(batches, extra_times, grants_lists)
def test_phases_change_only_at_edges_and_never_go_back(exam: Batch, extra_time_s: int, grants: list[Grant]) -> None:
    """With the grants known, the day has one order: both sides of every edge are probed, and the edges themselves."""
    edges = timing.boundaries(exam, extra_time_s, grants)
    moments = sorted({at for edge in structs.astuple(edges) for at in (edge - 1, edge, edge + 1)})
    ranks = [ORDER.index(timing.phase(edges, now_ms)) for now_ms in moments]
    changes = {
        after for before, after in pairwise(moments) if timing.phase(edges, before) != timing.phase(edges, after)
    }

    assert ranks == sorted(ranks)
    assert (ORDER[ranks[0]], ORDER[ranks[-1]]) == (Phase.EARLY, Phase.CLOSED)
    assert changes <= {edges.check_in_ms, edges.starts_ms, edges.warning_ms, edges.ends_ms, edges.closes_ms}


@given(batches, extra_times, grants_lists, st.integers(T - 2 * 86_400 * S, T + 3 * 86_400 * S), st.integers(0, 9**9))
def test_the_end_never_moves_back(
    exam: Batch, extra_time_s: int, grants: list[Grant], now_ms: int, later_ms: int
) -> None:
    """What a candidate was once promised stays promised, and a closed sitting stays closed."""
    phase, edges = timing.timeline(exam, extra_time_s, grants, now_ms)
    later_phase, later_edges = timing.timeline(exam, extra_time_s, grants, now_ms + later_ms)

    assert edges.ends_ms <= later_edges.ends_ms
    if phase == Phase.CLOSED:
        assert (later_phase, later_edges) == (Phase.CLOSED, edges)


@given(batches, extra_times, st.sampled_from(SittingState), st.integers(T - 86_400 * S, T + 86_400 * S))
def test_the_state_at_a_moment_is_settled(exam: Batch, extra_time_s: int, recorded: SittingState, now_ms: int) -> None:
    """Writing down what time has decided changes nothing that is seen."""
    edges = timing.boundaries(exam, extra_time_s)

    seen = timing.state_at(recorded, edges, now_ms)

    assert timing.state_at(seen, edges, now_ms) == seen
