"""A whole exam with simulated candidates, judged to the last answer: what operators run the evening before.

`hold_exam` pushes, sits and waits for the grades; `inspect` pulls what the engine delivers and compares it with what
the candidates know. Both use the public API only, and both go on while parts of the engine are restarted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import uvloop

from loadtest import people, samples
from loadtest.behaviour import Script, sit_exam
from loadtest.candidate import Candidate, Library
from loadtest.client import PAGE_RESULTS, MachineClient
from loadtest.judge import Exam, Pulled, judge
from loadtest.ledger import Ledger
from loadtest.own_engine import EngineMissing, own_engine
from loadtest.progress import Progress
from loadtest.receipts import canonical_digest
from loadtest.report import Outcome
from loadtest.tally import Tally
from loadtest.timetable import Timetable, TooShort, extra_times, scripts, timetable
from loadtest.wire import Problem, Unreachable, Wire

SAMPLE = "ldgx3"
CANDIDATES_MAX = 100_000  # the contract's longest roster
MINUTES_MAX = 720
REACH_S = 10.0  # an engine that does not answer at all within this is not there
GRADED_WITHIN_S = 120.0  # after the last sitting closed; longer than any restart
GRADED_POLL_S = 0.5
RECEIPT_WITHIN_S = 30.0
PASS_MARK = 60
PULLS_AT_ONCE = 8
ROSTER_DRAWS_MAX = 3  # an invented ID number may already sit another exam at the same time
WITNESSES = ["演练见证人甲", "演练见证人乙"]
ADMISSION_CODE_CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


Subject = TypeVar("Subject")


class Unusable(Exception):
    """Arguments that cannot be used, or no engine to use them on."""


@dataclass(frozen=True)
class Options:
    """One rehearsal: on which engine, with whose keys, how many candidates, how long, and from which seed."""

    url: str
    schedule_key: str
    results_key: str
    candidates: int
    minutes: float
    seed: int
    shows_progress: bool = False
    has_channel: bool = True


@dataclass
class Held:
    """An exam that is over: what was pushed, and what the candidates and their clients know."""

    options: Options
    exam: Exam
    ledgers: list[Ledger]
    tally: Tally
    began_s: float


def main(args: argparse.Namespace) -> int:
    """Run one rehearsal; 0 when everything holds, 1 when anything does not, 2 when there was nothing to run on."""
    try:
        with _engine(args) as (url, keys):
            options = _options(args, url, keys)
            outcome = uvloop.run(_rehearse(options))
    except (Unusable, EngineMissing, TooShort, Unreachable) as fault:
        print(f"rehearse: {fault}", file=sys.stderr)
        return 2
    except Problem as problem:
        print(f"rehearse: the engine refuses: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("rehearse: interrupted, nothing was judged", file=sys.stderr)
        return 130
    print(json.dumps(outcome.as_json(), ensure_ascii=False) if args.json else outcome.as_table())
    return outcome.exit_code


async def _rehearse(options: Options) -> Outcome:
    return await inspect(await hold_exam(options))


# --- arguments --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _engine(args: argparse.Namespace) -> Iterator[tuple[str, dict[str, str]]]:
    """The engine to use as (url, keys): the one named, the one of a ready file, else one of our own."""
    _check(args)
    ready = _read_ready(getattr(args, "ready_file", None))
    url = args.url or ready.get("url")
    if url:
        yield url, _keys(args, ready.get("keys", {}))
        return
    if not args.json:
        print("starting an engine for this rehearsal", file=sys.stderr, flush=True)
    with own_engine() as ready:
        yield ready["url"], ready["keys"]


def _check(args: argparse.Namespace) -> None:
    if not 1 <= args.candidates <= CANDIDATES_MAX:
        raise Unusable(f"--candidates {args.candidates}: expected 1 to {CANDIDATES_MAX}")
    if not 0 < args.minutes <= MINUTES_MAX:
        raise Unusable(f"--minutes {args.minutes}: expected more than 0 and at most {MINUTES_MAX}")
    timetable(args.candidates, args.minutes)


def _read_ready(ready_file: str | None) -> dict[str, Any]:
    if not ready_file:
        return {}
    try:
        with open(ready_file, encoding="utf-8") as held:
            ready: dict[str, Any] = json.load(held)
        return {"url": ready["url"], "keys": ready["keys"]}
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise Unusable(f"--ready-file {ready_file}: {fault}") from None


def _keys(args: argparse.Namespace, known: dict[str, str]) -> dict[str, str]:
    keys = {"schedule": args.schedule_key or known.get("schedule"), "results": args.results_key or known.get("results")}
    for scope, api_key in keys.items():
        if not api_key:
            raise Unusable(f"--url needs --{scope}-key (./run key create --scope {scope} makes one) or --ready-file")
    return {scope: str(api_key) for scope, api_key in keys.items()}


def _options(args: argparse.Namespace, url: str, keys: dict[str, str]) -> Options:
    return Options(
        url=url,
        schedule_key=keys["schedule"],
        results_key=keys["results"],
        candidates=args.candidates,
        minutes=args.minutes,
        seed=secrets.randbits(32) if args.seed is None else args.seed,
        shows_progress=not args.json,
        has_channel=not getattr(args, "http", False),
    )


# --- holding the exam -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pushed:
    """An armed exam: the batch and roster as sent; `starts_s` and `closes_s` on the event loop's clock."""

    exam: Exam
    batch: dict[str, Any]
    roster: list[dict[str, Any]]
    starts_s: float
    closes_s: float


