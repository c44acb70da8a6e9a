"""One load test from its ground to its evidence: engine and line, exam, generators, watching, waiting, settling.

Everything that it waits for has a bound, and everything that it starts ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from msgspec import Struct

from loadtest.client import MachineClient
from loadtest.judge import Verdict
from loadtest.sizing import account, exam, model, place
from loadtest.sizing import plan as plans
from loadtest.sizing.crew import Crew, check_bind, ui_addresses
from loadtest.sizing.evidence import Evidence, Instants
from loadtest.sizing.exam import Pushed
from loadtest.sizing.ground import Asked, Ground, ground
from loadtest.sizing.outcome import Outcome, Text
from loadtest.sizing.plan import PhaseName, Plan
from loadtest.sizing.progress import Progress, Status
from loadtest.sizing.tiers import Tier, named_limits
from loadtest.sizing.verdict import outcome_of
from loadtest.sizing.watching import Clock, Watcher
from loadtest.wire import Problem, Unreachable, Wire

GENERATORS_LATE_S = 90.0  # after the last planned second; then they are ended, and their phase is void
GRADED_WITHIN_S = 300.0  # after the last sitting closed
CLOSING_POLL_S = 0.25
TICK_S = 0.5
LOOPBACK_METRICS_EVERY = 5  # seconds: asking goes over what is counted
CLIENT_PATIENCE_S = 30.0


class Options(Struct, frozen=True, kw_only=True):
    """One load test. `ca_file`: what TLS of a foreign engine is checked against."""

    tier_name: str
    tier: Tier
    minutes: float
    seed: int
    command: str
    asked: Asked
    channel: bool = True
    generators: int | None = None
    ca_file: str = ""
    keep: Path | None = None
    shows_progress: bool = False


class Seen(Struct, kw_only=True):
    """What the conductor itself comes to know while an exam is on."""

    instants: Instants
    voids: list[Text] = []
    void_phases: dict[str, Text] = {}
    errors: dict[str, int] = {}
    faults: list[str] = []


def run(options: Options) -> Outcome:
    """Raises GroundFault or EngineMissing without an engine, Unreachable, Problem where it refuses the exam, CrewFault
    where a generator does not start."""
    began_s = time.monotonic()
    timetable = model.fitted(options.minutes)
    shown = _shown(options)
    if options.asked.machines:
        check_bind(options.asked.bind)
    with _folder(options.keep) as folder, ground(options.tier, options.asked) as on:
        clock = Clock()
        rates = (on.line.up_kbit_per_s, on.line.down_kbit_per_s)
        progress = Progress(Status(options.tier.candidates, *rates), clock, options.shows_progress)
        progress.say(_line_in_words(on))
        if shown:
            progress.say(f"Locust's own pages: {' '.join(shown)}")
        with progress.shown():
            evidence = uvloop.run(_conduct(options, timetable, on, folder, progress, clock))
    evidence.took_s = time.monotonic() - began_s
    return outcome_of(evidence)


def _shown(options: Options) -> list[str]:
    """Where Locust's own pages will be, if they were asked for."""
    asked = options.asked
    if not asked.ui:
        return []
    return ui_addresses(1 if asked.machines else exam.processes_of(options.tier, options.generators)["swarm"])


