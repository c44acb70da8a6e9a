"""Mending: partitions on which the two stores do not agree are rebuilt or restored, beside the recording of the others.

`look` judges what the leases say, and lets through only what may be recorded; `mend` works on the rest in a loop of its
own, so that neither recording nor the renewal of leases waits for it. What is mended is judged again before it is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from engine import log, metrics
from engine.recording.position import Position
from engine.recording.rebuild import read_ordered, rebuild
from engine.recording.restore import restore
from engine.recording.stand import Facts, Stand, is_mended, judge, read_facts
from engine.recording.unknown import adopt_unknown, sittings_in_redis, take_census
from engine.rules.errors import Corrupt
from engine.stores.memory import Memory
from engine.stores.postgres import Postgres

_TO_REBUILD = (Stand.FRESH, Stand.LOST, Stand.ROLLED_BACK)


class Sound(NamedTuple):
    """What may be recorded; `mended`: of these the log may be read on across a rollback."""

    held: dict[int, Position]
    mended: frozenset[int]


class Mender:
    """Which partitions this recorder has to mend."""

    def __init__(self, memory: Memory, database: Postgres, login_key: bytes, owner: str) -> None:
        self._memory = memory
        self._database = database
        self._login_key = login_key
        self._owner = owner
        self._broken: dict[int, tuple[Stand, Position]] = {}
        self._mending: set[int] = set()
        self._sound: dict[int, Position] = {}
        self._counted: set[int] = set()  # looked through for sittings that PostgreSQL does not know, since last taken

    async def look(self, held: Mapping[int, Position]) -> Sound:
        """Judge the leased partitions while nobody records them. Raises TryLater.

        A corrupt one is let through: the recorder reads nothing past its fault, reports it, and looks again.
        """
        judged = {number: at for number, at in held.items() if number not in self._mending}
        facts = await read_facts(self._memory, judged, await read_ordered(self._database, list(judged)))
        stands = {number: judge(found) for number, found in facts.items()}
        broken = {number: stand for number, stand in stands.items() if stand not in (Stand.FINE, Stand.CORRUPT)}
        for number, stand in broken.items():
            if stand is not Stand.FRESH and number not in self._broken:
                _tell(number, stand, facts[number])
        self._broken = {number: (stand, held[number]) for number, stand in broken.items()}
        sound = {number: held[number] for number in stands.keys() - broken.keys()}
        self._counted &= sound.keys()
        self._sound = sound
        return Sound(sound, frozenset(number for number in sound if is_mended(facts[number])))

    async def mend(self) -> bool:
        """Mend what `look` has found; whether there was anything. Raises TryLater, and Corrupt after all the others."""
        broken, self._broken = self._broken, {}
        self._mending = set(broken)
        try:
            lost = {number: at for number, (stand, at) in broken.items() if stand in _TO_REBUILD}
            if lost:
                await rebuild(self._memory, self._database, self._login_key, self._owner, lost)
                for number in lost:
                    self._mended(number, broken[number][0])
            older = {number: at for number, (stand, at) in broken.items() if stand is Stand.RESTORED}
            if older:
                await self._restore(older)
        finally:
            self._mending = set()
        return bool(broken)

    async def adopt(self) -> None:
        """See to sittings of sound partitions that a restored PostgreSQL does not know. Raises TryLater."""
        uncounted = {number: at for number, at in self._sound.items() if number not in self._counted}
        if uncounted:
            await take_census(self._memory, self._database, uncounted)
            self._counted |= uncounted.keys()
        await adopt_unknown(self._memory, self._database, sorted(self._sound))

    def forget(self) -> None:
        """PostgreSQL failed, and may be another one when it is back: everything is looked through again."""
        self._counted = set()

    async def _restore(self, older: Mapping[int, Position]) -> None:
        found = await sittings_in_redis(self._memory, older)
        ordered = await read_ordered(self._database, list(older))
        corrupt: Corrupt | None = None
        for number, recorded in older.items():
            try:
                await restore(
                    self._memory, self._database, self._owner, number, recorded, ordered[number], found[number]
                )
            except Corrupt as fault:
                corrupt = fault  # the others are restored all the same
            else:
                self._mended(number, Stand.RESTORED)
        if corrupt is not None:
            raise corrupt

    def _mended(self, number: int, stand: Stand) -> None:
        self._mending.discard(number)
        metrics.recorder_mended.labels(stand).inc()


def _tell(number: int, stand: Stand, facts: Facts) -> None:
    what = {
        Stand.LOST: "Redis has lost this partition: it is rebuilt from PostgreSQL",
        Stand.ROLLED_BACK: "Redis was put back to an older state: it is rebuilt from PostgreSQL",
        Stand.RESTORED: "PostgreSQL was put back to an older state: it is restored from Redis",
    }[stand]
    log.logger().error(
        f"recorder.{stand}",
        detail=what,
        partition=number,
        recorded=str(facts.recorded),
        reached=str(facts.reached),
        log_at=str(facts.marker) if facts.marker else "missing",
    )
