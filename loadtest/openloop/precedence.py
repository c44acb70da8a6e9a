"""Short turns for a generator: where processors are short it is let in earlier, and gets no more of them.

Why: its own waiting for a processor is not the engine's, and would only make steps void. Linux from 6.12 on; elsewhere
nothing changes (`sched_setattr` with a slice, as `bench/driver.c` asks for it).
"""

from __future__ import annotations

import ctypes
import platform
import struct

TURN_NS = 200_000
_SET, _GET = {"x86_64": (314, 315), "aarch64": (274, 275), "riscv64": (274, 275)}.get(platform.machine(), (0, 0))
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")  # struct sched_attr: size, policy, flags, nice, priority, runtime, ...
_ORDINARY = (0, 3)  # SCHED_OTHER and SCHED_BATCH; who was given another policy keeps it


def take_short_turns() -> bool:
    """Whether this thread has them from now on."""
    if not _SET or platform.system() != "Linux":
        return False
    call = ctypes.CDLL(None).syscall
    told = ctypes.create_string_buffer(_ATTRIBUTES.size)
    if call(_GET, 0, told, _ATTRIBUTES.size, 0) != 0:
        return False
    _, policy, flags, nice, priority, _, deadline_ns, period_ns = _ATTRIBUTES.unpack(told.raw)
    if policy not in _ORDINARY:
        return False
    wish = (_ATTRIBUTES.size, policy, flags, nice, priority, TURN_NS, deadline_ns, period_ns)
    return bool(call(_SET, 0, _ATTRIBUTES.pack(*wish), 0) == 0)
