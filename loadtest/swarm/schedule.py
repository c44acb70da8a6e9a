"""When the next change of one candidate is due: an exponential pause whose rate follows the plan. Pure.

How: thinning (Lewis and Shedler 1979). Candidate instants are drawn at the highest rate there is; each stays with the
share that the rate of its own instant has of it. So a rate that changes between phases holds from the first second on,
and two candidates never fall into step. The next instant counts from the last **due** one, not from when somebody woke
up: a generator that is late does not save less often.
"""

from __future__ import annotations

import random
from collections.abc import Callable


def next_due_ms(
    from_ms: float, until_ms: float, rate_at: Callable[[float], float], rate_max: float, dice: random.Random
) -> float | None:
    """The next due instant after `from_ms`; None where there is none before `until_ms`."""
    if rate_max <= 0:
        return None
    due_ms = from_ms
    while True:
        due_ms += dice.expovariate(rate_max) * 1000
        if due_ms >= until_ms:
            return None
        if dice.random() * rate_max < rate_at(due_ms):
            return due_ms
