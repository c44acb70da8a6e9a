"""The installation that is measured, and a batch on it whose candidates may answer.

Promise: everything is done over the public API, as a scheduling system and candidates do it. Only CPU and memory are
read past it, where a ready file says which processes to look at.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import re
import secrets
import ssl
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop
from msgspec import Struct

from loadtest import people, samples, usage
from loadtest.capacity.judging import Backlog
from loadtest.client import MachineClient
from loadtest.ledger import Ledger
from loadtest.openloop import account
from loadtest.openloop.entering import Entered, enter, values_of
from loadtest.own_engine import start_engine, stop_engine, wait_ready
from loadtest.sizing import ledger_file
from loadtest.wire import Problem

SAMPLE = "ldgx3"
DURATION_S = 4 * 3600  # more than the longest search
METRICS_TIMEOUT_S = 5.0
DRAINED_S = 60.0
REACH_S = 10.0  # an engine that does not answer at all within this is not there
SETTLE_LOOK_S = 0.3
ROSTER_DRAWS_MAX = 3  # an invented ID number may already sit another exam at the same time
_GAUGE = re.compile(r"^(recorder_lag_seconds|autosave_changes_total|recorder_changes_total) (\S+)$", re.MULTILINE)


class Installation(Struct, kw_only=True):
    """`processes` (name to pid) and `data` only where they are on this machine and known."""

    url: str
    schedule_key: str
    results_key: str = ""
    processes: dict[str, int] = {}
    data: Path | None = None
    workers: int = 0  # 0: not known
    ca_file: str = ""


class Exam(Struct, kw_only=True):
    """An armed batch whose candidates have logged in, confirmed and pledged.

    `entered_s` is how long that took everybody, `entry_cpu_s` what it cost by role; the batch begins at `starts_s` of
    the monotonic clock.
    """

    batch_id: str
    entered: list[Entered]
    values: list[tuple[str, str]]
    sealed_bytes: int
    entered_s: float
    entry_cpu_s: dict[str, float]
    starts_s: float


@contextlib.contextmanager
def own_installation(workers: int) -> Iterator[Installation]:
    """A fresh engine on embedded servers in a temporary folder; all gone afterwards. Raises EngineMissing."""
    with tempfile.TemporaryDirectory(prefix="lk-capacity-", ignore_cleanup_errors=True) as folder:
        engine = start_engine(Path(folder), workers=workers)
        try:
            ready = wait_ready(engine, Path(folder))
            yield from_ready(ready, workers=workers, data=Path(folder) / "data")
        finally:
            stop_engine(engine)


def from_ready(ready: dict[str, Any], *, workers: int = 0, data: Path | None = None) -> Installation:
    """From a ready file's content. Raises KeyError."""
    processes = dict(ready["processes"])
    return Installation(
        url=ready["url"],
        schedule_key=ready["keys"]["schedule"],
        results_key=ready["keys"].get("results", ""),
        processes=processes,
        data=data,
        workers=workers or sum(name.startswith("worker-") for name in processes),
    )


def hold(on: Installation, candidates: int, seed: int, lead_s: float) -> Exam:
    """Push and arm a batch that begins in `lead_s`, and let everybody in. Raises Problem or Unreachable."""
    return uvloop.run(_hold(on, candidates, seed, lead_s))


