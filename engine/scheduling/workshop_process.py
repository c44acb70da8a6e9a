"""A process that forks for each job, so that whatever a job holds goes with the process that did it.

The parent has everything loaded, so a fork costs a few milliseconds; it never reads a job, has no connection to any
store, and ends when its worker does. Both write no core dump, show their memory to nobody but root, and have a bound of
memory, a child one of time too; where memory is short, the kernel takes them before anything that serves an exam, and
where processors are, they wait for all of that.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from engine.scheduling.workshop import TimeIsUp

MESSAGE_BYTES_MAX = 64 * 2**10
_PR_SET_DUMPABLE = 4
_NICENESS = 10  # a tenth of a processor where others want it whole: papers and rosters wait, candidates do not
_LEAVE_S = 2  # from the signal that time is up to the end: to say so


def serve(
    line: socket.socket,
    work: Callable[[bytes, bytes], bytes],
    timeout_s: int,
    memory_bytes_max: int,
    niceness: int = 0,
) -> None:
    """Do jobs from `line` until its other end is closed: (message, content) -> outcome."""
    os.nice(_NICENESS + niceness)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started us
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    signal.signal(signal.SIGALRM, _time_is_up)
    _harden(memory_bytes_max)
    while True:
        message, handles, _, _ = socket.recv_fds(line, MESSAGE_BYTES_MAX, 2)
        if not message:
            return
        with contextlib.suppress(OSError):  # no process to be had: the worker finds no outcome
            if os.fork() == 0:
                try:
                    signal.alarm(timeout_s)
                    line.close()
                    _do(message, handles, work)
                finally:
                    os._exit(0)
        for each in handles:
            os.close(each)


def _do(message: bytes, handles: list[int], work: Callable[[bytes, bytes], bytes]) -> None:
    received, told = handles
    with open(received, "rb") as file:
        file.seek(0)
        content = file.read()
    gc.disable()  # it ends before there is garbage worth looking for
    outcome = work(message, content)
    signal.alarm(0)
    with open(told, "wb") as file:
        file.write(outcome)


def _harden(memory_bytes_max: int) -> None:
    """Once, before there is any child: each inherits all of it, and need not do it again."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = memory_bytes_max if hard == resource.RLIM_INFINITY else min(hard, memory_bytes_max)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # last: from here on only root opens what is in /proc/self


def _time_is_up(*_: object) -> None:
    """Once it is said in words; who does not hear is ended by the next signal."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_LEAVE_S)
    raise TimeIsUp
