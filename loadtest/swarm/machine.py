"""The machine of one candidate: its line, its calls, its channel, and what the page keeps looking at behind any screen
(engine/web: api.js, watch.js, and the events of channel.js).
"""

from __future__ import annotations

import abc
import random
import time
from typing import TYPE_CHECKING, Any

import gevent
import orjson

from loadtest.ledger import Ledger
from loadtest.sizing.plan import Person
from loadtest.swarm.channel import Channel
from loadtest.swarm.saving import OUR_OWN, Autosave
from loadtest.swarm.wire import Http, Problem, Unreachable, retry_delay_s

if TYPE_CHECKING:
    from loadtest.swarm.play import Play

WATCH_WAIT_S, WATCH_S, SETTLING_S = 15.0, 5.0, 2.0
AFTER_CUT_S = 1.0
FINAL_STATES = frozenset({"submitted", "collected"})


class Machine(abc.ABC):
    """`play` is what all candidates of the process share. `_over`: this candidate writes no more."""

    __slots__ = (
        "_cut", "_link_up", "_looking", "_opened_once", "_over", "_watch_due", "_watch_failures", "autosave",
        "channel", "dice", "ends_ms", "http", "ledger", "person", "play", "starts_ms", "state", "token",
    )  # fmt: skip

    def __init__(self, play: Play, person: Person) -> None:
        self.play, self.person = play, person
        self.dice = random.Random(f"{play.plan.seed}/{person.number}")
        self.ledger = Ledger(candidate_id=person.candidate_id)
        self.http = Http(play.origin)
        self.channel: Channel | None = None
        self.autosave: Autosave | None = None
        self.token = ""
        self.state = "expected"
        self.starts_ms, self.ends_ms = play.plan.starts_ms, play.plan.ends_ms
        self._link_up = True
        self._opened_once = False
        self._cut: float | None = None  # when the storm took the channel
        self._over = self._looking = False
        self._watch_due = float("inf")
        self._watch_failures = 0

    def open_channel(self) -> None:
        """From now on, until it is stopped."""
        self.channel = Channel(self.play.origin, self.token, self, lambda: self._link_up, self.dice)
        self.channel.is_away = self.http.is_away
        self.channel.start()

    @abc.abstractmethod
    def keyed(self, paper_key: str) -> None:
        """The channel has brought the paper key."""

    def stopped_by(self, why: str) -> None:
        """This candidate's exam has ended in a way it should not."""
        self.ledger.failures.append(why)
        self.play.notes.count("stopped_candidates")

    # --- what the channel tells (Ear) -----------------------------------------------------------------------------

    def opened(self, message: dict[str, Any], took_s: float) -> None:
        now = time.monotonic()
        if self._cut is not None:
            self.play.notes.note("reconnect", now - self._cut)
            self._cut = None
        elif not self._opened_once:
            self.play.notes.note("channel", took_s)
        else:
            self.play.notes.count("channels_reopened")
        self._opened_once = True
        self._line_is_back(now)
        self._sync(message)
        self._see(message)
        if self.autosave is not None:
            self.autosave.pump()

    def down(self) -> None:
        if not self._over and self._watch_due != float("inf"):
            after_s = self.dice.random() * AFTER_CUT_S
            self._plan_watch(time.monotonic() + after_s)
            self._look_soon(after_s)

    def told(self, message: dict[str, Any]) -> None:
        self._link_is(True)
        kind = message["type"]
        if kind == "committed":
            if self.autosave is not None:
                self.autosave.observe(message["generation"], message["committed"])
        elif kind == "paper_key":
            self.keyed(message["paper_key"])
        elif kind == "time":
            self._sync(message)
            self._see(message)
        elif kind == "closed":
            self._see(message)

    def refused(self, fault: Problem) -> None:
        self.play.notes.fail("channel", fault.kind)
        self._refused(fault)

    def doubted(self) -> None:
        self.down()

    def troubled(self, kind: str) -> None:
        if self._over or self.state in FINAL_STATES:
            return self.play.notes.count("channels_ended")  # by the engine, as it should
        self.play.notes.fail("channel" if self._cut is None else "reconnect", kind)

    def _sync(self, message: dict[str, Any]) -> None:
        assert self.channel is not None
        received = time.monotonic()
        self.play.clock.sync(message["server_ms"], received - self.channel.round_trip_s, received)

    # --- how the sitting stands (watch.js) ------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """Once a second for everybody, each in their own tenth of it (play.py)."""
        if self.channel is not None:
            self.channel.check(now)
        if self.autosave is not None:
            self.autosave.check(now)
        if now >= self._watch_due:
            self._plan_watch(now)
            if self.channel is None or not self.channel.is_open:
                self._look_soon()

    def _plan_watch(self, now: float) -> None:
        settling = self.autosave is not None and self.autosave.journal.uncommitted
        every_s = WATCH_WAIT_S if self.autosave is None else SETTLING_S if settling else WATCH_S
        self._watch_due = now + every_s * self.dice.uniform(0.75, 1.25)

    def _look_soon(self, after_s: float = 0.0) -> None:
        if not self._looking and not self._over:
            self._looking = True
            gevent.spawn_later(after_s, self._look)

    def _look(self) -> None:
        try:
            view = self.call("look", "GET", "/v1/sitting")
            self._watch_failures = 0
            self._see(view)
            if self.autosave is not None:
                self.autosave.observe(view["generation"], view["committed"], asked=True)
        except (Problem, Unreachable) as fault:
            if isinstance(fault, Problem) and (fault.status == 401 or fault.code == "sitting.superseded"):
                return self._refused(fault)
            self._watch_due = time.monotonic() + retry_delay_s(self._watch_failures, fault, self.dice.random())
            self._watch_failures += 1
        finally:
            self._looking = False

    def _see(self, view: dict[str, Any]) -> None:
        self.state = view.get("state", self.state)
        self.starts_ms = view.get("starts_ms", self.starts_ms)
        self.ends_ms = view.get("ends_ms", self.ends_ms)
        if self.state in FINAL_STATES and self.autosave is not None:
            self._over = True

    def _refused(self, fault: Problem) -> None:
        """Saving is over for this token. At the end that is as it should be; else it stops the candidate."""
        if fault.code != "autosave.closed" and not self._over:
            self.stopped_by(f"saving was refused: {fault}")
        self._over = True

    # --- the line -------------------------------------------------------------------------------------------------

    def storm(self) -> None:
        """Every line of the hall breaks in this instant."""
        if self.channel is not None and self.channel.is_open and not self.channel.is_away:
            self._cut = time.monotonic()
            self.http.close(abruptly=True)
            self.channel.cut()

    @property
    def is_cut(self) -> bool:
        """The storm has taken the channel, and it is not back."""
        return self._cut is not None

    def _lose_line(self) -> None:
        """This machine's line is gone for a while, as planned for it. Typing goes on."""
        now = time.monotonic()
        self.play.notes.count("drops")
        self._cut = None  # from here on it is not the storm's
        if self.autosave is not None:
            self.autosave.lose_line(now)
        self.http.is_away = True
        self.http.close(abruptly=True)
        if self.channel is not None:
            self.channel.is_away = True
            self.channel.cut()
        gevent.sleep(self.person.drops_s)
        self.http.is_away = False
        if self.channel is not None:
            self.channel.is_away = False

    def _line_is_back(self, now: float) -> None:
        if self.autosave is not None:
            self.autosave.line_is_back(now)

    def _link_is(self, up: bool) -> None:
        if self._link_up == up:
            return
        self._link_up = up
        if up and self.channel is not None:
            self.channel.soon()

    # --- calls ----------------------------------------------------------------------------------------------------

    def call(
        self, operation: str, method: str, path: str, content: Any = None, *, expects: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """One call, noted. Raises Problem (a status of `expects` is no error) or Unreachable."""
        body = b"" if content is None else orjson.dumps(content)
        try:
            found, took_s, answered = self.exchange(method, path, body)
        except (Problem, Unreachable) as fault:
            if isinstance(fault, Problem) and fault.status in expects:
                self.play.notes.count(f"{operation}_too_early")
            else:
                self._failed(operation, fault)
            raise
        self.play.notes.note(operation, took_s, answered)
        return found

    def exchange(self, method: str, path: str, body: bytes) -> tuple[dict[str, Any], float, int]:
        """One call and its JSON, seconds and bytes; what it shows about time and line is taken up."""
        head = self.play.origin.heads.fetch(method, path, self.token, len(body))
        began = time.monotonic()
        try:
            reply = self.http.call(head, body)
            found: dict[str, Any] = reply.json()
        except orjson.JSONDecodeError:
            self._link_is(False)
            raise Unreachable("garbled") from None
        except Unreachable:
            self._link_is(False)
            raise
        except Problem as problem:
            self._link_is(problem.status < 500)
            raise
        ended = time.monotonic()
        if "server_ms" in found:
            self.play.clock.sync(found["server_ms"], began, ended)
        self._link_is(True)
        self._line_is_back(ended)
        return found, ended - began, len(reply.body)

    def _failed(self, operation: str, fault: Problem | Unreachable) -> None:
        if fault.kind not in OUR_OWN:
            self.play.notes.fail(operation, fault.kind)

    # --- time -----------------------------------------------------------------------------------------------------

    def _left_s(self) -> float:
        return (self.starts_ms - self.play.clock.now_ms()) / 1000

    def _until_s(self, instant_ms: float) -> float:
        return max(0.0, (instant_ms - self.play.clock.now_ms()) / 1000)

    def _sleep_until(self, instant_ms: float) -> None:
        while (left_s := self._until_s(instant_ms)) > 0 and not self._over:
            gevent.sleep(left_s)
