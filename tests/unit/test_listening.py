"""Listening sockets share a port, lose nobody when they close, and limits that are too low are told."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator

import pytest

from engine import listening
from engine.rules.limits import FILES_WANTED, KEEP_ALIVE_S_WANTED, PEER_IDLE_S, PEER_UNACKNOWLEDGED_MS
from tests.servers import free_port, wait_until


@pytest.fixture
def file_limit() -> Iterator[tuple[int, int]]:
    """(soft, hard) as they were, and will be again."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[0], resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def test_workers_share_a_port_and_strangers_do_not() -> None:
    """SO_REUSEPORT on both, or nothing."""
    port = free_port()
    first, second = (listening.listen("127.0.0.1", port, 128) for _ in range(2))
    with first, second, socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(("127.0.0.1", port))


def test_who_waits_in_the_queue_outlives_the_listener() -> None:
    """Taken before the close, a connection goes on; left in the queue, it would be reset."""
    listener = listening.listen("127.0.0.1", free_port(), 128)
    clients = [socket.create_connection(listener.getsockname(), timeout=5) for _ in range(20)]
    clients[7].sendall(b"asked before anybody looked")

    accepted = listening.accept_queued(listener)
    listener.close()

    assert len(accepted) == len(clients)
    for connection in accepted:
        connection.setblocking(True)
        connection.sendall(b"answered")
    assert [client.recv(100) for client in clients] == [b"answered"] * len(clients)
    for connection in (*clients, *accepted):
        connection.close()


def test_unread_bytes_are_seen_without_reading_them() -> None:
    """A connection whose request has arrived must not be taken for idle."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not listening.has_unread(ours)

        theirs.sendall(b"GET /")

        wait_until(lambda: listening.has_unread(ours), 5, "the bytes to arrive")
        assert ours.recv(100) == b"GET /"


def test_the_file_limit_is_raised_as_far_as_allowed(file_limit: tuple[int, int]) -> None:
    """What the shell allowed first is never the end of it."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, file_limit[1]))

    listening.raise_file_limit()

    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(FILES_WANTED, file_limit[1])


def test_limits_that_are_too_low_are_named_with_what_is_wanted(file_limit: tuple[int, int]) -> None:
    """The operator reads what to change; nothing is refused."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, file_limit[1]))
    queue_max = listening.somaxconn()
    assert queue_max is not None

    found = listening.warnings(queue_max + 1, KEEP_ALIVE_S_WANTED - 1)

    assert f"net.core.somaxconn is {queue_max}" in found["backlog"]
    assert f"may open 512 files, wanted {FILES_WANTED}" in found["open_files"]
    assert f"wanted {KEEP_ALIVE_S_WANTED}" in found["keep_alive"]


def test_sufficient_limits_are_not_mentioned(file_limit: tuple[int, int]) -> None:
    """A warning that is always there is read by nobody."""
    found = listening.warnings(128, KEEP_ALIVE_S_WANTED)

    assert set(found) <= {"open_files"}
    assert ("open_files" in found) == (file_limit[0] < FILES_WANTED)


def test_the_kernel_notices_peers_that_are_gone() -> None:
    """A candidate whose machine lost power sends no end; its connection must not stay for ever."""
    taken: list[socket.socket] = []
    listener = listening.listen("127.0.0.1", free_port(), 128)
    with listener, socket.create_connection(listener.getsockname(), timeout=5):
        while not taken:
            taken += listening.accept_queued(listener)
        with taken[0] as accepted:
            is_asked = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            after_s = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
            given_up_ms = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)

    assert (is_asked, after_s, given_up_ms) == (1, PEER_IDLE_S, PEER_UNACKNOWLEDGED_MS)
