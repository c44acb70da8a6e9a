"""A batch's results as one file: lines of JSON, CSV, or a workbook.

Promise: a file holds each sitting once, as the batch stood when it was asked for, whatever is published while it is
read. Memory does not grow with the batch, and no connection to PostgreSQL waits for a slow reader: pages are fetched
one by one, each when the one before has been taken; with a page that does not come the file waits for a while, for it
cannot be gone on with from its middle. What would hold up the event loop is done beside it: a page of CSV
in a thread, a workbook in a process of its own (`result_workbook.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import BinaryIO

import orjson
from starlette.responses import Response, StreamingResponse

from engine import log
from engine.rules.errors import TryLater
from engine.rules.limits import (
    RESULTS_FILE_PATIENCE_S,
    RESULTS_FILE_RETRY_S,
    RESULTS_PAGE_MAX,
    WORKBOOK_TIMEOUT_S,
)
from engine.rules.result_table import BOM, cells, csv_text, header, section_ids
from engine.stores.clock import monotonic_s
from engine.stores.postgres import Postgres, Record
from engine.stores.sql import Queries

NDJSON = "application/x-ndjson"
CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMATS = (NDJSON, CSV, XLSX)
_queries = Queries(__file__)
_ROOT = str(Path(__file__).resolve().parents[2])
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from engine.scoring import result_workbook; "
_BOOT += "result_workbook.main(sys.argv[2])"
_READ_BYTES = 2**18


async def respond(database: Postgres, turns: asyncio.Semaphore, batch_id: str, after: int, media_type: str) -> Response:
    """The results of a batch that exists as one of FORMATS; `turns` bounds the workbooks made at once."""
    async with database.connection() as connection:
        until = await connection.fetchval(_queries.last_publication, batch_id)
    pages = _pages(database, batch_id, after, until)
    if media_type == NDJSON:
        return StreamingResponse(_lines(pages), media_type=NDJSON, headers=_headers(batch_id, ""))
    sections = await _sections(database, batch_id, until)
    if media_type == CSV:
        return StreamingResponse(_table(pages, sections), media_type=CSV, headers=_headers(batch_id, "csv"))
    async with turns:
        file = await _workbook(pages, batch_id, sections)
    file.seek(0, 2)
    headers = {**_headers(batch_id, "xlsx"), "content-length": str(file.tell())}
    file.seek(0)
    return StreamingResponse(_parts(file), media_type=XLSX, headers=headers)


def _headers(batch_id: str, suffix: str) -> dict[str, str]:
    named = {"content-disposition": f'attachment; filename="results-{batch_id}.{suffix}"'} if suffix else {}
    return {"cache-control": "no-store", **named}


async def _pages(database: Postgres, batch_id: str, after: int, until: int) -> AsyncIterator[list[str]]:
    """The signed documents, byte for byte as they are stored, of the batch as it stood at publication `until`."""
    while rows := await _page(database, batch_id, after, until):
        yield [row["document"] for row in rows]
        after = rows[-1]["publication"]


async def _page(database: Postgres, batch_id: str, after: int, until: int) -> list[Record]:
    """It only reads, so it is asked for again. Raises TryLater when that was in vain for RESULTS_FILE_PATIENCE_S."""
    until_s = monotonic_s() + RESULTS_FILE_PATIENCE_S
    while True:
        try:
            async with database.connection() as connection:
                rows: list[Record] = await connection.fetch(
                    _queries.page_of_batch, batch_id, after, until, RESULTS_PAGE_MAX
                )
                return rows
        except TryLater:
            if monotonic_s() >= until_s:
                raise
        await asyncio.sleep(RESULTS_FILE_RETRY_S)


async def _sections(database: Postgres, batch_id: str, until: int) -> list[str]:
    async with database.connection() as connection:
        rows = await connection.fetch(_queries.one_of_each_paper, batch_id, until)
    return section_ids(orjson.loads(row["document"]) for row in rows)


async def _lines(pages: AsyncIterator[list[str]]) -> AsyncIterator[bytes]:
    async for page in pages:
        yield _as_lines(page)


def _as_lines(page: Sequence[str]) -> bytes:
    return ("\n".join(page) + "\n").encode()


async def _table(pages: AsyncIterator[list[str]], sections: Sequence[str]) -> AsyncIterator[bytes]:
    yield (BOM + csv_text([header(sections)])).encode()
    async for page in pages:
        yield await asyncio.to_thread(_as_table, page, sections)


def _as_table(page: Sequence[str], sections: Sequence[str]) -> bytes:
    return csv_text(cells(orjson.loads(document), sections) for document in page).encode()


async def _workbook(pages: AsyncIterator[list[str]], batch_id: str, sections: Sequence[str]) -> BinaryIO:
    """A whole workbook in a file without a name. Raises TryLater."""
    with tempfile.TemporaryDirectory(prefix="liankao-workbook-") as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _BOOT, _ROOT, folder, stdin=asyncio.subprocess.PIPE, env={}
        )
        try:
            async with asyncio.timeout(WORKBOOK_TIMEOUT_S):
                assert process.stdin is not None
                with contextlib.suppress(ConnectionError):  # it ended: its exit code says so
                    process.stdin.write(orjson.dumps(sections) + b"\n")
                    async for page in pages:
                        process.stdin.write(_as_lines(page))
                        await process.stdin.drain()
                process.stdin.close()
                code = await process.wait()
        except TimeoutError:
            raise TryLater(f"the workbook was not made within {WORKBOOK_TIMEOUT_S} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if code:
            log.logger().error("results.workbook_failed", batch_id=batch_id, code=code)
            raise TryLater(f"the process that makes workbooks ended with {code}")
        return open(Path(folder) / "results.xlsx", "rb")  # noqa: ASYNC230 - a local file; who sends it closes it


async def _parts(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while part := await asyncio.to_thread(file.read, _READ_BYTES):
            yield part
