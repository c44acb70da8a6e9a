"""How a phase stands, and what a verdict leaves open. Pure."""

from __future__ import annotations

from loadtest.sizing.outcome import Criterion, Line, Outcome, PhaseOutcome, Text


def failing(phase: PhaseOutcome) -> list[Criterion]:
    return [each for each in phase.criteria if each.holds is False]


def standing(phase: PhaseOutcome) -> str:
    """`void`, `fails`, `holds`, or `unjudged` where nothing was asked of it."""
    if phase.void:
        return "void"
    if failing(phase):
        return "fails"
    return "holds" if any(each.holds for each in phase.criteria) else "unjudged"


def void_because(phase: PhaseOutcome) -> Text:
    return Text(zh=phase.void_zh or phase.void, en=phase.void)


def why(one: Criterion | Line) -> Text:
    return Text(zh=one.why_zh or one.why, en=one.why)


def caveats(outcome: Outcome) -> list[Text]:
    """What a reader must know who sees nothing but the verdict."""
    found = []
    open_ = [each for phase in outcome.phases for each in phase.criteria if each.holds is None]
    if open_:
        found.append(
            Text(
                zh=f"有 {len(open_)} 项指标未能判定，见各阶段表格。",
                en=f"{len(open_)} of the criteria could not be judged: the tables of the phases say why.",
            )
        )
    if not outcome.account:
        found.append(
            Text(
                zh="没有逐个核对答案与成绩：未能证明没有丢失。",
                en="Answers and scores were not settled one by one: that nothing was lost is not shown.",
            )
        )
    if undelivered := outcome.account.get("undelivered"):
        found.append(
            Text(
                zh=f"有 {undelivered} 次更改在考生离场时仍未得到确认:引擎没有承诺过它们,不计为丢失,但作答并未送达。",
                en=f"{undelivered} changes had no acknowledgement when their candidates left: none was promised, so "
                "none is lost, but they were typed, and nobody knows that they arrived.",
            )
        )
    return found
