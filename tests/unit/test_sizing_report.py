"""The report of a load test: whole, in both languages, safe whatever people wrote, and honest about what it draws."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from loadtest.sizing import charts, figures, report, words
from loadtest.sizing.markup import Markup, joined, tag
from loadtest.sizing.measure import OPERATIONS, OUTSIDE
from loadtest.sizing.outcome import Criterion, Line, Outcome, Text, Word, decode, encode
from loadtest.sizing.plan import PhaseName
from tests import outcomes
from tests.outcomes import NASTY

REPEATS = {"zh": "如何重复本次测试", "en": "To repeat it"}  # what stands below a page's head
EMPTY = {"phases": [], "series": {}, "account": {}, "model": {}, "machine": {}, "versions": {}, "configuration": {}}


class Tags(HTMLParser):
    """Every tag with its attributes, and the text of each language without the other's."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = {"zh": "", "en": ""}
        self._language = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "span":
            self._language = dict(attrs).get("lang") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "span":
            self._language = ""

    def handle_data(self, data: str) -> None:
        for language in self.text:
            if self._language in ("", language):
                self.text[language] += data


def read(outcome: Outcome) -> Tags:
    return Tags(report.page(outcome))


# --- the page --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "outcome", [outcomes.failed(), outcomes.failed(phases=[outcomes.phase(NASTY, 0, 9, void=NASTY)])]
)
def test_nothing_that_an_outcome_holds_becomes_a_tag(outcome: Outcome) -> None:
    """Whoever named a candidate, a machine or a fault; and the only script is the one that the page's policy names."""
    page = report.page(outcome)
    shown = Tags(page)

    assert NASTY in shown.text["zh"] and NASTY in shown.text["en"]
    assert [name for name, _ in shown.tags].count("script") == 1
    assert {name for name, _ in shown.tags}.isdisjoint({"link", "img", "iframe", "object", "form", "base"})
    assert not [key for _, attributes in shown.tags for key in attributes if key.startswith("on") or key == "style"]
    policy = next(
        attributes["content"] or "" for name, attributes in shown.tags if name == "meta" and "http-equiv" in attributes
    )
    assert policy.startswith("default-src 'none'; ")
    for kind in ("style", "script"):
        (content,) = re.findall(f"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
        assert "http" not in content and "url(" not in content


def test_the_page_is_small_and_points_only_into_itself() -> None:
    """A run of ten minutes is to be mailed."""
    page = report.page(outcomes.outcome())
    shown = Tags(page)
    places = {attributes["id"] for _, attributes in shown.tags if "id" in attributes}
    links = [attributes["href"] or "" for name, attributes in shown.tags if name == "a"]

    assert len(page.encode()) < 150_000
    assert len(links) == len(outcomes.PHASES)
    assert {link.removeprefix("#") for link in links} <= places
    assert not [key for _, attributes in shown.tags for key in attributes if key == "src"]


@pytest.mark.parametrize("word", Word)
def test_the_verdict_stands_first_in_words_and_with_its_reasons(word: Word) -> None:
    reasons = [Text(zh="第一条原因", en="the first reason")]
    shown = read(outcomes.outcome(verdict=word, reasons=reasons))

    for language, reason in (("zh", "第一条原因"), ("en", "the first reason")):
        text = shown.text[language].partition("load test\n")[2] or shown.text[language]
        verdict = f"{word} {getattr(words.VERDICTS[word], language)}"
        assert text.index(verdict) < text.index(reason) < text.index("./run loadtest")


@pytest.mark.parametrize("is_enforced", [True, False])
def test_a_slow_line_is_told_of_whether_it_was_enforced_or_not(is_enforced: bool) -> None:
    """On page and screen: figures behind 40 ms and 1 % loss are not those of a quiet line."""
    rates = {"enforced": is_enforced, "up_kbit_per_s": 500, "down_kbit_per_s": 250}
    slow, quick = (outcomes.outcome(line=Line(**rates, **more)) for more in ({"delay_ms": 40, "loss": 0.01}, {}))
    head_zh, head_en = (read(slow).text[language].split(repeats)[0] for language, repeats in REPEATS.items())

    assert "延迟 40 ms，丢包 1 %" in head_zh
    assert "40 ms" in head_en and "1 %" in head_en
    assert "delay 40 ms each way, loss 1 %" in report.text(slow)
    assert "each way" not in report.text(quick) and "丢包" not in read(quick).text["zh"]


def test_the_line_is_told_in_both_readings_and_whether_it_was_enforced() -> None:
    """`28 MB` in the documents is 28 Mbit/s here, and what that is in MByte/s stands beside it."""
    enforced = read(outcomes.outcome()).text["en"]
    measured = read(
        outcomes.failed(line=Line(enforced=False, up_kbit_per_s=28_000, down_kbit_per_s=20_000, why="no root"))
    ).text

    assert "28 Mbit/s" in enforced and "3.5 MByte/s" in enforced and "2.5 MByte/s" in enforced
    assert "Not enforced" not in enforced
    assert "Not enforced" in measured["en"] and "no root" in measured["en"] and "未强制" in measured["zh"]
    assert "2.1 %" in enforced and "0.263 %" in enforced  # of the tier, in either reading


def test_what_fails_is_said_where_it_fails() -> None:
    """With its figure and limit; what was not judged is neither."""
    shown = read(outcomes.failed())
    text = shown.text["en"]
    kinds = [attributes.get("class") for name, attributes in shown.tags if name == "tr"]

    assert "4 Twice the peak stress" in text  # as tiers and reasons call it
    assert "✗ fails — criterion p99; criterion errors" in text
    assert "1,400 ms≤ 1,000 ms140 %✗ fails" in text
    assert "✓ holds, near its limit" in text and f"– not judged ({NASTY})" in text
    assert "✗ must be 0" in text
    assert kinds.count("near") == 1 and kinds.count("unjudged") == 1
    assert kinds.count("fails") == 1 + 2 + 1  # the phase, its two criteria, the account


def test_a_verdict_says_what_it_leaves_open() -> None:
    """A criterion that nobody could judge, an account that nobody settled: never silently taken for held."""
    whole, half = outcomes.outcome(), outcomes.outcome(account={}, phases=outcomes.failed().phases)

    for told in (read(half).text["en"], report.text(half)):
        assert "1 of the criteria could not be judged" in told and "were not settled" in told
    for told in (read(whole).text["en"], report.text(whole)):
        assert "could not be judged" not in told and "not settled" not in told


def test_what_was_never_acknowledged_stands_in_the_account_and_beside_the_verdict() -> None:
    """It is no loss, and no success either. A run that did not count it shows no zero."""
    known = outcomes.outcome().account
    some, none = (outcomes.outcome(account={**known, "undelivered": count}) for count in (3, 0))

    for told in (read(some).text["en"], report.text(some)):
        assert "3 changes had no acknowledgement" in told
    assert "仍未得到确认" in read(some).text["zh"]
    assert "had no acknowledgement" not in read(none).text["en"]
    assert "without an acknowledgement when their candidate left0" in read(none).text["en"]
    assert "without an acknowledgement" not in read(outcomes.outcome()).text["en"]


def test_closed_and_open_loop_stand_side_by_side() -> None:
    text = read(outcomes.failed()).text["en"]
    save, intended = (outcomes.latency(median, 39_000) for median in (90, 420))

    for member in ("p50_ms", "p99_ms", "p99_9_ms", "max_ms"):
        assert f"{figures.milliseconds(getattr(save, member))}{figures.milliseconds(getattr(intended, member))}" in text


@pytest.mark.parametrize(
    "members",
    [
        EMPTY,
        {"series": {}},
        {
            "phases": [
                outcomes.phase(
                    "steady", 0, 0, operations={}, criteria=[], traffic=None, cpu={}, memory_mib={}, generators={}
                )
            ]
        },
    ],
)
def test_a_run_that_ended_early_still_has_a_page_and_a_screen(members: dict[str, object]) -> None:
    """Whatever is missing, its verdict is told."""
    outcome = outcomes.outcome(verdict=Word.VOID, **members)

    assert "VOID" in read(outcome).text["en"]
    assert report.text(outcome).startswith("VOID")


def test_a_report_made_from_the_file_is_the_same() -> None:
    """The JSON beside it holds everything that it shows."""
    for outcome in (outcomes.outcome(), outcomes.failed()):
        assert report.page(decode(encode(outcome))) == report.page(outcome)


def test_everything_that_is_measured_has_a_name_in_both_languages() -> None:
    """A new phase, operation or account shows up here first."""
    known = {**words.PHASES, **words.OPERATIONS, **words.ACCOUNT, **words.ROLES}

    assert words.PHASES.keys() == {*PhaseName, "paper", "exam", OUTSIDE}
    assert words.OPERATIONS.keys() == set(OPERATIONS)
    assert words.ACCOUNT.keys() > words.MUST_BE_NONE
    assert all(text.zh and text.en for text in known.values())
    assert words.phase("another") == Text(zh="another", en="another")
    assert words.generator("openloop-1").en == "open-loop generator 1"


# --- what is drawn ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lasts_s", [1, 59, charts.STRETCHES, charts.STRETCHES + 1, 660, 7200])
def test_thinning_keeps_what_stands_out(lasts_s: int) -> None:
    """One second of an hour is drawn in its place and height, in either direction; and few points suffice."""
    values = dict.fromkeys(range(1000, 1000 + lasts_s), 5.0)
    high, low = lasts_s // 2, lasts_s // 3
    values |= {1000 + low: 0.25, 1000 + high: 77.0}

    points = charts.thinned(values, 1000, 1000 + lasts_s)

    assert (high, 77.0) in points
    assert low == high or (low, 0.25) in points
    assert None not in points
    assert points == sorted(points)
    assert len(points) <= 2 * charts.STRETCHES


def test_where_values_are_missing_is_a_gap_and_no_line() -> None:
    """But what is only asked for every five seconds has none."""
    values = dict.fromkeys((0, 1, 2, 6, 7), 1.0) | {9: float("nan")}
    points = charts.thinned(values, 0, 10)
    drawn = charts.over_time(Text(zh="", en=""), [charts.Drawn("a", points)], 10, str)

    assert points == [(0, 1), (1, 1), (2, 1), None, (6, 1), (7, 1)]
    (path,) = re.findall(r'class="line l0" d="(M[^"]*)"></path><', drawn)[:1]
    assert path.count("M") == 2
    assert None not in charts.thinned(dict.fromkeys(range(0, 600, 5), 1.0), 0, 600)


def test_lines_stay_within_their_chart() -> None:
    """Whatever the figures, on either kind of axis; every one of them is drawn."""
    page = report.page(outcomes.failed())
    drawings = re.findall(r'<svg viewBox="0 0 (\d+) (\d+)"[^>]*>(.*?)</svg>', page)
    charts_drawn = [drawing for drawing in drawings if int(drawing[1]) > 100]

    assert len(charts_drawn) == 9 + 6  # over the run, and a curve for each phase with saves
    for width, height, drawn in charts_drawn:
        lines = re.findall(r'class="line l\d" d="([^"]*)"', drawn)
        assert lines
        for line in lines:
            x = y = 0
            for letter, across, up in re.findall(r"([Mlh])(-?\d+)(?: (-?\d+))?", line):
                x, y = (int(across), int(up)) if letter == "M" else (x + int(across), y + int(up or 0))
                assert 0 <= x <= int(width) and 0 <= y <= int(height)


def test_a_line_far_below_the_tier_is_not_pressed_flat() -> None:
    """The tier is then said to lie above; near it, it is drawn."""
    points = [(0.0, 1.0), (1.0, 2.0)]
    line = charts.Drawn("a", points)

    def drawn(limit: float) -> str:
        mark = charts.Mark(Text(zh="档", en="tier"), limit)
        return charts.over_time(Text(zh="", en=""), [line], 2, str, mark=mark)

    assert "above this chart" in drawn(100.0)
    assert "above this chart" not in drawn(3.0) and drawn(3.0).count("class=mark") == 2


def test_a_percentile_curve_ends_where_its_calls_end() -> None:
    """Two calls tell nothing of the slowest in a thousand, nor does a flat line."""
    few = outcomes.outcome(phases=[outcomes.phase("steady", 0, 60, operations={"save": outcomes.latency(4, 20)})])
    many = outcomes.outcome(phases=[outcomes.phase("steady", 0, 60, operations={"save": outcomes.latency(4, 20_000)})])
    one = outcomes.outcome(phases=[outcomes.phase("steady", 0, 60, operations={"save": outcomes.latency(4, 2)})])

    assert "99 %</text>" not in report.page(few) and "90 %</text>" in report.page(few)
    assert "99.99 %</text>" in report.page(many) and "99.999 %</text>" not in report.page(many)
    assert "both axes logarithmic" not in report.page(one)


def test_every_cost_stands_in_a_table_of_all_phases() -> None:
    """In one order everywhere, and what a phase does not have is no zero."""
    outcome = outcomes.outcome()
    outcome.phases[1].cpu, outcome.phases[1].memory_mib = {"engine": 0.5, "another": 0.25}, {}
    text = read(outcome).text["en"]
    start = outcome.phases[1].recorder_lag_max_s

    assert "Phaseengine's workersrecordergraderRedisPostgreSQLanotherrecorder behind by, at most" in text
    assert f"2 Start50 %{figures.NONE * 4}25 %{figures.seconds(start)}3 Design peak" in text
    assert "8.12 kB6.12 kB2.1 %2.3 %0.263 %0.287 %" in text


def test_a_void_phase_says_why_in_the_readers_language() -> None:
    """An outcome without the Chinese of it says it in English."""
    both = outcomes.phase("steady", 0, 60, void="it was late", void_zh="迟了")
    shown = read(outcomes.outcome(phases=[both, outcomes.phase("late", 60, 90, void="only English")])).text

    assert "迟了" in shown["zh"] and "it was late" not in shown["zh"] and "only English" in shown["zh"]
    assert "it was late" in shown["en"] and "迟了" not in shown["en"]


def test_why_a_line_or_a_criterion_is_open_is_said_in_the_readers_language() -> None:
    """One of an earlier release, which told it in English alone, says that in both."""
    both = outcomes.criterion("open", None, 1, holds=None, why="not seen", why_zh="未观测到")
    former = outcomes.criterion("former", None, 1, holds=None, why="only English")
    line = Line(enforced=False, up_kbit_per_s=1, down_kbit_per_s=1, why="no root", why_zh="不是管理员")
    shown = read(outcomes.outcome(line=line, phases=[outcomes.phase("late", 0, 9, criteria=[both, former])])).text

    assert "（未观测到）" in shown["zh"] and "不是管理员" in shown["zh"] and "only English" in shown["zh"]
    assert "not seen" not in shown["zh"] and "no root" not in shown["zh"]
    assert "(not seen)" in shown["en"] and "no root" in shown["en"] and "only English" in shown["en"]
    assert "未观测到" not in shown["en"] and "不是管理员" not in shown["en"]


def test_what_does_not_count_is_not_said_to_hold() -> None:
    """The criteria of a void phase."""
    criteria = [outcomes.criterion("good", 1, 2), outcomes.criterion("bad", 3, 2)]
    outcome = outcomes.outcome(phases=[outcomes.phase("steady", 0, 60, criteria=criteria, void="late")])
    page, screen = read(outcome).text["en"], report.text(outcome)

    assert "✓ holds, does not count" in page and "✗ fails, does not count" in page
    assert "which does not count: criterion bad" in screen and "FAILS" not in screen


def test_more_lines_than_can_be_told_apart_are_counted_and_not_drawn() -> None:
    lines = [charts.Drawn(f"line{number}", [(0.0, 1.0), (1.0, 2.0)]) for number in range(charts.LINES_MAX + 3)]
    drawn = charts.over_time(Text(zh="", en=""), lines, 2, str)

    assert "3 lower lines are not drawn" in drawn
    assert f"line{charts.LINES_MAX}" not in drawn


# --- figures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (300.0000001, "300"), (12.345, "12.3"), (999.6, "1,000"), (1234.5, "1,234"), (0.0301, "0.03"),
     (0.00004, "4e-05"), (-2.5, "-2.5"), (1.0, "1"), (None, "–")],
)  # fmt: skip
def test_a_number_has_three_digits_that_count(value: float | None, shown: str) -> None:
    """And no zero of 300 is taken for one behind the point."""
    assert figures.number(value) == shown


