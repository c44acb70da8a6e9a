"""Two load tests side by side: what is said of them is so, and what cannot be said is refused."""

from __future__ import annotations

import re

import msgspec
import pytest

from loadtest.sizing.changes import Change, changes_of, differences_of, warnings_of
from loadtest.sizing.compare import CannotCompare, compare
from loadtest.sizing.criteria import CRITERIA
from loadtest.sizing.outcome import Line, Outcome, Traffic, Word, decode, encode
from tests import outcomes
from tests.outcomes import NASTY


def steady(**members: object) -> Outcome:
    """A run of one phase that differs in `members`."""
    return outcomes.outcome(phases=[outcomes.phase("steady", 30, 240, **members)])


def change(before: Outcome, after: Outcome, label: str) -> Change:
    (found,) = [each for each in changes_of(before, after) if each.label.en == label]
    return found


def test_a_run_compared_with_itself_differs_in_nothing() -> None:
    run = outcomes.outcome()
    text, page = compare(run, run)

    assert "verdict PASS -> PASS" in text and "changed" not in text
    assert "nothing differed in how they were run" in text
    assert "0 worse, 0 better" in text and "!" not in text
    assert not {"class=fails", "class=better", "class=warned"} & set(re.split("[ >]", page))


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [(100.0, 109.0, "same"), (100.0, 112.0, "worse"), (100.0, 85.0, "better"), (1.0, 1.9, "same"), (0.0, 5.0, "worse")],
)
def test_a_figure_is_better_or_worse_only_by_more_than_runs_differ(before: float, after: float, outcome: str) -> None:
    """A tenth, and of latencies a millisecond."""
    one, other = (steady(criteria=[outcomes.criterion("x", found, 1000)]) for found in (before, after))

    assert change(one, other, "criterion criterion x").outcome == outcome


@pytest.mark.parametrize(
    ("unit", "before", "after"), [("MiB", 4.0, 4.6), ("cores", 0.003, 0.012), ("s", 0.0, 0.09), ("of 1", 0.001, 0.002)]
)
def test_what_is_small_moves_by_chance(unit: str, before: float, after: float) -> None:
    """An idle process that takes a hundredth of a core more is not worse."""
    one, other = (steady(criteria=[outcomes.criterion("x", found, 1000, unit=unit)]) for found in (before, after))

    assert change(one, other, "criterion criterion x").outcome == "same"


def test_nothing_is_judged_on_too_few_calls_or_in_a_void_phase() -> None:
    """Shown, but neither better nor worse; and never the generator's own lateness."""
    save = "Save, from sending to acknowledged (closed loop)"
    few = [steady(operations={"save": outcomes.latency(ms, 99), "lateness": outcomes.latency(ms)}) for ms in (4, 90)]
    void = [steady(operations={"save": outcomes.latency(ms)}, void=told) for ms, told in ((4, ""), (90, "late"))]

    assert change(*few, f"{save} p50").outcome == "worse"
    assert change(*few, f"{save} p99").outcome == "" and change(*few, f"{save} slowest").outcome == ""
    assert change(*few, "Generator later than planned p50").outcome == ""
    assert {each.outcome for each in changes_of(*void) if each.phase == "steady"} == {""}


@pytest.mark.parametrize(("calls", "outcome"), [(9, ""), (20_000, "worse")])
def test_a_criterion_on_a_percentile_is_compared_on_as_many_calls_as_the_percentile(calls: int, outcome: str) -> None:
    """Of every criterion there is: ten saves of a hall of fifty hold a limit, and tell nothing of the next ten."""
    names = sorted({name for rules in CRITERIA.values() for name in rules if re.search(r"_p\d+(_\d)?_ms$", name)})
    operations = dict.fromkeys(("save", "save_intended", "login"), outcomes.latency(4, calls))
    one, other = (
        steady(operations=operations, criteria=[outcomes.criterion(name, found, 1000) for name in names])
        for found in (4.0, 90.0)
    )

    assert len(names) == 7
    assert {change(one, other, f"criterion criterion {name}").outcome for name in names} == {outcome}


def test_the_screen_shows_the_largest_changes_and_counts_the_rest() -> None:
    names = [f"c{number}" for number in range(40)]
    one, other = (
        steady(criteria=[outcomes.criterion(name, 100 + at * by, 1) for at, name in enumerate(names)]) for by in (0, 20)
    )
    text = compare(one, other)[0]

    assert "39 worse" in text and "and 24 more" in text
    assert text.index("criterion c39") < text.index("criterion c30") and "criterion c2:" not in text


