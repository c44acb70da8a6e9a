"""Embedded PostgreSQL and Valkey: how a data directory is made, how each is started, asked and stopped.

PostgreSQL refuses to run as root. There it gets a user namespace in which root's files belong to uid 65534, so
that nothing is chowned and no user is made; where namespaces are forbidden, it really becomes uid 65534.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from engine.supervision.binaries import Binary, CannotEmbed
from engine.supervision.durable import sync_folder

# The kernel's limit is 107 bytes and a NUL; `.s.PGSQL.5432.lock` is the longest name put behind the directory.
SOCKET_PATH_BYTES_MAX = 107
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._~+-]+")
POSTGRES_PORT = 5432  # only a part of the socket's name: nothing listens on TCP
DATABASE = "liankao"
USER = "liankao"
NOBODY = 65534  # a mapped uid must exist in passwd, and this one always does
INITDB_TIMEOUT_S = 120
# PostgreSQL's log grows by whole files, written full of zeros and synced, and meanwhile Redis's syncs wait: the usual
# 16 MiB take as long as many saves. Files of checkpoints past are used again, so that after the first few none is made.
WAL_FILE_MIB = 4
WAL_KEPT = "128MB"

# How each server is asked to stop, by us or, when the supervisor is gone, by the kernel.
POSTGRES_STOP = signal.SIGINT  # "fast"; SIGTERM would wait for the clients to leave
REDIS_STOP = signal.SIGTERM
# The engine's own processes are crash-only: nothing they hold would be saved by a slower end.
ENGINE_STOP = signal.SIGKILL


# --- who it runs as, and that it dies with us -------------------------------------------------------------------


class Identity(Struct, frozen=True):
    """How PostgreSQL stops being root: `prefix` before its command; `uid` when its files must be chowned."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None


@functools.cache
def postgres_identity() -> Identity:
    """An ordinary user needs nothing; root takes a user namespace, else becomes uid 65534."""
    if os.geteuid() != 0:
        return Identity()
    prefix = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")
    if shutil.which("unshare") and _succeeds([*prefix, "true"]):
        return Identity(prefix=prefix)
    if shutil.which("setpriv"):
        return Identity(prefix=("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"), uid=NOBODY)
    raise CannotEmbed("PostgreSQL refuses to run as root, and neither unshare nor setpriv works: run as another user")


@functools.cache
def dies_with_parent(stop: signal.Signals) -> tuple[str, ...]:
    """A command prefix: the kernel sends `stop` when the thread that started the process is gone.

    Goes last before the program: a change of user clears the wish. Empty where the kernel or setpriv lacks it.
    """
    prefix = ("setpriv", "--pdeathsig", stop.name.removeprefix("SIG"))
    if not shutil.which("setpriv") or not _succeeds([*prefix, "true"]):
        return ()
    # The parent may have died before the wish was made: then nobody would ever send the signal.
    return (*prefix, "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid()))


def _succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


# --- places ----------------------------------------------------------------------------------------------------


def socket_folder(data: Path) -> Path:
    """A folder for the servers' sockets, ours alone, the same for the same data on each start.

    Inside `data` where the kernel's path limit, the file system and drivers (which take a comma for a list of hosts)
    allow it, else in the temporary folder.
    """
    name = "liankao-" + hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:10]
    for folder in (data.resolve() / "sockets", Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}"):
        longest = f"{folder}/pg/.s.PGSQL.{POSTGRES_PORT}.lock"
        if len(os.fsencode(longest)) <= SOCKET_PATH_BYTES_MAX and PLAIN_PATH.fullmatch(longest):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _owned_by_us(folder) and _takes_sockets(folder):
                folder.chmod(0o700 if postgres_identity().uid is None else 0o711)
                return folder
    raise CannotEmbed(f"no folder for unix sockets: {data} is too long, and the temporary folder does not take them")


def _owned_by_us(folder: Path) -> bool:
    return not folder.is_symlink() and folder.stat().st_uid == os.geteuid()


def _takes_sockets(folder: Path) -> bool:
    probe = folder / f".probe-{os.getpid()}"
    try:
        with socket.socket(socket.AF_UNIX) as tried:
            tried.bind(str(probe))
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True


def postgres_dsn(sockets: Path, database: str = DATABASE, user: str = USER) -> str:
    return f"postgresql://{user}@/{database}?host={sockets}&port={POSTGRES_PORT}"


def redis_url(sockets: Path) -> str:
    return f"unix://{sockets}/redis.sock"


# --- state, told without a driver -------------------------------------------------------------------------------