async def hold_exam(options: Options) -> Held:
    """Push everything, let all candidates sit, wait until the batch is graded or should long have been.

    Raises Unreachable when no engine answers, Problem when it refuses what is pushed.
    """
    began_s = time.monotonic()
    dice = random.Random(options.seed)
    tally = Tally()
    times = timetable(options.candidates, options.minutes)
    progress = Progress(tally, options.candidates, options.shows_progress)
    async with Wire(options.url, tally) as wire, progress.shown():
        schedule = MachineClient(wire, options.schedule_key)
        await _reach(wire)
        progress.enter("pushing")
        pushed = await _push(schedule, options.candidates, times, dice)
        progress.say(f"batch {pushed.exam.batch_id}: {options.candidates} candidates, {times.duration_s} s to write")
        people_there = _people(wire, pushed, times, dice, options.has_channel)
        await _sit(people_there, pushed, progress)
        progress.enter("waiting for the grades")
        await _until_graded(schedule, pushed)
        progress.enter("fetching receipts")
        await _each(_fetch_receipt, [person for person, _ in people_there if person.ledger.entered])
    return Held(options, pushed.exam, [person.ledger for person, _ in people_there], tally, began_s)


async def _reach(wire: Wire) -> None:
    try:
        await wire.send_patiently("GET", "/healthz", patience_s=REACH_S)
    except Problem as problem:
        raise Unreachable(f"{wire.url} answers, but not as an engine: {problem}") from None
    except Unreachable as fault:
        raise Unreachable(f"no engine answers at {wire.url}: {fault}") from None


async def _push(schedule: MachineClient, candidates: int, times: Timetable, dice: random.Random) -> Pushed:
    """Paper, batch, roster, arming."""
    tag = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
    paper = samples.load(SAMPLE).paper
    paper_id, batch_id = f"rehearsal-paper-{tag}", f"rehearsal-{tag}"
    await schedule.put_paper(paper_id, paper)
    server_ms = await schedule.server_ms()
    starts_s = asyncio.get_running_loop().time() + times.lead_s
    batch = {
        "title": f"演练 {tag}",
        "occupation": "演练",
        "level": 3,
        "subject": "theory",
        "kind": "mock",
        "paper_id": paper_id,
        "admission_code": "R" + "".join(secrets.choice(ADMISSION_CODE_CHARACTERS) for _ in range(9)),
        "starts_ms": server_ms + times.lead_s * 1000,
        "duration_s": times.duration_s,
        "rules": {**times.rules(), "pass_mark": PASS_MARK},
    }
    await schedule.put_batch(batch_id, batch)
    roster = await _push_roster(schedule, batch_id, candidates, times, dice)
    await schedule.arm(batch_id, WITNESSES)
    closes_s = starts_s + times.duration_s + times.extra_time_s + times.grace_s
    return Pushed(Exam(batch_id, paper, canonical_digest(paper), PASS_MARK), batch, roster, starts_s, closes_s)


async def _push_roster(
    schedule: MachineClient, batch_id: str, candidates: int, times: Timetable, dice: random.Random
) -> list[dict[str, Any]]:
    extra = extra_times(candidates, times, dice)
    strangers = random.Random(secrets.randbits(64))  # not from the seed: two runs of one seed may overlap
    draw = 1
    while True:
        roster = people.roster(candidates, f"{strangers.randrange(10**6):06d}", strangers)
        for row, extra_time_s in zip(roster, extra, strict=True):
            row.update({"extra_time_s": extra_time_s} if extra_time_s else {})
        try:
            await schedule.put_roster(batch_id, roster)
            return roster
        except Problem as problem:
            if problem.code != "roster.invalid" or draw == ROSTER_DRAWS_MAX:
                raise
        draw += 1


