"""Tells who started this process how it stands, in systemd's notification protocol; our own supervisor listens, too.

Without NOTIFY_SOCKET nobody wants to know. A notification that cannot be sent is dropped: it must not stop an exam.
"""

from __future__ import annotations

import contextlib
import os
import socket

VARIABLE = "NOTIFY_SOCKET"
READY = "READY=1"
RELOADING = "RELOADING=1"
STOPPING = "STOPPING=1"


def tell(*states: str) -> None:
    """Send `states` to the socket that NOTIFY_SOCKET names; `@` stands for an abstract one."""
    place = os.environ.get(VARIABLE)
    if not place:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.connect("\0" + place[1:] if place.startswith("@") else place)
        line.send("\n".join(states).encode())
