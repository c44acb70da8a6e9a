"""Rows of the bench: each beside its goal, told to programs and to people, and an honest exit code."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from bench import command, driver
from bench.goals import GOALS
from bench.holding import _shares
from bench.rows import Row, as_json, as_line, exit_code, verdict, void
from loadtest import usage
from tests.servers import ROOT

AT_LEAST, AT_MOST = "http_save_ratio", "ack_p99_half_load_ms"
LOAD = {
    "seconds": 2.0,
    "span_s": 2.5,
    "sent": 1000,
    "answered": 1000,
    "counted": 800,
    "refused": 0,
    "broken": 0,
    "unanswered": 0,
    "cpu_s": 1.0,
    "p50_ms": 1.0,
    "p99_ms": 2.0,
    "max_ms": 3.0,
    "keys_seen": 0,
    "key_first_ms": 0.0,
    "key_last_ms": 0.0,
    "fault": "",
}


@pytest.mark.parametrize(
    ("name", "value", "holds"),
    [
        (AT_LEAST, 0.75, True),
        (AT_LEAST, 0.7499, False),
        (AT_MOST, 20.0, True),
        (AT_MOST, 20.001, False),
        ("marking_per_s", 1.0, None),
    ],
)
def test_a_goal_holds_at_its_bound_and_not_past_it(name: str, value: float, holds: bool | None) -> None:
    """In its own direction; a row without a goal is never judged."""
    assert Row(name, value, "x").holds is holds


def test_rows_are_told_to_programs_with_exactly_these_names() -> None:
    """The contract of `--json`; what could not be measured is null and does not hold."""
    told = json.loads(
        as_json([Row(AT_LEAST, 0.8123456789, "x"), Row("marking_per_s", 12.0, "1/s"), void(AT_MOST, "w")])
    )

    assert told == [
        {"name": AT_LEAST, "value": 0.812346, "unit": "x", "goal": 0.75, "holds": True},
        {"name": "marking_per_s", "value": 12.0, "unit": "1/s", "goal": None, "holds": None},
        {"name": AT_MOST, "value": None, "unit": "ms", "goal": 20, "holds": False},
    ]


def test_a_person_reads_value_goal_and_reason_in_one_line() -> None:
    """A missed goal stands out; a void one says why."""
    assert "goal >= 0.75: holds" in as_line(Row(AT_LEAST, 0.9, "x"))
    assert "goal <= 20: MISSED" in as_line(Row(AT_MOST, 33.0, "ms"))
    assert as_line(void(AT_MOST, "the driver was the bottleneck")).endswith("MISSED  (the driver was the bottleneck)")


def test_a_missed_goal_is_no_failure_but_a_void_row_is() -> None:
    """The exit code says whether it was measured; the last line says how it stands."""
    missed, gone = [Row(AT_MOST, 33.0, "ms"), Row(AT_LEAST, 0.8, "x")], [void(AT_MOST, "w")]

    assert (exit_code(missed), verdict(missed)) == (0, f"1 of 2 goals hold; missed: {AT_MOST}")
    assert (exit_code(gone), verdict(gone)) == (1, f"0 of 1 goals hold; missed: {AT_MOST}; not measured: {AT_MOST}")


def test_every_goal_is_measured_by_something() -> None:
    """And by one thing only: a goal that no measure names would never be seen to be missed."""
    named = [row for measure in command.MEASURES for row in measure.rows]

    assert len(named) == len(set(named))
    assert set(GOALS) <= set(named)


def test_every_goal_stands_in_the_benchs_readme() -> None:
    """With its bound, as people read it first there."""
    text = (ROOT / "bench" / "README.md").read_text("utf-8")

    assert [name for name in GOALS if f"`{name}`" not in text] == []
    assert [measure.name for measure in command.MEASURES if f"`{measure.name}`" not in text] == []


def test_measures_are_chosen_by_their_own_name_or_a_rows() -> None:
    """In the order in which they always run; without names, all but the long ones."""
    chosen = command.selected(f"sealing,{AT_MOST}", is_full=False)
    everything = command.selected(None, is_full=True)

    assert [measure.name for measure in chosen] == ["sealing", "http_save"]
    assert [measure.name for measure in everything if measure not in command.selected(None, is_full=False)] == [
        "grading",
        "channels",
    ]
    assert not any(measure.page for measure in everything)
    assert all(measure.page for measure in command.selected(None, is_full=True, is_page=True))


@pytest.mark.parametrize("only", ["seeling", "sealing,nothing", "", ","])
def test_an_unknown_name_is_refused_with_the_known_ones(only: str) -> None:
    """A typing error must not measure something else, or nothing."""
    with pytest.raises(command.UnknownName, match="token_check, sealing"):
        command.selected(only, is_full=False)


def test_a_measure_that_fails_is_void_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    """One thing that cannot be measured here must not hide the rest."""

    def fail(plan: object) -> list[Row]:
        raise driver.DriverFault("no compiler")

    broken = command.Measure(name="broken", rows=(AT_MOST,), alone=fail)
    working = command.Measure(name="working", rows=("one",), alone=lambda plan: [Row("one", 1.0, "x")])
    monkeypatch.setattr(command, "MEASURES", (broken, working))
    plan = {"seconds": 1.0, "connections": 1, "sittings": 1, "rounds": 1, "minutes": 1.0, "workers": 1}
    code = command.main(argparse.Namespace(only=None, full=False, page=False, json=True, **plan))
    told = json.loads(capsys.readouterr().out)  # type: ignore[attr-defined]

    assert code == 1
    assert [(row["name"], row["value"]) for row in told] == [(AT_MOST, None), ("one", 1.0)]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, ""),
        ({"cpu_s": 2.4}, "the driver was the bottleneck (96% of a core)"),
        ({"refused": 1, "fault": "answer: {}"}, "1 refused, 0 broken, 0 unanswered: answer: {}"),
        ({"unanswered": 2}, "0 refused, 0 broken, 2 unanswered: "),
        ({"counted": 0}, "nothing was answered"),
        ({"counted": 0, "keys_seen": 5}, ""),
    ],
)
def test_a_run_that_says_nothing_of_the_engine_is_void(changed: dict[str, object], why: str) -> None:
    """A busy driver measures itself; an engine that refuses is fast."""
    assert driver.load_of({**LOAD, **changed}).why_void == why


def test_cpu_time_is_counted_for_a_process_and_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for a process whose name looks like the fields behind it; one that is gone counts nothing."""
    for pid, name, parent, ticks in ((7, "a) S 1 (b", 1, 100), (8, "c", 7, 20), (9, "d", 8, 3), (10, "e", 1, 999)):
        (tmp_path / str(pid)).mkdir()
        fields = ["S", str(parent), *["0"] * 9, str(ticks), "1", "0", "0", *["0"] * 20]
        (tmp_path / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
    monkeypatch.setattr(usage, "PROC", tmp_path)

    assert usage.cpu_s(7) == pytest.approx((101 + 21 + 4) * usage.TICK_S)
    assert usage.cpu_s(11) == 0


def test_what_is_shared_out_is_neither_lost_nor_doubled() -> None:
    """Every channel has one driver."""
    assert _shares(10, 3) == [(0, 3), (3, 3), (6, 4)]
