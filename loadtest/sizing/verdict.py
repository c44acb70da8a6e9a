"""From evidence to an outcome: every phase by itself, then one word with its reasons. Pure.

PASS: every criterion that could be judged holds, and the account was settled. FAIL: one does not hold in a phase that
counts. VOID: nothing failed, but a phase does not count: a generator used more than `GENERATOR_CPU_MAX` of a core in it
or was late, so that what it measured was itself, or others took this machine's processors from engine and generators.
A criterion that could not be judged is told, never taken for held.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from hdrh.histogram import HdrHistogram

from loadtest.judge import FAILURES, Verdict
from loadtest.sizing import model
from loadtest.sizing.criteria import Facts, judged
from loadtest.sizing.evidence import Evidence
from loadtest.sizing.measure import DIGITS, HIGHEST_US, LOWEST_US, OUTSIDE, Report, merged, percentiles_ms
from loadtest.sizing.outcome import Criterion, Latency, Outcome, PhaseOutcome, Text, Traffic, Word
from loadtest.sizing.plan import PhaseName
from loadtest.sizing.seconds import series
from loadtest.sizing.standing import void_because as why_void
from loadtest.sizing.standing import why
from loadtest.sizing.tiers import MEGABYTE_READING
from loadtest.sizing.watching import between, cpu_shares, machine_share, memory_peaks, moved

GENERATOR_CPU_MAX = 0.7  # of a core: above it a process measures itself
LATENESS_P99_MAX_MS = 20.0  # of what a generator does, after it was due: a fifth of what an acknowledgement may take
MACHINE_BUSY_MAX = 0.9  # of all processors: above it, whoever waits for an answer waits for a processor,
OTHERS_BUSY_MAX = 0.1  # which is this machine's fault where others than engine and generators use so much of them
POINTS = (0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100)
LOST = "lost"
PAPER, EXAM = "paper", "exam"  # judged like phases; no phases of the plan
ENTERING = frozenset({"sealed", "page"})  # operations of PAPER
WRITING = (PhaseName.STEADY, PhaseName.STRESS, PhaseName.RECONNECT, PhaseName.LATE)


class Span(msgspec.Struct, frozen=True):
    """A judged phase and when it was; `of`: the plan's phases whose figures it takes, None for all."""

    name: str
    from_ms: int
    until_ms: int
    of: frozenset[str] | None


def outcome_of(evidence: Evidence) -> Outcome:
    """Everything judged."""
    histograms, errors, seconds = merged(evidence.reports)
    for key, count in evidence.errors.items():
        errors[key] = errors.get(key, 0) + count
    judged_spans = [*spans(evidence), *outside(evidence, errors)]
    phases = [_phase(evidence, span, histograms, errors, seconds_of(seconds)) for span in judged_spans]
    verdict, reasons = word_of(phases, evidence.voids)
    plan = evidence.plan
    return Outcome(
        verdict=verdict,
        reasons=reasons,
        tier=evidence.tier_name,
        candidates=len(plan.people),
        minutes=evidence.minutes,
        seed=evidence.seed,
        command=evidence.command,
        began_ms=evidence.began_ms,
        starts_ms=plan.starts_ms,
        ends_ms=plan.ends_ms,
        took_s=round(evidence.took_s, 1),
        line=evidence.line,
        machine=evidence.machine,
        versions=evidence.versions,
        configuration=evidence.configuration,
        configuration_digest=digest(evidence.configuration),
        model=model.as_numbers(),
        phases=phases,
        account=account(evidence.account),
        faults=evidence.faults + (evidence.account.faults if evidence.account else []),
        notes=[*evidence.notes, *_notes(evidence, phases)],
        voids=evidence.voids,
        series=series(evidence.reports, evidence.samples, evidence.said, seconds),
    )


