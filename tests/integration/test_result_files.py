"""Files of results are made page by page: a slow reader holds nothing but its own connection."""

from __future__ import annotations

import pytest

from engine.scoring import result_files
from engine.stores.postgres import Postgres
from tests.integration.exam import as_role
from tests.integration.pushing import Pushing

pytestmark = pytest.mark.anyio


async def test_a_reader_that_stops_holds_no_connection_to_postgresql(
    pushing: Pushing, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker has a few for everybody; between two pages the only one of this pool is free."""
    monkeypatch.setattr(result_files, "RESULTS_PAGE_MAX", 2)
    published = await pushing.publish("P", 5)
    database = Postgres(as_role(postgres_dsn, "engine"), 1)
    lines = result_files._lines(database, "P", 0)
    found = [await anext(lines)]
    async with database.connection() as connection:
        free = await connection.fetchval("SELECT true")
    found += [part async for part in lines]
    await database.close()

    assert free
    assert [part.count(b"\n") for part in found] == [2, 2, 1]
    assert all(sitting_id.encode() in b"".join(found) for sitting_id in published)


async def test_a_result_that_was_revised_stands_in_a_file_once(pushing: Pushing) -> None:
    """The newest published revision of each; one that is not published yet shows nothing."""
    first, second = await pushing.publish("P", 2)
    again = (
        "INSERT INTO result SELECT sitting_id, 2, batch_id, state,"
        " replace(document, '\"revision\":1', '\"revision\":2'), marks, graded_ms, $2"
        " FROM result WHERE sitting_id = $1 RETURNING 1"
    )
    await pushing.exam.query(again, first, 2**62)
    await pushing.exam.query(again, second, None)

    lines = b"".join([part async for part in result_files._lines(pushing.exam.engine_database, "P", 0)]).splitlines()

    assert [(second in str(line), b'"revision":1' in line) for line in lines] == [(True, True), (False, False)]
