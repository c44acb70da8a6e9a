"""Redis deleted, Redis put back, PostgreSQL put back, one after the other in one exam: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loadtest import people
from loadtest.candidate import Candidate
from loadtest.client import MachineClient
from loadtest.wire import Wire
from tests.servers import Engine, start_engine, stop, stop_engine, temporary_folder, wait_until

CANDIDATES = 6
ITEMS = [f"A{number}" for number in range(1, 9)]
TYPING_S = 0.05
EVENTUALLY_S = 60

PAPER: dict[str, Any] = {
    "title": "Paper",
    "sections": [
        {
            "id": "A",
            "title": "Section",
            "items": [{"id": item, "type": "text", "stem": "?", "points": 1} for item in ITEMS],
        }
    ],
}


class Crowd:
    """Candidates who type without a pause whatever happens to the engine, in a thread of their own."""

    def __init__(self, engine: Engine) -> None:
        self.keys = engine.keys
        self.url = engine.url
        self.candidates: list[Candidate] = []
        self.settled = False
        self._fault: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def acknowledged(self) -> list[int]:
        return [sum(change.acknowledged for change in person.ledger.changes) for person in self.candidates]

    def wait_for_more(self, count: int) -> None:
        """Until everybody has `count` more changes acknowledged than now."""
        self._check()
        wait_until(lambda: len(self.candidates) == CANDIDATES or self._check(), EVENTUALLY_S, "everybody entered")
        aims = [before + count for before in self.acknowledged()]
        reached = lambda: all(map(int.__ge__, self.acknowledged(), aims)) or self._check()  # noqa: E731
        wait_until(reached, EVENTUALLY_S, f"{count} more changes acknowledged for everybody")

    def wait_until_forgotten(self) -> None:
        """Until everybody's journal has forgotten all but the last few changes: only the engine has them now."""
        wait_until(
            lambda: all(person.journal.uncommitted < 20 for person in self.candidates) or self._check(),
            EVENTUALLY_S,
            "journals emptied",
        )

    def settle(self) -> None:
        """No more typing; returns when every journal is empty: everything is saved and committed."""
        self._stopping.set()
        self._thread.join(EVENTUALLY_S)
        self._check()
        assert self.settled

    def _check(self) -> None:
        if self._fault is not None:
            raise AssertionError("a candidate gave up") from self._fault

    def _live(self) -> None:
        try:
            asyncio.run(self._sit())
        except BaseException as fault:
            self._fault = fault

    async def _sit(self) -> None:
        async with Wire(self.url) as wire, asyncio.TaskGroup() as tasks:
            roster = await self._push(wire)
            for row in roster:
                tasks.create_task(
                    self._type(Candidate(wire, "PUTBACK", row["id_number"], dice=random.Random(row["seat"])))
                )
        self.settled = True

    async def _push(self, wire: Wire) -> list[dict[str, Any]]:
        schedule = MachineClient(wire, self.keys["schedule"])
        roster = people.roster(CANDIDATES, "putback", random.Random(7))
        batch = {
            "title": "Batch",
            "occupation": "Occupation",
            "level": 3,
            "subject": "theory",
            "kind": "formal",
            "paper_id": "P",
            "admission_code": "PUTBACK",
            "starts_ms": time.time_ns() // 1_000_000,
            "duration_s": 3600,
            "rules": {"latest_entry_s": 3000, "earliest_submit_s": 0, "warn_before_end_s": 60},
        }
        await schedule.put_paper("P", PAPER)
        await schedule.put_batch("B", batch)
        await schedule.put_roster("B", roster)
        await schedule.arm("B", ["One", "Two"])
        return roster

    async def _type(self, person: Candidate) -> None:
        await person.log_in()
        await person.enter()
        await person.fetch_sealed()
        await person.open_paper()
        person.start_saving()
        self.candidates.append(person)
        while not self._stopping.is_set():
            person.change(person.dice.choice(ITEMS), f"{person.ledger.sitting_id} {person.journal.seq + 1}")
            await asyncio.sleep(TYPING_S)
        await person.flush()
        while person.journal.uncommitted or person.journal.unsaved:
            await person.refresh()
            await person.flush()
            await asyncio.sleep(0.1)
        await person.stop()


