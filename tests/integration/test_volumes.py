"""Full volumes: nobody is told `saved`, nothing said before is lost, and everything comes back with the space."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.rules.errors import TryLater
from engine.rules.outcome import Outcome
from engine.stores.postgres import Postgres
from engine.supervision import binaries, embedded
from loadtest.torture.volumes import Ballast, NoVolumes, small_volume
from tests.integration.exam import Exam
from tests.integration.forgetful import postgres_on, valkey_on
from tests.servers import temporary_folder

pytestmark = pytest.mark.anyio
LONG = '"' + "x" * 1000 + '"'


@pytest.fixture
def volume() -> Iterator[Path]:
    """A small file system. Where it cannot be mounted the test says so; under CI it fails."""
    with temporary_folder("volume") as folder:
        try:
            with small_volume(folder / "mount", 200):
                yield folder / "mount"
        except NoVolumes as fault:
            if os.environ.get("CI"):
                pytest.fail(str(fault))
            pytest.skip(str(fault))


async def _saved(exam: Exam, seqs: Iterator[int]) -> int:
    """Save one change after another until the engine says try later; the last seq that was acknowledged."""
    last = 0
    for seq in seqs:
        try:
            reply = await exam.save("one", ("A1", seq, LONG))
        except TryLater:
            return last
        assert reply[4] == Outcome.OK
        last = seq
    raise AssertionError("the volume never got full")


async def _saved_at_last(exam: Exam, seq: int) -> None:
    """The same again, as a client does, until it is saved."""
    for _ in range(200):
        try:
            assert (await exam.save("one", ("A1", seq, LONG)))[4] == Outcome.OK
        except TryLater:
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError("Redis was back, and the save was still refused")


async def test_redis_without_room_acknowledges_nothing_and_keeps_what_it_said(volume: Path, postgres_dsn: str) -> None:
    """It ends at the write that does not fit, and again at each start; with room it goes on where it was."""
    folder, ballast = volume / "redis", Ballast(volume)
    folder.mkdir()
    seqs = iter(range(1, 100_000))
    with temporary_folder("sockets") as sockets:
        with valkey_on(folder, sockets) as child:
            exam = Exam(embedded.redis_url(sockets), postgres_dsn)
            await exam.hold()
            await exam.arm("one")
            await exam.enter("one")
            await exam.save("one", ("A2", next(seqs), '"a"'))
            ballast.fill()
            acknowledged = await _saved(exam, seqs)
            assert await asyncio.to_thread(child.wait, 20) != 0
        with valkey_on(folder, sockets) as child:  # as the supervisor starts it again, still without room
            assert await _saved(exam, seqs) == 0
            assert await asyncio.to_thread(child.wait, 20) != 0
        ballast.free()
        with valkey_on(folder, sockets):
            stored = await exam.stored("one")
            assert stored["r:A2"] == b'1|"a"'
            assert int(stored.get("r:A1", b"0|").split(b"|")[0]) == acknowledged
            refused = max(acknowledged, 1) + 1  # there may have been no room for a single one more
            await _saved_at_last(exam, refused)
            await exam.hold()
            while await exam.recorder.record():
                pass
            history = await exam.query("SELECT seq FROM response_history ORDER BY seq")

            assert history == [(seq,) for seq in range(1, refused + 1)]
            await exam.close()


async def test_postgres_without_room_says_try_later_and_keeps_what_it_committed(volume: Path) -> None:
    """While it may not grow, and when its own log cannot: it restarts itself then, or its supervisor does."""
    folder, ballast = volume / "postgres", Ballast(volume)
    embedded.initialise_postgres(binaries.find_postgres(), folder, sync=False)
    with temporary_folder("sockets") as sockets:
        database = Postgres(embedded.postgres_dsn(embedded.postgres_socket_folder(sockets)), 2)
        with postgres_on(folder, sockets) as child:
            async with database.transaction() as connection:
                await connection.execute("CREATE TABLE said (number int, filler text)")
                await connection.execute("ALTER TABLE said ALTER filler SET STORAGE EXTERNAL")
            insert = "INSERT INTO said VALUES ($1, repeat('x', 20000))"
            committed = await _committed(database, insert, 20)
            ballast.fill()
            committed += await _committed(database, insert)
            await _committed(database, "SELECT pg_logical_emit_message(true, $1::int::text, repeat('x', 1000000))")
            assert "PANIC" in (sockets / "postgres.log").read_text()
            ballast.free()
            found = await _count(database, child)
        if found is None:  # it could not finish its recovery for want of room, and ended
            with postgres_on(folder, sockets) as child:
                found = await _count(database, child)
        await database.close()

    assert found == committed >= 20


async def _committed(database: Postgres, statement: str, count: int = 100_000) -> int:
    """How often the statement was committed until the server said try later."""
    for done in range(count):
        try:
            async with database.transaction() as connection:
                await connection.execute(statement, done)
        except TryLater:
            return done
    return count


async def _count(database: Postgres, child: subprocess.Popen[bytes]) -> int | None:
    """How many rows there are, once it serves again; None when it has ended instead."""
    for _ in range(600):
        if child.poll() is not None:
            return None
        try:
            async with database.connection() as connection:
                return int(await connection.fetchval("SELECT count(*) FROM said"))
        except TryLater:
            await asyncio.sleep(0.05)
    raise AssertionError("PostgreSQL has room again, and still does not serve")


def test_a_place_without_mounts_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A test of full volumes that silently did nothing would be worse than none."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(NoVolumes, match="needs root and mount"), small_volume(tmp_path, 1):
        raise AssertionError("it was mounted all the same")
