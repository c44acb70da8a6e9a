"""`./run loadtest`: what was asked for, and how its outcome is told and kept.

Exit codes: 0 PASS, 1 FAIL, 3 VOID, 2 when it could not run, 130 when it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from loadtest.interrupting import interruptible
from loadtest.own_engine import EngineMissing
from loadtest.sizing import compare as comparison
from loadtest.sizing import conductor, model, report, tiers
from loadtest.sizing import outcome as outcomes
from loadtest.sizing.conductor import Options
from loadtest.sizing.crew import CrewFault
from loadtest.sizing.ground import Asked, GroundFault
from loadtest.sizing.outcome import Outcome, Word
from loadtest.sizing.rejudge import CannotJudge, judged_anew
from loadtest.sizing.tiers import TierFault
from loadtest.wire import Problem, Unreachable

LEAD_S = 120  # to bring a plan to other machines
EXIT_CODES = {Word.PASS: 0, Word.FAIL: 1, Word.VOID: 3}
COULD_NOT_RUN = 2


class Unusable(Exception):
    """Arguments that cannot be used; the message names them."""


def main(args: argparse.Namespace) -> int:
    """Run one load test, judge one anew, or compare two."""
    try:
        if args.act:
            return _judge_anew(args) if args.act[0] == "judge" else _compare(args.act, args.report)
        options = _options(args)
        file = _report_file(args.report, options.tier_name)
        with interruptible():
            outcome = conductor.run(options)
    except BrokenPipeError:
        raise
    except (Unusable, TierFault, GroundFault, CrewFault, EngineMissing, Unreachable, OSError) as fault:
        return _could_not(fault)
    except Problem as problem:
        return _could_not(f"the engine refuses: {problem}")
    except KeyboardInterrupt:
        print("loadtest: interrupted, nothing was judged", file=sys.stderr)
        return 130
    return _keep_and_tell(outcome, file, args.json)


def _compare(words: list[str], file: Path | None) -> int:
    """0 whatever changed: which of two runs is right is for a person."""
    if len(words) != 3 or words[0] != "compare":
        raise Unusable(f"{shlex.join(words)}: expected nothing, or: compare A.json B.json, or: judge A.json")
    before, after = map(_read, words[1:])
    if file is not None:
        _report_file(file, after.tier)
    try:
        text, page = comparison.compare(before, after)
    except comparison.CannotCompare as fault:
        raise Unusable(str(fault)) from None
    print(text)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, "utf-8")
    return 0


def _judge_anew(args: argparse.Namespace) -> int:
    """The exit code is the verdict by today's limits."""
    if len(args.act) != 2:
        raise Unusable(f"{shlex.join(args.act)}: expected: judge A.json")
    outcome = _read(args.act[1])
    try:
        again = judged_anew(outcome, tiers.read(args.tiers or tiers.FILE, args.tier or outcome.tier))
    except CannotJudge as fault:
        raise Unusable(f"{args.act[1]}: {fault}") from None
    if args.report is not None:
        _keep(again, _report_file(args.report, again.tier))
    return _tell(again, args.json)


def _keep_and_tell(outcome: Outcome, file: Path, as_json: bool) -> int:
    """A disk that is full by now takes the report, not the verdict."""
    try:
        _keep(outcome, file)
    except OSError as fault:
        print(f"loadtest: the report was not kept: {fault}", file=sys.stderr)
    return _tell(outcome, as_json)


def _tell(outcome: Outcome, as_json: bool) -> int:
    print(outcomes.encode(outcome).decode() if as_json else report.text(outcome))
    return EXIT_CODES[outcome.verdict]


def _could_not(fault: object) -> int:
    print(f"loadtest: {fault}", file=sys.stderr)
    return COULD_NOT_RUN


# --- arguments ---------------------------------------------------------------------------------------------------


def _options(args: argparse.Namespace) -> Options:
    if not args.tier:
        raise Unusable("--tier says how many candidates and which line: 50, 200, 2000, 5000, or one of --tiers FILE")
    tier = tiers.read(args.tiers or tiers.FILE, args.tier)
    minutes = args.minutes or tier.minutes
    try:
        model.fitted(minutes)
    except ValueError as fault:
        raise Unusable(f"--minutes {fault}") from None
    seed = secrets.randbits(31) if args.seed is None else args.seed
    return Options(
        tier_name=args.tier,
        tier=tier,
        minutes=minutes,
        seed=seed,
        command=_command(args, seed),
        asked=_asked(args, seed),
        channel=not args.http,
        generators=args.generators,
        ca_file=args.ca_file or "",
        keep=args.keep,
        shows_progress=not args.json,
    )


