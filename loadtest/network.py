"""A line to an exam room: two network namespaces with one shaped wire between them, and what went over it.

Promise: the engine is at the near end, candidates at the far end, and nothing else is reachable from either; each
direction is as fast as asked for and no faster; every byte on the wire is counted, headers included. Nothing has a name
outside: both namespaces and the wire are gone with their last process, however it ended.
How: this thread moves into a namespace of its own, so that whatever it starts is at the near end; one process holds the
far end open. Token buckets (`tbf`) shape what each end sends. Segments leave one by one, as on a real wire, or many
would be counted as one packet; the far end sends no TCP timestamps, as Windows does not.
Not here: delay and loss. Needs Linux, root, iproute2 and util-linux.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence

from msgspec import Struct

HALL_KBIT_PER_S = 50_000  # what a site of 2,000 to 5,000 candidates has, in each direction
SHARE_KBIT_PER_S = 10  # and what that is for each of them
QUEUE_MS = 400  # a router's buffer on a fast line
QUEUE_BYTES_MIN = 32_000  # on a slow one it still holds what a browser's first connections may send at once
BURST_BYTES_MIN = 1_600  # one packet
BURST_MS = 2
_CLONE_NEWNET = 0x40000000
_OWN_NAMESPACE = "/proc/thread-self/ns/net"
_COUNTERS = "/proc/thread-self/net/dev"
_TIMESTAMPS = "/proc/sys/net/ipv4/tcp_timestamps"  # off, as on Windows, which exam machines run: 12 bytes of a packet
_MADE_WITHIN_S = 10.0
_libc = ctypes.CDLL(None, use_errno=True)


class NoNetwork(RuntimeError):
    """No namespaces or no shaping on this machine; the message says what was refused."""


class End(Struct, frozen=True):
    """Addresses that nobody else sees: both namespaces are our own."""

    address: str
    hardware: str


NEAR = End("10.231.7.1", "02:00:00:00:00:01")
FAR = End("10.231.7.2", "02:00:00:00:00:02")


class Traffic(Struct, frozen=True):
    """What went over the wire: to the candidates and from them. An Ethernet header of 14 bytes is part of a packet."""

    down_bytes: int
    up_bytes: int
    down_packets: int
    up_packets: int

    def since(self, before: Traffic) -> Traffic:
        return Traffic(
            self.down_bytes - before.down_bytes,
            self.up_bytes - before.up_bytes,
            self.down_packets - before.down_packets,
            self.up_packets - before.up_packets,
        )


class Line:
    """The wire, as its near end sees it."""

    def __init__(self, far_pid: int) -> None:
        self._enter = ["nsenter", f"--net=/proc/{far_pid}/ns/net", "--"]

    @property
    def at_far_end(self) -> list[str]:
        """What a command begins with that is to run at the candidates' end."""
        return self._enter

    def shape(self, up_kbit_per_s: int, down_kbit_per_s: int | None = None) -> None:
        """What the far end sends, and what it gets; one figure is both. 0: as fast as it goes."""
        down = up_kbit_per_s if down_kbit_per_s is None else down_kbit_per_s
        for enter, device, kbit_per_s in (([], "near", down), (self._enter, "far", up_kbit_per_s)):
            _run([*enter, "tc", "qdisc", "replace", "dev", device, "root", *_queue(kbit_per_s)])

    def traffic(self) -> Traffic:
        """Since the wire was made."""
        with open(_COUNTERS) as counters:
            lines = dict(line.split(":", 1) for line in counters if ":" in line)
        found = {name.strip(): [int(figure) for figure in figures.split()] for name, figures in lines.items()}["near"]
        return Traffic(found[8], found[0], found[9], found[1])


def _queue(kbit_per_s: int) -> list[str]:
    """A token bucket with a router's buffer; without a rate a plain queue."""
    if not kbit_per_s:
        return ["pfifo"]
    bytes_per_ms = kbit_per_s / 8
    burst_bytes = max(BURST_BYTES_MIN, int(bytes_per_ms * BURST_MS))
    limit_bytes = burst_bytes + max(QUEUE_BYTES_MIN, int(bytes_per_ms * QUEUE_MS))
    return ["tbf", "rate", f"{kbit_per_s}kbit", "burst", str(burst_bytes), "limit", str(limit_bytes)]


@contextlib.contextmanager
def line(up_kbit_per_s: int, down_kbit_per_s: int | None = None) -> Iterator[Line]:
    """Inside, this thread and what it starts are at the near end. Raises NoNetwork."""
    if os.geteuid() != 0:  # first: others do not see `tc` where Debian keeps it, in /usr/sbin
        raise NoNetwork("a shaped line needs root")
    if missing := [tool for tool in ("ip", "tc", "nsenter", "unshare") if shutil.which(tool) is None]:
        raise NoNetwork(f"a shaped line needs {', '.join(missing)} (iproute2, util-linux)")
    with _own_namespace(), _far_end() as far_pid:
        made = Line(far_pid)
        _run(["ip", "link", "set", "lo", "up"])
        _run(["ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(far_pid)])
        ends: tuple[tuple[list[str], str, End, End], ...] = (
            ([], "near", NEAR, FAR),
            (made.at_far_end, "far", FAR, NEAR),
        )
        for enter, device, own, other in ends:
            _run([*enter, "ip", "address", "add", f"{own.address}/30", "dev", device])
            # No packets of its own, no packet that stands for several, and no asking for the other's hardware address.
            quiet = ["addrgenmode", "none", "gso_max_segs", "1", "address", own.hardware, "up"]
            _run([*enter, "ip", "link", "set", device, *quiet])
            known = ["lladdr", other.hardware, "dev", device, "nud", "permanent"]
            _run([*enter, "ip", "neighbour", "replace", other.address, *known])
        _run([*made.at_far_end, "sh", "-c", f"echo 0 > {_TIMESTAMPS}"])
        made.shape(up_kbit_per_s, down_kbit_per_s)
        yield made


@contextlib.contextmanager
def _own_namespace() -> Iterator[None]:
    with open(_OWN_NAMESPACE) as before:
        if _libc.unshare(_CLONE_NEWNET) != 0:
            raise NoNetwork(f"a network namespace was refused: {os.strerror(ctypes.get_errno())}")
        try:
            yield
        finally:
            if _libc.setns(before.fileno(), _CLONE_NEWNET) != 0:
                raise NoNetwork(f"the way back was refused: {os.strerror(ctypes.get_errno())}")


@contextlib.contextmanager
def _far_end() -> Iterator[int]:
    """The pid of a process that keeps the far namespace open."""
    command = ["unshare", "--net", "cat"]  # which ends when we do: its input is ours
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        here = os.readlink(_OWN_NAMESPACE)
        until_s = time.monotonic() + _MADE_WITHIN_S
        while os.readlink(f"/proc/{holder.pid}/ns/net") == here:
            if holder.poll() is not None or time.monotonic() > until_s:
                raise NoNetwork("a second network namespace could not be made")
            time.sleep(0.01)
        yield holder.pid
    finally:
        holder.kill()
        holder.communicate()


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_MADE_WITHIN_S)
    if done.returncode != 0:
        raise NoNetwork(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
