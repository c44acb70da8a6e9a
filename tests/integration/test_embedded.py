"""The embedded servers are found, made and durable as promised."""

from __future__ import annotations

import os
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from engine.supervision import binaries, embedded
from tests import servers


async def _settings(dsn: str, names: list[str]) -> dict[str, str]:
    connection = await asyncpg.connect(dsn)
    try:
        return {name: await connection.fetchval("SELECT current_setting($1)", name) for name in names}
    finally:
        await connection.close()


async def test_postgres_is_durable_and_listens_on_a_socket_only() -> None:
    """`committed` means on disk, and nobody else on the machine can reach the server."""
    with servers.postgres(durable=True) as sockets:
        names = ["synchronous_commit", "fsync", "full_page_writes", "listen_addresses", "data_checksums"]
        found = await _settings(embedded.postgres_dsn(sockets), names)

        assert found == {
            "synchronous_commit": "on",
            "fsync": "on",
            "full_page_writes": "on",
            "listen_addresses": "",
            "data_checksums": "on",
        }
        assert os.stat(sockets).st_mode & 0o777 == 0o700


async def test_postgres_makes_its_log_in_small_files_and_keeps_them(postgres_dsn: str) -> None:
    """Making a large one holds up every fsync of the same volume, and with it the saves that wait for theirs."""
    found = await _settings(postgres_dsn, ["wal_segment_size", "min_wal_size", "max_wal_size", "wal_recycle"])

    assert found == {
        "wal_segment_size": "4MB",
        "min_wal_size": "128MB",
        "max_wal_size": "512MB",
        "wal_recycle": "on",
    }


async def test_redis_fsyncs_every_write_and_never_evicts(redis_url: str) -> None:
    """`saved` means on disk; a full server refuses instead of forgetting."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        wanted = {
            "appendonly": "yes",
            "appendfsync": "always",
            "no-appendfsync-on-rewrite": "no",
            "maxmemory-policy": "noeviction",
            "save": "",
            "port": "0",
            "hash-max-listpack-entries": "512",
            "hash-max-listpack-value": "1024",
        }
        found = {name: (await client.config_get(name))[name] for name in wanted}

    assert found == wanted


def test_a_data_directory_is_made_once(tmp_path: Path) -> None:
    """A second start finds what the first made; a killed initdb leaves nothing that looks complete."""
    binary = binaries.find_postgres()
    (tmp_path / "postgres.making").mkdir()
    (tmp_path / "postgres.making" / "half").touch()

    first = embedded.initialise_postgres(binary, tmp_path / "postgres", sync=False)
    second = embedded.initialise_postgres(binary, tmp_path / "postgres", sync=False)

    assert (first, second) == (True, False)
    assert embedded.postgres_major_of(tmp_path / "postgres") == binary.major
    assert not (tmp_path / "postgres.making").exists()


def test_a_named_folder_without_a_server_is_refused_by_name(tmp_path: Path) -> None:
    """What the user chose is never silently replaced by something else."""
    with pytest.raises(binaries.CannotEmbed, match=r"LIANKAO_PG_BIN: cannot run .*postgres"):
        binaries.find_postgres({"LIANKAO_PG_BIN": str(tmp_path)})
    with pytest.raises(binaries.CannotEmbed, match=r"LIANKAO_REDIS_BIN: cannot run .*redis-server"):
        binaries.find_redis({"LIANKAO_REDIS_BIN": str(tmp_path)})


def test_an_old_server_is_refused_with_both_versions(tmp_path: Path) -> None:
    """The message says what was found and what is needed."""
    old = tmp_path / "postgres"
    old.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 13.4'\n")
    old.chmod(0o755)
    older = tmp_path / "redis-server"
    older.write_text("#!/bin/sh\necho 'Redis server v=6.2.5 sha=00000000:0 malloc=libc'\n")
    older.chmod(0o755)

    with pytest.raises(binaries.CannotEmbed, match="PostgreSQL 13, expected 15"):
        binaries.find_postgres({"LIANKAO_PG_BIN": str(tmp_path)})
    with pytest.raises(binaries.CannotEmbed, match=r"Redis 6\.2, expected 7\.0"):
        binaries.find_redis({"LIANKAO_REDIS_BIN": str(tmp_path)})


def test_sockets_go_to_a_short_folder_when_the_data_folder_is_deep(tmp_path: Path) -> None:
    """The kernel's limit of 107 bytes must not break a deep checkout."""
    deep = tmp_path.joinpath(*["a-rather-long-folder-name"] * 5)
    deep.mkdir(parents=True)

    near = embedded.socket_folder(tmp_path)
    far = embedded.socket_folder(deep)
    again = embedded.socket_folder(deep)

    try:
        assert near == tmp_path / "sockets"
        assert far == again
        assert len(f"{far}/pg/.s.PGSQL.5432.lock") <= embedded.SOCKET_PATH_BYTES_MAX
        assert {os.stat(folder).st_mode & 0o777 for folder in (near, far)} == {0o700}
    finally:
        far.rmdir()


def test_sockets_go_to_a_plainly_named_folder(tmp_path: Path) -> None:
    """A driver takes a comma for a list of hosts, and a URL cannot hold every name."""
    odd = tmp_path / "联考 data, two"
    odd.mkdir()

    folder = embedded.socket_folder(odd)

    try:
        assert not folder.is_relative_to(tmp_path)
        assert embedded.PLAIN_PATH.fullmatch(str(folder))
    finally:
        folder.rmdir()
