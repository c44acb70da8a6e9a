"""Listening sockets and the limits of the machine that bear on them.

Workers share one port by SO_REUSEPORT: each has a queue of its own, and the kernel spreads new connections over them.
What is too low for a large exam is said, in the log and in `/readyz`, and stops nothing that can run.

The trap of SO_REUSEPORT: a socket that closes takes its queue with it, and whoever waited there is reset. So a worker
that drains takes everything from the queue before it closes (`accept_queued`). What remains is a handshake under way
at that very moment: such a client connects again. `net.ipv4.tcp_migrate_req=1` (Linux 5.14) closes that gap, too.
"""

from __future__ import annotations

import contextlib
import fcntl
import resource
import socket
import struct
import termios
from pathlib import Path

from engine.rules.limits import (
    FILES_WANTED,
    KEEP_ALIVE_S_WANTED,
    PEER_ASKED_EVERY_S,
    PEER_ASKED_MAX,
    PEER_IDLE_S,
    PEER_UNACKNOWLEDGED_MS,
)

_SOMAXCONN = Path("/proc/sys/net/core/somaxconn")


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """A listening socket that other workers may share by binding the same port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _notice_the_gone(listener)
    listener.setblocking(False)
    listener.bind((host, port))
    listener.listen(backlog)
    return listener


def _notice_the_gone(listener: socket.socket) -> None:
    """Its connections inherit it: who lost power or line says nothing, and would stay."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PEER_IDLE_S)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PEER_ASKED_EVERY_S)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PEER_ASKED_MAX)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, PEER_UNACKNOWLEDGED_MS)


def accept_queued(listener: socket.socket) -> list[socket.socket]:
    """Everything that waits in the queue; close the listener right after."""
    accepted = []
    with contextlib.suppress(OSError):  # the queue is empty, or no descriptor is left
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            accepted.append(connection)
    return accepted


def has_unread(connection: socket.socket) -> bool:
    """Has the kernel received something of this connection that nobody has read yet?"""
    try:
        waiting: int = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.FIONREAD, b"\0" * 4))[0]
    except OSError:
        return False
    return waiting > 0


def raise_file_limit() -> None:
    """As many open files as wanted, or as we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= FILES_WANTED:
        return
    for allowed in (max(FILES_WANTED, hard), hard):  # above the hard limit only with a privilege
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES_WANTED, allowed), allowed))
            return


def warnings(backlog: int, keep_alive_s: int) -> dict[str, str]:
    """What would be too low for a large exam: which limit -> what it is and what is wanted. Empty when all is well."""
    found = {}
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES_WANTED:
        found["open_files"] = (
            f"this process may open {soft} files, wanted {FILES_WANTED}: one per connection"
            " (`ulimit -n`, or LimitNOFILE of the service)"
        )
    queue_max = somaxconn()
    if queue_max is not None and queue_max < backlog:
        found["backlog"] = f"net.core.somaxconn is {queue_max}, below the configured backlog of {backlog}"
    if keep_alive_s < KEEP_ALIVE_S_WANTED:
        found["keep_alive"] = (
            f"idle connections are closed after {keep_alive_s} s, wanted {KEEP_ALIVE_S_WANTED}:"
            " a room would connect anew for every save"
        )
    return found


def somaxconn() -> int | None:
    """The kernel's bound for any backlog; None where it does not tell."""
    try:
        return int(_SOMAXCONN.read_text())
    except (OSError, ValueError):
        return None
