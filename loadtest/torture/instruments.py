"""The faults of a campaign beyond kills and stops, with what must lie under the engine for them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from loadtest.own_engine import EngineMissing
from loadtest.torture.clocks import HOUR_S, ClockStep, NoSteppedClock, SteppedClocks
from loadtest.torture.faults import Fault, While
from loadtest.torture.field import Ground
from loadtest.torture.powerloss import ForgetfulGround, NoFuse, PowerLoss
from loadtest.torture.volumes import FullVolume, NoVolumes, SmallVolumes
from loadtest.torture.wiring import CONDITIONS, CandidatesWire, WireFault


@dataclass
class Instruments:
    """What was asked for, ready to be planned and laid."""

    faults: list[Fault] = field(default_factory=list)
    grounds: list[Ground] = field(default_factory=list)
    wire: CandidatesWire | None = None


class NotTogether(Exception):
    """Two kinds of faults need different grounds under the same folder."""


# Keeps a campaign from being held: said, never passed over.
CANNOT = (EngineMissing, NoFuse, NoVolumes, NoSteppedClock, NotTogether)


def instruments(
    power_losses: int, full_volumes: int, cuts: int, dice: random.Random, clock_steps: int = 0
) -> Instruments:
    """Raises NotTogether; what the machine cannot do shows when the grounds are laid."""
    if power_losses and full_volumes:
        raise NotTogether("--power-losses and --full-volumes lay different disks under the data: one campaign each")
    found = Instruments()
    if cuts:
        found.wire = CandidatesWire()
        found.faults += [WireFault(found.wire, dice.choice(sorted(CONDITIONS))) for _ in range(cuts)]
    if full_volumes:
        found.grounds.append(SmallVolumes())
        found.faults += [FullVolume(target) for target in ("redis", "postgres") for _ in range(full_volumes)]
    if clock_steps:
        # Not Redis's: candidates are told that it is over while it lasts, and simulated ones take that for the end.
        clocks = SteppedClocks()
        found.grounds.append(clocks)
        found.faults += [ClockStep(clocks, "postgres", dice.choice((-HOUR_S, HOUR_S))) for _ in range(clock_steps)]
    if power_losses:
        disk = ForgetfulGround()
        found.grounds.append(disk)
        for number in range(power_losses):
            loss = PowerLoss(disk, dice.getrandbits(32))
            # Every other one while nobody records: then PostgreSQL cannot help Redis out.
            found.faults.append(While("recorder", loss) if number % 2 else loss)
    return found
