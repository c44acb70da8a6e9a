"""Sends what a candidate's journal holds, as engine/web/autosave.js does: over the channel while it is open, else over
HTTP, one call at a time; over the channel the next frame does not wait for an overdue answer longer than NEXT_S.

Promise: no failure ends it but the engine's own "closed", "superseded" or a change that the engine refuses as it
stands; every change and every acknowledgement is in the ledger, and every save that took long is noted as such.
Not noted as latency: a save that was due or under way while the candidate's own line was gone as planned (counter
`saves_while_away`). Those of the storm are: everybody had them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import gevent

from loadtest.journal import Change, Journal
from loadtest.ledger import Ledger
from loadtest.swarm.channel import Channel
from loadtest.swarm.notes import Notes
from loadtest.swarm.wire import Problem, Unreachable, retry_delay_s

PATH = "/v1/sitting/responses"
NEXT_S = 0.7
FLIGHTS_MAX = 8
UNHEARD_S, UNHEARD_S_MAX = 4.0, 60.0
NOT_AS_IT_STANDS = frozenset({400, 413, 422})
OVER = frozenset({"autosave.closed", "sitting.superseded", "sitting.order"})
OUR_OWN = frozenset({"cut", "away", "stopped"})  # kinds of Unreachable that we have made ourselves

Post = Callable[[bytes], dict[str, Any]]  # one save call over HTTP; raises Problem or Unreachable


class LeanJournal(Journal):
    """Lets go of a change's JSON with the change: the ledger keeps the rest of it for the judge."""

    def _forget(self, committed: int) -> None:
        kept = list(self._saved.values())
        super()._forget(committed)
        for change in kept:
            if change.seq not in self._saved:
                change.encoded = b""


class Flight:
    """One call under way."""

    __slots__ = ("_autosave", "call")

    def __init__(self, autosave: Autosave, call: list[Change]) -> None:
        self._autosave = autosave
        self.call = call

    def answered(self, message: dict[str, Any]) -> None:
        self._autosave.acknowledge(self, message)

    def failed(self, fault: Problem | Unreachable) -> None:
        self._autosave.recover(self, fault)


