"""The grader's third turn: item statistics of a batch whose sittings all have their results, when somebody asks.

Only the grader knows which options are right, so it counts and workers show. It reads in chunks, holds nothing while it
counts, and writes what it found beside the stand of the results that it counted: a regrade makes it out of date. Of a
batch whose answers are erased nothing is counted; where they go meanwhile, what was counted is thrown away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import orjson
from msgspec import Struct

from engine import log
from engine.rules import exact_json
from engine.rules.item_statistics import UNITS, PaperTally, Shown, number, seconds_by_item
from engine.rules.limits import STATISTICS_SITTINGS_AT_ONCE
from engine.rules.statistics_flags import flags_of
from engine.scoring.grader import GradedBatch, Grader, read_responses
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection, Postgres
from engine.stores.sql import Queries

_queries = Queries(__file__)


class _Paper(Struct, frozen=True):
    """One paper of the batch and the graded sittings that had it; `is_withheld`: somebody has yet to sit it."""

    batch: GradedBatch
    tally: PaperTally
    sitting_ids: list[str]
    is_withheld: bool


async def count_statistics(database: Postgres, grader: Grader) -> bool:
    """Count one batch that was asked for; False when none was. Raises as `Grader.grade`."""
    async with database.transaction() as connection:
        batch_id = await connection.fetchval(_queries.take_request, grader.parked_now())
        if batch_id is None:
            return False
        if not await _hold(connection, batch_id):
            log.logger().warning("statistics.not_counted", batch=batch_id, detail="its answers are erased")
            return True
        stand = await connection.fetchval(_queries.stand_of, batch_id)
        papers = await _papers(connection, grader, batch_id)
    for paper in papers:
        if not paper.batch.rules.assessors:  # a panel marks no items
            await _count_marks(database, paper.tally, paper.sitting_ids)
            await _count_responses(database, paper.tally, paper.sitting_ids)
    document = orjson.dumps({"papers": [_shown(paper) for paper in papers]}).decode()
    is_withheld = any(paper.is_withheld for paper in papers)
    async with database.transaction() as connection:
        if await _hold(connection, batch_id):
            await connection.execute(_queries.insert_statistics, batch_id, stand, is_withheld, now_ms(), document)
    return True


async def _hold(connection: Connection, batch_id: str) -> bool:
    """Whether all of the batch is there; if so, nothing of it is erased until the caller's transaction ends."""
    is_there = await connection.fetchval(_queries.hold_batch, batch_id)
    return bool(is_there) and not await connection.fetchval(_queries.is_erased, batch_id)


async def _papers(connection: Connection, grader: Grader, batch_id: str) -> list[_Paper]:
    """Those that graded sittings had, in the order of their forms."""
    sittings = await connection.fetch(_queries.graded_sittings, batch_id)
    batches = await grader.batches(connection, sittings)
    found = []
    for (_, form), batch in sorted(batches.items(), key=lambda each: each[0]):
        index = await connection.fetchval(_queries.find_item_index, batch_id, form)
        sitting_ids = [row["sitting_id"] for row in sittings if row["form"] == form]
        is_withheld = await connection.fetchval(_queries.is_to_be_sat, batch.paper_digest)
        tally = PaperTally(batch.marks.answer_key, _options(index))
        found.append(_Paper(batch, tally, sitting_ids, is_withheld))
    return found


async def _count_marks(database: Postgres, tally: PaperTally, sitting_ids: Sequence[str]) -> None:
    for some in _chunks(sitting_ids):
        async with database.connection() as connection:
            rows = await connection.fetch(_queries.marks_of, some)
        for row in rows:
            marks = orjson.loads(row["marks"])
            tally.add_marks(row["sitting_id"], {item: _units(mark["mark"]) for item, mark in marks.items()})


async def _count_responses(database: Postgres, tally: PaperTally, sitting_ids: Sequence[str]) -> None:
    for some in _chunks(sitting_ids):
        async with database.connection() as connection:
            responses = await read_responses(connection, some)
            marks = {row["sitting_id"]: row["marks"] for row in await connection.fetch(_queries.marks_of, some)}
            changes = await connection.fetch(_queries.changes_of, some)
        for sitting_id, texts in responses.items():
            if sitting_id in marks:
                _add_responses(tally, sitting_id, texts, orjson.loads(marks[sitting_id]))
        for row in changes:
            tally.add_seconds(seconds_by_item(list(zip(row["items"], row["saved_ms"], strict=True))))


def _add_responses(tally: PaperTally, sitting_id: str, texts: Mapping[str, str], marks: Mapping[str, Any]) -> None:
    third = tally.third_of(sitting_id)
    for item, text in texts.items():
        found = tally.items.get(item)
        if found is not None and item in marks:
            found.add_response(_decoded(text), text, _units(marks[item]["mark"]), third)


@lru_cache(maxsize=4096)  # most responses are the same few hundred; a long one is read once and forgotten
def _decoded(text: str) -> Any:
    return exact_json.decode(text.encode())


def _chunks(sitting_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(sitting_ids), STATISTICS_SITTINGS_AT_ONCE):
        yield sitting_ids[at : at + STATISTICS_SITTINGS_AT_ONCE]


def _units(mark: float | None) -> int:
    """A mark as results show it, to four decimals; None cannot be in a graded result."""
    return round((mark or 0) * UNITS)


def _options(item_index: bytes) -> dict[str, list[str]]:
    """item -> its option ids in the paper's order."""
    index: dict[str, dict[str, Any]] = msgspec.json.decode(item_index)
    return {item: entry.get("options", []) for item, entry in index.items()}


def _shown(paper: _Paper) -> dict[str, Any]:
    tally, is_withheld = paper.tally, paper.is_withheld
    shown = Shown(is_withheld)
    flags = [
        {
            "item": flag.item,
            "flag": flag.flag,
            "severity": flag.severity,
            "evidence": {} if is_withheld else flag.evidence,
        }
        for flag in flags_of(tally, paper.batch.rules)
    ]
    items = tally.items.items() if tally.totals else ()
    return {
        "paper_digest": paper.batch.paper_digest,
        "sittings": len(paper.sitting_ids),
        "withheld": is_withheld,
        "reliability": number(tally.reliability),
        "key_positions": [] if is_withheld else tally.key_positions(),
        "items": [shown.item(item_id, item) for item_id, item in items],
        "flags": flags,
    }