def test_figures_have_their_units() -> None:
    assert figures.bandwidth(28_000) == "28 Mbit/s = 3.5 MByte/s"
    assert figures.amount(1_500_000) == "1.5 MB" and figures.amount(12) == "12 B"
    assert figures.milliseconds(900) == "900 ms" and figures.milliseconds(12_000) == "12 s"
    assert figures.in_unit(0.5, "share") == "50 %" and figures.in_unit(3, "1/s") == "3 1/s"
    assert [figures.span(seconds) for seconds in (-120, -0.2, 59.6, 3661)] == ["-2:00", "0:00", "1:00", "1:01:01"]
    assert figures.moment(outcomes.STARTS_MS) == "2025-11-22 09:00:00 UTC+8"


@pytest.mark.parametrize(
    ("criterion", "is_near"),
    [
        (outcomes.criterion("a", 790, 1000), False),
        (outcomes.criterion("a", 800, 1000), True),
        (outcomes.criterion("a", 1001, 1000), False),  # fails
        (outcomes.criterion("a", 0, 0), False),
        (outcomes.criterion("a", 110, 100, is_at_most=False, unit="1/s"), True),
        (outcomes.criterion("a", 1.0, 0.99, is_at_most=False, unit="share"), False),
        (outcomes.criterion("a", None, 1, holds=None), False),
    ],
)
def test_near_is_what_holds_with_little_to_spare(criterion: Criterion, is_near: bool) -> None:
    assert figures.is_near(criterion) is is_near


