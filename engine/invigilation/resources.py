"""What all of invigilation shares in one worker.

Two kinds of callers: a proctor's call begins with `await require(request, "proctor")` (engine/access.py); a candidate's
with `candidates.authenticate(request.scope)`, and `await candidates.standing(token)` tells whether that login still
counts and how the sitting stands. Unlike delivery this room may wait for PostgreSQL: nothing here is needed for an
answer to be saved.
"""

from __future__ import annotations

import asyncio

from msgspec import Struct, field

from engine.candidates import Candidates
from engine.rules.limits import EVENT_WRITERS_MAX
from engine.stores.memory import Memory
from engine.stores.postgres import Postgres


class Invigilation(Struct, frozen=True):
    database: Postgres
    memory: Memory
    candidates: Candidates
    reporting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(EVENT_WRITERS_MAX))  # see events.py
