"""One candidate's saves: what is due, what is under way, and what the engine has acknowledged.

Promise: a sitting has at most one call under way, as a page does; what falls due meanwhile waits, goes out together in
the next call, and its latency counts from the instant at which it was due. An acknowledged change is in `newest` until
a newer one of its item is. When the generation rises, everything acknowledged goes out again.
Not here: connections (lines.py), when something is due (driver.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from loadtest.openloop.figures import Figures

CHANGES_PER_CALL_MAX = 200  # the contract's bound
CALL_BYTES_MAX = 240 * 1024  # under the contract's 256 KiB


class Choice(NamedTuple):
    """An item and a value that it takes, as the two halves of a change around its seq."""

    item: str
    value: bytes
    before: bytes
    behind: bytes


class Due(NamedTuple):
    """A change that is due, or was. `figures`: those of its phase; `due_ns` 0: sent again, and counted before."""

    choice: Choice
    seq: int
    due_ns: int
    figures: Figures


class Sitting:
    """`newest`: by item the newest acknowledged (seq, value). `unsure`: by seq what was sent and never answered.

    `first_sent_ns`: by seq when a change was sent that had to be sent again. `writes`: saves fall due for it.
    """

    __slots__ = (
        "candidate_id",
        "first_sent_ns",
        "generation",
        "given_up_seq",
        "newest",
        "sent_ns",
        "seq",
        "sitting_id",
        "token",
        "under_way",
        "unsure",
        "waiting",
        "writes",
    )  # fmt: skip

    def __init__(self, candidate_id: str, sitting_id: str, token: str, next_seq: int = 1) -> None:
        self.candidate_id = candidate_id
        self.sitting_id = sitting_id
        self.token = token
        self.seq = next_seq - 1
        self.generation = 0
        self.given_up_seq = 0  # answers up to here come too late to count
        self.sent_ns = 0
        self.waiting: deque[Due] = deque()
        self.under_way: list[Due] = []
        self.writes = True
        self.first_sent_ns: dict[int, int] = {}
        self.newest: dict[str, tuple[int, bytes]] = {}
        self.unsure: dict[int, Due] = {}

    def make_due(self, choice: Choice, due_ns: int, figures: Figures) -> None:
        self.seq += 1
        self.waiting.append(Due(choice, self.seq, due_ns, figures))

    def next_call(self, now_ns: int) -> bytes:
        """The changes of the next call as a JSON list's inside, now under way; empty when nothing waits, or one is."""
        waiting = self.waiting
        if not waiting or self.under_way:
            return b""
        self.sent_ns = now_ns
        if len(waiting) == 1:
            one = waiting.popleft()
            self.under_way = [one]
            one.figures.calls += 1
            return one.choice.before + b"%d" % one.seq + one.choice.behind
        parts: list[bytes] = []
        call: list[Due] = []
        left_bytes = CALL_BYTES_MAX
        while waiting and len(call) < CHANGES_PER_CALL_MAX:
            one = waiting[0]
            part = one.choice.before + b"%d" % one.seq + one.choice.behind
            left_bytes -= len(part) + 1
            if call and left_bytes < 0:
                break
            call.append(waiting.popleft())
            parts.append(part)
        self.under_way = call
        call[0].figures.calls += 1
        return b",".join(parts)

    def acknowledge(self, reply: Mapping[str, Any], now_ns: int) -> None:
        """Take `{saved, generation, …}` for the call under way."""
        call, self.under_way = self.under_way, []
        saved = reply["saved"]
        took_us = (now_ns - self.sent_ns) // 1000
        for one in call:
            choice, seq, due_ns, figures = one
            if seq > saved:
                figures.fail("unsaved", f"saved is {saved} for a call with {seq}")
                self.unsure[seq] = one
                continue
            self.newest[choice.item] = (seq, choice.value)
            if due_ns and seq > self.given_up_seq:
                if self.first_sent_ns:
                    took_us = (now_ns - self.first_sent_ns.pop(seq, self.sent_ns)) // 1000
                figures.acknowledged((now_ns - due_ns) // 1000, took_us)
        if reply["generation"] != self.generation:
            self._raise_to(reply["generation"], call)

    def take_back(self) -> None:
        """The call under way was not answered: its changes wait again, before the others."""
        for one in self.under_way:
            self.first_sent_ns.setdefault(one.seq, self.sent_ns)
        self.waiting.extendleft(reversed(self.under_way))
        self.under_way = []

    def drop(self) -> None:
        """The call under way was refused for good."""
        self.unsure.update((one.seq, one) for one in self.under_way)
        self.under_way = []

    def give_up(self, now_ns: int) -> None:
        """What has not been answered by now counts as unanswered; an answer still to come goes into `newest` alone."""
        for one in (*self.under_way, *self.waiting):
            if one.due_ns and one.seq > self.given_up_seq:
                one.figures.unanswered((now_ns - one.due_ns) // 1000)
        self.given_up_seq = self.seq

    def left_open(self) -> list[Due]:
        """Sent or due, and never acknowledged."""
        return [one for one in (*self.unsure.values(), *self.under_way, *self.waiting) if one.due_ns]

    def _raise_to(self, generation: int, call: list[Due]) -> None:
        """Redis may not be what it was: what it acknowledged before has to go out again, under its own seq."""
        was, self.generation = self.generation, max(self.generation, generation)
        if not was or generation < was or not call:
            return
        figures = call[0].figures
        fresh = {one.seq for one in call}
        again = []
        for item, (seq, value) in self.newest.items():
            if seq not in fresh:
                again.append(Due(choice_of(item, value), seq, 0, figures))
        figures.resent += len(again)
        self.waiting.extendleft(reversed(again))


def choice_of(item: str, value: bytes) -> Choice:
    """`value` is JSON."""
    name = item.encode()  # ids need no escaping
    return Choice(item, value, b'{"item":"%b","seq":' % name, b',"value":%b}' % value)
