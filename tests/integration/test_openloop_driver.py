"""The open-loop driver against a whole engine: what it says was acknowledged is what the engine delivers."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from loadtest.capacity import installation
from loadtest.capacity.installation import Exam, Installation
from loadtest.client import MachineClient
from loadtest.ledger import Ledger
from loadtest.openloop.account import differences
from loadtest.openloop.driver import Manner
from loadtest.openloop.figures import LATE_P99_MS_MAX
from loadtest.openloop.fleet import Fleet, FleetFault
from loadtest.openloop.schedule import EVEN, Phase
from loadtest.sizing import ledger_file
from loadtest.torture.proxy import Proxy
from tests.servers import Engine

pytestmark = pytest.mark.anyio
CANDIDATES = 12
RECORDED_WITHIN_S = 20
PHASES = [Phase("warm", 0.3, 60.0, is_judged=False), Phase("step", 1.2, 150.0)]
OFFERED = [18, 180]


@pytest.fixture(scope="module")
def on(engine_up: Engine) -> Installation:
    return installation.from_ready(engine_up.ready)


@pytest.fixture
def exam(on: Installation) -> Exam:
    return installation.hold(on, CANDIDATES, seed=3, lead_s=-1)


@pytest.fixture
async def client(on: Installation) -> AsyncIterator[MachineClient]:
    async with MachineClient(on.url, on.results_key) as found:
        yield found


async def wrong(client: MachineClient, ledgers: Sequence[Ledger]) -> list[str]:
    """What differs, once the recorder has had its time."""
    until_s = time.monotonic() + RECORDED_WITHIN_S
    while True:
        found = [
            fault for ledger in ledgers for fault in differences(ledger, await client.responses(ledger.sitting_id))
        ]
        if not found or time.monotonic() > until_s:
            return found
        await asyncio.sleep(0.1)


def ledgers_of(fleet: Fleet, folder: Path) -> list[Ledger]:
    return [ledger for file in fleet.write_ledger(folder) for ledger in ledger_file.read(file)]


@pytest.mark.parametrize(("has_channel", "processes"), [(True, 1), (True, 2), (False, 1)])
async def test_every_acknowledged_change_is_what_the_engine_delivers(
    on: Installation, exam: Exam, client: MachineClient, tmp_path: Path, has_channel: bool, processes: int
) -> None:
    """Over channels from one process and from two, and over HTTP; a value that was altered would be found."""
    manner = Manner(has_channel=has_channel, spacing=EVEN)
    with Fleet(on.url, exam.entered, exam.values, manner, processes=processes) as fleet:
        found = fleet.run(PHASES)
        ledgers = ledgers_of(fleet, tmp_path)

    assert [one.offered for one in found] == [one.acknowledged for one in found] == OFFERED
    assert [one.errors for one in found] == [{}, {}]
    assert len(ledgers) == CANDIDATES and sum(len(ledger.changes) for ledger in ledgers) > CANDIDATES
    assert await wrong(client, ledgers) == []
    changed = next(ledger for ledger in ledgers if ledger.changes)
    changed.changes[0].value = "never sent"
    assert len(differences(changed, await client.responses(changed.sitting_id))) == 1


async def test_what_is_due_does_not_wait_for_a_slow_engine(
    on: Installation, exam: Exam, client: MachineClient, tmp_path: Path
) -> None:
    """With 0.3 s on the wire each way, 12 closed loops would have sent 24 in the time in which 180 were due."""
    host, _, port = on.url.removeprefix("http://").partition(":")
    async with Proxy((host, int(port))) as wire:
        wire.delay_s = 0.3
        arguments = (f"http://127.0.0.1:{wire.port}", exam.entered, exam.values, Manner(spacing=EVEN))
        fleet = await asyncio.to_thread(Fleet, *arguments)
        with fleet:
            _, step = await asyncio.to_thread(fleet.run, PHASES)
            ledgers = await asyncio.to_thread(ledgers_of, fleet, tmp_path)
    at = step.percentiles_ms()

    assert (step.offered, step.acknowledged, step.errors) == (180, 180, {})
    assert step.calls < 60  # what fell due meanwhile went out together
    assert at["p50"] > 600 and at["max"] > 900
    assert await wrong(client, ledgers) == []


async def test_lines_that_are_cut_are_errors_and_lose_nothing(
    on: Installation, exam: Exam, client: MachineClient, tmp_path: Path
) -> None:
    """What was under way goes out again on the next line."""
    host, _, port = on.url.removeprefix("http://").partition(":")
    async with Proxy((host, int(port))) as wire:
        arguments = (f"http://127.0.0.1:{wire.port}", exam.entered, exam.values, Manner(spacing=EVEN))
        fleet = await asyncio.to_thread(Fleet, *arguments)
        with fleet:
            running = asyncio.create_task(asyncio.to_thread(fleet.run, PHASES))
            await asyncio.sleep(0.9)
            wire.cut()
            _, step = await running
            ledgers = await asyncio.to_thread(ledgers_of, fleet, tmp_path)

    assert step.errors == {"lost": CANDIDATES}
    assert step.offered == step.acknowledged == 180
    assert await wrong(client, ledgers) == []


async def test_an_idle_http_connection_that_ends_is_no_error(
    on: Installation, exam: Exam, client: MachineClient, tmp_path: Path
) -> None:
    """Servers and proxies close what nobody uses; the next save goes over another one."""
    host, _, port = on.url.removeprefix("http://").partition(":")
    async with Proxy((host, int(port))) as wire:
        manner = Manner(has_channel=False, spacing=EVEN)
        arguments = (f"http://127.0.0.1:{wire.port}", exam.entered, exam.values, manner)
        fleet = await asyncio.to_thread(Fleet, *arguments)
        with fleet:
            wire.cut()
            _, step = await asyncio.to_thread(fleet.run, PHASES)
            ledgers = await asyncio.to_thread(ledgers_of, fleet, tmp_path)

    assert (step.errors, step.offered, step.acknowledged) == ({}, 180, 180)
    assert await wrong(client, ledgers) == []


async def test_a_starved_generator_comes_out_void(on: Installation, exam: Exam) -> None:
    """Stopped for a third of the step it was late by its own fault: nothing may be read off its latencies."""
    with Fleet(on.url, exam.entered, exam.values, Manner(spacing=EVEN)) as fleet:
        fleet.begin(PHASES)
        await asyncio.sleep(0.9)
        os.kill(fleet.processes[0].pid, signal.SIGSTOP)
        await asyncio.sleep(0.4)
        os.kill(fleet.processes[0].pid, signal.SIGCONT)
        _, step = fleet.finish()

    assert step.offered == 180
    assert "late (p99)" in step.why_void
    assert step.percentiles_ms()["late_p99"] > LATE_P99_MS_MAX


async def test_lines_that_cannot_be_opened_are_told_with_the_engines_words(on: Installation, exam: Exam) -> None:
    """A token that nobody issued."""
    stranger = [type(one)(one.candidate_id, one.sitting_id, "x" + one.token) for one in exam.entered[:2]]

    with pytest.raises(FleetFault, match=r"not every line could be opened: .*auth"):
        Fleet(on.url, stranger, exam.values, Manner())
