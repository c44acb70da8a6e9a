"""Which recorder may advance which partition: leases in PostgreSQL, checked again in every recording transaction.

A recorder says once a second that it lives (`renew`: one row of its own, which nothing else locks) and takes its fair
share of the partitions (`take`). Who is dead, and so whose partitions are free, PostgreSQL's clock decides. What writes
is not the clock but `recording.leased_by`: a recorder that was frozen for an hour finds another name there, and its
transactions move nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.recording.position import Position
from engine.rules.errors import Corrupt
from engine.rules.limits import LEASE_S
from engine.stores.postgres import Connection, Postgres, Record
from engine.stores.sql import Queries

_queries = Queries(__file__)
_LOOK_EVERY_S = 1.0
# Nobody's life was ever promised for longer; twice, so that a clock that is slewed makes nobody look dead.
_LONGEST_S = 2.0 * LEASE_S
_LOOK_AGAIN_S = 0.1  # while a dead recorder's sessions are ending


class Leases:
    """The partitions one recorder holds. `owner` is also the name of its sessions, by which others can end them."""

    def __init__(self, database: Postgres, owner: str, partitions: int) -> None:
        self._database = database
        self._owner = owner
        self._partitions = partitions
        self._has_looked = False
        self.look_again_s = _LOOK_EVERY_S  # when `take` should be called again: sooner if somebody may be dead then

    async def renew(self) -> None:
        """Stay alive for LEASE_S more. Raises TryLater."""
        async with self._database.connection() as connection:
            await connection.execute(_queries.renew, self._owner, float(LEASE_S))

    async def take(self) -> dict[int, Position]:
        """Renew, give back what is too much, claim what is free; partition -> how far it is recorded.

        Raises TryLater, Corrupt. Nobody may be recording what this recorder holds meanwhile.
        """
        await self.renew()
        async with self._database.connection() as connection:
            rows = await self._view(connection)
            living = await connection.fetchrow(_queries.living, self._owner, _LONGEST_S)
            share = -(-self._partitions // max(1, living["recorders"]))
            mine = [row for row in rows if row["leased_by"] == self._owner]
            held = {row["partition"]: Position(row["generation"], row["position"]) for row in mine[:share]}
            if mine[share:]:
                surplus = [row["partition"] for row in mine[share:]]
                await connection.execute(_queries.give_back, self._owner, surplus)
            self.look_again_s = min(_LOOK_EVERY_S, (living["first_ends_s"] or _LOOK_EVERY_S) + _LOOK_AGAIN_S / 10)
            free = [row for row in rows if row["leased_by"] != self._owner and not row["is_held"]]
            held |= await self._claim(connection, free[: share - len(held)])
        return held

    async def leave(self) -> None:
        """Give everything back at once. Raises TryLater."""
        async with self._database.connection() as connection:
            await connection.execute(_queries.leave, self._owner)

    async def _view(self, connection: Connection) -> list[Record]:
        rows: list[Record] = await connection.fetch(_queries.view, _LONGEST_S)
        if not rows:
            await connection.execute(_queries.add_partitions, self._partitions)
            rows = await connection.fetch(_queries.view, _LONGEST_S)
        if len(rows) != self._partitions:
            raise Corrupt(
                f"LIANKAO_PARTITIONS is {self._partitions}, but this database was made with {len(rows)} partitions"
            )
        if not self._has_looked:
            await connection.execute(_queries.forget_dead)
            self._has_looked = True
        return rows

    async def _claim(self, connection: Connection, free: Sequence[Record]) -> dict[int, Position]:
        if not free:
            return {}
        owners = [row["leased_by"] for row in free]
        claimed = await connection.fetch(_queries.claim, self._owner, [row["partition"] for row in free], owners)
        if len(claimed) < len(free):
            await connection.execute(_queries.end_sessions, [owner for owner in set(owners) if owner])
            self.look_again_s = _LOOK_AGAIN_S
        return {row["partition"]: Position(row["generation"], row["position"]) for row in claimed}