def word_of(phases: Sequence[PhaseOutcome], voids: Sequence[Text]) -> tuple[Word, list[Text]]:
    """The verdict and why. `voids` say why nothing of the run counts, but for answers that are known to be lost."""
    failed = [(phase, one) for phase in phases if not phase.void for one in phase.criteria if one.holds is False]
    if voids:
        failed = [(phase, one) for phase, one in failed if one.name == LOST]
    void = [
        *voids,
        *(Text(f"{one.name}：{why_void(one).zh}", f"{one.name}: {one.void}") for one in phases if one.void),
    ]
    if failed:
        return Word.FAIL, [_failure(phase.name, one) for phase, one in failed] + void
    if void:
        return Word.VOID, void
    count = sum(one.holds is True for phase in phases for one in phase.criteria)
    if not count:
        return Word.VOID, [Text("没有任何指标得到判定", "no criterion could be judged")]
    return Word.PASS, [Text(f"{count} 项已判定指标全部达到", f"all {count} criteria that were judged hold")]


def digest(configuration: Mapping[str, str]) -> str:
    """SHA-256 of its canonical JSON: names sorted, no spaces."""
    canonical = msgspec.json.encode(dict(configuration), order="sorted")
    return hashlib.sha256(canonical).hexdigest()


def account(verdict: Verdict | None) -> dict[str, int]:
    """The numbers of a settled account; none where there is no account."""
    if verdict is None:
        return {}
    return {name: getattr(verdict, name) for name in verdict.__dataclass_fields__ if name != "faults"}


def _failure(phase: str, one: Criterion) -> Text:
    sign = "<=" if one.is_at_most else ">="
    found = "-" if one.found is None else f"{one.found:.4g}"
    told = f"{found} {one.unit}".rstrip()
    limit = f"{sign} {one.limit:g}"
    return Text(f"{phase}:{one.label.zh} {told},要求 {limit}", f"{phase}: {one.label.en} {told}, has to be {limit}")


def _notes(evidence: Evidence, phases: Iterable[PhaseOutcome]) -> list[Text]:
    tier = evidence.tier
    line, times = f"{tier.up_mbit_per_s:g}/{tier.down_mbit_per_s:g} Mbit/s", MEGABYTE_READING
    notes = [
        Text(
            f"带宽按严格读法 {line}(上/下)判定;若文件中的 MB 读作 MByte/s,则线路为其 {times} 倍,份额为其 1/{times}",
            f"bandwidth is judged as {line} up/down, the strict reading; as MByte/s the line is {times} times as wide",
        )
    ]
    return notes + unjudged(phases)


def unjudged(phases: Iterable[PhaseOutcome]) -> list[Text]:
    """Which criteria were not judged, and why."""
    return [
        Text(f"未判定 {phase.name}.{one.name}:{why(one).zh}", f"not judged: {phase.name}.{one.name}: {why(one).en}")
        for phase in phases
        for one in phase.criteria
        if one.holds is None
    ]


# --- one phase ---------------------------------------------------------------------------------------------------


def spans(evidence: Evidence) -> list[Span]:
    """What is judged, in the order of an exam."""
    plan, instants = evidence.plan, evidence.instants
    found: dict[str, Span] = {}
    for phase in plan.phases:
        if phase.name in (PhaseName.GRADING, PhaseName.PULL):
            continue
        known = found.get(phase.name)
        found[phase.name] = Span(
            phase.name, known.from_ms if known else phase.from_ms, phase.until_ms, frozenset({phase.name})
        )
    first, last = plan.phases[0].from_ms, found[PhaseName.DEADLINE].until_ms
    check_in = found.pop(PhaseName.CHECK_IN)
    graded_ms = instants.graded_ms or instants.closes_ms
    pulled_ms = instants.pull_from_ms or graded_ms
    return [
        check_in,
        Span(PAPER, first, plan.starts_ms, frozenset({PhaseName.CHECK_IN})),
        *found.values(),
        Span(PhaseName.GRADING, instants.closes_ms, graded_ms, frozenset({PhaseName.GRADING})),
        Span(PhaseName.PULL, pulled_ms, instants.pull_until_ms or pulled_ms, frozenset({PhaseName.PULL})),
        Span(EXAM, first, last, None),
    ]


