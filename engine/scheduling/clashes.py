"""Where an armed batch meets others at the same time: seats that two are to have, extra time that reaches into another.

Seats are given one batch after the other, and a draft may be moved in time afterwards; a roster may name any seat. So
it is looked at once more at arming. Nothing is refused for it: the machine may have been given away since, and the
windows of two batches tell nobody's extra time.
"""

from __future__ import annotations

from engine.rules import timing
from engine.rules.calendar import Warned
from engine.rules.limits import DURATION_S_MAX, EXTRA_TIME_S_MAX, RULE_S_MAX
from engine.rules.terms import Batch
from engine.stores.postgres import Connection
from engine.stores.sql import Queries

_queries = Queries(__file__)
LONGEST_MS = (DURATION_S_MAX + RULE_S_MAX + EXTRA_TIME_S_MAX) * 1000  # from a start to the last closing


async def clashes_warned(connection: Connection, batch: Batch) -> list[Warned]:
    """Each with how many there are, and the first of them."""
    closes_ms = timing.boundaries(batch, 0).closes_ms
    window = (batch.batch_id, batch.starts_ms, closes_ms, batch.starts_ms - LONGEST_MS)
    found: list[Warned] = []
    seat = await connection.fetchrow(_queries.seats_shared, *window, EXTRA_TIME_S_MAX * 1000)
    if seat is not None:
        told = f"{seat['seats']} seats are also those of candidates of other batches at the same time, the first is"
        place = f"{seat['seat']!r} of room {seat['room']!r} at {seat['site']!r}, of batch {seat['batch_id']!r} too"
        found.append(Warned("seat.shared", f"{told} {place}"))
    person = await connection.fetchrow(_queries.extra_time_reaching, *window)
    if person is not None:
        told = f"the extra time of {person['people']} candidates reaches from one batch into another, the first is"
        found.append(
            Warned("roster.extra_time", f"{told} {person['candidate_id']!r}, of batch {person['batch_id']!r} too")
        )
    return found
