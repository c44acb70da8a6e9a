"""One candidate of a plan: arrives, enters, waits for the start, is written for by the driver, and fetches the receipt.

The screens and pauses are those of `loadtest/swarm/candidate.py`, which plays people whose own pace depends on answers;
here saves fall due by schedule (driver.py). Whoever is played here comes in time, stays, and keeps their line.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING, Any

import orjson

from loadtest import sealed
from loadtest.openloop.browser import Browser, is_transient
from loadtest.openloop.lines import SAVE_PATH, Line
from loadtest.openloop.sitting import Sitting
from loadtest.receipts import base64url
from loadtest.sizing.plan import Person
from loadtest.wire import Problem, Unreachable, full_jitter

if TYPE_CHECKING:
    from loadtest.openloop.part import Part

READING_S = (2.0, 6.0)  # a screen, before somebody presses its button; less where little time is left
HUMAN_RETRY_S = (2.0, 5.0)  # before somebody presses a button once more that brought an error
FETCH_SPREAD_S = 15.0
PUSH_S, PUSH_SPREAD_S, EARLY_S = 0.7, 1.3, 0.2  # for how long a key that the channel brings is waited for
COLLECT_SPREAD_S = 1.5
ENTRY_PATIENCE_S = 300.0
RECEIPT_PATIENCE_S = 180.0


class Stopped(Exception):
    """This candidate cannot go on; the message says why."""


class Missed(Exception):
    """The exam is over before this candidate could write: only the receipt is left."""


class Taker:
    """`part` is what all candidates of the process share; `line` is the one that the driver has now."""

    def __init__(self, part: Part, person: Person, sitting: Sitting) -> None:
        self.part, self.person, self.sitting = part, person, sitting
        self.dice = random.Random(f"{part.plan.seed}/{person.number}")
        self.browser = Browser(part.plan.url, part.heads, part.driver.tls, part.notes)
        self.receipts: list[dict[str, Any]] = []
        self.failures: list[str] = []
        self.cut_ns = 0  # when the storm took the line
        self.has_left = False
        self.ends_ms: float = part.plan.ends_ms
        self.key = ""
        self.key_came = asyncio.Event()
        self._view: dict[str, Any] = {}

    async def sit(self) -> None:
        """All of it. What stops this candidate is noted in the ledger and does not stop the others."""
        notes = self.part.notes
        await self.part.sleep_until(self.person.arrives_ms)
        try:
            await self._enter()
            with contextlib.suppress(Missed):
                await self._open_paper()
                await self._write()
            await self._collect()
        except (Stopped, Problem, Unreachable, sealed.SealBroken) as fault:
            self.failures.append(f"{type(fault).__name__}: {fault}")
            notes.recorder.count("stopped_candidates")
        finally:
            self.sitting.writes = False
            self.has_left = True
            self.part.driver.leave(self.sitting)
            await self.browser.close()

    # --- before the start -----------------------------------------------------------------------------------------

    async def _enter(self) -> None:
        await self.part.load_page(self.browser)
        plan = self.part.plan
        typed = {"admission_code": plan.admission_code, "id_number": self.person.id_number}
        self._view = await self._insist("login", "/v1/login", typed)
        self.browser.token = self.sitting.token = self._view.pop("token")
        self.sitting.sitting_id = self._view["sitting_id"]
        self.ends_ms = self._view["ends_ms"]
        self.part.notes.entered += 1
        for step in ("confirm", "pledge"):
            await self._read()
            self._view["state"] = (await self._insist(step, f"/v1/sitting/{step}", {"accepted": True}))["state"]

    async def _insist(self, operation: str, path: str, content: dict[str, Any]) -> dict[str, Any]:
        """A button that somebody presses again while it brings errors that may pass."""
        until_s = time.monotonic() + ENTRY_PATIENCE_S
        while True:
            try:
                return await self.browser.call(operation, "POST", path, content)
            except (Problem, Unreachable) as fault:
                if isinstance(fault, Problem) and fault.code == "sitting.order":  # an earlier sending arrived after all
                    return await self.browser.call("look", "GET", "/v1/sitting")
                if not is_transient(fault) or time.monotonic() > until_s:
                    raise
            await asyncio.sleep(self.dice.uniform(*HUMAN_RETRY_S))

    async def _read(self) -> None:
        left_s = self._left_s()
        bound_s = READING_S[1] if left_s <= 0 else min(READING_S[1], left_s / 6)
        await asyncio.sleep(self.dice.uniform(READING_S[0] / READING_S[1], 1) * bound_s)

    async def _open_paper(self) -> None:
        """Sealed paper and channel while there is time, then the key."""
        fetching = asyncio.create_task(self._fetch_sealed())
        try:
            if self.part.plan.channel:
                await self._open_channel()
            was_waiting = self._left_s() > 0
            await self._await_key()
            if was_waiting:
                self.part.notes.note_from("key", self.part.notes.now_ms() - self.part.plan.starts_ms)
            self.part.take_paper(await fetching, base64url(self.key), self._view["batch_id"])
        finally:
            fetching.cancel()
        if not self.part.plan.channel:
            await self.part.driver.connect(self.sitting)

    async def _open_channel(self) -> None:
        failures = 0
        began_s = time.monotonic()
        while not await self.part.driver.try_connect(self.sitting):
            await asyncio.sleep(self.part.driver.again_s(failures))
            failures += 1
            if time.monotonic() - began_s > ENTRY_PATIENCE_S:
                raise Stopped(f"no channel within {ENTRY_PATIENCE_S:.0f} s")

    async def _fetch_sealed(self) -> bytes:
        await asyncio.sleep(self.dice.random() * max(0.0, min(FETCH_SPREAD_S, self._left_s() / 4)))
        digest = self._view["paper"]["digest"]
        head = self.part.heads.fetch("GET", f"/v1/sealed/{digest}", cached=True)
        failures = 0
        while True:
            try:
                body = await self.browser.noted("sealed", "GET", f"/v1/sealed/{digest}", head)
                sealed.check_digest(body, digest)
                return body
            except sealed.SealBroken:
                self.part.notes.fail("sealed", "digest")
            except (Problem, Unreachable) as fault:
                if not is_transient(fault):
                    raise
            await asyncio.sleep(full_jitter(failures, self.dice))
            failures += 1

    async def _await_key(self) -> None:
        """The channel brings it; a moment after the start it is asked for."""
        failures = 0
        while not self.key:
            left_s = self._left_s()
            patience_s = PUSH_S + self.dice.random() * PUSH_SPREAD_S if self.part.plan.channel else EARLY_S
            try:
                async with asyncio.timeout(max(0.0, left_s) + patience_s):
                    await self.key_came.wait()
                return
            except TimeoutError:
                pass
            try:
                told = await self.browser.call("key_asked", "GET", "/v1/sitting/paper-key", expects=(425,))
                self.key = told["paper_key"]
            except (Problem, Unreachable) as fault:
                if isinstance(fault, Problem) and fault.code == "sitting.order":
                    raise Missed from None
                if not is_transient(fault) and not (isinstance(fault, Problem) and fault.status == 425):
                    raise
                await asyncio.sleep(full_jitter(failures, self.dice))
                failures += 1

    async def _write(self) -> None:
        """The driver writes, until the end by the engine's clock."""
        self.sitting.writes = True
        self.part.notes.writing += 1
        await self.part.sleep_until(self.ends_ms)
        self.sitting.writes = False
        self.part.notes.writing -= 1

    # --- saves while the channel is not there ---------------------------------------------------------------------

    async def save_over_http(self, line_of_now: Any) -> None:
        """As a page does: what waits goes over HTTP until the channel is back."""
        sitting, failures = self.sitting, 0
        while not self.has_left:
            line: Line = line_of_now()
            if line.is_open:
                line.go(time.monotonic_ns())
                return
            changes = b"" if sitting.under_way else sitting.next_call(time.monotonic_ns())
            if not changes:
                await asyncio.sleep(0.05)
                continue
            call = sitting.under_way
            body = b'{"changes":[%b]}' % changes
            head = self.part.heads.fetch("POST", SAVE_PATH, sitting.token, len(body))
            try:
                answer, _ = await self.browser.send("POST", SAVE_PATH, head, body)
                if sitting.under_way is call:  # else the next line was lost as well, and it goes out again
                    sitting.acknowledge(orjson.loads(answer), time.monotonic_ns())
                failures = 0
            except (Problem, Unreachable) as fault:
                self.part.notes.fail("save", fault.code if isinstance(fault, Problem) else "unreachable")
                if sitting.under_way is call:
                    sitting.take_back() if is_transient(fault) else sitting.drop()
                await asyncio.sleep(full_jitter(failures, self.dice))
                failures += 1

    # --- the end --------------------------------------------------------------------------------------------------

    async def _collect(self) -> None:
        """After the grace the receipt is asked for until it is there."""
        closes_ms = self.ends_ms + self.part.plan.grace_s * 1000
        await self.part.sleep_until(closes_ms + self.dice.random() * COLLECT_SPREAD_S * 1000)
        until_s, failures = time.monotonic() + RECEIPT_PATIENCE_S, 0
        while time.monotonic() < until_s:
            try:
                found = await self.browser.call("receipt", "GET", "/v1/sitting/receipt", expects=(404, 409))
            except (Problem, Unreachable) as fault:
                if not is_transient(fault) and not (isinstance(fault, Problem) and fault.status in (404, 409)):
                    raise
                await asyncio.sleep(0.4 + full_jitter(failures, self.dice))
                failures += 1
                continue
            self.receipts.append(found)
            self.part.notes.note_from("closing", self.part.notes.now_ms() - closes_ms)
            return
        raise Stopped(f"no receipt within {RECEIPT_PATIENCE_S:.0f} s")

    def _left_s(self) -> float:
        return (self.part.plan.starts_ms - self.part.notes.now_ms()) / 1000
