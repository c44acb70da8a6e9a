"""The supervisor keeps what it promises, shown on real processes: it restarts, it stops, it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import precedence
from engine.supervision import embedded
from tests import servers
from tests.servers import wait_until

RESTART_S = 15  # promised: half a second; then the process itself has to start, on a busy box
STOP_S = 5  # promised
ORPHANS_S = 3  # promised
PROGRAMS = ["worker-0", "recorder-0", "grader-0", "courier-0", "redis", "postgres"]


@pytest.fixture(scope="module")
def engine() -> Iterator[servers.Engine]:
    """One to kill parts of."""
    with servers.engine_up("supervision", workers=2) as engine:
        yield engine


@pytest.fixture
def data() -> Iterator[Path]:
    with servers.temporary_folder("supervision") as folder:
        yield folder / "data"


def test_the_ready_file_tells_where_everything_is(engine: servers.Engine) -> None:
    """Scripts need nothing else: URL, one API key per scope, the real servers' pids. Nobody else may read it."""
    found = engine.ready

    assert found["url"] == f"http://127.0.0.1:{engine.port}"
    assert sorted(found["keys"]) == ["ops", "proctor", "results", "schedule"]
    assert sorted(found["processes"]) == sorted([*PROGRAMS, "worker-1"])
    assert os.stat(engine.ready_file).st_mode & 0o777 == 0o600
    assert (engine.data / "postgres" / "postmaster.pid").read_text().split()[0] == str(found["processes"]["postgres"])
    assert _program_of(found["processes"]["postgres"]) == "postgres"
    assert _program_of(found["processes"]["redis"]) in ("valkey-server", "redis-server")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_killed_process_is_started_again(engine: servers.Engine, name: str) -> None:
    """kill -9 of any one: it runs again under a new pid, the ready file says so, and the engine is ready again."""
    before = engine.processes
    os.kill(before[name], signal.SIGKILL)

    wait_until(lambda: engine.processes[name] != before[name], RESTART_S, f"{name} started again")
    wait_until(engine.is_ready, RESTART_S, "engine ready again")

    after = engine.processes
    assert _runs(after[name])
    assert {other: pid for other, pid in after.items() if other != name} == {
        other: pid for other, pid in before.items() if other != name
    }
    assert engine.supervisor.poll() is None


def test_who_saves_goes_before_who_computes(engine: servers.Engine) -> None:
    """Workers and Redis have short turns of a processor, also once they were started again; the others do not."""
    expected = {"worker-0", "worker-1", "redis"} if precedence.turn_ns() else set()  # an older kernel tells nothing

    def first() -> set[str]:
        turns_ns = {name: precedence.turn_ns(pid) for name, pid in engine.processes.items()}
        return {name for name, turn_ns in turns_ns.items() if turn_ns < turns_ns["postgres"]}

    wait_until(lambda: first() >= expected, RESTART_S, "short turns for who saves")
    assert first() == expected


def test_a_stopped_process_is_left_alone(engine: servers.Engine) -> None:
    """Drills stop PostgreSQL for 20 s: nothing may be killed or started again because it is slow."""
    before = engine.processes
    os.kill(before["postgres"], signal.SIGSTOP)
    try:
        time.sleep(2)
        assert engine.processes == before
    finally:
        os.kill(before["postgres"], signal.SIGCONT)
    wait_until(engine.is_ready, RESTART_S, "engine ready again")

    assert engine.processes == before


def test_a_second_engine_on_the_same_data_is_refused(engine: servers.Engine) -> None:
    """Two supervisors on one folder would destroy it: the second names the first and touches nothing."""
    second = servers.start_engine(engine.data, wait=False, ready_name="second")

    assert second.supervisor.wait(10) == 1
    said = _said(second)
    assert f"is in use by another engine, process {engine.supervisor.pid}" in said
    assert engine.is_ready()


def test_a_taken_port_is_told_before_anything_starts(engine: servers.Engine, data: Path) -> None:
    """Also when the other one would share it: workers bind with SO_REUSEPORT."""
    second = servers.start_engine(data, port=engine.port, wait=False)

    assert second.supervisor.wait(10) == 1
    assert f"port {engine.port} on 127.0.0.1 cannot be used: address already in use" in _said(second)
    assert not (data / "postgres").exists()


def test_sigterm_stops_everything_and_a_second_start_resumes(data: Path) -> None:
    """Within five seconds, exit code 0, no process left; the next start has the same data and the same keys."""
    first = servers.start_engine(data)
    pids, keys = _group(first), first.keys

    started_s = time.monotonic()
    first.supervisor.send_signal(signal.SIGTERM)
    code = first.supervisor.wait(STOP_S + 5)
    took_s = time.monotonic() - started_s

    assert code == 0
    assert took_s < STOP_S
    assert _alive(pids) == []
    assert not first.ready_file.exists()

    second = servers.start_engine(data, port=first.port)
    try:
        assert second.keys == keys
        assert "made a PostgreSQL data folder" not in _said(second).split("liankao: stopping")[-1]
    finally:
        assert servers.stop_engine(second) == 0


