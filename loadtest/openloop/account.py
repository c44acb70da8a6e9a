"""The driver's side of the account: ledgers that every judge here reads, and what an engine delivers beside them.

A ledger holds by item the newest acknowledged change, and every change that was due and never acknowledged; what an
older acknowledged change was does not matter to anybody any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from loadtest.journal import Change
from loadtest.judge import Verdict, judge_responses
from loadtest.ledger import Ledger
from loadtest.openloop.sitting import Sitting
from loadtest.sizing import ledger_file


def write(sittings: Iterable[Sitting], file: Path) -> None:
    """One line per sitting, as sizing/ledger_file.py has it."""
    ledger_file.write(file, ledgers(sittings))


def differences(ledger: Ledger, responses: Mapping[str, Any]) -> list[str]:
    """What is wrong with a sitting's `responses` (`{item: {seq, value}}`)."""
    verdict = Verdict()
    judge_responses(ledger, responses, verdict)
    return verdict.faults


def ledgers(sittings: Iterable[Sitting]) -> Iterator[Ledger]:
    """In the order of `sittings`."""
    for sitting in sittings:
        kept = [(item, seq, value, True) for item, (seq, value) in sitting.newest.items()]
        kept += [(one.choice.item, one.seq, one.choice.value, False) for one in sitting.left_open()]
        changes = [
            Change(item, seq, orjson.loads(value), b"", sent=True, acknowledged=is_acknowledged)
            for item, seq, value, is_acknowledged in kept
        ]
        yield Ledger(sitting.candidate_id, sitting.sitting_id, entered=True, changes=changes)
