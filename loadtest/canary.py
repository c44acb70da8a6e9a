"""Invented candidates through a batch of their own, from the push to the verified result, with a score known before.

Promise: whatever real exams need between a scheduling system and a scorer has worked once, a minute ago, through every
node. How: a mock batch named `preflight-canary-…` with four items, of which three are answered right: 7 of 10 points.
It starts within seconds and is over within a minute; no real batch, candidate or seat is touched. Its results are
published like any mock's: receivers know them by the batch's id and the candidate's. Not done: photos and assessors.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any

from loadtest import people
from loadtest.candidate import Candidate
from loadtest.client import MachineClient
from loadtest.receipts import is_signed, responses_digest
from loadtest.wire import Problem, Unreachable, Wire

PREFIX = "preflight-canary-"
WITNESSES = ["自检见证人甲", "自检见证人乙"]
LEAD_S = 4  # to arm and to log in
DURATION_S = 45
GRACE_S = 1
PATIENCE_S = 15.0
FLIGHT_S = 60.0  # all of it; on a sound engine it takes less than ten seconds
POLL_S = 0.25
CODE_CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
SCORE = 70  # 4 + 0 + 2 + 1 of 10 points, scaled to 100
PASS_MARK = 60
TIMES = {"latest_entry_s": DURATION_S, "earliest_submit_s": 0, "warn_before_end_s": 10, "grace_s": GRACE_S}


def _options(*texts: str) -> list[dict[str, str]]:
    return [{"id": letter, "text": text} for letter, text in zip("abcd", texts, strict=False)]


PAPER: dict[str, Any] = {
    "title": "联考前自检 preflight canary",
    "sections": [
        {
            "id": "A",
            "title": "选择题",
            "items": [
                {
                    "id": "A1",
                    "type": "single",
                    "stem": "二加二等于几？",
                    "options": _options("三", "四", "五"),
                    "answer": "b",
                    "points": 4,
                },
                {
                    "id": "A2",
                    "type": "multiple",
                    "stem": "哪些是偶数？",
                    "options": _options("一", "二", "三", "四"),
                    "answer": ["b", "d"],
                    "points": 3,
                },
            ],
        },
        {
            "id": "B",
            "title": "判断与填数",
            "items": [
                {"id": "B1", "type": "true_false", "stem": "十大于九。", "answer": True, "points": 2},
                {"id": "B2", "type": "numeric", "stem": "六乘七等于几？", "answer": 42, "points": 1},
            ],
        },
    ],
}
# What is typed, in this order; the second value of an item replaces the first. A2 is wrong on purpose.
TYPED: tuple[tuple[str, Any], ...] = (
    ("A1", "a"),
    ("A2", ["a", "b"]),
    ("B1", True),
    ("A1", "b"),
    ("B2", 42),
)


class Wrong(Exception):
    """Something came out otherwise than known before; the message says what."""


@dataclass(frozen=True)
class Pushed:
    """The armed batch: how to get in, and who."""

    admission_code: str
    roster: list[dict[str, Any]]


@dataclass
class Flight:
    """How far the canary came; `fault` is empty when it came back. Filled on the way."""

    batch_id: str = ""
    step: str = "reach"
    fault: str = ""
    score: float | None = None
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "batch_id": self.batch_id,
            "step": self.step,
            "fault": self.fault,
            "score": self.score,
            "seconds": self.seconds,
        }


async def fly(urls: Sequence[str], schedule_key: str, results_key: str, ca: str | None = None) -> list[Flight]:
    """Send one candidate through each node. Raises nothing: what went wrong stands in the flights.

    All of them sit one batch, which comes in through the first node: what is armed there must be open to candidates of
    every other, so that a node with other keys or other stores behind it is found.
    """
    flights = [Flight() for _ in urls]
    began_s = time.monotonic()
    pushing = Flight()
    pushed: Pushed | None = None

    async def push() -> None:
        nonlocal pushed
        async with Wire(urls[0], ca=ca) as wire:
            pushed = await _push(MachineClient(wire, schedule_key, PATIENCE_S), len(urls), pushing)

    await _noted(pushing, push())
    for flight in flights:
        flight.batch_id, flight.step, flight.fault = pushing.batch_id, pushing.step, pushing.fault
    if pushed is not None:
        calls = [
            _noted(flight, _fly(url, ca, flight, pushed, row, results_key))
            for url, flight, row in zip(urls, flights, pushed.roster, strict=True)
        ]
        await asyncio.gather(*calls)
    for flight in flights:
        flight.seconds = flight.seconds or round(time.monotonic() - began_s, 1)
    return flights


async def _noted(flight: Flight, flying: Awaitable[None]) -> None:
    """Do a part of a flight; whatever stops it is noted."""
    began_s = time.monotonic()
    try:
        async with asyncio.timeout(FLIGHT_S):
            await flying
    except (Wrong, Problem, Unreachable) as fault:
        flight.fault = str(fault)
    except TimeoutError:
        flight.fault = f"not through within {FLIGHT_S:g} s"
    except Exception as fault:  # whatever a broken engine answers: it is this canary's fault, and told as one
        flight.fault = f"{type(fault).__name__}: {fault}"
    flight.seconds = round(time.monotonic() - began_s, 1)


async def _fly(url: str, ca: str | None, flight: Flight, pushed: Pushed, row: dict[str, Any], results_key: str) -> None:
    """One candidate's exam at one node, and the result as that node tells it."""
    flight.step = "reach"
    async with Wire(url, ca=ca) as wire:
        scorer = MachineClient(wire, results_key, PATIENCE_S)
        public_keys = await scorer.public_keys()
        candidate = Candidate(wire, pushed.admission_code, row["id_number"], has_channel=True)
        try:
            receipt = await _sit(candidate, flight)
        finally:
            await candidate.stop()
        _check_receipt(receipt, flight.batch_id, public_keys)
        flight.step = "grade"
        result = await _result(scorer, flight.batch_id, row["candidate_id"])
        flight.step = "result"
        _check_result(result, candidate.ledger.sitting_id, row["candidate_id"], public_keys)
        flight.score = result["score"]