async def _conduct(
    options: Options, timetable: model.Timetable, on: Ground, folder: Path, progress: Progress, now_ms: Clock
) -> Evidence:
    began_ms = int(time.time() * 1000)
    async with Wire(on.near_url, ca=options.ca_file or None) as wire:
        schedule = MachineClient(wire, on.keys["schedule"], CLIENT_PATIENCE_S)
        asked = options.asked
        counts = exam.processes_of(options.tier, asked.machines or options.generators)
        progress.enter(f"pushing: {options.tier.candidates} candidates for {sum(counts.values())} generators")
        pushed = await exam.push(
            schedule, timetable, options.tier, options.seed, sum(counts.values()), _told(options, on), asked.lead_s
        )
        if not on.is_own:
            now_ms.offset_ms = await schedule.server_ms() - time.time() * 1000
        progress.follow(pushed.plan.phases)
        plan_file = folder / "plan.json"
        plans.write(pushed.plan, plan_file)
        if asked.machines:
            progress.say(_call_machines(asked, plan_file))
        seen = Seen(instants=Instants(closes_ms=exam.closes_ms(pushed.plan, timetable)))
        watcher = Watcher(
            now_ms,
            metrics_url=f"{on.near_url}/metrics",
            counters=on.counters,
            processes=on.processes,
            ca_file=options.ca_file,
            looked=lambda sample: progress.moved(sample.at_ms, sample.up_bytes, sample.down_bytes),
            metrics_every=LOOPBACK_METRICS_EVERY if on.is_both_ways else 1,
        )
        with watcher, Crew(on.before, plan_file, folder, counts, progress.told, asked.ui, asked.bind) as crew:
            closing = asyncio.create_task(_see_it_close(schedule, pushed.plan.batch_id, seen, now_ms))
            try:
                await _accompany(pushed.plan, crew, seen, now_ms)
                await closing
            finally:
                closing.cancel()
            verdict = await _settle(progress, on, wire, pushed, crew, seen, now_ms, folder)
            reports, missing = crew.reports()
            seen.faults += [*crew.faults(), *missing]
        if missing or crew.faults():
            seen.voids.append(Text("有发压进程异常结束", "a generator ended badly or left no report"))
        return Evidence(
            tier_name=options.tier_name,
            tier=options.tier,
            minutes=options.minutes,
            seed=options.seed,
            command=options.command,
            plan=msgspec.structs.replace(pushed.plan, schedule_key="", results_key=""),
            reports=reports,
            samples=watcher.samples,
            said=crew.said,
            line=on.line,
            is_both_ways=on.is_both_ways,
            why_no_traffic=on.why_no_traffic,
            instants=seen.instants,
            account=verdict,
            began_ms=began_ms,
            took_s=0.0,
            cores=os.cpu_count() or 1,
            machine=place.machine(),
            versions=place.versions(await _description(wire), on.processes() if on.processes else {}),
            configuration=configuration(options, timetable, on, counts),
            errors=seen.errors,
            voids=seen.voids,
            void_phases=seen.void_phases,
            faults=seen.faults,
            notes=_notes(on),
        )


def _told(options: Options, on: Ground) -> dict[str, Any]:
    """What the plan needs to know beyond the exam."""
    return {
        "url": on.url,
        "schedule_key": on.keys["schedule"],
        "results_key": on.keys["results"],
        "channel": options.channel,
        "ca_file": options.ca_file,
    }


def _call_machines(asked: Asked, plan_file: Path) -> str:
    return (
        f"bring {plan_file} to {asked.machines} machines within {asked.lead_s} s, and start at each of them:\n"
        f"  python -m loadtest.swarm --plan plan.json --out run --worker {asked.bind}"
    )


async def _accompany(plan: Plan, crew: Crew, seen: Seen, now_ms: Callable[[], float]) -> None:
    """Until all generators are done, or should long have been."""
    first_ms = min((person.arrives_ms for person in plan.people if person.arrives_ms), default=plan.starts_ms)
    until_ms = plan.phases[-1].until_ms + GENERATORS_LATE_S * 1000
    while not crew.are_done() or now_ms() < plan.starts_ms:
        if now_ms() < plan.starts_ms:
            crew.check_alive()
        if first_ms < now_ms() < plan.starts_ms and not crew.have_spoken():
            why = Text(
                "第一名考生应到时,发压进程尚未全部就绪", "the first candidate was due before every generator was there"
            )
            seen.void_phases = dict.fromkeys((PhaseName.CHECK_IN, "paper"), why)
        if now_ms() > until_ms:
            seen.voids.append(Text("发压进程超时未结束", "generators did not end in time"))
            return
        await asyncio.sleep(TICK_S)


async def _see_it_close(schedule: MachineClient, batch_id: str, seen: Seen, now_ms: Callable[[], float]) -> None:
    """Note when the batch was graded, as the scheduling system sees it.

    That all are collected it tells by time alone, which proves nothing: what candidates hold does (`closing`).
    """
    instants = seen.instants
    await asyncio.sleep(max(0.0, (instants.closes_ms - now_ms()) / 1000))
    while now_ms() < instants.closes_ms + GRADED_WITHIN_S * 1000:
        try:
            batch = await schedule.batch(batch_id)
        except (Problem, Unreachable) as fault:
            seen.faults.append(f"while it closed: {fault}")
            what = fault.code or str(fault.status) if isinstance(fault, Problem) else "unreachable"
            key = f"batch/{PhaseName.GRADING}/{what}"
            seen.errors[key] = seen.errors.get(key, 0) + 1
            batch = {"state": ""}
        if batch["state"] == "graded":
            instants.graded_ms = int(now_ms())
            return
        await asyncio.sleep(CLOSING_POLL_S)
    instants.graded_ms = int(now_ms())  # at least so long
    seen.faults.append(f"the batch was not graded within {GRADED_WITHIN_S:.0f} s")


