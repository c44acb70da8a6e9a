"""The faults of a campaign beyond kills and stops, with what must lie under the engine for them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from loadtest.torture.faults import Fault, While
from loadtest.torture.field import Ground
from loadtest.torture.powerloss import ForgetfulGround, PowerLoss


@dataclass
class Instruments:
    """What was asked for, ready to be planned and laid."""

    faults: list[Fault] = field(default_factory=list)
    grounds: list[Ground] = field(default_factory=list)


def instruments(power_losses: int, dice: random.Random) -> Instruments:
    """Raises nothing yet: what the machine cannot do shows when the grounds are laid."""
    found = Instruments()
    if power_losses:
        disk = ForgetfulGround()
        found.grounds.append(disk)
        for number in range(power_losses):
            loss = PowerLoss(disk, dice.getrandbits(32))
            # Every other one while nobody records: then PostgreSQL cannot help Redis out.
            found.faults.append(While("recorder", loss) if number % 2 else loss)
    return found
