"""Two load tests side by side, for the terminal and as a page. What is compared, and how: `changes`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from loadtest.sizing import figures, words
from loadtest.sizing.changes import (
    ACCOUNT,
    SAME,
    Change,
    Difference,
    changes_of,
    differences_of,
    refuse_unlike,
    warnings_of,
)
from loadtest.sizing.changes import CannotCompare as CannotCompare
from loadtest.sizing.markup import Child, Markup, row, table, tag
from loadtest.sizing.outcome import Outcome, Text
from loadtest.sizing.report import document

_SAID: Mapping[str, Text] = {
    "better": Text(zh="▲ 变好", en="▲ better"),
    "worse": Text(zh="▼ 变差", en="▼ worse"),
    "same": Text(zh="＝ 相近", en="= about the same"),
    "": Text(zh=figures.NONE, en=figures.NONE),
}
_ACCOUNT = Text(zh="结账", en="account")
_SHOWN_MAX = 15  # on a screen, of the better and of the worse ones
_KINDS = {"worse": "fails", "better": "better"}  # how rows look
_HEADS: tuple[Child, ...] = (
    Text(zh="数字", en="Figure"),
    Text(zh="前一次", en="First"),
    Text(zh="后一次", en="Second"),
    Text(zh="变化", en="Change"),
    Text(zh="结论", en="Verdict"),
)


def compare(before: Outcome, after: Outcome) -> tuple[str, str]:
    """For the terminal (in English) and as a page. Raises CannotCompare."""
    refuse_unlike(before, after)
    warnings, differences, found = warnings_of(before, after), differences_of(before, after), changes_of(before, after)
    text = "\n".join(map(figures.printable, _lines(before, after, warnings, differences, found)))
    return text, _page(before, after, warnings, differences, found)


def _weight(change: Change) -> float:
    """To sort by: what should not be at all first, then by how much it changed."""
    if not change.before or change.after is None:
        return float("-inf")
    return -abs(change.after - change.before) / abs(change.before)


def _change(change: Change) -> str:
    if change.before is None or change.after is None or not change.before:
        return figures.NONE
    return f"{(change.after - change.before) / abs(change.before):+.0%}"


def _counts(found: Iterable[Change]) -> dict[str, int]:
    counts = {"better": 0, "worse": 0, "same": 0}
    for change in found:
        if change.outcome in counts:
            counts[change.outcome] += 1
    return counts


def _lines(
    before: Outcome,
    after: Outcome,
    warnings: Sequence[Text],
    differences: Sequence[Difference],
    found: Sequence[Change],
) -> Iterator[str]:
    yield f"verdict {before.verdict} -> {after.verdict}{'' if before.verdict is after.verdict else '  (changed)'}"
    for label, one in (("first ", before), ("second", after)):
        yield f"  {label} {figures.moment(one.starts_ms)}, tier {one.tier}, seed {one.seed}"
    yield from (f"! {warning.en}" for warning in warnings)
    if differences:
        yield "what differed:"
        yield from (f"  {each.what.en} {each.name}: {each.before} -> {each.after}" for each in differences)
    else:
        yield "nothing differed in how they were run"
    counts = _counts(found)
    yield f"figures: {counts['worse']} worse, {counts['better']} better, {counts['same']} about the same"
    for outcome in ("worse", "better"):
        some = sorted((each for each in found if each.outcome == outcome), key=_weight)
        for each in some[:_SHOWN_MAX]:
            values = f"{figures.in_unit(each.before, each.unit)} -> {figures.in_unit(each.after, each.unit)}"
            yield f"  {outcome:<6} {each.phase}: {each.label.en}: {values} ({_change(each)})"
        if len(some) > _SHOWN_MAX:
            yield f"  {outcome:<6} and {len(some) - _SHOWN_MAX} more, which the page shows"


def _page(
    before: Outcome,
    after: Outcome,
    warnings: Sequence[Text],
    differences: Sequence[Difference],
    found: Sequence[Change],
) -> str:
    counts = _counts(found)
    summary = Text(
        zh=f"{counts['worse']} 项变差，{counts['better']} 项变好，{counts['same']} 项相近（{SAME:.0%} 以内）。",
        en=f"{counts['worse']} figures are worse, {counts['better']} better, {counts['same']} about the same (within "
        f"{SAME:.0%}).",
    )
    once = Text(
        zh="一次对一次说明不了偶然：差别不大时请各重复几次。",
        en="One run against one cannot tell chance from change: where little differs, repeat both.",
    )
    head = tag(
        "header",
        tag("p", Text(zh="联考引擎负载测试对比", en="Two Liankao load tests compared"), class_="kind"),
        tag("h1", [_verdict(before), tag("span", "→", class_="told"), _verdict(after)], class_="verdicts"),
        [tag("p", warning, class_="warned") for warning in warnings],
        tag("p", summary, " ", once),
        _runs(before, after),
    )
    tables = [_changed(found), *(_phase(phase, found) for phase in dict.fromkeys(each.phase for each in found))]
    title = f"{before.verdict} → {after.verdict} · 联考负载测试对比 load tests compared"
    return document(title, [head, _differences(differences), tables])


def _verdict(outcome: Outcome) -> Markup:
    sign, told = words.SIGNS[outcome.verdict], words.VERDICTS[outcome.verdict]
    return tag(
        "span",
        f"{sign} {outcome.verdict} ",
        tag("span", told, class_="told"),
        class_=f"verdict {outcome.verdict.lower()}",
    )


def _runs(before: Outcome, after: Outcome) -> Markup:
    heads: list[Child] = [Text(zh="测试", en="Run"), Text(zh="前一次", en="First"), Text(zh="后一次", en="Second")]
    rows = [
        row(Text(zh="开考", en="exam started"), *(figures.moment(one.starts_ms) for one in (before, after))),
        row(Text(zh="档位", en="tier"), before.tier, after.tier),
        row(Text(zh="命令", en="command"), *(tag("code", one.command) for one in (before, after))),
    ]
    return table(Text(zh="两次测试", en="The two runs"), heads, rows)


def _differences(differences: Sequence[Difference]) -> Markup:
    title = Text(zh="测试条件的差别", en="What differed in how they were run")
    if not differences:
        return tag("section", tag("h2", title), tag("p", Text(zh="没有差别。", en="Nothing.")))
    heads: list[Child] = [
        Text(zh="类别", en="Of"),
        Text(zh="名称", en="Name"),
        Text(zh="前一次", en="First"),
        Text(zh="后一次", en="Second"),
    ]
    rows = [row(each.what, each.name, each.before, each.after) for each in differences]
    return tag("section", tag("h2", title), table(title, heads, rows))


def _changed(found: Sequence[Change]) -> Markup:
    """What a reader came for: the worse ones first."""
    title = Text(zh="变差与变好", en="Worse and better")
    rows = [
        row([_named(each.phase), " · ", each.label], *_cells(each), numbers=(1, 2, 3), kind=_KINDS[each.outcome])
        for outcome in ("worse", "better")
        for each in sorted(found, key=_weight)
        if each.outcome == outcome
    ]
    if not rows:
        return tag("section", tag("h2", title), tag("p", Text(zh="没有。", en="None.")))
    return tag("section", tag("h2", title), table(title, _HEADS, rows, numbers=(1, 2, 3)))


def _phase(phase: str, found: Iterable[Change]) -> Markup:
    rows = [
        row(each.label, *_cells(each), numbers=(1, 2, 3), kind=_KINDS.get(each.outcome, ""))
        for each in found
        if each.phase == phase
    ]
    return tag("section", tag("h2", _named(phase)), table(_named(phase), _HEADS, rows, numbers=(1, 2, 3)))


def _cells(each: Change) -> tuple[Child, ...]:
    before, after = figures.in_unit(each.before, each.unit), figures.in_unit(each.after, each.unit)
    return before, after, _change(each), _SAID[each.outcome]


def _named(phase: str) -> Text:
    return _ACCOUNT if phase == ACCOUNT else words.phase(phase)
