"""An armed batch of two candidates over fresh stores."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.exam import Exam
from tests.integration.pushing import Pushing


@pytest.fixture
async def exam(redis_url: str, postgres_dsn: str) -> AsyncIterator[Exam]:
    """Partitions built, batch armed with sittings `one` and `two`; nobody has logged in."""
    found = Exam(redis_url, postgres_dsn)
    await found.hold()
    await found.arm("one", "two")
    yield found
    await found.close()


@pytest.fixture
async def pushing(exam: Exam, postgres_dsn: str) -> AsyncIterator[Pushing]:
    """A receiver that is up, and nothing published yet."""
    found = Pushing(exam, postgres_dsn)
    await found.receiver.start()
    yield found
    await found.close()
