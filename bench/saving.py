"""Saves beside their floor: how many per second, what each costs in every process, how long they take at half load.

Floor and engine take turns within one run, with the same requests from the same driver: a machine that slows down
slows both. Costs count until PostgreSQL has everything, so that nobody's work is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from bench.driver import Driver, Load
from bench.field import Exam, Field
from bench.rows import BenchFault, Row, median
from loadtest import usage

SITTINGS = 5_000
FEW, MANY = 200, 50_000
ROUNDS = 3
WARM_S = 0.5
HALF_LOAD_S_MIN = 5.0
ECHOED = '"type":"save"'  # the floor's answer to a save over a channel: the save
CHANNEL_PATH = "/v1/channel"


class Plan(Struct, frozen=True, kw_only=True):
    """How long and with how many connections."""

    seconds: float = 3.0
    connections: int = 256
    sittings: int = SITTINGS
    rounds: int = ROUNDS
    minutes: float = 10.0


class Round(Struct, frozen=True):
    """One run against the engine: the driver's figures and CPU seconds by role, over all saves that it answered."""

    load: Load
    cpu_s: Mapping[str, float]
    drained_s: float

    def cpu_us(self) -> dict[str, float]:
        return {role: seconds / self.load.answered * 1e6 for role, seconds in self.cpu_s.items()}


def http_save(field: Field, plan: Plan) -> list[Row]:
    exam = field.exam("saves", plan.sittings)
    field.warm(exam)
    options = {"connections": plan.connections, "outstanding": plan.connections}
    return _compare("http_save", field, exam, plan, options, options, ("asgi",))


def channel_save(field: Field, plan: Plan) -> list[Row]:
    """All sittings have a channel; as many saves as over HTTP are under way, each on a random channel.

    The floor is the faster of two echoes: uvicorn's own WebSockets, and a bare protocol on the engine's frames.
    """
    exam = field.exam("saves", plan.sittings)
    options = {"connections": plan.sittings, "outstanding": plan.connections, "channel": 1, "path": CHANNEL_PATH}
    return _compare("channel_save", field, exam, plan, options, {**options, "answer": ECHOED}, ("asgi", "echo"))


def save_growth(field: Field, plan: Plan) -> list[Row]:
    """The engine's own CPU per save, few sittings against many, taking turns."""
    few, many = field.exam("few", FEW), field.exam("many", MANY)
    for exam in (few, many):
        field.warm(exam)
    options = {"connections": plan.connections, "outstanding": plan.connections, "seconds": plan.seconds}
    costs: dict[str, list[float]] = {"few": [], "many": []}
    for _ in range(plan.rounds):
        for name, exam in (("few", few), ("many", many)):
            with field.saving(exam, warm=WARM_S, **options) as driver:
                costs[name].append(measured(field, driver).cpu_us()["engine"])
    few_us, many_us = median(costs["few"]), median(costs["many"])
    return [
        Row("save_cpu_us_engine_200_sittings", few_us, "us"),
        Row("save_cpu_us_engine_50000_sittings", many_us, "us"),
        Row("save_cpu_growth", many_us / few_us, "x"),
    ]


def measured(field: Field, driver: Driver) -> Round:
    """Run a driver against the engine and wait for the recorder. Raises BenchFault when the run is void."""
    driver.wait_ready()
    before = field.cpu()
    driver.go()
    load = driver.finish()
    drained_s = field.drained()
    cpu_s = usage.spent(before, field.cpu())
    return Round(sound(load), cpu_s, drained_s)


def sound(load: Load) -> Load:
    """Raises BenchFault when nothing can be read off it."""
    if load.why_void:
        raise BenchFault(load.why_void)
    return load


def _compare(
    name: str,
    field: Field,
    exam: Exam,
    plan: Plan,
    options: dict[str, Any],
    floor_options: dict[str, Any],
    kinds: Sequence[str],
) -> list[Row]:
    floors: dict[str, list[Load]] = {kind: [] for kind in kinds}
    rounds: list[Round] = []
    for _ in range(plan.rounds):
        for kind, loads in floors.items():
            with field.floor(exam, kind, seconds=plan.seconds, warm=WARM_S, **floor_options) as driver:
                driver.wait_ready()
                driver.go()
                loads.append(sound(driver.finish()))
        with field.saving(exam, seconds=plan.seconds, warm=WARM_S, **options) as driver:
            rounds.append(measured(field, driver))
    prefix = name.removesuffix("_save")
    per_s = {kind: median([load.per_s for load in loads]) for kind, loads in floors.items()}
    fastest = max(per_s, key=per_s.__getitem__)
    save_per_s = median([done.load.per_s for done in rounds])
    rows = [
        *(Row(f"{prefix}_floor_{kind}_per_s", each, "1/s") for kind, each in per_s.items()),
        Row(f"{name}_per_s", save_per_s, "saves/s"),
        Row(f"{name}_ratio", save_per_s / per_s[fastest], "x"),
        *_costs(name, rounds),
        Row(f"{name}_p50_full_load_ms", median([done.load.p50_ms for done in rounds]), "ms"),
        Row(f"{name}_p99_full_load_ms", median([done.load.p99_ms for done in rounds]), "ms"),
        Row(f"{name}_drained_s", median([done.drained_s for done in rounds]), "s"),
        Row(f"{prefix}_floor_driver_share", median([load.driver_share for load in floors[fastest]]), "cores"),
        Row(f"{name}_driver_share", median([done.load.driver_share for done in rounds]), "cores"),
    ]
    return rows + _half_load(name, field, exam, plan, {**options, "rate": save_per_s / 2})


def _costs(name: str, rounds: list[Round]) -> list[Row]:
    costs = [done.cpu_us() for done in rounds]
    rows = [Row(f"{name}_cpu_us", median([sum(cost.values()) for cost in costs]), "us")]
    for role in sorted({role for cost in costs for role in cost}):
        rows.append(Row(f"{name}_cpu_us_{role.lower()}", median([cost.get(role, 0.0) for cost in costs]), "us"))
    return rows


def _half_load(name: str, field: Field, exam: Exam, plan: Plan, options: dict[str, Any]) -> list[Row]:
    seconds = max(plan.seconds, HALF_LOAD_S_MIN)
    with field.saving(exam, seconds=seconds, warm=WARM_S, **options) as driver:
        load = measured(field, driver).load
    prefix = "" if name == "http_save" else "channel_"
    return [
        Row(f"{prefix}ack_p50_half_load_ms", load.p50_ms, "ms"),
        Row(f"{prefix}ack_p99_half_load_ms", load.p99_ms, "ms"),
        Row(f"{prefix}ack_max_half_load_ms", load.max_ms, "ms"),
    ]
