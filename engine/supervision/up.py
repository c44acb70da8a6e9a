"""`up`: a whole engine on one machine, on embedded servers or on configured ones.

Order of start: servers, database, keys, processes; of stop: workers (no more traffic), recorder, grader and
courier (they write down what was said), servers. The ready file tells scripts where everything is, and stays true.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from engine import notify
from engine import settings as engine_settings
from engine.settings import Settings
from engine.supervision import binaries, data_folder, embedded
from engine.supervision.binaries import CannotEmbed
from engine.supervision.data_folder import DataFault
from engine.supervision.durable import write_atomically
from engine.supervision.rolling import Roller, rolling_on_hangup
from engine.supervision.supervisor import STOP_TOTAL_S, CannotStart, Program, Supervisor, rotate, run_until_signal

SCOPES = ("schedule", "results", "proctor", "ops")
KEY_LABEL = "up"
PROCESSES = ("engine", "recorder", "grader", "courier")  # each with a role of its own in PostgreSQL
SERVER_READY_S = 60.0  # crash recovery after a power cut may take a while
ENGINE_READY_S = 60.0
READYZ_TIMEOUT_S = 4.0  # longer than it waits for a dependency
# With everything on one box the drain is short: the whole stop fits into five seconds.
EMBEDDED_DRAIN_S = 1
SERVERS_STOP_S = 1.4
FAULTS = (CannotStart, CannotEmbed, DataFault)  # messages for a person, not tracebacks


class Options(Struct, frozen=True, kw_only=True):
    """What `up` was asked for. `data` is None without embedded servers."""

    data: Path | None
    settings: Settings
    ready_file: Path | None = None


class Running(Struct, frozen=True, kw_only=True):
    """A running engine, as the ready file tells it."""

    url: str
    keys: dict[str, str]
    settings: Settings
    supervisor: Supervisor
    logs: Path | None

    def as_ready(self) -> dict[str, Any]:
        return {"url": self.url, "keys": self.keys, "processes": self.supervisor.pids()}


def say(text: str) -> None:
    """One short line for the person at the terminal."""
    with contextlib.suppress(OSError):  # the terminal may be gone, and stopping must go on
        sys.stderr.write(f"liankao: {text}\n")
        sys.stderr.flush()


def main(data: Path | None, port: int | None, workers: int | None, ready_file: Path | None) -> int:
    """`./run up`: run until a signal; returns the exit code."""
    options = Options(data=data and data.absolute(), settings=chosen_settings(port, workers), ready_file=ready_file)
    try:
        return run_until_signal(lambda: _up(options))
    except FAULTS as fault:
        say(str(fault))
        return 1


def chosen_settings(port: int | None, workers: int | None) -> Settings:
    """The configured settings with what the command line says instead. Raises SettingsError."""
    told = {name: value for name, value in (("port", port), ("workers", workers)) if value is not None}
    return msgspec.structs.replace(engine_settings.load(), **told)


async def _up(options: Options) -> int:
    async with running(options) as engine, rolling_on_hangup(Roller(engine.supervisor, say, engine.settings.drain_s)):
        say(f"ready: {engine.url}" + (f"  (logs in {engine.logs})" if engine.logs else ""))
        notify.tell(notify.READY)
        await asyncio.Event().wait()
    return 0


@contextlib.asynccontextmanager
async def running(options: Options) -> AsyncIterator[Running]:
    """A whole engine while the body runs; every process is gone afterwards, whatever happened.

    Raises CannotStart, CannotEmbed or DataFault with a message for a person; nothing is left running then.
    """
    with contextlib.ExitStack() as held:
        held.enter_context(reserved_port(options.settings.host, options.settings.port))
        lock = None
        if options.data is not None:
            lock = data_folder.open_folder(options.data)
            held.callback(os.close, lock)
        logs, metrics = _folders(options.data, held)
        supervisor = Supervisor(say, held_fd=lock, died=lambda pid: forget_metrics(metrics, pid))
        try:
            engine = await _started(options, supervisor, logs, metrics)
            yield engine
        finally:
            if options.ready_file is not None:
                options.ready_file.unlink(missing_ok=True)
            if supervisor.names():
                say("stopping")
                notify.tell(notify.STOPPING)
            await supervisor.stop(stop_steps(options.settings.drain_s, supervisor.names()))


async def _started(options: Options, supervisor: Supervisor, logs: Path | None, metrics: Path) -> Running:
    settings, keys = options.settings, {}
    if options.data is not None:
        settings = await _start_servers(supervisor, options.data, settings, logs)
        keys = await _prepare(options.data, settings)
    settings = msgspec.structs.replace(settings, metrics_dir=str(metrics))
    await _start_engine(supervisor, settings, logs)
    engine = Running(url=url(settings), keys=keys, settings=settings, supervisor=supervisor, logs=logs)

    def tell() -> None:
        if options.ready_file is None:
            return
        try:
            write_atomically(options.ready_file, json.dumps(engine.as_ready(), indent=1) + "\n")
        except OSError as fault:
            say(f"the ready file is out of date: {fault}")

    supervisor.changed = tell
    tell()
    return engine


def _folders(data: Path | None, held: contextlib.ExitStack) -> tuple[Path | None, Path]:
    """Where logs and counters go: into the data folder; without one, logs to our own stdout and counters to /tmp."""
    if data is not None:
        return data / "logs", data / "metrics"
    metrics = Path(tempfile.mkdtemp(prefix="liankao-metrics-"))
    held.callback(shutil.rmtree, metrics, ignore_errors=True)
    return None, metrics


# --- servers ---------------------------------------------------------------------------------------------------


async def _start_servers(supervisor: Supervisor, data: Path, settings: Settings, logs: Path | None) -> Settings:
    """Both servers, ready; returns the settings that lead to them."""
    started_s = time.monotonic()
    postgres, redis = binaries.find_postgres(), binaries.find_redis()
    data_folder.check_versions(data, postgres, redis)
    data_folder.check_owner(data)
    sockets = embedded.socket_folder(data)
    data_folder.clear_leftovers(data, sockets)
    postgres_sockets = embedded.prepare_sockets_for_postgres(sockets)
    if await asyncio.to_thread(embedded.initialise_postgres, postgres, data / "postgres"):
        say(f"made a PostgreSQL data folder in {data}")
    environ = embedded.server_environ()
    await asyncio.gather(
        supervisor.start(
            Program(
                name="postgres",
                command=embedded.postgres_command(postgres, data / "postgres", postgres_sockets),
                environ=environ,
                log=_log(logs, "postgres"),
                stop=embedded.POSTGRES_STOP,
                ready=lambda: embedded.postgres_is_ready(data / "postgres"),
            ),
            SERVER_READY_S,
        ),
        supervisor.start(
            Program(
                name="redis",
                command=embedded.redis_command(redis, data / "redis", sockets),
                environ=environ,
                log=_log(logs, "redis"),
                stop=embedded.REDIS_STOP,
                ready=lambda: embedded.redis_is_ready(sockets),
                goes_first=True,
            ),
            SERVER_READY_S,
        ),
    )
    took_s = time.monotonic() - started_s
    versions = [f"{server.flavour} {'.'.join(map(str, server.version))}" for server in (postgres, redis)]
    say(f"{' and '.join(versions)} ready after {took_s:.1f} s")
    return msgspec.structs.replace(settings, **embedded_settings(data), drain_s=min(settings.drain_s, EMBEDDED_DRAIN_S))


def embedded_settings(data: Path) -> dict[str, str]:
    """What leads to the servers and keys of the embedded engine in a folder."""
    sockets = embedded.socket_folder(data)
    postgres_sockets = embedded.postgres_socket_folder(sockets)
    return {
        "postgres_dsn": embedded.postgres_dsn(postgres_sockets),
        **_role_dsns(postgres_sockets),
        "redis_url": embedded.redis_url(sockets),
        "secrets_dir": str(data / "secrets"),
    }


def _role_dsns(sockets: Path) -> dict[str, str]:
    from engine.stores.roles import role_name

    return {f"{process}_dsn": embedded.postgres_dsn(sockets, user=role_name(process)) for process in PROCESSES}


async def _prepare(data: Path, settings: Settings) -> dict[str, str]:
    """Schema, key files, API keys; returns the API keys by scope, the same on each start."""
    from engine.sealing import secrets
    from engine.stores import api_keys, migrations

    try:
        applied = await migrations.migrate(settings.postgres_dsn)
    except migrations.MigrationError as fault:
        raise CannotStart(f"the database in {data} does not fit this version: {fault}") from None
    if applied:
        say(f"migrated the database: {', '.join(applied)}")
    secrets.create(data / "secrets")
    kept_file = data / "secrets" / "api-keys.json"
    kept: dict[str, str] = json.loads(kept_file.read_text("utf-8")) if kept_file.exists() else {}
    in_force = {row["key_id"] for row in await api_keys.listing(settings.postgres_dsn) if row["revoked_ms"] is None}
    for scope in SCOPES:
        # A key that was revoked, or whose database was deleted, opens nothing any more.
        if not any(key_id in kept.get(scope, "") for key_id in in_force):
            kept[scope] = await api_keys.create(settings.postgres_dsn, scope, KEY_LABEL)
            write_atomically(kept_file, json.dumps(kept, indent=1) + "\n")
    return kept


# --- the engine's own processes --------------------------------------------------------------------------------


def _check_secrets(settings: Settings) -> None:
    """A missing key file is missing for good: say so once, before anything is started over and over."""
    from engine.sealing import secrets

    try:
        for name in secrets.NAMES:
            secrets.read(settings.secrets_dir, name)
    except secrets.SecretError as fault:
        raise CannotStart(str(fault)) from None


async def _start_engine(supervisor: Supervisor, settings: Settings, logs: Path | None) -> None:
    _check_secrets(settings)
    started_s = time.monotonic()
    parts = [(f"worker-{number}", "serve", "engine") for number in range(settings.workers)]
    parts += [
        ("recorder-0", "record", "recorder"),
        ("grader-0", "grade", "grader"),
        ("courier-0", "deliver", "courier"),
    ]
    for name, act, process in parts:
        environ = child_environ(settings, process)
        command = [*embedded.dies_with_parent(embedded.ENGINE_STOP), sys.executable, "-m", "engine", act]
        await supervisor.start(Program(name=name, command=command, environ=environ, log=_log(logs, name)), 0)
    try:
        await supervisor.until_ready("worker-0", lambda: is_all_ready(*readyz(settings)), ENGINE_READY_S)
    except CannotStart as fault:
        status, said = await asyncio.to_thread(readyz, settings)
        raise CannotStart(f"{fault}\n/readyz: {status or 'no answer'} {said}") from None
    say(f"{', '.join(name for name, _, _ in parts)} ready after {time.monotonic() - started_s:.1f} s")
    for process in PROCESSES:
        if excess := await _excess_of(settings, process):
            say(f"{process}: {excess} (LIANKAO_{process.upper()}_DSN)")


async def _excess_of(settings: Settings, process: str) -> str:
    """What a process may do in PostgreSQL and does not need; nothing while that cannot be told."""
    from engine.stores import postgres, roles

    try:
        connection = await postgres.connect(settings.dsn_of(process))
    except postgres.UNAVAILABLE:
        return ""
    try:
        return await roles.excess_of(connection, process)
    finally:
        await connection.close()


def child_environ(settings: Settings, process: str | None) -> dict[str, str]:
    """Our environment with what `process` needs of the settings in it, and the engine found where we found it."""
    ours = (engine_settings.PREFIX, notify.VARIABLE)  # systemd wants to hear from the supervisor alone
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    root = str(Path(__file__).resolve().parents[2])
    return {
        **kept,
        **engine_settings.as_environ(settings.for_process(process)),
        "PYTHONPATH": root,
        "PYTHONSAFEPATH": "1",
        "PROMETHEUS_MULTIPROC_DIR": settings.metrics_dir,
    }


def stop_steps(drain_s: float, names: list[str]) -> list[tuple[float, list[str]]]:
    """Who is asked when and waits how long: 4.7 s together, unless the configured drain is longer."""
    servers = [name for name in names if name in ("postgres", "redis")]
    drain_s = min(drain_s, EMBEDDED_DRAIN_S) if servers else drain_s
    writers = [name for name in names if name.startswith(("recorder-", "grader-", "courier-"))]
    workers = [name for name in names if name not in servers and name not in writers]
    servers_s = SERVERS_STOP_S if servers else 0.0
    workers_s = max(drain_s + 0.7, (STOP_TOTAL_S - servers_s) / 2)
    return [(workers_s, workers), (max(0.5, STOP_TOTAL_S - servers_s - workers_s), writers), (servers_s, servers)]


def forget_metrics(folder: Path, pid: int) -> None:
    """A dead process's live gauges are nobody's any more."""
    from prometheus_client import multiprocess

    with contextlib.suppress(OSError):
        multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


# --- the door --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def reserved_port(host: str, port: int) -> Iterator[None]:
    """The port stays ours while workers come and go. Raises CannotStart when somebody else has it."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as fault:
        raise CannotStart(f"LIANKAO_HOST={host} is no address of this machine: {fault.strerror}") from None
    family, kind, _, _, address = found[0]
    with socket.socket(family, kind) as probe:
        # Without SO_REUSEPORT: with it, a second engine would quietly share the port of a first.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as fault:
            raise CannotStart(
                f"port {port} on {host} cannot be used: {str(fault.strerror).lower()}; choose another: --port N"
            ) from None
    with socket.socket(family, kind) as held:
        # Bound, never listening: connections go to the workers alone.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
        yield


def url(settings: Settings) -> str:
    """Where this machine reaches the engine."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    return f"http://{host}:{settings.port}"


def is_all_ready(status: int, said: str) -> bool:
    """Whether that answer of `/readyz` misses nothing; a worker takes traffic with less."""
    return status == 200 and not json.loads(said)["not_ready"]


def readyz(settings: Settings) -> tuple[int, str]:
    """What `/readyz` answers: status and body; 0 when nobody does."""
    line = http.client.HTTPConnection(url(settings).removeprefix("http://"), timeout=READYZ_TIMEOUT_S)
    try:
        line.request("GET", "/readyz")
        reply = line.getresponse()
        return reply.status, reply.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as fault:
        return 0, str(fault)
    finally:
        line.close()


def _log(logs: Path | None, name: str) -> Path | None:
    if logs is None:
        return None
    log = logs / f"{name}.log"
    rotate(log)
    return log
