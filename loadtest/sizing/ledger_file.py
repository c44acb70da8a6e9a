"""Ledgers on their way from a generator to the judge: one JSON line per candidate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from loadtest.journal import Change
from loadtest.ledger import Ledger


def write(file: Path, ledgers: Iterable[Ledger]) -> None:
    with open(file, "wb") as lines:
        for ledger in ledgers:
            lines.write(_line(ledger))


def read(file: Path) -> Iterator[Ledger]:
    """Raises OSError, or ValueError where a line is not one of ours."""
    with open(file, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield _ledger(orjson.loads(line))
            except (KeyError, TypeError, ValueError) as fault:
                raise ValueError(f"{file} line {number}: {type(fault).__name__} {fault}") from None


def _line(ledger: Ledger) -> bytes:
    told = {
        "candidate_id": ledger.candidate_id,
        "sitting_id": ledger.sitting_id,
        "entered": ledger.entered,
        "stays_away": ledger.stays_away,
        "changes": [[change.item, change.seq, change.value, change.acknowledged] for change in ledger.changes],
        "unsent": ledger.unsent,
        "receipts": ledger.receipts,
        "failures": ledger.failures,
    }
    return orjson.dumps(told) + b"\n"


def _ledger(told: dict[str, Any]) -> Ledger:
    return Ledger(
        candidate_id=told["candidate_id"],
        sitting_id=told["sitting_id"],
        entered=told["entered"],
        stays_away=told["stays_away"],
        changes=[
            Change(item, seq, value, b"", sent=True, acknowledged=acknowledged)
            for item, seq, value, acknowledged in told["changes"]
        ],
        unsent=told["unsent"],
        receipts=told["receipts"],
        failures=told["failures"],
    )
