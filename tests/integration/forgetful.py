"""A forgetful disk for tests, and the servers on it as the engine runs them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.supervision import binaries, embedded
from loadtest.torture.powerloss import ForgetfulDisk, NoFuse, check_fuse
from tests.servers import SERVER_READY_S, temporary_folder, wait_until


@contextmanager
def forgetful_disk() -> Iterator[ForgetfulDisk]:
    """A mounted disk in a temporary folder. Where FUSE is not allowed the test says so; under CI it fails."""
    try:
        check_fuse()
    except NoFuse as fault:
        if os.environ.get("CI"):
            pytest.fail(str(fault))
        pytest.skip(str(fault))
    with temporary_folder("disk") as folder, ForgetfulDisk(folder / "backing", folder / "mount") as disk:
        if embedded.postgres_identity().uid is not None:
            folder.chmod(0o711)
        yield disk


@contextmanager
def valkey_on(
    folder: Path, sockets: Path, environ: Mapping[str, str] | None = None, **settings: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A server with its data in `folder`; killed afterwards, never asked to stop: that would write its file."""
    command = embedded.redis_command(binaries.find_redis(), folder, sockets)
    command += [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", value)]
    with _running(command, sockets / "redis.log", environ) as child:
        wait_until(lambda: child.poll() is not None or embedded.redis_is_ready(sockets), SERVER_READY_S, "Redis ready")
        assert child.poll() is None, (sockets / "redis.log").read_text()
        yield child


@contextmanager
def postgres_on(
    folder: Path, sockets: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A durable server with its data in `folder`, which must have been initialised."""
    command = embedded.postgres_command(
        binaries.find_postgres(), folder, embedded.prepare_sockets_for_postgres(sockets)
    )
    (folder / "postmaster.pid").unlink(missing_ok=True)  # of a server that is gone, and its number may be another's
    with _running(command, sockets / "postgres.log", environ) as child:
        ready = lambda: child.poll() is not None or embedded.postgres_is_ready(folder)  # noqa: E731
        wait_until(ready, SERVER_READY_S, "PostgreSQL ready")
        assert child.poll() is None, (sockets / "postgres.log").read_text()
        yield child


@contextmanager
def _running(
    command: list[str], log_file: Path, environ: Mapping[str, str] | None
) -> Iterator[subprocess.Popen[bytes]]:
    env = {**os.environ, **(environ or {})}
    with open(log_file, "ab") as log:
        child = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env, start_new_session=True
        )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
