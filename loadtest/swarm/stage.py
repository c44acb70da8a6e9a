"""One Locust process and its part in a load test: alone, as the master of several machines, or as a worker.

Alone it plays share `index` of `of`; a worker plays the share that the master has numbered it; the master plays nobody
and waits for what the workers have noted (gathering.py).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import gevent
from gevent.lock import RLock

from loadtest.sizing.plan import Plan
from loadtest.swarm.gathering import Gathering, deliver
from loadtest.swarm.play import Play

PATIENCE_S = 300.0  # after the plan's end: longer than anybody waits for a receipt
SAYS_S = 1.0


class Stage:
    """`environment` is Locust's. `beside`: how many users of it are no candidates."""

    def __init__(self, environment: Any, plan: Plan, digest: str, index: int, of: int, out: Path, beside: int) -> None:
        self.environment = environment
        self.plan, self.digest, self.out, self.beside = plan, digest, out, beside
        self.index, self.of = index, of
        self.gathering: Gathering | None = None
        self._play: Play | None = None
        self._delivered = False
        self._making = RLock()

    @property
    def play(self) -> Play:
        """Made when the first user asks: only then a worker knows its number and how many there are.

        The others wait meanwhile: finding the engine's address lets them run.
        """
        if self._play is None:
            with self._making:
                if self._play is None:
                    play = Play(self.plan, self.index, self.of, self.environment.events.request.fire)
                    play.start()
                    self._play = play
        return self._play

    @property
    def has_begun(self) -> bool:
        return self._play is not None

    def now_ms(self) -> float:
        return self._play.clock.now_ms() if self._play is not None else time.time() * 1000

    def is_over(self) -> bool:
        """Whether the last candidate is done, here or at all workers; or should long have been."""
        if self.now_ms() > self.plan.ends_ms + (self.plan.grace_s + PATIENCE_S) * 1000:
            return True
        if self.gathering is not None:
            return self.gathering.is_complete
        return self._play is not None and self._play.over.is_set()

    # --- alone ----------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Leave the report and the ledgers behind, however this ended."""
        if self._play is not None and not self._delivered:
            self._delivered = True
            self._play.write(self.out)

    # --- a worker -------------------------------------------------------------------------------------------------

    def become_worker(self, index: int, of: int) -> None:
        """The master has numbered this process; what it notes goes there once the last candidate is done."""
        if self._play is not None:
            return
        self.index, self.of = index, of
        gevent.spawn(self._deliver)

    def _deliver(self) -> None:
        self.play.over.wait()
        self._delivered = True
        deliver(self.environment.runner, self.index, self.play.write(self.out))

    # --- the master -----------------------------------------------------------------------------------------------

    def become_master(self, workers: int) -> None:
        """Gather from so many workers, and say once a second how all of them are doing."""
        self.gathering = Gathering(self.out, workers, self.digest)
        gevent.spawn(self._say)

    def _say(self) -> None:
        assert self.gathering is not None
        while True:
            gevent.sleep(SAYS_S)
            standing = self.gathering.standing()
            if standing:
                print(json.dumps({"now_ms": int(self.now_ms()), **standing}), flush=True)


def complain(text: str) -> None:
    print(f"swarm: {text}", file=sys.stderr, flush=True)
