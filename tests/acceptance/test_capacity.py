"""`./run capacity` on a real engine: an answer in words and JSON that follows from what it measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine import __main__ as command_line
from tests.servers import Engine


def run(*words: str | Path) -> int:
    return command_line.main(["capacity", *map(str, words)])


def few(engine: Engine, *words: str | Path) -> int:
    """Two rates of a second each."""
    rates = ("--start-at", "30", "--up-to", "40", "--seconds", "1", "--p99-ms", "5000")
    return run("--ready-file", engine.ready_file, "--sittings", "8", "--seed", "5", *rates, *words)


def test_capacity_answers_how_many_candidates_an_engine_carries(
    engine_up: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what was measured around it, nothing lost, and costs that a bill can be made from."""
    costs = tmp_path / "costs.json"
    code = few(engine_up, "--json", "--write-costs", costs)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    steps = found["knees"][0]["steps"]

    assert found["lost_or_wrong"] == 0 and found["around"][0]["checked"] == 8
    assert [step["errors"] for step in steps] == [{}] * len(steps)
    held = [step for step in steps if step["outcome"] == "held"]
    assert code == (0 if held else 1)
    assert found["candidates"] == int(found["knee_saves_per_s"] / 0.2)
    if held:  # a machine that others use may not even hold this; then it says so
        highest = max(held, key=lambda step: step["saves_per_s"])
        assert found["knee_saves_per_s"] == highest["acknowledged_per_s"]
        assert run("plan", "--candidates", "50", "--sites", "1", "--costs", costs, "--json") == 0
        billed = json.loads(capsys.readouterr().out)
        assert "kept, not measured here" not in billed["costs"]["engine_us_per_save"]["how"]
        assert next(line["value"] for line in billed["lines"] if line["name"] == "saves_per_s") == 5


def test_a_bill_is_made_from_kept_costs_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line with its formula; no engine is needed."""
    assert run("plan", "--candidates", "1000000", "--sites", "200") == 0
    said = capsys.readouterr().out

    assert "1,000,000 x 0.1 saves/s" in said and "100000 saves/s [extrapolated]" in said.replace("100,000", "100000")
    assert "site_link" in said and "redis_primaries" in said and "NOTE:" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--url", "http://127.0.0.1:1"), "--schedule-key"),
        (("--ready-file", "missing.json"), "missing.json"),
        (("--sittings", "1", "--generators", "2"), "at most one per sitting"),
        (("plan", "--candidates", "5", "--sites", "1", "--costs", "missing.json"), "missing.json"),
        (("plan", "--candidates", "10", "--sites", "200"), "--sites 200: expected at most one per candidate (10)"),
        (("plan", "--candidates", "10", "--sites", "1", "--minutes", "1"), "--saves-each 135: expected at most 6"),
    ],
)
def test_arguments_that_cannot_be_used_are_one_line(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, and what was expected."""
    assert run(*words) == 2
    said = capsys.readouterr().err

    assert told in said and "Traceback" not in said
