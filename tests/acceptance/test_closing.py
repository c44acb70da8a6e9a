"""A whole batch closes at one instant, and the grader is killed in the middle: each sitting gets exactly one result."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from engine.sealing.signature import ALGORITHM, is_valid
from engine.stores import postgres
from engine.supervision import embedded
from loadtest import people, samples
from loadtest.client import MachineClient, Problem, Wire
from tests.servers import Engine, engine_up

SITTINGS = 300
ENTER = 40  # of them; the others never come
DURATION_S = 9
BATCH = "closing"
CODE = "CLOSING"
WITHIN_S = 90


def test_a_killed_grader_grades_each_sitting_once() -> None:
    """Killed while its transactions wait to commit: no result twice, none lost, each once in the feed, all signed."""
    with engine_up("closing") as engine:
        saved, results, feed, keys = asyncio.run(hold(engine))

    assert len(feed) == len({row["sitting_id"] for row in feed}) == SITTINGS
    assert len({row["publication"] for row in feed} - {None}) == SITTINGS
    assert all(is_valid(orjson.loads(row["document"]), keys) for row in feed)
    assert sorted(result["candidate_id"] for result in results) == sorted(f"REH-{n + 1:06d}" for n in range(SITTINGS))
    graded = {result["candidate_id"]: result for result in results if result["state"] == "graded"}
    assert saved
    assert saved.keys() <= graded.keys(), "somebody whose answer was acknowledged counts as absent"
    assert {candidate: graded[candidate]["score"] > 0 for candidate in saved} == saved


async def hold(engine: Engine) -> tuple[dict[str, bool], list[Any], list[Any], list[dict[str, str]]]:
    """(candidate -> whether the saved answer was right, results, the feed's rows, public keys)."""
    dice = random.Random(3)
    paper = samples.load("ldgx3").paper
    item = next(item for item in paper["sections"][0]["items"] if item["type"] == "single")
    roster = people.roster(SITTINGS, "31", dice)
    async with Wire(engine.url) as wire:
        schedule = MachineClient(wire, engine.keys["schedule"])
        starts_ms = await push(schedule, paper, roster)
        right = {row["candidate_id"]: dice.random() < 0.5 for row in roster[:ENTER]}
        values = [item["answer"] if is_right else None for is_right in right.values()]
        entering = zip(roster, values, strict=False)
        done = await asyncio.gather(*(enter(wire, row, item["id"], value) for row, value in entering))
        await kill_in_the_middle(engine, starts_ms + DURATION_S * 1000)
        await until(lambda: is_graded(schedule), "the batch graded")
        results = await MachineClient(wire, engine.keys["results"]).results(BATCH)
        public = await schedule.public_keys()
    keys = [{"key_id": key_id, "algorithm": ALGORITHM, "public_key": text} for key_id, text in public.items()]
    feed = await query(engine, "SELECT sitting_id, document, publication FROM result ORDER BY publication")
    saved = {candidate: right[candidate] for candidate, is_done in zip(right, done, strict=True) if is_done}
    return saved, results, feed, keys


async def push(schedule: MachineClient, paper: dict[str, Any], roster: list[dict[str, Any]]) -> int:
    starts_ms = int(time.time() * 1000)
    batch = {"title": BATCH, "occupation": "演练", "level": 3, "subject": "theory", "kind": "formal", "paper_id": "P"}
    batch |= {"admission_code": CODE, "starts_ms": starts_ms, "duration_s": DURATION_S}
    batch["rules"] = {"earliest_submit_s": 0, "latest_entry_s": DURATION_S, "warn_before_end_s": 0, "grace_s": 1}
    await schedule.put_paper("P", paper)
    await schedule.put_batch(BATCH, batch)
    await schedule.put_roster(BATCH, roster)
    await schedule.arm(BATCH, ["甲", "乙"])
    return starts_ms


async def enter(wire: Wire, row: dict[str, Any], item: str, value: Any) -> bool:
    """Log in, confirm, pledge, save one answer; whether it was acknowledged before the end."""

    async def call(path: str, content: dict[str, Any], token: str = "") -> Any:
        body = orjson.dumps(content)
        return (await wire.send_patiently("POST", path, patience_s=60, token=token, body=body)).json()

    try:
        token = (await call("/v1/login", {"admission_code": CODE, "id_number": row["id_number"]}))["token"]
        await call("/v1/sitting/confirm", {"accepted": True}, token)
        await call("/v1/sitting/pledge", {"accepted": True}, token)
        await call("/v1/sitting/responses", {"changes": [{"item": item, "seq": 1, "value": value}]}, token)
    except Problem:  # the machine was too slow for this one
        return False
    return True


async def kill_in_the_middle(engine: Engine, ends_ms: int) -> None:
    """With the feed held, the grader's transactions wait just before their commit; there it dies."""
    connection = await postgres.connect(dsn(engine))
    holding = connection.transaction()
    await holding.start()
    await connection.execute("SELECT * FROM feed FOR UPDATE")
    await asyncio.sleep(ends_ms / 1000 - time.time())
    grader = engine.processes["grader-0"]
    await until(lambda: is_waiting(engine), "the grader in the middle")
    os.kill(grader, signal.SIGKILL)
    await until(lambda: is_another(engine, grader), "another grader")
    await holding.rollback()
    await connection.close()


async def is_waiting(engine: Engine) -> bool:
    """Does the grader wait for the feed?"""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%UPDATE feed%'"
    return bool(await query(engine, waiting))


async def is_another(engine: Engine, grader: int) -> bool:
    return engine.processes["grader-0"] != grader


async def is_graded(schedule: MachineClient) -> bool:
    return bool((await schedule.batch(BATCH))["state"] == "graded")


async def until(promise: Callable[[], Awaitable[bool]], what: str) -> None:
    for _ in range(WITHIN_S * 10):
        if await promise():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"not within {WITHIN_S} s: {what}")


async def query(engine: Engine, statement: str) -> list[Any]:
    """Over a connection of its own: within one transaction the server's activity is always the same."""
    connection = await postgres.connect(dsn(engine))
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


def dsn(engine: Engine) -> str:
    sockets = embedded.prepare_sockets_for_postgres(embedded.socket_folder(engine.data))
    return embedded.postgres_dsn(sockets)
