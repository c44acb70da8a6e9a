"""A roster's people are looked up one by one, however many sittings other batches have."""

from __future__ import annotations

import pytest

from engine.scheduling import elsewhere
from engine.stores.postgres import Connection, Postgres

pytestmark = pytest.mark.anyio

SITTINGS = 20_000
PEOPLE = [f"person-{number}" for number in range(0, SITTINGS, SITTINGS // 250)]
FILLED = """
    INSERT INTO sitting (sitting_id, batch_id, partition, candidate_id, name, id_number, admission_ticket, site, room,
        seat, extra_time_s)
    SELECT 'sitting-' || number, 'other', 0, number, '', 'person-' || number, number, '', '', '', 0
    FROM generate_series(0, $1::int - 1) AS number
"""
OTHER = """
    INSERT INTO batch (batch_id, title, occupation, level, subject, kind, paper_id, admission_code, starts_ms,
        duration_s, rules, pushed_ms)
    VALUES ('other', '', '', 3, 'theory', 'formal', 'paper', 'CODE', 1000, 60, '{"grace_s": 0}', 0)
"""


async def filled(connection: Connection) -> None:
    """One other batch with thousands, just pushed: nobody has counted yet what the table holds."""
    await connection.execute("SET session_replication_role = replica")  # no paper is needed for what is asked here
    await connection.execute(OTHER)
    await connection.execute(FILLED, SITTINGS)


async def plan(connection: Connection, query: str, *arguments: object) -> str:
    return "\n".join(row[0] for row in await connection.fetch("EXPLAIN " + query, *arguments))


async def test_people_are_looked_up_and_no_batch_is_read_whole(postgres_dsn: str) -> None:
    """A push takes as long beside two hundred batches as beside one; who sits elsewhere is found."""
    database = Postgres(postgres_dsn, 1, plans_afresh=True)
    try:
        async with database.connection() as connection:
            await filled(connection)
            asked = (elsewhere._queries.sittings_elsewhere, "this", PEOPLE, 0, 2_000, "NONE", 0, "", 3, "theory", 0)
            chosen = await plan(connection, *asked)
            found = await connection.fetch(*asked)
    finally:
        await database.close()

    assert "Seq Scan on sitting" not in chosen
    assert sorted(row["id_number"] for row in found) == sorted(PEOPLE)
