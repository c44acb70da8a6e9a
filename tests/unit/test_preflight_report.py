"""What preflight says as a whole: the worst colour, the exit code, what may be accepted, and the three forms."""

from __future__ import annotations

import json

import pytest

from engine.preflight import (
    ask_batches,
    backlogs,
    batches,
    capacity,
    clocks,
    keys,
    nodes,
    servers,
)
from engine.preflight.finding import ACCEPTABLE, Colour, Finding, accept, amber, exit_code, green, named, red, worst
from engine.preflight.report import TITLES, Report, as_html, as_json, as_text
from loadtest import canary

GREEN = green("disks", "够", "enough", subject="data")
AMBER = amber("nodes", "可以", "may", "看", "look", subject="http://a")
RED = red("roster", "改过", "changed", "看日志", "read the log", subject="B<1>", may_be_accepted=True)


def report(*findings: Finding) -> Report:
    return Report(made_at="2027-01-15 18:00", urls=["http://a"], findings=findings, days=3)


@pytest.mark.parametrize(
    ("findings", "colour", "code"),
    [
        ([], Colour.GREEN, 0),
        ([GREEN], Colour.GREEN, 0),
        ([GREEN, AMBER], Colour.AMBER, 0),
        ([AMBER, RED, GREEN], Colour.RED, 1),
    ],
)
def test_the_worst_finding_decides(findings: list[Finding], colour: Colour, code: int) -> None:
    """Amber ends with 0: the exam can be held."""
    assert (worst(findings), exit_code(findings)) == (colour, code)


def test_what_a_person_takes_on_is_amber_and_says_so() -> None:
    for name in ("roster", "roster:B<1>"):
        [accepted] = accept([RED], [name])
        assert (accepted.colour, accepted.is_accepted) == (Colour.AMBER, True)

    assert accept([RED], ["roster:B2", "batches"]) == [RED]
    unseen = red("roster", "没能检查", "could not be looked at", "启动它", "start it")
    assert accept([unseen], ["roster"]) == [unseen]
    assert accept([GREEN], []) == [GREEN]


def test_nobody_accepts_that_answers_may_be_lost() -> None:
    """Only what a person may rightly decide otherwise."""
    assert "durability" not in ACCEPTABLE
    with pytest.raises(ValueError, match="batches, roster"):
        accept([], ["durability"])


def test_every_check_has_a_title_in_both_languages() -> None:
    """The report sorts by them: a check without one would break it on the evening before."""
    modules = (backlogs, batches, capacity, clocks, keys, nodes, servers)
    checks = {
        value
        for module in modules
        for name, value in vars(module).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, str)
    }

    assert checks == set(TITLES)
    assert all(zh and en for zh, en in TITLES.values())


def test_the_text_has_red_first_and_both_languages() -> None:
    text = as_text(report(GREEN, AMBER, RED))

    assert text.index("改过") < text.index("可以\n") < text.index("够")
    assert all(each in text for each in ("changed", "→ 看日志", "→ read the log", "不能开考", "NOT READY"))


def test_the_text_says_what_was_accepted() -> None:
    text = as_text(report(*accept([RED], ["roster"])))

    assert "（已认可 accepted）" in text
    assert "NOT READY" not in text


def test_the_json_holds_every_finding() -> None:
    told = json.loads(json.dumps(as_json(report(GREEN, RED))))

    assert (told["colour"], told["exit_code"]) == ("red", 1)
    assert told["counts"] == {"red": 1, "amber": 0, "green": 1}
    assert [finding["check"] for finding in told["findings"]] == ["roster", "disks"]
    assert {"check", "colour", "zh", "en", "do_zh", "do_en", "subject", "may_be_accepted", "is_accepted"} == set(
        told["findings"][0]
    )


def test_the_page_shows_text_as_text() -> None:
    """A batch's id comes from outside."""
    page = as_html(report(GREEN, RED))

    assert "B&lt;1&gt;" in page and "B<1>" not in page
    assert page.index("改过") < page.index("够")
    assert 'class="verdict red"' in page
    assert "http" not in page.replace("http://a", "")  # nothing is fetched from anywhere


def test_whoever_signs_reads_which_batches_were_looked_at() -> None:
    """In every form, and on a page that is printed the id is text, too."""
    one = Report(made_at="2027-01-15 18:00", urls=["http://a"], findings=[GREEN], days=3, batch_id="B<1>")
    days = Report(made_at="2027-01-15 18:00", urls=["http://a"], findings=[GREEN], days=1)

    assert "只检查了批次 B<1>" in as_text(one) and "of batches only B<1>" in as_text(one)
    assert "只检查了批次 B&lt;1&gt;" in as_html(one) and "of batches only B&lt;1&gt;" in as_html(one)
    assert "今后 1 天的批次" in as_text(days) and "batches of the next 1 day<" in as_html(days)
    assert (as_json(one)["batch_id"], as_json(days)["batch_id"], as_json(days)["days"]) == ("B<1>", None, 1)


def test_long_lists_are_cut_short_with_their_number() -> None:
    assert named(["a", "b"]) == "a, b"
    assert named(list("abcdefg")) == "a, b, c, d, e (+2)"


def test_canaries_are_known_by_one_name_on_both_sides() -> None:
    """The load generator shares no code with the engine."""
    assert ask_batches.CANARY_PREFIX == canary.PREFIX


def test_the_canarys_score_is_what_its_answers_are_worth() -> None:
    """Reckoned here a second time: 4 for A1, nothing for A2, 2 for B1, 1 for B2."""
    typed = dict(canary.TYPED)
    items = {item["id"]: item for section in canary.PAPER["sections"] for item in section["items"]}
    earned = sum(item["points"] for name, item in items.items() if typed[name] == item["answer"])
    points = sum(item["points"] for item in items.values())

    assert 100 * earned / points == canary.SCORE
    assert set(typed) == set(items)
    assert typed["A2"] != items["A2"]["answer"]
