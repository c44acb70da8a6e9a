"""How a simulated person goes through an exam: arrive, wait, answer and revise, lose the connection, hand in."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from loadtest.answers import Answer
from loadtest.candidate import Candidate
from loadtest.work import Work

PAUSE_MAX = 4.0  # in units of the person's pace: nobody sleeps


@dataclass(frozen=True)
class Away:
    """A lost connection, in seconds from the start. On the same machine typing goes on meanwhile."""

    from_s: float
    for_s: float
    other_machine: bool


@dataclass(frozen=True)
class Script:
    """What one person will do; times in seconds from the start, `arrives_s` mostly negative."""

    arrives_s: float
    submits_s: float | None
    away: Away | None
    pace_s: float
    spread_s: float
    answer: Answer


async def sit_exam(candidate: Candidate, script: Script) -> None:
    """From arrival to receipt or end. Raises what no client can go on from; the journal's sender is stopped then."""
    is_writing = False
    try:
        await candidate.log_in()
        candidate.tally.logged_in += 1
        await candidate.enter()
        if candidate.state in ("submitted", "collected"):
            return
        await candidate.fetch_sealed()
        paper = await candidate.open_paper(script.spread_s * 1000)
        is_writing = True
        candidate.tally.writing += 1
        candidate.start_saving()
        await _write(candidate, script, paper)
        await _finish(candidate, script)
    finally:
        await candidate.stop()
        candidate.tally.writing -= is_writing


async def _write(candidate: Candidate, script: Script, paper: dict[str, Any]) -> None:
    """Answer until the hand-in or the end by the server's clock."""
    present = asyncio.Event()
    present.set()
    absence = asyncio.create_task(_lose_connection(candidate, script.away, present))
    try:
        work = Work(paper, candidate.dice)
        while not candidate.closed:
            pause_s = min(candidate.dice.expovariate(1 / script.pace_s), script.pace_s * PAUSE_MAX)
            stop_ms = _stop_ms(candidate, script)
            if candidate.server_ms() + pause_s * 1000 >= stop_ms:
                await candidate.sleep_until(stop_ms)
                break
            await asyncio.sleep(pause_s)
            await present.wait()
            if absence.done():
                absence.result()
            item = work.next_item()
            candidate.change(item["id"], script.answer(item, candidate.dice))
        await absence
    finally:
        absence.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await absence


async def _finish(candidate: Candidate, script: Script) -> None:
    if script.submits_s is not None and await candidate.submit():
        await candidate.settle()
        return
    await candidate.flush()


def _stop_ms(candidate: Candidate, script: Script) -> float:
    if script.submits_s is None:
        return candidate.ends_ms
    return min(candidate.ends_ms, candidate.starts_ms + script.submits_s * 1000)


async def _lose_connection(candidate: Candidate, away: Away | None, present: asyncio.Event) -> None:
    if away is None or candidate.server_ms() > candidate.starts_ms + away.from_s * 1000:
        return
    await candidate.sleep_until(candidate.starts_ms + away.from_s * 1000)
    if away.other_machine:
        present.clear()
    try:
        await candidate.stop()
        await asyncio.sleep(away.for_s)
        await candidate.come_back(other_machine=away.other_machine)
    finally:
        present.set()
