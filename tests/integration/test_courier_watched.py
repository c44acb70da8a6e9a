"""Whether results reach who waits for them can be seen from outside."""

from __future__ import annotations

from typing import Any

import pytest

from engine import metrics
from engine.courier.courier import measure
from engine.readiness import Readiness
from tests.integration.pushing import SIGNER, Pushing

pytestmark = pytest.mark.anyio


async def test_figures_tell_what_waits(pushing: Pushing) -> None:
    """And since when; a webhook that is disabled waits for nothing."""

    def told() -> tuple[Any, Any]:
        return metrics.courier_waiting._value.get(), metrics.courier_oldest_seconds._value.get()

    await pushing.webhook()
    await pushing.publish("P", 2)
    await pushing.made()
    await pushing.exam.query("UPDATE webhook_delivery SET queued_ms = queued_ms - 100000 RETURNING 1")
    await measure(pushing.database)
    waiting = told()
    await pushing.exam.query("UPDATE webhook SET disabled_ms = 1 RETURNING 1")
    await measure(pushing.database)

    assert waiting[0] == 2
    assert waiting[1] >= 100
    assert told() == (0, 0)


async def test_readiness_is_amber_when_results_wait_too_long(pushing: Pushing) -> None:
    """For a courier that does not run as for a receiver that does not answer; nothing of it is red."""
    readiness = Readiness(pushing.exam.engine_database, pushing.exam.memory, SIGNER, {})
    await pushing.webhook()
    await pushing.publish("P", 1)
    await readiness.look()
    fresh = readiness.warnings.get("webhooks", "")
    await pushing.exam.query("UPDATE result SET publication = publication - 600000000 RETURNING 1")
    await pushing.exam.query("UPDATE webhook SET cursor = 0 RETURNING 1")
    look = await readiness.look()
    unmade = readiness.warnings["webhooks"]
    await pushing.made()
    await readiness.look()
    made = readiness.warnings.get("webhooks", "")
    await pushing.exam.query("UPDATE webhook_delivery SET queued_ms = queued_ms - 600000 RETURNING 1")
    await readiness.look()
    late = readiness.warnings["webhooks"]
    await pushing.exam.query("UPDATE webhook SET disabled_ms = 1, disabled_why = 'answered 410' RETURNING 1")
    await readiness.look()

    assert (fresh, made) == ("", "")
    assert "'hook' waits for a result since 600 s" in unmade and "'hook' waits" in late
    assert "webhooks" not in look.not_ready
    assert readiness.warnings["webhooks"] == "webhook 'hook' is disabled: answered 410"