def outside(evidence: Evidence, errors: Iterable[str]) -> list[Span]:
    """What belongs to no phase of the plan, where something went wrong there: it is shown and judged like one.

    Not with the whole exam, which always counts: errors of a phase that is void would fail a run that says nothing.
    """
    if not any(key.split("/")[1] == OUTSIDE for key in errors):
        return []
    after_ms = evidence.plan.phases[-1].until_ms
    last_ms = max((sample.at_ms for sample in evidence.samples), default=after_ms)
    return [Span(OUTSIDE, after_ms, max(after_ms, last_ms), frozenset({OUTSIDE}))]


def seconds_of(seconds: Mapping[str, Mapping[int, object]]) -> dict[str, dict[int, int]]:
    """How many of an operation ended in each second."""
    return {name: {at: one.count for at, one in found.items()} for name, found in seconds.items()}  # type: ignore[attr-defined]


def _phase(
    evidence: Evidence,
    span: Span,
    histograms: Mapping[str, HdrHistogram],
    errors: Mapping[str, int],
    ended: Mapping[str, Mapping[int, int]],
) -> PhaseOutcome:
    facts = facts_of(evidence, span, histograms, errors, ended)
    generators = generator_cpu(evidence.reports, span.from_ms, span.until_ms)
    void = Text("", "") if span.name == EXAM else void_because(evidence, span, generators)
    return PhaseOutcome(
        name=span.name,
        from_ms=span.from_ms,
        until_ms=span.until_ms,
        void=void.en,
        void_zh=void.zh,
        operations=dict(facts.operations),
        error_kinds=dict(facts.errors),
        criteria=judged(facts, evidence.tier.criteria.get(span.name, {})),
        traffic=facts.traffic,
        cpu=dict(facts.cpu),
        memory_mib=dict(facts.memory_mib),
        generators=generators,
        recorder_lag_max_s=facts.recorder_lag_s or 0.0,
    )


def facts_of(
    evidence: Evidence,
    span: Span,
    histograms: Mapping[str, HdrHistogram],
    errors: Mapping[str, int],
    ended: Mapping[str, Mapping[int, int]],
) -> Facts:
    """What was measured in a span."""
    seen = between(evidence.samples, span.from_ms, span.until_ms)
    lags = [sample.recorder_lag_s for sample in seen[1:] if sample.recorder_lag_s is not None]
    own = {key: histogram for key, histogram in histograms.items() if _belongs(key, span)}
    failed = _errors(errors, span)
    operations = {
        name: _latency(histogram, sum(count for key, count in failed.items() if key.split("/")[0] == name))
        for name, histogram in _by_operation(own).items()
        if histogram.total_count
    }
    numbers = _numbers(evidence, span, own, ended)
    if span.name == EXAM and (share := whole_exam_share(evidence, own)) is not None:
        numbers["line_share"] = share
    return Facts(
        name=span.name,
        from_ms=span.from_ms,
        until_ms=span.until_ms,
        operations=operations,
        errors=failed,
        traffic=_traffic(evidence, span.from_ms, span.until_ms),
        why_no_traffic=evidence.why_no_traffic,
        is_both_ways=evidence.is_both_ways,
        cpu=cpu_shares(seen),
        memory_mib=memory_peaks(seen),
        recorder_lag_s=max(lags) if lags else None,
        numbers=numbers,
    )


def _belongs(key: str, span: Span) -> bool:
    operation, phase = key.split("/")[:2]
    if span.name == PAPER and operation not in ENTERING:
        return False
    return span.of is None or phase in span.of


def _by_operation(own: Mapping[str, HdrHistogram]) -> dict[str, HdrHistogram]:
    by_operation: dict[str, list[HdrHistogram]] = {}
    for key, histogram in own.items():
        by_operation.setdefault(key.split("/")[0], []).append(histogram)
    return {operation: _sum(found) for operation, found in by_operation.items()}


def _sum(found: list[HdrHistogram]) -> HdrHistogram:
    if len(found) == 1:
        return found[0]
    whole = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
    for histogram in found:
        whole.add(histogram)
    return whole


def _errors(errors: Mapping[str, int], span: Span) -> dict[str, int]:
    found: dict[str, int] = {}
    for key, count in errors.items():
        if _belongs(key, span):
            operation, _, what = key.split("/", 2)
            found[f"{operation}/{what}"] = found.get(f"{operation}/{what}", 0) + count
    return found


