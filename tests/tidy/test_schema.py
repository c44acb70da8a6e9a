"""`schema.sql` is what the migrations make: two databases, one of each, must not differ."""

from __future__ import annotations

import difflib
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from engine.stores import migrations, postgres
from engine.supervision import binaries
from tests.servers import ROOT

SCHEMA = ROOT / "schema" / "schema.sql"
BOOKKEEPING = ("schema_migrations", "schema_checksums")


def dump(dsn: str) -> list[str]:
    """All that a database's structure consists of, in pg_dump's order, without comments, settings and bookkeeping."""
    pg_dump = binaries.find_postgres().path.with_name("pg_dump")
    without = [f"--exclude-table={table}" for table in BOOKKEEPING]
    command = [pg_dump, "--schema-only", "--no-owner", *without, f"--dbname={dsn}"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line for line in told.splitlines() if line and not re.match(r"--|\\|SET |SELECT pg_catalog", line)]


async def execute(dsn: str, statements: str) -> None:
    connection = await postgres.connect(dsn)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


async def test_the_schema_is_what_the_migrations_make(postgres_dsn: str, postgres_dsn_empty: str) -> None:
    """Tables, columns, types, defaults, constraints, indexes, sequences: whoever reads the file knows the database."""
    await execute(postgres_dsn_empty, SCHEMA.read_text("utf-8"))

    migrated, read = dump(postgres_dsn), dump(postgres_dsn_empty)

    assert len(migrated) > 100
    assert "\n".join(difflib.unified_diff(read, migrated, "schema/schema.sql", "schema/migrations", lineterm="")) == ""


async def test_every_migration_can_be_taken_back(postgres_dsn: str) -> None:
    """Newest first, the `migrate:down` sections leave nothing behind."""
    for path in sorted(migrations.FOLDER.glob("*.sql"), reverse=True):
        _, marker, down = path.read_text("utf-8").partition("-- migrate:down")
        assert marker and down.strip(), f"{path.name} cannot be taken back"
        await execute(postgres_dsn, down)

    assert dump(postgres_dsn) == []


def test_the_data_model_explains_every_table() -> None:
    """One row each in the prose."""
    tables = set(re.findall(r"^CREATE TABLE (\w+)", SCHEMA.read_text("utf-8"), re.MULTILINE))
    prose = (ROOT / "schema" / "README.md").read_text("utf-8")

    assert len(tables) > 5
    assert {table for table in tables if f"| `{table}` |" not in prose} == set()


@pytest.mark.parametrize("path", sorted(migrations.FOLDER.glob("*.sql")), ids=lambda path: path.name)
def test_a_migration_is_named_by_a_number_and_its_subject(path: Path) -> None:
    """The number orders it; two of one number would be applied in the order of their names."""
    numbers = [other.name.split("_")[0] for other in migrations.FOLDER.glob("*.sql")]

    assert re.fullmatch(r"\d{4}_[a-z_]+\.sql", path.name)
    assert numbers.count(path.name.split("_")[0]) == 1


async def test_a_difference_would_be_seen(postgres_dsn_empty: str, anyio_backend: Any) -> None:
    """Else equal dumps would prove nothing: a default, a constraint and an index each show."""
    await execute(postgres_dsn_empty, SCHEMA.read_text("utf-8"))
    before = dump(postgres_dsn_empty)
    changes = [
        "ALTER TABLE sitting ALTER COLUMN epoch SET DEFAULT 1",
        "ALTER TABLE batch DROP CONSTRAINT batch_has_a_paper",
        "DROP INDEX sitting_by_room",
        "ALTER TABLE response ALTER COLUMN seq TYPE integer",
    ]

    seen = []
    for change in changes:
        await execute(postgres_dsn_empty, change)
        seen.append(dump(postgres_dsn_empty))

    assert all(earlier != later for earlier, later in zip([before, *seen], seen, strict=False))
