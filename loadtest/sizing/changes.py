"""What differed between two load tests, and which figures came out better or worse. Pure.

Promise: nothing is called better or worse on less than a difference that chance makes (SAME, SAME_AT_LEAST), in a
phase that is void in either run, or on fewer calls than a percentile needs; nothing at all is compared between outcomes
of another format. Where machine, tier or line differ there is a warning: then it may not be the engine.
Not here: whether a difference is more than chance. One run against one cannot tell; repeat both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from loadtest.sizing import figures, words
from loadtest.sizing.outcome import FORMAT, Criterion, Outcome, PhaseOutcome, Text, Word

SAME = 0.1  # relative; two runs of one engine on one machine differ by as much
SAME_AT_LEAST = {"ms": 1.0, "s": 0.1, "share": 0.02, "cores": 0.02, "of 1": 0.001, "MiB": 2.0}  # by unit
ACCOUNT = "account"  # among the phases
# (its name, its member, calls it needs); the slowest call of one run tells nothing of the next.
_TIMES = (
    (words.as_is("p50"), "p50_ms", 20),
    (words.as_is("p99"), "p99_ms", 100),
    (words.as_is("p99.9"), "p99_9_ms", 1000),
    (Text(zh="最慢", en="slowest"), "max_ms", None),
)
_NOT_THE_ENGINES = ("lateness",)
# Criteria on percentiles are named for what they time and which percentile: `intended_p99_9_ms`.
_TIMED = {"save": "save", "intended": "save_intended", "login": "login"}


class CannotCompare(ValueError):
    """The message says why not."""


class Figure(Struct, frozen=True):
    """Of one run, by where it belongs; `is_lower_better` None: neither is."""

    label: Text
    value: float
    unit: str
    is_lower_better: bool | None = True


class Change(Struct, frozen=True):
    """`before` or `after` is None where only the other run has it. `outcome`: better, worse, same, or none of these
    ("")."""

    phase: str
    label: Text
    unit: str
    before: float | None
    after: float | None
    outcome: str


class Difference(Struct, frozen=True):
    """Of how two runs were made."""

    what: Text
    name: str
    before: str
    after: str


def refuse_unlike(before: Outcome, after: Outcome) -> None:
    for name, one in (("first", before), ("second", after)):
        if one.format != FORMAT:
            raise CannotCompare(f"the {name} outcome has format {one.format}; this program compares format {FORMAT}")
    if not {phase.name for phase in before.phases} & {phase.name for phase in after.phases}:
        raise CannotCompare("the two outcomes have no phase in common: there is nothing to compare")


def warnings_of(before: Outcome, after: Outcome) -> list[Text]:
    """Why the figures may differ although the engine does not."""
    unlike = [
        (zh, en)
        for zh, en, differs in (
            ("机器", "machine", before.machine != after.machine),
            ("档位", "tier", before.tier != after.tier),
            ("考生人数", "number of candidates", before.candidates != after.candidates),
            ("时长", "length", before.minutes != after.minutes),
            ("线路", "line", _line(before) != _line(after)),
            ("考生行为模型", "model of the candidates", before.model != after.model),
        )
        if differs
    ]
    found = []
    if unlike:
        zh, en = (
            "、".join(names) if at == 0 else ", ".join(names) for at, names in enumerate(zip(*unlike, strict=True))
        )
        found.append(
            Text(
                zh=f"两次测试的{zh}不同：数字的差别未必来自引擎。",
                en=f"Not alike in machine or task ({en}): the figures may differ though the engine does not.",
            )
        )
    for zh, en, one in (("前一次", "first", before), ("后一次", "second", after)):
        if one.verdict is Word.VOID:
            found.append(
                Text(
                    zh=f"{zh}测试无效：其数字不能说明引擎。",
                    en=f"The {en} run is VOID: its figures say nothing of the engine.",
                )
            )
        void = [words.phase(phase.name) for phase in one.phases if phase.void]
        if void:
            names_zh, names_en = "、".join(name.zh for name in void), ", ".join(name.en for name in void)
            found.append(Text(zh=f"{zh}测试中无效的阶段：{names_zh}", en=f"Void in the {en} run: {names_en}"))
    return found


def differences_of(before: Outcome, after: Outcome) -> list[Difference]:
    """Name by name, in the order of a report."""
    asked, line = Text(zh="测试", en="run"), Text(zh="线路", en="line")
    parts: tuple[tuple[Text, Mapping[str, str], Mapping[str, str]], ...] = (
        (asked, _asked(before), _asked(after)),
        (line, _line(before), _line(after)),
        (Text(zh="机器", en="machine"), before.machine, after.machine),
        (Text(zh="版本", en="version"), before.versions, after.versions),
        (Text(zh="配置", en="configuration"), before.configuration, after.configuration),
        (Text(zh="行为模型", en="model"), _numbers(before.model), _numbers(after.model)),
    )
    return [
        Difference(what, name, one.get(name, figures.NONE), other.get(name, figures.NONE))
        for what, one, other in parts
        for name in {**one, **other}
        if one.get(name) != other.get(name)
    ]


def changes_of(before: Outcome, after: Outcome) -> list[Change]:
    """Of every figure that either run has, phase by phase."""
    others = {phase.name: phase for phase in after.phases}
    mine = {phase.name: phase for phase in before.phases}
    found: list[Change] = []
    for name in {**mine, **others}:
        one, other = (_figures(phases[name]) if name in phases else {} for phases in (mine, others))
        is_void = any(name in phases and phases[name].void for phases in (mine, others))
        found += _changes(name, one, other, is_void)
    found += _changes(ACCOUNT, _account(before), _account(after))
    return found


# --- figures of one run ----------------------------------------------------------------------------------------


def _figures(phase: PhaseOutcome) -> dict[str, Figure]:
    found = {f"criterion {each.name}": _of(each, phase) for each in phase.criteria if each.found is not None}
    for name, one in phase.operations.items():
        label = words.operation(name)
        for quantile, member, needs in _TIMES:
            told = Text(zh=f"{label.zh} {quantile.zh}", en=f"{label.en} {quantile.en}")
            tells = needs is not None and one.count >= needs and name not in _NOT_THE_ENGINES
            found[f"{name} {member}"] = Figure(told, getattr(one, member), "ms", True if tells else None)
    errors = sum(phase.error_kinds.values())
    found["errors"] = Figure(Text(zh="全部错误", en="errors of all kinds"), errors, "")
    if phase.traffic is not None:
        found["up"] = Figure(Text(zh="每位考生上行", en="up per candidate"), phase.traffic.up_bytes_each, "B")
        found["down"] = Figure(Text(zh="每位考生下行", en="down per candidate"), phase.traffic.down_bytes_each, "B")
    for role, share in phase.cpu.items():
        label = words.role(role)
        found[f"cpu {role}"] = Figure(Text(zh=f"CPU {label.zh}", en=f"CPU {label.en}"), share, "share")
    for role, mib in phase.memory_mib.items():
        label = words.role(role)
        found[f"memory {role}"] = Figure(Text(zh=f"内存 {label.zh}", en=f"memory {label.en}"), mib, "MiB")
    lag = Text(zh="记录最多落后", en="recorder behind by at most")
    found["lag"] = Figure(lag, phase.recorder_lag_max_s, "s")
    return found


def _of(each: Criterion, phase: PhaseOutcome) -> Figure:
    assert each.found is not None
    label = Text(zh=f"指标 {each.label.zh}", en=f"criterion {each.label.en}")
    return Figure(label, each.found, each.unit, each.is_at_most if _tells(each.name, phase) else None)


def _tells(criterion: str, phase: PhaseOutcome) -> bool:
    """Not where a percentile stands on fewer calls than it needs: a limit holds on ten calls, a comparison does not."""
    timed, _, member = criterion.partition("_")
    needs = {known: needed for _, known, needed in _TIMES}.get(member)
    if needs is None or timed not in _TIMED:
        return True
    one = phase.operations.get(_TIMED[timed])
    return one is not None and one.count >= needs


def _account(outcome: Outcome) -> dict[str, Figure]:
    return {
        name: Figure(words.account(name), count, "", True if name in words.MUST_BE_NONE else None)
        for name, count in outcome.account.items()
    }


def _changes(
    phase: str, before: Mapping[str, Figure], after: Mapping[str, Figure], is_void: bool = False
) -> Iterator[Change]:
    for name in {**before, **after}:
        one, other = before.get(name), after.get(name)
        known = one or other
        assert known is not None
        yield Change(
            phase,
            known.label,
            known.unit,
            one.value if one else None,
            other.value if other else None,
            _judged(one, other) if one and other and not is_void else "",
        )


def _judged(before: Figure, after: Figure) -> str:
    """Counts of what should not be are never about the same: one lost answer is one too many."""
    if before.is_lower_better is None or after.is_lower_better is None:
        return ""
    unit, difference = before.unit, after.value - before.value
    tolerated = 0.0 if unit == "" else max(SAME * abs(before.value), SAME_AT_LEAST.get(unit, 0.0))
    if abs(difference) <= tolerated:
        return "same"
    return "better" if (difference < 0) == before.is_lower_better else "worse"


def _asked(outcome: Outcome) -> dict[str, str]:
    return {
        "tier": outcome.tier,
        "candidates": str(outcome.candidates),
        "minutes": figures.number(outcome.minutes),
        "seed": str(outcome.seed),
        "command": outcome.command,
        "configuration digest": outcome.configuration_digest,
    }


def _line(outcome: Outcome) -> dict[str, str]:
    line = outcome.line
    return {
        "enforced": "yes" if line.enforced else "no",
        "up": figures.bandwidth(line.up_kbit_per_s),
        "down": figures.bandwidth(line.down_kbit_per_s),
        "delay": figures.milliseconds(line.delay_ms),
        "loss": figures.share(line.loss),
    }


def _numbers(values: Mapping[str, float]) -> dict[str, str]:
    return {name: figures.number(value) for name, value in values.items()}
