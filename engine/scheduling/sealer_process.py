"""The sealer: the only process that ever holds a readable paper, for as long as one job takes.

Python cannot wipe strings, so the memory itself goes: for each job this process forks, the child reads the job's bytes,
writes its outcome and ends, and the kernel takes back what it held (`workshop_process.py`).
"""

from __future__ import annotations

import socket

import msgspec

from engine.rules.limits import SEAL_MEMORY_BYTES_MAX, SEAL_TIMEOUT_S
from engine.scheduling import workshop_process
from engine.scheduling.sealer_jobs import Job, do
from engine.settings import Settings


def main(handle: int) -> None:
    """Serve jobs from the socket `handle` until its other end is closed. The first message is the settings."""
    with socket.socket(fileno=handle) as line:
        settings = msgspec.msgpack.decode(line.recv(workshop_process.MESSAGE_BYTES_MAX), type=Settings)

        def work(message: bytes, content: bytes) -> bytes:
            return msgspec.msgpack.encode(do(msgspec.msgpack.decode(message, type=Job), content, settings))

        workshop_process.serve(line, work, SEAL_TIMEOUT_S, SEAL_MEMORY_BYTES_MAX)