def postgres_is_ready(folder: Path) -> bool:
    """The postmaster says so in the eighth line of its pid file (what `pg_ctl -w` waits for)."""
    try:
        lines = (folder / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


def redis_is_ready(sockets: Path) -> bool:
    """Answers PING; while it still reads its file it answers `-LOADING`."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(0.5)
            line.connect(f"{sockets}/redis.sock")
            line.sendall(b"PING\r\n")
            return line.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def postgres_major_of(folder: Path) -> int | None:
    """The major version that made this data directory; None when there is none yet."""
    try:
        return int((folder / "PG_VERSION").read_text().strip().split(".")[0])
    except (OSError, ValueError):
        return None


def server_environ() -> dict[str, str]:
    """Only what a server needs: no PG* or LC_* of the user's may change what it does."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}


# --- command lines ---------------------------------------------------------------------------------------------


def initialise_postgres(binary: Binary, folder: Path, *, sync: bool = True) -> bool:
    """Make the data directory with our database in it, unless it is there; True when made.

    `sync=False` is for clusters that nobody keeps. Raises CannotEmbed with what initdb said.
    """
    who = postgres_identity()
    if who.uid is not None:
        folder.parent.chmod(0o711)  # the other user must get through; what else is in there is 0700
    _check_reach(who, binary.path, folder.parent)
    if (folder / "PG_VERSION").exists():
        return False
    making = folder.with_name(folder.name + ".making")  # renamed when complete: a killed initdb leaves no half
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700, parents=True)
    if who.uid is not None:
        os.chown(making, who.uid, who.uid)
    command = [*who.prefix, str(binary.path.parent / "initdb"), "-D", str(making), "-U", USER, "--auth=trust"]
    # Trust is safe here: the only way in is a socket in a folder that only we can enter.
    options = ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions", f"--wal-segsize={WAL_FILE_MIB}"]
    options += [] if sync else ["--no-sync"]
    if binary.major < 18:
        options.append("--data-checksums")  # the default from 18 on
    _finished("initdb", [*command, *options])
    server = [*who.prefix, str(binary.path), "--single", "-D", str(making), "postgres"]
    _finished("creating the database", server, f"CREATE DATABASE {DATABASE}\n")
    if sync:  # initdb synced what it made, but nobody the name of the new database's folder
        _finished("syncing the data folder", [*command, "--sync-only"])
    making.rename(folder)
    sync_folder(folder.parent)
    return True


def _check_reach(who: Identity, *paths: Path) -> None:
    """Without root's powers PostgreSQL may not get where root put things: say so instead of `initdb failed`."""
    for path in paths:
        if who.prefix and not _succeeds([*who.prefix, "test", "-x", str(path)]):
            raise CannotEmbed(
                f"PostgreSQL refuses to run as root, and as another user it cannot get to {path}: "
                "run as an ordinary user, or where every user may enter (--data DIR, LIANKAO_VENV=DIR)"
            )


def _finished(what: str, command: list[str], told: str = "") -> None:
    done = subprocess.run(
        command, input=told, env=server_environ(), capture_output=True, text=True, timeout=INITDB_TIMEOUT_S
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:]
        raise CannotEmbed(f"{what} failed (exit {done.returncode}): {' | '.join(said)}")


def postgres_socket_folder(sockets: Path) -> Path:
    """PostgreSQL's own sub-folder: it may run under another uid, which must be able to write there."""
    return sockets / "pg"


def prepare_sockets_for_postgres(sockets: Path) -> Path:
    """Make PostgreSQL's sub-folder, 0700, its owner PostgreSQL's."""
    folder = postgres_socket_folder(sockets)
    folder.mkdir(mode=0o700, exist_ok=True)
    who = postgres_identity()
    if who.uid is not None:
        os.chown(folder, who.uid, who.uid)
    return folder


def postgres_command(binary: Binary, folder: Path, sockets: Path) -> list[str]:
    """The postmaster, durable, on a socket only, sized for a demo or a rehearsal on one machine."""
    chosen = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "port": str(POSTGRES_PORT),
        # The engine says `committed` when PostgreSQL says so: this is where the promise becomes true.
        "synchronous_commit": "on",
        "fsync": "on",
        "full_page_writes": "on",
        "max_connections": "100",
        "shared_buffers": "64MB",
        "min_wal_size": WAL_KEPT,
        "max_wal_size": "512MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    settings = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
    server = [str(binary.path), "-D", str(folder), *settings]
    return [*postgres_identity().prefix, *dies_with_parent(POSTGRES_STOP), *server]


def redis_command(binary: Binary, folder: Path, sockets: Path) -> list[str]:
    """The server, every write fsynced before its reply, on a socket only."""
    chosen = {
        "port": "0",
        "unixsocket": f"{sockets}/redis.sock",
        "unixsocketperm": "700",
        "dir": str(folder),
        "daemonize": "no",
        # `saved` means on disk.
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        # Killed in the middle of a write, the file ends in half a command, which nobody was ever answered for:
        # with `always` the reply comes after the fsync. Cutting that tail loses no acknowledged answer. A fault
        # anywhere else still stops the server from starting: nothing is repaired silently.
        "aof-load-truncated": "yes",
        "save": "",
        # Full means refuse: an evicted key would be a lost answer.
        "maxmemory-policy": "noeviction",
        # A sitting's hash stays one flat block of memory: up to 512 items of up to 1 KiB.
        "hash-max-listpack-entries": "512",
        "hash-max-listpack-value": "1024",
    }
    settings = [part for name, value in chosen.items() for part in (f"--{name}", value)]
    return [*dies_with_parent(REDIS_STOP), str(binary.path), *settings]