def test_more_is_better_where_a_criterion_asks_for_more() -> None:
    one, other = (
        steady(criteria=[outcomes.criterion("x", found, 50, unit="1/s", is_at_most=False)]) for found in (100, 200)
    )

    assert change(one, other, "criterion criterion x").outcome == "better"
    assert change(other, one, "criterion criterion x").outcome == "worse"


def test_one_error_and_one_lost_answer_are_worse() -> None:
    """Of what should not be at all no number is about the same."""
    one = steady(error_kinds={"save/503": 100})
    other = msgspec.structs.replace(steady(error_kinds={"save/503": 101}), account={**one.account, "lost": 1})

    assert change(one, other, "errors of all kinds").outcome == "worse"
    assert change(one, other, "Acknowledged answers missing, older or altered").outcome == "worse"
    assert "worse  account: Acknowledged answers missing" in compare(one, other)[0]


def test_bytes_cpu_memory_and_latencies_are_compared_in_every_phase() -> None:
    traffic = Traffic(up_bytes=1, down_bytes=1, up_share=0, down_share=0, up_bytes_each=9_000, down_bytes_each=3_000)
    one = steady()
    other = steady(
        traffic=traffic,
        cpu={**outcomes.ROLES, "Redis": 0.3},
        memory_mib={"engine": 20.0},
        recorder_lag_max_s=2.0,
        operations={"save": outcomes.latency(9)},
    )
    found = {each.label.en: each.outcome for each in changes_of(one, other)}

    assert found["up per candidate"] == "worse" and found["down per candidate"] == "better"
    assert found["CPU Redis"] == "worse" and found["memory engine's workers"] == "better"
    assert found["recorder behind by at most"] == "worse"
    assert found["Save, from sending to acknowledged (closed loop) p99"] == "worse"
    assert found["memory Redis"] == ""  # only the first has it


def test_what_differed_in_how_they_were_run_is_named() -> None:
    one = outcomes.outcome()
    other = outcomes.outcome(
        seed=8, versions={**one.versions, "python": "3.13.0"}, configuration={"LIANKAO_PARTITIONS": "32", "NEW": "1"}
    )
    found = {(each.what.en, each.name): (each.before, each.after) for each in differences_of(one, other)}

    assert found == {
        ("run", "seed"): ("7", "8"),
        ("version", "python"): ("3.12.3", "3.13.0"),
        ("configuration", "LIANKAO_PARTITIONS"): ("16", "32"),
        ("configuration", "LIANKAO_GRACE_S"): ("10", "–"),
        ("configuration", "NEW"): ("–", "1"),
    }


@pytest.mark.parametrize(
    ("members", "warning"),
    [
        ({"machine": {"cpu": "another"}}, "Not alike in machine or task (machine):"),
        ({"tier": "2000-5000", "candidates": 5}, "Not alike in machine or task (tier, number of candidates):"),
        (
            {"line": Line(enforced=False, up_kbit_per_s=28_000, down_kbit_per_s=20_000)},
            "Not alike in machine or task (line):",
        ),
        ({"verdict": Word.VOID}, "The second run is VOID"),
        ({"phases": [outcomes.phase("steady", 30, 240, void="late")]}, "Void in the second run: Design peak"),
    ],
)
def test_who_compares_what_is_not_alike_is_warned(members: dict[str, object], warning: str) -> None:
    """In the text and on the page, before any figure."""
    one, other = outcomes.outcome(), outcomes.outcome(**members)
    text, page = compare(one, other)

    assert [told.en for told in warnings_of(one, other) if told.en.startswith(warning)]
    assert text.index(f"! {warning}") < text.index("figures:")
    assert page.index(warning) < page.index("<table")
    assert warnings_of(one, one) == []


def test_a_changed_verdict_is_told_first() -> None:
    text, page = compare(outcomes.outcome(), outcomes.failed(tier="\x1b[2J"))

    assert text.splitlines()[0] == "verdict PASS -> FAIL  (changed)"
    assert page.index("PASS") < page.index("FAIL") < page.index("<table")
    assert "<script>alert" not in page and NASTY not in page
    assert "\x1b" not in text
    assert page.count("class=fails") == 2 * text.count("\n  worse ") > 0  # together, and by phase


def test_another_format_is_refused_with_its_number() -> None:
    """Whether it comes as a file or is read already; and what has nothing in common."""
    other = outcomes.outcome(format=2)

    with pytest.raises(CannotCompare, match="second outcome has format 2; this program compares format 1"):
        compare(outcomes.outcome(), other)
    with pytest.raises(CannotCompare, match="no phase in common"):
        compare(outcomes.outcome(), outcomes.outcome(phases=[]))
    with pytest.raises(msgspec.DecodeError, match="format 2; this program reads format 1"):
        decode(encode(other))
    with pytest.raises(msgspec.DecodeError):
        decode(b"{}")