class Autosave:
    """`refused` is called once, with what ended it."""

    __slots__ = (
        "_channel", "_failures", "_flights", "_ledger", "_look", "_lost", "_notes", "_post", "_refused", "_resting",
        "_sending", "_sent", "_timer", "_times", "_unheard_s", "_unheard_since", "_was_lost", "acknowledged", "dice",
        "journal", "over",
    )  # fmt: skip

    def __init__(
        self,
        channel: Channel | None,
        post: Post,
        look: Callable[[], None],
        refused: Callable[[Problem], None],
        ledger: Ledger,
        notes: Notes,
        dice: random.Random,
    ) -> None:
        self.journal = LeanJournal()
        self.acknowledged = 0
        # The candidate's own absence from the line, until everything that was typed meanwhile is saved.
        self._lost = (float("inf"), float("-inf"))
        self._was_lost = False
        self.over = False
        self.dice = dice
        self._channel, self._post, self._look, self._refused = channel, post, look, refused
        self._ledger, self._notes = ledger, notes
        self._flights = self._resting = self._failures = 0
        self._sending: set[int] = set()
        self._times: dict[int, tuple[float, float]] = {}  # seq: (due, first sent)
        self._sent = float("-inf")
        self._timer: Any = None
        self._unheard_since: float | None = None
        self._unheard_s = UNHEARD_S

    def change(self, item: str, value: Any, due: float) -> None:
        """Take down a change that was due at `due` (time.monotonic()); it goes as soon as may be."""
        change = self.journal.note(item, value)
        self._times[change.seq] = (due, 0.0)
        self.pump()

    def pump(self) -> None:
        """Something was written, answered or opened, or a moment has passed."""
        while not self.over and self._may_go():
            call = self.journal.next_call(self._sending)
            if not call:
                return
            self._launch(call)
        if self._timer is None and not self.over and self.journal.unsaved > len(self._sending):
            self._timer = gevent.get_hub().loop.timer(NEXT_S / 2)
            self._timer.start(self._look_again)

    def observe(self, generation: int, committed: int, *, asked: bool = False) -> None:
        """The engine has told how far it is."""
        if not asked:
            self._unheard_since, self._unheard_s = None, UNHEARD_S
        self.journal.observe(generation, committed)
        self.pump()

    def check(self, now: float) -> None:
        """Once a second: what was saved over HTTP before the channel opened is not told over it, so it is asked for."""
        if not self.journal.uncommitted or self._channel is None or not self._channel.is_open:
            self._unheard_since = None
        elif self._unheard_since is None:
            self._unheard_since = now
        elif now - self._unheard_since > self._unheard_s:
            self._unheard_since = now
            self._unheard_s = min(UNHEARD_S_MAX, self._unheard_s * (1 + self.dice.random()))
            self._look()

    def drain(self, patience_s: float) -> bool:
        """Wait until nothing is on this machine only; False where it never came to that."""
        until = time.monotonic() + patience_s
        while self.journal.unsaved and not self.over:
            if time.monotonic() > until:
                return False
            gevent.sleep(0.05)
        return not self.journal.unsaved

    def send_again(self) -> None:
        """What the engine may not have goes once more (submit.behind)."""
        self.journal.send_again()
        self.pump()

    def lose_line(self, now: float) -> None:
        self._lost = (now, float("inf"))

    def line_is_back(self, now: float) -> None:
        """Something was answered. Latency counts again for what is due after what was typed meanwhile is saved."""
        if self._lost[1] == float("inf"):
            self._was_lost = bool(self.journal.unsaved)
            if not self._was_lost:
                self._lost = (self._lost[0], now)

    def leave(self) -> None:
        """Stop for good: what has no answer by now gets none. That is an error, and the ledger tells of it."""
        left = self.journal.unanswered
        self._ledger.unsent = sum(not change.sent for change in left)
        for _ in left:
            self._notes.fail("save", "unanswered")
        self.stop()

    def stop(self) -> None:
        self.over = True
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

    # --- flights --------------------------------------------------------------------------------------------------

    def _may_go(self) -> bool:
        if not self._flights:
            return True
        if self._resting or self._flights >= FLIGHTS_MAX or self._channel is None or not self._channel.is_open:
            return False
        return time.monotonic() - self._sent >= NEXT_S

    def _launch(self, call: list[Change]) -> None:
        now = self._sent = time.monotonic()
        for change in call:
            self._sending.add(change.seq)
            if not change.sent:
                self._times[change.seq] = (self._times[change.seq][0], now)
        self._notes.saves += self._ledger.sent(call)
        self._flights += 1
        flight = Flight(self, call)
        changes = b"[" + b",".join(change.encoded for change in call) + b"]"
        if self._channel is not None and self._channel.is_open:
            self._channel.save(changes, flight)
        else:
            gevent.spawn(self._send_over_http, flight, b'{"changes":' + changes + b"}")

    def _send_over_http(self, flight: Flight, body: bytes) -> None:
        try:
            reply = self._post(body)
        except (Problem, Unreachable) as fault:
            flight.failed(fault)
        else:
            self._notes.count("saves_over_http")
            flight.answered(reply)

    def acknowledge(self, flight: Flight, reply: dict[str, Any]) -> None:
        now = time.monotonic()
        self._failures = 0
        saved = reply["saved"]
        fresh = self.journal.acknowledge(flight.call, reply)
        self.acknowledged = max(self.acknowledged, saved)
        self._notes.acknowledged += len(fresh)
        for change in fresh:
            due, sent = self._times.pop(change.seq)
            if due <= self._lost[1] and now >= self._lost[0]:
                self._notes.count("saves_while_away")
                continue
            self._notes.note("save", now - sent)
            self._notes.note("save_intended", now - due)
        if saved < flight.call[-1].seq:
            self._notes.fail("save", "saved_too_little")
            self._ledger.failures.append(f"saved {saved} does not cover seq {flight.call[-1].seq} of its call")
        if self._was_lost and not self.journal.unsaved:
            self._was_lost = False
            self._lost = (self._lost[0], now)
        self._ended(flight)

    def recover(self, flight: Flight, fault: Problem | Unreachable) -> None:
        if fault.kind not in OUR_OWN:
            self._notes.fail("save", fault.kind)
        if isinstance(fault, Problem) and (fault.status in (401, *NOT_AS_IT_STANDS) or fault.code in OVER):
            if not self.over:
                self.stop()
                self._refused(fault)
            return
        self._resting += 1
        pause = gevent.get_hub().loop.timer(retry_delay_s(self._failures, fault, self.dice.random()))
        pause.start(self._rested, flight, pause)

    def _rested(self, flight: Flight, pause: Any) -> None:
        pause.close()
        self._resting -= 1
        self._failures += 1
        self._ended(flight)

    def _ended(self, flight: Flight) -> None:
        self._flights -= 1
        self._sending.difference_update(change.seq for change in flight.call)
        self.pump()

    def _look_again(self) -> None:
        self._timer.close()
        self._timer = None
        self.pump()
