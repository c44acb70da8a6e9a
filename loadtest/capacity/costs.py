"""What one unit costs: a file that `./run capacity` writes and `./run capacity plan` reads. Pure but for the file.

Every cost says where it comes from. `costs.json` beside this module is kept for who has not measured yet; a measured
file replaces it cost by cost.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

KEPT = Path(__file__).with_name("costs.json")
NOT_MEASURED = "kept, not measured here: "


class Cost(Struct, frozen=True):
    """`how` says in one sentence how it was measured, and at what load."""

    value: float
    unit: str
    how: str


class Costs(Struct, kw_only=True):
    """By name, with the circumstances of the machine. Names are those that plan.py asks for."""

    machine: str
    measured_on: str
    costs: dict[str, Cost]


class CostsFault(Exception):
    """A costs file that cannot be used; the message says what is wrong where."""


# What a bill needs, with its unit.
NEEDED = {
    "engine_us_per_save": "us",
    "redis_us_per_save": "us",
    "recorder_us_per_save": "us",
    "postgres_us_per_save": "us",
    "generator_us_per_save": "us",
    "knee_per_engine_core": "saves/s",
    "engine_us_per_entry": "us",
    "engine_kib_per_channel": "KiB",
    "redis_kib_per_sitting": "KiB",
    "postgres_bytes_per_change": "B",
    "sealed_paper_bytes": "B",
    "wire_down_bytes_per_save": "B",
    "wire_up_bytes_per_save": "B",
    "page_cold_bytes": "B",
    "key_wire_bytes": "B",
    "keys_per_s_per_worker": "1/s",
}


def read(file: Path) -> Costs:
    """What `file` says, filled up from what is kept. Raises CostsFault."""
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Costs)
    except (OSError, msgspec.DecodeError) as fault:
        raise CostsFault(f"{file}: {fault}") from None
    if file != KEPT:
        found = filled_up(found)
    costs = {}
    for name, unit in NEEDED.items():
        cost = found.costs.get(name)
        if cost is None:
            raise CostsFault(f"{file}: no cost {name}")
        if cost.unit != unit or not cost.value > 0:
            raise CostsFault(f"{file}: {name} is {cost.value} {cost.unit}, expected more than 0 {unit}")
        costs[name] = cost
    return Costs(machine=found.machine, measured_on=found.measured_on, costs=costs)


def filled_up(measured: Costs) -> Costs:
    """With what is kept for everything that was not measured, which then says so."""
    costs = {}
    for name, was in msgspec.json.decode(KEPT.read_bytes(), type=Costs).costs.items():
        how = was.how if was.how.startswith(NOT_MEASURED) else NOT_MEASURED + was.how
        costs[name] = measured.costs.get(name) or Cost(was.value, was.unit, how)
    return Costs(machine=measured.machine, measured_on=measured.measured_on, costs=costs)


def write(measured: Costs, file: Path) -> None:
    """All that a bill needs. Raises CostsFault when it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(filled_up(measured)), indent=2) + b"\n")
    except OSError as fault:
        raise CostsFault(f"{file}: {fault}") from None