def _latency(histogram: HdrHistogram, errors: int) -> Latency:
    at = histogram.get_percentile_to_value_dict(POINTS)  # in one pass
    points = [(share / 100, at[share] / 1000) for share in POINTS]
    return Latency(errors=errors, points=points, **percentiles_ms(histogram))


def _traffic(evidence: Evidence, from_ms: int, until_ms: int) -> Traffic | None:
    counted = moved(between(evidence.samples, from_ms, until_ms))
    if counted is None or counted[2] <= 0:
        return None
    up_bytes, down_bytes, took_s = counted
    candidates = max(1, len(evidence.plan.people))
    return Traffic(
        up_bytes=up_bytes,
        down_bytes=down_bytes,
        up_share=round(up_bytes * 8 / 1000 / took_s / evidence.tier.up_kbit_per_s, 5),
        down_share=round(down_bytes * 8 / 1000 / took_s / evidence.tier.down_kbit_per_s, 5),
        up_bytes_each=round(up_bytes / candidates, 1),
        down_bytes_each=round(down_bytes / candidates, 1),
    )


def _numbers(
    evidence: Evidence, span: Span, own: Mapping[str, HdrHistogram], ended: Mapping[str, Mapping[int, int]]
) -> dict[str, float]:
    """What a span's criteria ask for beyond times and bytes."""
    plan, instants = evidence.plan, evidence.instants
    in_time = [person for person in plan.people if 0 < person.arrives_ms < plan.starts_ms]
    before_start = {
        operation: sum(count for second, count in counts.items() if second * 1000 < plan.starts_ms)
        for operation, counts in ended.items()
    }
    if span.name == PhaseName.CHECK_IN:
        return {"entered_missing": max(0, len(in_time) - before_start.get("pledge", 0))}
    if span.name == PAPER:
        return {"papers_missing": max(0, len(in_time) - before_start.get("sealed", 0))}
    if span.name == PhaseName.START:
        return {"keys_missing": max(0, len(in_time) - _count(own, "key"))}
    if span.name in WRITING:
        return _while_writing(evidence, PhaseName(span.name), own)
    if span.name == PhaseName.GRADING:
        return _after_close("grading_s", instants.graded_ms, instants.closes_ms)
    if span.name == PhaseName.PULL and instants.pull_until_ms is not None:
        return _after_close("pull_s", instants.pull_until_ms, instants.pull_from_ms or 0)
    if span.name == EXAM and evidence.account is not None:
        wrong = sum(getattr(evidence.account, name) for name in FAILURES if name != "lost")
        return {"lost": evidence.account.lost, "wrong": wrong}
    return {}


def _while_writing(evidence: Evidence, name: PhaseName, own: Mapping[str, HdrHistogram]) -> dict[str, float]:
    plan = evidence.plan
    planned = sum(model.saves_planned(person, plan.phases, name, plan.ends_ms) for person in plan.people)
    found_count = _count(own, "save")
    if name is PhaseName.STEADY:  # in which some lose their own line: what they typed came later, and is no latency
        found_count += sum(report.counters.get("saves_while_away", 0) for report in evidence.reports)
    # Changes come by chance: what three standard deviations explain is not missing.
    missing = max(0.0, planned - found_count - 3 * planned**0.5)
    found = {"saves_missing": round(missing / planned, 4)} if planned else {}
    if name is PhaseName.RECONNECT and plan.cut_ms and plan.channel:
        there = [
            person
            for person in plan.people
            if 0 < person.arrives_ms < plan.cut_ms and not 0 < person.submits_ms <= plan.cut_ms
        ]
        found["back_missing"] = max(0, len(there) - _count(own, "reconnect"))
    return found


def _after_close(name: str, at_ms: int | None, closes_ms: int) -> dict[str, float]:
    return {} if at_ms is None else {name: max(0.0, round((at_ms - closes_ms) / 1000, 2))}


def _count(own: Mapping[str, HdrHistogram], operation: str) -> int:
    return sum(histogram.total_count for key, histogram in own.items() if key.split("/")[0] == operation)