def cut_off(engine: Engine, crowd: Crowd) -> None:
    """Everything dies at once, at a moment when Redis holds acknowledged changes that PostgreSQL does not."""
    crowd.wait_until_forgotten()
    os.kill(engine.processes["recorder-0"], signal.SIGSTOP)
    crowd.wait_for_more(3)
    pids = engine.processes.values()
    stop(engine.supervisor, signal.SIGKILL)
    wait_until(lambda: not any(map(lives, pids)), EVENTUALLY_S, "everything dead")


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def put_back(copy: Path, folder: Path) -> None:
    shutil.rmtree(folder)
    subprocess.run(["cp", "-a", str(copy), str(folder)], check=True)


def wait_until_mended(engine: Engine, stand: str) -> None:
    """Until the engine says that it has mended what befell a store; saves have gone on before."""

    def says() -> bool:
        try:
            with urllib.request.urlopen(f"{engine.url}/metrics", timeout=10) as answer:
                return f'recorder_mended_total{{stand="{stand}"}}' in answer.read().decode()
        except OSError:
            return False

    wait_until(says, EVENTUALLY_S, f"{stand} partitions mended")


@contextmanager
def running(data: Path) -> Iterator[list[Engine]]:
    """The engine that is up now is the last of the list."""
    engines = [start_engine(data)]
    try:
        yield engines
    except BaseException:
        for log in sorted((data / "logs").glob("*.log")):
            print(f"--- {log.name}\n{log.read_text('utf-8', 'replace')[-3000:]}")
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            stop_engine(engines[-1])


async def lost(engine: Engine, crowd: Crowd) -> list[str]:
    """What PostgreSQL misses of everything that was ever acknowledged."""
    missing = []
    async with MachineClient(engine.url, engine.keys["results"]) as results:
        for person in crowd.candidates:
            found = await results.responses(person.ledger.sitting_id)
            for change in person.ledger.changes:
                stored = found.get(change.item, {"seq": 0})
                is_there = stored["seq"] > change.seq or (stored["seq"], stored.get("value")) == (
                    change.seq,
                    change.value,
                )
                if change.acknowledged and not is_there:
                    missing.append(f"{person.ledger.sitting_id} {change.item} {change.seq}, found {stored['seq']}")
    return missing


@pytest.mark.slow
def test_stores_deleted_and_put_back_lose_no_acknowledged_change() -> None:
    """Each time the engine dies with acknowledged changes that only Redis and the journals have; then Redis's folder is
    deleted, then an old one put back, then PostgreSQL's old one. Everybody types on, and PostgreSQL has it all."""
    with temporary_folder("putback") as folder, running(folder / "data") as engines:
        data, port = folder / "data", engines[0].port
        crowd = Crowd(engines[0])
        crowd.wait_for_more(5)
        stop_engine(engines[-1])
        for name in ("redis", "postgres"):
            subprocess.run(["cp", "-a", str(data / name), str(folder / f"old-{name}")], check=True)
        engines.append(start_engine(data, port=port))
        crowd.wait_for_more(5)

        cut_off(engines[-1], crowd)
        shutil.rmtree(data / "redis")
        engines.append(start_engine(data, port=port))
        crowd.wait_for_more(5)
        wait_until_mended(engines[-1], "lost")

        cut_off(engines[-1], crowd)
        put_back(folder / "old-redis", data / "redis")
        engines.append(start_engine(data, port=port))
        crowd.wait_for_more(5)
        wait_until_mended(engines[-1], "rolled_back")

        cut_off(engines[-1], crowd)
        put_back(folder / "old-postgres", data / "postgres")
        engines.append(start_engine(data, port=port))
        crowd.wait_for_more(5)
        wait_until_mended(engines[-1], "restored")

        crowd.settle()
        missing = asyncio.run(lost(engines[-1], crowd))
        log = engines[-1].log("recorder-0")

    assert missing == []
    assert min(crowd.acknowledged()) > 20
    assert all(f'"event":"recorder.{stand}"' in log for stand in ("lost", "rolled_back", "restored")), log[-3000:]
