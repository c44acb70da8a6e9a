"""The sealer: the only process that ever holds a readable paper, for as long as one job takes.

Python cannot wipe strings, so the memory itself goes: for each job this process forks, the child reads the job's bytes,
writes its outcome and ends, and the kernel takes back what it held. The parent has everything loaded, so a fork costs
a few milliseconds; it never reads a paper, has no connection to any store, and ends when its worker does.
A child writes no core dump, shows its memory to nobody but root, and has a bound of time and memory; where memory is
short, the kernel takes it before anything that serves an exam.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
from pathlib import Path

import msgspec

from engine.rules.limits import SEAL_MEMORY_BYTES_MAX, SEAL_TIMEOUT_S
from engine.scheduling.sealer_jobs import Job, do
from engine.settings import Settings

MESSAGE_BYTES_MAX = 64 * 2**10
_PR_SET_DUMPABLE = 4


def main(handle: int) -> None:
    """Serve jobs from the socket `handle` until its other end is closed. The first message is the settings."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started us
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=handle) as line:
        settings = msgspec.msgpack.decode(line.recv(MESSAGE_BYTES_MAX), type=Settings)
        while True:
            message, handles, _, _ = socket.recv_fds(line, MESSAGE_BYTES_MAX, 2)
            if not message:
                return
            with contextlib.suppress(OSError):  # no process to be had: the worker finds no outcome
                if os.fork() == 0:
                    line.close()
                    _work(message, handles, settings)
            for each in handles:
                os.close(each)


def _work(message: bytes, handles: list[int], settings: Settings) -> None:
    """One job, and the end of the process."""
    try:
        _harden()
        received, told = handles
        job = msgspec.msgpack.decode(message, type=Job)
        with open(received, "rb") as file:
            file.seek(0)
            content = file.read()
        with open(told, "wb") as file:
            file.write(msgspec.msgpack.encode(do(job, content, settings)))
    finally:
        os._exit(0)


def _harden() -> None:
    signal.alarm(SEAL_TIMEOUT_S)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = SEAL_MEMORY_BYTES_MAX if hard == resource.RLIM_INFINITY else min(hard, SEAL_MEMORY_BYTES_MAX)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