async def _hold(on: Installation, candidates: int, seed: int, lead_s: float) -> Exam:
    dice = random.Random(seed)
    tag = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
    paper_id = batch_id = f"capacity-{tag}"
    code = "C" + secrets.token_hex(6).upper()
    paper = samples.load(SAMPLE).paper
    async with MachineClient(on.url, on.schedule_key) as client:
        await client.wire.send_patiently("GET", "/healthz", patience_s=REACH_S)
        await client.put_paper(paper_id, paper)
        batch = {"title": f"容量测量 {tag}", "occupation": "容量测量", "level": 3, "subject": "theory", "kind": "mock"}
        batch |= {"paper_id": paper_id, "admission_code": code}
        batch |= {"starts_ms": await client.server_ms() + int(lead_s * 1000), "duration_s": DURATION_S}
        starts_s = time.monotonic() + lead_s
        batch["rules"] = {"earliest_submit_s": 0, "latest_entry_s": DURATION_S, "check_in_before_s": 3600}
        await client.put_batch(batch_id, batch)
        roster = await _put_roster(client, batch_id, candidates)
        await client.arm(batch_id, ["测量员", "监督员"])
        before, began_s = usage.by_role(on.processes), time.monotonic()
        entered = await enter(client.wire, code, roster)
        entered_s = time.monotonic() - began_s
        entry_cpu_s = usage.spent(before, usage.by_role(on.processes))
        told = await client.wire.send_patiently("GET", "/v1/sitting", patience_s=60, token=entered[0].token)
    return Exam(
        batch_id=batch_id,
        entered=entered,
        values=values_of(paper, dice),
        sealed_bytes=told.json()["paper"]["bytes"],
        entered_s=entered_s,
        entry_cpu_s=entry_cpu_s,
        starts_s=starts_s,
    )


async def _put_roster(client: MachineClient, batch_id: str, candidates: int) -> list[dict[str, Any]]:
    for draw in range(1, ROSTER_DRAWS_MAX + 1):
        strangers = random.Random(secrets.randbits(64))
        roster = people.roster(candidates, f"{strangers.randrange(10**6):06d}", strangers)
        try:
            await client.put_roster(batch_id, roster)
            return roster
        except Problem as problem:
            if problem.code != "roster.invalid" or draw == ROSTER_DRAWS_MAX:
                raise
    raise AssertionError("unreachable")


def wrong_responses(on: Installation, files: Sequence[Path], at_most: int, seed: int) -> tuple[int, list[str]]:
    """How many sittings were pulled, and what of them differs from what was acknowledged."""
    kept = [ledger for file in files for ledger in ledger_file.read(file)]
    chosen = random.Random(seed).sample(kept, min(at_most, len(kept)))
    return len(chosen), uvloop.run(_compare(on, chosen))


async def _compare(on: Installation, chosen: Sequence[Ledger]) -> list[str]:
    wrong: list[str] = []
    async with MachineClient(on.url, on.results_key) as client:
        for one in chosen:
            wrong += account.differences(one, await client.responses(one.sitting_id))
    return wrong


class Gauges:
    """What `/metrics` says of the recorder; `/metrics` needs no key."""

    def __init__(self, on: Installation) -> None:
        self._split = urlsplit(on.url)
        self._tls = ssl.create_default_context(cafile=on.ca_file or None) if self._split.scheme == "https" else None
        self.has_told = False  # ever
        self._base = 0.0  # stale saves count as changes and are never recorded; counters of ended processes are gone

    def settle(self, within_s: float = DRAINED_S) -> bool:
        """Wait until the recorder has everything, and count a backlog from there; False if it does not come to that."""
        until_s = time.monotonic() + within_s
        last = None
        while time.monotonic() < until_s:
            self._base = 0.0
            seen = self.look(0.0)
            if seen is None:
                return False
            if last is not None and seen.lag_s == 0 and seen.changes == last.changes:
                self._base = seen.changes
                return True
            last = seen
            time.sleep(SETTLE_LOOK_S)
        return False

    def look(self, seconds: float) -> Backlog | None:
        """None when it does not answer, or does not tell."""
        line = self._connection()
        try:
            line.request("GET", "/metrics")
            found = dict(_GAUGE.findall(line.getresponse().read().decode("utf-8", "replace")))
        except (OSError, http.client.HTTPException):
            return None
        finally:
            line.close()
        if len(found) < 3:
            return None
        self.has_told = True
        changes = float(found["autosave_changes_total"]) - float(found["recorder_changes_total"])
        return Backlog(seconds, changes - self._base, float(found["recorder_lag_seconds"]))

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._split.hostname or "", self._split.port
        if self._tls is not None:
            return http.client.HTTPSConnection(host, port, timeout=METRICS_TIMEOUT_S, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=METRICS_TIMEOUT_S)  # no proxy of the environment's