def _asked(args: argparse.Namespace, seed: int) -> Asked:
    ready = _ready(args.ready_file)
    url = args.url or ready.get("url", "")
    keys = {
        scope: given or ready.get("keys", {}).get(scope, "")
        for scope, given in (("schedule", args.schedule_key), ("results", args.results_key))
    }
    for scope, api_key in keys.items():
        if url and not api_key:
            raise Unusable(f"--url needs --{scope}-key (./run key create --scope {scope} makes one) or --ready-file")
    if url and args.shaped:
        raise Unusable("--shaped: only for an engine of its own; the line to a running one is what it is")
    if args.machines and not url:
        raise Unusable(
            "--machines: only with --url or --ready-file: an engine of its own is reached from this one alone"
        )
    if bool(args.machines) != bool(args.bind):
        raise Unusable("--machines and --bind come together: how many others, and the address at which they find us")
    if args.lead_s is not None and not args.machines:
        raise Unusable("--lead-s: only with --machines")
    if args.machines and args.generators:
        raise Unusable("--generators: with --machines each of them is one; start several at one machine instead")
    if args.shaped and args.ui:
        raise Unusable("--ui: not with --shaped, nobody reaches Locust's pages at the far end of a line")
    return Asked(
        url=url,
        keys=keys,
        ready_file=args.ready_file or "",
        shaped=args.shaped,
        ui=args.ui,
        machines=args.machines or 0,
        bind=args.bind or "",
        lead_s=(LEAD_S if args.lead_s is None else args.lead_s) if args.machines else 0,
        workers=args.workers,
        delay_ms=args.delay_ms,
        loss=args.loss,
        seed=seed,
    )


def _ready(ready_file: str | None) -> Mapping[str, Any]:
    if not ready_file:
        return {}
    try:
        found: dict[str, Any] = json.loads(Path(ready_file).read_text("utf-8"))
        return {"url": found["url"], "keys": found["keys"]}
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise Unusable(f"--ready-file {ready_file}: {fault}") from None


def _command(args: argparse.Namespace, seed: int) -> str:
    """What repeats the run: with its seed, without its keys."""
    words = ["./run", "loadtest", "--tier", args.tier, "--seed", str(seed)]
    for name, value in (
        ("tiers", args.tiers), ("minutes", args.minutes), ("generators", args.generators), ("url", args.url),
        ("ready-file", args.ready_file), ("ca-file", args.ca_file), ("delay-ms", args.delay_ms), ("loss", args.loss),
        ("machines", args.machines), ("bind", args.bind), ("lead-s", args.lead_s),
    ):  # fmt: skip
        if value:
            words += [f"--{name}", f"{value:g}" if isinstance(value, float) else str(value)]
    words += ["--workers", str(args.workers)] if args.workers != 1 else []
    words += [f"--{name}" for name in ("shaped", "http", "ui") if getattr(args, name)]
    for scope, given in (("schedule", args.schedule_key), ("results", args.results_key)):
        words += [f"--{scope}-key", "KEY"] if given else []
    return shlex.join(words)


# --- what is left ------------------------------------------------------------------------------------------------


def _report_file(asked: Path | None, tier_name: str) -> Path:
    """Where the page goes. Raises Unusable for a place that cannot be, before an exam is played for it."""
    if asked is not None and asked.suffix == ".json":
        raise Unusable(f"--report {asked}: expected another ending, as .html: a run's JSON lies beside its page")
    if asked is None and not os.access(".", os.W_OK):
        raise Unusable(f"{Path.cwd()}: the report may not be written here; --report FILE names another place")
    named = re.sub(r"[^\w.-]+", "-", tier_name)
    return asked or Path(f"loadtest-{named}-{time.strftime('%Y%m%d-%H%M%S')}.html")


def _keep(outcome: Outcome, file: Path) -> None:
    """The page, and its outcome beside it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(report.page(outcome), "utf-8")
    beside = file.with_suffix(".json")
    beside.write_bytes(outcomes.encode(outcome))
    print(f"loadtest: {file} and {beside}", file=sys.stderr)


def _read(file: str) -> Outcome:
    try:
        return outcomes.decode(Path(file).read_bytes())
    except OSError as fault:
        raise Unusable(f"{file}: {fault.strerror}") from None
    except (msgspec.ValidationError, msgspec.DecodeError) as fault:
        raise Unusable(f"{file}: not the JSON of a load test: {fault}") from None
