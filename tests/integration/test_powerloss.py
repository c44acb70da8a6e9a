"""Power losses on a real file system under real servers: what was fsynced stays, and what was not is caught."""

from __future__ import annotations

import asyncio
import itertools
import mmap
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
import redis

from engine.stores.postgres import UNAVAILABLE
from engine.supervision import binaries, data_folder, embedded
from loadtest.torture.powerloss import ForgetfulDisk, NoFuse, check_fuse, tree_of
from tests.integration.forgetful import forgetful_disk, postgres_on, valkey_on
from tests.servers import start_engine, stop_engine, temporary_folder, wait_until

WRITES = 300


@contextmanager
def writing(write: Callable[[int], object]) -> Iterator[list[int]]:
    """Somebody writes on and on beside the body; the numbers that were acknowledged before the server was gone."""
    acknowledged: list[int] = []

    def write_on() -> None:
        for number in itertools.count():
            try:
                write(number)
            except (redis.exceptions.ConnectionError, *UNAVAILABLE):
                return
            acknowledged.append(number)

    thread = threading.Thread(target=write_on)
    thread.start()
    wait_until(lambda: len(acknowledged) >= WRITES or not thread.is_alive(), 60, f"{WRITES} writes")
    yield acknowledged
    thread.join(60)
    assert not thread.is_alive()


@pytest.fixture
def disk() -> Iterator[ForgetfulDisk]:
    with forgetful_disk() as found:
        yield found


@pytest.fixture
def sockets() -> Iterator[Path]:
    with temporary_folder("sockets") as folder:
        yield folder


def test_only_what_was_synced_survives(disk: ForgetfulDisk) -> None:
    """Bytes by fsync of their file, names by fsync of their folder."""
    root = disk.mount_point
    with open(root / "kept", "wb", buffering=0) as file:
        file.write(b"synced;")
        os.fdatasync(file.fileno())
        file.write(b"not synced")
    data_folder.sync_folder(root)
    (root / "unnamed").write_bytes(b"x")
    with open(root / "kept", "rb") as file:
        assert file.read() == b"synced;not synced"

    lost = disk.forget(None)

    assert {path.name: path.read_bytes() for path in root.iterdir()} == {"kept": b"synced;"}
    assert (lost["files"], lost["bytes"], lost["names"]) == (1, len(b"not synced"), 1)


def test_an_orderly_unmount_forgets_nothing(disk: ForgetfulDisk) -> None:
    """Only a power loss does."""
    (disk.mount_point / "file").write_bytes(b"never synced")

    disk.unmount()
    disk.mount()

    assert (disk.mount_point / "file").read_bytes() == b"never synced"


def test_every_way_to_write_is_forgotten_and_every_way_to_sync_is_kept(disk: ForgetfulDisk) -> None:
    """Mapped memory, O_DSYNC, truncation at opening, and a deleted file that is still open."""
    root = disk.mount_point
    for name in ("mapped", "mapped_synced", "cut"):
        (root / name).write_bytes(b"o" * 8192)
        with open(root / name, "rb") as file:
            os.fsync(file.fileno())
    direct = os.open(root / "direct", os.O_WRONLY | os.O_CREAT | os.O_DSYNC, 0o600)
    data_folder.sync_folder(root)
    os.write(direct, b"synced by itself")
    os.close(direct)
    for name in ("mapped", "mapped_synced"):
        with open(root / name, "r+b") as file, mmap.mmap(file.fileno(), 8192) as mapped:
            mapped[:4] = b"new!"
            if name == "mapped_synced":
                mapped.flush()
    with open(root / "cut", "wb") as file:
        file.write(b"short")
    with open(root / "ghost", "w+b", buffering=0) as ghost:
        (root / "ghost").unlink()
        ghost.write(b"still here")
        ghost.seek(0)
        assert ghost.read() == b"still here"

    disk.forget(None)

    found = {path.name: path.read_bytes() for path in root.iterdir()}
    assert found.pop("mapped_synced") == b"new!" + b"o" * 8188
    assert found == {"mapped": b"o" * 8192, "cut": b"o" * 8192, "direct": b"synced by itself"}


