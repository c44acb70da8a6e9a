"""Who goes first where processors are short: whoever stands between a candidate and `saved`.

Promise: a process with short turns waits less for a processor, and gets no more of it than before. Nobody starves, and
where processors are free nothing changes.
How: a save waits for a processor several times, for the worker as it arrives, for Redis, for Redis again after its
fsync, and for the worker once more; each wait may be as long as somebody else's turn. Linux lets an ordinary process
ask for short turns (`sched_setattr`, taken since 6.12), and whoever asks for less is let in earlier, past those who
compute. Children and other threads of the process do not inherit it: what they do may wait.
Not here: shares. Older kernels and other systems do not know of it, and go on as they did.
"""

from __future__ import annotations

import ctypes
import platform
import struct

from engine.rules.limits import SHORT_TURN_S

_SET, _GET = {"x86_64": (314, 315), "aarch64": (274, 275), "riscv64": (274, 275)}.get(platform.machine(), (0, 0))
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")  # the first edition of struct sched_attr, which every kernel takes
_FOR_OTHERS = 1  # SCHED_FLAG_RESET_ON_FORK: children and further threads begin as if this had not been asked for
_ORDINARY = (0, 3)  # SCHED_OTHER and SCHED_BATCH; who was given another policy keeps it


def take_short_turns(pid: int = 0) -> bool:
    """The main thread of `pid` (0: whoever calls) from now on has short turns; False where the system has none."""
    found = _attributes(pid)
    if found is None:
        return False
    _, policy, flags, nice, priority, _, deadline_ns, period_ns = found
    if policy not in _ORDINARY:
        return False
    wished_ns = round(SHORT_TURN_S * 1e9)
    wish = (_ATTRIBUTES.size, policy, flags | _FOR_OTHERS, nice, priority, wished_ns, deadline_ns, period_ns)
    return _syscall(_SET, pid, _ATTRIBUTES.pack(*wish), 0) == 0 and turn_ns(pid) == wished_ns


def turn_ns(pid: int = 0) -> int:
    """How long a turn of the main thread of `pid` is, in ns; 0 where the system does not tell."""
    found = _attributes(pid)
    return found[5] if found else 0


def _attributes(pid: int) -> tuple[int, ...] | None:
    told = ctypes.create_string_buffer(_ATTRIBUTES.size)
    if _syscall(_GET, pid, told, _ATTRIBUTES.size, 0) != 0:
        return None
    return _ATTRIBUTES.unpack(told.raw)


def _syscall(number: int, *arguments: object) -> int:
    """-1 when it failed, or cannot be asked for here."""
    if not number or platform.system() != "Linux":
        return -1
    answer: int = ctypes.CDLL(None).syscall(number, *arguments)
    return answer
