"""Brings a database to this version's schema: dbmate's file format and bookkeeping, plus checksums.

Operators may run dbmate on the same files and table instead. An applied file that was edited since is refused.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from msgspec import Struct

from engine.stores import postgres

FOLDER = Path(__file__).resolve().parents[2] / "schema" / "migrations"
_LOCK = 0x11A_2CA0  # any constant: two migrators must not run at once
_SECTIONS = re.compile(r"^-- migrate:(up|down)(.*)$", re.MULTILINE)


class MigrationError(Exception):
    """A migration that cannot be applied as it lies there; the message names the file."""


class Migration(Struct, frozen=True):
    version: str
    name: str
    up: str
    in_transaction: bool
    checksum: str


def read(folder: Path = FOLDER) -> list[Migration]:
    """The migrations in `folder` by version. Raises MigrationError for a file without `migrate:up`."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        text = path.read_text("utf-8")
        sections = list(_SECTIONS.finditer(text))
        if not sections or sections[0].group(1) != "up":
            raise MigrationError(f"{path.name}: expected `-- migrate:up` first")
        end = sections[1].start() if len(sections) > 1 else len(text)
        found.append(
            Migration(
                version=path.name.split("_")[0],
                name=path.name,
                up=text[sections[0].end() : end],
                in_transaction="transaction:false" not in sections[0].group(2),
                checksum=hashlib.sha256(text.encode()).hexdigest(),
            )
        )
    return found


async def migrate(dsn: str, folder: Path = FOLDER) -> list[str]:
    """Apply what is missing, each file in its own transaction; returns the names applied, none the second time."""
    connection = await postgres.connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (version varchar(128) PRIMARY KEY);"
            "CREATE TABLE IF NOT EXISTS schema_checksums (version varchar(128) PRIMARY KEY, sha256 text NOT NULL)"
        )
        applied = {row["version"] for row in await connection.fetch("SELECT version FROM schema_migrations")}
        checksums = dict(await connection.fetch("SELECT version, sha256 FROM schema_checksums"))
        done = []
        for migration in read(folder):
            if migration.version not in applied:
                await _apply(connection, migration)
                done.append(migration.name)
            elif checksums.get(migration.version, migration.checksum) != migration.checksum:
                raise MigrationError(
                    f"{migration.name} was edited after it had been applied; add a new migration instead"
                )
        return done
    finally:
        await connection.close()


def newest(folder: Path = FOLDER) -> str:
    """The name of the last migration that this version has."""
    return max(path.name for path in folder.glob("*.sql"))


async def pending(connection: postgres.Connection, folder: Path = FOLDER) -> list[str]:
    """Names of migrations this version has and the database lacks; for readiness."""
    known = await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL")
    rows = await connection.fetch("SELECT version FROM schema_migrations") if known else []
    applied = {row["version"] for row in rows}
    return [migration.name for migration in read(folder) if migration.version not in applied]


async def _apply(connection: postgres.Connection, migration: Migration) -> None:
    async def book() -> None:
        await connection.execute("INSERT INTO schema_migrations (version) VALUES ($1)", migration.version)
        await connection.execute(
            "INSERT INTO schema_checksums (version, sha256) VALUES ($1, $2)", migration.version, migration.checksum
        )

    if migration.in_transaction:
        async with connection.transaction():
            await connection.execute(migration.up)
            await book()
    else:
        await connection.execute(migration.up)
        await book()