@pytest.mark.parametrize(("appendfsync", "loses"), [("always", False), ("everysec", True)])
def test_everysec_loses_acknowledged_writes_and_always_does_not(
    disk: ForgetfulDisk, sockets: Path, appendfsync: str, loses: bool
) -> None:
    """Why the engine insists on `always`, and that the instrument would notice if it did not."""
    folder = disk.mount_point / "redis"
    (folder / "appendonlydir").mkdir(parents=True)
    data_folder.sync_folder(folder)
    data_folder.sync_folder(disk.mount_point)
    url = embedded.redis_url(sockets)
    with (
        valkey_on(folder, sockets, appendfsync=appendfsync) as child,
        redis.Redis.from_url(url) as client,
        writing(lambda number: client.set(f"answer-{number}", "a" * 100)) as acknowledged,
    ):
        disk.lose_power([child.pid], None)
    with valkey_on(folder, sockets, appendfsync=appendfsync), redis.Redis.from_url(url) as client:
        found = client.dbsize()

    assert len(acknowledged) >= WRITES
    assert (found < len(acknowledged)) == loses


@pytest.mark.parametrize(("synchronous_commit", "seed", "loses"), [("on", 7, False), ("off", None, True)])
def test_postgres_keeps_what_it_committed_and_loses_what_it_only_said(
    disk: ForgetfulDisk, sockets: Path, synchronous_commit: str, seed: int | None, loses: bool
) -> None:
    """With `on`, acknowledged commits outlive torn pages; with `off` the instrument finds some gone."""
    folder = disk.mount_point / "postgres"
    embedded.initialise_postgres(binaries.find_postgres(), folder)

    async def write(connection: asyncpg.Connection, number: int) -> None:
        await connection.execute("INSERT INTO said VALUES ($1)", number)

    with asyncio.Runner() as loop:
        with postgres_on(folder, sockets) as child:
            connection = loop.run(_connect(sockets))
            loop.run(connection.execute("CREATE TABLE said (number int)"))
            loop.run(connection.execute(f"SET synchronous_commit = {synchronous_commit}"))
            with writing(lambda number: loop.run(write(connection, number))) as acknowledged:
                disk.lose_power(tree_of(child.pid), seed)
            connection.terminate()
        with postgres_on(folder, sockets):
            connection = loop.run(_connect(sockets))
            found = loop.run(connection.fetchval("SELECT count(*) FROM said"))
            loop.run(connection.close())

    assert len(acknowledged) >= WRITES
    assert (found < len(acknowledged)) == loses


def test_an_engine_comes_back_from_a_power_loss_right_after_its_first_start() -> None:
    """Keys, database and partitions were synced with their names before the engine said it was ready."""
    with forgetful_disk() as disk:
        data = disk.mount_point / "data"
        engine = start_engine(data)
        keys = engine.keys
        disk.lose_power(tree_of(engine.supervisor.pid), None)
        engine.supervisor.wait()

        again = start_engine(data)
        try:
            assert again.keys == keys
            assert again.is_ready()
        finally:
            stop_engine(again)


def test_a_place_without_fuse_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A power-loss test that silently did nothing would be worse than none."""
    monkeypatch.setattr(Path, "exists", lambda path: str(path) != "/dev/fuse")

    with pytest.raises(NoFuse, match="no /dev/fuse: power losses need FUSE"):
        check_fuse()


def test_a_refused_mount_is_told_with_its_reason(tmp_path: Path) -> None:
    """The message of the file system's process reaches the person."""
    (tmp_path / "backing").mkdir()
    (tmp_path / "backing" / "live").write_text("in the way")

    with pytest.raises(NoFuse, match=r"was not mounted on .*backing/live"):
        ForgetfulDisk(tmp_path / "backing", tmp_path / "mount").mount()


async def _connect(sockets: Path) -> asyncpg.Connection:
    return await asyncpg.connect(embedded.postgres_dsn(embedded.postgres_socket_folder(sockets)))
