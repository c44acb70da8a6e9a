"""A share of a load test's plan, played on a schedule of intended instants: what a conductor starts.

    python -m loadtest.openloop --plan FILE --index I --of N --out DIR

Promise: the plan's rate is kept whatever answers do; report and ledgers are left as `loadtest/sizing` asks for them.
How: the saves of all candidates here are one schedule, each for one of them by lot; that is a Poisson process of its
own rate for every candidate. Saves go over the channel; while it is away over HTTP, as a page does.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import time
from pathlib import Path
from typing import Any

from loadtest import sealed
from loadtest.ledger import Ledger
from loadtest.openloop import account
from loadtest.openloop.browser import Browser
from loadtest.openloop.driver import Driver, Manner
from loadtest.openloop.entering import values_of
from loadtest.openloop.figures import Figures
from loadtest.openloop.lines import Line, LineFault
from loadtest.openloop.notes import Notes, PlanFigures
from loadtest.openloop.schedule import Phase
from loadtest.openloop.sitting import Sitting, choice_of
from loadtest.openloop.taker import Taker
from loadtest.sizing import ledger_file, measure
from loadtest.sizing.plan import Plan
from loadtest.swarm.headers import Heads, browser_headers
from loadtest.wire import Problem, Unreachable

PAGE, WORKER = "/", "/web/sw.js"
CUT_SPREAD_S = 1.5  # a page whose line broke opens it again within this
RETRY_FIRST_S, RETRY_MAX_S = 1.0, 60.0
SAYS_S = 1.0
BEAT_S = 0.1


class Part:
    """Share `index` of `of` of a plan."""

    def __init__(self, plan: Plan, index: int, of: int) -> None:
        self.plan = plan
        self.index = index
        self.notes = Notes(f"openloop-{index}", plan)
        self.heads = Heads(plan.url, plan.headers or browser_headers())
        self.people = [person for person in plan.share("openloop", index, of) if person.arrives_ms]
        self.absent = [person for person in plan.share("openloop", index, of) if not person.arrives_ms]
        sittings = [Sitting(person.candidate_id, "", "") for person in self.people]
        self.driver = PlanDriver(self, sittings)
        self.takers = [Taker(self, *each) for each in zip(self.people, sittings, strict=True)]
        self._has_paper = False
        self._etag = ""
        self._busy = 0.0

    async def play(self) -> None:
        """From the first arrival to the last receipt."""
        beside = [asyncio.create_task(act) for act in (self._say(), self._beat(), self._storm())]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write())
                for taker in self.takers:
                    group.create_task(taker.sit())
        finally:
            for task in beside:
                task.cancel()
            await self.driver.close()

    async def sleep_until(self, instant_ms: float) -> None:
        while (left_s := (instant_ms - self.notes.now_ms()) / 1000) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left_s)

    def take_paper(self, body: bytes, paper_key: bytes, batch_id: str) -> None:
        """The first candidate's is everybody's: equal digests are equal bytes. Raises SealBroken."""
        if not self._has_paper:
            paper = sealed.open_paper(body, paper_key, batch_id)
            values = values_of(paper, random.Random(f"{self.plan.seed}/{self.index}"))
            self.driver.choices += [choice_of(item, value.encode()) for item, value in values]
            self._has_paper = True

    async def load_page(self, browser: Browser) -> None:
        """As a machine that has the page (and asks whether it is still that one), or has not."""
        if not self.plan.page:
            return
        began_s = time.monotonic()
        try:
            seen = self._etag if self.plan.page == "cached" else ""
            _, self._etag = await browser.send("GET", PAGE, self.heads.document(PAGE, seen))
            if not seen:
                await browser.send("GET", WORKER, self.heads.service_worker(WORKER))
        except (Problem, Unreachable) as fault:
            self.notes.fail("page", fault.code if isinstance(fault, Problem) else "unreachable")
            return
        self.notes.note("page", time.monotonic() - began_s)

    def write(self, folder: Path) -> None:
        """The report and the ledgers, where the conductor looks for them."""
        report, ledgers = folder / f"openloop-{self.index}.json", folder / f"openloop-{self.index}.ledger"
        found = []
        for taker, ledger in zip(self.takers, account.ledgers(self.driver.sittings), strict=True):
            ledger.entered = bool(ledger.sitting_id)
            ledger.receipts, ledger.failures = taker.receipts, taker.failures
            found.append(ledger)
        found += [Ledger(candidate_id=person.candidate_id, stays_away=True) for person in self.absent]
        ledger_file.write(ledgers, found)
        report.write_bytes(measure.encode(self.notes.recorder.report()))

    # --- beside the candidates ------------------------------------------------------------------------------------

    async def _write(self) -> None:
        """All saves of all candidates, from the start on."""
        plan, count = self.plan, len(self.people)
        await self.sleep_until(plan.starts_ms - 200)
        phases = [
            Phase(phase.name, (phase.until_ms - max(phase.from_ms, plan.starts_ms)) / 1000, phase.saves_per_s * count)
            for phase in plan.phases
            if phase.until_ms > plan.starts_ms and (phase.saves_per_s > 0 or phase.from_ms < plan.ends_ms)
        ]
        gc.collect()
        gc.freeze()  # a look through everything that stays would make everybody late
        await self.driver.run(phases, self.notes.monotonic_ns_of(plan.starts_ms))

    async def _storm(self) -> None:
        """Every line of the hall breaks in one instant."""
        if self.plan.cut_ms and self.plan.channel:
            await self.sleep_until(self.plan.cut_ms)
            self.notes.recorder.count("cut", self.driver.cut())

    async def _beat(self) -> None:
        """How late this process wakes, whether anything is due or not."""
        while True:
            due_s = time.monotonic() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self.notes.note("lateness", time.monotonic() - due_s)

    async def _say(self) -> None:
        notes = self.notes
        while True:
            used_s, began_s = time.process_time(), time.monotonic()
            await asyncio.sleep(SAYS_S)
            self._busy = (time.process_time() - used_s) / (time.monotonic() - began_s)
            notes.recorder.cpu(self._busy, notes.now_ms())
            told = {"now_ms": int(notes.now_ms()), "cpu": round(self._busy, 3)}
            told |= {name: getattr(notes, name) for name in ("entered", "writing", "saves", "acknowledged", "errors")}
            print(json.dumps(told), flush=True)


class PlanDriver(Driver):
    """Lines that open one by one, break in a storm, and are noted for the conductor."""

    def __init__(self, part: Part, sittings: list[Sitting]) -> None:
        plan = part.plan
        manner = Manner(has_channel=plan.channel, seed=plan.seed + part.index, ca_file=plan.ca_file)
        super().__init__(plan.url, sittings, [], manner)
        self._part = part
        for sitting in sittings:
            sitting.writes = False
        self.prepare()

    def upgrade_head(self) -> bytes:
        return self._part.heads.upgrade("/v1/channel", "AAECAwQFBgcICQoLDA0ODw==")

    def save_head(self, token: str, body_bytes: int) -> bytes:
        return self._part.heads.fetch("POST", "/v1/sitting/responses", token, body_bytes)

    def figures_of(self, phase: Phase) -> Figures:
        return PlanFigures(phase, self._part.notes)

    def again_s(self, failures: int) -> float:
        """As a page: soon after a cut, later and later where there is nothing."""
        if not failures:
            return self._dice.random() * CUT_SPREAD_S
        bound_s: float = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(failures, 10))
        return self._dice.random() * bound_s

    async def connect(self, sitting: Sitting) -> None:
        """Raises LineFault."""
        began_s = time.monotonic()
        line = self._new_line(sitting)
        self.place(line)
        await self._connect(line)
        if self._manner.has_channel:
            self._part.notes.note("channel", time.monotonic() - began_s)

    async def try_connect(self, sitting: Sitting) -> bool:
        try:
            await self.connect(sitting)
        except LineFault:
            self._part.notes.fail("channel", "not_opened")
            return False
        return True

    def cut(self) -> int:
        """How many lines broke."""
        found = [line for line in self._lines if line.is_open and line.transport is not None]
        for line in found:
            self._taker(line.sitting).cut_ns = time.monotonic_ns()
            assert line.transport is not None
            line.transport.abort()
        return len(found)

    def lose(self, line: Line, why: str) -> None:
        taker = self._taker(line.sitting)
        if taker.has_left or self._is_closing:
            return
        has_lapsed = self.take_back(line)
        if not taker.cut_ns and not has_lapsed:
            self._part.notes.fail("channel", "lost")
        self._begin(self._open_again(line.sitting, at_once=has_lapsed))
        if self._manner.has_channel:
            place = self._place[line.sitting]
            self._begin(taker.save_over_http(lambda: self._lines[place]))

    def reopened(self, line: Line) -> None:
        taker = self._taker(line.sitting)
        if taker.cut_ns:
            self._part.notes.note("reconnect", (time.monotonic_ns() - taker.cut_ns) / 1e9)
            taker.cut_ns = 0

    def leave(self, sitting: Sitting) -> None:
        """This candidate is done: the line is closed, and not opened again."""
        line = self._lines[self._place[sitting]]
        if line.transport is not None:
            line.transport.close()

    def hear_key(self, sitting: Sitting, told: dict[str, Any], now_ns: int) -> None:
        taker = self._taker(sitting)
        taker.key = told["paper_key"]
        taker.key_came.set()

    def _fail(self, kind: str, what: str) -> None:
        """Also before the start and after the end, when no figures are kept."""
        self._part.notes.meet(kind)

    def is_wanted(self, sitting: Sitting) -> bool:
        return not self._taker(sitting).has_left

    def _taker(self, sitting: Sitting) -> Taker:
        return self._part.takers[self._place[sitting]]
