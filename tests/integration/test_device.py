"""A device check over the real stores: kept as the engine's role may, and with PostgreSQL away to be sent again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs
from starlette.requests import Request

from engine.candidates import Candidates
from engine.invigilation import device
from engine.invigilation.resources import Invigilation
from engine.rules.errors import TryLater
from engine.sealing.token import Token, issue
from engine.stores.postgres import Postgres
from tests.integration.exam import Exam, batch
from tests.unit.test_device import SOUND

pytestmark = pytest.mark.anyio
TOKEN_KEY = b"t" * 32


@pytest.fixture
async def check(redis_url: str, postgres_dsn: str) -> AsyncIterator[Exam]:
    """A device check with two machines, at one of which a technician has logged in."""
    found = Exam(redis_url, postgres_dsn, structs.replace(batch(), kind="device_check"))
    await found.hold()
    await found.arm("one", "two")
    await found.login("one")
    yield found
    await found.close()


async def keep(check: Exam, database: Postgres, **changes: Any) -> dict[str, Any]:
    """What the machine of sitting `one` is told."""
    candidates = Candidates(check.memory, TOKEN_KEY)
    token = issue(Token("one", check.batch.batch_id, "1"), TOKEN_KEY)
    body = json.dumps({**structs.asdict(SOUND), **changes}).encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/sitting/device",
        "headers": [(b"authorization", f"Bearer {token}".encode())],
        "app": SimpleNamespace(state=SimpleNamespace(invigilation=Invigilation(database, check.memory, candidates))),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    answer = await device.keep(Request(scope, receive))
    told: dict[str, Any] = json.loads(bytes(answer.body))
    return told


async def rows(check: Exam) -> list[Any]:
    return await check.query("SELECT seat, checks, verdict, measured ->> 'memory_mib' FROM device_check")


async def test_newest_check_takes_the_place_of_the_one_before(check: Exam) -> None:
    failed = await keep(check, check.engine_database, memory_mib=512)
    sound = await keep(check, check.engine_database)

    assert (failed["verdict"], sound["verdict"]) == ("fail", "ok")
    assert [tuple(row) for row in await rows(check)] == [("00", 2, "ok", "2048")]


async def test_check_with_postgresql_away_is_to_be_sent_again(check: Exam) -> None:
    """Nothing is told as kept that is not."""
    with pytest.raises(TryLater, match="sending the same again is safe"):
        await keep(check, Postgres("postgresql://nobody@127.0.0.1:1/nothing?sslmode=disable", 1))

    assert await rows(check) == []
