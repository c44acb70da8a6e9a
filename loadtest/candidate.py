"""A well-behaved exam client for one person, over the channel or over HTTP alone.

Promise: typing never stops, and a change is never lost by this client: it stays in the journal until the engine holds
it in PostgreSQL, and goes out again after lost connections, restarts, a takeover or a raised generation.
How: `change()` only writes into the journal; one saver task sends what is unsaved, one call at a time. A call that
meets trouble on the channel goes over HTTP, which is tried patiently; the next one opens the channel again.
Not done: drawing the paper.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from typing import Any

import orjson

from loadtest import sealed
from loadtest.channel import LOST, Channel
from loadtest.journal import Change, Journal, encode_call
from loadtest.ledger import Ledger
from loadtest.receipts import base64url
from loadtest.wire import RETRIED, Problem, Unreachable, Wire, full_jitter

PATIENCE_S = 300.0
REFRESH_S = 5.0  # how often a client with saved, uncommitted changes and nothing to send asks how far the engine is
SETTLE_S = 60.0
KEY_PATIENCE_S = 2.0  # after the start; then the key is asked for
STEPS_MAX = 20  # logins in a row, repeated hand-ins: beyond this the engine and we do not agree at all
FINAL_STATES = frozenset({"submitted", "collected", "absent", "void"})
CLOSED_CODES = frozenset({"autosave.closed", "submit.closed"})


class TakenOver(Exception):
    """Somebody else logged in to this sitting, and this candidate does not take it back."""


@dataclass
class Library:
    """Sealed and opened papers shared by the candidates of one process: equal digests are equal bytes."""

    sealed: dict[str, bytes] = field(default_factory=dict)
    opened: dict[tuple[str, bytes], dict[str, Any]] = field(default_factory=dict)


class Candidate:
    """One person at one machine.

    `takes_back`: log in again when superseded (our own earlier login may be late). `has_channel`: use it.
    """

    journal_kind = Journal
    channel_kind = Channel

    def __init__(
        self,
        wire: Wire,
        admission_code: str,
        id_number: str,
        *,
        ledger: Ledger | None = None,
        library: Library | None = None,
        dice: random.Random | None = None,
        takes_back: bool = True,
        has_channel: bool = False,
    ) -> None:
        self.wire = wire
        self.tally = wire.tally
        self.ledger = ledger or Ledger()
        self.library = library or Library()
        self.dice = dice or random.Random()
        self.journal = self.journal_kind()
        self.state = "expected"
        self.starts_ms = self.ends_ms = 0
        self.batch_id = ""
        self.paper_digest = ""
        self.closed = False
        self.takes_back = takes_back
        self._login_body = orjson.dumps({"admission_code": admission_code, "id_number": id_number})
        self._login_lock = asyncio.Lock()
        self._token = ""
        self._clock_ahead_ms: float | None = None
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._saver: asyncio.Task[None] | None = None
        self._channel = self.channel_kind(wire, self._told) if has_channel else None
        self._key: asyncio.Future[dict[str, Any]] | None = None

    # --- time belongs to the server -------------------------------------------------------------------------------

    def server_ms(self) -> float:
        """The server's clock as far as we know it."""
        return time.monotonic() * 1000 + (self._clock_ahead_ms or 0.0)

    async def sleep_until(self, server_ms: float) -> None:
        await asyncio.sleep(max(0.0, (server_ms - self.server_ms()) / 1000))

    # --- entering -------------------------------------------------------------------------------------------------

    async def log_in(self) -> None:
        """Log in; a sitting already under way goes on where the engine has it."""
        await self._log_in_over("")
        if self.state not in ("checked_in", "confirmed", "pledged"):
            await self._continue_elsewhere()

    async def enter(self) -> None:
        """Confirm the personal data and accept the pledge, whichever is still to do."""
        for _ in range(STEPS_MAX):
            step = {"checked_in": "confirm", "confirmed": "pledge"}.get(self.state)
            if step is None:
                return
            try:
                self.state = (await self._call("POST", f"/v1/sitting/{step}", b'{"accepted":true}'))["state"]
            except Problem as problem:
                if problem.code != "sitting.order":
                    raise
                await self.refresh()  # an earlier sending of the same step arrived after all
        raise Problem("entering", 409, {"detail": f"the sitting stays {self.state} however often we go on"})

    async def fetch_sealed(self) -> None:
        """Fetch the sealed paper and check that it is what its digest says. Raises SealBroken."""
        path = f"/v1/sealed/{self.paper_digest}"
        reply = await self.wire.send_patiently("GET", path, patience_s=PATIENCE_S, accept="*/*")
        sealed.check_digest(reply.body, self.paper_digest)
        self.library.sealed.setdefault(self.paper_digest, reply.body)

    async def open_paper(self, spread_ms: float = 0.0) -> dict[str, Any]:
        """Wait for the start by the server's clock (and a random part of `spread_ms`), take the key, open the paper."""
        reply = await self._await_key()
        if reply is None:
            reply = await self._fetch_key(self.dice.uniform(0, spread_ms))
        self.state = "in_progress"
        paper_key = base64url(reply["paper_key"])
        known = (self.paper_digest, paper_key)
        if known not in self.library.opened:
            self.library.opened[known] = sealed.open_paper(
                self.library.sealed[self.paper_digest], paper_key, self.batch_id
            )
        return self.library.opened[known]

    async def _await_key(self) -> dict[str, Any] | None:
        """The key that the channel brings at the start; None when there is no channel, or it brings none."""
        if self._channel is None:
            return None
        self._key = asyncio.get_running_loop().create_future()
        try:
            await self._open_channel(self._channel)
            left_s = (self.starts_ms - self.server_ms()) / 1000
            async with asyncio.timeout(max(0.0, left_s) + KEY_PATIENCE_S):
                key = await self._key
            if left_s > 0:
                self.tally.key_ms.append(max(0.0, self.server_ms() - self.starts_ms))
            return key
        except (Problem, Unreachable, TimeoutError):
            return None
        finally:
            self._key = None

    async def _fetch_key(self, late_ms: float) -> dict[str, Any]:
        while True:
            await self.sleep_until(self.starts_ms + late_ms)
            try:
                reply: dict[str, Any] = await self._call("GET", "/v1/sitting/paper-key")
                return reply
            except Problem as problem:
                if problem.status != 425:
                    raise
                self.starts_ms = problem.members.get("starts_ms", self.starts_ms)
                await asyncio.sleep(self.dice.uniform(0.05, 0.25))

    # --- answering ------------------------------------------------------------------------------------------------

    def start_saving(self) -> None:
        """Begin to send what the journal holds."""
        self._saver = asyncio.create_task(self._save())
        self._saver.add_done_callback(lambda _: self._settled.set())

    def change(self, item: str, value: Any) -> None:
        """Take down a change; it is sent as soon as may be. Raises what ended the saver, if something did."""
        self._raise_saver_fault()
        self.journal.note(item, value)
        self._settled.clear()
        self._changed.set()

    async def flush(self) -> None:
        """Wait until every change so far is saved, or the sitting is closed."""
        while self.journal.unsaved and not self.closed:
            self._raise_saver_fault()
            self._settled.clear()
            await self._settled.wait()

    async def stop(self) -> None:
        """Stop sending, in the middle of a call if need be; the journal keeps what is not yet safe."""
        if self._saver is not None:
            self._saver.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._saver
            self._saver = None
        if self._channel is not None:
            await self._channel.close()

    async def come_back(self, *, other_machine: bool = False) -> None:
        """Log in again after `stop()`: the epoch rises and the journal is replayed.

        On another machine there is no journal: work goes on from what the engine holds.
        """
        self.tally.reconnects += 1
        await self._log_in_over(self._token)
        if other_machine:
            await self._continue_elsewhere()
        else:
            await self.refresh()
        self.start_saving()

    async def refresh(self) -> dict[str, Any]:
        """Ask for the sitting: time, state, and how far the engine is."""
        sitting: dict[str, Any] = await self._call("GET", "/v1/sitting")
        self._take(sitting)
        self.journal.observe(sitting["generation"], sitting["committed"])
        if self.journal.unsaved:
            self._settled.clear()
            self._changed.set()
        return sitting

    # --- handing in -----------------------------------------------------------------------------------------------

    async def submit(self) -> bool:
        """Hand in after everything is saved; False when the end came first. The receipt goes into the ledger."""
        for _ in range(STEPS_MAX):
            await self.flush()
            if self.closed:
                return False
            try:
                receipt = await self._call("POST", "/v1/sitting/submit", orjson.dumps({"seq": self.journal.seq}))
            except Problem as problem:
                if not await self._submit_again(problem):
                    return False
                continue
            self.state = receipt["state"]
            self.ledger.receipts.append(receipt)
            return True
        raise Problem("submit", 409, {"detail": "the engine keeps refusing the hand-in"})

    async def settle(self) -> None:
        """After the hand-in stay until PostgreSQL holds every change, so that a lost engine cannot lose it.

        A generation may rise meanwhile. The engine then either still knows the hand-in and takes nothing more
        (`closed`), or has forgotten it: changes go out again and so does the hand-in.
        """
        until = time.monotonic() + SETTLE_S
        while (self.journal.unsaved or self.journal.uncommitted) and not self.closed and time.monotonic() < until:
            await asyncio.sleep(self.dice.uniform(0.5, 2.0))
            await self.refresh()
            if self.state not in FINAL_STATES:
                await self.submit()

    async def receipt(self, patience_s: float = SETTLE_S) -> dict[str, Any]:
        """The receipt of the finished sitting, waited for; also noted in the ledger."""
        until = time.monotonic() + patience_s
        while True:
            try:
                found: dict[str, Any] = await self._call("GET", "/v1/sitting/receipt")
            except Problem as problem:
                if problem.status not in (404, 409) or time.monotonic() > until:
                    raise
                await asyncio.sleep(self.dice.uniform(0.5, 1.5))
                continue
            self.ledger.receipts.append(found)
            return found

    # --- inside ---------------------------------------------------------------------------------------------------

    async def _save(self) -> None:
        while not self.closed:
            call = self.journal.next_call()
            if call:
                await self._deliver(call)
                continue
            self._settled.set()
            self._changed.clear()
            await self._keep_channel()
            try:
                async with asyncio.timeout(REFRESH_S if self.journal.uncommitted else None):
                    await self._changed.wait()
            except TimeoutError:
                await self.refresh()

    async def _deliver(self, call: list[Change]) -> None:
        self.tally.saves += self.ledger.sent(call)
        self.tally.calls += 1
        started = time.perf_counter()
        try:
            reply = await self._send_changes(encode_call(call))
        except Problem as problem:
            if problem.code in CLOSED_CODES:
                self.closed = True
            elif problem.code == "autosave.not_open":
                await asyncio.sleep(self.dice.uniform(0.05, 0.25))
            else:
                raise
            return
        self.tally.ack_ms.append((time.perf_counter() - started) * 1000)
        self.tally.acknowledged += len(self.journal.acknowledge(call, reply))
        if reply["saved"] < call[-1].seq:
            raise Problem("saved", 200, {"detail": f"{reply} does not cover seq {call[-1].seq} of its call"})

    async def _send_changes(self, body: bytes) -> dict[str, int]:
        """Over the channel; over HTTP when there is trouble with it."""
        if self._channel is not None:
            try:
                await self._open_channel(self._channel)
                return await self._channel.save(body)
            except Unreachable:
                self.tally.unreachable += 1
            except Problem as problem:
                if problem.code != "sitting.superseded" and problem.status not in (401, *RETRIED):
                    raise
                await asyncio.sleep(float(problem.members.get("retry_after_s", 0)))
            self.tally.over_http += 1
            self.tally.retries += 1
        reply: dict[str, int] = await self._call("POST", "/v1/sitting/responses", body)
        return reply

    async def _open_channel(self, channel: Channel) -> None:
        if not channel.is_open or channel.token != self._token:
            await channel.open(self._token)
            self.tally.channels += 1

    async def _keep_channel(self) -> None:
        """With nothing to send the channel is there to hear by; a failure is met again with the next change."""
        if self._channel is None or self._channel.is_open:
            return
        token = self._token
        await asyncio.sleep(full_jitter(0, self.dice))
        try:
            await self._open_channel(self._channel)
        except Unreachable:
            self.tally.unreachable += 1
        except Problem as problem:
            if problem.code != "sitting.superseded" and problem.status != 401:
                await asyncio.sleep(float(problem.members.get("retry_after_s", 1)))
            elif not self.takes_back:
                raise TakenOver(str(problem)) from None
            else:
                await self._log_in_over(token)

    def _told(self, message: dict[str, Any]) -> None:
        """What the channel brings unasked."""
        match message["type"]:
            case "time":
                self._take(message)
            case "committed":
                self.journal.observe(message["generation"], message["committed"])
                if self.journal.unsaved:
                    self._settled.clear()
                    self._changed.set()
            case "paper_key" if self._key is not None and not self._key.done():
                self._key.set_result(message)
            case "closed" if message["state"] != "submitted":  # a hand-in is our own, and answered where it was sent
                self.state = message["state"]
                self.closed = True
                self._changed.set()
            case kind if kind == LOST:
                self._changed.set()

    async def _submit_again(self, problem: Problem) -> bool:
        """What to do after a refused hand-in; False when it is too late for one."""
        if problem.code == "submit.closed":
            self.closed = True
            return False
        if problem.code == "submit.too_early":
            await self.sleep_until(problem.members.get("earliest_submit_ms", 0))
            await asyncio.sleep(self.dice.uniform(0.2, 1.0))
        elif problem.code == "submit.behind":
            await self.refresh()
            await asyncio.sleep(self.dice.uniform(0.05, 0.5))
        else:
            raise problem
        return True

    async def _continue_elsewhere(self) -> None:
        sitting = await self.refresh()
        self.journal = self.journal_kind(
            max((response["seq"] for response in sitting["responses"].values()), default=0)
        )
        self.journal.observe(sitting["generation"], sitting["committed"])
        self._settled.set()

    async def _call(self, method: str, path: str, body: bytes | None = None) -> Any:
        """One call of the sitting, sent until answered; logs in again where the token has died."""
        for _ in range(STEPS_MAX):
            token = self._token
            try:
                reply = await self.wire.send_patiently(method, path, patience_s=PATIENCE_S, token=token, body=body)
                return reply.json()
            except Problem as problem:
                if problem.status != 401 and problem.code != "sitting.superseded":
                    raise
                if not self.takes_back:
                    raise TakenOver(str(problem)) from None
                await asyncio.sleep(full_jitter(0, self.dice))
            await self._log_in_over(token)
        raise Problem(path, 409, {"detail": "every new token is refused at once"})

    async def _log_in_over(self, token: str) -> None:
        """Replace `token` by a new one, unless that has happened meanwhile."""
        async with self._login_lock:
            if self._token != token:
                return
            started = time.perf_counter()
            reply = await self.wire.send_patiently("POST", "/v1/login", patience_s=PATIENCE_S, body=self._login_body)
            self.tally.login_ms.append((time.perf_counter() - started) * 1000)
            login = reply.json()
            self._token = login["token"]
            self._take(login)
            self.paper_digest = login["paper"]["digest"]
            self.batch_id = login["batch_id"]
            self.ledger.entered = True
            self.ledger.sitting_id = login["sitting_id"]

    def _take(self, sitting: dict[str, Any]) -> None:
        self.state = sitting["state"]
        self.starts_ms, self.ends_ms = sitting["starts_ms"], sitting["ends_ms"]
        ahead_ms = sitting["server_ms"] - time.monotonic() * 1000
        # Replies reach us late, never early: the largest difference is the truest.
        self._clock_ahead_ms = max(ahead_ms, self._clock_ahead_ms or ahead_ms)

    def _raise_saver_fault(self) -> None:
        if self._saver is None or not self._saver.done() or self._saver.cancelled():
            return
        fault = self._saver.exception()
        if fault is not None:
            raise fault
