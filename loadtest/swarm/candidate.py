"""One candidate at one machine, from the page to the receipt: the screens of engine/web one after the other, at the
pace of a person. Every change of screen and every wait is a file there (login, confirm, wait, key, exam, watch,
handin, receipt .js); where the page lets a person decide, the plan has decided.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event

from loadtest import sealed
from loadtest.answers import guess
from loadtest.receipts import base64url
from loadtest.sizing.plan import Person
from loadtest.swarm.clock import Wake
from loadtest.swarm.machine import FINAL_STATES, WATCH_S, WATCH_WAIT_S, Machine
from loadtest.swarm.saving import PATH, Autosave
from loadtest.swarm.schedule import next_due_ms
from loadtest.swarm.wire import Problem, Unreachable, retry_delay_s
from loadtest.work import Work

if TYPE_CHECKING:
    from loadtest.swarm.play import Play

FETCH_SPREAD_S = 15.0  # wait.js
DOWNLOAD_S = 120.0  # seal.js
ASK_SPREAD_S, PUSH_S, PUSH_SPREAD_S, EARLY_S = 0.4, 0.7, 1.3, 0.2  # key.js
COLLECT_SPREAD_S = 1.5
LINGER_S = 3.0
READING_S = (2.0, 6.0)  # a screen, before somebody presses its button; less where little time is left
HUMAN_RETRY_S = (2.0, 5.0)  # before somebody presses a button once more that brought an error
ENTRY_PATIENCE_S = 300.0
RECEIPT_PATIENCE_S = 180.0
SETTLE_PATIENCE_S = 60.0
LAST_WORDS_SHARE = 0.2  # of those who stay change one more answer ...
LAST_WORDS_MS = (200.0, 5_000.0)  # ... so long before the end


class Stopped(Exception):
    """This candidate cannot go on; the message says why."""


class Candidate(Machine):
    """`play` is what all candidates of the process share."""

    __slots__ = ("_key", "_key_at_ms", "_key_came", "view", "writes")

    def __init__(self, play: Play, person: Person) -> None:
        super().__init__(play, person)
        self.view: dict[str, Any] = {}
        self.writes = False
        self._key = ""
        self._key_at_ms = 0.0
        self._key_came = Event()

    def keyed(self, paper_key: str) -> None:
        if not self._key:  # the machine's own work, opening the paper, comes after it
            self._key_at_ms = self.play.clock.now_ms()
        self._key = paper_key
        self._key_came.set()

    def sit(self) -> None:
        """All of it. What stops this candidate is noted in the ledger and does not stop the others."""
        play = self.play
        self._sleep_until(self.person.arrives_ms)
        play.there[self.person.number] = self
        line = (
            gevent.spawn_later(self._until_s(self.person.drops_ms), self._lose_line) if self.person.drops_ms else None
        )
        try:
            self._enter()
            if self.state not in FINAL_STATES and (paper := self._open_paper()) is not None:
                self._write(paper)
            self._finish()
        except (Stopped, Problem, Unreachable, sealed.SealBroken) as fault:
            self.stopped_by(f"{type(fault).__name__}: {fault}")
        finally:
            if line is not None:
                line.kill()
            self._leave()
            del play.there[self.person.number]
            play.writing -= self.writes

    # --- the screens before the start -----------------------------------------------------------------------------

    def _enter(self) -> None:
        self._load_page()
        plan = self.play.plan
        typed = {"admission_code": plan.admission_code, "id_number": self.person.id_number}
        login = self._insist("login", "/v1/login", typed)
        self.token = login.pop("token")
        self.view = login
        self._see(login)
        self.ledger.sitting_id, self.ledger.entered = login["sitting_id"], True
        self.play.entered += 1
        if login.get("photo") == "due":
            raise Stopped("the batch asks for photos, which nobody takes here")
        for step in ("confirm", "pledge"):
            if self.state == {"confirm": "checked_in", "pledge": "confirmed"}[step]:
                self._read()
                self._step(step)
        if self.state not in ("pledged", "in_progress", *FINAL_STATES):
            raise Stopped(f"after entering the sitting is {self.state}")

    def _load_page(self) -> None:
        if not self.play.plan.page:
            return
        until = time.monotonic() + ENTRY_PATIENCE_S
        while True:
            began = time.monotonic()
            try:
                answered = self.play.page.load(self.http, cold=self.play.plan.page == "cold")
                return self.play.notes.note("page", time.monotonic() - began, answered)
            except (Problem, Unreachable) as fault:
                self._failed("page", fault)
                if time.monotonic() > until:
                    raise
                self._press_again(fault)

    def _insist(self, operation: str, path: str, content: dict[str, Any]) -> dict[str, Any]:
        """A button that somebody presses again while it brings errors that may pass."""
        until = time.monotonic() + ENTRY_PATIENCE_S
        while True:
            try:
                found: dict[str, Any] = self.call(operation, "POST", path, content)
                return found
            except Unreachable as fault:
                if time.monotonic() > until:
                    raise
                self._press_again(fault)
            except Problem as problem:
                if not problem.transient or time.monotonic() > until:
                    raise
                self._press_again(problem)

    def _press_again(self, fault: Problem | Unreachable) -> None:
        gevent.sleep(fault.retry_after_s + self.dice.uniform(*HUMAN_RETRY_S))

    def _read(self) -> None:
        left_s = self._left_s() / 6
        if left_s <= 0:  # late already: somebody presses on, but reads
            left_s = max(0.0, self.ends_ms - self.play.clock.now_ms()) / 20_000
        bound_s = min(READING_S[1], left_s)
        gevent.sleep(self.dice.uniform(READING_S[0] / READING_S[1], 1) * bound_s)

    def _step(self, name: str) -> None:
        failures = 0
        while True:
            try:
                self.state = self.call(name, "POST", f"/v1/sitting/{name}", {"accepted": True})["state"]
                return
            except (Problem, Unreachable) as fault:
                if isinstance(fault, Problem) and fault.code == "sitting.order":
                    return self._see(self.call("look", "GET", "/v1/sitting"))  # an earlier sending arrived after all
                if isinstance(fault, Problem) and not fault.transient:
                    raise
                gevent.sleep(retry_delay_s(failures, fault, self.dice.random()))
                failures += 1

    # --- waiting for the start ------------------------------------------------------------------------------------

    def _open_paper(self) -> dict[str, Any] | None:
        """Wait for the start, then open it; None where the sitting ended first: who is so late sees the receipt."""
        fetching = gevent.spawn(self._fetch_sealed)
        self._watch_due = time.monotonic() + WATCH_WAIT_S * self.dice.uniform(0.75, 1.25)
        if self.play.plan.channel:
            self.open_channel()
        was_waiting = self._left_s() > 0
        self._await_key()
        fetching.join()
        if not self._key:
            return None
        fetched = fetching.value
        if fetched is None:
            raise Stopped(f"no sealed paper: {fetching.exception!r}")
        digest = self.view["paper"]["digest"]
        paper = self.play.library.open(digest, fetched, base64url(self._key), self.view["batch_id"])
        if was_waiting:
            self.play.notes.note_from("key", self._key_at_ms - self.starts_ms)
        self.writes = True
        self.play.writing += 1
        return paper

    def _fetch_sealed(self) -> bytes:
        """The sealed bytes, compared with their digest. The page asks until it has them."""
        gevent.sleep(self.dice.random() * max(0.0, min(FETCH_SPREAD_S, self._left_s() / 4)))
        digest = self.view["paper"]["digest"]
        head = self.play.origin.heads.fetch("GET", f"/v1/sealed/{digest}", cached=True)
        failures = 0
        while True:
            began = time.monotonic()
            fault: Problem | Unreachable
            try:
                body = self.http.call(head, limit_s=DOWNLOAD_S).body
                self.play.notes.note("sealed", time.monotonic() - began, len(body))
                return self.play.library.checked(digest, body)
            except (Problem, Unreachable) as met:
                self._failed("sealed", met)
                fault = met
            except sealed.SealBroken:
                self.play.notes.fail("sealed", "digest")
                fault = Unreachable("garbled")
            gevent.sleep(retry_delay_s(failures, fault, self.dice.random()))
            failures += 1

    def _await_key(self) -> None:
        """The channel brings it; a moment after the start it is asked for (key.js)."""
        failures = 0
        while not self._key and self.state not in FINAL_STATES:
            if (left_s := self._left_s()) > 0:
                self._key_came.wait(left_s)
                continue
            if not failures and self._key_came.wait(self._key_patience_s()):
                break
            try:
                self.keyed(self.call("key_asked", "GET", "/v1/sitting/paper-key", expects=(425,))["paper_key"])
            except Problem as problem:
                if problem.status == 425:
                    self.starts_ms = problem.members.get("starts_ms", self.starts_ms)
                    self._key_came.wait(EARLY_S)
                    continue
                if problem.status == 401 or problem.code == "sitting.superseded":
                    raise
                self._key_came.wait(retry_delay_s(failures, problem, self.dice.random()))
                failures += 1
            except Unreachable as fault:
                self._key_came.wait(retry_delay_s(failures, fault, self.dice.random()))
                failures += 1

    def _key_patience_s(self) -> float:
        if self.channel is not None and self.channel.is_open:
            return PUSH_S + self.dice.random() * PUSH_SPREAD_S
        return self.dice.random() * ASK_SPREAD_S

    # --- writing --------------------------------------------------------------------------------------------------

    def _write(self, paper: dict[str, Any]) -> None:
        """Read and answer at the plan's rate until the hand-in or the end by the engine's clock."""
        play, dice = self.play, self.dice
        autosave = self.autosave = Autosave(
            self.channel, self._post, self._look_soon, self._refused, self.ledger, play.notes, dice
        )
        self._watch_due = time.monotonic() + WATCH_S * dice.uniform(0.75, 1.25)
        work = Work(paper, dice)
        last_words_ms = dice.uniform(*LAST_WORDS_MS) if dice.random() < LAST_WORDS_SHARE else 0.0
        due_ms: float | None = max(play.clock.now_ms(), self.starts_ms)
        while due_ms is not None and not self._over:
            stop_ms = self._stop_ms()
            due_ms = next_due_ms(due_ms, stop_ms, play.plan.rate_at, play.rate_max, dice)
            if due_ms is None and last_words_ms and not self.person.submits_ms:
                due_ms, last_words_ms = stop_ms - last_words_ms, 0.0
                if due_ms < play.clock.now_ms():
                    break
            if due_ms is not None:
                self._change(work, autosave, due_ms)
        while not self._over and play.clock.now_ms() < self._stop_ms():
            self._sleep_until(self._stop_ms())

    def _change(self, work: Work, autosave: Autosave, due_ms: float) -> None:
        wake = Wake(self.play.clock, due_ms)
        self._sleep_until(due_ms)
        late_s = wake.late_s()
        self.play.notes.note("lateness", late_s)
        if self._over:
            return
        item = work.next_item()
        autosave.change(item["id"], guess(item, self.dice), time.monotonic() - late_s)

    def _stop_ms(self) -> float:
        return min(self.ends_ms, self.person.submits_ms) if self.person.submits_ms else self.ends_ms

    def _post(self, body: bytes) -> dict[str, Any]:
        """One save call over HTTP."""
        return self.exchange("POST", PATH, body)[0]

    # --- the end --------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        if self.autosave is not None and self.person.submits_ms and not self._over and self._hand_in(self.autosave):
            return self._settle(self.autosave)
        self._collect()

    def _hand_in(self, autosave: Autosave) -> bool:
        """As handin.js; False when the end came first."""
        failures = 0
        while not self._over:
            autosave.drain(ENTRY_PATIENCE_S)
            try:
                receipt = self.call("submit", "POST", "/v1/sitting/submit", {"seq": autosave.acknowledged})
                self.ledger.receipts.append(receipt)
                return True
            except Problem as problem:
                if problem.code == "submit.closed":
                    return False
                if problem.code == "submit.behind":
                    autosave.send_again()
                elif problem.code == "submit.too_early":
                    self._sleep_until(problem.members.get("earliest_submit_ms", 0))
                elif not problem.transient:
                    raise
                gevent.sleep(retry_delay_s(failures, problem, self.dice.random()))
            except Unreachable as fault:
                gevent.sleep(retry_delay_s(failures, fault, self.dice.random()))
            failures += 1
        return False

    def _collect(self) -> None:
        """After the grace the receipt is asked for until it is there."""
        closes_ms = self.ends_ms + self.play.plan.grace_s * 1000
        if self.state not in FINAL_STATES:
            self._sleep_until(closes_ms + self.dice.random() * COLLECT_SPREAD_S * 1000)
        until = time.monotonic() + RECEIPT_PATIENCE_S
        failures = 0
        while time.monotonic() < until:
            try:
                self.ledger.receipts.append(self.call("receipt", "GET", "/v1/sitting/receipt", expects=(404, 409)))
                self.play.notes.note_from("closing", self.play.clock.now_ms() - closes_ms)
                return
            except Problem as problem:
                if problem.status == 401 or problem.code == "sitting.superseded":
                    raise
                delay_s = retry_delay_s(failures, problem, self.dice.random())
                gevent.sleep(delay_s if problem.transient else 0.4 + self.dice.random() * 0.8)
            except Unreachable as fault:
                gevent.sleep(retry_delay_s(failures, fault, self.dice.random()))
            failures += 1
        raise Stopped(f"no receipt within {RECEIPT_PATIENCE_S:.0f} s")

    def _settle(self, autosave: Autosave) -> None:
        """On the receipt's screen: until everything is recorded (receipt.js, tidy)."""
        gevent.sleep(LINGER_S)
        if self.channel is not None:
            self.channel.stop()
        until = time.monotonic() + SETTLE_PATIENCE_S
        journal = autosave.journal
        while journal.uncommitted and time.monotonic() < until and not self.play.is_stopping:
            self._look()
            if journal.uncommitted:
                gevent.sleep(self.dice.uniform(4.0, 6.0))

    def _leave(self) -> None:
        self._over = True
        self._watch_due = float("inf")
        if self.autosave is not None:
            self.autosave.leave()
        if self.channel is not None:
            self.channel.stop()
        if self._cut is not None:
            self.play.notes.fail("reconnect", "never")
        self.http.close()

    def _stopped_by(self, why: str) -> None:
        self.ledger.failures.append(why)
        self.play.notes.count("stopped_candidates")
