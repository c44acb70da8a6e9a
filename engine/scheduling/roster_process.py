"""The process that reads rosters and seating calls, one fork for each: bound in time and memory, and gone afterwards.

What a workbook unfolds to is its sender's choice, and its readers are large libraries; here neither harms an exam.
"""

from __future__ import annotations

import datetime
import socket

import msgspec

from engine.rules.documents import canonical_document
from engine.rules.limits import ROSTER_READ_MEMORY_BYTES_MAX, ROSTER_READ_TIMEOUT_S
from engine.scheduling import workshop_process
from engine.scheduling.roster_jobs import Job, ReadRoster, do

_NICENESS = 5  # where the processor is short, those who write an exam come first
_REHEARSALS = 4  # after so many the interpreter has noted what the code meets
_REHEARSED_ROWS = 20


def main(handle: int) -> None:
    """Serve jobs from the socket `handle` until its other end is closed."""
    for _ in range(_REHEARSALS):
        rehearse()
    with socket.socket(fileno=handle) as line:
        workshop_process.serve(line, _work, ROSTER_READ_TIMEOUT_S, ROSTER_READ_MEMORY_BYTES_MAX, _NICENESS)


def rehearse() -> bytes:
    """Read a roster of nobody: what is noted on the way each child finds, and else would note in pages of its own."""
    rows = [
        {
            "candidate_id": f"R-{number}",
            "name": "张三",
            "id_number": canonical_document(f"110105491231{number:03d}"),
            "admission_ticket": f"{number:08d}",
            "site": "第一考点",
            "room": "1",
            "seat": f"{number:02d}",
        }
        for number in range(1, _REHEARSED_ROWS + 1)
    ]
    job: Job = ReadRoster("application/json", datetime.date.max)
    return _work(msgspec.msgpack.encode(job), msgspec.json.encode(rows))


def _work(message: bytes, body: bytes) -> bytes:
    return msgspec.msgpack.encode(do(msgspec.msgpack.decode(message, type=Job), body))
