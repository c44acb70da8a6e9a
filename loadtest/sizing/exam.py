"""The exam of a load test on its engine: pushed as a scheduling system does, with the plan that generators read."""

from __future__ import annotations

import math
import random
import secrets
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from loadtest import people
from loadtest.client import MachineClient
from loadtest.judge import Exam
from loadtest.receipts import canonical_digest
from loadtest.sizing import model
from loadtest.sizing.plan import Person, PhaseName, Plan
from loadtest.sizing.tiers import Tier
from loadtest.wire import Problem

WITNESSES = ["容量测试见证人甲", "容量测试见证人乙"]
CODE_CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
ROSTER_DRAWS_MAX = 3  # an invented ID number may already sit another exam at the same time
EARLIER_CANDIDATES = 20
PLAYED_EACH_MAX = 600  # candidates of one Locust process: well below what it can play
OPENLOOP_EACH_MAX = 2500


class Pushed(Struct, kw_only=True):
    """An armed exam and what candidates are going to do in it."""

    exam: Exam
    plan: Plan


def processes_of(tier: Tier, wanted: int | None) -> dict[str, int]:
    """Generator processes by kind; `wanted`: as many of Locust."""
    candidates, openloop = tier.candidates, round(tier.candidates * tier.openloop_share)
    swarm = wanted or math.ceil((candidates - openloop) / PLAYED_EACH_MAX)
    return {"swarm": swarm, "openloop": math.ceil(openloop / OPENLOOP_EACH_MAX)}


def prepare_s(candidates: int, processes: int) -> float:
    """From the push of the batch until candidates may come: a roster, arming, and generators that start."""
    return 4 + 1.5 * processes + candidates / 200


async def push(
    client: MachineClient,
    timetable: model.Timetable,
    tier: Tier,
    seed: int,
    processes: int,
    told: Mapping[str, Any],
    lead_s: float = 0.0,
) -> Pushed:
    """Paper, batch, roster, arming; and an earlier exam whose results are pulled meanwhile. `told`: more of the plan,
    `lead_s`: so much later than it could be.

    Raises Problem where the engine refuses.
    """
    dice, candidates = random.Random(seed), tier.candidates
    tag = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
    paper = model.paper()
    paper_id, batch_id = f"sizing-paper-{tag}", f"sizing-{tag}"
    await client.put_paper(paper_id, paper)
    earlier = await _earlier(client, paper_id, f"sizing-earlier-{tag}")
    ahead_s = lead_s + prepare_s(candidates, processes) + timetable.check_in_s
    starts_ms = math.ceil(await client.server_ms() / 1000 + ahead_s) * 1000
    batch = {
        **_batch(f"容量测试 {tag}", paper_id, starts_ms, round(timetable.duration_s)),
        "rules": timetable.rules(),
    }
    await client.put_batch(batch_id, batch)
    roster = await _roster(client, batch_id, candidates, model.extra_times(candidates, timetable, dice))
    await client.arm(batch_id, WITNESSES)
    planned = model.dealt(model.people(roster, timetable, starts_ms, dice), starts_ms, tier.openloop_share)
    phases = model.phases(timetable, starts_ms, timetable.grace_s + timetable.extra_time_s)
    reconnect_ms = model.begins_ms(phases, PhaseName.RECONNECT)
    plan = Plan(
        batch_id=batch_id,
        paper_id=paper_id,
        admission_code=batch["admission_code"],
        starts_ms=starts_ms,
        ends_ms=starts_ms + round(timetable.duration_s) * 1000,
        grace_s=timetable.grace_s,
        seed=seed,
        phases=phases,
        people=planned,
        background=msgspec.structs.replace(model.BACKGROUND, pulled_batch=earlier),
        cut_ms=reconnect_ms + round(timetable.cut_after_s * 1000),
        **told,
    )
    return Pushed(exam=Exam(batch_id, paper, canonical_digest(paper), model.PASS_MARK), plan=plan)


def closes_ms(plan: Plan, timetable: model.Timetable) -> int:
    """End and grace of the last sitting, extra time included."""
    return plan.ends_ms + round((timetable.extra_time_s + plan.grace_s) * 1000)


def expected(people_planned: list[Person]) -> dict[str, Person]:
    """Everybody on the roster, by candidate."""
    return {person.candidate_id: person for person in people_planned}


async def _earlier(client: MachineClient, paper_id: str, batch_id: str) -> str:
    """A small batch to which nobody comes: it is graded long before its results are pulled."""
    batch = _batch("容量测试 先前批次", paper_id, await client.server_ms() + 3000, 1)
    await client.put_batch(batch_id, {**batch, "rules": {"grace_s": 0, "latest_entry_s": 1, "earliest_submit_s": 0}})
    await _roster(client, batch_id, EARLIER_CANDIDATES, [0] * EARLIER_CANDIDATES)
    await client.arm(batch_id, WITNESSES)
    return batch_id


def _batch(title: str, paper_id: str, starts_ms: int, duration_s: int) -> dict[str, Any]:
    return {
        "title": title,
        "occupation": "容量测试",
        "level": 3,
        "subject": "theory",
        "kind": "mock",
        "paper_id": paper_id,
        "admission_code": "S" + "".join(secrets.choice(CODE_CHARACTERS) for _ in range(9)),
        "starts_ms": starts_ms,
        "duration_s": duration_s,
    }


async def _roster(
    client: MachineClient, batch_id: str, candidates: int, extra_times: list[int]
) -> list[dict[str, Any]]:
    strangers = random.Random(secrets.randbits(64))  # not from the seed: two runs of one seed may overlap
    draw = 1
    while True:
        rows = people.roster(candidates, f"{strangers.randrange(10**6):06d}", strangers)
        for row, extra_time_s in zip(rows, extra_times, strict=True):
            row.update({"extra_time_s": extra_time_s} if extra_time_s else {})
        try:
            await client.put_roster(batch_id, rows)
            return rows
        except Problem as problem:
            if problem.code != "roster.invalid" or draw == ROSTER_DRAWS_MAX:
                raise
        draw += 1
