"""The open-loop driver without a wire: schedules, histograms, frames, one sitting's calls, and what is void."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from typing import Any

import pytest
from hdrh.histogram import HdrHistogram

from engine.delivery import frames as engine_frames
from loadtest.openloop import frames
from loadtest.openloop.figures import BUSY_SHARE_MAX, LATE_P99_MS_MAX, Figures, Measured, together, why_void
from loadtest.openloop.part import Part
from loadtest.openloop.schedule import EVEN, NS_PER_S, POISSON, Phase, dues, length_ns
from loadtest.openloop.sitting import CHANGES_PER_CALL_MAX, Sitting, choice_of
from loadtest.openloop.times import DIGITS, HIGHEST_US, LOWEST_US, Times
from tests.evidence import a_plan
from tests.servers import ROOT

PHASES = [Phase("warm", 2.0, 100.0, is_judged=False), Phase("none", 1.0, 0.0), Phase("step", 3.0, 400.0)]
CHOICE = choice_of("A1", b'"b"')


# --- when -------------------------------------------------------------------------------------------------------


def test_even_saves_are_due_at_equal_distances_in_every_phase() -> None:
    """Rate by rate, whatever is answered."""
    found = list(dues(PHASES, EVEN, random.Random(1)))
    steps = [due_ns for index, due_ns in found if index == 2]

    assert [sum(index == phase for index, _ in found) for phase in range(3)] == [200, 0, 1200]
    assert {later - earlier for earlier, later in itertools.pairwise(steps)} == {NS_PER_S // 400}
    assert found == sorted(found) and found[-1][1] < length_ns(PHASES)


def test_saves_by_chance_keep_the_rate_and_scatter_as_chance_does() -> None:
    """Poisson: of the gaps between them, mean and deviation are the same."""
    phase = [Phase("step", 60.0, 1000.0)]
    found = [due_ns for _, due_ns in dues(phase, POISSON, random.Random(7))]
    gaps = [later - earlier for earlier, later in itertools.pairwise(found)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5

    assert len(found) == pytest.approx(60_000, rel=0.02)
    assert deviation == pytest.approx(mean, rel=0.03)


@pytest.mark.parametrize("spacing", [EVEN, POISSON])
def test_the_parts_of_several_processes_make_up_the_whole_rate(spacing: str) -> None:
    """And no two of an even schedule fall on one instant."""
    parts = [list(dues(PHASES, spacing, random.Random(part), part=part, parts=3)) for part in range(3)]
    found = [due for part in parts for due in part]

    assert len(found) == pytest.approx(1400, rel=0.1)
    assert len(set(found)) == len(found)


def test_one_seed_makes_one_schedule() -> None:
    """So that a run can be repeated."""
    first, second = (list(dues(PHASES, POISSON, random.Random(5))) for _ in range(2))

    assert first == second


# --- how long ---------------------------------------------------------------------------------------------------


def test_counted_latencies_are_the_histogram_that_the_library_would_have_made() -> None:
    """Every bucket of it, at any size; what is out of range counts as the edge."""
    dice = random.Random(3)
    values = [int(dice.lognormvariate(9, 3)) for _ in range(20_000)] + [0, 1, 2047, 2048, 4095, 4096, HIGHEST_US, 10**9]
    times, library = Times(), HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
    for value in values:
        times.note(value)
        library.record_value(max(LOWEST_US, min(HIGHEST_US, value)))
    made = times.histogram()

    assert made.total_count == library.total_count == times.count
    for share in (1, 50, 90, 99, 99.9, 100):
        assert made.get_value_at_percentile(share) == library.get_value_at_percentile(share)


def test_a_percentile_is_within_a_thousandth_of_what_was_noted() -> None:
    """Three digits; the same from the counts as from the histogram."""
    times = Times()
    for us in range(1, 100_001):
        times.note(us)

    assert times.percentile_us(0.99) == pytest.approx(99_000, rel=0.001)
    assert times.histogram().get_value_at_percentile(99) == pytest.approx(99_000, rel=0.001)


# --- frames -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 3, 125, 126, 127, 0xFFFF, 0x10000])
def test_the_engine_reads_what_the_driver_writes(length: int) -> None:
    """Masked, at every size of a length."""
    payload = bytes(random.Random(length).randbytes(length))

    assert engine_frames.read(frames.write(payload), 0, 1 << 20) == (0x81, payload, len(frames.write(payload)))


def test_the_driver_reads_whole_frames_and_leaves_the_rest() -> None:
    """Cut at any byte, nothing is lost or read twice."""
    texts = [b"{}", b"x" * 200, b"y" * 70_000]
    wire = b"".join(engine_frames.write(0x81, text) for text in texts)
    for cut in (0, 1, 2, 3, 5, 205, 210, len(wire)):
        first = list(frames.read(wire[:cut]))
        begins = first[-1][2] if first else 0
        rest = list(frames.read(wire[begins:]))

        assert [payload for _, payload, _ in (*first, *rest)] == texts


def test_what_no_server_of_ours_sends_is_refused() -> None:
    """A fragment would be taken for a message."""
    with pytest.raises(ValueError, match="01"):
        list(frames.read(b"\x01\x02{}"))


# --- one sitting ------------------------------------------------------------------------------------------------


def reply(saved: int, generation: int = 1) -> dict[str, Any]:
    return {"saved": saved, "generation": generation, "position": 1, "committed": 0}


def a_sitting() -> tuple[Sitting, Figures]:
    return Sitting("c", "s", "t"), Figures(PHASES[2])


def test_a_save_that_waits_for_an_earlier_answer_counts_from_when_it_was_due() -> None:
    """Nothing is left out because the engine was slow: no coordinated omission."""
    sitting, figures = a_sitting()
    sitting.make_due(CHOICE, 1, figures)
    sitting.next_call(0)
    sitting.make_due(CHOICE, 1_000_000, figures)
    sitting.make_due(CHOICE, 2_000_000, figures)
    sitting.acknowledge(reply(1), 50_000_000)
    call = sitting.next_call(50_000_000)
    sitting.acknowledge(reply(3), 60_000_000)

    assert call.count(b'"item"') == 2 and figures.calls == 2
    assert figures.from_due.max_us == 59_000  # due at 1 ms, acknowledged at 60
    assert figures.from_sent.max_us == 50_000
    assert figures.from_due.count == 3


def test_the_newest_acknowledged_change_of_an_item_is_kept() -> None:
    """With its seq, as the judge needs it; what nobody answered is kept apart."""
    sitting, figures = a_sitting()
    for value in (b'"a"', b'"b"', b'"c"'):
        sitting.make_due(choice_of("A1", value), 1, figures)
        if value != b'"c"':
            sitting.next_call(0)
            sitting.acknowledge(reply(sitting.seq), 1)
    sitting.next_call(0)

    assert sitting.newest == {"A1": (2, b'"b"')}
    assert [(one.seq, one.choice.value) for one in sitting.left_open()] == [(3, b'"c"')]


def test_a_call_holds_no_more_changes_than_the_contract_allows() -> None:
    """What is left goes out with the next."""
    sitting, figures = a_sitting()
    for _ in range(CHANGES_PER_CALL_MAX + 5):
        sitting.make_due(CHOICE, 0, figures)

    assert sitting.next_call(0).count(b'"seq"') == CHANGES_PER_CALL_MAX
    assert len(sitting.waiting) == 5


def test_a_sitting_has_one_call_under_way_whoever_asks() -> None:
    """A channel that is back while a call is still on its way over HTTP waits for its answer."""
    sitting, figures = a_sitting()
    for due_ns in (1, 2):
        sitting.make_due(CHOICE, due_ns, figures)
        if due_ns == 1:
            sitting.next_call(1)

    assert sitting.next_call(3) == b"" and [one.seq for one in sitting.under_way] == [1]
    sitting.acknowledge(reply(1), 4)
    assert b'"seq":2' in sitting.next_call(5)


def test_a_lost_call_goes_out_again_before_what_came_later() -> None:
    """Under the same seq; resending is always safe."""
    sitting, figures = a_sitting()
    sitting.make_due(CHOICE, 0, figures)
    sitting.next_call(0)
    sitting.make_due(CHOICE, 0, figures)
    sitting.take_back()

    assert [one.seq for one in sitting.waiting] == [1, 2]


def test_a_raised_generation_sends_everything_acknowledged_again_and_counts_it_once() -> None:
    """Redis may have lost it; to the figures it was acknowledged already."""
    sitting, figures = a_sitting()
    for number, item in enumerate(("A1", "A2", "A3"), 1):
        sitting.make_due(choice_of(item, b"true"), 1, figures)
        sitting.next_call(1)
        sitting.acknowledge(reply(number, generation=1 if number < 3 else 2), 2)
    again = sitting.next_call(3)
    assert sitting.left_open() == []  # an acknowledgement that is asked for once more was given all the same
    sitting.acknowledge(reply(2, generation=2), 4)

    assert again == b'{"item":"A1","seq":1,"value":true},{"item":"A2","seq":2,"value":true}'
    assert figures.from_due.count == 3 and figures.resent == 2
    assert not sitting.waiting


def test_what_is_never_answered_is_an_error_and_in_the_histogram() -> None:
    """Left out, the slowest would make the rest look fast; an answer that comes too late counts once."""
    sitting, figures = a_sitting()
    sitting.make_due(CHOICE, 1, figures)
    sitting.next_call(1)
    sitting.give_up(5 * NS_PER_S)
    sitting.acknowledge(reply(1), 6 * NS_PER_S)
    report = figures.report()

    assert report.errors == {"unanswered": 1} and report.acknowledged == 0
    assert report.percentiles_ms()["max"] == pytest.approx(5000, rel=0.001)
    assert sitting.newest == {"A1": (1, b'"b"')}


# --- what it is worth -------------------------------------------------------------------------------------------


def test_a_generator_that_was_busy_or_late_makes_a_phase_void() -> None:
    """With the bound beside what was found; at the bounds it still counts."""
    assert why_void(BUSY_SHARE_MAX, LATE_P99_MS_MAX) == ""
    assert "used 71% of a core" in why_void(BUSY_SHARE_MAX + 0.01, 0.0)
    assert "21 ms late" in why_void(0.0, LATE_P99_MS_MAX + 1)


def measured(late_us: int = 100, busy: float = 0.2, is_judged: bool = True, from_due_us: int = 4000) -> Measured:
    figures = Figures(Phase("step", 1.0, 10.0, is_judged))
    for _ in range(10):
        figures.taken_up(late_us)
        figures.acknowledged(from_due_us, from_due_us // 2)
    figures.end_second(busy, 1.0)
    return figures.report()


def test_only_what_is_judged_can_be_void() -> None:
    """While warming up a generator may be late."""
    assert "late" in measured(late_us=30_000).why_void
    assert measured(late_us=30_000, is_judged=False).why_void == ""


def test_waiting_for_an_answer_is_not_the_generators_lateness() -> None:
    """A slow engine must not be excused by calling its run void."""
    assert measured(from_due_us=900_000).why_void == ""


def test_several_processes_are_void_together_and_add_up() -> None:
    """The histogram of all is not an average of percentiles. Each was told the whole rate, and sends its part of it."""
    parts = [measured(from_due_us=1000), measured(from_due_us=1000, busy=0.9), measured(from_due_us=80_000)]
    both = together(parts)

    assert (both.offered, both.acknowledged, both.saves_per_s) == (30, 30, 10.0)
    assert both.busy_share == 0.9 and "90% of a core" in both.why_void
    assert both.percentiles_ms()["p50"] == pytest.approx(1, rel=0.001)
    assert both.percentiles_ms()["p99"] == pytest.approx(80, rel=0.001)
    assert both.per_second == [[30, 80_000]]


def test_short_turns_are_asked_for_where_the_kernel_knows_them() -> None:
    """Niceness and policy stay; where it does not, nothing happens."""
    asked = "import os; from loadtest.openloop.precedence import take_short_turns; os.nice(3); "
    told = subprocess.run(
        [sys.executable, "-c", asked + "print(take_short_turns(), os.nice(0), os.sched_getscheduler(0))"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip

    assert told[0] in ("True", "False") and told[1:] == ["3", "0"]


# --- a share of a plan -------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_line_that_does_not_open_is_an_error_at_any_time() -> None:
    """Before the start and after the end as well, when the driver keeps no figures of a phase."""
    part = Part(a_plan(), 0, 1)

    part.driver._fail("not_opened", "refused")
    part.driver.figures_of(Phase("steady", 1.0, 1.0)).fail("refused", "413")

    assert part.notes.recorder.report().errors == {"channel/outside/not_opened": 1, "save/outside/refused": 1}
    assert part.notes.errors == 2
