"""Which store was put back to an older state: every case by name, and a model of both stores under every mishap."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, field

from engine.recording.position import NOWHERE, Position
from engine.recording.stand import REBUILT, Facts, Stand, follows, is_mended, judge

AT = Position(5, 100)  # where PostgreSQL stands unless a case says otherwise

CASES = {
    "nothing has ever been": (Facts(NOWHERE, None), Stand.FRESH),
    "built, nothing recorded yet": (
        Facts(Position(1, 0), Position(5, 1), Position(1, 0), None, Position(5, 1), REBUILT),
        Stand.FINE,
    ),
    "built, then lost before anything was recorded": (Facts(Position(1, 0), None), Stand.LOST),
    "everything recorded": (Facts(AT, AT, AT), Stand.FINE),
    "recorded, but Redis has not heard of it": (Facts(AT, AT, Position(5, 90)), Stand.FINE),
    "the log goes on": (Facts(AT, Position(5, 120), AT, None, Position(5, 101)), Stand.FINE),
    "Redis restarted with all it had": (Facts(AT, Position(9, 4), AT, None, Position(9, 1), "5-100"), Stand.FINE),
    "Redis lost its data": (Facts(AT, None), Stand.LOST),
    "Redis put back, nobody has spoken to it yet": (Facts(AT, Position(5, 50), Position(5, 40)), Stand.ROLLED_BACK),
    "Redis put back to an older generation": (Facts(AT, Position(3, 900), Position(3, 900)), Stand.ROLLED_BACK),
    "Redis put back, and it took saves since": (
        Facts(AT, Position(9, 400), Position(5, 40), None, Position(9, 1), "5-50"),
        Stand.ROLLED_BACK,
    ),
    "Redis put back and rebuilt": (Facts(AT, Position(12, 1), AT, AT, Position(9, 1), "5-50"), Stand.FINE),
    "Redis put back to what it was before it was built": (
        Facts(AT, AT, AT, None, None, "", built=3, ordered=4),
        Stand.ROLLED_BACK,
    ),
    "PostgreSQL put back to before it ordered a building": (
        Facts(AT, Position(9, 4), AT, AT, Position(9, 1), REBUILT, built=4, ordered=3),
        Stand.RESTORED,
    ),
    "rebuilt from less than PostgreSQL holds now": (
        Facts(AT, Position(12, 1), Position(5, 90), Position(5, 90), Position(9, 1), "5-50"),
        Stand.ROLLED_BACK,
    ),
    "PostgreSQL put back": (Facts(Position(5, 30), AT, Position(5, 90), None, Position(5, 91)), Stand.RESTORED),
    "PostgreSQL put back to an older generation": (Facts(Position(3, 700), AT, AT), Stand.RESTORED),
    "PostgreSQL put back, and Redis restarted since": (
        Facts(Position(5, 30), Position(9, 2), Position(5, 90), None, Position(5, 91)),
        Stand.RESTORED,
    ),
    "PostgreSQL put back to what the log still holds": (
        Facts(Position(5, 95), AT, Position(5, 90), None, Position(5, 96)),
        Stand.FINE,
    ),
    "an empty PostgreSQL beside a full Redis": (
        Facts(NOWHERE, AT, Position(5, 90), None, Position(5, 91)),
        Stand.RESTORED,
    ),
    "both put back, PostgreSQL further": (
        Facts(Position(5, 30), Position(9, 1), Position(5, 40), None, Position(5, 41)),
        Stand.RESTORED,
    ),
    "an entry is missing": (Facts(AT, Position(5, 120), AT, None, Position(5, 102)), Stand.CORRUPT),
    "the last entries are missing": (Facts(AT, Position(5, 120), AT), Stand.CORRUPT),
    "the end of a generation is missing": (Facts(AT, Position(9, 4), AT, None, Position(9, 1), "5-110"), Stand.CORRUPT),
    "the beginning of a generation is missing": (Facts(AT, Position(9, 4), AT, None, Position(9, 2)), Stand.CORRUPT),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_case_is_told_from_all_the_others(name: str) -> None:
    """The name says what happened; the facts are what both stores then show."""
    facts, stand = CASES[name]

    assert judge(facts) == stand


# --- a model of both stores, the recorder and one client with its journal -----------------------------------------


class Memory(Struct):
    """Redis: the marker's fields, the log of one partition, and which changes its hashes hold."""

    generation: int
    n: int = 0
    committed: int = 0
    reached: Position = NOWHERE
    mended: Position = NOWHERE
    built: int = 0
    log: list[tuple[Position, str, int]] = field(default_factory=list)  # position, raised, change (0: none)
    changes: set[int] = field(default_factory=set)
    is_restarted: bool = False


