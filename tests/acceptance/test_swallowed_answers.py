"""Acknowledgements that never arrive before a candidate leaves: no loss, but errors, and counted in the account."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from loadtest.client import MachineClient
from loadtest.torture.proxy import Proxy, Way
from tests.acceptance import swarming
from tests.acceptance.swarming import GRACE_S
from tests.servers import Engine

pytestmark = pytest.mark.anyio
CANDIDATES = 12
SILENT_S = 0.8  # before the end


@pytest.mark.slow
async def test_what_nobody_acknowledged_before_its_candidate_left_is_an_error_and_no_loss(
    engine_up: Engine, tmp_path: Path
) -> None:
    """From shortly before the end until everything is closed the line brings no answer; then every connection breaks.
    What was typed meanwhile the engine has or has not: nobody was told, and nobody may take it for saved."""
    schedule, results = (MachineClient(engine_up.url, engine_up.keys[scope]) for scope in ("schedule", "results"))
    async with schedule, results, Proxy(("127.0.0.1", engine_up.port)) as line:
        planned = await swarming.push(schedule, engine_up, CANDIDATES, swarming.short())
        plan = planned.plan
        file = planned.written(tmp_path, url=f"http://127.0.0.1:{line.port}", page="")
        process = swarming.started("loadtest.swarm", "--plan", str(file), "--out", str(tmp_path))
        await asyncio.sleep(plan.ends_ms / 1000 - SILENT_S - time.time())
        line.swallow(Way.BACK)
        await asyncio.sleep(SILENT_S + GRACE_S + 0.3)
        line.heal()
        line.cut()
        await asyncio.to_thread(swarming.said, process, 60)
        (report,), ledgers = swarming.left_behind(tmp_path, ["swarm-0"])
        verdict = await swarming.judged(schedule, results, planned, ledgers)

    unanswered = sum(count for key, count in report.errors.items() if key.endswith("/unanswered"))
    assert (verdict.lost, verdict.foreign, verdict.failed_candidates) == (0, 0, 0), verdict.faults
    assert verdict.undelivered == unanswered > 0
