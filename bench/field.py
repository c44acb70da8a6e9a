"""A field: a whole engine on durable embedded servers, with candidates who may answer, and what it costs to run it.

Everything is done over the public API, as a scheduling system and candidates do it. Only what no client sees is read
past it: how far the recorder is (Redis), and CPU time and memory (the kernel).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import redis
from msgspec import Struct

from bench.driver import Driver, Load
from bench.rows import BenchFault
from engine.settings import Settings
from engine.supervision import embedded
from loadtest import people, samples, usage
from loadtest.answers import guess
from loadtest.client import MachineClient
from loadtest.network import FAR, NEAR, Line
from tests import servers

SAVE_PATH = "/v1/sitting/responses"
VALUES_PER_ITEM = 4
SEQS_PER_RUN = 100_000  # no sitting saves as often in one run
ENTER_CONNECTIONS = 64
DRAINED_WITHIN_S = 180.0
RESTARTED_S = 60.0
_FLOOR_READY_S = 30.0
_DURATION_S = 36_000


class Exam(Struct, kw_only=True):
    """One armed batch and its candidates. `tokens_file` holds a line for each who has entered."""

    batch_id: str
    code: str
    starts_ms: int
    roster: list[dict[str, Any]]
    tokens_file: Path
    tokens: list[str] = []
    sitting_ids: list[str] = []
    sealed: dict[str, Any] = {}  # digest and bytes of the sealed paper, as the first login was told
    logins: Load | None = None
    next_seq: int = 1


class Field:
    """The engine that is measured; made by `field`."""

    def __init__(
        self, engine: servers.Engine, folder: Path, floors: dict[str, int], seed: int, line: Line | None = None
    ) -> None:
        self.engine = engine
        self.line = line
        self.url = f"http://{NEAR.address}:{engine.port}" if line else engine.url  # as candidates reach it
        self.folder = folder
        self.floors = floors  # kind -> port
        self.dice = random.Random(seed)
        self.partitions = Settings().partitions
        self.redis = redis.Redis.from_url(embedded.redis_url(embedded.socket_folder(engine.data)))
        self.items_file = folder / "items"
        self._exams: dict[str, Exam] = {}
        self._persons: set[str] = set()
        self._warmed: set[str] = set()
        self.paper = samples.load("ldgx3").paper
        _write_items(self.items_file, self.paper, self.dice)

    # --- exams ------------------------------------------------------------------------------------------------

    def exam(self, name: str, candidates: int, *, starts_in_s: float = -1, enter: bool = True, **rules: Any) -> Exam:
        """The batch `name`, armed; with `enter` everybody has logged in, confirmed and pledged. Made once."""
        known = self._exams.get(name)
        if known is None:
            # In a thread of its own: a browser that is driven has a loop running in this one.
            with ThreadPoolExecutor(1) as beside:
                arming = beside.submit(asyncio.run, self._arm(name, candidates, starts_in_s, rules))
                known = self._exams[name] = arming.result()
            if enter:
                self.enter(known)
            self.drained()
        return known

    async def _arm(self, name: str, candidates: int, starts_in_s: float, rules: dict[str, Any]) -> Exam:
        starts_ms = int((time.time() + starts_in_s) * 1000)
        duration_s = rules.pop("duration_s", _DURATION_S)
        code = f"B{len(self._exams)}{name.upper().replace('_', '')}"[:32]
        batch = {"title": name, "occupation": "测量", "level": 3, "subject": "theory", "kind": "formal"}
        batch |= {"paper_id": "bench", "admission_code": code, "starts_ms": starts_ms, "duration_s": duration_s}
        batch["rules"] = {"earliest_submit_s": 0, "latest_entry_s": 86_400, "check_in_before_s": 86_400, **rules}
        roster = self.fresh_roster(candidates)
        async with MachineClient(self.engine.url, self.engine.keys["schedule"]) as client:
            await client.put_paper("bench", self.paper)
            await client.put_batch(name, batch)
            await client.put_roster(name, roster)
            await client.arm(name, ["测量员", "监督员"])
        return Exam(
            batch_id=name, code=code, starts_ms=starts_ms, roster=roster, tokens_file=self.folder / f"tokens-{name}"
        )

    def fresh_roster(self, candidates: int) -> list[dict[str, Any]]:
        """Persons who sit no other batch of this field."""
        rows = people.roster(candidates + 1000, "26", self.dice)
        fresh = [row for row in rows if row["id_number"] not in self._persons][:candidates]
        if len(fresh) < candidates:
            raise BenchFault(f"could not invent {candidates} more persons")
        self._persons.update(row["id_number"] for row in fresh)
        return fresh

    def enter(self, exam: Exam, rate: float = 0, *, candidates: int | None = None) -> None:
        """Log in everybody or the first `candidates` (`rate` per second, or as fast as it goes); confirm and pledge."""
        entering = exam.roster[:candidates]
        bodies = [
            orjson.dumps({"admission_code": exam.code, "id_number": row["id_number"]}).decode() for row in entering
        ]
        exam.logins, answers = self.send([("/v1/login", "", body) for body in bodies], rate=rate)
        entered = [answer for answer in answers if "token" in answer]
        exam.tokens = [answer["token"] for answer in entered]
        exam.sealed = next((answer["paper"] for answer in entered), {})
        exam.sitting_ids = [answer["sitting_id"] for answer in entered]
        if len(exam.tokens) != len(entering):
            raise BenchFault(f"{len(exam.tokens)} of {len(entering)} could log in: {exam.logins.fault}")
        exam.tokens_file.write_text("\n".join(exam.tokens) + "\n")
        for step in ("confirm", "pledge"):
            calls = [(f"/v1/sitting/{step}", token, '{"accepted":true}') for token in exam.tokens]
            load, _ = self.send(calls)
            if load.refused or load.counted != len(calls):
                raise BenchFault(f"{load.counted} of {len(calls)} could {step}: {load.fault}")

    def restart_workers(self) -> None:
        """End every worker; the supervisor starts others. Returns when they take traffic."""
        old = self._workers()
        for pid in old:
            os.kill(pid, signal.SIGTERM)
        servers.wait_until(lambda: not old & self._workers() and self.engine.is_ready(), RESTARTED_S, "new workers")

    def _workers(self) -> set[int]:
        return {pid for name, pid in self.engine.processes.items() if name.startswith("worker-")}

    def warm(self, exam: Exam) -> None:
        """Everybody saves once over HTTP: a worker reads a candidate's first call the long way, once per exam."""
        if exam.batch_id in self._warmed:
            return
        self._warmed.add(exam.batch_id)
        exam.next_seq += SEQS_PER_RUN
        item, value = self.items_file.read_text("utf-8").partition("\n")[0].split("\t")[:2]
        body = f'{{"changes":[{{"item":"{item}","seq":{exam.next_seq},"value":{value}}}]}}'
        load, _ = self.send([(SAVE_PATH, token, body) for token in exam.tokens])
        if load.counted != len(exam.tokens):
            raise BenchFault(f"{load.counted} of {len(exam.tokens)} could save: {load.fault}")
        self.drained()

    # --- load -------------------------------------------------------------------------------------------------

    def send(
        self,
        calls: Sequence[tuple[str, str, str]],
        *,
        rate: float = 0,
        connections: int = ENTER_CONNECTIONS,
        keep: bool = True,
    ) -> tuple[Load, list[dict[str, Any]]]:
        """POST each (path, token, body) once, GET where there is no body; what the driver measured, and the answers in
        the order they came."""
        listed, kept = self.folder / "requests", self.folder / "answers"
        listed.write_text("".join(f"{path}\t{token}\t{body}\n" for path, token, body in calls))
        kept.unlink(missing_ok=True)
        options: dict[str, Any] = {
            "requests": listed,
            "warm": 0,
            "seconds": 600,
            "rate": rate,
            **({"keep": kept} if keep else {}),
        }
        count = min(connections, len(calls))
        with Driver(self.engine.port, connections=count, outstanding=count, **self._reach, **options) as driver:
            driver.wait_ready()
            driver.go()
            load = driver.finish()
        return load, [orjson.loads(line) for line in kept.read_bytes().splitlines()] if keep else []

    def saving(self, exam: Exam, **options: Any) -> Driver:
        """A driver that saves random answers of random sittings over HTTP; `channel=1`: over channels."""
        return Driver(self.engine.port, **self._told(exam), **self._reach, **options)

    def floor(self, exam: Exam, kind: str = "asgi", **options: Any) -> Driver:
        """The same requests to a floor."""
        return Driver(self.floors[kind], **self._told(exam), **options)

    @property
    def _reach(self) -> dict[str, Any]:
        """From where a driver reaches the engine, and how: over the line where there is one."""
        if self.line is None:
            return {}
        return {"before": self.line.at_far_end, "to": NEAR.address, "source": FAR.address}

    def _told(self, exam: Exam) -> dict[str, Any]:
        exam.next_seq += SEQS_PER_RUN
        return {
            "tokens": exam.tokens_file,
            "items": self.items_file,
            "first_seq": exam.next_seq,
            "seed": self.dice.randrange(1, 2**31),
        }

    # --- what no client sees ----------------------------------------------------------------------------------

    def cpu(self) -> dict[str, float]:
        return usage.by_role(self.engine.processes)

    def marks(self) -> list[tuple[int, int, int]]:
        """Per partition: generation, newest position, position that PostgreSQL holds."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for number in range(self.partitions):
                pipeline.hmget(f"{{p{number:02d}}}:meta", "generation", "n", "committed")
            found = pipeline.execute()
        return [(int(generation or 0), int(n or 0), int(committed or 0)) for generation, n, committed in found]

    def drained(self, within_s: float = DRAINED_WITHIN_S) -> float:
        """Wait until PostgreSQL holds everything; seconds it took. Raises BenchFault."""
        began_s = time.monotonic()
        while any(newest > committed for _, newest, committed in self.marks()):
            if time.monotonic() - began_s > within_s:
                raise BenchFault(f"the recorder did not catch up within {within_s:.0f} s")
            time.sleep(0.02)
        return time.monotonic() - began_s


@contextlib.contextmanager
def field(*, workers: int = 1, seed: int = 1) -> Iterator[Field]:
    """A fresh engine and a floor beside it, in a temporary folder; all gone afterwards."""
    with servers.temporary_folder("bench") as folder:
        engine = servers.start_engine(folder / "data", workers=workers)
        try:
            with _floor("asgi") as asgi, _floor("echo") as echo:
                yield Field(engine, folder, {"asgi": asgi, "echo": echo}, seed)
        finally:
            servers.stop_engine(engine)


@contextlib.contextmanager
def field_behind(line: Line | None, *, workers: int = 1, seed: int = 1) -> Iterator[Field]:
    """A fresh engine at the near end of `line` (without one on this machine's loopback), and no floors."""
    settings = {"LIANKAO_HOST": "0.0.0.0"} if line else {}  # its namespace has no way out but the line
    with servers.temporary_folder("bench") as folder:
        engine = servers.start_engine(folder / "data", workers=workers, settings=settings)
        try:
            yield Field(engine, folder, {}, seed, line)
        finally:
            servers.stop_engine(engine)


@contextlib.contextmanager
def _floor(kind: str) -> Iterator[int]:
    port = servers.free_port()
    command = [*embedded.dies_with_parent(embedded.ENGINE_STOP), sys.executable, "-m", "bench.floor", kind, str(port)]
    process = subprocess.Popen(command, cwd=servers.ROOT, stdin=subprocess.DEVNULL)
    try:
        servers.wait_until(lambda: process.poll() is not None or _answers(port), _FLOOR_READY_S, "the floor ready")
        if process.poll() is not None:
            raise BenchFault(f"the floor ended with {process.returncode}")
        yield port
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _write_items(file: Path, paper: dict[str, Any], dice: random.Random) -> None:
    """One line per item: its id and some values that it takes, as JSON."""
    lines = []
    for section in paper["sections"]:
        for item in section["items"]:
            values = [orjson.dumps(guess(item, dice)).decode() for _ in range(VALUES_PER_ITEM)]
            lines.append("\t".join([item["id"], *values]))
    file.write_text("\n".join(lines) + "\n", "utf-8")
