"""Entries of a roster in JSON, and what reading them comes to."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest

from engine.rules.errors import Invalid
from engine.rules.rostering import check_rows
from engine.rules.terms import Candidate
from engine.scheduling.roster_decoding import decode_roster

TODAY = datetime.date(2025, 11, 15)
Entry = dict[str, Any]


def read_roster(body: bytes, content_type: str, today: datetime.date) -> list[Candidate]:
    """The candidates of a roster, in the order they were sent; raises what `decode_roster` and `check_rows` raise."""
    decoded = decode_roster(body, content_type).decoded
    return check_rows(decoded.rows, today, unread=decoded.unread)


def entry(number: int = 0, /, **changes: Any) -> Entry:
    """A valid entry; entries of different numbers share nothing that must be unique."""
    return {
        "candidate_id": f"C{number}",
        "name": "张三",
        "id_number": f"E{number:08}",
        "admission_ticket": f"20250{number:05}",
        "site": "第一考点",
        "room": "301",
        "seat": f"{number + 1:02}",
        **changes,
    }


def without(given: Entry, *fields: str) -> Entry:
    return {field: value for field, value in given.items() if field not in fields}


def as_array(entries: list[Any]) -> bytes:
    return json.dumps(entries).encode()


def as_lines(entries: list[Any]) -> bytes:
    return "\n".join(json.dumps(each, ensure_ascii=False) for each in entries).encode("utf-8", "surrogatepass")


def read(*entries: Any) -> list[Candidate]:
    return read_roster(as_array(list(entries)), "application/json", TODAY)


def faults(*entries: Any, write: Callable[[list[Any]], bytes] = as_array) -> list[dict[str, Any]]:
    content_type = "application/json" if write is as_array else "application/x-ndjson"
    with pytest.raises(Invalid) as caught:
        read_roster(write(list(entries)), content_type, TODAY)
    assert caught.value.code == "roster.invalid"
    assert caught.value.members["errors_total"] >= len(caught.value.faults)
    return caught.value.faults


def named(*entries: Any, write: Callable[[list[Any]], bytes] = as_array) -> list[tuple[str, str]]:
    """Every fault as (pointer, code)."""
    return [(fault["pointer"], fault["code"]) for fault in faults(*entries, write=write)]