async def _push(schedule: MachineClient, candidates: int, flight: Flight) -> Pushed:
    """Paper, batch, a roster of one for each node, arming."""
    tag = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
    flight.batch_id = f"{PREFIX}{tag}"
    flight.step = "paper"
    await schedule.put_paper(flight.batch_id, PAPER)
    flight.step = "batch"
    batch = {
        "title": f"联考前自检（不是考试）{tag}",
        "occupation": "联考前自检",
        "level": 3,
        "subject": "theory",
        "kind": "mock",
        "paper_id": flight.batch_id,
        "admission_code": "C" + "".join(secrets.choice(CODE_CHARACTERS) for _ in range(12)),
        "starts_ms": await schedule.server_ms() + LEAD_S * 1000,
        "duration_s": DURATION_S,
        "rules": {**TIMES, "pass_mark": PASS_MARK},
    }
    await schedule.put_batch(flight.batch_id, batch)
    flight.step = "roster"
    dice = random.Random(secrets.randbits(64))
    roster = people.roster(candidates, f"{dice.randrange(10**6):06d}", dice)
    for number, row in enumerate(roster, 1):
        row |= {"candidate_id": f"CANARY-{tag}-{number}", "name": "自检", "site": "联考前自检", "room": f"自检{number}"}
    await schedule.put_roster(flight.batch_id, roster)
    flight.step = "arm"
    await schedule.arm(flight.batch_id, WITNESSES)
    return Pushed(str(batch["admission_code"]), roster)


async def _sit(candidate: Candidate, flight: Flight) -> dict[str, Any]:
    """From the login to the receipt, the saves over the channel."""
    flight.step = "login"
    await candidate.log_in()
    await candidate.enter()
    flight.step = "sealed"
    await candidate.fetch_sealed()
    flight.step = "key"
    paper = await candidate.open_paper()
    if "answer" in str(paper):
        raise Wrong("the opened paper holds an answer key")
    flight.step = "save"
    candidate.start_saving()
    for item, value in TYPED:
        candidate.change(item, value)
        await candidate.flush()
    if candidate.tally.over_http or not candidate.tally.channels:
        raise Wrong("the channel did not carry the saves: they went over HTTP (does a proxy let WebSockets through?)")
    flight.step = "submit"
    if not await candidate.submit():
        raise Wrong("the sitting was closed before it could be handed in")
    await candidate.settle()
    return candidate.ledger.receipts[-1]


def _check_receipt(receipt: dict[str, Any], batch_id: str, public_keys: dict[str, str]) -> None:
    newest = {item: {"seq": seq, "value": value} for seq, (item, value) in enumerate(TYPED, 1)}
    expected = {"batch_id": batch_id, "state": "submitted", "answered": 4, "digest": responses_digest(newest)}
    wrong = [f"{name} {receipt.get(name)}, not {own}" for name, own in expected.items() if receipt.get(name) != own]
    if not is_signed(receipt, public_keys):
        wrong.append("its signature does not hold")
    if wrong:
        raise Wrong(f"the receipt: {'; '.join(wrong)}")


async def _result(scorer: MachineClient, batch_id: str, candidate_id: str) -> dict[str, Any]:
    """The candidate's only result, waited for as long as the flight lasts."""
    while True:
        results = [one for one in await scorer.results(batch_id) if one.get("candidate_id") == candidate_id]
        if results:
            break
        await asyncio.sleep(POLL_S)
    if len(results) > 1:
        raise Wrong(f"one candidate, and {len(results)} results")
    return results[0]


def _check_result(result: dict[str, Any], sitting_id: str, candidate_id: str, public_keys: dict[str, str]) -> None:
    expected = {
        "state": "graded",
        "score": SCORE,
        "passed": True,
        "sitting_id": sitting_id,
        "candidate_id": candidate_id,
    }
    wrong = [f"{name} {result.get(name)}, not {own}" for name, own in expected.items() if result.get(name) != own]
    if not is_signed(result, public_keys):
        wrong.append("its signature does not hold")
    if wrong:
        raise Wrong(f"the result: {'; '.join(wrong)}")
