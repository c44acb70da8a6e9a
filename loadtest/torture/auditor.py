"""Asks PostgreSQL during a campaign whether what clients are told as `committed` is there: at that moment, not later.

At the end nearly everything is there, whenever it was promised. So the auditor reads the ledgers as they grow, takes a
sample of the changes whose position a client has just heard to be committed, and looks for them in PostgreSQL at once.
What is not there, and no later change of its item either, goes into the book as `untrue`: the checker counts it.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from loadtest.torture.season import Book

LOOKS_EVERY_S = 0.1
SAMPLE = 60  # changes per look
CONNECT_S = 2.0
# PostgreSQL is killed all the time; the last is a connection that broke in the middle of a call.
AWAY = (OSError, TimeoutError, IndexError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

# A later change of the item stands for one that came too late to be recorded.
MISSING = """
SELECT told.sitting_id, told.item, told.seq
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS told (sitting_id, item, seq)
WHERE NOT EXISTS (SELECT 1 FROM response_history AS row
                  WHERE row.sitting_id = told.sitting_id AND row.item = told.item AND row.seq >= told.seq)
"""

Told = tuple[str, str, int]  # sitting, item, seq


class Auditor:
    """`dsn` is asked for at each connection: the server comes and goes."""

    def __init__(self, accounts: Path, dsn: Callable[[], str], book: Book, dice: random.Random) -> None:
        self._promises = Promises(accounts)
        self._dsn = dsn
        self._book = book
        self._dice = dice
        self._connection: asyncpg.Connection | None = None
        self.looked_for = 0

    async def watch(self) -> None:
        """Until cancelled. A look that fails because PostgreSQL is away is made up for by the next."""
        waiting: list[Told] = []
        try:
            while True:
                fresh = list(self._promises.read())
                waiting += self._dice.sample(fresh, min(len(fresh), SAMPLE))
                if waiting and await self._look(waiting):
                    waiting.clear()
                await asyncio.sleep(LOOKS_EVERY_S)
        finally:
            if self._connection is not None:
                self._connection.terminate()

    async def _look(self, told: list[Told]) -> bool:
        try:
            if self._connection is None:
                self._connection = await asyncpg.connect(self._dsn(), timeout=CONNECT_S)
            missing = await self._connection.fetch(MISSING, *map(list, zip(*told, strict=True)), timeout=CONNECT_S)
        except AWAY:
            if self._connection is not None:
                self._connection.terminate()
            self._connection = None
            return False
        self.looked_for += len(told)
        for row in missing:
            self._book.note("untrue", sitting_id=row["sitting_id"], item=row["item"], seq=row["seq"])
        return True


class Promises:
    """Follows the ledgers: which acknowledged changes has somebody now been told to be committed?"""

    def __init__(self, accounts: Path) -> None:
        self._accounts = accounts
        self._read_to: dict[Path, int] = defaultdict(int)
        self._sitting_of: dict[str, str] = {}  # token -> sitting
        self._calls: dict[str, tuple[str, list[dict[str, Any]]]] = {}  # call -> token, changes
        self._open: dict[tuple[str, int], list[tuple[int, str, int]]] = defaultdict(list)  # position, item, seq

    def read(self) -> Iterator[Told]:
        """What the lines since the last reading promise for the first time."""
        for path in self._accounts.glob("ledger-*.jsonl"):
            with open(path, "rb") as held:
                held.seek(self._read_to[path])
                for line in held:
                    if not line.endswith(b"\n"):
                        break
                    self._read_to[path] += len(line)
                    yield from self._take(orjson.loads(line))

    def _take(self, line: dict[str, Any]) -> Iterator[Told]:
        kind = line["k"]
        if kind == "call" and "token" in line:
            self._calls[line["call"]] = (line["token"], line.get("changes", []))
        elif kind == "refused":
            self._calls.pop(line["call"], None)
        elif kind == "answer" and "token" in line["reply"]:
            self._sitting_of[line["reply"]["token"]] = line["reply"]["sitting_id"]
        elif kind == "answer":
            token, changes = self._calls.pop(line["call"])
            reply = line["reply"]
            if "committed" in reply:
                yield from self._heard(self._sitting_of[token], reply, changes)
        elif kind == "heard":
            yield from self._heard(self._sitting_of[line["token"]], line, [])

    def _heard(self, sitting_id: str, told: dict[str, Any], changes: list[dict[str, Any]]) -> Iterator[Told]:
        waiting = self._open[sitting_id, told["generation"]]
        waiting += [(told["position"], change["item"], change["seq"]) for change in changes]
        covered = [one for one in waiting if one[0] <= told["committed"]]
        if covered:
            self._open[sitting_id, told["generation"]] = [one for one in waiting if one[0] > told["committed"]]
        for _, item, seq in covered:
            yield sitting_id, item, seq