def _people(
    wire: Wire, pushed: Pushed, times: Timetable, dice: random.Random, has_channel: bool
) -> list[tuple[Candidate, Script | None]]:
    """A client for everybody on the roster, with what they will do; None for those who never come."""
    library = Library()
    items = sum(len(section["items"]) for section in pushed.exam.paper["sections"])
    planned = scripts(len(pushed.roster), items, times, pushed.exam.paper, dice)
    return [
        (
            Candidate(
                wire,
                pushed.batch["admission_code"],
                row["id_number"],
                ledger=Ledger(candidate_id=row["candidate_id"]),
                library=library,
                dice=random.Random(dice.getrandbits(64)),
                has_channel=has_channel,
            ),
            script,
        )
        for row, script in zip(pushed.roster, planned, strict=True)
    ]


async def _sit(people_there: list[tuple[Candidate, Script | None]], pushed: Pushed, progress: Progress) -> None:
    """All candidates from their arrival to their hand-in or the end."""
    async with asyncio.TaskGroup() as crowd:
        for person, script in people_there:
            if script is None:
                person.ledger.stays_away = True
                continue
            crowd.create_task(_attend(person, script, pushed.starts_s))
        progress.enter("candidates arrive")
        crowd.create_task(_announce_start(progress, pushed.starts_s))


async def _attend(person: Candidate, script: Script, starts_s: float) -> None:
    """One candidate's exam; what stopped it is noted in the ledger and does not stop the others."""
    await asyncio.sleep(starts_s + script.arrives_s - asyncio.get_running_loop().time())
    try:
        await sit_exam(person, script)
    except Exception as fault:  # whatever it is, it ends this candidate's exam and the verdict must say so
        person.ledger.failures.append(f"{type(fault).__name__} {fault}")


async def _announce_start(progress: Progress, starts_s: float) -> None:
    await asyncio.sleep(starts_s - asyncio.get_running_loop().time())
    progress.enter("writing")


async def _until_graded(schedule: MachineClient, pushed: Pushed) -> None:
    """Wait for the state `graded`; after the bound the judge will say what is missing."""
    clock = asyncio.get_running_loop()
    while clock.time() < pushed.closes_s + GRADED_WITHIN_S:
        if (await schedule.batch(pushed.exam.batch_id))["state"] == "graded":
            return
        await asyncio.sleep(GRADED_POLL_S)


async def _fetch_receipt(person: Candidate) -> None:
    try:
        await person.receipt(patience_s=RECEIPT_WITHIN_S)
    except (Problem, Unreachable) as fault:
        person.ledger.failures.append(f"no receipt: {fault}")


async def _each(work: Callable[[Subject], Awaitable[None]], subjects: Iterable[Subject]) -> None:
    """Do `work` for every subject, a few at once."""
    waiting = iter(list(subjects))

    async def take() -> None:
        for subject in waiting:
            await work(subject)

    await asyncio.gather(*(take() for _ in range(PULLS_AT_ONCE)))


# --- judging it -------------------------------------------------------------------------------------------------


async def inspect(held: Held) -> Outcome:
    """Pull results and responses as a scorer does and compare them with what the candidates know."""
    progress = Progress(held.tally, held.options.candidates, held.options.shows_progress)
    progress.enter("comparing")
    async with Wire(held.options.url) as wire, progress.shown():
        pulled = await _pull(wire, held)
    verdict = judge(held.exam, held.ledgers, pulled)
    seconds = time.monotonic() - held.began_s
    return Outcome(verdict, held.tally, held.exam.batch_id, held.options.seed, seconds)


async def _pull(wire: Wire, held: Held) -> Pulled:
    scorer = MachineClient(wire, held.options.results_key)
    batch_id = held.exam.batch_id
    responses: dict[str, dict[str, Any]] = {}

    async def pull_responses(sitting_id: str) -> None:
        try:
            responses[sitting_id] = await scorer.responses(sitting_id)
        except Problem as problem:
            if problem.status != 404:  # a sitting that is not there has lost its answers: the judge says so
                raise

    await _each(pull_responses, [ledger.sitting_id for ledger in held.ledgers if ledger.entered])
    # Several pages even of a small batch, so that paging is always tried.
    page_results = max(1, min(PAGE_RESULTS, held.options.candidates // 3))
    return Pulled(
        batch=await MachineClient(wire, held.options.schedule_key).batch(batch_id),
        pages=await scorer.results(batch_id, page_results),
        ndjson=await scorer.results_ndjson(batch_id),
        responses=responses,
        public_keys=await scorer.public_keys(),
    )