def whole_exam_share(evidence: Evidence, own: Mapping[str, HdrHistogram]) -> float | None:
    """Of the tier's line, by a whole exam of this model: what was moved once, and the cost of a save for all of them.

    A short exam moves page, paper and hand-in in less time than Saturday does, and has fewer saves. So what was moved
    outside the phase `steady` counts as it is, saves that are missing in a short exam count as much as those of
    `steady` did, and all of it is held against what the line carries from the doors' opening to the end.
    """
    plan = evidence.plan
    whole = _traffic(evidence, plan.phases[0].from_ms, plan.phases[-1].until_ms)
    steady = next(phase for phase in plan.phases if phase.name is PhaseName.STEADY)
    peak = _traffic(evidence, steady.from_ms, steady.until_ms)
    saves = _count({key: one for key, one in own.items() if key.endswith("/steady")}, "save")
    if whole is None or peak is None or not saves:
        return None
    exam_s = model.NINETY_MINUTES.check_in_s + model.MINUTES * 60
    missing = max(0, model.SAVES_EACH * len(plan.people) - _count(own, "save"))
    shares = []
    for moved_bytes, peak_bytes, kbit_per_s in (
        (whole.up_bytes, peak.up_bytes, evidence.tier.up_kbit_per_s),
        (whole.down_bytes, peak.down_bytes, evidence.tier.down_kbit_per_s),
    ):
        all_bytes = moved_bytes + peak_bytes / saves * missing
        shares.append(all_bytes * 8 / 1000 / exam_s / kbit_per_s)
    return round(max(shares), 5)


# --- whether a phase counts --------------------------------------------------------------------------------------


def generator_cpu(reports: Iterable[Report], from_ms: int, until_ms: int) -> dict[str, float]:
    """Cores used by each generator, on average."""
    found = {}
    for report in reports:
        used = [share for second, share in report.cpu.items() if from_ms <= second * 1000 < until_ms]
        if used:
            found[report.process] = round(sum(used) / len(used), 3)
    return found


def void_because(evidence: Evidence, span: Span, generators: Mapping[str, float]) -> Text:
    """Why what was measured in a phase does not count; "": it does."""
    told = evidence.void_phases.get(span.name)
    seen = [told] if told else []
    busy = [
        Text(
            f"{process} 用了一个核的 {share:.0%}（至多 {GENERATOR_CPU_MAX:.0%}）",
            f"{process} used {share:.0%} of a core (at most {GENERATOR_CPU_MAX:.0%})",
        )
        for process, share in generators.items()
        if share > GENERATOR_CPU_MAX
    ]
    late = []
    for report in evidence.reports:
        for phase in sorted(span.of or ()):
            if encoded := report.histograms.get(f"lateness/{phase}"):
                p99_ms = HdrHistogram.decode(encoded).get_value_at_percentile(99) / 1000
                if p99_ms > LATENESS_P99_MAX_MS:
                    late.append(
                        Text(
                            f"{report.process} 的 p99 迟了 {p99_ms:.0f} ms（至多 {LATENESS_P99_MAX_MS:g}）",
                            f"{report.process} was late by {p99_ms:.0f} ms at p99 (at most {LATENESS_P99_MAX_MS:g})",
                        )
                    )
    found = seen + busy + late + _crowded(evidence, span, generators)
    return Text("；".join(one.zh for one in found), "; ".join(one.en for one in found))


def _crowded(evidence: Evidence, span: Span, generators: Mapping[str, float]) -> list[Text]:
    """Whether others than engine and generators took this machine's processors. An engine that fills them is judged."""
    samples = between(evidence.samples, span.from_ms, span.until_ms)
    share = machine_share(samples, evidence.cores)
    if share is None or share <= MACHINE_BUSY_MAX:
        return []
    ours = sum(cpu_shares(samples).values()) + sum(generators.values())
    others_share = share - ours / evidence.cores
    if others_share <= OTHERS_BUSY_MAX:
        return []
    return [
        Text(
            f"本机处理器用了 {share:.0%}，其中 {others_share:.0%} 既非引擎也非压力机",
            f"this machine's processors were {share:.0%} busy, {others_share:.0%} with neither engine nor generators",
        )
    ]
