"""Whose request is waited for, and until when.

Promise: a connection that never asks, or sends a request so slowly that it never ends, does not stay. None of it costs
a timer: save calls that come whole never get here, the others are noted in a dict and looked at once a second.
How: two waits, each with one duration, so that both dicts stand in the order in which they run out.
Not here: what is done with a connection whose time is over (protocol.py); idle ones between requests (its keep-alive).
"""

from __future__ import annotations

import asyncio
from itertools import takewhile
from typing import Protocol

from engine import log
from engine.rules.limits import FIRST_REQUEST_S, REQUEST_S
from engine.stores.clock import monotonic_s

_LOOK_EVERY_S = 1.0


class Awaited(Protocol):
    """A connection that may be waited for."""

    def lose_patience(self) -> None:
        """Its time is over: end it, or wait for it again."""


class Patience:
    """All connections of one worker that owe a request."""

    def __init__(self) -> None:
        self._fresh: dict[Awaited, float] = {}  # nothing has come yet -> until when
        self._begun: dict[Awaited, float] = {}  # a part of a request has

    def await_first(self, connection: Awaited) -> None:
        self._fresh[connection] = monotonic_s() + FIRST_REQUEST_S

    def await_rest(self, connection: Awaited) -> None:
        """A part of a request has come; the time begins anew only for one that was not waited for."""
        self._fresh.pop(connection, None)
        if connection not in self._begun:
            self._begun[connection] = monotonic_s() + REQUEST_S

    def forget(self, connection: Awaited) -> None:
        self._fresh.pop(connection, None)
        self._begun.pop(connection, None)

    async def watch(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            self.look(monotonic_s())

    def look(self, now_s: float) -> None:
        """End what is over by now."""
        for waiting in (self._fresh, self._begun):
            over = list(takewhile(lambda each: waiting[each] <= now_s, waiting))  # noqa: B023 - taken at once
            for connection in over:
                del waiting[connection]
                try:
                    connection.lose_patience()
                except Exception:  # one connection must not keep the others
                    log.logger().exception("protocol.patience_failed")
