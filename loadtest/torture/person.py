"""What one person of a campaign does: everything a candidate may do in an exam, fast, and what none should do.

Half of them forget an answer as soon as it is `saved`: for those, nothing but the engine holds it. The others keep
their journals as the contract asks. Mischief is sent past the client, with whatever token and change it likes, and
lands in the same ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass
from typing import Any

from loadtest.answers import keyed
from loadtest.candidate import Candidate, Library, TakenOver
from loadtest.journal import Change, Journal, encode_call
from loadtest.torture.witness import RESPONSES, Witness, WitnessedChannel
from loadtest.wire import Problem, Unreachable
from loadtest.work import Work

PACE_S = (0.1, 0.6)  # between two acts: a hundred times faster than a person
FORGETTING_SHARE = 0.5
SUBMITTING_SHARE = 0.6
CHANNEL_SHARE = 0.6
MISCHIEF_SHARE = 0.15  # of all acts
PAST_THE_END_S = 0.15  # between the changes of those who type on after the end
PAST_THE_END_MAX_MS = 20_000  # an engine that takes answers for so long will not stop taking them
RECEIPT_PATIENCE_S = 90.0
# What may keep somebody out when the engine was away at the wrong moment. Everything else is the engine's fault.
KEPT_OUT = frozenset({"login.too_late", "login.too_early", "rate.limited"})


class Forgetting(Journal):
    """Forgets at `saved`: the engine has said that it needs no client any more."""

    def acknowledge(self, call: list[Change], reply: dict[str, int]) -> list[Change]:
        return super().acknowledge(call, {**reply, "committed": reply["position"]})


class ForgettingCandidate(Candidate):
    """A client whose machine burns after each acknowledgement."""

    journal_kind = Forgetting
    channel_kind = WitnessedChannel


class KeepingCandidate(Candidate):
    """A client as the contract asks for it."""

    channel_kind = WitnessedChannel


@dataclass(frozen=True)
class Exam:
    """A batch as it was pushed, and the paper with its answers."""

    batch: dict[str, Any]
    paper: dict[str, Any]


async def attend(witness: Witness, library: Library, exam: Exam, row: dict[str, Any], dice: random.Random) -> None:
    """One person's exam from arrival to receipt; what no client can go on from is noted in the ledger."""
    person = Person(witness, library, exam, row, dice)
    try:
        await person.sit()
    except (Problem, Unreachable) as fault:
        if not person.was_kept_out(fault):
            witness.ledger.note("stuck", person=person.name, why=f"{type(fault).__name__} {fault}"[:500])
    except Exception as fault:  # the ledger must say it, or the checker would think that nothing was sent
        witness.ledger.note("stuck", person=person.name, why=f"{type(fault).__name__} {fault}"[:500])
    finally:
        await person.candidate.stop()


