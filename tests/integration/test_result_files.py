"""Files of results are made page by page: a slow reader holds nothing but its own connection."""

from __future__ import annotations

import asyncio

import pytest

from engine.scoring import result_files
from engine.stores.postgres import Postgres
from tests.integration.exam import as_role
from tests.integration.pushing import Pushing

pytestmark = pytest.mark.anyio

EVER = 2**63 - 1


async def revise(pushing: Pushing, sitting_id: str, publication: int | None) -> None:
    """Give a sitting its second revision, published under this number."""
    await pushing.exam.query(
        "INSERT INTO result SELECT sitting_id, 2, batch_id, state,"
        " replace(document, '\"revision\":1', '\"revision\":2'), marks, graded_ms, $2"
        " FROM result WHERE sitting_id = $1 RETURNING 1",
        sitting_id,
        publication,
    )


async def test_a_reader_that_stops_holds_no_connection_to_postgresql(
    pushing: Pushing, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker has a few for everybody; between two pages the only one of this pool is free."""
    monkeypatch.setattr(result_files, "RESULTS_PAGE_MAX", 2)
    published = await pushing.publish("P", 5)
    database = Postgres(as_role(postgres_dsn, "engine"), 1)
    lines = result_files._lines(result_files._pages(database, "P", 0, EVER))
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
    await revise(pushing, first, 2**62)
    await revise(pushing, second, None)

    pages = result_files._pages(pushing.exam.engine_database, "P", 0, EVER)
    lines = b"".join([part async for part in result_files._lines(pages)]).splitlines()

    assert [(second in str(line), b'"revision":1' in line) for line in lines] == [(True, True), (False, False)]


@pytest.mark.parametrize("media_type", [result_files.NDJSON, result_files.CSV])
async def test_what_is_published_while_a_file_is_read_is_not_in_it(
    pushing: Pushing, monkeypatch: pytest.MonkeyPatch, media_type: str
) -> None:
    """A regrade in the middle neither shows anybody twice nor loses anybody: the file is the batch of its beginning."""
    monkeypatch.setattr(result_files, "RESULTS_PAGE_MAX", 2)
    published = await pushing.publish("P", 5)
    database, turns = pushing.exam.engine_database, asyncio.Semaphore(1)
    response = await result_files.respond(database, turns, "P", 0, media_type)
    parts = aiter(response.body_iterator)
    lines = [await anext(parts), *([await anext(parts)] if media_type == result_files.CSV else [])]
    for number, sitting_id in enumerate((published[0], published[2], published[4])):
        await revise(pushing, sitting_id, 2**62 + number)
    lines += [part async for part in parts]

    rows = b"".join(lines).decode().splitlines()[1 if media_type == result_files.CSV else 0 :]
    later = await result_files.respond(database, turns, "P", 0, result_files.NDJSON)
    assert [sum(sitting_id in row for row in rows) for sitting_id in published] == [1] * 5
    assert len(rows) == 5
    assert b"".join([part async for part in later.body_iterator]).count(b'"revision":2') == 3


async def test_a_connection_that_ends_under_a_page_does_not_end_the_file(
    pushing: Pushing, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart of PostgreSQL, or a pool with nothing free: nobody can go on with a file from its middle."""
    monkeypatch.setattr(result_files, "RESULTS_PAGE_MAX", 2)
    published = await pushing.publish("P", 5)
    response = await result_files.respond(
        pushing.exam.engine_database, asyncio.Semaphore(1), "P", 0, result_files.NDJSON
    )
    parts = aiter(response.body_iterator)
    lines = [await anext(parts)]
    owner = Postgres(postgres_dsn, 1)
    async with owner.transaction() as connection, asyncio.timeout(60):
        await connection.execute("LOCK TABLE result")
        page = asyncio.ensure_future(anext(parts))
        waiting = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while not await connection.fetch(waiting):  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.02)
    lines += [await page, *[part async for part in parts]]
    await owner.close()

    assert [part.count(b"\n") for part in lines] == [2, 2, 1]
    assert all(sitting_id.encode() in b"".join(lines) for sitting_id in published)
