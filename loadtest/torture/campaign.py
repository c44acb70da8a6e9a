"""One campaign from beginning to end: an engine of its own, candidates with ledgers, faults, a verdict.

Order: the engine, the candidates' processes, exams; then the faults, while exams follow one another; then the last
exams end and are graded, the evidence is collected, and the checker judges it in a process of its own. Whatever ends
a campaign early, nothing of it is left running and no folder of it is left, but for what `--keep` asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import field as with_default
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import uvloop

from loadtest.client import MachineClient, Problem, Unreachable
from loadtest.own_engine import ROOT
from loadtest.torture import evidence
from loadtest.torture.auditor import Auditor
from loadtest.torture.faults import Fault, Planned, strike_all
from loadtest.torture.field import Field, Ground, NotBack, standing
from loadtest.torture.receiver import Receiver
from loadtest.torture.report import Outcome
from loadtest.torture.season import Book, Season
from loadtest.torture.wiring import CandidatesWire

CANDIDATES_PER_CROWD = 60  # one process of candidates for so many at a time
CROWD_STOP_S = 120.0  # after the last end: receipts are waited for
CHECKER_S = 600.0
DELIVERED_S = 60.0  # after the last result: a courier may just have been killed, and its hold lasts ten seconds
POLL_S = 0.1
SAYS_EVERY_S = 5.0


@dataclass(frozen=True)
class Options:
    """One campaign. `root` is the tree whose engine is tried; `grounds` lie under its data, `wire` before it."""

    candidates: int
    seed: int
    planned: Sequence[Planned]
    root: Path = ROOT
    grounds: Sequence[Ground] = ()
    wire: CandidatesWire | None = None
    keep: Path | None = None
    says: Callable[[str], None] = with_default(default=lambda text: None)


def run(options: Options) -> Outcome:
    """Hold one campaign and judge it. Raises EngineMissing, KeyboardInterrupt."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lk-torture-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        accounts = folder / "accounts"
        accounts.mkdir()
        outcome = Outcome(seed=options.seed)
        try:
            with standing(folder, root=options.root, grounds=options.grounds) as field:
                options.says(f"the engine is up at {field.url}")
                _run_until_interrupted(Campaign(field, accounts, options, outcome))
            outcome.judged(_judge(accounts, outcome))
        finally:
            outcome.seconds = round(time.monotonic() - began_s, 1)
            if options.keep is not None and outcome.exit_code:
                _keep(folder, options.keep)
    return outcome


def _run_until_interrupted(campaign: Campaign) -> None:
    try:
        with open(campaign.accounts.parent / "crowd.log", "ab") as log:
            uvloop.run(campaign.hold(log))
    except asyncio.CancelledError:  # SIGTERM; of SIGINT the runner makes the same by itself
        raise KeyboardInterrupt from None


