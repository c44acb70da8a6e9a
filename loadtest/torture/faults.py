"""What is done to the engine, and in which order: faults behind one small protocol, planned from a seed.

A fault says which process classes it strikes: it waits until an earlier fault on one of them is over, and meanwhile
others go on, so outages overlap as they like. `strike` returns when the engine has what it needs to recover; raises
NotBack when it has not recovered within its patience.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from loadtest.torture.field import CLASSES, Field

STOPPED_S = 5.0
ALONE_S = 1.0  # enough for a few changes of everybody, less than a lease
GAP_S = (0.3, 2.5)  # between two strikes; with the wait for each class this leaves time to answer and to hand in


class Fault(Protocol):
    """One thing that goes wrong. `kind` is what the summary counts it under: `kills`, `stops`, `power_losses` …"""

    @property
    def kind(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def targets(self) -> tuple[str, ...]: ...

    async def strike(self, field: Field) -> None: ...


@dataclass(frozen=True)
class Kill:
    """SIGKILL to one process of a class."""

    target: str
    member: int = 0
    kind = "kills"

    @property
    def name(self) -> str:
        return f"kill {self.target}"

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    async def strike(self, field: Field) -> None:
        name = _member(field, self.target, self.member)
        pid = field.signal(name, signal.SIGKILL)
        await field.until_replaced(name, pid)


@dataclass(frozen=True)
class Stop:
    """SIGSTOP, and SIGCONT after a while: the process lives, holds its connections and does nothing."""

    target: str
    member: int = 0
    stopped_s: float = STOPPED_S
    kind = "stops"

    @property
    def name(self) -> str:
        return f"stop {self.target}"

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    async def strike(self, field: Field) -> None:
        name = _member(field, self.target, self.member)
        field.signal(name, signal.SIGSTOP)
        try:
            await asyncio.sleep(self.stopped_s)
        finally:
            field.signal(name, signal.SIGCONT)


@dataclass(frozen=True)
class While:
    """Another fault while one class stands still: what that class had not yet taken over is nowhere else."""

    stopped: str
    fault: Fault

    @property
    def kind(self) -> str:
        return self.fault.kind

    @property
    def name(self) -> str:
        return f"{self.fault.name} while {self.stopped} is stopped"

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple({self.stopped, *self.fault.targets})

    async def strike(self, field: Field) -> None:
        names = field.members(self.stopped)
        for name in names:
            field.signal(name, signal.SIGSTOP)
        try:
            await asyncio.sleep(ALONE_S)
            await self.fault.strike(field)
        finally:
            for name in names:
                field.signal(name, signal.SIGCONT)


@dataclass(frozen=True)
class Planned:
    """A fault and how long to wait before it."""

    gap_s: float
    fault: Fault


def plan(kills: int, stops: int, dice: random.Random, more: Sequence[Fault] = ()) -> list[Planned]:
    """`kills` and `stops` per process class and all of `more`, shuffled, with random gaps: a function of the dice."""
    faults: list[Fault] = [Kill(target, dice.randrange(8)) for target in CLASSES for _ in range(kills)]
    faults += [Stop(target, dice.randrange(8)) for target in CLASSES for _ in range(stops)]
    faults += more
    dice.shuffle(faults)
    return [Planned(dice.uniform(*GAP_S), fault) for fault in faults]


async def strike_all(field: Field, planned: Sequence[Planned], struck: Callable[[Fault], None]) -> None:
    """Strike in order; returns when the last one is over. `struck` is called as each begins. Raises NotBack."""
    under_way: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as strikes:
        for each in planned:
            await asyncio.sleep(each.gap_s)
            earlier = {under_way[target] for target in each.fault.targets if target in under_way}
            if earlier:
                await asyncio.wait(earlier)
            struck(each.fault)
            task = strikes.create_task(each.fault.strike(field))
            under_way.update(dict.fromkeys(each.fault.targets, task))


def _member(field: Field, target: str, number: int) -> str:
    members = field.members(target)
    return members[number % len(members)]
