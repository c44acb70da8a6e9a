"""Hand-ins: 5,000 within ten seconds, and every receipt is checked against what was saved."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from bench.field import Field
from bench.rows import BenchFault, Row
from bench.saving import Plan, sound
from loadtest.answers import guess
from loadtest.client import MachineClient
from loadtest.receipts import is_signed, responses_digest

RUSH_S = 10.0
SAVED_ITEMS = 10


def submit(field: Field, plan: Plan) -> list[Row]:
    """Everybody has saved some answers and hands in."""
    exam = field.exam("submit", plan.sittings)
    items = [item for section in field.paper["sections"] for item in section["items"]]
    sent: dict[str, dict[str, dict[str, Any]]] = {}
    saves, submits = [], []
    for sitting_id, token in zip(exam.sitting_ids, exam.tokens, strict=True):
        some = field.dice.sample(items, SAVED_ITEMS)
        answers = {item["id"]: {"seq": seq, "value": guess(item, field.dice)} for seq, item in enumerate(some, 1)}
        sent[sitting_id] = answers
        changes = [{"item": item, **answer} for item, answer in answers.items()]
        saves.append(("/v1/sitting/responses", token, orjson.dumps({"changes": changes}).decode()))
        submits.append(("/v1/sitting/submit", token, f'{{"seq":{SAVED_ITEMS}}}'))
    sound(field.send(saves)[0])
    field.drained()
    load, receipts = field.send(submits, rate=plan.sittings / RUSH_S, connections=plan.connections)
    sound(load)
    _check(receipts, sent, asyncio.run(_public_keys(field)))
    return [
        Row("submit_p50_ms", load.p50_ms, "ms"),
        Row("submit_p99_ms", load.p99_ms, "ms"),
        Row("submit_receipts_valid", float(len(receipts)), "receipts"),
    ]


def _check(receipts: list[dict[str, Any]], sent: dict[str, dict[str, dict[str, Any]]], keys: dict[str, str]) -> None:
    """Raises BenchFault for the first receipt that does not say what was saved, or is missing."""
    for receipt in receipts:
        answers = sent.get(receipt["sitting_id"], {})
        if receipt["digest"] != responses_digest(answers) or not is_signed(receipt, keys):
            raise BenchFault(f"a receipt that is not valid: {receipt}")
    if {receipt["sitting_id"] for receipt in receipts} != set(sent):
        raise BenchFault(f"{len(receipts)} receipts for {len(sent)} hand-ins")


async def _public_keys(field: Field) -> dict[str, str]:
    async with MachineClient(field.engine.url, field.engine.keys["schedule"]) as client:
        return await client.public_keys()
