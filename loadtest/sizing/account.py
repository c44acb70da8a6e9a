"""Settles the account of a load test: what generators know for certain against what the engine delivers.

Bounded for thousands of candidates: responses go onto a disk as they are pulled, ledgers are read one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from msgspec import Struct

from loadtest.client import MachineClient
from loadtest.judge import Exam, Pulled, Verdict, judge
from loadtest.ledger import Ledger
from loadtest.sizing import ledger_file
from loadtest.sizing.plan import Person
from loadtest.wire import Problem

PULLS_AT_ONCE = 8
PAGE_RESULTS = 1000


class Delivered(Struct, kw_only=True):
    """What a scorer got, and when its results were asked for and all there."""

    pulled: Pulled
    from_ms: int
    until_ms: int


@contextlib.contextmanager
def on_disk(folder: Path) -> Iterator[OnDisk]:
    """Gone afterwards: they are candidates' answers."""
    file = folder / "responses"
    try:
        with open(file, "w+b") as held:
            yield OnDisk(held)
    finally:
        file.unlink(missing_ok=True)


class OnDisk(Mapping[str, Mapping[str, Any]]):
    """Responses by sitting, in a file: written once, read one at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._places: dict[str, tuple[int, int]] = {}
        self._end = 0

    def add(self, sitting_id: str, responses: Mapping[str, Any]) -> None:
        text = orjson.dumps(responses)
        self._file.seek(self._end)
        self._file.write(text)
        self._places[sitting_id] = (self._end, len(text))
        self._end += len(text)

    def __getitem__(self, sitting_id: str) -> Mapping[str, Any]:
        at, length = self._places[sitting_id]
        self._file.seek(at)
        found: dict[str, Any] = orjson.loads(self._file.read(length))
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


async def pull(
    schedule: MachineClient,
    scorer: MachineClient,
    batch_id: str,
    sitting_ids: list[str],
    responses: OnDisk,
    now_ms: Callable[[], float],
) -> Delivered:
    """Everything a scorer can have of a batch. Raises Problem or Unreachable."""
    from_ms = int(now_ms())
    pages = await scorer.results(batch_id, PAGE_RESULTS)
    until_ms = int(now_ms())
    ndjson = await scorer.results_ndjson(batch_id)
    waiting = iter(sitting_ids)

    async def take() -> None:
        for sitting_id in waiting:
            try:
                responses.add(sitting_id, await scorer.responses(sitting_id))
            except Problem as problem:
                if problem.status != 404:  # a sitting that is not there has lost its answers: the judge says so
                    raise

    await asyncio.gather(*(take() for _ in range(PULLS_AT_ONCE)))
    batch = await schedule.batch(batch_id)
    pulled = Pulled(batch, pages, ndjson, responses, await scorer.public_keys())
    return Delivered(pulled=pulled, from_ms=from_ms, until_ms=until_ms)


def sittings_in(files: Iterable[Path]) -> list[str]:
    """Of everybody who entered. Raises OSError or ValueError."""
    return [ledger.sitting_id for file in files for ledger in ledger_file.read(file) if ledger.entered]


def settle(exam: Exam, files: Iterable[Path], planned: Mapping[str, Person], pulled: Pulled) -> Verdict:
    """Compare everything. Somebody whom no generator has played, though planned, has failed."""
    return judge(exam, all_ledgers(files, planned), pulled)


def all_ledgers(files: Iterable[Path], planned: Mapping[str, Person]) -> Iterator[Ledger]:
    """One for each on the roster: those that generators left, and those of who was never to come."""
    seen = set()
    for file in files:
        for ledger in ledger_file.read(file):
            seen.add(ledger.candidate_id)
            yield ledger
    for candidate_id, person in planned.items():
        if candidate_id not in seen:
            stays_away = not person.arrives_ms
            failures = [] if stays_away else ["no generator left a ledger of them"]
            yield Ledger(candidate_id=candidate_id, stays_away=stays_away, failures=failures)
