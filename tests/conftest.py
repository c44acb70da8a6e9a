"""Fixtures every test shares: real PostgreSQL, real Valkey, and a whole engine, each once per test process.

`postgres_dsn`   a fresh migrated database per test
`redis_url`      an emptied Valkey per test
`engine_up`      a whole engine (`.url`, `.keys`, `.processes`, `.data`), shared by all tests of the process:
                 make your own batches in it, kill nothing in it (`servers.engine_up()` starts one to kill)
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.supervision import embedded
from tests import servers

TEMPLATE = "liankao_template"
# Long ones first, so that the second processor does not wait for them at the end.
ORDER = ("tests/acceptance", "tests/browser", "tests/contract", "tests/integration", "tests/unit")
_numbers = itertools.count(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long folders first."""
    items.sort(key=lambda item: _rank(item.path.relative_to(config.rootpath)))


def _rank(path: Path) -> int:
    folder = "/".join(path.parts[:2])
    return ORDER.index(folder) if folder in ORDER else len(ORDER)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def postgres_sockets() -> Iterator[Path]:
    """An empty cluster of this test process; for tests that make their own databases."""
    with servers.postgres() as sockets:
        yield sockets


@pytest.fixture(scope="session")
async def postgres_template(anyio_backend: Any, postgres_sockets: Path) -> str:
    """A migrated database that the others are copied from; nobody stays connected to it."""
    from engine.stores import migrations

    await _execute(postgres_sockets, f"CREATE DATABASE {TEMPLATE}")
    await migrations.migrate(embedded.postgres_dsn(postgres_sockets, TEMPLATE))
    return TEMPLATE


@pytest.fixture
async def postgres_dsn(postgres_sockets: Path, postgres_template: str) -> AsyncIterator[str]:
    """The DSN of a fresh, migrated database, dropped afterwards."""
    name = f"test_{next(_numbers)}"
    await _execute(postgres_sockets, f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    yield embedded.postgres_dsn(postgres_sockets, name)
    await _execute(postgres_sockets, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def postgres_dsn_empty(anyio_backend: Any, postgres_sockets: Path) -> AsyncIterator[str]:
    """The DSN of a fresh database with nothing in it, for tests of migrations."""
    name = f"test_{next(_numbers)}"
    await _execute(postgres_sockets, f"CREATE DATABASE {name}")
    yield embedded.postgres_dsn(postgres_sockets, name)
    await _execute(postgres_sockets, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(sockets: Path, statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(embedded.postgres_dsn(sockets, "postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    with servers.redis() as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The URL of a Valkey with nothing in it: no keys, no scripts."""
    import redis

    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
        client.script_flush()
    return redis_server


@pytest.fixture(scope="session")
def engine_up() -> Iterator[servers.Engine]:
    with servers.engine_up() as engine:
        yield engine
