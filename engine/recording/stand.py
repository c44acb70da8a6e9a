"""Where a partition stands in both stores, and what that means: pure but for the one reading of the facts.

PostgreSQL says how far it has recorded, and which building of the partition it ordered last (`ordered`); Redis says how
far its log goes, how far PostgreSQL ever was (`reached`), which building it is from, and what its log holds next.
Whichever of the two has been put back to an older state contradicts the other in a way of its own, and only a
contradiction that neither explains is `corrupt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from engine.recording.position import NOWHERE, Position
from engine.rules.errors import TryLater
from engine.stores.memory import Memory

REBUILT = "rebuilt"  # what a raise says in place of where the last generation ended, when nobody can know


class Stand(StrEnum):
    """What a partition is, and so what has to be done before it may be recorded on."""

    FINE = "fine"  # the log goes on where PostgreSQL stands
    FRESH = "fresh"  # it has never been anything: build it
    LOST = "lost"  # Redis has lost it: rebuild it from PostgreSQL
    ROLLED_BACK = "rolled_back"  # Redis was put back to before what PostgreSQL holds: the same
    RESTORED = "restored"  # PostgreSQL was put back to before what it once held: restore it from Redis
    CORRUPT = "corrupt"  # entries are missing that PostgreSQL never held: call a person


class Facts(NamedTuple):
    """What both stores say of one partition; the log must have been read after the marker."""

    recorded: Position  # where PostgreSQL stands
    marker: Position | None  # newest position of Redis's log, None without a marker
    reached: Position = NOWHERE  # how far PostgreSQL ever was, as it told Redis
    mended: Position | None = None  # where PostgreSQL stood when the partition was last rebuilt
    next_entry: Position | None = None  # first log entry after `recorded`
    raised: str = ""  # when that begins a generation: where the one before it ended, or REBUILT
    built: int = 0  # the building Redis is from
    ordered: int = 0  # the last one that PostgreSQL knows of


def judge(facts: Facts) -> Stand:
    """The stand of a partition. FINE also where a rollback has been mended already and the log may be read on."""
    if facts.marker is None:
        return Stand.FRESH if facts.recorded == NOWHERE else Stand.LOST
    if facts.reached > facts.recorded or facts.built > facts.ordered:
        return Stand.RESTORED
    if facts.marker < facts.recorded or facts.built < facts.ordered:
        return Stand.ROLLED_BACK
    if facts.next_entry is None:
        return Stand.FINE if facts.marker == facts.recorded else Stand.CORRUPT
    stand = follows(facts.recorded, facts.next_entry, facts.raised)
    return Stand.FINE if stand is Stand.ROLLED_BACK and is_mended(facts) else stand


def is_mended(facts: Facts) -> bool:
    """The partition was rebuilt from exactly what PostgreSQL holds now: its log may be read on across a rollback."""
    return facts.mended == facts.recorded


def follows(recorded: Position, entry: Position, raised: str) -> Stand:
    """FINE when `entry` is what comes next in the log after `recorded`; else why not."""
    if entry.generation == recorded.generation:
        return Stand.FINE if entry.number == recorded.number + 1 else Stand.CORRUPT
    if entry.generation < recorded.generation or entry.number != 1 or not raised:
        return Stand.CORRUPT
    if raised == REBUILT:
        return Stand.FINE
    left = Position.parse(raised)
    if left == recorded:
        return Stand.FINE
    return Stand.ROLLED_BACK if left < recorded else Stand.CORRUPT


async def read_facts(memory: Memory, recorded: Mapping[int, Position], ordered: Mapping[int, int]) -> dict[int, Facts]:
    """The facts of each partition in `recorded`, which nobody may move meanwhile; of those whose nodes answer.

    Raises TryLater when none does.
    """
    keys = [memory.partitions[number] for number in recorded]
    # The marker first: the log may grow between the two readings, and must not seem to end before its marker.
    fields = ["generation", "n", "reached", "mended", "built"]
    markers = await memory.read_each_hash_fields([found.marker for found in keys], fields)
    logs = await memory.read_each_log([(found, *at) for found, at in zip(keys, recorded.values(), strict=True)], 1)
    facts = {}
    unanswered: list[TryLater] = []
    for (number, at), marker, entries in zip(recorded.items(), markers, logs, strict=True):
        if isinstance(marker, TryLater) or isinstance(entries, TryLater):
            unanswered += [answer for answer in (marker, entries) if isinstance(answer, TryLater)]
            continue
        generation, n, reached, mended, built = (None if field is None else field.decode() for field in marker)
        next_entry = Position(*entries[0][:2]) if entries else None
        facts[number] = Facts(
            recorded=at,
            marker=Position(int(generation), int(n)) if generation is not None and n is not None else None,
            reached=Position.parse(reached) if reached else NOWHERE,
            mended=Position.parse(mended) if mended else None,
            next_entry=next_entry,
            raised=dict(entries[0][2]).get(b"raised", b"").decode() if entries else "",
            built=int(built or 0),
            ordered=ordered[number],
        )
    if unanswered and not facts:
        raise unanswered[0]
    return facts
