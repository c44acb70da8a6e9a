"""What the auditor takes for a promise: a change whose position somebody has been told to be committed, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from loadtest.torture.auditor import Promises


def write(path: Path, *lines: dict[str, Any]) -> None:
    with open(path, "ab") as held:
        held.writelines(orjson.dumps(line) + b"\n" for line in lines)


def save(call: str, seq: int, position: int, committed: int, token: str = "t1") -> list[dict[str, Any]]:
    """A save call of one change and its answer in generation 1."""
    reply = {"saved": seq, "generation": 1, "position": position, "committed": committed}
    changes = [{"item": "A1", "seq": seq, "value": "a"}]
    return [
        {"k": "call", "call": call, "path": "responses", "token": token, "changes": changes},
        {"k": "answer", "call": call, "reply": reply},
    ]


LOGIN = [
    {"k": "call", "call": "c0", "path": "login", "person": "T1/p1"},
    {"k": "answer", "call": "c0", "reply": {"token": "t1", "sitting_id": "s1"}},
]


def test_a_change_is_promised_when_its_position_is_told_to_be_committed(tmp_path: Path) -> None:
    """By a later answer, and only once."""
    promises = Promises(tmp_path)
    write(tmp_path / "ledger-0.jsonl", *LOGIN, *save("c1", 1, 5, 4))
    first = list(promises.read())
    write(tmp_path / "ledger-0.jsonl", *save("c2", 2, 6, 5), *save("c3", 3, 7, 5))
    second = list(promises.read())

    assert (first, second) == ([], [("s1", "A1", 1)])


def test_what_a_channel_tells_unasked_is_a_promise_too(tmp_path: Path) -> None:
    """For its own sitting and generation."""
    promises = Promises(tmp_path)
    write(tmp_path / "ledger-0.jsonl", *LOGIN, *save("c1", 1, 5, 4))
    write(tmp_path / "ledger-0.jsonl", {"k": "heard", "token": "t1", "generation": 2, "committed": 9})
    other = list(promises.read())
    write(tmp_path / "ledger-0.jsonl", {"k": "heard", "token": "t1", "generation": 1, "committed": 5})

    assert (other, list(promises.read())) == ([], [("s1", "A1", 1)])


def test_a_line_that_is_still_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    """The writer is another process."""
    ledger = tmp_path / "ledger-0.jsonl"
    lines = b"".join(orjson.dumps(line) + b"\n" for line in [*LOGIN, *save("c1", 1, 5, 5)])
    promises = Promises(tmp_path)
    ledger.write_bytes(lines[:-3])
    torn = list(promises.read())
    ledger.write_bytes(lines)

    assert (torn, list(promises.read())) == ([], [("s1", "A1", 1)])
