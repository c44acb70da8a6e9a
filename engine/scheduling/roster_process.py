"""The process that reads rosters and seating calls, one fork for each: bound in time and memory, and gone afterwards.

What a workbook unfolds to is its sender's choice, and its readers are large libraries; here neither harms an exam.
"""

from __future__ import annotations

import socket

import msgspec

from engine.rules.limits import ROSTER_READ_MEMORY_BYTES_MAX, ROSTER_READ_TIMEOUT_S
from engine.scheduling import workshop_process
from engine.scheduling.roster_jobs import Job, do

_NICENESS = 5  # where the processor is short, those who write an exam come first


def main(handle: int) -> None:
    """Serve jobs from the socket `handle` until its other end is closed."""
    with socket.socket(fileno=handle) as line:
        workshop_process.serve(line, _work, ROSTER_READ_TIMEOUT_S, ROSTER_READ_MEMORY_BYTES_MAX, _NICENESS)


def _work(message: bytes, body: bytes) -> bytes:
    return msgspec.msgpack.encode(do(msgspec.msgpack.decode(message, type=Job), body))