async def _settle(
    progress: Progress,
    on: Ground,
    wire: Wire,
    pushed: Pushed,
    crew: Crew,
    seen: Seen,
    now_ms: Callable[[], float],
    folder: Path,
) -> Verdict | None:
    """The account, or None with the reason among the voids."""
    progress.enter("pulling results and comparing")
    schedule = MachineClient(wire, on.keys["schedule"], CLIENT_PATIENCE_S)
    scorer = MachineClient(wire, on.keys["results"], CLIENT_PATIENCE_S)
    try:
        files = crew.ledgers()
        sittings = await asyncio.to_thread(account.sittings_in, files)
        with account.on_disk(folder) as responses:
            delivered = await account.pull(schedule, scorer, pushed.plan.batch_id, sittings, responses, now_ms)
            seen.instants.pull_from_ms, seen.instants.pull_until_ms = delivered.from_ms, delivered.until_ms
            planned = exam.expected(list(pushed.plan.people))
            return await asyncio.to_thread(account.settle, pushed.exam, files, planned, delivered.pulled)
    except (Problem, Unreachable, OSError, ValueError) as fault:
        seen.faults.append(f"the account was not settled: {fault}")
        seen.voids.append(Text("未能核对账目", "the account could not be settled"))
        return None


async def _description(wire: Wire) -> dict[str, Any]:
    try:
        found: dict[str, Any] = (await wire.send("GET", "/openapi.json")).json()
        return found
    except (Problem, Unreachable, ValueError):
        return {}


def configuration(
    options: Options, timetable: model.Timetable, on: Ground, counts: Mapping[str, int]
) -> dict[str, str]:
    """All that makes two runs comparable; no address, no key."""
    return {
        "tier": options.tier_name,
        "candidates": str(options.tier.candidates),
        "up_mbit_per_s": f"{options.tier.up_mbit_per_s:g}",
        "down_mbit_per_s": f"{options.tier.down_mbit_per_s:g}",
        "openloop_share": f"{options.tier.openloop_share:g}",
        "minutes": f"{options.minutes:g}",
        "timetable": timetable.name,
        "channel": str(options.channel).lower(),
        "enforced": str(on.line.enforced).lower(),
        "delay_ms": f"{on.line.delay_ms:g}",
        "loss": f"{on.line.loss:g}",
        "engine": f"its own, {options.asked.workers} worker(s)" if on.is_own else "a running one",
        **{f"generators.{kind}": str(count) for kind, count in counts.items()},
        **named_limits(options.tier),
    }


def _notes(on: Ground) -> list[Text]:
    notes = []
    if on.is_both_ways:
        notes.append(
            Text(
                "字节取自回环网卡,上下行无法区分:两个方向都显示总和,是各自的上限",
                "bytes are the loopback's, which tells no direction: both show the sum, an upper bound of each",
            )
        )
    if on.line.delay_ms or on.line.loss:
        notes.append(
            Text(
                "时延与丢包由代理模拟:丢包表现为一个重传超时的延迟,不模拟拥塞窗口",
                "delay and loss are a proxy's: a lost packet is one retransmission timeout late; no congestion window",
            )
        )
    return notes


def _line_in_words(on: Ground) -> str:
    rates = f"{on.line.up_kbit_per_s / 1000:g} Mbit/s up, {on.line.down_kbit_per_s / 1000:g} down"
    return f"line: {rates}, " + ("enforced" if on.line.enforced else f"not enforced ({on.line.why})")


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where plan, reports and ledgers lie; only ours to read, and gone afterwards unless it is kept."""
    if keep is not None:
        keep.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            yield keep
        finally:
            (keep / "plan.json").unlink(missing_ok=True)  # it holds API keys
        return
    with tempfile.TemporaryDirectory(prefix="lk-sizing-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
