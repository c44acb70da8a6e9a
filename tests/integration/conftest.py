"""An armed batch of two candidates over fresh stores."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.exam import Exam


@pytest.fixture
async def exam(redis_url: str, postgres_dsn: str) -> AsyncIterator[Exam]:
    """Partitions built, batch armed with sittings `one` and `two`; nobody has logged in."""
    found = Exam(redis_url, postgres_dsn)
    await found.hold()
    await found.arm("one", "two")
    yield found
    await found.close()
