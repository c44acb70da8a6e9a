"""`./run bench`: which measures there are, and in what order they run.

A measure that fails is void and says why; the others go on. Exit 0 when everything that was asked for was measured
(goals may be missed), 1 when something could not be, 2 for a name that is not known.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from msgspec import Struct

from bench import (
    alone,
    closing,
    draining,
    entering,
    grading,
    holding,
    pulling,
    pushing,
    recording,
    rostering,
    saving,
    second_driver,
    starting,
    submitting,
)
from bench.driver import DriverFault
from bench.field import Field, field
from bench.rows import BenchFault, Row, as_json, as_line, exit_code, verdict, void
from bench.saving import Plan

FAULTS = (BenchFault, DriverFault, AssertionError, OSError, RuntimeError)
DRAINED_CHANGES = 500_000


class Measure(Struct, frozen=True, kw_only=True):
    """`name` is what `--only` takes; `rows` names what it promises, with goals first."""

    name: str
    rows: tuple[str, ...]
    alone: Callable[[Plan], list[Row]] | None = None
    on_field: Callable[[Field, Plan], list[Row]] | None = None
    fresh: bool = False  # on an engine of its own: what others did would show
    full: bool = False  # only with --full, and also on an engine of its own: it takes minutes and all of the machine
    page: bool = False  # of the candidate's page, only with --page: in a browser, on an engine of its own


def _recorder_drain(_: Plan) -> list[Row]:
    """On servers of its own; as many changes whatever the plan says, or starting up would show."""
    found = draining.measure(DRAINED_CHANGES)
    costs = [Row(f"recorder_drain_{name}", cost, "us") for name, cost in found.items() if name.endswith("_cpu_us")]
    return [Row("recorder_drain", float(found["changes_per_s"]), "changes/s"), *costs]


def _page(module: str) -> Callable[[Plan], list[Row]]:
    """Imported when it is its turn: what drives a browser takes a second to load, and need not be there otherwise."""

    def measure(plan: Plan) -> list[Row]:
        found: list[Row] = importlib.import_module(f"bench.{module}").measure(plan)
        return found

    return measure


MEASURES = (
    Measure(name="token_check", rows=("token_check_us",), alone=alone.token_check),
    Measure(name="sealing", rows=("sealing_mb_per_s",), alone=alone.sealing),
    Measure(name="marking", rows=("marking_per_s",), alone=alone.marking),
    Measure(
        name="http_save",
        rows=("http_save_ratio", "http_save_cpu_us", "ack_p99_half_load_ms"),
        on_field=saving.http_save,
    ),
    Measure(name="http_wrk", rows=("http_wrk_ratio",), on_field=second_driver.http_wrk),
    Measure(
        name="channel_save",
        rows=("channel_save_ratio", "channel_save_cpu_us", "channel_ack_p99_half_load_ms"),
        on_field=saving.channel_save,
    ),
    Measure(name="script_chunk", rows=("script_chunk_us", "script_save_us"), on_field=recording.script_chunk),
    Measure(name="recorder_drain", rows=("recorder_drain",), alone=_recorder_drain),
    Measure(name="recorder_lag", rows=("recorder_lag_p99_s",), on_field=recording.recorder_lag),
    Measure(name="login", rows=("login_per_core", "login_p99_ms"), on_field=entering.login),
    Measure(name="start", rows=("start_key_last_s",), on_field=starting.start),
    Measure(name="submit", rows=("submit_p99_ms",), on_field=submitting.submit),
    Measure(name="save_growth", rows=("save_cpu_growth",), on_field=saving.save_growth),
    Measure(name="idle_channel", rows=("idle_channel_kib",), on_field=holding.idle_channel, fresh=True),
    Measure(name="closing", rows=("closing_collected_s", "closing_graded_s"), on_field=closing.closing, fresh=True),
    Measure(
        name="rostering",
        rows=("roster_xlsx_50000_s", "roster_csv_50000_s"),
        on_field=rostering.rostering,
        fresh=True,
    ),
    Measure(name="push_load", rows=("push_load_s", "push_load_p99_ratio"), on_field=pushing.push_load, fresh=True),
    Measure(name="pulling", rows=("pulling_lines_per_s", "pulling_csv_per_s"), on_field=pulling.pulling, fresh=True),
    Measure(name="grading", rows=("grading_50000_s",), on_field=grading.grading, full=True),
    Measure(name="channels", rows=("channels_50000_errors",), on_field=holding.channels, full=True),
    Measure(name="page_load", rows=("page_load_cold_s",), alone=_page("loading"), page=True),
    Measure(name="page_input", rows=("page_input_p99_ms",), alone=_page("reacting"), page=True),
    Measure(
        name="page_start", rows=("page_start_question_p99_s", "page_start_skew_s"), alone=_page("opening"), page=True
    ),
    Measure(name="page_bytes", rows=("page_exam_down_kb", "page_exam_up_kb"), alone=_page("carrying"), page=True),
    Measure(name="page_heap", rows=("page_heap_mb",), alone=_page("growing"), page=True),
)


def main(chosen: argparse.Namespace) -> int:
    """`chosen` as `engine/__main__.py` parsed it."""
    try:
        measures = selected(chosen.only, is_full=chosen.full, is_page=chosen.page)
    except UnknownName as fault:
        print(f"run: {fault}", file=sys.stderr)
        return 2
    plan = Plan(
        seconds=chosen.seconds,
        connections=chosen.connections,
        sittings=chosen.sittings,
        rounds=chosen.rounds,
        minutes=chosen.minutes,
    )
    say = _quietly if chosen.json else print
    say(_circumstances(plan))
    rows = []
    for row in _measured(measures, plan, chosen.workers):
        rows.append(row)
        say(as_line(row))
    print(as_json(rows) if chosen.json else verdict(rows))
    return exit_code(rows)


class UnknownName(Exception):
    """A name that no measure has; the message lists those there are."""


def selected(only: str | None, *, is_full: bool, is_page: bool = False) -> list[Measure]:
    """The measures named (by their own name or a row's); without names those of the page, or all others, the long ones
    only with --full."""
    if only is None:
        return [measure for measure in MEASURES if measure.page == is_page and (is_full or not measure.full)]
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    known = {name: measure for measure in MEASURES for name in (*measure.rows, measure.name)}
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        names = ", ".join(measure.name for measure in MEASURES)
        raise UnknownName(f"bench --only: nothing is called {', '.join(unknown) or repr(only)}; known: {names}")
    chosen = {known[name].name for name in wanted}
    return [measure for measure in MEASURES if measure.name in chosen]


def _measured(measures: Sequence[Measure], plan: Plan, workers: int) -> Iterator[Row]:
    """What needs no engine, what shares one, and what has one of its own."""
    for measure in measures:
        if measure.alone is not None:
            yield from _guarded(measure, partial(measure.alone, plan))
    on_field = [measure for measure in measures if measure.on_field is not None]
    shared = [measure for measure in on_field if not measure.fresh and not measure.full]
    if shared:
        yield from _on_one_field(shared, plan, workers)
    for measure in on_field:
        if measure.fresh:
            yield from _on_one_field([measure], plan, 1)
        elif measure.full:
            yield from _on_one_field([measure], plan, max(workers, holding.processes_for(holding.HELD)))


def _on_one_field(measures: Sequence[Measure], plan: Plan, workers: int) -> Iterator[Row]:
    with contextlib.ExitStack() as held:
        try:
            ground = held.enter_context(field(workers=workers))
        except FAULTS as fault:
            for measure in measures:
                yield from (void(name, str(fault)) for name in measure.rows)
            return
        for measure in measures:
            assert measure.on_field is not None
            yield from _guarded(measure, partial(measure.on_field, ground, plan))


def _guarded(measure: Measure, act: Callable[[], list[Row]]) -> list[Row]:
    print(f"bench: {measure.name}", file=sys.stderr, flush=True)
    try:
        return act()
    except FAULTS as fault:
        why = f"{type(fault).__name__}: {fault}"
        print(f"bench: {measure.name} is void: {why}", file=sys.stderr, flush=True)
        return [void(name, why) for name in measure.rows]


def _circumstances(plan: Plan) -> str:
    load = os.getloadavg()[0]
    text = f"{os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f} before the start"
    text += f"; {plan.rounds} rounds of {plan.seconds:g} s, {plan.connections} connections, {plan.sittings} sittings"
    return text + ("; WARNING: the machine is not idle, the figures are not its best" if load > 0.5 else "")


def _quietly(_: str) -> None:
    """With --json, stdout holds the rows alone."""
