"""Settings: `LIANKAO_*` variables over an optional TOML file. The one place that reads the environment.

A name that no setting has, or a value of the wrong type, is refused by name: a typing error must not wait
for Saturday to be noticed. `LIANKAO_X_FILE` gives the setting X as a file's content (container secrets).
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

PREFIX = "LIANKAO_"
# Read by `run` and by the search for server binaries, not by the engine itself.
LAUNCHER_NAMES = frozenset({"LIANKAO_VENV", "LIANKAO_PG_BIN", "LIANKAO_REDIS_BIN", "LIANKAO_CONFIG"})


class SettingsError(Exception):
    """A setting that cannot be used; the message names it, what it holds and what was expected."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Each field is `LIANKAO_<NAME>` in capitals, or `name` in the TOML file; `ops/README.md` explains them."""

    postgres_dsn: str = "postgresql:///liankao"
    engine_dsn: str = ""
    recorder_dsn: str = ""
    grader_dsn: str = ""
    courier_dsn: str = ""
    redis_url: str = "redis://127.0.0.1:6379/0"
    secrets_dir: str = "secrets"
    package_keys: str = ""
    key_provider: Annotated[str, Meta(pattern="^(file|pkcs11)$")] = "file"
    pkcs11_module: str = ""
    pkcs11_token: str = ""
    pkcs11_key: str = "liankao-wrap"
    pkcs11_pin_path: str = ""
    pkcs11_environ: str = ""
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 8000
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    partitions: Annotated[int, Meta(ge=1, le=256)] = 16
    postgres_connections: Annotated[int, Meta(ge=1, le=1000)] = 4
    courier_networks: str = ""
    courier_timeout_s: Annotated[float, Meta(gt=0, le=60)] = 15.0
    courier_retry_first_s: Annotated[float, Meta(gt=0, le=3600)] = 5.0
    courier_retry_max_s: Annotated[float, Meta(gt=0, le=86_400)] = 3600.0
    courier_give_up_s: Annotated[float, Meta(gt=0, le=31_536_000)] = 432_000.0
    backlog: Annotated[int, Meta(ge=128, le=65535)] = 4096
    keep_alive_s: Annotated[int, Meta(ge=5, le=3600)] = 120
    drain_s: Annotated[int, Meta(ge=0, le=300)] = 3
    metrics_dir: str = ""
    log_level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$")] = "info"

    def dsn_of(self, process: str) -> str:
        """How `process` (engine, recorder, grader, courier) reaches PostgreSQL: as its own role where one is set."""
        return str(getattr(self, f"{process}_dsn")) or self.postgres_dsn

    def for_process(self, process: str | None) -> Settings:
        """What one process is to know: its own way to PostgreSQL, and nobody else's; none for a stranger."""
        own = self.dsn_of(process) if process else ""
        nobodys = dict.fromkeys(("engine_dsn", "recorder_dsn", "grader_dsn", "courier_dsn"), "")
        return msgspec.structs.replace(self, postgres_dsn=own, **nobodys)


def load(environ: Mapping[str, str] | None = None, config_file: str | None = None) -> Settings:
    """Settings from `environ` (the process's own by default) over `config_file` or `LIANKAO_CONFIG`.

    Raises SettingsError naming the offending variable or the line of the file.
    """
    environ = os.environ if environ is None else environ
    chosen: dict[str, Any] = {}
    path = config_file or environ.get("LIANKAO_CONFIG")
    if path:
        chosen.update(_read_toml(Path(path)))
    chosen.update(_read_environ(environ))
    try:
        settings = msgspec.convert(chosen, Settings, strict=False)
    except msgspec.ValidationError as fault:
        raise SettingsError(_named(str(fault), chosen)) from None
    _check_networks(settings.courier_networks)
    return settings


def as_environ(settings: Settings) -> dict[str, str]:
    """The same settings as variables, for a child process."""
    return {PREFIX + name.upper(): str(value) for name, value in msgspec.structs.asdict(settings).items()}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as fault:
        raise SettingsError(f"settings file {path}: {fault.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise SettingsError(f"settings file {path}: {fault}") from None
    for name in found:
        if name not in Settings.__struct_fields__:
            raise SettingsError(f"settings file {path}: unknown setting {name!r}; known: {_known()}")
    return found


def _read_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable in LAUNCHER_NAMES:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name.endswith("_file") and name.removesuffix("_file") in Settings.__struct_fields__:
            name = name.removesuffix("_file")
            try:
                text = Path(text).read_text("utf-8").strip()
            except OSError as fault:
                raise SettingsError(f"{variable}={text}: {fault.strerror}") from None
        if name not in Settings.__struct_fields__:
            raise SettingsError(f"unknown setting {variable}; known: {_known()}")
        found[name] = text
    return found


def _check_networks(text: str) -> None:
    for part in filter(None, map(str.strip, text.split(","))):
        try:
            ipaddress.ip_network(part)
        except ValueError as fault:
            raise SettingsError(f"{PREFIX}COURIER_NETWORKS={text!r}: {fault}; expected CIDR, as 10.0.0.0/8") from None


def _known() -> str:
    return ", ".join(PREFIX + name.upper() for name in Settings.__struct_fields__)


def _named(message: str, chosen: Mapping[str, Any]) -> str:
    name = message.rpartition("$.")[2].rstrip("`")
    return f"{PREFIX}{name.upper()}={chosen.get(name)!r}: {message}"
