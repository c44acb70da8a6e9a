"""`./run capacity`: measures this installation, or one that is named; `./run capacity plan`: a bill of machines.

Exit 0 with an answer, 1 when nothing held or an acknowledged answer is not what the engine delivers, 2 when there was
nothing to measure on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from loadtest.capacity import costs, installation, machine, report
from loadtest.capacity.installation import Installation
from loadtest.capacity.judging import Bounds
from loadtest.capacity.knee import Knee, Wish, find
from loadtest.capacity.plan import Wanted, bill
from loadtest.openloop.driver import Manner
from loadtest.openloop.fleet import Fleet, FleetFault
from loadtest.openloop.schedule import EVEN, POISSON
from loadtest.own_engine import EngineMissing
from loadtest.wire import Problem, Unreachable

# How fast everybody can be let in and open a channel, to know when the batch may begin. Who is later sees no start.
ENTRIES_PER_S = 200
LEAD_S = 4.0
KEYS_WITHIN_S = 2.0
CHECKED_MAX = 300  # sittings, of which all responses are pulled
FILES_BESIDE = 500


class Unusable(Exception):
    """Arguments that cannot be used."""


def main(args: argparse.Namespace) -> int:
    try:
        return _plan(args) if args.act == "plan" else _measure(args)
    except (Unusable, EngineMissing, FleetFault, Unreachable, costs.CostsFault) as fault:
        print(f"capacity: {fault}", file=sys.stderr)
        return 2
    except Problem as problem:
        print(f"capacity: the engine refuses: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("capacity: interrupted, nothing was found", file=sys.stderr)
        return 130


# --- the bill ---------------------------------------------------------------------------------------------------


def _plan(args: argparse.Namespace) -> int:
    _check_plan(args)
    wanted = Wanted(
        candidates=args.candidates,
        sites=args.sites,
        minutes=args.minutes,
        saves_each=args.saves_each,
        saves_per_s=args.saves_per_s,
        entry_minutes=args.entry_minutes,
        redis_gib=args.redis_gib,
        machine_cores=args.machine_cores,
    )
    known = costs.read(args.costs or costs.KEPT)
    made = bill(wanted, known)
    if args.json:
        priced = {name: {"value": cost.value, "unit": cost.unit, "how": cost.how} for name, cost in known.costs.items()}
        print(json.dumps({**made.as_json(), "costs": priced}, ensure_ascii=False))
    else:
        print(report.bill_in_words(made, known))
    return 0


def _check_plan(args: argparse.Namespace) -> None:
    """What contradicts itself gets no bill."""
    if args.sites > args.candidates:
        raise Unusable(f"--sites {args.sites}: expected at most one per candidate ({args.candidates})")
    most = args.saves_per_s * args.minutes * 60
    if args.saves_each > most:
        raise Unusable(
            f"--saves-each {args.saves_each:g}: expected at most {most:.3g}, which is --saves-per-s "
            f"{args.saves_per_s:g} over all --minutes {args.minutes:g}"
        )


# --- measuring --------------------------------------------------------------------------------------------------


def _measure(args: argparse.Namespace) -> int:
    _check(args)
    found = report.Found(
        machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        began=time.strftime("%Y-%m-%d"),
        has_channel=not args.http,
        knees=[],
        entries=[],
    )
    _say(f"{found.machine}, load {os.getloadavg()[0]:.1f} before the start")
    seed = secrets.randbits(31) if args.seed is None else args.seed
    for on in _installations(args):
        knee, entry = _one(on, args, seed)
        found.knees.append(knee)
        found.entries.append(entry)
    print(json.dumps(report.as_json(found), ensure_ascii=False) if args.json else report.in_words(found))
    if args.write_costs:  # after the answer, which must not be lost with it
        costs.write(report.costs_of(found), args.write_costs)
    return 1 if found.wrong or not found.best.saves_per_s else 0


def _check(args: argparse.Namespace) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    each = args.sittings / args.generators
    if hard not in (resource.RLIM_INFINITY, -1) and each > hard - FILES_BESIDE:
        raise Unusable(f"--sittings {args.sittings}: a process may open {hard} files; take more --generators")
    if args.sittings < args.generators:
        raise Unusable(f"--generators {args.generators}: expected at most one per sitting ({args.sittings})")
    if args.url and not args.schedule_key:
        raise Unusable("--url needs --schedule-key (./run key create --scope schedule makes one) or --ready-file")


def _installations(args: argparse.Namespace) -> Iterator[Installation]:
    """The one that is named, else one of our own per number of workers."""
    if args.ready_file:
        yield _of_ready_file(args.ready_file)
    elif args.url:
        yield Installation(
            url=args.url,
            schedule_key=args.schedule_key,
            results_key=args.results_key or "",
            ca_file=args.ca_file or "",
        )
    else:
        for workers in args.workers:
            _say(f"starting an engine with {workers} worker{'s' if workers > 1 else ''}")
            with installation.own_installation(workers) as on:
                yield on


def _of_ready_file(file: Path) -> Installation:
    try:
        return installation.from_ready(json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise Unusable(f"--ready-file {file}: {type(fault).__name__} {fault}") from None


def _one(on: Installation, args: argparse.Namespace, seed: int) -> tuple[Knee, report.Entry]:
    """Let everybody in, look for the knee, and compare what was acknowledged."""
    redis_kib, engine_kib = (machine.resident_kib(on.processes, role) for role in ("Redis", "engine"))
    lead_s = LEAD_S + args.sittings / ENTRIES_PER_S
    exam = installation.hold(on, args.sittings, seed, lead_s)
    _say(f"batch {exam.batch_id}: {args.sittings} entered in {exam.entered_s:.1f} s")
    disk_bytes = _database_bytes(on)
    manner = Manner(has_channel=not args.http, spacing=EVEN if args.even else POISSON, seed=seed, ca_file=on.ca_file)
    with Fleet(on.url, exam.entered, exam.values, manner, processes=args.generators) as fleet:
        opened_s = time.monotonic()
        channels_kib = machine.resident_kib(on.processes, "engine") - engine_kib
        time.sleep(max(0.0, exam.starts_s - time.monotonic()) + KEYS_WITHIN_S)
        keys_ms = fleet.keys_ms() if opened_s < exam.starts_s else []
        knee = find(on, exam, fleet, _wish(args, manner), _say)
        checked, wrong = _judge(on, fleet, seed)
    count = len(exam.entered)
    changes = sum(step.measured.acknowledged for step in knee.steps)
    return knee, report.Entry(
        sittings=count,
        entries_per_s=round(count / exam.entered_s, 1),
        engine_us_per_entry=exam.entry_cpu_s.get("engine", 0.0) / count * 1e6,
        engine_kib_per_channel=0.0 if args.http else max(0.0, channels_kib / count),
        redis_kib_per_sitting=max(0.0, (machine.resident_kib(on.processes, "Redis") - redis_kib) / count),
        changes_each=changes / count,
        postgres_bytes_per_change=max(0.0, (_database_bytes(on) - disk_bytes) / changes) if changes else 0.0,
        sealed_paper_bytes=float(exam.sealed_bytes),
        keys=len(keys_ms),
        key_last_ms=round(keys_ms[-1], 1) if keys_ms else 0.0,
        checked=checked,
        wrong=wrong,
    )


def _wish(args: argparse.Namespace, manner: Manner) -> Wish:
    return Wish(
        manner=manner,
        first=args.start_at,
        highest=args.up_to,
        seconds=args.seconds,
        bounds=Bounds(p99_ms_max=args.p99_ms),
    )


def _judge(on: Installation, fleet: Fleet, seed: int) -> tuple[int, list[str]]:
    if not on.results_key:
        return 0, []
    with tempfile.TemporaryDirectory(prefix="lk-capacity-") as folder:
        return installation.wrong_responses(on, fleet.write_ledger(Path(folder)), CHECKED_MAX, seed)


def _database_bytes(on: Installation) -> int:
    """Of PostgreSQL's tables and indexes, where they lie on this machine and we know where."""
    return machine.folder_bytes(on.data / "postgres" / "base") if on.data is not None else 0


def _say(text: str) -> None:
    print(f"capacity: {text}", file=sys.stderr, flush=True)