def test_a_killed_supervisor_leaves_no_process(data: Path) -> None:
    """SIGKILL reaches only the supervisor; the kernel ends the others. The next start waits for them and resumes."""
    first = servers.start_engine(data, workers=2)
    pids = _group(first)
    first.supervisor.kill()
    first.supervisor.wait()

    wait_until(lambda: not _alive(pids), ORPHANS_S, "no process of the engine left")

    second = servers.start_engine(data, port=first.port)
    assert servers.stop_engine(second) == 0


def test_a_start_right_after_a_kill_waits_for_what_is_ending(data: Path) -> None:
    """Nobody has to wait by hand: the lock is held by the processes themselves."""
    first = servers.start_engine(data)
    first.supervisor.kill()
    first.supervisor.wait()

    second = servers.start_engine(data, port=servers.free_port())

    assert second.is_ready()
    assert servers.stop_engine(second) == 0


def test_an_interrupted_start_leaves_no_process(data: Path) -> None:
    """Ctrl-C in the first second is no special case."""
    engine = servers.start_engine(data, wait=False)
    wait_until(lambda: (data / "logs" / "postgres.log").exists(), 20, "servers being started")
    pids = _group(engine)
    engine.supervisor.send_signal(signal.SIGINT)

    assert engine.supervisor.wait(STOP_S + 5) == 0
    assert _alive(pids) == []


def test_data_of_another_postgres_version_are_refused(data: Path) -> None:
    """With both versions and both ways out in the message, and before anything was touched."""
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "PG_VERSION").write_text("14\n")

    engine = servers.start_engine(data, wait=False)

    assert engine.supervisor.wait(20) == 1
    said = _said(engine)
    assert "was made by PostgreSQL 14, but" in said
    assert "LIANKAO_PG_BIN" in said
    assert "--data" in said


def test_data_of_a_newer_valkey_are_refused(data: Path) -> None:
    """An older server may not be able to read them: say so instead of losing them."""
    data.mkdir()
    writer = {"redis": {"flavour": "valkey", "version": [99, 1, 0]}}
    (data / "versions.json").write_text(json.dumps(writer))

    engine = servers.start_engine(data, wait=False)

    assert engine.supervisor.wait(20) == 1
    assert "was written by valkey 99.1.0" in _said(engine)


def test_a_reused_pid_does_not_keep_postgres_from_starting(data: Path) -> None:
    """After a restart of the box PostgreSQL's pid and lock files may name anything, for instance us."""
    servers.stop_engine(servers.start_engine(data))
    (data / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{data}/postgres\n0\n5432\n\n\n0 0\nready\n")
    lock = embedded.socket_folder(data) / "pg" / ".s.PGSQL.5432.lock"
    lock.write_text(f"{os.getpid()}\n{data}/postgres\n0\n5432\n{lock.parent}\n")
    if (uid := embedded.postgres_identity().uid) is not None:
        os.chown(lock, uid, uid)

    engine = servers.start_engine(data)

    assert engine.is_ready()
    assert servers.stop_engine(engine) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user needs no other identity")
def test_root_without_user_namespaces_runs_postgres_as_nobody(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose rules forbid them: it starts, restarts, resumes, and leaves nothing behind."""
    bin_folder = data.parent / "bin"
    bin_folder.mkdir()
    (bin_folder / "unshare").write_text("#!/bin/sh\necho 'Operation not permitted' >&2; exit 1\n")
    (bin_folder / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    data.parent.chmod(0o711)

    engine = servers.start_engine(data)
    before = engine.processes["postgres"]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: engine.processes["postgres"] != before, RESTART_S, "postgres started again")
    wait_until(engine.is_ready, RESTART_S, "engine ready again")
    pids = _group(engine)
    engine.supervisor.kill()
    engine.supervisor.wait()
    wait_until(lambda: not _alive(pids), ORPHANS_S, "no process of the engine left")

    assert (data / "postgres").stat().st_uid == 65534
    assert servers.stop_engine(servers.start_engine(data, port=engine.port)) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user reaches what it owns")
def test_a_folder_that_postgres_cannot_enter_is_named(data: Path) -> None:
    """Root may enter it, PostgreSQL as nobody may not: `initdb failed` would help nobody."""
    data.parent.chmod(0o700)
    os.chown(data.parent, 4321, 4321)

    engine = servers.start_engine(data, wait=False)

    assert engine.supervisor.wait(20) == 1
    assert f"it cannot get to {data}" in _said(engine)


def test_the_port_stays_reserved_while_the_worker_is_away(engine: servers.Engine) -> None:
    """Nobody slips in between a worker's death and its return."""
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind(("127.0.0.1", engine.port))


def _said(engine: servers.Engine) -> str:
    return engine.supervisor_log.read_text("utf-8")


def _program_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _group(engine: servers.Engine) -> set[int]:
    """The supervisor and everything below it, backends of PostgreSQL included."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(status.parent.name)] = int(fields[1])
    found = {engine.supervisor.pid}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _runs(pid: int) -> bool:
    """A zombie does not: not every box's first process reaps what is left to it."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def _alive(pids: set[int]) -> list[int]:
    return sorted(pid for pid in pids if _runs(pid))
