"""How connections to PostgreSQL are set up, whatever role and server say."""

from __future__ import annotations

import pytest

from engine.stores.postgres import Postgres

pytestmark = pytest.mark.anyio

STATEMENT = "SELECT 1 FROM sitting WHERE id_number = ANY ($1::text[])"


async def shown(database: Postgres, setting: str) -> str:
    async with database.connection() as connection:
        return str(await connection.fetchval(f"SHOW {setting}"))


async def test_committed_means_on_disk(postgres_dsn: str) -> None:
    """On every connection, also where the role was given another setting."""
    database = Postgres(postgres_dsn, 1)
    try:
        assert await shown(database, "synchronous_commit") == "on"
    finally:
        await database.close()


async def test_a_worker_plans_for_the_tables_as_they_are(postgres_dsn: str) -> None:
    """A plan made for an empty table would be kept while rosters fill it; recorders go on keeping theirs."""
    worker, recorder = Postgres(postgres_dsn, 1, plans_afresh=True), Postgres(postgres_dsn, 1)
    try:
        async with worker.connection() as connection:
            prepared = await connection.prepare(STATEMENT)
            for _ in range(8):  # past the five after which PostgreSQL keeps one plan for all
                await prepared.fetch(["x"])
            counted = await connection.fetchrow(
                "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1", STATEMENT
            )
        assert tuple(counted) == (0, 8)
        assert await shown(recorder, "plan_cache_mode") == "auto"
    finally:
        await worker.close()
        await recorder.close()
