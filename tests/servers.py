"""Servers and engines for tests: real ones, in a temporary folder, gone when their owner is.

Everything here may be used outside pytest as well (drills, benches).
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.supervision import binaries, embedded

ROOT = Path(__file__).resolve().parent.parent
SERVER_READY_S = 30
ENGINE_READY_S = 90


def free_port() -> int:
    """A port that nothing listens on now; taken from below the range that outgoing connections use."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as told:
        first = int(told.read().split()[0])
    # Another worker of the test run asks at the same time: start at different places.
    start = 10_000 + (os.getpid() * 37) % 10_000
    for port in range(start, min(first, 65_535)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no free port between {start} and {first}")


@contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """Short, because unix sockets live in it, and deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"lk-{name}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def wait_until(promise: Any, timeout_s: float, what: str) -> Any:
    """The first true value of `promise()`; AssertionError naming `what` after `timeout_s`."""
    until = time.monotonic() + timeout_s
    while True:
        found = promise()
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.02)


def stop(child: subprocess.Popen[bytes], sig: signal.Signals, timeout_s: float = 10) -> int:
    """Ask, wait, and kill only what does not listen."""
    if child.poll() is None:
        child.send_signal(sig)
    try:
        return child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[Path]:
    """A fresh cluster; yields the folder of its socket, for `embedded.postgres_dsn(folder, database)`."""
    binary = binaries.find_postgres()
    with temporary_folder("pg") as folder:
        if embedded.postgres_identity().uid is not None:
            folder.chmod(0o711)
        sockets = embedded.prepare_sockets_for_postgres(folder)
        embedded.initialise_postgres(binary, folder / "data", sync=durable)
        command = embedded.postgres_command(binary, folder / "data", sockets)
        # Nobody keeps this cluster: what matters in tests is what a process's death does, not the box's.
        if not durable:
            at = command.index("fsync=on")
            del command[at - 1 : at + 1]
            at = command.index("full_page_writes=on")
            del command[at - 1 : at + 1]
            command += ["-c", "max_connections=200"]
            with open(folder / "data" / "postgresql.conf", "a") as conf:  # where a test may change it
                conf.write("fsync = off\nfull_page_writes = off\n")
        with open(folder / "log", "ab") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            ready = lambda: child.poll() is not None or embedded.postgres_is_ready(folder / "data")  # noqa: E731
            wait_until(ready, SERVER_READY_S, "PostgreSQL ready")
            assert child.poll() is None, (folder / "log").read_text()
            yield sockets
        finally:
            stop(child, embedded.POSTGRES_STOP)


@contextmanager
def redis() -> Iterator[str]:
    """A fresh server as the engine runs it (every write fsynced); yields its URL."""
    binary = binaries.find_redis()
    with temporary_folder("redis") as folder:
        command = embedded.redis_command(binary, folder, folder)
        with open(folder / "log", "ab") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            ready = lambda: child.poll() is not None or embedded.redis_is_ready(folder)  # noqa: E731
            wait_until(ready, SERVER_READY_S, "Redis ready")
            assert child.poll() is None, (folder / "log").read_text()
            yield embedded.redis_url(folder)
        finally:
            stop(child, embedded.REDIS_STOP)


@dataclass
class Engine:
    """A whole engine under its supervisor. `processes` and `keys` are read again each time: they may change."""

    data: Path
    ready_file: Path
    supervisor_log: Path
    port: int
    supervisor: subprocess.Popen[bytes] = field(repr=False)

    @property
    def ready(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ready_file.read_text("utf-8"))
        return found

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    @property
    def keys(self) -> dict[str, str]:
        return dict(self.ready["keys"])

    @property
    def processes(self) -> dict[str, int]:
        return dict(self.ready["processes"])

    def log(self, name: str) -> str:
        return (self.data / "logs" / f"{name}.log").read_text("utf-8", "replace")

    def is_ready(self) -> bool:
        """What `/readyz` says now."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)  # no proxy of the environment's
        try:
            line.request("GET", "/readyz")
            return line.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            line.close()


def environ() -> dict[str, str]:
    """Ours without settings, which belong to another engine; with the servers that were chosen for this test run."""
    chosen = ("LIANKAO_PG_BIN", "LIANKAO_REDIS_BIN")
    return {name: text for name, text in os.environ.items() if name in chosen or not name.startswith("LIANKAO_")}


def start_engine(
    data: Path,
    *,
    port: int | None = None,
    workers: int = 1,
    wait: bool = True,
    ready_name: str = "ready",
    settings: Mapping[str, str] | None = None,
) -> Engine:
    """`python -m engine up --embedded` on `data`; returns when it takes traffic. The caller stops it."""
    port = port or free_port()
    ready_file = data.parent / f"{ready_name}.json"
    said = data.parent / f"{ready_name}.log"
    ready_file.unlink(missing_ok=True)
    command = [*embedded.dies_with_parent(signal.SIGTERM), sys.executable, "-m", "engine", "up", "--embedded"]
    command += ["--data", str(data), "--port", str(port)]
    command += ["--workers", str(workers), "--ready-file", str(ready_file)]
    with open(said, "ab") as log:
        supervisor = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**environ(), **(settings or {})},
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    engine = Engine(data=data, ready_file=ready_file, supervisor_log=said, port=port, supervisor=supervisor)
    if wait:
        try:
            wait_until(lambda: ready_file.exists() or supervisor.poll() is not None, ENGINE_READY_S, "engine ready")
            assert supervisor.poll() is None, f"the engine did not start:\n{said.read_text()}"
        except AssertionError:
            stop_engine(engine)
            raise
    return engine


def stop_engine(engine: Engine) -> int:
    return stop(engine.supervisor, signal.SIGTERM, timeout_s=15)


@contextmanager
def engine_up(name: str = "engine", **options: Any) -> Iterator[Engine]:
    """A whole engine in a temporary folder; its logs are printed when the body fails."""
    with temporary_folder(name) as folder:
        engine = start_engine(folder / "data", **options)
        try:
            yield engine
        except BaseException:
            for log in sorted((engine.data / "logs").glob("*.log")):
                print(f"--- {log.name}, last lines\n{_tail(log)}", file=sys.stderr)
            raise
        finally:
            stop_engine(engine)


def _tail(log: Path, bytes_max: int = 3000) -> str:
    with open(log, "rb") as held:
        held.seek(0, os.SEEK_END)
        held.seek(max(0, held.tell() - bytes_max))
        return held.read().decode("utf-8", "replace")


def chromium() -> str | None:
    """The browser for the page tests; None means they skip."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
