"""Latencies of many processes add up, phase by phase (loadtest/sizing)."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.journal import Change
from loadtest.ledger import Ledger
from loadtest.openloop.notes import Notes
from loadtest.sizing import ledger_file, measure, plan
from loadtest.sizing.plan import Person, Phase, PhaseName, Plan

PHASES = [Phase(PhaseName.STEADY, 0, 10_000, 0.1), Phase(PhaseName.STRESS, 10_000, 20_000, 0.2)]


def a_plan(people: int = 0) -> Plan:
    return Plan(
        url="http://engine", batch_id="b", paper_id="p", admission_code="C", schedule_key="s", results_key="r",
        starts_ms=0, ends_ms=20_000, grace_s=5, seed=1, phases=PHASES,
        people=[Person(number, f"c{number}", f"{number}", 1, plays="openloop" if number % 5 == 0 else "swarm")
                for number in range(people)],
    )  # fmt: skip


def test_a_latency_counts_in_the_phase_in_which_it_began() -> None:
    """A save that was sent at design peak and answered in the stress says how the peak ended."""
    recorder = measure.Recorder("one", a_plan().phase_at)
    recorder.note("save", 2_000_000, at_ms=11_000)
    recorder.note("save", 500, at_ms=11_000)

    histograms, _, seconds = measure.merged([recorder.report()])

    assert {key: found.total_count for key, found in histograms.items()} == {"save/steady": 1, "save/stress": 1}
    assert seconds["save"][11].count == 2 and seconds["save"][11].max_us == 2_000_000


def test_what_takes_longer_than_is_told_counts_where_it_began_all_the_same() -> None:
    """Two minutes are the longest latency that a histogram holds."""
    recorder = measure.Recorder("one", a_plan().phase_at)
    recorder.note("receipt", 150e6, at_ms=155_000)

    assert list(recorder.report().histograms) == ["receipt/steady"]


@pytest.mark.parametrize("after_ms", [-900.0, -100.0, 300.0])
def test_what_comes_before_it_may_is_an_error(after_ms: float) -> None:
    """A key before the start, a receipt before the end; as far as clocks are known."""
    notes = Notes("one", a_plan())
    notes.note_from("key", after_ms)

    report = notes.recorder.report()
    assert sum(report.errors.values()) == (after_ms < -measure.EARLY_MS)
    assert bool(report.histograms) == (after_ms >= -measure.EARLY_MS)


def test_two_processes_add_up_to_what_one_would_have_noted() -> None:
    """Over the file format, as they meet in earnest."""
    one, other, both = (measure.Recorder(name, a_plan().phase_at) for name in ("one", "other", "both"))
    for number in range(1, 1001):
        (one if number % 3 else other).note("save", number * 100, at_ms=5_000)
        both.note("save", number * 100, at_ms=5_000)
    one.fail("save", "503", at_ms=5_000)
    other.fail("save", "503", at_ms=5_001)

    reports = [measure.decode(measure.encode(recorder.report())) for recorder in (one, other)]
    histograms, errors, seconds = measure.merged(reports)

    alone = measure.merged([both.report()])[0]["save/steady"]
    assert measure.percentiles_ms(histograms["save/steady"]) == measure.percentiles_ms(alone)
    assert measure.percentiles_ms(alone)["p99_ms"] == pytest.approx(99.0, rel=0.002)
    assert errors == {"save/steady/503": 2}
    assert seconds["save"][5].errors == 2


def test_every_candidate_is_played_once(tmp_path: Path) -> None:
    """Whatever the number of generators; and the plan that they read is the one that was written."""
    file = tmp_path / "plan.json"
    plan.write(a_plan(people=23), file)
    read = plan.read(file)

    swarm = [person.number for index in range(4) for person in read.share("swarm", index, 4)]
    openloop = [person.number for index in range(2) for person in read.share("openloop", index, 2)]

    assert sorted(swarm + openloop) == list(range(23))
    assert openloop
    assert file.stat().st_mode & 0o077 == 0
    assert read.rate_at(12_000) == 0.2 and read.phase_at(25_000) is None


def test_a_ledger_reaches_the_judge_as_it_was(tmp_path: Path) -> None:
    """What was acknowledged and what was only sent; a torn line is named."""
    change = Change("i1", 3, ["A", "B"], b"", sent=True, acknowledged=True)
    ledgers = [
        Ledger("c1", "s1", entered=True, changes=[change, Change("i2", 4, None, b"", sent=True)], receipts=[{"a": 1}]),
        Ledger("c2", stays_away=True, failures=["kept out"]),
    ]
    file = tmp_path / "swarm-0.ledger"
    ledger_file.write(file, ledgers)

    assert list(ledger_file.read(file)) == ledgers

    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ValueError, match="line 2"):
        list(ledger_file.read(file))
