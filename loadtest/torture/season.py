"""The exam batches of a campaign: small ones, one after another, overlapping, until the last fault has been struck.

So hand-ins, ends, collections and gradings happen all the time. What was pushed is noted in the campaign's book
(`book.jsonl` beside the ledgers): it, and not the engine, tells the checker when a sitting ends and what is right.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from loadtest import people
from loadtest.client import MachineClient, Problem, Unreachable

ITEMS_OF_A_KIND = 5
LEAD_S = 6  # from the push to the start: pushing and logging in go on while parts are away
DURATION_S = (8, 14)
EARLIEST_SUBMIT_S = 4
GRACE_S = 2
EXTRA_TIME_S = 3  # for every fifth candidate
NEXT_AFTER_S = 7.0  # a new batch begins this often: about three are under way at once
GRADED_WITHIN_S = 150.0  # after the last end; a part may be away for as long as its patience
POLL_S = 0.5
WITNESSES = ["演练见证人甲", "演练见证人乙"]
CODE_CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

Send = Callable[[dict[str, Any]], None]


class Book:
    """The campaign's own record, JSON lines: `paper`, `batch`, `struck`, each with `ms`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, kind: str, **members: Any) -> None:
        line = orjson.dumps({"k": kind, "ms": time.time_ns() // 1_000_000, **members})
        with open(self._path, "ab") as held:
            held.write(line + b"\n")


class Season:
    """Pushes batches and knows which are not graded yet. `send` hands a batch to the candidates."""

    def __init__(self, machine: MachineClient, book: Book, send: Send, candidates: int, dice: random.Random) -> None:
        self._machine = machine
        self._book = book
        self._send = send
        self._per_batch = max(1, candidates // 3)
        self._dice = dice
        self._paper = paper(dice)
        self._tag = secrets.token_hex(3)
        self.held: list[str] = []
        self.given_up = 0  # batches that could not be pushed in time: the engine was away for too long
        self._ends_s = 0.0
        self._begun = asyncio.Event()

    async def begin(self) -> None:
        """Push the one paper of the campaign."""
        await self._machine.put_paper(f"torture-{self._tag}", self._paper)
        self._book.note("paper", paper=self._paper)

    async def until_writing(self) -> None:
        """Returns a little after the first exam has started."""
        await self._begun.wait()
        await asyncio.sleep(LEAD_S + 1)

    async def go_on(self, until: asyncio.Event) -> None:
        """Hold batches until told otherwise; at least one."""
        pushes: set[asyncio.Task[None]] = set()
        number = 0
        async with asyncio.TaskGroup() as group:
            while not number or not until.is_set():
                number += 1
                # Beside one another: one push that waits for PostgreSQL must not empty the exam rooms.
                pushes.add(group.create_task(self._hold(number)))
                try:
                    await asyncio.wait_for(until.wait(), NEXT_AFTER_S)
                except TimeoutError:
                    continue

    async def until_graded(self) -> list[str]:
        """Wait until every batch is graded; the ids of those that are not after the patience."""
        loop = asyncio.get_running_loop()
        waiting = list(self.held)
        while waiting and loop.time() < self._ends_s + GRADED_WITHIN_S:
            states = [(batch_id, (await self._machine.batch(batch_id))["state"]) for batch_id in waiting]
            waiting = [batch_id for batch_id, state in states if state != "graded"]
            if waiting:
                await asyncio.sleep(POLL_S)
        return waiting

    async def _hold(self, number: int) -> None:
        batch_id = f"torture-{self._tag}-{number}"
        duration_s = self._dice.randint(*DURATION_S)
        roster = people.roster(self._per_batch, f"{number:06d}", self._dice)
        for row in roster[::5]:
            row["extra_time_s"] = EXTRA_TIME_S
        batch = self._batch(batch_id, duration_s)
        try:
            await self._machine.put_batch(batch_id, batch)
            await self._machine.put_roster(batch_id, roster)
            await self._machine.arm(batch_id, WITNESSES)
        except (Problem, Unreachable) as fault:
            self.given_up += 1
            self._book.note("given_up", batch_id=batch_id, why=str(fault)[:500])
            return
        self._book.note("batch", batch_id=batch_id, batch=batch, roster=roster)
        self.held.append(batch_id)
        self._begun.set()
        ends_s = asyncio.get_running_loop().time() + LEAD_S + duration_s + EXTRA_TIME_S + GRACE_S
        self._ends_s = max(self._ends_s, ends_s)
        self._send({"batch": batch, "roster": roster, "paper": self._paper})

    def _batch(self, batch_id: str, duration_s: int) -> dict[str, Any]:
        return {
            "title": f"演练 {batch_id}",
            "occupation": "演练",
            "level": 3,
            "subject": "theory",
            "kind": "mock",
            "paper_id": f"torture-{self._tag}",
            "admission_code": "T" + "".join(self._dice.choice(CODE_CHARACTERS) for _ in range(9)),
            "starts_ms": time.time_ns() // 1_000_000 + LEAD_S * 1000,
            "duration_s": duration_s,
            "rules": {
                "latest_entry_s": duration_s - 1,
                "earliest_submit_s": EARLIEST_SUBMIT_S,
                "warn_before_end_s": 2,
                "grace_s": GRACE_S,
                "pass_mark": 60,
            },
        }


def paper(dice: random.Random) -> dict[str, Any]:
    """A question set of every kind that is marked without a person."""
    options = [{"id": name, "text": f"选项 {name}"} for name in "abcd"]
    items: list[dict[str, Any]] = []
    for number in range(1, ITEMS_OF_A_KIND + 1):
        marking = dice.choice(("exact", "subset_half", "per_option"))
        items += [
            {"id": f"A{number}", "type": "single", "options": options, "answer": dice.choice("abcd"), "points": 1},
            {
                "id": f"B{number}",
                "type": "multiple",
                "options": options,
                "answer": sorted(dice.sample("abcd", 2)),
                "points": 3,
                "marking": marking,
            },
            {"id": f"C{number}", "type": "true_false", "answer": dice.random() < 0.5, "points": 0.5},
            {"id": f"D{number}", "type": "fill", "answer": [["八小时", "8小时"], ["工会"]], "points": 2},
            {"id": f"E{number}", "type": "numeric", "answer": 21.75, "tolerance": 0.01, "points": 2},
        ]
    stems = [{**item, "stem": f"第 {item['id']} 题"} for item in items]
    return {"title": "演练试卷", "sections": [{"id": "A", "title": "演练", "items": stems}]}