class Campaign:
    """The part of a campaign that runs beside a standing engine."""

    def __init__(self, field: Field, accounts: Path, options: Options, outcome: Outcome) -> None:
        self.field = field
        self.accounts = accounts
        self.options = options
        self.outcome = outcome
        self.dice = random.Random(f"{options.seed} beside the faults")
        self.book = Book(accounts / "book.jsonl")
        self.receiver = Receiver(accounts / "deliveries.jsonl", random.Random(f"{options.seed} at the receiver"))
        self.crowds: list[asyncio.subprocess.Process] = []

    async def hold(self, log: BinaryIO) -> None:
        """Everything up to the evidence; what went wrong is in the outcome."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel if task else lambda: None)
        try:
            async with contextlib.AsyncExitStack() as laid:
                wire = self.options.wire
                url = self.field.url if wire is None else await laid.enter_async_context(wire.laid(self.field.url))
                laid.enter_context(self.receiver.open())
                await self._open_crowds(log, url)
                await self._hold_exams()
        except* NotBack as faults:
            self.outcome.ended_early += [str(fault) for fault in faults.exceptions]
        except* (Problem, Unreachable) as faults:
            self.outcome.ended_early += [f"the engine does not serve: {fault}" for fault in faults.exceptions]
        finally:
            for crowd in self.crowds:
                if crowd.returncode is None:
                    crowd.kill()
                await crowd.wait()

    async def _hold_exams(self) -> None:
        async with MachineClient(self.field.url, self.field.keys["schedule"]) as machine:
            season = Season(machine, self.book, self._hand_out, self.options.candidates, self.dice)
            scorer = MachineClient(machine.wire, self.field.keys["results"])
            await scorer.put_webhook("torture", self.receiver.url, self.receiver.secret)
            self.book.note("webhook", secret=self.receiver.secret)
            await season.begin()
            await self._strike_during(season)
            await self._finish(season)

    async def _strike_during(self, season: Season) -> None:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(season.go_on(over))
            auditor = Auditor(self.accounts, self.field.postgres_dsn, self.book, self.dice)
            beside = [group.create_task(self._tell(season)), group.create_task(auditor.watch())]
            await season.until_writing()
            await strike_all(self.field, self.options.planned, self._note_strike)
            over.set()
            for task in beside:
                task.cancel()
        self.outcome.looked_for = auditor.looked_for

    async def _finish(self, season: Season) -> None:
        """The last exams end, are graded and told of; then what the engine holds is collected."""
        self.options.says(
            f"{self.outcome.struck.total()} faults struck; waiting for the last of {len(season.held)} exams"
        )
        for crowd in self.crowds:
            if crowd.stdin is not None:
                crowd.stdin.close()
        ungraded = await season.until_graded()
        self.outcome.batches, self.outcome.given_up = len(season.held), season.given_up
        for crowd in self.crowds:
            await self._wait_for(crowd)
        if ungraded:
            self.options.says(f"not graded: {', '.join(ungraded)}")
        self.options.says("collecting the evidence")
        found = await evidence.collect(self.field, season.held)
        await self._until_delivered(sum(map(len, found["results"].values())))
        await asyncio.to_thread((self.accounts / "evidence.json").write_bytes, orjson.dumps(found))

    async def _until_delivered(self, results: int) -> None:
        """What is not there afterwards, the checker says."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DELIVERED_S):
                while not self.receiver.has(results):  # noqa: ASYNC110 - a state of another thread, not an event
                    await asyncio.sleep(POLL_S)

    async def _wait_for(self, crowd: asyncio.subprocess.Process) -> None:
        try:
            code = await asyncio.wait_for(crowd.wait(), CROWD_STOP_S)
        except TimeoutError:
            self.outcome.ended_early.append(f"candidates were not through {CROWD_STOP_S:.0f} s after the last end")
            return
        if code:
            self.outcome.ended_early.append(f"a process of candidates ended with code {code}, see crowd.log")

    def _note_strike(self, fault: Fault) -> None:
        self.outcome.struck[fault.name] += 1
        self.outcome.by_kind[fault.kind] += 1
        self.book.note("struck", name=fault.name)

    async def _tell(self, season: Season) -> None:
        while True:
            await asyncio.sleep(SAYS_EVERY_S)
            kept = sum(path.stat().st_size for path in self.accounts.glob("ledger-*.jsonl"))
            struck = self.outcome.struck.total()
            planned, held = len(self.options.planned), len(season.held)
            self.options.says(f"{struck} of {planned} faults, {held} exams, {kept / 2**20:.1f} MiB of ledgers")

    # --- candidates ----------------------------------------------------------------------------------------------

    async def _open_crowds(self, log: BinaryIO, url: str) -> None:
        dies_with_us = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        for index in range(max(1, self.options.candidates // CANDIDATES_PER_CROWD)):
            ledger = self.accounts / f"ledger-{index}.jsonl"
            command = [sys.executable, "-m", "loadtest.torture.crowd", "--url", url]
            command += ["--ledger", str(ledger), "--seed", str(self.dice.getrandbits(32))]
            crowd = await asyncio.create_subprocess_exec(
                *dies_with_us,
                *command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the campaign first
            )
            self.crowds.append(crowd)

    def _hand_out(self, told: dict[str, Any]) -> None:
        """To one process of candidates after the other."""
        crowd = self.crowds.pop(0)
        self.crowds.append(crowd)
        if crowd.stdin is not None:
            crowd.stdin.write(orjson.dumps(told) + b"\n")


def _judge(accounts: Path, outcome: Outcome) -> dict[str, Any] | None:
    """The checker's verdict; None when there is no evidence to judge."""
    if not (accounts / "evidence.json").exists():
        return None
    command = [sys.executable, "-m", "loadtest.torture.checker", str(accounts)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=CHECKER_S)
    if not done.stdout:
        outcome.ended_early.append(f"the checker says: {done.stderr.strip()[-500:]}")
        return None
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict


def _keep(folder: Path, into: Path) -> None:
    """Copy ledgers, book, evidence and logs for those who look for the cause."""
    into.mkdir(parents=True, exist_ok=True)
    for found in ("accounts", "data/logs"):
        if (folder / found).exists():
            shutil.copytree(folder / found, into / Path(found).name, dirs_exist_ok=True)
    for log in folder.glob("*.log"):
        shutil.copy(log, into / log.name)