def test_markup_escapes_all_that_is_not_markup() -> None:
    """In content, in attributes, in either language, nested as deep as may be."""
    shown = tag("p", "<a>", Text(zh="<b>", en="&"), [["<c>", None]], tag("i", "x"), title='"<d>', hidden=False)

    assert shown == (
        '<p title="&quot;&lt;d&gt;">&lt;a&gt;<span lang=zh>&lt;b&gt;</span><span lang=en>&amp;</span>&lt;c&gt;'
        "<i>x</i></p>"
    )
    assert joined(Text(zh="1", en="1")) == Markup("1")


# --- the screen ------------------------------------------------------------------------------------------------


def test_the_screen_holds_the_verdict_and_a_line_for_each_phase() -> None:
    lines = report.text(outcomes.outcome()).splitlines()

    assert lines[0].startswith("PASS")
    assert len(lines) <= 24
    assert [name for name, *_ in outcomes.PHASES] == [
        line.split()[0] for line in lines if re.match(r"\w+ +\d:\d\d ", line)
    ]
    assert any("28 Mbit/s = 3.5 MByte/s" in line for line in lines)
    assert "nothing lost, nothing wrong" in lines[-2] and "./run loadtest" in lines[-1]


def test_the_screen_names_what_failed_and_what_nearly_did() -> None:
    text = report.text(outcomes.failed())

    assert "FAILS criterion p99: 1,400 ms, limit <= 1,000 ms" in text
    assert "near its limit: criterion p50: 900 ms" in text
    assert "NOT enforced" in text and "account: lost 1" in text


def test_the_screen_lets_nobody_move_the_cursor() -> None:
    """A fault's text may hold what a terminal obeys."""
    text = report.text(outcomes.failed(faults=["\x1b[2J\rgone"] * 9))

    assert "\x1b" not in text and "\r" not in text and "?[2J?gone" in text
    assert "and 4 more faults" in text
