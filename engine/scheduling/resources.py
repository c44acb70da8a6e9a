"""What all of scheduling shares in one worker."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from engine.scheduling.roster_reader import RosterReader
from engine.scheduling.sealer import Sealer
from engine.stores.memory import Memory
from engine.stores.postgres import Postgres


class Scheduling(Struct, frozen=True):
    database: Postgres
    memory: Memory
    login_key: bytes
    sealer: Sealer
    roster_reader: RosterReader
    package_keys: list[dict[str, Any]] | None  # whose packages are taken; None: everybody's
