"""What all candidates of one process share, and what goes on beside them: the clock, the sweep over all pages' timers,
the storm, the line a second for the conductor, and the report at the end.

A page looks at its channel twice a second and at its journal once. Ten thousand timers would burden the generator, so
one sweep looks at everybody once a second, a tenth of them every 100 ms.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event

from loadtest import sealed
from loadtest.ledger import Ledger
from loadtest.sizing import ledger_file, measure
from loadtest.sizing.plan import Person, Plan
from loadtest.swarm.candidate import Candidate
from loadtest.swarm.clock import EngineClock
from loadtest.swarm.headers import browser_headers
from loadtest.swarm.notes import Fire, Notes
from loadtest.swarm.page import Page
from loadtest.swarm.wire import Origin, Problem, Unreachable

_log = logging.getLogger(__name__)

SLOTS = 10
SWEEP_S = 1.0
SWEPT_AT_ONCE = 50  # then whoever else is ready has a turn
BEAT_S = 0.1  # how often lateness is measured beside what candidates notice of it


class Library:
    """Sealed and opened papers by digest: equal digests are equal bytes, and one key opens all of them."""

    def __init__(self) -> None:
        self._sealed: dict[str, bytes] = {}
        self._opened: dict[tuple[str, bytes], dict[str, Any]] = {}

    def checked(self, digest: str, body: bytes) -> bytes:
        """`body`, once its digest was found right; the bytes are kept once only. Raises SealBroken."""
        sealed.check_digest(body, digest)
        return self._sealed.setdefault(digest, body)

    def open(self, digest: str, body: bytes, paper_key: bytes, batch_id: str) -> dict[str, Any]:
        """The paper. Raises SealBroken."""
        known = (digest, paper_key)
        if known not in self._opened:
            self._opened[known] = sealed.open_paper(body, paper_key, batch_id)
        return self._opened[known]


class Play:
    """Share `index` of `of` of a plan. `there`: candidates between arrival and leaving, by number."""

    def __init__(self, plan: Plan, index: int, of: int, fire: Fire) -> None:
        self.plan = plan
        self.index = index
        self.clock = EngineClock()
        self.notes = Notes(measure.Recorder(f"swarm-{index}", plan.phase_at), self.clock, fire)
        self.origin = Origin(plan.url, plan.headers or browser_headers(), plan.ca_file)
        self.page = Page(self.origin)
        self.library = Library()
        self.rate_max = max((phase.saves_per_s for phase in plan.phases), default=0.0)
        self.there: dict[int, Candidate] = {}
        self.entered = self.writing = 0
        self.is_stopping = False
        self.over = Event()  # the last candidate is done
        mine = plan.share("swarm", index, of)
        self.coming = sorted((person for person in mine if person.arrives_ms), key=lambda person: person.arrives_ms)
        self.ledgers = [
            Ledger(candidate_id=person.candidate_id, stays_away=True) for person in mine if not person.arrives_ms
        ]
        self._waiting = iter(self.coming)
        self._left = len(self.coming)
        self._cpu = 0.0
        if not self.coming:
            self.over.set()

    def start(self) -> None:
        """Begin everything that goes on beside the candidates."""
        if self.plan.page == "cached":
            try:
                self.page.learn()
            except (Problem, Unreachable) as fault:
                self.notes.fail("page", fault.kind)
        for work in (self._sweep, self._beat, self._say):
            gevent.spawn(work)
        if self.plan.cut_ms:
            gevent.spawn(self._storm)

    def next_person(self) -> Person | None:
        return next(self._waiting, None)

    def sit(self, person: Person) -> None:
        """One candidate's exam, from before the arrival to the ledger."""
        candidate = Candidate(self, person)
        self.ledgers.append(candidate.ledger)
        try:
            candidate.sit()
        except Exception as fault:  # whatever it is, it ends this candidate's exam and the verdict must say so
            candidate.stopped_by(f"{type(fault).__name__} {fault}")
            _log.exception("candidate %s", person.candidate_id)
        finally:
            self._left -= 1
            if not self._left:
                self.over.set()

    def write(self, folder: Path) -> tuple[Path, Path]:
        """The report and the ledgers, where the conductor looks for them."""
        folder.mkdir(parents=True, exist_ok=True)
        report, ledgers = folder / f"swarm-{self.index}.json", folder / f"swarm-{self.index}.ledger"
        ledger_file.write(ledgers, self.ledgers)
        report.write_bytes(measure.encode(self.notes.recorder.report()))
        return report, ledgers

    def standing(self) -> dict[str, Any]:
        """The conductor's line."""
        return {
            "now_ms": int(self.clock.now_ms()),
            "entered": self.entered,
            "writing": self.writing,
            "saves": self.notes.saves,
            "acknowledged": self.notes.acknowledged,
            "errors": self.notes.errors,
            "cpu": round(self._cpu, 3),
        }

    # --- beside the candidates ------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        slot = 0
        while True:
            due = time.monotonic() + SWEEP_S / SLOTS
            for candidates in _batches([each for number, each in self.there.items() if number % SLOTS == slot]):
                now = time.monotonic()
                for candidate in candidates:
                    candidate.check(now)
                gevent.sleep(0)
            slot = (slot + 1) % SLOTS
            gevent.sleep(max(0.0, due - time.monotonic()))

    def _beat(self) -> None:
        """How late a greenlet wakes, whether anybody is due or not."""
        while True:
            due = time.monotonic() + BEAT_S
            gevent.sleep(BEAT_S)
            self.notes.note("lateness", time.monotonic() - due)

    def _say(self) -> None:
        cpu, at = time.process_time(), time.monotonic()
        while True:
            gevent.sleep(1.0)
            cpu_now, now = time.process_time(), time.monotonic()
            self._cpu = (cpu_now - cpu) / (now - at)
            cpu, at = cpu_now, now
            self.notes.recorder.cpu(self._cpu, self.clock.now_ms())
            print(json.dumps(self.standing()), flush=True)

    def _storm(self) -> None:
        while (left_s := (self.plan.cut_ms - self.clock.now_ms()) / 1000) > 0:
            gevent.sleep(left_s)
        there = list(self.there.values())
        for candidate in there:
            candidate.storm()
        self.notes.count("cut", sum(candidate.is_cut for candidate in there))


def _batches(candidates: list[Candidate]) -> Iterator[list[Candidate]]:
    for at in range(0, len(candidates), SWEPT_AT_ONCE):
        yield candidates[at : at + SWEPT_AT_ONCE]
