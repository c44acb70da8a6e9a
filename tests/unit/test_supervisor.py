"""The supervisor's arithmetic: how soon it tries again, and that stopping fits into the promised time."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from engine.supervision import supervisor, up
from tests.servers import free_port

STOP_PROMISED_S = 5.0
EVERYTHING = ["postgres", "redis", "worker-0", "worker-1", "recorder-0", "grader-0", "courier-0", "crowd-ldgx3"]


def test_the_first_restart_is_prompt_and_later_ones_wait_longer() -> None:
    """Half a second is promised for the first; a server that cannot start must not burn the machine."""
    delays = [supervisor.restart_delay_s(deaths) for deaths in range(1, 12)]

    assert delays[0] <= 0.5
    assert delays == sorted(delays)
    assert delays[-1] == supervisor.RESTART_MAX_S == 5.0


@pytest.mark.parametrize("drain_s", [0, 1, 3])
def test_stopping_everything_fits_into_five_seconds(drain_s: float) -> None:
    """Even when nothing listens and all of them have to be killed."""
    for names in (EVERYTHING, ["worker-0", "recorder-0", "grader-0"]):
        steps = up.stop_steps(drain_s, names)

        assert sum(seconds for seconds, _ in steps) < STOP_PROMISED_S
        assert sorted(name for _, group in steps for name in group) == sorted(names)


def test_who_writes_down_stops_after_who_takes_traffic_and_before_the_servers() -> None:
    """Otherwise the last answers would wait for the next start."""
    groups = [set(group) for _, group in up.stop_steps(3, EVERYTHING)]

    assert groups == [
        {"worker-0", "worker-1", "crowd-ldgx3"},
        {"recorder-0", "grader-0", "courier-0"},
        {"postgres", "redis"},
    ]


def test_a_longer_configured_drain_is_respected() -> None:
    """In production, behind a load balancer, workers may need longer than five seconds."""
    steps = up.stop_steps(30, ["worker-0", "recorder-0", "grader-0"])

    assert steps[0][0] > 30


def test_a_grown_log_is_put_aside_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of a demo that runs for weeks do not fill the disk."""
    monkeypatch.setattr(supervisor, "LOG_BYTES_MAX", 10)
    log = tmp_path / "worker-0.log"
    log.write_text("short")
    supervisor.rotate(log)
    assert log.exists()

    log.write_text("longer than ten bytes")
    supervisor.rotate(log)

    assert not log.exists()
    assert (tmp_path / "worker-0.log.1").read_text() == "longer than ten bytes"


def test_endings_are_told_in_words() -> None:
    """For a person who reads the terminal."""
    assert supervisor.ending(3) == "ended with exit code 3"
    assert supervisor.ending(-9) == "was ended by Killed (9)"


def test_a_reserved_port_is_free_for_workers_and_for_nobody_else() -> None:
    """Workers bind it with SO_REUSEPORT while the reservation stands."""
    port = free_port()
    with up.reserved_port("127.0.0.1", port):
        with socket.socket() as worker:
            worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            worker.bind(("127.0.0.1", port))
            worker.listen()
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        with socket.socket() as thief, pytest.raises(OSError, match="in use"):
            thief.bind(("127.0.0.1", port))


def test_a_host_that_is_no_address_is_named() -> None:
    """A typing error in a setting gets no traceback."""
    named = r"LIANKAO_HOST=no\.such\.host\.invalid is no address"
    with pytest.raises(supervisor.CannotStart, match=named), up.reserved_port("no.such.host.invalid", 8000):
        pass
