"""Results pushed by a whole engine: the receiver is down, slow, failing, the courier is killed, and each comes once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx2
from aiohttp import web
from standardwebhooks import Webhook

from engine.rules.webhook import shown_secret
from engine.sealing.signature import ALGORITHM, is_valid
from loadtest import people, samples
from loadtest.client import MachineClient, Wire
from tests.receiver import Message, Receiver
from tests.servers import Engine, engine_up

BATCHES = ("webhooks-a", "webhooks-b", "webhooks-c")
CANDIDATES = 120
LATEST_ENTRY_S = 2  # then who has not come is absent, which is a result as well
KILLS = 4
WITHIN_S = 120
SECRET = shown_secret(b"a secret of the receiver's own 32")
SETTINGS = {
    "LIANKAO_COURIER_NETWORKS": "127.0.0.0/8",
    "LIANKAO_COURIER_TIMEOUT_S": "1",
    "LIANKAO_COURIER_RETRY_FIRST_S": "0.05",
    "LIANKAO_COURIER_RETRY_MAX_S": "0.5",
}


def test_every_result_comes_once_whoever_is_killed() -> None:
    """kill -9 of the courier in the middle of its work: by id each result once, each batch in the feed's order."""
    with engine_up("webhooks", settings=SETTINGS) as engine:
        receiver, feed, keys = asyncio.run(hold(engine))

    assert len(feed) == len(BATCHES) * CANDIDATES
    assert len(receiver.ids) == len(feed)
    first_of = {message.id: message for message in reversed(receiver.accepted)}
    firsts = [message for message in receiver.accepted if first_of[message.id] is message]
    for batch_id in BATCHES:
        came = [message.result for message in firsts if message.batch_id == batch_id]
        served = [result for result in feed if result["sitting_id"] in {each["sitting_id"] for each in came}]
        assert len(came) == CANDIDATES
        assert came == served
    assert all(is_valid(message.result, keys) for message in firsts)
    for message in firsts[:10]:
        assert Webhook(SECRET).verify(message.body, message.headers) == message.event
    assert len({message.body for message in receiver.attempts}) == len(feed), "two messages of one id differ"


async def hold(engine: Engine) -> tuple[Receiver, list[dict[str, Any]], list[dict[str, str]]]:
    """(the receiver, the feed, public keys) after three batches were published under all these circumstances."""
    receiver = Receiver(SECRET)
    await receiver.start()
    receiver.answer = moody(random.Random(5))
    url = receiver.url
    await receiver.stop()  # down at first
    put = {"url": url, "secret": SECRET}
    assert (await call(engine, "PUT", "/v1/webhooks/evaluation", put)).status_code == 201
    async with Wire(engine.url) as wire:
        schedule = MachineClient(wire, engine.keys["schedule"])
        await push(schedule)
        await until(lambda: waiting(engine) == len(BATCHES) * CANDIDATES, "all results waiting for the receiver")
        await receiver.start()
        for _ in range(KILLS):
            seen = len(receiver.accepted)
            await until(lambda: len(receiver.accepted) > seen + 20, "more results taken")  # noqa: B023
            await kill_courier(engine)
        await until(lambda: waiting(engine) == 0, "nothing waiting any more")
        public = await schedule.public_keys()
    keys = [{"key_id": key_id, "algorithm": ALGORITHM, "public_key": text} for key_id, text in public.items()]
    feed = (await call(engine, "GET", "/v1/results?limit=1000")).json()["results"]
    await receiver.stop()
    return receiver, feed, keys


def moody(dice: random.Random) -> Any:
    """Mostly taken; now and then 500, or taken with an answer that comes too late."""

    async def answer(_: Message) -> web.StreamResponse:
        chance = dice.random()
        if chance < 0.05:
            return web.Response(status=500)
        if chance < 0.07:
            await asyncio.sleep(1.5)
        return web.Response()

    return answer


async def push(schedule: MachineClient) -> None:
    """Batches whose candidates never come."""
    dice = random.Random(3)
    await schedule.put_paper("P", samples.load("ldgx3").paper)
    roster = people.roster(CANDIDATES * len(BATCHES), "31", dice)
    starts_ms = int(time.time() * 1000)
    for number, batch_id in enumerate(BATCHES):
        batch = {"title": batch_id, "occupation": "演练", "level": 3, "subject": "theory", "kind": "mock"}
        batch |= {"paper_id": "P", "admission_code": f"HOOK{number}", "starts_ms": starts_ms, "duration_s": 60}
        batch["rules"] = {"earliest_submit_s": 0, "latest_entry_s": LATEST_ENTRY_S, "warn_before_end_s": 0}
        await schedule.put_batch(batch_id, batch)
        await schedule.put_roster(batch_id, roster[number * CANDIDATES : (number + 1) * CANDIDATES])
        await schedule.arm(batch_id, ["甲", "乙"])


async def kill_courier(engine: Engine) -> None:
    courier = engine.processes["courier-0"]
    os.kill(courier, signal.SIGKILL)
    await until(lambda: engine.processes["courier-0"] != courier, "another courier")


def waiting(engine: Engine) -> int:
    """How many results the engine says are on their way."""
    headers = {"authorization": f"Bearer {engine.keys['results']}"}
    return int(httpx2.get(f"{engine.url}/v1/webhooks/evaluation", headers=headers, timeout=30).json()["waiting"])


async def call(engine: Engine, method: str, path: str, body: Any = None) -> httpx2.Response:
    headers = {"authorization": f"Bearer {engine.keys['results']}"}
    return await asyncio.to_thread(httpx2.request, method, engine.url + path, headers=headers, json=body, timeout=30)


async def until(promise: Callable[[], bool], what: str) -> None:
    for _ in range(WITHIN_S * 20):
        if await asyncio.to_thread(promise):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not within {WITHIN_S} s: {what}")