class Person:
    """At one machine after another; `candidate` is the present one."""

    def __init__(
        self, witness: Witness, library: Library, exam: Exam, row: dict[str, Any], dice: random.Random
    ) -> None:
        self.witness = witness
        self.library = library
        self.exam = exam
        self.row = row
        self.dice = dice
        self.kind = ForgettingCandidate if dice.random() < FORGETTING_SHARE else KeepingCandidate
        self.has_channel = dice.random() < CHANNEL_SHARE
        self.hands_in = dice.random() < SUBMITTING_SHARE
        self.answer = keyed(exam.paper, dice.uniform(0.35, 0.95))
        self.candidate = self._at_a_machine()
        self.work = Work(exam.paper, dice)

    @property
    def name(self) -> str:
        return f"{self.exam.batch['admission_code']}/{self.row['id_number']}"

    def was_kept_out(self, fault: Exception) -> bool:
        """Whether the engine was merely away for too long: the exam went by before this person could get in."""
        if not isinstance(fault, Problem):
            return False
        has_ended = bool(self.candidate.ends_ms) and self.candidate.server_ms() >= self.candidate.ends_ms
        return fault.code in KEPT_OUT or (fault.code == "sitting.order" and has_ended)

    async def sit(self) -> None:
        await asyncio.sleep(self.dice.uniform(0, 2))
        await self.candidate.log_in()
        await self.candidate.enter()
        await self.candidate.fetch_sealed()
        if self.dice.random() < 0.2:
            await self._save_too_early()
        await self.candidate.open_paper()
        self.candidate.start_saving()
        await self._write()
        if self.hands_in and await self.candidate.submit():
            await self._save_once_more()
            await self.candidate.settle()
        else:
            await self._type_on()
        await self.candidate.receipt(RECEIPT_PATIENCE_S)

    # --- as it should be -----------------------------------------------------------------------------------------

    async def _write(self) -> None:
        """Answer until the hand-in or the end by the server's clock."""
        stop_ms = self._stop_ms()
        while not self.candidate.closed and self.candidate.server_ms() < stop_ms:
            await asyncio.sleep(self.dice.uniform(*PACE_S))
            if self.dice.random() < MISCHIEF_SHARE:
                await self._mischief()
            else:
                self._change()

    def _change(self) -> tuple[str, Any]:
        item = self.work.next_item()
        value = self.answer(item, self.dice)
        self.candidate.change(item["id"], value)
        return item["id"], value

    def _stop_ms(self) -> float:
        starts_ms, ends_ms = self.candidate.starts_ms, self.candidate.ends_ms
        if not self.hands_in:
            return ends_ms
        earliest_ms = starts_ms + self.exam.batch["rules"]["earliest_submit_s"] * 1000
        return self.dice.uniform(earliest_ms, ends_ms)

    def _at_a_machine(self) -> Candidate:
        return self.kind(
            self.witness,
            self.exam.batch["admission_code"],
            self.row["id_number"],
            library=self.library,
            dice=random.Random(self.dice.getrandbits(64)),
            has_channel=self.has_channel,
        )

    # --- as it may happen ----------------------------------------------------------------------------------------

    async def _mischief(self) -> None:
        acts = (self._repeat, self._reorder, self._reconnect, self._move)
        await self.dice.choice(acts)()

    async def _repeat(self) -> None:
        """An old call once more, or twice at once, as a proxy or a resending client may."""
        bodies = self.witness.bodies[self._token]  # of this token: after a move a seq may stand for another change
        if bodies:
            body = self.dice.choice(bodies)
            await asyncio.gather(self._send(body), self._send(body))

    async def _reorder(self) -> None:
        """Two changes of one item, the newer one sent first."""
        item = self.work.next_item()
        journal = self.candidate.journal
        older, newer = (journal.note(item["id"], self.answer(item, self.dice)) for _ in range(2))
        await self._send(encode_call([newer]))
        await self._send(encode_call([older]))
        self._change()  # wakes the saver, which sends both again

    async def _reconnect(self) -> None:
        """The wire was cut: log in again at the same machine, with the journal."""
        await self.candidate.stop()
        await self.candidate.come_back()

    async def _move(self) -> None:
        """Go on at another machine without a journal, while the old one does not know yet."""
        old = self.candidate
        old.takes_back = False
        new = self._at_a_machine()
        await new.log_in()
        self.candidate = new
        if new.state in ("submitted", "collected"):
            new.closed = True
        new.start_saving()
        token = self.witness.tokens[self.sitting_id][-2]
        with contextlib.suppress(TakenOver, Problem, Unreachable):
            item = self.work.next_item()
            old.change(item["id"], self.answer(item, self.dice))
            await self._send(encode_call([old.journal.note(item["id"], self.answer(item, self.dice))]), token)
        await old.stop()

    # --- as it must not be ---------------------------------------------------------------------------------------

    async def _save_too_early(self) -> None:
        item = self.dice.choice(self.exam.paper["sections"][0]["items"])
        await self._send(encode_call([self.candidate.journal.note(item["id"], self.answer(item, self.dice))]))

    async def _save_once_more(self) -> None:
        """After the hand-in has been answered."""
        item = self.work.next_item()
        await self._send(encode_call([self.candidate.journal.note(item["id"], self.answer(item, self.dice))]))

    async def _type_on(self) -> None:
        """Change answers past the end until the engine takes no more, and then once more."""
        gives_up_ms = self.candidate.ends_ms + PAST_THE_END_MAX_MS
        while not self.candidate.closed and self.candidate.server_ms() < gives_up_ms:
            self._change()
            await asyncio.sleep(PAST_THE_END_S)
        await self._save_once_more()

    async def _send(self, body: bytes, token: str = "") -> None:
        """Past the client, once; whatever comes of it is in the ledger."""
        with contextlib.suppress(Problem, Unreachable):
            await self.witness.send("POST", RESPONSES, token=token or self._token, body=body)

    @property
    def sitting_id(self) -> str:
        return self.candidate.ledger.sitting_id

    @property
    def _token(self) -> str:
        return self.witness.tokens[self.sitting_id][-1]
