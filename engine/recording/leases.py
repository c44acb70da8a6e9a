"""Which recorder may advance which partition: a lease in PostgreSQL, checked again in every recording transaction."""

from __future__ import annotations

from engine.recording.position import Position
from engine.rules.errors import Corrupt
from engine.rules.limits import LEASE_S
from engine.stores.postgres import Postgres
from engine.stores.sql import Queries

_queries = Queries(__file__)


class Leases:
    """The partitions one recorder holds."""

    def __init__(self, database: Postgres, owner: str, partitions: int) -> None:
        self._database = database
        self._owner = owner
        self._partitions = partitions

    async def take(self) -> dict[int, Position]:
        """Renew and extend the holding; partition -> how far it is recorded. Raises TryLater, Corrupt."""
        async with self._database.transaction() as connection:
            known = await connection.fetchval(_queries.count_partitions)
            if known == 0:
                await connection.execute(_queries.add_partitions, self._partitions)
            elif known != self._partitions:
                raise Corrupt(
                    f"LIANKAO_PARTITIONS is {self._partitions}, but this database was made with {known} partitions"
                )
            rows = await connection.fetch(_queries.take, self._owner, float(LEASE_S))
        return {row["partition"]: Position(row["generation"], row["position"]) for row in rows}

    async def give_back(self) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_queries.give_back, self._owner)
