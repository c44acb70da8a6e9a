"""What a process tells the one that started it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from engine import notify


@pytest.fixture
def line() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.settimeout(5)
    return made


def test_states_arrive_as_systemd_reads_them(
    line: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One datagram, one state a line."""
    line.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

    notify.tell(notify.RELOADING, "MONOTONIC_USEC=5")

    assert line.recv(100) == b"RELOADING=1\nMONOTONIC_USEC=5"


def test_an_abstract_socket_is_reached_by_its_at_sign(line: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """As systemd names those without a file."""
    line.bind(b"\0liankao-notify-test-%d" % id(line))
    monkeypatch.setenv("NOTIFY_SOCKET", f"@liankao-notify-test-{id(line)}")

    notify.tell(notify.READY)

    assert line.recv(100) == b"READY=1"


def test_nobody_listening_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exam does not stop because its starter has gone."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))

    notify.tell(notify.READY)
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify.tell(notify.STOPPING)

    assert not (tmp_path / "gone").exists()