class Database(Struct):
    recorded: Position = NOWHERE
    ordered: int = 0
    changes: set[int] = field(default_factory=set)


class World:
    """What the scripts, the recorder and the mender do to one partition, in a few lines each."""

    def __init__(self) -> None:
        self.clock = 100
        self.redis: Memory | None = None
        self.database = Database()
        self.redis_copies: list[Memory] = []
        self.database_copies: list[Database] = []
        self.acknowledged: set[int] = set()
        self.journal: dict[int, int | None] = {}  # change -> position it was saved at in `generation`, None: send again
        self.generation = 0
        self.damaged = ""  # which store lacks what it once held: what both have lost, nobody can bring back
        self.issued: dict[Position, int] = {}  # position -> the change logged there, over all that ever happened

    # the scripts

    def append(self, redis: Memory, raised: str = "", change: int = 0) -> None:
        redis.n += 1
        redis.log.append((Position(redis.generation, redis.n), raised, change))

    def raise_generation(self, redis: Memory, raised: str) -> None:
        self.clock += 1
        redis.generation = max(self.clock, redis.generation + 1)
        redis.n = redis.committed = 0
        self.append(redis, raised)

    def open(self) -> Memory | None:
        if self.redis is not None and self.redis.is_restarted:
            self.redis.is_restarted = False
            self.raise_generation(self.redis, f"{self.redis.generation}-{self.redis.n}")
        return self.redis

    # the client

    def save(self) -> None:
        change = len(self.acknowledged) + 1
        if self.send(change):
            self.acknowledged.add(change)
            self.resend()

    def send(self, change: int) -> bool:
        redis = self.open()
        if redis is None:
            return False
        if change not in redis.changes:
            redis.changes.add(change)
            self.append(redis, change=change)
            assert self.issued.setdefault(Position(redis.generation, redis.n), change) == change, "issued twice"
        self.observe(redis)
        if redis.generation == self.generation:
            self.journal[change] = redis.n
        return True

    def observe(self, redis: Memory) -> None:
        if redis.generation > self.generation:
            self.generation = redis.generation
            self.journal = dict.fromkeys(self.journal)
        if redis.generation == self.generation:
            kept = {change: at for change, at in self.journal.items() if at is None or at > redis.committed}
            self.journal = kept

    def resend(self) -> None:
        for change in [change for change, at in self.journal.items() if at is None]:
            self.send(change)

    def ask(self) -> None:
        if (redis := self.open()) is not None:
            self.observe(redis)
            self.resend()

    # the recorder

    def facts(self) -> Facts:
        redis, at = self.redis, self.database.recorded
        if redis is None:
            return Facts(at, None, ordered=self.database.ordered)
        later = [(entry, raised) for entry, raised, _ in redis.log if entry > at]
        entry, raised = later[0] if later else (None, "")
        marker, built = Position(redis.generation, redis.n), (redis.built, self.database.ordered)
        return Facts(at, marker, redis.reached, redis.mended, entry, raised, *built)

    def record(self, entries_max: int = 3) -> None:
        facts = self.facts()
        if judge(facts) is not Stand.FINE or self.redis is None:
            return
        for entry, raised, change in [found for found in self.redis.log if found[0] > self.database.recorded][
            :entries_max
        ]:
            stand = follows(self.database.recorded, entry, raised)
            assert stand is Stand.FINE or (stand is Stand.ROLLED_BACK and is_mended(facts)), stand
            self.database.recorded = entry
            self.database.changes |= {change} - {0}
        self.heal()

    def publish(self) -> None:
        redis, at = self.redis, self.database.recorded
        if redis is None or judge(self.facts()) is not Stand.FINE:
            return
        if redis.generation == at.generation:
            redis.committed = max(redis.committed, at.number)
        redis.reached = max(redis.reached, at)
        redis.log = [found for found in redis.log if found[0] > at]

    def mend(self) -> None:
        stand = judge(self.facts())
        assert stand is not Stand.CORRUPT
        if stand is Stand.FRESH:
            self.database.recorded = Position(1, 0)
        if stand in (Stand.FRESH, Stand.LOST, Stand.ROLLED_BACK):
            redis = self.redis = self.redis or Memory(0)
            redis.is_restarted = False
            self.database.changes |= redis.changes
            redis.changes |= self.database.changes
            self.database.ordered = redis.built = max(self.clock, self.database.ordered, redis.generation) + 1
            redis.reached = redis.mended = self.database.recorded
            self.raise_generation(redis, REBUILT)
        elif stand is Stand.RESTORED and (found := self.open()) is not None:
            self.raise_generation(found, f"{found.generation}-{found.n}")
            self.database.changes |= found.changes
            self.database.recorded = max(found.reached, self.database.recorded)
            self.database.ordered = found.built
        self.heal()

    def heal(self) -> None:
        """Redis is whole when it has been built; PostgreSQL only when it has recorded all that Redis holds as well."""
        facts = self.facts()
        is_behind = self.damaged == "database" and facts.next_entry is not None
        if judge(facts) is Stand.FINE and not is_behind:
            self.damaged = ""

    def settle(self) -> None:
        """Until everything rests: mended, sent again, recorded, told."""
        for _ in range(8):
            self.mend()
            self.ask()
            self.record(1_000)
            self.publish()
        self.ask()

    # mishaps

    def restart_redis(self) -> None:
        if self.redis is not None:
            self.redis.is_restarted = True

    def copy_redis(self) -> None:
        if self.redis is not None:
            self.redis_copies.append(copy.deepcopy(self.redis))

    def copy_database(self) -> None:
        self.database_copies.append(copy.deepcopy(self.database))

    def lose_redis(self) -> None:
        if self.damaged != "database":
            self.redis = None
            self.damaged = "redis"

    def put_back_redis(self, which: int) -> None:
        if self.redis_copies and self.damaged != "database":
            self.redis = copy.deepcopy(self.redis_copies[which % len(self.redis_copies)])
            self.redis.is_restarted = True
            self.damaged = "redis"

    def put_back_database(self, which: int) -> None:
        if self.database_copies and self.damaged != "redis":
            self.database = copy.deepcopy(self.database_copies[which % len(self.database_copies)])
            self.damaged = "database"


STEPS = st.sampled_from(
    ["save", "save", "save", "ask", "record", "record", "publish", "mend", "settle", "restart_redis", "copy_redis",
     "copy_database", "lose_redis", "put_back_redis", "put_back_database"]
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(steps=st.lists(st.tuples(STEPS, st.integers(0, 5)), min_size=20, max_size=60))
def test_no_acknowledged_change_is_lost_whichever_store_is_put_back_when(steps: list[tuple[str, int]]) -> None:
    """One store at a time loses everything or goes back to any older copy, in any order with everything else: after
    mending and replay PostgreSQL has every acknowledged change, and no position was ever issued twice."""
    world = World()
    world.mend()

    for name, which in steps:
        if name.startswith("put_back"):
            getattr(world, name)(which)
        else:
            getattr(world, name)()
    world.settle()

    assert world.acknowledged <= world.database.changes
    assert world.redis is not None and world.acknowledged <= world.redis.changes
    assert world.journal == {}
    assert judge(world.facts()) is Stand.FINE
