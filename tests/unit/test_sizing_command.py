"""The command line of load tests: what cannot be used is refused with exit 2 before anything is started."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from engine import __main__ as command_line
from loadtest.sizing import command
from loadtest.sizing.outcome import encode
from tests import outcomes


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("", "--tier"),
        ("--tier 300", "no tier '300'"),
        ("--tier 50 --tiers nowhere.toml", "nowhere.toml"),
        ("--tier 50 --minutes 0.2", "--minutes 0.2: expected 0.4 to 90"),
        ("--tier 50 --minutes 120", "--minutes 120: expected 0.4 to 90"),
        ("--tier 50 --url http://x", "--schedule-key"),
        ("--tier 50 --url http://x --schedule-key K", "--results-key"),
        ("--tier 50 --url http://x --schedule-key K --results-key K --shaped", "--shaped"),
        ("--tier 50 --shaped --ui", "--ui"),
        ("--tier 50 --machines 2 --bind 10.0.0.1", "--machines: only with --url"),
        ("--tier 50 --url http://x --schedule-key K --results-key K --machines 2", "--machines and --bind"),
        ("--tier 50 --url http://x --schedule-key K --results-key K --bind 10.0.0.1", "--machines and --bind"),
        ("--tier 50 --url http://x --schedule-key K --results-key K --lead-s 5", "--lead-s"),
        (
            "--tier 50 --url http://x --schedule-key K --results-key K --machines 2 --bind 10.0.0.1 --generators 2",
            "--generators",
        ),
        ("--tier 50 --report page.json", "--report page.json"),
        ("compare one.json", "expected nothing, or: compare"),
        ("200 --shaped", "expected nothing, or: compare"),
        ("compare one.json two.json", "one.json: No such file"),
        ("judge", "expected: judge A.json"),
        ("judge one.json two.json", "expected: judge A.json"),
        ("judge one.json", "one.json: No such file"),
        ("--tier 50 --ready-file nowhere.json", "--ready-file nowhere.json"),
        ("--tier 50 --url https://127.0.0.1:9 --schedule-key K --results-key K --loss 0.1", "only in front of http"),
    ],
)
def test_what_cannot_be_used_is_named(words: str, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = command_line.parser().parse_args(["loadtest", *shlex.split(words)])

    assert command.main(chosen) == command.COULD_NOT_RUN
    assert named in capsys.readouterr().err


def test_a_command_that_repeats_a_run_has_its_seed_and_no_key() -> None:
    words = "--tier 50 --url http://x --schedule-key SECRET1 --results-key SECRET2 --minutes 2 --http --delay-ms 20"
    chosen = command_line.parser().parse_args(["loadtest", *words.split()])

    options = command._options(chosen)

    again = command_line.parser().parse_args(shlex.split(options.command)[1:])
    assert "SECRET" not in options.command
    assert (again.seed, again.minutes, again.http, again.delay_ms, again.url) == (options.seed, 2, True, 20, "http://x")


def test_other_machines_have_time_to_be_given_the_plan() -> None:
    """And what repeats the run tells of them."""
    words = "--tier 50 --url http://x --schedule-key K --results-key K --machines 3 --bind 10.0.0.1:6000"
    parser = command_line.parser()

    options = command._options(parser.parse_args(["loadtest", *words.split()]))

    assert (options.asked.machines, options.asked.bind, options.asked.lead_s) == (3, "10.0.0.1:6000", command.LEAD_S)
    assert "--machines 3 --bind 10.0.0.1:6000" in options.command


def test_a_report_lies_where_it_was_asked_for(tmp_path: Path) -> None:
    """Its outcome beside it, also in a folder that was not there."""
    command._keep(outcomes.failed(), tmp_path / "new" / "page.html")

    assert {path.name for path in (tmp_path / "new").iterdir()} == {"page.html", "page.json"}


def test_a_report_that_finds_no_room_takes_no_verdict_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After ninety minutes the disk is full: the verdict is told all the same, in words and by the exit code."""
    (tmp_path / "page.html").symlink_to("/dev/full")

    code = command._keep_and_tell(outcomes.failed(), tmp_path / "page.html", as_json=False)

    said = capsys.readouterr()
    assert code == 1 and said.out.startswith("FAIL")
    assert "the report was not kept: [Errno 28] No space left" in said.err


def test_a_report_of_its_own_name_lies_in_one_folder_whatever_a_tier_is_called() -> None:
    assert command._report_file(None, "../hall 1 / 东楼").name.startswith("loadtest-..-hall-1-东楼-2")


def test_two_outcomes_are_compared_on_screen_and_on_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is none is refused by name."""
    one, page = tmp_path / "one.json", tmp_path / "page.html"
    one.write_bytes(encode(outcomes.failed()))
    (tmp_path / "none.json").write_text("{}", "utf-8")
    parser = command_line.parser()

    code = command.main(parser.parse_args(["loadtest", "compare", str(one), str(one), "--report", str(page)]))
    text = capsys.readouterr().out
    refused = command.main(parser.parse_args(["loadtest", "compare", str(one), str(tmp_path / "none.json")]))

    assert code == 0 and text and "<html" in page.read_text("utf-8")
    assert refused == command.COULD_NOT_RUN
    assert "none.json: not the JSON of a load test" in capsys.readouterr().err


def test_an_outcome_is_judged_anew_by_the_limits_of_a_tier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is the verdict; a report is written where one was asked for."""
    one, page, limits = tmp_path / "one.json", tmp_path / "again" / "page.html", tmp_path / "tiers.toml"
    one.write_bytes(encode(outcomes.outcome()))
    limits.write_text(
        "[tiers.x]\ncandidates = 1000\nup_mbit_per_s = 28\ndown_mbit_per_s = 20\nminutes = 10\n"
        "[criteria.steady]\nsave_p99_ms = 1\n",
        "utf-8",
    )
    parser = command_line.parser()
    words = ["loadtest", "judge", str(one), "--tiers", str(limits)]

    code = command.main(parser.parse_args([*words, "--tier", "x", "--report", str(page)]))
    text = capsys.readouterr().out
    refused = command.main(parser.parse_args(words))

    assert code == 1 and text.startswith("FAIL")
    assert page.exists() and page.with_suffix(".json").exists()
    assert refused == command.COULD_NOT_RUN  # it was of a tier that this file does not have
    assert "no tier '200-2000'" in capsys.readouterr().err
